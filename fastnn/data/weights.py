"""Weights of samples and classes, and their common scale, which a conversion to float32 can destroy.

The weighted mean of losses does not depend on a common scale of all weights, but float32 does: it holds
weights of 1e-42 to a digit or two, and cannot hold the sum of several of 1e38. A factor that is a power of
two changes only the exponents, so weights beyond `_COMMON` are multiplied by one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..checks import validate
from ..memory.buffers import dtype_name
from . import array_checks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..losses import Loss

# Exponents of two between which the largest weight is not scaled: there is room for the sum of many samples,
# and for losses of any size.
_COMMON = {"float32": 32, "float64": 256}
# Those between which it must be where the scale matters.
_ABSOLUTE = {"float32": 100, "float64": 900}


class Layer(Protocol):
    """What this module needs of a layer."""

    def penalties(self) -> tuple[float, float, float]:
        """Factors l1, l2 and alpha of the penalty on its weights."""


def sample_weights(sample_weight: Any, n: int, *, prefix: str = "", outputs: int = 0) -> NDArray[Any] | None:
    """Checked weights of `n` samples, in the dtype that holds them as given; None where all are one.

    Of shape (n,), or (n, outputs) with a weight for each of several outputs: see `of_outputs`.
    """
    weight = _checked(sample_weight, n, prefix=prefix, outputs=outputs)
    return None if weight is None else _not_all_zero(f"{prefix}sample_weight", weight)


def _checked(sample_weight: Any, n: int, *, prefix: str, outputs: int) -> NDArray[Any] | None:
    """The same for weights that may all be zero."""
    if sample_weight is None:
        return None
    name = f"{prefix}sample_weight"
    is_float32 = getattr(sample_weight, "dtype", None) == np.float32
    ndim = (1, 2) if outputs else (1,)
    result = array_checks.array(name, sample_weight, "float32" if is_float32 else "float64", ndim)
    result = result.reshape(n) if outputs == 1 and result.shape == (n, 1) else result
    if result.shape not in ((n,), (n, outputs)):
        other = f" or ({n}, {outputs})" if outputs > 1 else ""
        raise ValueError(f"{name} must have shape ({n},){other}, got {result.shape}")
    array_checks.finite(name, result)
    if result.min() < 0:
        raise ValueError(f"{name} must be >= 0, got {result.min():g}")
    return result


def _not_all_zero(name: str, weight: NDArray[Any]) -> NDArray[Any]:
    """Weights of samples, at least one of which is not zero."""
    if not weight.any():
        raise ValueError(f"{name} must be > 0 for at least one sample, but is zero for all {len(weight)}")
    return weight


def of_outputs(loss: Loss, n_out: int) -> int:
    """How many weights a sample may have: one per output, or 0 if the outputs have a loss together."""
    return 0 if loss.target == "classes" or loss.rowwise else n_out


def times(*factors: NDArray[Any] | None) -> NDArray[Any] | None:
    """Product of weights of samples or outputs; None stands for ones."""
    given = [factor for factor in factors if factor is not None]
    if not given:
        return None
    if len({factor.ndim for factor in given}) > 1:
        given = [factor if factor.ndim == 2 else factor[:, np.newaxis] for factor in given]
    product = given[0]
    for factor in given[1:]:
        product = product * factor
    return product


def scale_counts(loss: Loss, layers: Sequence[Layer] = ()) -> str:
    """What depends on the common scale of the weights: the loss, a penalty of `layers`, or nothing."""
    if loss.is_sum:
        return f"the loss {loss.name!r}, a sum"
    if any(layer.penalties()[2] for layer in layers):
        return "the penalty alpha"
    return ""


def in_dtype(name: str, weight: NDArray[Any], dtype: str, counts: str = "") -> NDArray[Any]:
    """Weights of samples in a model's dtype, multiplied by a power of two if needed.

    Parameters
    ----------
    name : str
        Their name in messages.
    weight : array of shape (n,) or (n, n_out)
        Finite, >= 0, not all zero.
    dtype : str
    counts : str
        See `scale_counts`; such weights keep their scale.

    Raises
    ------
    ValueError
        If their scale matters and is too large or too small for the dtype.
    """
    largest = float(weight.max())
    exponent = math.frexp(largest)[1]
    if counts and abs(exponent) > _ABSOLUTE[dtype]:
        limit = 2.0 ** _ABSOLUTE[dtype]
        other = "; or use dtype='float64'" if dtype == "float32" else ""
        raise ValueError(
            f"the largest of {name} must be in {1 / limit:.2g} ... {limit:.2g} for {dtype}, since {counts}, "
            f"depends on it, got {largest:g}: multiply all weights by a number{other}"
        )
    if not counts and abs(exponent) > _COMMON[dtype]:
        weight = np.ldexp(weight, -exponent)
    with np.errstate(under="ignore"):
        return np.ascontiguousarray(weight, dtype)


def of_samples(
    sample_weight: Any,
    n: int,
    dtype: str,
    counts: str = "",
    *,
    prefix: str = "",
    outputs: int = 0,
    present: NDArray[Any] | None = None,
) -> NDArray[Any] | None:
    """`sample_weights`, set to 0 where targets are missing, then `in_dtype`."""
    weight = times(sample_weights(sample_weight, n, prefix=prefix, outputs=outputs), present)
    if weight is None:
        return None
    name = f"{prefix}sample_weight"
    return in_dtype(name, _not_all_zero(name, weight), dtype, counts)


def counting(sample_weight: Any, n: int, dtype: str, keep: int | None = None) -> NDArray[np.bool_]:
    """Which of `n` samples count: those among the first `keep` with a weight above zero."""
    result = np.ones(n, bool)
    result[n if keep is None else keep :] = False
    outputs = np.shape(sample_weight)[1] if np.ndim(sample_weight) == 2 else 0  # checked later
    weight = sample_weights(sample_weight, n, outputs=outputs)
    if weight is not None:
        counts = in_dtype("sample_weight", weight[:keep], dtype) > 0
        result[:keep] = counts if counts.ndim == 1 else counts.any(axis=1)
    return result


def of_training(
    weight: NDArray[Any] | None,
    present: NDArray[Any] | None,
    class_weight: Any,
    y: NDArray[Any],
    loss: Loss,
    layers: Sequence[Layer],
    n_out: int,
) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """Weights for training, in the dtype of the targets: of the rows, and the product with all others.

    Parameters
    ----------
    weight : array of shape (n,) or (n, n_out), or None
        Result of `sample_weights`, or a part of it.
    present : array of shape (n,) or (n, n_out), or None
        0 for missing targets: see `data.missing`.
    class_weight : dict, "balanced", list of these, or None
    y : array of shape (n, n_targets)
        Checked targets.
    loss, layers, n_out
        Of the model; `n_out` is its number of outputs.
    """
    dtype, counts = dtype_name(y.dtype), scale_counts(loss, layers)
    rows = None
    if weight is not None:
        weight = in_dtype("sample_weight", _not_all_zero("sample_weight", weight), dtype, counts)
        rows = weight if weight.ndim == 1 else np.ascontiguousarray(weight.mean(axis=1))
    if class_weight is None and present is None:
        return rows, weight
    by_class = None if class_weight is None else _class_weights(class_weight, y, present, loss, max(n_out, 2))
    given = {"class_weight": by_class, "sample_weight": weight, "whether a target is missing": present}
    name = " times ".join(name for name, factor in given.items() if factor is not None)
    product = times(*given.values())
    assert product is not None
    return rows, in_dtype(name, _not_all_zero(name, product), dtype, counts)


def of_part(sample_weight: Any, n: int, dtype: str, *, prefix: str = "") -> NDArray[Any] | None:
    """A weight for each sample of a part, which may all be zero; the mean if the outputs have their own."""
    outputs = np.shape(sample_weight)[1] if np.ndim(sample_weight) == 2 else 0  # checked later
    weight = _checked(sample_weight, n, prefix=prefix, outputs=outputs)
    if weight is None:
        return None
    return np.ascontiguousarray(weight if weight.ndim == 1 else weight.mean(axis=1), dtype)


def of_batch(
    sample_weight: Any,
    present: NDArray[Any] | None,
    class_weight: Any,
    y: NDArray[Any],
    loss: Loss,
    n_out: int,
    *,
    prefix: str = "",
) -> NDArray[Any] | None:
    """The product of all weights of a part of the samples, which may all be zero; None where all are one.

    Parameters
    ----------
    sample_weight : array of shape (n,) or (n, n_out), or None
        As given.
    present, class_weight, y, loss, n_out
        As for `of_training`; the class weights are not "balanced", which needs all samples.
    """
    dtype, outputs = dtype_name(y.dtype), of_outputs(loss, n_out)
    weight = _checked(sample_weight, len(y), prefix=prefix, outputs=outputs)
    by_class = None if class_weight is None else _class_weights(class_weight, y, present, loss, max(n_out, 2))
    product = times(by_class, weight, present)
    return None if product is None else np.ascontiguousarray(product, dtype)


def _class_weights(
    class_weight: Any, y: NDArray[Any], present: NDArray[Any] | None, loss: Loss, n_classes: int
) -> NDArray[Any]:
    """Weight of each sample's class, of shape (n,), or of each of its labels, of shape (n, n_out)."""
    if loss.target == "values":
        raise ValueError(f"class_weight needs classes, which {loss.name!r} does not have")
    found = classes(y, loss)
    if loss.target in ("classes", "ranks"):
        return _of_column(class_weight, found, present, n_classes + (loss.target == "ranks"))
    if found.ndim == 1:
        return _of_column(class_weight, found, present, n_classes)
    each = class_weight if isinstance(class_weight, (list, tuple)) else [class_weight] * y.shape[1]
    if len(each) != y.shape[1]:
        raise ValueError(
            f"class_weight must have one entry for each of the {y.shape[1]} labels, got {len(each)}"
        )
    columns = [None] * len(each) if present is None else present.T
    parts = zip(each, found.T, columns, strict=True)
    return np.stack([_of_column(own, label, there, 2) for own, label, there in parts], axis=1)


