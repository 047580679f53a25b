"""Blocks of files that pyarrow reads: row groups of Parquet files, record batches of Arrow files."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple


class Block(NamedTuple):
    """Some rows of a file.

    Attributes
    ----------
    rows : int
    place : str
        What messages about it begin with.
    read : callable
        Given names of columns, a schema that has them, and None or a number of rows, returns the columns of
        all rows or of the first, as a table of Arrow's.
    """

    rows: int
    place: str
    read: Callable[[Sequence[str], Any, int | None], Any]


def blocks_of(fragment: Any) -> list[Block]:
    """The blocks of a file of a dataset, in their order."""
    kind = fragment.format.default_extname if hasattr(fragment, "format") else ""
    return _BLOCKS.get(kind, _whole_file)(fragment)


def partition_columns(fragment: Any) -> dict[str, Any]:
    """The columns that a file has from the names of the folders it is in, and their values."""
    from pyarrow import dataset

    found: dict[str, Any] = dataset.get_partition_keys(fragment.partition_expression)
    return found


def _row_groups(fragment: Any) -> list[Block]:
    parts = enumerate(fragment.split_by_row_group())
    return [_scanned(part, part.row_groups[0].num_rows, f", row group {i}") for i, part in parts]


def _whole_file(fragment: Any) -> list[Block]:
    return [_scanned(fragment, fragment.count_rows(), "")]


def file_name(fragment: Any) -> str:
    """What messages call a part of a dataset."""
    return os.path.basename(getattr(fragment, "path", "a table in memory"))


def _scanned(part: Any, n: int, what: str) -> Block:
    return Block(n, f"{file_name(part)}{what}: ", functools.partial(_scan, part))


def _scan(part: Any, columns: Sequence[str], schema: Any, rows: int | None) -> Any:
    scanner = part.scanner(columns=list(columns), schema=schema)
    return scanner.to_table() if rows is None else scanner.head(rows)


def _record_batches(fragment: Any) -> list[Block]:
    """A file's footer says where its batches are; how long each is, it says itself."""
    if not len(fragment.physical_schema):
        return []
    with _opened(fragment, fragment.physical_schema.names[:1]) as file:
        sizes = [file.get_batch(i).num_rows for i in range(file.num_record_batches)]
    return [_record_batch(fragment, i, n) for i, n in enumerate(sizes)]


def _record_batch(fragment: Any, i: int, n: int) -> Block:
    return Block(n, f"{file_name(fragment)}, record batch {i}: ", functools.partial(_read_batch, fragment, i))


def _read_batch(fragment: Any, i: int, columns: Sequence[str], schema: Any, rows: int | None) -> Any:
    import pyarrow

    outside = partition_columns(fragment)
    with _opened(fragment, [name for name in columns if name not in outside]) as file:
        table = pyarrow.Table.from_batches([file.get_batch(i)]).slice(0, rows)
    for name in columns:
        if name in outside:
            value = pyarrow.scalar(outside[name], schema.field(name).type)
            table = table.append_column(name, pyarrow.repeat(value, len(table)))
    return table.select(list(columns)).cast(pyarrow.schema([schema.field(name) for name in columns]))


@contextlib.contextmanager
def _opened(fragment: Any, columns: Sequence[str]) -> Iterator[Any]:
    """A file of Arrow's, of which some columns are read."""
    from pyarrow import ipc

    names = fragment.physical_schema.names
    options = ipc.IpcReadOptions(included_fields=[names.index(name) for name in columns])
    with fragment.open() as source:
        yield ipc.open_file(source, options=options)


_BLOCKS: dict[str, Callable[[Any], list[Block]]] = {
    "parquet": _row_groups,
    "arrow": _record_batches,
    "feather": _record_batches,
}
