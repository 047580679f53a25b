"""Figures that a user's own code gives."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np


def as_float(value: Any) -> float | None:
    """A number of any kind, also NaN, as a float; None if it is none."""
    if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf":
        return float(value)
    return float(value) if isinstance(value, (numbers.Real, np.bool_)) else None
