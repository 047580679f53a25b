"""Machine code of the kernels: compiled once per dtype, cached on disk, loaded without Numba.

`address` is the one place that compiles or loads, and `prepare` does so for many kernels at once. An
entry of a kernel is compiled by Numba to object code with one C function in it, which is written to the
object cache (`object_cache`); a later process loads it with llvmlite alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
from typing import TYPE_CHECKING, Any

from ..engine import threads
from ..memory import guard
from . import available_cpus, build, notice, object_cache
from .object_file import symbol_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Held briefly, or while one kernel is compiled here: no thread forks meanwhile.
_LOCK = threading.RLock()
# Held while other processes compile, which takes longer: a child forked meanwhile compiles for itself.
_compiling = threading.RLock()
_ADDRESSES: dict[tuple[str, str], int] = {}

#: Number of kernels that this process compiled rather than loaded.
compilations = 0


def address(kernel: str, dtype: str) -> int:
    """Address of the machine code of a kernel's entry.

    Parameters
    ----------
    kernel : str
        Where its factory is found: ``"layers.dense.forward"`` is ``forward_entry`` in
        ``fastnn.kernels.layers.dense``, ``"layers.activation.relu.forward"`` that of ``relu`` in
        ``fastnn.kernels.layers.activation``.
    dtype : str
        ``"float32"`` or ``"float64"``.

    Returns
    -------
    int
        Address of a C function ``void (int64 op, int64 net)``, valid for the life of the process.
    """
    found = _ADDRESSES.get((kernel, dtype))
    if found is None:
        with undisturbed():
            found = _ADDRESSES.get((kernel, dtype))
            if found is None:
                found = _ADDRESSES[kernel, dtype] = _load_or_compile(kernel, dtype)
    return found


@functools.cache
def function(kernel: str, dtype: str = "float64", holds_gil: bool = False) -> Callable[[int, int], None]:
    """An entry as a Python function of two addresses, which runs without the GIL, or with it.

    The driver's entries know no dtype: there is one of each.
    """
    kind = ctypes.PYFUNCTYPE if holds_gil else ctypes.CFUNCTYPE
    call = kind(None, ctypes.c_int64, ctypes.c_int64)(address(kernel, dtype))
    return guard.checked(call, kernel) if guard.ON else call


def register(kernel: str, make: Callable[[str], Any]) -> None:
    """Register a user-defined kernel, made by ``make(dtype)``, which returns one like those in `kernels/`.

    Parameters
    ----------
    kernel : str
        Begins with "custom."; replaces an earlier one of this name.
    make : function
        Called when an entry of the kernel is first needed for a dtype.
    """
    with _LOCK:
        build.register(kernel, make)
        for entry in [entry for entry in _ADDRESSES if entry[0].rpartition(".")[0] == kernel]:
            del _ADDRESSES[entry]


def prepare(kernels: Iterable[tuple[str, str]], for_host: bool = False) -> int:
    """Load kernels that will be needed soon; those that have to be compiled are compiled in parallel.

    Parameters
    ----------
    kernels : iterable of (kernel, dtype)
        As for `address`.
    for_host : bool
        Compile those as well that the package brings along, compiled for CPUs like this one.

    Returns
    -------
    int
        How many were compiled.
    """
    wanted = [entry for entry in dict.fromkeys(kernels) if not entry[0].startswith("custom.")]
    with _compiling:
        with undisturbed():
            new = [entry for entry in wanted if entry not in _ADDRESSES]
            codes = {entry: object_cache.read(symbol_of(*entry), for_host) for entry in new}
        missing = [entry for entry, code in codes.items() if code is None]
        if missing:
            codes |= _compile_elsewhere(missing)
        for entry, code in codes.items():
            with undisturbed():
                if entry not in _ADDRESSES:
                    symbol = symbol_of(*entry)
                    _ADDRESSES[entry] = _load(code or _compile(*entry, symbol), symbol)
    return len(missing)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """A block that Ctrl-C does not interrupt, in which no other thread forks, compiles or loads.

    A half-imported Numba could not be used any more; and a forked child would wait forever for locks that
    another thread holds, such as those of imports and of LLVM.
    """
    with threads.defer_interrupt(), _LOCK:
        yield


def _compile_elsewhere(kernels: list[tuple[str, str]]) -> dict[tuple[str, str], bytes | None]:
    """Have kernels compiled by other processes, and cache the results; None for the others."""
    global compilations
    from . import workers  # only here: it imports subprocess

    cpus = available_cpus.cpus()
    notice.compiling(len(kernels), workers.seconds([kernel for kernel, _ in kernels], cpus))
    codes = workers.compile_together([(*entry, symbol_of(*entry)) for entry in kernels], cpus)
    compilations += len(codes)
    for symbol, code in codes.items():
        object_cache.write(symbol, code)
    return {entry: codes.get(symbol_of(*entry)) for entry in kernels}


def _load_or_compile(kernel: str, dtype: str) -> int:
    symbol = symbol_of(kernel, dtype)
    if kernel.startswith("custom."):
        symbol += f".{compilations}"  # it may be the second of its name
        return _load(_compile(kernel, dtype, symbol), symbol)
    code = object_cache.read(symbol)
    if code is None:
        from . import workers

        notice.compiling(1, workers.seconds([kernel], 1))
        code = _compile(kernel, dtype, symbol)
    return _load(code, symbol)


def _load(code: bytes, symbol: str) -> int:
    engine = _engine()
    from llvmlite import binding

    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return int(engine.get_function_address(symbol))


def _compile(kernel: str, dtype: str, symbol: str) -> bytes:
    """Object code of a kernel, compiled here, and cached unless it is user-defined."""
    global compilations
    code = build.compile_kernel(kernel, dtype, symbol)
    compilations += 1
    if not kernel.startswith("custom."):
        object_cache.write(symbol, code)
    return code


@functools.cache
def _engine() -> Any:
    """LLVM's just-in-time engine, which holds all loaded code."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_default_triple()
    machine = target.create_target_machine(opt=0, codemodel="jitdefault", jit=True)
    return binding.create_mcjit_compiler(binding.parse_assembly(""), machine)


# A thread that is changing a model may wait for `_LOCK`, so a fork must take it last: this module is imported
# before `engine.weights_lock`, and functions registered for a fork are called in reverse order.


def _after_fork() -> None:
    with contextlib.suppress(RuntimeError):  # a signal came before it was acquired
        _LOCK.release()


def _after_fork_in_child() -> None:
    global _compiling
    if _compiling.acquire(blocking=False):
        _compiling.release()
    else:  # by a thread that does not exist here
        _compiling = threading.RLock()
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_LOCK.acquire, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
    )
