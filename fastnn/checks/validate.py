"""Checked settings; errors show what was given."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NoReturn

import numpy as np

from . import hints

DTYPES = ("float32", "float64")


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
    if type(value) not in (float, int) and not _is_number(value, numbers.Real, np.floating):
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
    if type(value) is not int and not _is_number(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if low is not None and value < low:
        raise ValueError(f"{name} must be >= {low}, got {value!r}")
    return int(value)


def seed(name: str, value: Any) -> int:
    """A seed of random numbers."""
    result = integer(name, value, low=0)
    if result >= 2**63:
        raise ValueError(f"{name} must be < 2**63, got {value!r}")
    return result


def _is_number(value: Any, *kinds: type) -> bool:
    return not isinstance(value, (bool, np.bool_)) and isinstance(value, (np.integer, *kinds))


def shape(name: str, value: Any, *, free: bool = False) -> tuple[int, ...]:
    """Shape of a sample, from one integer or several of at least 1; with `free` one of them may be -1."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, (Iterable, numbers.Integral)):
        raise TypeError(f"{name} must be an integer or a tuple of integers, got {value!r}")
    given = tuple(value) if isinstance(value, Iterable) else (value,)
    if not given:
        raise ValueError(f"{name} must not be empty")
    result = tuple([integer(name, n) for n in given])
    if min(result) < (-1 if free else 1) or 0 in result or result.count(-1) > 1:
        wanted = ">= 1, but for one -1" if free else ">= 1"
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    return result


def boolean(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def choice(name: str, value: Any, known: Collection[Any], *, also: str = "") -> Any:
    """One of the known values, of which a misspelt one is told the nearest; `also` is what else there is."""
    if not any(isinstance(value, type(each)) and value == each for each in known):
        near = hints.nearest(value, known)
        raise ValueError(f"{name} must be {hints.listed(known)}{also}, got {value!r}{near}")
    return value


def dtype(value: Any, name: str = "dtype") -> str:
    """Name of one of the two dtypes."""
    try:
        result = str(np.dtype(value).name)
    except TypeError:
        result = ""
    if value is None or result not in DTYPES:
        choice(name, value, DTYPES)
    return result


def from_table(what: str, value: Any, table: Mapping[str, Any], kind: type) -> Any:
    """A `kind`, from itself, its name in `table`, or its configuration ``{"name": ..., settings}``.

    The table's values are of that kind, or functions of the settings that make one.
    """
    if isinstance(value, kind):
        return value
    settings: dict[str, Any] = {}
    if isinstance(value, dict) and "name" in value:
        settings = {key: item for key, item in value.items() if key != "name"}
        value = value["name"]
    if not isinstance(value, str) or value not in table:
        _refuse(what, value, table, kind)
    entry = table[value]
    if isinstance(entry, kind):
        return entry
    try:
        return entry(**settings)
    except TypeError as error:
        known = inspect.signature(entry).parameters
        near = "".join(hints.nearest(name, known) for name in settings if name not in known)
        raise ValueError(
            f"{what} {value!r} does not take the settings {settings!r}: {error}{near}"
        ) from error


def _refuse(what: str, value: Any, table: Mapping[str, Any], kind: type) -> NoReturn:
    """Raise the error of what is no name in a table."""
    own = what in ("activation", "loss", "schedule")
    if not isinstance(value, str):
        hint = f"; fn.register_{what} makes one from a function" if own and callable(value) else ""
        if value in table.values() or (isinstance(value, type) and issubclass(value, kind)):
            hint = hints.not_called(value)
        raise TypeError(f"{what} must be a name or a {kind.__module__}.{kind.__name__}, got {value!r}{hint}")
    hint = (
        f"; a user-defined one must be registered by fn.register_{what} before it is used or loaded"
        if own
        else ""
    )
    near = hints.nearest(value, table)
    raise ValueError(f"unknown {what} {value!r}{near}; known are {', '.join(sorted(table))}{hint}")
