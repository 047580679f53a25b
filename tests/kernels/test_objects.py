"""No kernel's machine code can allocate: it names nothing but a few functions of the C library."""

import importlib
import pkgutil
from collections import Counter

import numpy as np
import pytest
from llvmlite import binding
from numba.core import config
from numba.core.errors import NumbaError

import fastnn.kernels
from fastnn.engine import compute_dtype
from fastnn.kernels.lowlevel._jit import INTERPRETED, compile_entry, target_machine
from tests.helpers.object_symbols import C_LIBRARY, symbols
from tests.helpers.sweeps import sampled

pytestmark = pytest.mark.skipif(
    INTERPRETED or bool(config.BOUNDSCHECK),
    reason="there is no machine code without JIT, and with bounds checks not the code that users run",
)


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
#: Compiled only where the CPU has the instructions that they are made of.
OF_SOME_CPUS = "linalg.bfloat16."


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
    if name.startswith(OF_SOME_CPUS) and compute_dtype.missing():
        pytest.skip(compute_dtype.missing())
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
