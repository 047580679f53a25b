"""Weights of samples and classes, and the common scale that they lose on their way to a model's dtype.

The weighted mean of losses does not depend on the scale of all weights together, but float32 does: of
weights of 1e-42 it holds a digit or two, and the sum of some of 1e38 not at all. A factor that is a
power of two changes no other bit, so weights beyond `_COMMON` are multiplied with one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _validate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..layer import Layer
    from ..losses import Loss

# Powers of two between which the largest weight is left as it is: there is room for the sum of many
# samples, and for losses of any size.
_COMMON = {"float32": 32, "float64": 256}
# Those between which it must lie where its scale counts.
_ABSOLUTE = {"float32": 100, "float64": 900}


def sample_weights(sample_weight: Any, n: int, *, prefix: str = "") -> NDArray[Any] | None:
    """Checked weights of `n` samples, in the dtype that holds them as given; None where all are one."""
    if sample_weight is None:
        return None
    name = f"{prefix}sample_weight"
    is_float32 = getattr(sample_weight, "dtype", None) == np.float32
    result = _validate.array(name, sample_weight, "float32" if is_float32 else "float64", (1,))
    if result.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), got {result.shape}")
    _validate.finite(name, result)
    if result.min() < 0:
        raise ValueError(f"{name} must be >= 0, got {result.min():g}")
    return _not_all_zero(name, result)


def _not_all_zero(name: str, weight: NDArray[Any]) -> NDArray[Any]:
    """Weights of samples, of which one at least counts."""
    if not weight.any():
        raise ValueError(f"{name} must be > 0 for one sample at least, but is zero for all {len(weight)}")
    return weight


def scale_counts(loss: Loss, layers: Sequence[Layer] = ()) -> str:
    """What the common scale of the weights makes a difference to: the loss, or a penalty of `layers`."""
    if loss.is_sum:
        return f"the loss {loss.name!r}, a sum"
    if any(layer.penalties()[2] for layer in layers):
        return "the penalty alpha"
    return ""


def in_dtype(name: str, weight: NDArray[Any], dtype: str, counts: str = "") -> NDArray[Any]:
    """Weights of samples in a model's dtype, perhaps multiplied with a power of two.

    Parameters
    ----------
    name : str
        What messages call them.
    weight : array of shape (n,)
        Finite, >= 0, not all zero.
    dtype : str
    counts : str
        See `scale_counts`; such weights keep their scale.

    Raises
    ------
    ValueError
        If they must keep a scale with which the dtype cannot compute.
    """
    largest = float(weight.max())
    exponent = math.frexp(largest)[1]
    if counts and abs(exponent) > _ABSOLUTE[dtype]:
        limit = 2.0 ** _ABSOLUTE[dtype]
        other = "; or use dtype='float64'" if dtype == "float32" else ""
        raise ValueError(
            f"the largest of {name} must lie in {1 / limit:.2g} ... {limit:.2g} for {dtype}, since {counts}, "
            f"depends on it, got {largest:g}: multiply all weights with a number{other}"
        )
    if not counts and abs(exponent) > _COMMON[dtype]:
        weight = np.ldexp(weight, -exponent)
    with np.errstate(under="ignore"):
        return np.ascontiguousarray(weight, dtype)


def of_samples(
    sample_weight: Any, n: int, dtype: str, counts: str = "", *, prefix: str = ""
) -> NDArray[Any] | None:
    """`sample_weights`, then `in_dtype`."""
    weight = sample_weights(sample_weight, n, prefix=prefix)
    return None if weight is None else in_dtype(f"{prefix}sample_weight", weight, dtype, counts)


def counting(sample_weight: Any, n: int, dtype: str, keep: int | None = None) -> NDArray[np.bool_]:
    """Which of `n` samples count: of the first `keep`, those whose weight is more than zero."""
    result = np.ones(n, bool)
    result[n if keep is None else keep :] = False
    weight = sample_weights(sample_weight, n)
    if weight is not None:
        result[:keep] = in_dtype("sample_weight", weight[:keep], dtype) > 0
    return result


def of_training(
    weight: NDArray[Any] | None,
    class_weight: Any,
    y: NDArray[Any],
    loss: Loss,
    layers: Sequence[Layer],
    n_out: int,
) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """Weights of the samples to train on, in the dtype of their targets: as given, and times class weights.

    Parameters
    ----------
    weight : array of shape (n,) or None
        Of `sample_weights`, or some of them.
    class_weight : dict, "balanced" or None
    y : array of shape (n, n_targets)
        Checked targets.
    loss, layers, n_out
        Of the model: `n_out` is how many numbers it gives.
    """
    dtype, counts = y.dtype.name, scale_counts(loss, layers)
    if weight is not None:
        weight = in_dtype("sample_weight", _not_all_zero("sample_weight", weight), dtype, counts)
    if class_weight is None:
        return weight, weight
    by_class = _class_weights(class_weight, y, loss, max(n_out, 2))
    name = "class_weight" if weight is None else "class_weight times sample_weight"
    product = _not_all_zero(name, by_class if weight is None else by_class * weight)
    return weight, in_dtype(name, product, dtype, counts)


def _class_weights(class_weight: Any, y: NDArray[Any], loss: Loss, n_classes: int) -> NDArray[Any]:
    """Weight of each sample's class."""
    if loss.target == "values" or (loss.target == "shares" and y.shape[1] > 1):
        raise ValueError(f"class_weight needs one class a sample, which {loss.name!r} does not have here")
    classes = (y.argmax(axis=1) if y.shape[1] > 1 else y[:, 0]).astype(np.int64)
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"class_weight must be 'balanced' or a dict, got {class_weight!r}")
        counts = np.bincount(classes)
        return np.asarray(len(y) / (np.count_nonzero(counts) * counts[classes]))
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight must be 'balanced' or a dict, got {class_weight!r}")
    table = np.ones(n_classes)
    for label, weight in class_weight.items():
        if _validate.integer("a class", label, low=0) >= n_classes:
            raise ValueError(f"class_weight must be for classes 0 ... {n_classes - 1}, got {label!r}")
        table[label] = _validate.number(f"class_weight[{label!r}]", weight, low=0.0)
    return np.asarray(table[classes])
