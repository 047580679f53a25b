"""Arrays of Python objects: real numbers are converted, and what only looks like a number is not."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MISSING = ("NAType", "NaTType")  # of pandas
# NumPy would read these as numbers.
_NO_NUMBERS = (str, bytes, bytearray, np.complexfloating, np.datetime64, np.timedelta64)


def to_numbers(
    name: str, what: str, given: NDArray[Any], place: Callable[[tuple[int, ...]], str], of_text: str = ""
) -> NDArray[np.float64]:
    """The numbers in an array of objects.

    Parameters
    ----------
    name, what : str
        Name of the argument in messages, and what it is.
    given : array of objects
    place : callable
        Describes the place of an element, by its index.
    of_text : str
        What else a message about text says.

    Raises
    ------
    TypeError
        If an object is not a number; the message shows it and its place.
    """
    kinds = set(map(type, given.flat))
    if any(issubclass(kind, _NO_NUMBERS) for kind in kinds):
        raise _refusal(name, what, given, place, lambda item: isinstance(item, _NO_NUMBERS), of_text)
    try:
        return given.astype(np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        if all(issubclass(kind, (numbers.Real, np.bool_)) for kind in kinds):  # one that is too large
            raise TypeError(f"{name} must be numbers, got {what}: {error}") from error
        raise _refusal(name, what, given, place, _is_no_number) from error


def with_nan(given: NDArray[Any], columns: Sequence[int]) -> NDArray[Any]:
    """An array of objects with NaN in place of None and pandas' NA in some columns of the last axis."""
    if not columns or given.ndim == 0 or max(columns) >= given.shape[-1]:
        return given
    result = given.copy()
    for j in columns:
        column = result[..., j : j + 1]
        for at, item in np.ndenumerate(column):
            if item is None or type(item).__name__ in _MISSING:
                column[at] = np.nan
    return result


def _is_no_number(item: Any) -> bool:
    alone = np.empty(1, object)
    alone[0] = item
    try:
        alone.astype(np.float64)
    except (ValueError, TypeError, OverflowError):
        return True
    return False


def _refusal(
    name: str,
    what: str,
    given: NDArray[Any],
    place: Callable[[tuple[int, ...]], str],
    is_wrong: Callable[[Any], bool],
    of_text: str = "",
) -> TypeError:
    """The error for the first object that is not a number."""
    for at, item in np.ndenumerate(given):
        if is_wrong(item):
            where = f" at {place(at)}" if at else ""
            got = f"got {what}: {item!r} ({type(item).__name__}){where}"
            return TypeError(f"{name} must be numbers, {got}{of_text if isinstance(item, str) else ''}")
    return TypeError(f"{name} must be numbers, got {what}")
