"""Layers of images that float64 graphs write as a product along each axis: their matrices, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.windows import windows

if TYPE_CHECKING:
    from numpy.typing import NDArray


def means(n: int, pool: int, stride: int, padding: str) -> NDArray[Any]:
    """Means of windows along an axis of n places, of shape (windows, n)."""
    found = windows(n, pool, stride, 1, padding)
    matrix = np.zeros((found.output, n))
    for row, start in enumerate(range(-found.before, found.output * stride - found.before, stride)):
        window = matrix[row, max(start, 0) : start + pool]
        window[...] = 1 / len(window)
    return matrix


def interpolation(n: int, factor: int) -> NDArray[Any]:
    """The weights of n old pixels in the new ones along an axis, of shape (new pixels, n)."""
    places = np.clip((np.arange(n * factor) + 0.5) / factor - 0.5, 0, n - 1)
    weights: NDArray[Any] = np.maximum(1 - abs(places[:, np.newaxis] - np.arange(n)), 0)
    return weights


def windows_of(matrix: NDArray[Any], padding: str) -> tuple[int, int] | None:
    """Window and stride of what `means` gave with this padding; None if it is another matrix."""
    inside = matrix != 0
    starts, lengths = inside.argmax(axis=1), inside.sum(axis=1)
    if not np.array_equal(matrix, np.where(inside, 1 / np.maximum(lengths, 1)[:, np.newaxis], 0)):
        return None
    (count, n), ends = matrix.shape, starts + lengths
    strides = {int(starts[-1] - starts[-2]), int(ends[1] - ends[0])} - {0} if count > 1 else {n}
    for pool in range(max(int(lengths.max()), 1), 2 * n + 1):
        for stride in (pool, *sorted(strides)):  # what Keras takes if none is given first
            found = windows(n, pool, stride, 1, padding)
            first = np.arange(count) * stride - found.before
            fits = np.array_equal(np.maximum(first, 0), starts) and np.array_equal(
                np.minimum(first + pool, n), ends
            )
            if found.output == count and fits and np.array_equal(matrix, means(n, pool, stride, padding)):
                return pool, stride
    return None


def factor_of(matrix: NDArray[Any]) -> int | None:
    """How much larger what `interpolation` gave makes an axis; None if it is another matrix."""
    count, n = matrix.shape
    return None if count % n or not np.array_equal(matrix, interpolation(n, count // n)) else count // n
