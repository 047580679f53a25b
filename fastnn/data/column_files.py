"""Columns of Parquet and Arrow files, read block by block."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ..checks.hints import nearest
from .file_blocks import Block, blocks_of, file_name, partition_columns
from .readers import BUFFER, Reader

# What the first bytes of a file say of its format.
_BEGINNINGS = {
    b"PAR1": ("parquet", "a Parquet file: use fn.data.Parquet"),
    b"ARRO": ("arrow", "an Arrow file: use fn.data.Arrow"),
    b"\xff\xff\xff\xff": (
        "",
        "a stream of Arrow's, which has no list of its batches: use pyarrow.ipc.new_file",
    ),
    b"FEA1": ("", "a Feather file of version 1: write one of version 2"),
}


class ColumnFiles(Reader):
    """Base of `Parquet` and `Arrow`."""

    #: As pyarrow calls the format of the files.
    format: ClassVar[str]

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
        dataset = _dataset(path, self.format)
        others = [*self._targets, *([] if weight is None else [weight])]
        if features is None:
            features = [name for name in dataset.schema.names if name not in others]
        if isinstance(features, str) or not all(isinstance(name, str) for name in features) or not features:
            raise TypeError(f"features must be a sequence of names of columns, got {features!r}")
        self.names = tuple(features)
        several = "s" if len(self._targets) > 1 else ""
        own = ", ".join(map(repr, self._targets))
        self.columns = {"y": f"column{several} {own}", "sample_weight": f"column {weight!r}"}
        self._schema = _decoded(dataset.schema)
        self._blocks: list[Block] = []
        _check_schema(dataset.schema, self.names, others, "the dataset")
        for fragment in dataset.get_fragments():
            self._add(fragment, others)
        self.sizes = [block.rows for block in self._blocks]
        if not sum(self.sizes):
            raise ValueError(f"{path!r} has no rows")

    def _add(self, fragment: Any, others: list[str]) -> None:
        """Take the blocks of a file, once its columns are checked."""
        file = file_name(fragment)
        try:
            types = fragment.physical_schema
            blocks = blocks_of(fragment)
        except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
            raise ValueError(f"{fragment.path} {_why_not(fragment.path, self.format)}: {error}") from error
        outside = partition_columns(fragment)
        features, others = ([n for n in names if n not in outside] for names in (self.names, others))
        _check_schema(types, features, others, file)
        self._schema = _common(self._schema, types, [*features, *others], file)
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
            return self._blocks[block].read(columns, self._schema, rows)
        except (OSError, ValueError) as error:
            raise ValueError(f"{self._blocks[block].place}cannot be read: {error}") from error

    def _split(self, table: Any) -> tuple[Any, Any, Any]:
        """Samples as a table of Arrow's, targets and weights as arrays."""
        targets = [table.column(name).to_numpy() for name in self._targets]
        y = targets[0] if len(targets) == 1 else np.column_stack(targets)
        weight = None if self._weight is None else table.column(self._weight).to_numpy()
        return table.select(list(self.names)), y, weight

    def describe(self, blocks: list[int]) -> str:  # noqa: D102
        more = f"and {len(blocks) - 1} more, " if len(blocks) > 1 else ""
        return more + self._blocks[blocks[0]].place


class Parquet(ColumnFiles):
    """Columns of Parquet files by their names, read by row groups. It needs pyarrow, the extra `arrow`.

    Parameters
    ----------
    path : str, path, list of these, or pyarrow.dataset.Dataset
        A file, a folder of files, files in their order, or a dataset of Arrow's.
    features : sequence of str, optional
        The columns of X; all others if not given. They are numbers or truth values; text where a layer such
        as `OneHot` codes the column.
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

    See Also
    --------
    Arrow : The same for files of Arrow's own format.
    """

    format = "parquet"


