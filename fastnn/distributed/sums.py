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
