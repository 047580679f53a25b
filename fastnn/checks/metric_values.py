"""Values that user-defined functions return."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np


def as_float(value: Any) -> float | None:
    """A number of any type, NaN included, as a float; None if it is not a number."""
    if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf":
        return float(value)
    return float(value) if isinstance(value, (numbers.Real, np.bool_)) else None
