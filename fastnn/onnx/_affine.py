"""Affine maps of the columns of an array, of which graphs consist between activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Matrix:
    """``x @ weights + bias``, in float64."""

    weights: NDArray[np.float64]
    bias: NDArray[np.float64] | None = None

    @property
    def n_in(self) -> int:
        """Number of input columns."""
        return int(self.weights.shape[0])

    @property
    def n_out(self) -> int:
        """Number of output columns."""
        return int(self.weights.shape[1])

    @property
    def size(self) -> int:
        """Number of values that are computed when it is changed."""
        return self.weights.size

    def minus(self, shift: NDArray[np.float64]) -> Matrix:
        """Minus a number for each output column."""
        return Matrix(self.weights, (0.0 if self.bias is None else self.bias) - shift)

    def over(self, scale: NDArray[np.float64]) -> Matrix:
        """Divided by a number for each column."""
        return Matrix(self.weights / scale, None if self.bias is None else self.bias / scale)

    def times(self, factor: NDArray[np.float64]) -> Matrix:
        """Multiplied by a number for each column."""
        return Matrix(self.weights * factor, None if self.bias is None else self.bias * factor)

    def chosen(self, index: NDArray[np.int64]) -> Matrix:
        """Some of the output columns, in any order."""
        return Matrix(self.weights[:, index], None if self.bias is None else self.bias[index])

    def then(self, other: Matrix) -> Matrix:
        """Its composition with another product that is applied to its output."""
        bias = other.bias
        if self.bias is not None:
            bias = self.bias @ other.weights + (0.0 if bias is None else bias)
        return Matrix(self.weights @ other.weights, bias)

    def matrix(self) -> Matrix:
        """Itself."""
        return self


@dataclass(frozen=True, eq=False)
class Columns:
    """``(x[:, index] - shift) / scale``; all columns in their order if `index` is None."""

    n_in: int
    index: NDArray[np.int64] | None = None
    shift: NDArray[np.float64] | None = None
    scale: NDArray[np.float64] | None = None

    @property
    def n_out(self) -> int:
        """Number of output columns."""
        return self.n_in if self.index is None else self.index.size

    @property
    def size(self) -> int:
        """Number of values that are computed when it is changed."""
        return self.n_out

    @property
    def is_choice(self) -> bool:
        """Whether it only selects columns."""
        return self.shift is None and self.scale is None

    @property
    def is_identity(self) -> bool:
        """Whether it is the identity."""
        return self.is_choice and self.index is None

    def chooses_as(self, other: Columns) -> bool:
        """Whether both only select, and the same columns in the same order."""
        if not self.is_choice or not other.is_choice or self.n_in != other.n_in:
            return False
        if self.index is None or other.index is None:
            return self.index is other.index
        return np.array_equal(self.index, other.index)

    def minus(self, shift: NDArray[np.float64]) -> Columns:
        """Minus a number for each output column."""
        own = 0.0 if self.shift is None else self.shift
        return Columns(
            self.n_in, self.index, own + shift * (1.0 if self.scale is None else self.scale), self.scale
        )

    def over(self, scale: NDArray[np.float64]) -> Columns:
        """Divided by a number for each column."""
        return Columns(self.n_in, self.index, self.shift, scale if self.scale is None else self.scale * scale)

    def times(self, factor: NDArray[np.float64]) -> Columns | Matrix:
        """Multiplied by a number for each column."""
        return self.over(1 / factor) if factor.all() else self.matrix().times(factor)

    def chosen(self, index: NDArray[np.int64]) -> Columns:
        """Some of the output columns, in any order."""
        parts = [None if part is None else part[index] for part in (self.shift, self.scale)]
        index = index if self.index is None else self.index[index]
        return Columns(self.n_in, None if np.array_equal(index, np.arange(self.n_in)) else index, *parts)

    def matrix(self) -> Matrix:
        """The same as a product."""
        index = np.arange(self.n_in) if self.index is None else self.index
        weights = np.zeros((self.n_in, index.size))
        weights[index, np.arange(index.size)] = 1.0 if self.scale is None else 1 / self.scale
        if self.shift is None:
            return Matrix(weights)
        return Matrix(weights, -self.shift if self.scale is None else -self.shift / self.scale)

    def before(self, product: Matrix) -> Matrix:
        """Its composition with a product that is applied to its output."""
        weights = product.weights if self.scale is None else product.weights / self.scale[:, None]
        bias = product.bias
        if self.shift is not None:
            bias = (0.0 if bias is None else bias) - self.shift @ weights
        if self.index is not None:
            own = np.zeros((self.n_in, product.n_out))
            np.add.at(own, self.index, weights)
            weights = own
        return Matrix(weights, bias)


Map = Columns | Matrix


def joined(maps: Sequence[Map]) -> Map:
    """The columns of several maps of the same array, side by side."""
    if len(maps) == 1:
        return maps[0]
    columns = [one for one in maps if isinstance(one, Columns)]
    if len(columns) < len(maps):
        products = [one.matrix() for one in maps]
        bias = [np.zeros(one.n_out) if one.bias is None else one.bias for one in products]
        none = all(one.bias is None for one in products)
        return Matrix(
            np.concatenate([one.weights for one in products], axis=1), None if none else np.concatenate(bias)
        )
    n_in = maps[0].n_in
    parts = [np.arange(n_in) if one.index is None else one.index for one in columns]
    index = np.concatenate(parts)
    return Columns(
        n_in,
        None if np.array_equal(index, np.arange(n_in)) else index,
        _concatenated([one.shift for one in columns], columns, 0.0),
        _concatenated([one.scale for one in columns], columns, 1.0),
    )


def _concatenated(parts: Sequence[Any], columns: Sequence[Columns], default: float) -> Any:
    if all(part is None for part in parts):
        return None
    full = [
        np.full(one.n_out, default) if part is None else part
        for part, one in zip(parts, columns, strict=True)
    ]
    return np.concatenate(full)


def added(first: Map, second: Map) -> Matrix:
    """The sum of two maps of the same array."""
    one, two = first.matrix(), second.matrix()
    if one.bias is None or two.bias is None:
        bias = two.bias if one.bias is None else one.bias
    else:
        bias = one.bias + two.bias
    return Matrix(one.weights + two.weights, bias)
