"""Compiled passes over arrays: what is measured of data, and whether all numbers are finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler import loader
from ..kernels.abi import descriptor as d
from ..memory.buffers import address, allocate, dtype_name

if TYPE_CHECKING:
    from numpy.typing import NDArray


def compute_statistics(
    kernel: str, X: NDArray[Any], weight: NDArray[Any] | None, state: NDArray[np.float64]
) -> None:
    """Add rows to the statistics in `state` that a kernel of `scaling` keeps there."""
    slots = allocate(d.SIZE, "int64", "descriptor")
    slots[d.X], slots[d.SAMPLE_WEIGHT], slots[d.METRIC_STATE] = address(X), address(weight), address(state)
    slots[d.N_SAMPLES], slots[d.N_FEATURES] = X.shape
    loader.function(kernel, X.dtype.name)(0, address(slots))


def are_indices(X: NDArray[Any], limits: NDArray[Any]) -> bool:
    """Whether numbers of a C-contiguous array (n, width) are finite, and integers below finite limits."""
    slots = allocate(d.SIZE, "int64", "descriptor")
    slots[d.INPUT], slots[d.LIMITS] = address(X), address(limits)
    slots[d.ROWS], slots[d.N_FEATURES] = X.shape
    loader.function("layers.embedding.check", dtype_name(X.dtype))(0, address(slots))
    return bool(slots[d.STATUS] == d.OK)


def is_finite(*arrays: NDArray[Any]) -> bool:
    """Whether C-contiguous arrays, all of one dtype, hold neither NaN nor infinity."""
    slots = allocate(d.SIZE, "int64", "descriptor")
    look, slots[d.N_FEATURES] = loader.function("driver.batch.check", dtype_name(arrays[0].dtype)), 1
    for values in arrays:
        slots[d.INPUT], slots[d.ROWS] = address(values), values.size
        look(0, address(slots))
        if slots[d.STATUS] != d.OK:
            return False
    return True
