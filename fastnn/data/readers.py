"""Readers of data that does not fit into memory: blocks of rows, in the order or shuffled in a buffer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import shown, validate

#: Rows that are shuffled together at least.
BUFFER = 1 << 16


class Reader:
    """Base of what `fit` reads block by block: `Parquet`, `Arrow` and `Rows`.

    Iterating over a reader yields batches, ``(X, y)`` or ``(X, y, sample_weight)``, in a new order each
    time if it shuffles.

    Parameters
    ----------
    batch_size : int
    shuffle : bool
    seed : int or None
    buffer_size : int
    """

    #: Names of the columns of X, if they have names.
    names: tuple[str, ...] = ()
    #: The columns of the targets and of the weights, for messages, if they have names.
    columns: Mapping[str, str] = {}
    #: The numbers of rows of the blocks.
    sizes: list[int]

    def __init__(self, batch_size: int, shuffle: bool, seed: int | None, buffer_size: int) -> None:
        self.batch_size = validate.integer("batch_size", batch_size, low=1)
        self.shuffle = validate.boolean("shuffle", shuffle)
        self.seed = None if seed is None else validate.seed("seed", seed)
        self.buffer_size = validate.integer("buffer_size", buffer_size, low=1)
        self._passes = 0

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return sum(self.sizes)

    def __len__(self) -> int:
        """Number of batches."""
        return math.ceil(self.n_samples / self.batch_size)

    def read(self, blocks: list[int]) -> tuple[Any, Any, Any]:
        """Samples, targets and weights or None of some blocks, in their order."""
        raise NotImplementedError

    def head(self, rows: int) -> tuple[Any, Any, Any]:
        """The same of the first rows, so many at most."""
        raise NotImplementedError

    def describe(self, blocks: list[int]) -> str:
        """What messages call these blocks."""
        raise NotImplementedError

    def groups(self, epoch: int, seed: int) -> list[list[int]]:
        """The blocks of an epoch, in groups whose rows are shuffled together.

        That is as many as have `buffer_size` rows; in random order if it shuffles.
        """
        numbers = np.arange(len(self.sizes))
        if self.shuffle:
            numbers = _generator(self.seed_of(seed), epoch, 0).permutation(numbers)
        groups: list[list[int]] = [[]]
        rows = 0
        for number in numbers.tolist():
            if rows >= self.buffer_size:
                groups.append([])
                rows = 0
            groups[-1].append(number)
            rows += self.sizes[number]
        return groups

    def order(self, epoch: int, seed: int, group: int, rows: int) -> NDArray[np.int64] | None:
        """The order of the rows of a group; None if it does not shuffle."""
        if not self.shuffle:
            return None
        return _generator(self.seed_of(seed), epoch, 1 + group).permutation(rows).astype(np.int64, copy=False)

    def seed_of(self, seed: int) -> int:
        """The seed of the order, if the model has this one."""
        return seed if self.seed is None else self.seed

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        epoch, self._passes = self._passes, self._passes + 1
        rest: list[Any] = []
        for k, blocks in enumerate(self.groups(epoch, 0)):
            arrays = [None if of is None else np.asarray(of) for of in self.read(blocks)]
            order = self.order(epoch, 0, k, len(arrays[0]))  # type: ignore[arg-type]
            own = [of if order is None else of[order] for of in arrays if of is not None]
            rest = [np.concatenate(pair) for pair in zip(rest, own, strict=True)] if rest else own
            whole = len(rest[0]) // self.batch_size * self.batch_size
            for start in range(0, whole, self.batch_size):
                yield tuple(of[start : start + self.batch_size] for of in rest)
            rest = [of[whole:] for of in rest]
        if len(rest[0]):
            yield tuple(rest)

    def __repr__(self) -> str:
        names = ("batch_size", "shuffle", "seed", "buffer_size")
        settings = shown.other(type(self), {name: getattr(self, name) for name in names})
        return shown.call(type(self).__name__, (), {"n_samples": self.n_samples, **settings})


def _generator(seed: int, epoch: int, part: int) -> np.random.RandomState:
    """Random numbers that follow from these, with the same bits in any version of NumPy."""
    return np.random.RandomState([seed & 0xFFFFFFFF, seed >> 32, epoch & 0xFFFFFFFF, part & 0xFFFFFFFF])
