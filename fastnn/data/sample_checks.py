"""Samples and targets as `fit` takes them, checked; errors show what was given."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import hints
from . import array_checks
from .categories import as_labels, fit, plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..losses import Loss


# By how much the shares of a distribution may miss 1.
_SUM_TOLERANCE = 1e-3


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
    missing: Sequence[int] | None = None,
) -> NDArray[Any]:
    """Checked samples, of shape (n, n_in); with `keep_mapped` possibly of another dtype, see `array`.

    `given` is the shape shown in messages, if it differs from that of `X`; `table` is the argument as given
    by the user, which may name the columns; `missing` are the columns in which NaN is accepted.
    """
    result = array_checks.array(name, X, dtype, (2,), keep_mapped=keep_mapped, missing=missing or ())
    shape = given or result.shape
    if result.shape[0] == 0 or result.shape[1] == 0:
        raise ValueError(f"{name} must not be empty, got shape {shape}")
    if n_in is not None and result.shape[1] != n_in:
        hint = hints.other_shape(name, table if table is not None else X, shape, n_in)
        raise ValueError(f"{name} must have {n_in} columns, as the model's input, got shape {shape}{hint}")
    if check_finite:
        array_checks.finite(name, result, dtype, X if table is None else table, missing)
    return result


def targets(
    y: Any, loss: Loss, n_out: int, of: tuple[int, ...], dtype: str, *, prefix: str = ""
) -> NDArray[Any]:
    """Checked targets of samples of the shape `of`, with as many columns as the loss has targets for n_out.

    Of shape (n, 1) for class numbers.
    """
    name, n = f"{prefix}y", of[0]
    result = array_checks.array(name, y, dtype, (1, 2))
    array_checks.same_rows(name, result, of, f"{prefix}X")
    array_checks.finite(name, result)
    if loss.target == "classes" and n_out == 1:
        raise ValueError(f"{loss.name!r} needs a model with two outputs or more, or 'binary_cross_entropy'")
    columns = result.shape[1] if result.ndim == 2 else 1
    low, high, whole = target_range(loss, n_out, columns)
    width = loss.n_targets(n_out)
    if columns != width and not (columns == 1 and loss.n_classes(n_out)):
        wanted = f"({n},) of class numbers or " if loss.target == "classes" else ""
        why = "" if loss.pairs_outputs else f", for {loss.name!r} of {n_out} outputs"
        raise ValueError(f"{name} must have shape {wanted}({n}, {width}){why}, got {result.shape}")
    if whole and (odd := result[result != np.floor(result)]).size:
        raise ValueError(f"{name} must be class numbers, got {odd[0]:g}")
    if loss.is_distribution and columns > 1:
        _require_distributions(name, result)
    least, most = result.min(), result.max()
    if least < low or most > high:
        wanted = f">= {low:g} for {loss.name!r}" if high == math.inf else f"in 0 ... 1 for {loss.name!r}"
        wanted = f"class numbers {low:g} ... {high:g} for {n_out} outputs" if whole else wanted
        raise ValueError(f"{name} must be {wanted}, got {least if least < low else most:g}")
    return result.reshape(n, columns)


def target_range(loss: Loss, n_out: int, columns: int) -> tuple[float, float, bool]:
    """Least and largest value of targets in so many columns, and whether they must be integers."""
    if loss.target == "values":
        return loss.low, math.inf, False
    if loss.target == "signs":
        return -1, 1, True
    if columns == 1 and (n_classes := loss.n_classes(n_out)):
        return 0, n_classes - 1, True
    return 0, 1, False


def _require_distributions(name: str, y: NDArray[Any]) -> None:
    """Raise a ValueError if a row does not sum to 1, up to what rounding and typing leave."""
    sums = y.sum(axis=1, dtype=np.float64)
    wrong = np.flatnonzero(abs(sums - 1) > _SUM_TOLERANCE)
    if wrong.size and not np.isnan(sums[wrong[0]]):
        i = int(wrong[0])
        raise ValueError(f"{name} must be distributions over the classes, row {i} sums to {sums[i]:g}, not 1")


def categories(value: Any) -> list[NDArray[Any]]:
    """The categories of each column, as given: numbers, or labels (see `data.categories`)."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise TypeError(f"categories must be 'auto' or a sequence of sequences, got {value!r}")
    result = [_categories_of_a_column("the categories of a column", of) for of in value]
    if not result:
        raise ValueError("categories must not be empty")
    return result


def _categories_of_a_column(name: str, value: Any) -> NDArray[Any]:
    given = array_checks.as_array(name, value)
    if given.dtype.kind in "UT" and not isinstance(value, np.ndarray):
        given = np.array(value, dtype=object)  # not all of them need be strings
    if given.dtype.kind == "O" and given.ndim == 0:
        raise TypeError(f"{name} must be integers or text, got {type(value).__name__} of objects")
    if given.ndim != 1 or given.size == 0:
        what = "have 1 dimensions" if given.ndim != 1 else "not be empty"
        raise ValueError(f"{name} must {what}, got shape {given.shape}")
    own, odd = plain(name, given, str)
    if odd.any():
        raise ValueError(f"{name} must be integers or text, got {given[odd][0]:g}")
    return own.astype(np.float64) if fit(own) else as_labels(own.tolist())
