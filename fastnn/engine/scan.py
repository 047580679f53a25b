"""Compiled passes over arrays: what is measured of data, and whether all numbers are finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler import loader
from ..kernels.abi.descriptor import OK, SIZE
from ..memory.buffers import address, allocate, dtype_name
from .fields import fields_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def compute_statistics(
    kernel: str, X: NDArray[Any], weight: NDArray[Any] | None, state: NDArray[np.float64]
) -> None:
    """Add rows to the statistics in `state` that a kernel of `scaling` keeps there."""
    descriptor = allocate(SIZE, "int64", "descriptor")
    fields = fields_of(descriptor)
    fields.x, fields.sample_weight, fields.metric_state = address(X), address(weight), address(state)
    fields.n_samples, fields.n_features = X.shape
    loader.function(kernel, X.dtype.name)(0, address(descriptor))


def are_indices(X: NDArray[Any], limits: NDArray[Any]) -> bool:
    """Whether the numbers of a C-contiguous array (n, width) are as limits (width,) say: see the kernel."""
    descriptor = allocate(SIZE, "int64", "descriptor")
    fields = fields_of(descriptor)
    fields.input, fields.limits = address(X), address(limits)
    fields.rows, fields.n_features = X.shape
    loader.function("layers.embedding.check", dtype_name(X.dtype))(0, address(descriptor))
    return bool(fields.status == OK)


class FiniteCheck:
    """Whether C-contiguous arrays, all of one dtype, hold neither NaN nor infinity: for many calls."""

    def __init__(self, *arrays: NDArray[Any]) -> None:
        self.arrays, self._descriptor = arrays, allocate(SIZE, "int64", "descriptor")
        self._places = [(address(values), values.size) for values in arrays if values.size]
        self._fields, self._address = fields_of(self._descriptor), address(self._descriptor)
        self._fields.n_features = 1
        self._look = loader.function("driver.batch.check", dtype_name(arrays[0].dtype))

    def __call__(self) -> bool:  # noqa: D102
        fields = self._fields
        for start, size in self._places:
            fields.input, fields.rows = start, size
            self._look(0, self._address)
            if fields.status != OK:
                return False
        return True


def is_finite(*arrays: NDArray[Any]) -> bool:
    """Whether C-contiguous arrays, all of one dtype, hold neither NaN nor infinity."""
    return FiniteCheck(*arrays)()