def classes(y: NDArray[Any], loss: Loss) -> NDArray[np.int64]:
    """The class of each sample, of shape (n,), or whether it has each label, of shape (n, n_out)."""
    if loss.target in ("classes", "ranks"):
        return y.argmax(axis=1) if y.shape[1] > 1 else y[:, 0].astype(np.int64)
    labels: NDArray[np.int64] = (y > 0.5).astype(np.int64)
    return labels[:, 0] if y.shape[1] == 1 else labels


def _of_column(
    class_weight: Any, classes: NDArray[np.int64], present: NDArray[Any] | None, n_classes: int
) -> NDArray[Any]:
    """Weight of each sample, by its class."""
    if isinstance(class_weight, str):
        validate.choice("class_weight", class_weight, ("balanced",), also=" or a dict")
        counts = np.bincount(
            classes if present is None else classes[present > 0], minlength=classes.max() + 1
        )
        # A class whose targets are all missing has no weight in any case.
        return np.asarray(counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1)[classes]))
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight must be 'balanced' or a dict, got {class_weight!r}")
    table = np.ones(n_classes)
    for label, weight in class_weight.items():
        if validate.integer("a class", label, low=0) >= n_classes:
            raise ValueError(f"class_weight must be for classes 0 ... {n_classes - 1}, got {label!r}")
        table[label] = validate.number(f"class_weight[{label!r}]", weight, low=0.0)
    return np.asarray(table[classes])
