"""Flat buffers: allocated once, aligned, handed out as views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .plan import Parameter

_ALIGN = 64  # bytes: a cache line, and the widest vector register


def allocate(size: int, dtype: str) -> NDArray[Any]:
    """Zeros of shape (size,), beginning at a cache line."""
    itemsize = np.dtype(dtype).itemsize
    memory = np.zeros(size + _ALIGN // itemsize, dtype)
    skip = -memory.ctypes.data % _ALIGN // itemsize
    return memory[skip : skip + size]


def address(values: NDArray[Any] | None) -> int:
    """Address of the first element; 0 for None."""
    return 0 if values is None else values.ctypes.data


def views(
    vector: NDArray[Any], parameters: Sequence[Parameter], n_layers: int
) -> list[dict[str, NDArray[Any]]]:
    """For each layer its weights and bias, as views into the flat vector."""
    result: list[dict[str, NDArray[Any]]] = [{} for _ in range(n_layers)]
    for p in parameters:
        result[p.layer][p.name] = vector[p.offset : p.offset + p.size].reshape(p.shape)
    return result
