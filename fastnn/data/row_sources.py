"""Arrays and tables of other libraries that lie in files: their rows, a part at a time."""

from __future__ import annotations

import itertools
import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from .tables import column_names, is_table

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCK = 1 << 18  # bytes of a block of an array, about
#: What takes less memory is read at once.
SMALL = 1 << 26


# What holds several arrays.
_GROUPS = {"h5py": ("File", "Group"), "xarray": ("Dataset",), "zarr": ("Group",)}


class RowSource:
    """The rows of an array in memory or in a file, or of a table in memory.

    Attributes
    ----------
    n : int
        Number of rows.
    shape : tuple of int
        Of a row.
    names : tuple of str
        Of the columns of a table.
    """

    def __init__(self, value: Any) -> None:
        self.value = value.iloc if hasattr(value, "iloc") else value
        sizes = tuple(value.shape) if hasattr(value, "shape") else np.shape(value)
        if not sizes:
            raise TypeError(f"an array or a table with rows is needed, got {type(value).__name__}")
        self.n, self.shape, self.names = int(sizes[0]), tuple(map(int, sizes[1:])), column_names(value)
        self.itemsize = getattr(getattr(value, "dtype", None), "itemsize", 8)
        chunks = getattr(value, "chunks", None)
        self.chunk = chunks[0] if chunks and isinstance(chunks[0], int) else 1

    def sizes(self) -> list[int]:
        """The numbers of rows of blocks that are read well: whole chunks of a file."""
        rows = max(1, _BLOCK // max(1, math.prod(self.shape) * self.itemsize))
        rows = math.ceil(rows / self.chunk) * self.chunk
        return [min(rows, self.n - start) for start in range(0, self.n, rows)]

    def read(self, start: int, end: int) -> Any:
        """Rows from one to another, as an array or a table in memory."""
        part = self.value[start:end]
        return part if is_table(part) or isinstance(part, np.ndarray) else np.asarray(part)


class _DaskArray(RowSource):
    def __init__(self, value: Any) -> None:
        if math.isnan(sum(value.shape)):
            raise ValueError("a Dask array must know its size; call its method compute_chunk_sizes() first")
        super().__init__(value)

    def sizes(self) -> list[int]:
        return [int(rows) for rows in self.value.chunks[0]]


class _DaskFrame(RowSource):
    def __init__(self, value: Any) -> None:
        self.value = value
        self._sizes = [int(rows) for rows in value.map_partitions(len).compute()]
        self._ends = list(itertools.accumulate(self._sizes))
        self.names = tuple(value.columns) if value.ndim == 2 else ()
        self.n, self.shape = self._ends[-1], (len(self.names),) if value.ndim == 2 else ()

    def sizes(self) -> list[int]:
        return self._sizes

    def read(self, start: int, end: int) -> Any:
        parts = []
        for i, (rows, last) in enumerate(zip(self._sizes, self._ends, strict=True)):
            first = last - rows
            if first < end and last > start:
                part = self.value.get_partition(i).compute()
                parts.append(part.iloc[max(0, start - first) : end - first])
        return concatenated(parts)


class _LazyFrame(RowSource):
    def __init__(self, value: Any) -> None:
        self.value, self.itemsize, self.chunk = value, 8, 1
        self.names = tuple(value.collect_schema().names())
        self.n = int(value.select(sys.modules["polars"].len()).collect().item())
        self.shape = (len(self.names),)

    def read(self, start: int, end: int) -> Any:
        return self.value.slice(start, end - start).collect()


def stored(value: Any) -> type[RowSource] | None:
    """What reads the rows of what lies in a file, or is computed part by part; None for anything else.

    Raises
    ------
    TypeError, ValueError
        If it is a group of arrays, or its file is closed.
    """
    kind = type(value)
    library, name = kind.__module__.partition(".")[0], kind.__name__
    if name in _GROUPS.get(library, ()):
        raise TypeError(f"a {name} of {library} holds several arrays; give one of them")
    if library == "h5py" and not value:
        raise ValueError(f"a {name} of h5py is of a file that is closed")
    if library == "dask":
        return _DaskFrame if hasattr(value, "get_partition") else _DaskArray
    if library == "polars":
        return _LazyFrame if name == "LazyFrame" else None
    return RowSource if library in ("h5py", "zarr", "xarray") and hasattr(value, "shape") else None


def is_large(value: Any) -> bool:
    """Whether a value lies in a file, or is computed, and takes much memory as a whole."""
    kind = stored(value)
    if kind is None or kind in (_DaskFrame, _LazyFrame):
        return kind is not None
    return math.prod(value.shape) * value.dtype.itemsize > SMALL or kind is _DaskArray


def rows_of(value: Any) -> RowSource:
    """The rows of any array or table."""
    return (stored(value) or RowSource)(value)


def concatenated(parts: Sequence[Any]) -> Any:
    """Parts of one array or table, one behind the other."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return sys.modules[type(parts[0]).__module__.partition(".")[0]].concat(parts)
