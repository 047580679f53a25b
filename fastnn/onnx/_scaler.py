"""Scalers of other libraries as ``(x - shift) / scale`` of the columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import array_checks
from ..layers.scaling import Scaling

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def shift_and_scale(scaler: Any, n_in: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shift and scale of a fitted scaler, both of shape (n_in,).

    Scalers of scikit-learn are recognized by names and attributes; it is not imported.

    Raises
    ------
    TypeError
        If it is not one of those that `fastnn.onnx.export` supports.
    ValueError
        If it is not fitted, or was fitted to another number of columns.
    """
    kind = type(scaler).__name__
    if isinstance(scaler, Scaling):
        given = scaler.shift_and_scale()
    elif kind not in _SKLEARN:
        known = ", ".join(["Standardize", "MinMax", *_SKLEARN])
        raise TypeError(f"scaler must be one of {known}, got {scaler!r}")
    elif not hasattr(scaler, "n_features_in_"):
        raise ValueError(f"the scaler is not fitted yet: {scaler!r}")
    elif getattr(scaler, "clip", False):
        raise ValueError(f"a scaler that clips is not supported: {scaler!r}")
    else:
        given = _SKLEARN[kind](scaler)
    shift, scale = (_full(values, n_in) for values in given)
    if (scale == 0).any():
        raise ValueError(f"the scaler makes column {int(np.argmin(scale != 0))} infinite: {scaler!r}")
    return shift, scale


def _full(values: Any, n_in: int) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.ndim == 0:
        return np.full(n_in, array)
    if array.shape != (n_in,):
        raise ValueError(f"the scaler is fitted to {array.size} columns, but the model's input has {n_in}")
    array_checks.finite("the scaler's numbers", array)
    return array


def _or(value: Any, other: float) -> Any:
    """A default for attributes that are None if the scaler skips a step."""
    return other if value is None else value


def _min_max(scaler: Any) -> tuple[Any, Any]:
    """It computes ``x * scale_ + min_``."""
    scale = 1 / np.asarray(scaler.scale_, np.float64)
    return -scaler.min_ * scale, scale


# Shift and scale of scikit-learn's scalers.
_SKLEARN: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "StandardScaler": lambda scaler: (scaler.mean_ if scaler.with_mean else 0.0, _or(scaler.scale_, 1.0)),
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": lambda scaler: (0.0, scaler.scale_),
    "RobustScaler": lambda scaler: (_or(scaler.center_, 0.0), _or(scaler.scale_, 1.0)),
}
