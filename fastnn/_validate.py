"""User's settings and arrays -> checked ones, or an error that shows what was given.

All checking is done here, before any kernel runs: kernels check nothing. It is the one place that
converts or copies a user's array.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .buffers import dtype_name
from .checks import hints, objects, tables
from .checks.categories import as_labels, fit, plain

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from .losses import Loss

_BLOCK = 1 << 20  # numbers that are looked at between two chances for Ctrl-C
# What a mapped file may hold to be used where it lies: see `kernels.batch`.
_INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_CONVERTED = {"bool", "float32", "float64"} | _INTEGERS


def number(
    name: str,
    value: Any,
    *,
    low: float = -math.inf,
    above: float = -math.inf,
    high: float = math.inf,
    below: float = math.inf,
) -> float:
    """A finite float with ``low <= value <= high`` and ``above < value < below``."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (numbers.Real, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {value!r}{hints.not_called(value)}")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise ValueError(f"{name} must be finite, got {value!r}")
    if result < low or result > high or result <= above or result >= below:
        wanted = [f">= {low:g}"] if low > -math.inf else []
        wanted += [f"> {above:g}"] if above > -math.inf else []
        wanted += [f"<= {high:g}"] if high < math.inf else []
        wanted += [f"< {below:g}"] if below < math.inf else []
        raise ValueError(f"{name} must be {' and '.join(wanted)}, got {value!r}")
    return result


def integer(name: str, value: Any, *, low: int | None = None) -> int:
    """An int of at least `low`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (numbers.Integral, np.integer)):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if low is not None and value < low:
        raise ValueError(f"{name} must be >= {low}, got {value!r}")
    return int(value)


def boolean(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def dtype(value: Any) -> str:
    """Name of one of the two dtypes."""
    try:
        name = str(np.dtype(value).name)
    except TypeError:
        name = ""
    if value is None or name not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {value!r}")
    return name


def from_table(what: str, value: Any, table: Mapping[str, Any], kind: type) -> Any:
    """A `kind`, out of itself, its name in `table`, or its configuration ``{"name": ..., settings}``.

    The table's values are things of that kind, or functions of the settings that make one.
    """
    if isinstance(value, kind):
        return value
    settings: dict[str, Any] = {}
    if isinstance(value, dict) and "name" in value:
        settings = {key: item for key, item in value.items() if key != "name"}
        value = value["name"]
    own = what in ("activation", "loss", "schedule")
    if not isinstance(value, str):
        hint = f"; fn.{what} makes one of a function" if own and callable(value) else ""
        if value in table.values() or (isinstance(value, type) and issubclass(value, kind)):
            hint = hints.not_called(value)
        raise TypeError(f"{what} must be a name or a {kind.__module__}.{kind.__name__}, got {value!r}{hint}")
    if value not in table:
        hint = f"; one of your own must be made by fn.{what} before it is used or loaded" if own else ""
        near = hints.nearest(value, table)
        raise ValueError(f"unknown {what} {value!r}{near}; known are {', '.join(sorted(table))}{hint}")
    entry = table[value]
    if isinstance(entry, kind):
        return entry
    try:
        return entry(**settings)
    except TypeError as error:
        raise ValueError(f"{what} {value!r} does not take the settings {settings!r}: {error}") from error


def columns(value: Any) -> tuple[int, ...] | None:
    """Numbers of columns, none of which stands there twice; None for all."""
    if value is None:
        return None
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, (Iterable, numbers.Integral)):
        raise TypeError(f"columns must be an integer or a sequence of integers, got {value!r}")
    result = tuple(integer("a column", i) for i in (value if isinstance(value, Iterable) else (value,)))
    if not result:
        raise ValueError("columns must not be empty; leave it out for all columns")
    if len(set(result)) < len(result):
        raise ValueError(f"columns must differ from each other, got {value!r}")
    return result


def column_numbers(chosen: tuple[int, ...] | None, n_in: int) -> list[int]:
    """Checked columns of an input of `n_in`, counted from 0."""
    if chosen is None:
        return list(range(n_in))
    outside = [i for i in chosen if not -n_in <= i < n_in]
    if outside:
        raise ValueError(f"column {outside[0]} is not among the {n_in} columns of the input")
    result = [i % n_in for i in chosen]
    if len(set(result)) < len(result):
        raise ValueError(f"columns {list(chosen)} name one of the {n_in} columns of the input twice")
    return result


def categories(value: Any) -> list[NDArray[Any]]:
    """The categories of each of some columns, as given: numbers, or labels (see `checks.categories`)."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise TypeError(f"categories must be 'auto' or a sequence of sequences, got {value!r}")
    result = [_categories_of_a_column("the categories of a column", of) for of in value]
    if not result:
        raise ValueError("categories must not be empty")
    return result


