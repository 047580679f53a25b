"""Layers that scale the columns of the data: `Standardize`, `MinMax`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from ..data import array_checks
from ..engine import scan
from ..memory.buffers import allocate
from .preprocessing import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.graph import Graph
    from ..engine.ops import Shape, Tensor
    from ..engine.weightless import Blocks

_SMALLEST = float(np.finfo(np.float32).tiny)  # of a scale: smaller numbers are flushed to zero


def moments(name: str, blocks: Blocks, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of columns, each of shape (width,); 1 for those that do not vary."""
    state = allocate(4 * width + 1, "float64", "the statistics of the columns")
    count = 0
    for x, weight in by_position(blocks, width):
        scan.compute_statistics("layers.scaling.moments", x, weight, state)
        if not np.isfinite(state).all():
            j = int(np.flatnonzero(~np.isfinite(state))[0] % width)
            largest = np.abs(x[:, j]).max()
            raise ValueError(f"{name} is too large to standardize: column {j} holds {largest:g}")
        count += len(x)
    mean, variance = state[:width], state[width : 2 * width] / state[-1]
    # What rounding may leave of the variance of a column that does not vary, as in scikit-learn.
    rounding = count * np.finfo(np.float64).eps
    constant = variance <= rounding * variance + (rounding * mean) ** 2
    scale = np.sqrt(variance)
    scale[constant | (scale < _SMALLEST)] = 1.0
    return mean, scale


def by_position(blocks: Blocks, width: int) -> Blocks:
    """Rows of `width` numbers of rows that have one or several times as many, each with its weight."""
    for x, weight in blocks:
        times = x.shape[1] // width
        yield x.reshape(-1, width), weight if weight is None or times == 1 else np.repeat(weight, times)


