"""Samples, targets and weights of a call."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from ..memory.buffers import address

if TYPE_CHECKING:
    from numpy.typing import NDArray


class _Arrays(NamedTuple):
    X: NDArray[Any]
    y: Any
    weight: NDArray[Any] | None


class DataSet(_Arrays):
    """Checked arrays, samples as rows, and their addresses, each of which takes a microsecond to find.

    Attributes
    ----------
    X : array of shape (n, n_in)
    y : array of shape (n, n_targets), or None
    weight : array of shape (n,) or (n, n_out), or None
    """

    @functools.cached_property
    def addresses(self) -> tuple[int, int, int]:
        """Of the three arrays; 0 for None."""
        return address(self.X), address(self.y), address(self.weight)
