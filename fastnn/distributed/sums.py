"""Sums of loss and metrics over the rows of several processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..metrics import Metric

    Sums = NDArray[np.float64]

_BEFORE = 3  # loss, weight and penalty: see `launch.sums`


def join(found: Sums, metrics: Sequence[Metric]) -> Sums:
    """The sums of all ranks, of what `launch.sums` gave on each: a row a rank, added up in their order."""
    total: Sums = found[0].copy()
    outputs = _outputs(metrics, total.size)
    for own in found[1:]:
        at = _BEFORE
        total[:at] += own[:at]
        for metric in metrics:
            end = at + metric.state_size(outputs)
            (_join_moments if metric.per_output else _add)(total[at:end], own[at:end])
            at = end
    return total


def join_pairwise(found: Sums, metrics: Sequence[Metric]) -> Sums:
    """The same, joined as `add_pairwise` adds up."""
    while len(found) > 1:
        found = np.stack([join(found[i : i + 2], metrics) for i in range(0, len(found), 2)])
    total: Sums = found[0].copy()
    return total


def add_in_order(rows: NDArray[Any], total: NDArray[Any]) -> None:
    """Write the sum of at least two rows, added up from the first to the last, into `total`."""
    np.add(rows[0], rows[1], out=total)
    for row in rows[2:]:
        np.add(total, row, out=total)


def add_pairwise(rows: NDArray[Any], total: NDArray[Any]) -> None:
    """Write the sum of 2, 4, 8 ... rows into `total`: of neighbours, then of these sums; overwrites rows."""
    step, half = 1, len(rows) // 2
    while step < half:
        for i in range(0, len(rows), 2 * step):
            np.add(rows[i], rows[i + step], out=rows[i])
        step *= 2
    np.add(rows[0], rows[half], out=total)


def pairwise_sum(rows: NDArray[Any]) -> NDArray[Any]:
    """The sum of 1, 2, 4, 8 ... rows, as a new array."""
    rows = rows.copy()
    if len(rows) > 1:
        add_pairwise(rows, rows[0])
    total: NDArray[Any] = rows[0]
    return total


class Tree:
    """Adds up 1, 2, 4, 8 ... vectors, of which there is one at a time, as `add_pairwise` does.

    Parameters
    ----------
    count : int
        How many vectors.
    size : int
        Of a vector.
    dtype : dtype
    """

    def __init__(self, count: int, size: int, dtype: Any) -> None:
        self._sums = np.zeros((count.bit_length() - 1, size), dtype)

    def add(self, i: int, vector: NDArray[Any]) -> None:
        """Add vector number `i`, in whose memory sums are made; behind the last one it is the sum of all."""
        for kept in self._sums:
            if not i & 1:
                kept[...] = vector
                return
            np.add(kept, vector, out=vector)
            i >>= 1


def _outputs(metrics: Sequence[Metric], size: int) -> int:
    """How many outputs the metrics' states are for."""
    common = sum(metric.sums for metric in metrics if not metric.per_output)
    each = sum(metric.sums for metric in metrics if metric.per_output)
    return (size - _BEFORE - common) // each if each else 1


def _add(total: Sums, own: Sums) -> None:
    total += own


def _join_moments(total: Sums, own: Sums) -> None:
    """Join the states of `r2`: of each output the weight, mean, squares about the mean, and squared errors.

    T. Chan, G. Golub, R. LeVeque, *Algorithms for computing the sample variance*, The American
    Statistician 37 (1983).
    """
    a, b = total.reshape(-1, 4), own.reshape(-1, 4)
    weight = a[:, 0] + b[:, 0]
    share = b[:, 0] / np.where(weight > 0, weight, 1)
    distance = b[:, 1] - a[:, 1]
    a[:, 2] += b[:, 2] + distance * distance * a[:, 0] * share
    a[:, 1] += distance * share
    a[:, 0], a[:, 3] = weight, a[:, 3] + b[:, 3]


def class_counts(classes: Sequence[Any]) -> Any:
    """Sum of the counts of each class on all ranks, of any number of classes each."""
    counts = np.zeros(max(map(len, classes)), np.int64)
    for own in classes:
        counts[: len(own)] += own
    return counts