def _categories_of_a_column(name: str, value: Any) -> NDArray[Any]:
    given = as_array(name, value)
    if given.dtype.kind in "UT" and not isinstance(value, np.ndarray):
        given = np.array(value, dtype=object)  # not all of them need be text
    if given.dtype.kind == "O" and given.ndim == 0:
        raise TypeError(f"{name} must be integers or text, got {type(value).__name__} of objects")
    if given.ndim != 1 or given.size == 0:
        what = "have 1 dimensions" if given.ndim != 1 else "not be empty"
        raise ValueError(f"{name} must {what}, got shape {given.shape}")
    own, odd = plain(name, given, str)
    if odd.any():
        raise ValueError(f"{name} must be integers or text, got {given[odd][0]:g}")
    return own.astype(np.float64) if fit(own) else as_labels(own.tolist())


def blocks(values: NDArray[Any]) -> list[slice]:
    """Slices of an array's rows, each of about a million numbers."""
    rows = max(_BLOCK // max(values[:1].size, 1), 1)
    return [slice(start, start + rows) for start in range(0, len(values), rows)]


def array(
    name: str, value: Any, dtype: str, ndim: tuple[int, ...], *, keep_mapped: bool = False
) -> NDArray[Any]:
    """A C-contiguous array of `dtype` with one of the numbers of dimensions `ndim`.

    The user's own memory if it is like that already, so that nothing is copied. With `keep_mapped` the
    result has another dtype if `value` is a C-contiguous `numpy.memmap` of one: converting it would
    load all of it.
    """
    if (
        isinstance(value, np.ndarray)
        and not isinstance(value, np.ma.MaskedArray)
        and value.flags.c_contiguous
        and value.flags.aligned
        and (value.dtype == dtype or (keep_mapped and _is_mapped(value)))
    ):
        result = np.asarray(value)
        result = result.view(np.uint8) if result.dtype == bool else result
    else:
        result = _converted(name, value, dtype)
    if result.ndim not in ndim:
        dims = " or ".join(str(n) for n in ndim)
        hint = hints.other_shape(name, value, result.shape) if 2 in ndim else ""
        raise ValueError(f"{name} must have {dims} dimensions, got shape {result.shape}{hint}")
    return result


def place_of(index: tuple[int, ...], table: Any = None) -> str:
    """Where a number stands, in words: its index, and the name of its column if `table` has names."""
    if len(index) == 2 and table is not None:
        return tables.place(table, *index)
    at = tuple(map(int, index))
    return str(at if len(at) != 1 else at[0])


def _converted(name: str, value: Any, dtype: str) -> NDArray[Any]:
    if tables.is_mixed(value):
        return tables.to_array(name, value, dtype)
    given = as_array(name, value)
    if given.dtype.kind == "c":
        raise ValueError(f"{name} must be real, got dtype {given.dtype}")
    if given.dtype.kind == "O":
        given = objects.to_numbers(name, f"{type(value).__name__} of objects", given, place_of)
    if given.dtype.kind not in "buif":
        raise TypeError(f"{name} must be numbers, got dtype {given.dtype}")
    try:
        with np.errstate(over="ignore"):  # too large for float32 is found as an infinity
            result = np.require(given, dtype, ["C", "A"])
    except (MemoryError, ValueError) as error:
        what = f"{name} of shape {given.shape} and dtype {given.dtype}"
        raise MemoryError(f"{what} does not fit into the memory as {dtype}") from error
    if given.dtype.itemsize > result.itemsize:
        large = np.isinf(result) & np.isfinite(given)
        if large.any():
            at = tuple(np.argwhere(large)[0])
            place = place_of(at, value)
            raise ValueError(f"{name} must be finite numbers of {dtype}, got {given[at]:g} at {place}")
    return result


def as_array(name: str, value: Any) -> NDArray[Any]:
    """An array of any dtype, unless NumPy would read something as numbers that is none."""
    if value is None:
        raise TypeError(f"{name} must be an array of numbers, got None")
    if isinstance(value, (str, bytes, bytearray)):
        raise TypeError(f"{name} must be numbers, got {type(value).__name__}")
    if reason := hints.array_of(name, value):
        raise TypeError(reason)
    parts = value if isinstance(value, (list, tuple)) else (value,)
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        raise TypeError(f"{name} must not be a masked array; fill or drop the masked values")
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # of other libraries' tensors, say
        raise ValueError(f"{name} cannot be converted to an array: {error}") from error


def _is_mapped(value: NDArray[Any]) -> bool:
    """Whether an array lies in a file, and its numbers are of a kind that the compiled loop converts."""
    if not value.dtype.isnative or dtype_name(value.dtype) not in _CONVERTED:
        return False
    base: Any = value
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    return isinstance(base, np.memmap)


def finite(name: str, values: NDArray[Any], dtype: str = "", table: Any = None) -> None:
    """Raise a ValueError if an element is NaN or infinite, or becomes so in `dtype`.

    Block by block: an array may be larger than the memory, and Ctrl-C does not wait for all of it. The
    message names the column if `table` is what the values were made of.
    """
    from . import calls

    if values.dtype.kind != "f":
        return
    dtype = dtype or dtype_name(values.dtype)
    for part in blocks(values):
        block = values[part]
        if block.dtype != dtype:
            with np.errstate(over="ignore"):
                block = block.astype(dtype)
        if not calls.is_finite(block):
            first, *rest = (int(i) for i in np.argwhere(~np.isfinite(block))[0])
            at = (part.start + first, *rest)
            raise ValueError(
                f"{name} must be finite numbers of {dtype}, got {values[at]} at {place_of(at, table)}"
            )


def features(
    X: Any,
    dtype: str,
    n_in: int | None,
    *,
    name: str = "X",
    keep_mapped: bool = False,
    check_finite: bool = True,
    given: tuple[int, ...] | None = None,
    table: Any = None,
) -> NDArray[Any]:
    """Checked samples, of shape (n, n_in); with `keep_mapped` perhaps of another dtype, see `array`.

    `given` is the shape that messages show, if it is another than that of `X`, and `table` what the user
    gave, which may name the columns.
    """
    result = array(name, X, dtype, (2,), keep_mapped=keep_mapped)
    shape = given or result.shape
    if result.shape[0] == 0 or result.shape[1] == 0:
        raise ValueError(f"{name} must not be empty, got shape {shape}")
    if n_in is not None and result.shape[1] != n_in:
        hint = hints.other_shape(name, table if table is not None else X, shape, n_in)
        raise ValueError(f"{name} must have {n_in} columns, as the model's input, got shape {shape}{hint}")
    if check_finite:
        finite(name, result, dtype, X if table is None else table)
    return result


def output(out: Any, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array that a result of this shape and dtype can be written to as it is."""
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"out must be an array, got {out!r}")
    if out.shape != shape or out.dtype != dtype:
        got = f"{out.dtype} of shape {out.shape}"
        raise ValueError(f"out must be {np.dtype(dtype)} of shape {shape}, got {got}")
    if not out.flags.carray:
        raise ValueError("out must be C-contiguous, aligned and writeable; use a copy of it")
    return np.asarray(out)


def targets(
    y: Any, loss: Loss, n_out: int, of: tuple[int, ...], dtype: str, *, prefix: str = ""
) -> NDArray[Any]:
    """Checked targets, of shape (n, n_out), or (n, 1) for class numbers, of samples of the shape `of`."""
    name, n = f"{prefix}y", of[0]
    result = array(name, y, dtype, (1, 2))
    same_rows(name, result, of, f"{prefix}X")
    finite(name, result)
    if loss.target == "classes" and n_out == 1:
        raise ValueError(f"{loss.name!r} needs a model with two outputs or more, or 'binary_cross_entropy'")
    columns = result.shape[1] if result.ndim == 2 else 1
    if columns == 1 and loss.target == "classes":
        _class_numbers(name, result, n_out)
    elif columns != n_out:
        wanted = f"({n},) of class numbers or " if loss.target == "classes" else ""
        raise ValueError(f"{name} must have shape {wanted}({n}, {n_out}), got {result.shape}")
    elif loss.target != "values" and (result.min() < 0 or result.max() > 1):
        outside = result.min() if result.min() < 0 else result.max()
        raise ValueError(f"{name} must lie in 0 ... 1 for {loss.name!r}, got {outside:g}")
    elif result.min() < loss.low:
        raise ValueError(f"{name} must be >= {loss.low:g} for {loss.name!r}, got {result.min():g}")
    return result.reshape(n, columns)


def _class_numbers(name: str, labels: NDArray[Any], n_out: int) -> None:
    odd = labels[labels != np.floor(labels)]
    if odd.size:
        raise ValueError(f"{name} must be class numbers, got {odd[0]:g}")
    if labels.min() < 0 or labels.max() >= n_out:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(f"{name} must be class numbers 0 ... {n_out - 1} for {n_out} outputs, got {wrong:g}")


def same_rows(name: str, values: NDArray[Any], of: tuple[int, ...], other: str = "X") -> None:
    """Raise a ValueError unless there are as many rows as `other`, of the shape `of`, has."""
    if values.shape[0] != of[0]:
        raise ValueError(f"{name} must have {of[0]} rows, as {other} of shape {of}, got shape {values.shape}")


def order(value: Any, n: int) -> NDArray[np.int64]:
    """Checked order of `n` samples, as a function of the user's gives it."""
    result = as_array("shuffle", value)
    if result.shape != (n,) or result.dtype.kind not in "iu":
        got = f"{result.dtype} of shape {result.shape}"
        raise ValueError(f"shuffle must give integers of shape ({n},), got {got}")
    if result.min() < 0 or result.max() >= n:
        raise ValueError(
            f"shuffle must give numbers of samples, 0 ... {n - 1}, got {result.min()} ... {result.max()}"
        )
    return result.astype(np.int64, copy=False)
