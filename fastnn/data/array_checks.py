"""The user's arrays, checked and converted; errors show the offending value.

Only this module converts or copies a user's array: kernels check nothing.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import hints, validate
from ..engine import scan
from ..memory.buffers import dtype_name
from . import objects, tables

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

_BLOCK = 1 << 20  # values that are checked between two chances for Ctrl-C
# Dtypes of mapped files that are used in place: see `kernels.driver.batch`.
_INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_CONVERTED = {"bool", "float32", "float64"} | _INTEGERS


def columns(value: Any) -> tuple[int, ...] | None:
    """Column indices without duplicates; None for all columns."""
    if value is None:
        return None
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, (Iterable, numbers.Integral)):
        raise TypeError(f"columns must be an integer or a sequence of integers, got {value!r}")
    given = value if isinstance(value, Iterable) else (value,)
    result = tuple(validate.integer("a column", i) for i in given)
    if not result:
        raise ValueError("columns must not be empty; leave it out for all columns")
    if len(set(result)) < len(result):
        raise ValueError(f"columns must differ from each other, got {value!r}")
    return result


def column_numbers(chosen: tuple[int, ...] | None, n_in: int) -> list[int]:
    """Checked column indices, from 0, for an input of `n_in` columns."""
    if chosen is None:
        return list(range(n_in))
    outside = [i for i in chosen if not -n_in <= i < n_in]
    if outside:
        raise ValueError(f"column {outside[0]} is not among the {n_in} columns of the input")
    result = [i % n_in for i in chosen]
    if len(set(result)) < len(result):
        raise ValueError(f"columns {list(chosen)} name one of the {n_in} columns of the input twice")
    return result


def blocks(values: NDArray[Any]) -> list[slice]:
    """Slices of an array's rows, each of about a million values."""
    rows = max(_BLOCK // max(values[:1].size, 1), 1)
    return [slice(start, start + rows) for start in range(0, len(values), rows)]


def array(
    name: str,
    value: Any,
    dtype: str,
    ndim: tuple[int, ...],
    *,
    keep_mapped: bool = False,
    missing: Sequence[int] = (),
) -> NDArray[Any]:
    """A C-contiguous array of `dtype` with one of the numbers of dimensions `ndim`.

    None and pandas' NA become NaN in the columns `missing`. If the user's array is like that already, it is
    not copied. With `keep_mapped`, a C-contiguous `numpy.memmap` keeps its dtype: converting it would load
    all of it.
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
        result = _converted(name, value, dtype, missing)
    if result.ndim not in ndim:
        dims = " or ".join(str(n) for n in ndim)
        hint = hints.other_shape(name, value, result.shape) if 2 in ndim else ""
        raise ValueError(f"{name} must have {dims} dimensions, got shape {result.shape}{hint}")
    return result


def place_of(index: tuple[int, ...], table: Any = None) -> str:
    """The place of a value for messages: its index, and the name of its column if `table` has names."""
    if len(index) == 2 and table is not None:
        return tables.place(table, *index)
    at = tuple(map(int, index))
    return str(at if len(at) != 1 else at[0])


def _converted(name: str, value: Any, dtype: str, missing: Sequence[int] = ()) -> NDArray[Any]:
    if tables.is_mixed(value):
        return tables.to_array(name, value, dtype, missing=missing)
    given = as_array(name, value)
    if given.dtype.kind == "c":
        raise ValueError(f"{name} must be real, got dtype {given.dtype}")
    if given.dtype.kind == "O":
        given = objects.with_nan(given, missing)
        given = objects.to_numbers(name, f"{type(value).__name__} of objects", given, place_of)
    if given.dtype.kind not in "buif":
        raise TypeError(f"{name} must be numbers, got dtype {given.dtype}")
    try:
        with np.errstate(over="ignore"):  # what is too large for float32 becomes infinity, and is found
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
    """An array of any dtype; what NumPy would wrongly read as numbers is rejected."""
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
    except (ValueError, TypeError, RuntimeError) as error:  # for example of other libraries' tensors
        raise ValueError(f"{name} cannot be converted to an array: {error}") from error


def _is_mapped(value: NDArray[Any]) -> bool:
    """Whether an array is memory-mapped, with a dtype that the compiled loop converts."""
    if not value.dtype.isnative or dtype_name(value.dtype) not in _CONVERTED:
        return False
    base: Any = value
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    return isinstance(base, np.memmap)


def finite(
    name: str,
    values: NDArray[Any],
    dtype: str = "",
    table: Any = None,
    missing: Sequence[int] | None = None,
) -> None:
    """Raise a ValueError if an element is NaN or infinite, or becomes so in `dtype`.

    NaN is accepted in the columns `missing`; None if the values are not samples.

    Works block by block: an array may be larger than memory, and Ctrl-C need not wait for all of it. The
    message names the column if `table` is given, from which the values were converted.
    """
    if values.dtype.kind != "f":
        return
    dtype = dtype or dtype_name(values.dtype)
    for part in blocks(values):
        block = values[part]
        if block.dtype != dtype:
            with np.errstate(over="ignore"):
                block = block.astype(dtype)
        if not scan.is_finite(block):
            odd = ~np.isfinite(block)
            if missing:
                odd[:, missing] &= ~np.isnan(block[:, missing])
            if not odd.any():
                continue
            first, *rest = (int(i) for i in np.argwhere(odd)[0])
            at = (part.start + first, *rest)
            hint = ""
            if missing is not None and np.isnan(values[at]):
                hint = "; put fn.Impute() first, which replaces missing values"
                if missing:
                    columns = ", ".join(map(str, missing))
                    hint = f"; fn.Impute replaces missing values in columns {columns} only"
            raise ValueError(
                f"{name} must be finite numbers of {dtype}, got {values[at]} at {place_of(at, table)}{hint}"
            )


def of_shape(name: str, value: Any, shape: tuple[int, ...], dtype: str, why: str = ",") -> NDArray[Any]:
    """A C-contiguous array of `dtype` that has a shape, which messages explain, and is finite."""
    result = array(name, value, dtype, (len(shape),))
    require_shape(name, result, shape, why)
    finite(name, result)
    return result


def require_shape(name: str, values: NDArray[Any], shape: tuple[int, ...], why: str = ",") -> None:
    """Raise a ValueError if an array has another shape than this one, which `why` explains."""
    if values.shape != shape:
        raise ValueError(f"{name} must have shape {shape}{why} got shape {values.shape}")


def output(out: Any, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array into which a result of this shape and dtype can be written."""
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"out must be an array, got {out!r}")
    if out.shape != shape or out.dtype != dtype:
        got = f"{out.dtype} of shape {out.shape}"
        raise ValueError(f"out must be {np.dtype(dtype)} of shape {shape}, got {got}")
    if not out.flags.carray:
        raise ValueError("out must be C-contiguous, aligned and writeable; use a copy of it")
    return np.asarray(out)


def same_rows(name: str, values: NDArray[Any], of: tuple[int, ...], other: str = "X") -> None:
    """Raise a ValueError unless there are as many rows as in `other`, which has shape `of`."""
    if values.shape[0] != of[0]:
        other = hints.without_place(other)
        raise ValueError(f"{name} must have {of[0]} rows, as {other} of shape {of}, got shape {values.shape}")


def order(value: Any, n: int) -> NDArray[np.int64]:
    """Checked order of `n` samples, as a user-defined function returns it."""
    result = as_array("shuffle", value)
    if result.shape != (n,) or result.dtype.kind not in "iu":
        got = f"{result.dtype} of shape {result.shape}"
        raise ValueError(f"shuffle must return integers of shape ({n},), got {got}")
    if result.min() < 0 or result.max() >= n:
        raise ValueError(
            f"shuffle must return indices of samples, 0 ... {n - 1}, got {result.min()} ... {result.max()}"
        )
    return result.astype(np.int64, copy=False)
