"""No kernel's machine code can allocate: it names nothing but a few functions of the C library."""

import importlib
import pkgutil
import struct
import sys
from collections import Counter

import numpy as np
import pytest
from llvmlite import binding
from numba.core import config
from numba.core.errors import NumbaError

import fastnn.kernels
from fastnn.kernels.lowlevel._jit import INTERPRETED, compile_entry, target_machine
from tests.helpers.sweeps import sampled

pytestmark = [
    pytest.mark.skipif(
        INTERPRETED or bool(config.BOUNDSCHECK),
        reason="there is no machine code without JIT, and with bounds checks not the code that users run",
    ),
    pytest.mark.skipif(sys.platform != "linux", reason="reads object files of the format ELF only"),
]

#: All that object code may ask of its surroundings. None of these allocates.
C_LIBRARY = {"memcpy", "memmove", "memset", "pow", "cos", "sched_yield"}
#: Places that every object of LLVM names and no call goes to.
NOT_FUNCTIONS = {"_GLOBAL_OFFSET_TABLE_"}


def entries():
    """All entry factories of all modules, by the names that `compiler.loader` gives them."""
    found = {}
    for info in pkgutil.walk_packages(fastnn.kernels.__path__, "fastnn.kernels."):
        place = info.name.removeprefix("fastnn.kernels.")
        if info.ispkg or "._" in place:
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if name.startswith("_"):
                continue
            if callable(value) and name.endswith("_entry"):
                found[f"{place}.{name}"] = value
            for field in getattr(type(value), "_fields", ()):
                if field.endswith("_entry"):
                    found[f"{place}.{name}.{field}"] = getattr(value, field)
    return {name.removesuffix("_entry"): factory for name, factory in found.items()}


ENTRIES = entries()


def symbols(code):
    """Names of the defined global and of the undefined symbols of an ELF64 object file."""
    assert code[:6] == b"\x7fELF\x02\x01", "not a little-endian ELF64 file"
    (table_at,) = struct.unpack_from("<Q", code, 0x28)
    size, count = struct.unpack_from("<HH", code, 0x3A)
    # A section header: name, type, flags, address, offset, size, link, info, alignment, entry size.
    sections = [struct.unpack_from("<IIQQQQIIQQ", code, table_at + i * size) for i in range(count)]
    defined, undefined = set(), set()
    for section in sections:
        if section[1] != 2:  # SHT_SYMTAB
            continue
        strings = sections[section[6]][4]
        for at in range(section[4] + 24, section[4] + section[5], 24):  # the first entry is empty
            name_at, info, _, index = struct.unpack_from("<IBBH", code, at)
            name = code[strings + name_at : code.index(b"\0", strings + name_at)].decode()
            if index == 0:
                undefined.add(name)
            elif info >> 4 == 1:  # STB_GLOBAL
                defined.add(name)
    return defined, undefined - NOT_FUNCTIONS


def test_entries_are_found():
    """So many at least, by module: a walk that finds nothing would show nothing."""
    counted = Counter(name.split(".")[1] for name in ENTRIES)
    least = {
        "activation": 2 * 12,
        "batch": 5 + 10,
        "dense": 2,
        "loop": 4,
        "dropout": 2,
        "loss": 9,
        "metric": 2 * 4,
        "one_hot": 2,
        "optimizer": 4,
        "penalty": 2,
        "scaling": 4,
        "schedule": 5,
        "softmax": 2 * 2,
    }
    assert counted >= Counter(least)
    assert {
        "layers.dense.forward",
        "layers.activation.relu.backward_input",
        "training.optimizer.adam.forward",
    } <= set(ENTRIES)


@pytest.mark.slow
@pytest.mark.parametrize("name", sampled(ENTRIES, every=11))
def test_object_code_names_only_the_c_library(name, dtype):
    symbol = f"fastnn.{name}.{dtype.__name__}"
    defined, undefined = symbols(compile_entry(ENTRIES[name](dtype), symbol))
    assert defined == {symbol}
    assert undefined <= C_LIBRARY


def test_an_allocation_does_not_compile():
    def allocating(op_address, net_address):
        np.empty(op_address)[0] = net_address

    with pytest.raises(NumbaError, match="empty"):
        compile_entry(allocating, "allocating")


def test_a_helper_of_numba_is_found():
    def raising(op_address, net_address):
        if op_address == net_address:
            print(op_address)

    _, undefined = symbols(compile_entry(raising, "raising"))
    assert undefined - C_LIBRARY


def test_the_reader_finds_what_an_object_names():
    host = target_machine()
    module = binding.parse_assembly(
        """
        declare ptr @malloc(i64)
        declare double @erf(double)
        define internal void @hidden(ptr %p) noinline { store volatile i8 0, ptr %p ret void }
        define double @public(double %x) {
          %p = call ptr @malloc(i64 8)
          call void @hidden(ptr %p)
          %y = call double @erf(double %x)
          ret double %y
        }
        """
    )
    assert symbols(host.emit_object(module)) == ({"public"}, {"malloc", "erf"})
