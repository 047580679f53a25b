"""The data that the page offers: functions of `fastnn.datasets`, or points that the user placed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import datasets
from .settings import REACH, Settings

SAMPLES = 100  # of each class, or of each row of the truth table


@dataclass(frozen=True)
class Points:
    """Samples to train on, others to validate with, and the part of the plane that is drawn.

    Points that the user placed are all for training: `X_val` is empty.
    """

    X: NDArray[Any]
    y: NDArray[Any]
    X_val: NDArray[Any]
    y_val: NDArray[Any]
    low: float
    high: float


def arguments(settings: Settings, seed: int) -> dict[str, Any]:
    """What the function of `fastnn.datasets` is called with."""
    classes = {} if settings.data == "xor" else {"classes": settings.n_classes}
    return {"samples": SAMPLES, **classes, "seed": seed, "noise": float(settings.noise)}


def seeds(settings: Settings) -> tuple[int, int]:
    """Of the training samples, and of those for validation."""
    return settings.seed, settings.seed + 1


def drawn(settings: Settings) -> Points:
    """The data of some settings."""
    if settings.data == "own":
        placed = np.array(settings.points, dtype=np.float64).reshape(-1, 3)
        X, y = placed[:, :2].astype(np.float32), placed[:, 2].astype(np.int64)
        return Points(X, y, X[:0], y[:0], -REACH, REACH)
    make = getattr(datasets, settings.data)
    (X, y), (X_val, y_val) = (make(**arguments(settings, seed)) for seed in seeds(settings))
    low, high = (-0.6, 1.6) if settings.data == "xor" else (-REACH, REACH)
    return Points(X, y.ravel().astype(np.int64), X_val, y_val.ravel().astype(np.int64), low, high)
