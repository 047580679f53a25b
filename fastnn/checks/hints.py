"""Suggestions in messages."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Iterable
from typing import Any


def nearest(name: Any, known: Iterable[Any]) -> str:
    """``; did you mean 'adam'?``, if it is similar to a known name."""
    if not isinstance(name, str):
        return ""
    by_lower = {each.lower(): each for each in known if isinstance(each, str)}
    near = difflib.get_close_matches(name.lower(), by_lower, 1)
    return f"; did you mean {by_lower[near[0]]!r}?" if near else ""


def of_log(name: str, logs: Iterable[str]) -> str:
    """What may help where a fit does not log a value of this name."""
    logs = list(logs)
    if name.startswith("val_") and not any(each.startswith("val_") for each in logs):
        return "; give fit validation_data or validation_split"
    return nearest(name, logs)


def listed(known: Iterable[Any]) -> str:
    """``'auto', 'min' or 'max'``."""
    *others, last = map(repr, known)
    return f"{', '.join(others)} or {last}" if others else last


def not_called(value: Any) -> str:
    """``; call it: huber(...)``, for a function or class given in place of its result."""
    if not isinstance(value, type) and not inspect.isfunction(value):
        return ""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return ""
    dots = "..." if any(each.default is each.empty for each in parameters) else ""
    return f"; call it: {value.__name__}({dots})"


def without_place(name: str) -> str:
    """The name of an argument: what messages call it without the batch or the block that it is in."""
    return name.rpartition(": ")[2]


def other_shape(name: str, value: Any, shape: tuple[int, ...], n_in: int | None = None) -> str:
    """How samples of a wrong shape can be reshaped, if that can be guessed."""
    name = without_place(name)
    if len(shape) > 2:
        return f"; use {name}.reshape(len({name}), -1), which makes a row of numbers of each sample"
    if len(shape) == 1 and hasattr(value, "to_frame"):
        column, row = f"{name}.to_frame()", f"{name}.to_frame().T"
        return f"; use {column} if it is a column, {row} if it is a row"
    if len(shape) == 1 and n_in is None:
        return f"; use {name}.reshape(-1, 1) or {name}.reshape(1, -1)"
    if len(shape) == 1 and n_in == 1:
        return f"; use {name}.reshape(-1, 1) for a column"
    if len(shape) == 2 and n_in == math.prod(shape):
        return f"; use {name}.reshape(1, -1) if it is one sample"
    return ""


def array_of(name: str, value: Any) -> str:
    """Why an object is not an array of numbers, and how to get one; empty if there is no advice."""
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        return (
            f"{name} must be a dense array, got {type(value).__name__}; use {without_place(name)}.toarray()"
        )
    if hasattr(value, "buffer_size") and hasattr(value, "describe"):
        kind, own = type(value).__name__, without_place(name)
        return f"{name} must be an array, got {kind}, which reads batches: use those, for {own}, y in reader"
    if getattr(value, "requires_grad", False) is True:
        kind, own = type(value).__name__, without_place(name)
        return f"{name} must not require gradients, got {kind}; use {own}.detach()"
    return ""
