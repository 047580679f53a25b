"""Which rows of a process are in which batch of an epoch."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]


def equal_sizes(n: int, count: int) -> list[int]:
    """How many of n rows are in each of so many parts, which are equal as nearly as whole rows allow."""
    return [(i + 1) * n // count - i * n // count for i in range(count)]


class Batches:
    """The batches of several processes.

    The rows of all, one process after the other, are the data set. An epoch goes through an order of these
    rows, in batches; a process has those of its own rows that are in a batch.

    Parameters
    ----------
    sizes : sequence of int
        How many rows each process has.
    rank : int
        The number of this process.
    batch_size : int
        Rows of a batch, of all processes.
    """

    def __init__(self, sizes: Sequence[int], rank: int, batch_size: int) -> None:
        ends = [0, *itertools.accumulate(sizes)]
        self.sizes, self.n, self.batch_size = sizes, ends[-1], batch_size
        self._first, self._end = ends[rank], ends[rank + 1]
        self._edges = np.minimum(np.arange(-(-self.n // batch_size) + 1) * batch_size, self.n)

    def rows(self) -> Numbers:
        """Rows of each batch, of all processes."""
        return np.diff(self._edges)

    def own(self, order: Numbers) -> tuple[Numbers, Numbers]:
        """Rows of this process in an order of all, and where those of each batch begin, and the last end."""
        places = np.flatnonzero((order >= self._first) & (order < self._end))
        return order[places] - self._first, np.searchsorted(places, self._edges)

    def in_turn(self) -> Numbers:
        """Where this process's rows of each batch begin, if none are shuffled.

        Each process goes through its rows from the first to the last, and has the same part of each batch,
        as nearly as whole rows allow.
        """
        if len(self._edges) == 2 or len(self.sizes) == 1:
            return np.minimum(self._edges, self._end - self._first)
        places = np.concatenate([(np.arange(size) + 0.5) / size for size in self.sizes])
        return self.own(np.argsort(places, kind="stable"))[1]
