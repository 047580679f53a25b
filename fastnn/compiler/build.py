"""Object code of a kernel's entry, by Numba in this process."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

_CUSTOM: dict[str, Callable[[str], Any]] = {}


def register(kernel: str, make: Callable[[str], Any]) -> None:
    """Let a user-defined kernel be made by ``make(dtype)``: see `loader.register`."""
    _CUSTOM[kernel] = functools.cache(make)


def compile_kernel(kernel: str, dtype: str, symbol: str) -> bytes:
    """Object code of a kernel's entry, with a C function of the name `symbol`."""
    jit = importlib.import_module("fastnn.kernels.lowlevel._jit")
    if jit.INTERPRETED:
        own = kernel.startswith("custom.")
        missing = "a function of yours" if own else f"{kernel}, which is not cached yet"
        raise RuntimeError(
            f"fastnn needs Numba's compiler for {missing}, and NUMBA_DISABLE_JIT=1 switches it off; "
            "python -m fastnn warmup, without that, compiles all kernels of the library"
        )
    path, _, last = kernel.rpartition(".")
    factory = getattr(_place(path, dtype), f"{last}_entry")
    code: bytes = jit.compile_entry(factory(np.dtype(dtype).type), symbol)
    return code


def _place(path: str, dtype: str) -> Any:
    """Where a kernel's entry factories are: a module of `kernels/`, an object in one, or the user's."""
    room, module, *names = path.split(".")
    if room == "custom":
        if path not in _CUSTOM:
            make = f"fn.register_{module}"
            raise ValueError(f"the {module} {names[0]!r} is not known here; make it by {make} first")
        return _CUSTOM[path](dtype)
    place: Any = importlib.import_module(f"fastnn.kernels.{room}.{module}")
    for name in names:
        place = getattr(place, name)
    return place
