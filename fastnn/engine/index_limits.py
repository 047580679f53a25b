"""Numbers of the samples that are indices, as `Embedding` takes them: which, and how large they may be.

An index must be a number of the samples themselves, perhaps selected or reshaped. So it can be checked before
anything is computed, wherever samples come in.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..data import array_checks
from . import scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .ops import Shape

    #: For each number of a tensor, which number of a sample it is, -1 if it is computed; None if all are.
    Origins = NDArray[np.int64] | None


class Layer(Protocol):
    """What this module needs of a layer."""

    @property
    def takes_indices(self) -> bool: ...  # noqa: D102
    def trace(self, origins: Origins, limits: IndexLimits) -> Origins: ...  # noqa: D102


class IndexLimits:
    """What the indices among the numbers of a sample must be less than.

    Parameters
    ----------
    shape : tuple of int
        Of a sample.

    Attributes
    ----------
    values : float64 array of shape (numbers of a sample,)
        NaN for what is not an index.
    """

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self.values = np.full(math.prod(shape), np.nan)
        self._labels: dict[int, str] = {}

    def require(self, origins: Origins, limit: int, label: str) -> None:
        """Let numbers of the samples be indices less than `limit`, of the layer that messages call `label`.

        Raises
        ------
        ValueError
            If one of them is computed by layers before.
        """
        if origins is None or (origins < 0).any():
            raise ValueError(
                f"{label}: its input must be integers of the samples themselves, and layers before it change "
                "them; put it first, or behind fn.Select, fn.Flatten or fn.Reshape"
            )
        for place in origins.reshape(-1).tolist():
            if not limit >= self.values[place]:
                self.values[place], self._labels[place] = limit, label

    def check(self, X: NDArray[Any], dtype: str, name: str, table: Any = None) -> None:
        """Raise a ValueError if an index in checked samples, as rows, is not what its layer takes."""
        values = self.values.astype(dtype)
        for part in array_checks.blocks(X):
            block = np.ascontiguousarray(X[part], dtype)
            if not scan.are_indices(block, values):
                right = (block >= 0) & (block < values) & (block == np.floor(block))
                row, j = np.argwhere(~right & ~np.isnan(values))[0].tolist()
                at = (part.start + row, *map(int, np.unravel_index(j, self._shape)))
                raise ValueError(
                    f"{name} must hold integers 0 ... {int(values[j]) - 1} where {self._labels[j]} takes "
                    f"them, got {block[row, j]:.9g} at {array_checks.place_of(at, table)}"
                )


def index_limits(layers: Sequence[Layer], shape: Shape) -> IndexLimits | None:
    """The limits of layers in a row for samples of a shape; None if none of them takes indices.

    Raises
    ------
    ValueError
        If a layer that takes them is given what other layers compute.
    """
    if not any(layer.takes_indices for layer in layers):
        return None
    limits, origins = IndexLimits(shape), np.arange(math.prod(shape)).reshape(shape)
    found: Origins = origins
    for layer in layers:
        found = layer.trace(found, limits)
    return limits
