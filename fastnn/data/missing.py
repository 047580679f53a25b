"""Missing values: of targets, where the loss ignores them, and of samples, where a layer replaces them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from . import array_checks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..losses import Loss


class Layer(Protocol):
    """What this module needs of any layer."""

    takes_missing: bool

    def missing_columns(self, n_in: int) -> list[int]:
        """Indices of the columns in which it takes NaN."""


def columns(layers: Sequence[Layer], shape: tuple[int, ...]) -> list[int]:
    """Columns of samples of a shape, as rows of numbers, in which the first layers take NaN."""
    *places, n_in = shape
    found: set[int] = set()
    for layer in layers:
        if not layer.takes_missing or n_in == 0:
            break
        found.update(layer.missing_columns(n_in))
    if not found:
        return []
    own = sorted(found)
    return [start + j for start in range(0, math.prod(places) * n_in, n_in) for j in own]


def filled(y: Any, loss: Loss, dtype: str, name: str = "y") -> tuple[Any, NDArray[Any] | None]:
    """Targets with 0 in place of missing ones, and weights of 0 for those and of 1 for all others.

    Returns
    -------
    y
        Unchanged if none is missing, or if the loss does not ignore them.
    present : array of shape (n,), or (n, n_out) where outputs can be missing one by one; or None
        In `dtype`; None if none is missing.
    """
    if loss.missing_targets != "ignore":
        return y, None
    values = array_checks.array(name, y, dtype, (1, 2))
    missing = np.isnan(values)
    if not missing.any():
        return values, None
    present = ~missing.reshape(len(values), -1)
    if loss.target == "classes" or loss.rowwise or present.shape[1] == 1:
        present = present.all(axis=1)
    if not present.any():
        raise ValueError(f"{name} is missing (NaN) in all {len(values)} samples")
    return np.where(missing, values.dtype.type(0), values), present.astype(dtype)


def marked(
    y: NDArray[Any], prediction: NDArray[Any], weight: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Targets, predictions and weights of the rows that have a target; missing ones in these are NaN."""
    there = weight.reshape(len(weight), -1) > 0
    rows = there.any(axis=1)
    y, prediction, weight, there = y[rows], prediction[rows], weight[rows], there[rows]
    return y if weight.ndim == 1 else np.where(there, y, y.dtype.type(np.nan)), prediction, weight
