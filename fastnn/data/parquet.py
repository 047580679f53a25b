"""Columns of Parquet files, read by row groups."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..checks.hints import nearest
from .readers import BUFFER, Reader

_ARROW_FILES = (".arrow", ".feather", ".ipc")


class Parquet(Reader):
    """Columns of Parquet files by their names, read by row groups. It needs pyarrow, the extra `arrow`.

    Parameters
    ----------
    path : str, path, list of these, or pyarrow.dataset.Dataset
        A file, a folder of files, files in their order, or a dataset of Arrow's. A file of Arrow's own format
        (``.arrow``, ``.feather``) is one block, which must fit into memory.
    features : sequence of str, optional
        The columns of X; all others if not given. They are numbers or truth values; text where a layer such
        as `fn.OneHot` codes the column and is adapted, or was given its categories.
    target : str or sequence of str
        The columns of y.
    weight : str, optional
        The column of sample weights.
    batch_size : int
    shuffle : bool
        Whether row groups are read in a new random order each epoch, and `buffer_size` rows in row groups
        are shuffled together. The order follows from the seed and the number of the epoch.
    seed : int, optional
        That of the model if not given.
    buffer_size : int
        Least number of rows that are shuffled together; at least one row group is. Two such buffers are in
        memory.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    TypeError, ValueError
        If a column is not there or of another type, or a file is not whole; the message names it.
    OSError
        If there is no such file.
    """

    def __init__(
        self,
        path: Any,
        features: Sequence[str] | None = None,
        target: str | Sequence[str] = "y",
        *,
        weight: str | None = None,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        buffer_size: int = BUFFER,
    ) -> None:
        super().__init__(batch_size, shuffle, seed, buffer_size)
        self._targets = [target] if isinstance(target, str) else [str(name) for name in target]
        self._weight = weight
        dataset = _dataset(path)
        others = [*self._targets, *([] if weight is None else [weight])]
        if features is None:
            features = [name for name in dataset.schema.names if name not in others]
        if isinstance(features, str) or not all(isinstance(name, str) for name in features) or not features:
            raise TypeError(f"features must be a sequence of names of columns, got {features!r}")
        self.names = tuple(features)
        self._schema = dataset.schema
        self._blocks: list[Any] = []
        self._places: list[str] = []
        _check_schema(dataset.schema, self.names, others, "the dataset")
        for fragment in dataset.get_fragments():
            self._add(fragment, others)
        self.sizes = [rows for rows, _ in self._blocks]
        if not sum(self.sizes):
            raise ValueError(f"{path!r} has no rows")

    def _add(self, fragment: Any, others: list[str]) -> None:
        """Take the row groups of a file, once its columns are checked."""
        file = os.path.basename(fragment.path)
        try:
            inside = [name for name in self._schema.names if name in fragment.physical_schema.names]
            wanted = [name for name in (*self.names, *others) if name not in _partitions(fragment)]
            types = fragment.physical_schema
            parts = fragment.split_by_row_group() if hasattr(fragment, "row_groups") else [fragment]
            blocks = [
                (part.row_groups[0].num_rows if hasattr(part, "row_groups") else part.count_rows(), part)
                for part in parts
            ]
        except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
            raise ValueError(f"{fragment.path} cannot be read, it may be cut short: {error}") from error
        missing = [name for name in wanted if name not in inside]
        if missing:
            raise ValueError(f"{file} has no column {missing[0]!r}{nearest(missing[0], types.names)}")
        _check_schema(types, [n for n in self.names if n in wanted], [n for n in others if n in wanted], file)
        places = [f"{file}, row group {i}: " for i in range(len(blocks))]
        self._places += places if hasattr(fragment, "row_groups") else [f"{file}: "]
        self._blocks += blocks

    def read(self, blocks: list[int]) -> tuple[Any, Any, Any]:  # noqa: D102
        import pyarrow

        return self._split(pyarrow.concat_tables([self._table(i) for i in blocks]))

    def head(self, rows: int) -> tuple[Any, Any, Any]:  # noqa: D102
        return self._split(self._table(next(i for i, size in enumerate(self.sizes) if size), rows))

    def _table(self, block: int, rows: int | None = None) -> Any:
        """The columns of a block, or of its first rows, as a table of Arrow's."""
        weight = [] if self._weight is None else [self._weight]
        columns = list(dict.fromkeys([*self.names, *self._targets, *weight]))
        try:
            scanner = self._blocks[block][1].scanner(columns=columns, schema=self._schema)
            return scanner.to_table() if rows is None else scanner.head(rows)
        except (OSError, ValueError) as error:
            raise ValueError(f"{self._places[block]}cannot be read: {error}") from error

    def _split(self, table: Any) -> tuple[Any, Any, Any]:
        """Samples as a table of Arrow's, targets and weights as arrays."""
        import pyarrow

        X = table.select(list(self.names))
        for j, field in enumerate(X.schema):
            if pyarrow.types.is_dictionary(field.type):
                X = X.set_column(j, field.name, X.column(j).cast(field.type.value_type))
        targets = [table.column(name).to_numpy() for name in self._targets]
        y = targets[0] if len(targets) == 1 else np.column_stack(targets)
        return X, y, None if self._weight is None else table.column(self._weight).to_numpy()

    def describe(self, blocks: list[int]) -> str:  # noqa: D102
        more = f"and {len(blocks) - 1} more, " if len(blocks) > 1 else ""
        return more + self._places[blocks[0]]


def _dataset(path: Any) -> Any:
    """A dataset of Arrow's."""
    try:
        import pyarrow.dataset as arrow
    except ImportError as error:
        raise ImportError("Parquet files need pyarrow: python -m pip install pyarrow") from error
    if isinstance(path, arrow.Dataset):
        return path
    paths = [path] if isinstance(path, (str, os.PathLike)) else path
    if not isinstance(paths, (list, tuple)) or not paths:
        raise TypeError(f"path must be a path, a list of paths or a pyarrow.dataset.Dataset, got {path!r}")
    files = [os.fspath(one) for one in paths]
    kind = "ipc" if files[0].endswith(_ARROW_FILES) else "parquet"
    try:
        return arrow.dataset(files[0] if len(files) == 1 else files, format=kind, partitioning="hive")
    except ValueError as error:
        raise ValueError(f"{path} is no whole {kind} file, it may be cut short: {error}") from error


def _partitions(fragment: Any) -> set[str]:
    """Names of the columns that a file has from the folders it is in."""
    import pyarrow.dataset as arrow

    return set(arrow.get_partition_keys(fragment.partition_expression))


def _check_schema(schema: Any, features: Sequence[str], others: Sequence[str], file: str) -> None:
    """Raise an error if columns are not there, or hold what no model takes."""
    from pyarrow import types

    for name in (*features, *others):
        if name not in schema.names:
            raise ValueError(f"{file} has no column {name!r}{nearest(name, schema.names)}")
        kind = schema.field(name).type
        is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
        text = kind.value_type if types.is_dictionary(kind) else kind
        if is_number or (name in features and (types.is_string(text) or types.is_large_string(text))):
            continue
        what = "numbers or text" if name in features else "numbers"
        raise TypeError(f"column {name!r} of {file} must be {what}, got {kind}; convert it, or leave it out")
