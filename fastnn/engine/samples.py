"""Samples and targets that are like those of an earlier call.

What is worked out for samples of a shape and dtype and for their targets holds for others of the same shapes
and dtypes, but for their values. So a model keeps memory for some; others are copied there and checked by one
compiled call. Only if that finds something, they go through all checks, which say what it is.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler import loader
from ..data.sample_checks import target_range
from ..kernels.abi import oprow
from ..kernels.abi.descriptor import OK, SIZE
from ..memory.buffers import address, allocate
from .data_set import DataSet
from .fields import fields_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ..losses import Loss
    from .columns import Columns
    from .graph import Layer
    from .ops import Shape

# Copying more numbers than this takes longer than all checks of two arrays.
_FEW = 1 << 15
# How many kinds of samples are kept.
_MOST_KINDS = 4
_CHECK = "driver.batch.check_samples"


class KnownSamples(DataSet):
    """Memory for samples and targets like those of an earlier call: see `make_known`."""

    kind: Any
    _given: tuple[NDArray[Any], NDArray[Any]]  # the memory in the shapes that arrays are given in
    _may_overflow: bool
    _row: NDArray[np.int64]
    _descriptor: NDArray[np.int64]

    def bind(self, kind: Any, X: Any, y: Any, limits: tuple[float, float, bool]) -> None:
        """Prepare `load` for what is like X and y, of that kind; `limits` are those of `target_range`."""
        dtype = self.X.dtype
        self.kind, self._given = kind, (self.X.reshape(np.shape(X)), self.y.reshape(np.shape(y)))
        dtypes = np.asarray(X).dtype, np.asarray(y).dtype
        self._may_overflow = any(of.kind == "f" and of.itemsize > dtype.itemsize for of in dtypes)
        self._row, self._descriptor = np.zeros(oprow.SIZE, np.int64), allocate(SIZE, "int64", "descriptor")
        row: Any = self._row.view(oprow.TARGET)[0]
        row["forward"] = loader.address(_CHECK, dtype.name)
        low, high, row["whole"] = limits
        largest = np.finfo(dtype).max
        row["low"], row["high"] = max(low, -largest), min(high, largest)
        self._net = fields = fields_of(self._descriptor)
        fields.x, fields.y, _ = self.addresses
        fields.n_samples, fields.n_features = self.X.shape
        fields.n_targets = self.y.shape[1]
        self._check = functools.partial(
            loader.function(_CHECK, dtype.name), address(self._row), address(self._descriptor)
        )

    def load(self, X: Any, y: Any) -> bool:
        """Copy samples and targets of the same kind here. Whether a model may take them."""
        own_x, own_y = self._given
        try:
            if self._may_overflow:
                with np.errstate(over="ignore"):  # too large for the dtype is found as an infinity
                    own_x[...], own_y[...] = X, y
            else:
                own_x[...], own_y[...] = X, y
        except OverflowError:  # an int
            return False
        self._check()
        return bool(self._net.status == OK)

    @property
    def shape_of_targets(self) -> tuple[int, ...]:
        """The shape that they are given in."""
        return self._given[1].shape

    def load_targets(self, y: Any) -> bool:
        """The same for the samples that are here, and other targets."""
        return self.load(self._given[0], y)


def target_limits(loss: Loss | None) -> Callable[[int, int], tuple[float, float, bool]] | None:
    """For `SamplePool`: `target_range` of a loss; None where more of its targets is checked than this."""
    if loss is None or loss.missing_targets != "raise" or loss.is_distribution:
        return None
    return functools.partial(target_range, loss)


class SamplePool:
    """The `KnownSamples` of a model that no call is using.

    Parameters
    ----------
    layers : sequence of Layer
        Some check more than what is checked here: then nothing becomes known.
    columns : Columns
        Where they have names, nothing becomes known either.
    limits : function or None
        ``limits(n_out, n_targets)`` is the least and the largest target, and whether these are whole numbers.
        None: nothing becomes known.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        columns: Columns,
        limits: Callable[[int, int], tuple[float, float, bool]] | None,
    ) -> None:
        special = any(
            layer.checks_rows or layer.takes_missing or layer.codes or layer.takes_indices for layer in layers
        )
        self._limits = None if special else limits
        self._columns = columns
        self._free: dict[Any, KnownSamples] = {}

    def take(self, X: Any, y: Any) -> KnownSamples | None:
        """Copies of X and y if their kind is known and a model may take them, for the caller alone."""
        if type(X) is not np.ndarray or self._columns.names:
            return None
        known = self._free.pop(_kind(X, y), None)
        if known is None or known.load(X, y):
            return known
        self._free[known.kind] = known
        return None

    def put_back(self, data: DataSet) -> None:
        """Keep what `take` gave; other data is left alone."""
        if isinstance(data, KnownSamples):
            self._free[data.kind] = data

    def learn(self, X: Any, y: Any, dtype: str, shape: Shape, output: Shape) -> None:
        """Know the kind of X and y, with which a call of a model with these shapes of samples succeeded."""
        if self._limits is None or self._columns.names or not _is_plain(X, y):
            return
        kind, n_in, n_out = _kind(X, y), math.prod(shape), math.prod(output)
        if kind in self._free or np.size(X) + np.size(y) > _FEW:
            return
        n = np.size(X) // n_in
        sizes = (n, n_in), (n, np.size(y) // n)
        memory = allocate(n * (n_in + sizes[1][1]), dtype, "the samples")
        known = KnownSamples(memory[: n * n_in].reshape(sizes[0]), memory[n * n_in :].reshape(sizes[1]), None)
        known.bind(kind, X, y, self._limits(n_out, sizes[1][1]))
        if len(self._free) >= _MOST_KINDS:
            self._free.clear()
        self._free[kind] = known


def _kind(X: NDArray[Any], y: Any) -> Any:
    """What must be the same of samples and targets to be known."""
    return (X.shape, X.dtype, y.shape, y.dtype) if type(y) is np.ndarray else (X.shape, X.dtype, type(y))


def _is_plain(X: Any, y: Any) -> bool:
    """Whether samples and targets are such as may be known: arrays of numbers, the target also a number."""
    if type(X) is not np.ndarray or X.dtype.kind not in "buif":
        return False
    return y.dtype.kind in "buif" if type(y) is np.ndarray else type(y) in (int, float)
