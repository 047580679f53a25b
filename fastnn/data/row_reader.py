"""Rows of arrays that lie in files, read block by block."""

from __future__ import annotations

from typing import Any

import numpy as np

from .readers import BUFFER, Reader
from .row_sources import concatenated, rows_of


class Rows(Reader):
    """Samples and targets that do not fit into memory, read block by block.

    Parameters
    ----------
    X : array of shape (n, ...) or table
        A dataset of h5py or zarr, a DataArray of xarray, an array or DataFrame of Dask, a LazyFrame of
        polars, or anything of this shape in memory.
    y : array of shape (n,) or (n, n_out)
        Of the same kinds, not necessarily the same as X.
    sample_weight : array of shape (n,), optional
    batch_size : int
    shuffle : bool
        Whether blocks are read in a new random order each epoch, and the rows of `buffer_size` rows in
        blocks are shuffled together. The order follows from the seed and the number of the epoch.
    seed : int, optional
        That of the model if not given.
    buffer_size : int
        Least number of rows that are shuffled together. Two such buffers are in memory.

    Raises
    ------
    ValueError
        If they have different numbers of rows, or none.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> X = np.arange(12.0).reshape(6, 2)
    >>> rows = fn.data.Rows(X, X[:, 0], batch_size=4, shuffle=False)
    >>> [len(x) for x, y in rows]
    [4, 2]
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        buffer_size: int = BUFFER,
    ) -> None:
        super().__init__(batch_size, shuffle, seed, buffer_size)
        self._X, self._y = rows_of(X), rows_of(y)
        self._weight = None if sample_weight is None else rows_of(sample_weight)
        n = self._X.n
        for name, of in (("y", self._y), ("sample_weight", self._weight)):
            if of is not None and of.n != n:
                raise ValueError(f"{name} must have {n} rows, as X, got {of.n}")
        if n == 0:
            raise ValueError("X must not be empty, got no rows")
        self.names = self._X.names
        self.sizes = self._X.sizes()
        self._starts = np.cumsum([0, *self.sizes]).tolist()

    def read(self, blocks: list[int]) -> tuple[Any, Any, Any]:  # noqa: D102
        parts: list[tuple[int, int]] = []
        for i in blocks:
            start, end = self._starts[i], self._starts[i + 1]
            if parts and parts[-1][1] == start:
                parts[-1] = parts[-1][0], end
            else:
                parts.append((start, end))
        return self._rows(parts)

    def head(self, rows: int) -> tuple[Any, Any, Any]:  # noqa: D102
        return self._rows([(0, min(rows, self._X.n))])

    def _rows(self, parts: list[tuple[int, int]]) -> tuple[Any, Any, Any]:
        X, y, weight = (
            None if of is None else concatenated([of.read(start, end) for start, end in parts])
            for of in (self._X, self._y, self._weight)
        )
        return X, y, weight

    def describe(self, blocks: list[int]) -> str:  # noqa: D102
        first, last = self._starts[blocks[0]], self._starts[blocks[0] + 1] - 1
        return f"rows from {first} to {last}{' and others' if len(blocks) > 1 else ''}: "
