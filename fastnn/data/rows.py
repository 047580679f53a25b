"""Samples as rows: one where several are expected, and those of more axes than one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..checks import hints


def as_samples(
    X: Any, y: Any, weight: Any, shape: tuple[int, ...] | None, output: Callable[..., tuple[int, ...]]
) -> tuple[Any, Any, Any]:
    """Samples, targets and weights, each with an axis for the samples; unchanged if X has one already.

    Parameters
    ----------
    X : array of shape (n, *shape), or of this shape for one sample
    y : array of shape (n,) or (n, n_out), or (n_out,) or a number for one sample
    weight : array of shape (n,), or a number for one sample, or None
    shape : tuple of int or None
        Of a sample of the model's input; None if it is not built.
    output : callable
        Shape of a sample of the output, for an input of a shape.

    Raises
    ------
    ValueError
        If X looks like a column, or y is not that of one sample.
    """
    X = as_rows(X, shape, "X")
    vector = _shape_of_vector(X)
    if vector is None:
        return X, y, weight
    (width,) = vector
    n_in = None if shape is None else math.prod(shape)
    if n_in is not None and width != n_in:
        hint = hints.other_shape("X", X, vector, n_in)
        raise ValueError(f"X must have {n_in} columns, as the model's input, got shape {vector}{hint}")
    given = output(shape or vector)
    y = as_rows(y, given, "y")
    targets = _shape_of_vector(y)
    if targets is not None and targets[0] not in (1, math.prod(given)):
        hint = hints.other_shape("X", X, vector)
        got = f"got shapes {vector} and {targets}"
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


def sample_shape(X: Any) -> tuple[int, ...] | None:
    """Shape of one of several samples that have more axes than one; None for anything else."""
    sizes = sizes_of(X)
    return sizes[1:] if len(sizes) > 2 else None


def sizes_of(X: Any) -> tuple[int, ...]:
    """The shape of an array, or of what would be made of nested sequences; () for anything else."""
    shape = getattr(X, "shape", None)
    if isinstance(shape, tuple):
        return tuple([int(size) for size in shape])
    if isinstance(X, (list, tuple)) and X:
        return (len(X), *sizes_of(X[0]))
    return ()


def as_rows(X: Any, shape: tuple[int, ...] | None, name: str) -> Any:
    """Samples of more axes than one as rows of numbers, a single one as a vector; anything else as it is.

    Parameters
    ----------
    X : array of shape (n, *shape) or (*shape,), or as rows of numbers, (n, n_in) or (n_in,)
        Any other is refused if samples have more axes than one.
    shape : tuple of int or None
        Of a sample; None if samples have one axis, or it is not known.
    name : str

    Raises
    ------
    ValueError
        If X is of another shape, or empty.
    """
    if shape is None or len(shape) == 1:
        return X
    sizes = sizes_of(X)
    flat = (math.prod(shape),)
    if sizes[1:] != shape and sizes != shape and flat not in (sizes, sizes[1:]):
        wanted = ", ".join(map(str, shape))
        raise ValueError(f"{name} must have shape (n, {wanted}), as in the model, got shape {sizes}")
    if 0 in sizes:
        raise ValueError(f"{name} must not be empty, got shape {sizes}")
    values = X if isinstance(X, np.ndarray) else np.asarray(X)
    return values.reshape(-1) if sizes in (shape, flat) else values.reshape(sizes[0], -1)
