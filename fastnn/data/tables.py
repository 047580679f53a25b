"""Tables, such as those of pandas and polars: each column has its own name and dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import objects

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_ROWS = 4096  # written at a time, so that a part of each column and of the result stays in the cache


def is_table(value: Any) -> bool:
    """Whether a value is a table: a DataFrame of pandas or polars, a Table of pyarrow, or similar."""
    if isinstance(value, (np.ndarray, list, tuple)):
        return False
    return (hasattr(value, "columns") or hasattr(value, "column_names")) and len(
        getattr(value, "shape", ())
    ) == 2


def column_names(value: Any) -> tuple[str, ...]:
    """Names of the columns of a table; empty for anything else, and unless all of them are strings."""
    if not is_table(value):
        return ()
    for attribute in ("columns", "column_names"):  # pyarrow's columns are the data
        names = getattr(value, attribute, None)
        if names is not None and len(names) == value.shape[1] and all(isinstance(n, str) for n in names):
            return tuple(map(str, names))
    return ()


def column(table: Any, j: int, with_nan: bool = False) -> NDArray[Any]:
    """A column as an array, with its own dtype; with NaN in place of missing values if asked for.

    Raises
    ------
    MissingError
        If a value of a nullable column is missing.
    """
    series: Any
    if hasattr(table, "iloc"):  # pandas
        series = table.iloc[:, j]
    elif hasattr(table, "to_series"):  # polars
        series = table.to_series(j)
    elif hasattr(table, "column"):  # pyarrow
        series = table.column(j)
    else:
        return np.asarray(table)[:, j]
    return values(series, with_nan)


def values(series: Any, with_nan: bool = False) -> NDArray[Any]:
    """The values of a series, with its own dtype; that of the numbers if it is nullable."""
    dtype = getattr(getattr(series, "dtype", None), "numpy_dtype", None)  # of pandas's own dtypes
    if not isinstance(dtype, np.dtype) or dtype.kind not in "biuf" or not hasattr(series, "isna"):
        return np.asarray(series)
    missing = np.flatnonzero(np.asarray(series.isna()))
    if missing.size and with_nan:
        return np.asarray(series.to_numpy(np.float64, na_value=np.nan))
    if missing.size:
        row = int(missing[0])
        raise MissingError(row, series.iloc[row] if hasattr(series, "iloc") else series[row])
    return np.asarray(series.to_numpy(dtype))


class MissingError(ValueError):
    """A value is missing in row `row`, which has `item` in its place."""

    def __init__(self, row: int, item: Any) -> None:
        super().__init__(row, item)
        self.row, self.item = row, item


def is_mixed(value: Any) -> bool:
    """Whether NumPy would convert a table's numbers to objects, or convert them twice."""
    if not is_table(value):
        return False
    kinds = getattr(value, "dtypes", None)
    kinds = set(kinds) if kinds is not None else set()
    return len(kinds) != 1 or not isinstance(next(iter(kinds)), np.dtype) or kinds == {np.dtype(object)}


def place(table: Any, row: int, j: int) -> str:
    """The place of a value: ``(5, 2)``, and the name of the column if the table has names."""
    names = column_names(table)
    return f"({row}, {j})" + (f", column {names[j]!r}" if names else "")


def to_array(
    name: str,
    table: Any,
    dtype: str,
    replaced: Mapping[int, NDArray[Any]] | None = None,
    missing: Sequence[int] = (),
) -> NDArray[Any]:
    """The numbers of a table, column by column, as a new C-contiguous array.

    Parameters
    ----------
    name : str
        Its name in messages.
    table
        One for which `is_table` is true.
    dtype : str
    replaced : dict of int to array, optional
        Replacements for some of the columns.
    missing : sequence of int
        The columns in which missing values become NaN.

    Raises
    ------
    TypeError, ValueError
        If a column holds anything but numbers that fit `dtype`; the message says where.
    """
    n, width = map(int, table.shape)
    columns = [
        replaced[j] if replaced and j in replaced else _numbers_of(name, table, j, j in missing)
        for j in range(width)
    ]
    try:
        result = np.empty((n, width), dtype)
    except (MemoryError, ValueError) as error:
        raise MemoryError(f"{name} of shape {(n, width)} does not fit into the memory as {dtype}") from error
    with np.errstate(over="ignore"):
        for start in range(0, n, _ROWS):
            part = slice(start, start + _ROWS)
            for j, own in enumerate(columns):
                result[part, j] = own[part]
    for j, own in enumerate(columns):
        if own.dtype.itemsize > result.itemsize and own.dtype.kind in "iuf":
            large = np.flatnonzero(np.isinf(result[:, j]) & np.isfinite(own))
            if large.size:
                row = int(large[0])
                raise ValueError(
                    f"{name} must be finite numbers of {dtype}, got {own[row]:g} at {place(table, row, j)}"
                )
    return result


def _numbers_of(name: str, table: Any, j: int, with_nan: bool) -> NDArray[Any]:
    """A column of a table, which must hold real numbers, or missing values if these become NaN."""
    try:
        own = column(table, j, with_nan)
    except MissingError as missing:
        item = missing.item
        raise TypeError(
            f"{name} must be numbers, got {item!r} ({type(item).__name__}) at {place(table, missing.row, j)}"
        ) from missing
    coders = f"fn.OneHot({j}) or fn.EntityEmbedding"
    of_text = f"; {coders} codes text, as the first layer" if name.endswith("X") else ""
    if own.dtype.kind == "O":
        own = objects.with_nan(own.reshape(-1, 1), [0]).reshape(-1) if with_nan else own
        what = f"{type(table).__name__} of objects"
        return objects.to_numbers(name, what, own, lambda at: place(table, at[0], j), of_text)
    if own.dtype.kind == "c":
        raise ValueError(f"{name} must be real, got dtype {own.dtype} in column {_called(table, j)}")
    if own.dtype.kind not in "buif":
        hint = of_text if own.dtype.kind in "UT" else ""
        raise TypeError(f"{name} must be numbers, got dtype {own.dtype} in column {_called(table, j)}{hint}")
    return own


def _called(table: Any, j: int) -> str:
    names = column_names(table)
    return repr(names[j]) if names else str(j)
