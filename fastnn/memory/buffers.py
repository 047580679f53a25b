"""Flat buffers: allocated once, aligned."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from . import guard

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SMALL = 1 << 12  # numbers
_ALIGN = 64  # bytes: a cache line, and the widest vector register

# Names of buffers that are made in several places
PARAMETERS, OPTIMIZER = "the parameters", "the optimizer's memory"
STATISTICS = "the running statistics"


def allocate(size: int, dtype: str, name: str = "a buffer") -> NDArray[Any]:
    """Zeros of shape (size,), beginning at a cache line; `name` is for `guard`."""
    itemsize = np.dtype(dtype).itemsize
    zone = guard.zone(itemsize)
    memory = np.zeros(size + _ALIGN // itemsize + 2 * zone, dtype)
    skip = -memory.ctypes.data % _ALIGN // itemsize + zone
    if zone:
        guard.watch(memory, skip, skip + size, name)
    return memory[skip : skip + size]


def empty(shape: tuple[int, ...], dtype: str, name: str) -> NDArray[Any]:
    """Memory that compiled code writes before it is read."""
    if not guard.ON:
        return np.empty(shape, dtype)
    buffer = allocate(math.prod(shape), dtype, name)
    guard.poison(buffer)
    return buffer.reshape(shape)


@functools.cache
def dtype_name(dtype: np.dtype[Any]) -> str:
    """``"float32"`` and so on: NumPy computes a dtype's name each time, in microseconds."""
    return dtype.name


def address(values: NDArray[Any] | None) -> int:
    """Address of the first element; 0 for None."""
    return 0 if values is None else values.ctypes.data


class KeptMemory:
    """Buffers by name, each for one call at a time: small ones are kept, with their addresses."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[NDArray[Any], int]] = {}

    def take(self, name: str, size: int, dtype: str) -> tuple[NDArray[Any], int]:
        """An array of shape (size,), which holds anything, and its address."""
        found = self._kept.get(name)
        if found is None or found[0].size != size:
            memory = allocate(size, dtype, name)
            found = memory, address(memory)
            if size <= _SMALL:
                self._kept[name] = found
        return found
