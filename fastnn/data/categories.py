"""Columns of categories, before they are converted: text, or integers of any size.

A category that is an integer of absolute value at most `LARGEST` is used as it is, since both dtypes hold it.
Others are coded: each is represented by its index in the list of categories.
"""

from __future__ import annotations

import decimal
import math
import numbers
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks.hints import nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    #: Describes the place of a value, by the number of its row.
    Place = Callable[[int], str]

LARGEST = 2**24  # float32 holds integers up to this exactly
NONE = 0.5  # represents a number that is not a category
_REAL = (numbers.Real, np.bool_, decimal.Decimal)
# Up to these, a float distinguishes all integers.
_EXACT = {"float16": 2**11, "float32": 2**24, "float64": 2**53}


def plain(name: str, values: NDArray[Any], place: Place) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """A column in a form that can be compared, and where it has numbers that are not integers.

    Parameters
    ----------
    name : str
        What messages call the argument.
    values : array of shape (n,)
    place : callable

    Returns
    -------
    values : array of shape (n,)
        Integers; or Python's integers or text as objects.
    odd : bool array of shape (n,)
        Where a number is not an integer; its value is replaced then.

    Raises
    ------
    TypeError
        If it holds anything but text and numbers, or both.
    ValueError
        If a number is not finite, or is a float so large that it may have been rounded.
    """
    try:
        odd = np.zeros(len(values), bool)
    except MemoryError as error:
        raise MemoryError(f"{name} of shape {values.shape} does not fit into the memory") from error
    kind = values.dtype.kind
    if kind == "c":
        raise ValueError(f"{name} must be real, got dtype {values.dtype}")
    if kind == "b":
        return values.astype(np.int64), odd
    if kind in "iu":
        return values, odd
    if kind in "UT":
        return values.astype(object), odd
    if kind == "f":
        return _integers(name, values, place)
    if kind != "O":
        raise TypeError(
            f"{name} must hold integers or text in a column of categories, got dtype {values.dtype}"
        )
    return _from_objects(name, values, place)


def _integers(name: str, values: NDArray[Any], place: Place) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    dtype = values.dtype.name
    exact = _EXACT.get(dtype, 2**53)
    for wrong, what in (
        (~np.isfinite(values), f"must be finite numbers of {dtype}"),
        (
            np.abs(values) > exact,
            f"must hold integers or text in a column of categories, as {dtype} rounds them",
        ),
    ):
        rows = np.flatnonzero(wrong)
        if rows.size:
            raise ValueError(f"{name} {what}, got {values[rows[0]]:g} at {place(int(rows[0]))}")
    odd = values != np.floor(values)
    return np.where(odd, 0, values).astype(np.int64), odd


def _from_objects(name: str, values: NDArray[Any], place: Place) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    items: list[Any] = values.tolist()
    kinds = set(map(type, items))
    if all(issubclass(kind, str) for kind in kinds):
        return values, np.zeros(len(items), bool)
    of_text = [issubclass(type(item), str) for item in items]
    if any(of_text):
        text, other = of_text.index(True), of_text.index(False)
        got = f"got {_item(items[text])} at {place(text)} beside {_item(items[other])} at {place(other)}"
        raise TypeError(f"{name} must hold integers or text in a column of categories, {got}")
    for row, item in enumerate(items):
        if not isinstance(item, _REAL):
            got = f"got {_item(item)} at {place(row)}"
            raise TypeError(f"{name} must hold integers or text in a column of categories, {got}")
        if isinstance(item, (float, np.floating, decimal.Decimal)) and not math.isfinite(item):
            raise ValueError(f"{name} must be finite numbers, got {item} at {place(row)}")
    odd = np.array([item != int(item) for item in items])
    return as_labels([int(item) for item in items]), odd


def stand_for_themselves(values: NDArray[Any], dtype: str) -> bool:
    """Whether a dtype holds all numbers of a column exactly, so that none is mistaken for another."""
    kind = values.dtype.kind
    if kind in "biu":
        return values.itemsize <= 2 or fit(values)
    with np.errstate(over="ignore"):
        return kind == "f" and bool((values == values.astype(dtype)).all())


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """The categories of a column from `plain`, sorted.

    Returns
    -------
    array of shape (n,)
        Numbers if all are used as they are, else labels: integers or objects.
    """
    if values.dtype.kind == "O":
        return as_labels(sorted(set(values.tolist())))
    found = np.unique(values)
    return found.astype(np.float64) if fit(found) else as_labels(found.tolist())


def union(name: str, one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """The categories of a column that `distinct` found in one part of the samples, `name`, or in another."""
    if not one.size or not other.size:
        return one if one.size else other
    if one.dtype.kind == other.dtype.kind == "f":
        return np.union1d(one, other)
    if are_text(one) != are_text(other):
        text, number = (one, other) if are_text(one) else (other, one)
        got = f"got {_shown(text[0])} in one part of the data and {_shown(number[0])} in another"
        raise TypeError(f"{name} must hold integers or text in a column of categories, {got}")
    if are_text(one):
        return as_labels(sorted({*one.tolist(), *other.tolist()}))
    return as_labels(sorted({int(item) for of in (one, other) for item in of.tolist()}))


def fit(found: NDArray[Any]) -> bool:
    """Whether any dtype holds these integers exactly."""
    return found.dtype.kind in "iu" and not ((found > LARGEST) | (found < -LARGEST)).any()


def as_labels(found: list[Any]) -> NDArray[Any]:
    """Categories of one type as an array: int64 if they are integers that fit, else objects."""
    if all(isinstance(item, int) for item in found):
        try:
            return np.array(found, np.int64)
        except OverflowError:
            pass
    result = np.empty(len(found), object)
    result[:] = found
    return result


def labels_of_one_kind(given: Any) -> NDArray[Any]:
    """Labels from a file: a list of strings or of integers."""
    for kind in (str, int):
        if isinstance(given, list) and given and all(type(item) is kind for item in given):
            return as_labels(given)
    raise ValueError(f"labels must be a list of strings or of integers, got {str(given)[:50]}")


def codes(values: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.int64]:
    """Index of each value's label, -1 for those without one."""
    table = {label: code for code, label in enumerate(labels.tolist())}
    if values.dtype.kind == "O":
        return np.fromiter((table.get(item, -1) for item in values.tolist()), np.int64, len(values))
    found, inverse = np.unique(values, return_inverse=True)
    return np.array([table.get(item, -1) for item in found.tolist()], np.int64)[inverse.reshape(-1)]


def are_text(values: NDArray[Any]) -> bool:
    """Whether labels, or the result of `plain`, are text."""
    return values.dtype.kind == "O" and values.size > 0 and isinstance(values[0], str)


def unknown(name: str, value: Any, place: str, known: NDArray[Any]) -> ValueError:
    """The error for a value that is not a known category."""
    shown = ", ".join(map(_shown, known[:10].tolist())) + (", ..." if known.size > 10 else "")
    near = nearest(value, known.tolist())
    return ValueError(
        f"{name} has the unknown category {_shown(value)} at {place}{near}; known are {shown} "
        "(handle_unknown='ignore' would encode it as zeros)"
    )


def _item(item: Any) -> str:
    return f"{item!r} ({type(item).__name__})"


def _shown(item: Any) -> str:
    item = item.item() if isinstance(item, np.generic) else item
    return repr(item) if isinstance(item, str) else f"{item:.15g}" if isinstance(item, float) else str(item)
