"""A single sample where several are expected: a row, its target and its weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..checks import hints


def as_samples(
    X: Any, y: Any, weight: Any, n_in: int | None, n_out: Callable[[int], int]
) -> tuple[Any, Any, Any]:
    """Samples, targets and weights, each with an axis for the samples; unchanged if X has one already.

    Parameters
    ----------
    X : array of shape (n, n_in), or (n_in,) for one sample
    y : array of shape (n,) or (n, n_out), or (n_out,) or a number for one sample
    weight : array of shape (n,), or a number for one sample, or None
    n_in : int or None
        Of the model; None if it is not built.
    n_out : callable
        Its number of outputs, given the size of its input.

    Raises
    ------
    ValueError
        If X looks like a column, or y is not that of one sample.
    """
    shape = _shape_of_vector(X)
    if shape is None:
        return X, y, weight
    (width,) = shape
    if n_in is not None and width != n_in:
        hint = hints.other_shape("X", X, shape, n_in)
        raise ValueError(f"X must have {n_in} columns, as the model's input, got shape {shape}{hint}")
    targets = _shape_of_vector(y)
    if targets is not None and targets[0] not in (1, n_out(width)):
        hint = hints.other_shape("X", X, shape)
        got = f"got shapes {shape} and {targets}"
        raise ValueError(f"X must have 2 dimensions, or y be of one sample, {got}{hint}")
    if targets is not None and targets[0] > 1:
        y = [y]
    return _as_row(X), [y] if _is_number(y) else y, [weight] if _is_number(weight) else weight


def _shape_of_vector(value: Any) -> tuple[int] | None:
    """The shape of what has a single axis, None for anything else."""
    shape = getattr(value, "shape", None)
    if getattr(getattr(value, "dtype", None), "names", None):  # records are rejected as such
        return None
    if shape is not None:
        return (int(shape[0]),) if isinstance(shape, tuple) and len(shape) == 1 else None
    if isinstance(value, (list, tuple)) and value:
        inner = (isinstance(item, str) or not (hasattr(item, "__len__") or _axes(item)) for item in value)
        return (len(value),) if all(inner) else None
    return None


def _axes(value: Any) -> int:
    return len(getattr(value, "shape", ()) or ())


def _is_number(value: Any) -> bool:
    if hasattr(value, "shape"):
        return _axes(value) == 0
    return value is not None and not hasattr(value, "__iter__")


def _as_row(X: Any) -> Any:
    if hasattr(X, "to_frame"):  # a row of a table of pandas: its names become those of columns
        return X.to_frame().T
    return X.reshape(1, -1) if hasattr(X, "reshape") else [X]