class Scaling(Preprocessing):
    """Base of ``y = (x - shift) / scale``, a shift and a scale for each column.

    Of samples of several axes, the columns are the channels of the last axis.
    """

    def shift_and_scale(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Both of shape (n_in,); 0 and 1 for columns that pass through."""
        raise NotImplementedError

    def constants(self, *inputs: Shape) -> NDArray[np.float64]:  # noqa: D102
        if not self._statistics:
            return np.zeros(0)
        n_in = self.columns_of(inputs[0])
        shift, scale = self.shift_and_scale()
        if shift.size != n_in:
            raise ValueError(f"{self!r} is adapted to {shift.size} columns, but its input has {n_in}")
        positions = math.prod(inputs[0][:-1])  # with numbers for each, few channels are as fast as many
        return np.concatenate([np.tile(shift, positions), np.tile(scale, positions)])

    @property
    def runs_by_step(self) -> bool:  # noqa: D102
        return True

    def columns_of(self, shape: Shape) -> int:  # noqa: D102
        return shape[-1]

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        return graph.op("layers.scaling", inputs, inputs[0].shape, constants=True)

    def _check_numbers(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
        if first.size == 0 or first.size != second.size:
            names = " and ".join(self.names)
            raise ValueError(f"{names} must have one shape, got {first.shape} and {second.shape}")

    def _others(self, n_in: int) -> NDArray[np.bool_]:
        """Which columns pass through."""
        result = np.ones(n_in, bool)
        result[array_checks.column_numbers(self.columns, n_in)] = False
        return result


class Standardize(Scaling):
    """Give each column mean 0 and variance 1: ``y = (x - mean) / scale``, as scikit-learn's StandardScaler.

    A first layer of a model: `Model.fit` adapts it to the training samples, with their weights. A
    column that does not vary is only shifted. In samples of several axes the columns are the channels of the
    last axis, each taken over all positions, as in Keras's Normalization.

    Parameters
    ----------
    columns : int or sequence of int, optional
        The columns to standardize, all if not given; negative ones count from the last. The others
        pass through.

    Examples
    --------
    >>> import fastnn as fn
    >>> layer = fn.Standardize().adapt([[1.0, 5.0], [3.0, 5.0]])
    >>> layer.mean, layer.scale
    (array([2., 5.]), array([1., 1.]))
    >>> layer([[1.0, 5.0], [4.0, 7.0]])
    array([[-1.,  0.],
           [ 2.,  2.]], dtype=float32)
    """

    kind = "standardize"
    names = ("mean", "scale")
    kernels = ("layers.scaling.forward", "layers.scaling.moments")

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of each column, of shape (columns,); 0 for columns that pass through."""
        return self._number("mean")

    @property
    def scale(self) -> NDArray[np.float64]:
        """Standard deviation of each column, of shape (columns,); 1 where it is 0, and for other columns."""
        return self._number("scale")

    def shift_and_scale(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # noqa: D102
        return self.mean, self.scale

    def compute_statistics(self, blocks: Blocks, n_in: int) -> dict[str, NDArray[np.float64]]:  # noqa: D102
        mean, scale = moments("X", blocks, n_in)
        others = self._others(n_in)
        mean[others], scale[others] = 0.0, 1.0
        return {"mean": mean, "scale": scale}

    def _check_numbers(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
        super()._check_numbers(first, second)
        if second.min() < _SMALLEST:
            raise ValueError(f"scale must be >= {_SMALLEST:g}, got {second.min():g}")


class MinMax(Scaling):
    """Scale each column to the range from `low` to `high`, as scikit-learn's MinMaxScaler.

    A first layer of a model: `Model.fit` adapts it to the training samples. Values beyond theirs are
    mapped outside the range. A column that does not vary becomes `low`. In samples of several axes the
    columns are the channels of the last axis, each taken over all positions.

    Parameters
    ----------
    low, high : float, low < high
    columns : int or sequence of int, optional
        The columns to scale, all if not given; negative ones count from the last. The others pass
        through.

    Examples
    --------
    >>> import fastnn as fn
    >>> layer = fn.MinMax(-1, 1).adapt([[0.0, 5.0], [4.0, 6.0]])
    >>> layer.data_min, layer.data_max
    (array([0., 5.]), array([4., 6.]))
    >>> layer([[1.0, 5.0], [4.0, 7.0]])
    array([[-0.5, -1. ],
           [ 1. ,  3. ]], dtype=float32)
    """

    kind = "min_max"
    names = ("data_min", "data_max")
    kernels = ("layers.scaling.forward", "layers.scaling.extremes")

    def __init__(
        self, low: float = 0.0, high: float = 1.0, columns: int | Sequence[int] | None = None
    ) -> None:
        super().__init__(columns)
        self.low, self.high = validate.number("low", low), validate.number("high", high)
        if self.low >= self.high:
            raise ValueError(f"low must be less than high, got low={low!r} and high={high!r}")

    @property
    def data_min(self) -> NDArray[np.float64]:
        """Smallest number of each column, of shape (columns,)."""
        return self._number("data_min")

    @property
    def data_max(self) -> NDArray[np.float64]:
        """Largest number of each column, of shape (columns,)."""
        return self._number("data_max")

    def shift_and_scale(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # noqa: D102
        with np.errstate(over="ignore"):  # found as an infinity by `plan.constants`
            scale = (self.data_max - self.data_min) / (self.high - self.low)
        scale[scale < _SMALLEST] = 1.0
        shift = self.data_min - self.low * scale
        others = self._others(scale.size)
        shift[others], scale[others] = 0.0, 1.0
        return shift, scale

    def compute_statistics(self, blocks: Blocks, n_in: int) -> dict[str, NDArray[np.float64]]:  # noqa: D102
        state = allocate(2 * n_in, "float64", "the extremes of the columns")
        state[:n_in], state[n_in:] = np.inf, -np.inf
        for x, weight in by_position(blocks, n_in):
            scan.compute_statistics("layers.scaling.extremes", x, weight, state)
        return {"data_min": state[:n_in], "data_max": state[n_in:]}

    def _check_numbers(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
        super()._check_numbers(first, second)
        if (first > second).any():
            raise ValueError("data_min must not be greater than data_max")

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {**super().config(), "low": self.low, "high": self.high}

    def __repr__(self) -> str:
        columns = "" if self.columns is None else f", columns={list(self.columns)}"
        return f"MinMax({self.low:g}, {self.high:g}{columns})"