class Arrow(ColumnFiles):
    """Columns of Arrow files by their names, read by record batches. It needs pyarrow, the extra `arrow`.

    That is the format of ``.arrow`` and ``.feather`` files, of ``pyarrow.ipc.new_file``,
    ``polars.DataFrame.write_ipc`` and ``pandas.DataFrame.to_feather``.

    Parameters
    ----------
    path : str, path, list of these, or pyarrow.dataset.Dataset
        A file, a folder of files, files in their order, or a dataset of Arrow's.
    features, target, weight, batch_size, shuffle, seed, buffer_size
        See `Parquet`; what it says of row groups holds for record batches.

    Raises
    ------
    ImportError, TypeError, ValueError, OSError
        As of `Parquet`.
    """

    format = "arrow"


def _dataset(path: Any, kind: str) -> Any:
    """A dataset of Arrow's."""
    try:
        import pyarrow.dataset as arrow
    except ImportError as error:
        raise ImportError("Parquet and Arrow files need pyarrow: python -m pip install pyarrow") from error
    if isinstance(path, arrow.Dataset):
        return path
    paths = [path] if isinstance(path, (str, os.PathLike)) else path
    if not isinstance(paths, (list, tuple)) or not paths:
        raise TypeError(f"path must be a path, a list of paths or a pyarrow.dataset.Dataset, got {path!r}")
    files = [os.fspath(one) for one in paths]
    try:
        return arrow.dataset(files[0] if len(files) == 1 else files, format=kind, partitioning="hive")
    except ValueError as error:
        raise ValueError(f"{path} {_why_not(files[0], kind)}: {error}") from error


def _why_not(path: Any, kind: str) -> str:
    """Why a file cannot be read: by its first bytes it is another kind of file, or it is cut short."""
    try:
        with open(path, "rb") as file:
            found, what = _BEGINNINGS.get(file.read(4), (kind, ""))
    except (OSError, TypeError):  # a folder, say, or not on this machine
        found = kind
    return "cannot be read, it may be cut short" if found == kind else f"is {what}"


def _decoded(schema: Any) -> Any:
    """A schema with values in place of dictionaries of them, of which each block has its own."""
    import pyarrow

    kinds = [_value_type(field.type) for field in schema]
    return pyarrow.schema([field.with_type(kind) for field, kind in zip(schema, kinds, strict=True)])


def _common(schema: Any, other: Any, columns: Sequence[str], file: str) -> Any:
    """A schema whose columns hold the values of both: some of them are in another file too.

    A TypeError if a column is numbers in one of them and text or truth values in the other.
    """
    import pyarrow

    schema, other = schema.remove_metadata(), _decoded(other).remove_metadata()
    for name in columns:
        given, own = schema.field(name).type, other.field(name).type
        if _is_number(given) != _is_number(own) or pyarrow.types.is_boolean(
            given
        ) != pyarrow.types.is_boolean(own):
            raise TypeError(f"column {name!r} of {file} must be {given}, as in the files before, got {own}")
        if given == own:
            continue
        both = [pyarrow.schema([pyarrow.field(name, kind)]) for kind in (given, own)]
        field = pyarrow.unify_schemas(both, promote_options="permissive").field(0)
        schema = schema.set(schema.get_field_index(name), field)
    return schema


def _value_type(kind: Any) -> Any:
    """The type of a column's values, however they are stored: text of any kind as a string."""
    import pyarrow
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return pyarrow.string() if is_text else kind


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _check_schema(schema: Any, features: Sequence[str], others: Sequence[str], file: str) -> None:
    """Raise an error if columns are not there, or hold what no model takes."""
    from pyarrow import types

    for name in (*features, *others):
        if name not in schema.names:
            raise ValueError(f"{file} has no column {name!r}{nearest(name, schema.names)}")
        kind = _value_type(schema.field(name).type)
        if _is_number(kind) or (name in features and types.is_string(kind)):
            continue
        what = "numbers or text" if name in features else "numbers"
        raise TypeError(f"column {name!r} of {file} must be {what}, got {kind}; convert it, or leave it out")
