"""Training and validation samples."""

from __future__ import annotations

import math
from typing import Any

from ..checks import validate


def validation(data: Any, split: float, X: Any, y: Any, weight: Any) -> tuple[tuple[Any, ...], Any]:
    """The training samples, as (X, y, sample_weight), and the validation samples or None.

    `split` takes the last samples, as Keras does, before any shuffling.
    """
    split = validate.number("validation_split", split, low=0.0, below=1.0)
    if data is not None:
        if split:
            raise ValueError(
                f"validation_data and validation_split={split:g} were both given; give one of them"
            )
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise ValueError(f"validation_data must be (X, y) or (X, y, sample_weight), got {data!r}")
        return (X, y, weight), (*data, None)[:3]
    if not split:
        return (X, y, weight), None
    keep = kept(split, len(X))
    train = (X[:keep], y[:keep], None if weight is None else weight[:keep])
    return train, (X[keep:], y[keep:], None if weight is None else weight[keep:])


def kept(split: Any, n: int) -> int:
    """How many of `n` samples are used for training."""
    split = validate.number("validation_split", split, low=0.0, below=1.0)
    keep: int = n - math.ceil(n * split)
    if keep < 1:
        raise ValueError(f"validation_split={split:g} leaves none of {n} samples to train on")
    return keep
