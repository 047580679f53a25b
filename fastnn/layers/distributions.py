"""What outputs say of the distribution of a target, by the loss that they are trained with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.head import Head
    from ..losses import Loss

    #: From outputs of shape (n, n_out) and the loss to arrays by names; the targets are the last axis.
    Meaning = Callable[[NDArray[Any], Loss], dict[str, NDArray[Any]]]


def _gaussian(y: NDArray[Any], loss: Loss) -> dict[str, NDArray[Any]]:
    mean, log_variance = np.split(y, 2, axis=1)
    return {"mean": mean, "std": np.sqrt(_variance(log_variance, loss))}


def _variance(log_variance: NDArray[Any], loss: Loss) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        return np.asarray(np.maximum(np.exp(log_variance), log_variance.dtype.type(loss.settings["eps"])))


def _quantiles(y: NDArray[Any], loss: Loss) -> dict[str, NDArray[Any]]:
    found = y.reshape(len(y), loss.blocks, -1)
    if loss.settings["noncrossing"]:
        above = found[:, 1:]
        steps = np.maximum(above, 0) + np.log1p(np.exp(-abs(above)))
        found = np.cumsum(np.concatenate([found[:, :1], steps], axis=1), axis=1, dtype=y.dtype)
    return {"quantiles": found}


def _mixture(y: NDArray[Any], loss: Loss) -> dict[str, NDArray[Any]]:
    count = loss.blocks
    logits, log_variance = y[:, :count], y[:, count : 2 * count]
    means = y[:, 2 * count :].reshape(len(y), -1, count).transpose(0, 2, 1)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    variance = _variance(log_variance, loss)
    mean = np.einsum("ni,nij->nj", shares, means)
    spread = np.einsum("ni,nij->nj", shares, (means - mean[:, np.newaxis]) ** 2)
    within = np.einsum("ni,ni->n", shares, variance)[:, np.newaxis]
    return {
        "mean": mean,
        "std": np.sqrt(spread + within),
        "weights": shares,
        "means": means,
        "stds": np.sqrt(variance),
    }


def _poisson(y: NDArray[Any], loss: Loss) -> dict[str, NDArray[Any]]:
    mean = np.exp(y)
    return {"mean": mean, "std": np.sqrt(mean)}


#: By the name of the loss.
TABLE: dict[str, Meaning] = {
    "gaussian_nll": _gaussian,
    "mixture_density": _mixture,
    "poisson": _poisson,
    "quantiles": _quantiles,
    "quantile": lambda y, loss: {"quantiles": y[:, np.newaxis]},
}
_BY_COMPONENT = ("weights", "stds")  # which have no axis for the targets


def require(head: Head, loss: Loss | None) -> None:
    """Raise a ValueError if a model with this head and loss predicts no distribution."""
    if loss is None or (loss.name not in TABLE and not classes.are_known(head)):
        known = ", ".join(sorted({*TABLE, *classes.LOSSES}))
        name = None if loss is None else loss.name
        raise ValueError(f"predict_distribution needs a model with one of the losses {known}, not {name}")


def of(head: Head, loss: Loss, outputs: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """`Model.predict_distribution` of the outputs of a model, of shape (n, n_out) or (n_out,)."""
    if loss.name not in TABLE:
        return {"probabilities": classes.by_class(head, outputs)}
    rows = outputs.reshape(-1, outputs.shape[-1])
    single, found = outputs.ndim == 1, TABLE[loss.name](rows, loss)
    result = {}
    for name, values in found.items():
        if values.shape[-1] == 1 and name not in _BY_COMPONENT:  # a single target
            values = values[..., 0]
        result[name] = values[0] if single else values
    return result
