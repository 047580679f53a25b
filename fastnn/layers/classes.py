"""What a model's outputs say of classes: probabilities, votes and class numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine import weightless
from .activation import Activation
from .head import TABLE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.head import Head
    from ..losses import Loss


#: Those that tell probabilities of classes.
LOSSES = (*(name for name, row in TABLE.items() if row.takes != "scores"), "corn")


def are_known(head: Head) -> bool:
    """Whether a model with this head tells probabilities of classes."""
    return head.target != "values" and head.output != "scores"


def require(what: str, head: Head, loss: Loss | None) -> None:
    """Raise a ValueError if a model with this head and loss tells no classes or no probabilities."""
    if head.output == "scores" and what == "predict_proba":
        assert loss is not None
        raise ValueError(f"{loss.name!r} gives scores, not probabilities; use predict_class or predict")
    if head.target == "values":
        name = None if loss is None else loss.name
        losses = ", ".join(LOSSES)
        raise ValueError(f"{what} needs a model with one of the losses {losses}, not {name}; use predict")


def by_class(head: Head, outputs: NDArray[Any]) -> NDArray[Any]:
    """`Model.predict_proba` of the outputs of a model with this head, of shape (n, n_out) or (n_out,)."""
    rows = outputs.reshape(-1, outputs.shape[-1])
    result = _of_ranks(rows) if head.target == "ranks" else probabilities(head, rows)
    if head.target == "shares" and result.shape[1] == 1:
        result = np.hstack([1 - result, result])
    return result.reshape(*outputs.shape[:-1], -1)


def numbers(head: Head, outputs: NDArray[Any]) -> Any:
    """`Model.predict_class` of the outputs of a model with this head, of shape (n, n_out) or (n_out,)."""
    if head.target == "classes":
        return outputs.argmax(axis=-1)
    if head.target == "ranks":  # as many as are more probable than not to be passed
        above = _more_than(outputs.reshape(-1, outputs.shape[-1])) > _HALF
        return above.sum(axis=1).reshape(outputs.shape[:-1])[()]
    labels = decisions(head, outputs.reshape(-1, outputs.shape[-1])).astype(np.int64)
    return labels.reshape(outputs.shape) if outputs.shape[-1] > 1 else labels.reshape(outputs.shape[:-1])[()]


_HALF = 0.5


def _more_than(outputs: NDArray[Any]) -> NDArray[Any]:
    """Probabilities of more than each rank but the last, of outputs of shape (n, n_ranks - 1) for `corn`."""
    return np.cumprod(weightless.outputs([Activation("sigmoid")], outputs), axis=1)


def _of_ranks(outputs: NDArray[Any]) -> NDArray[Any]:
    """Probabilities of the ranks."""
    above = _more_than(outputs)
    ones, zeros = np.ones((len(above), 1), above.dtype), np.zeros((len(above), 1), above.dtype)
    return np.asarray(np.hstack([ones, above]) - np.hstack([above, zeros]))


def probabilities(head: Head, outputs: NDArray[Any]) -> NDArray[Any]:
    """Probabilities of the classes or labels, one for each output of a model with this head.

    Parameters
    ----------
    head : Head
        Not of values.
    outputs : C-contiguous array of shape (n, n_out)

    Returns
    -------
    array of shape (n, n_out)
        Of the same dtype; `outputs` itself if it holds probabilities.
    """
    if head.output == "probabilities":
        return outputs
    if head.output == "log_probabilities":
        return np.asarray(np.exp(outputs))
    name = "softmax" if head.target == "classes" else "sigmoid"
    return weightless.outputs([Activation(name)], outputs)


def decisions(head: Head, outputs: NDArray[Any]) -> NDArray[Any]:
    """Which class each row of `outputs` is told to be, or which labels.

    Returns
    -------
    array of shape (n, n_out)
        Of bools: one True in a row where the outputs are classes, any number of them where they are labels.
    """
    if head.target in ("shares", "signs"):
        return np.asarray(outputs > head.threshold)
    return np.asarray(np.arange(outputs.shape[1]) == outputs.argmax(axis=1)[:, np.newaxis])
