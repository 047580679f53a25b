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


def require(what: str, head: Head, loss: Loss | None) -> None:
    """Raise a ValueError if a model with this head and loss tells no classes."""
    if head.target == "values":
        name = None if loss is None else loss.name
        losses = ", ".join(TABLE)
        raise ValueError(f"{what} needs a model with one of the losses {losses}, not {name}; use predict")


def by_class(head: Head, outputs: NDArray[Any]) -> NDArray[Any]:
    """`Model.predict_proba` of the outputs of a model with this head, of shape (n, n_out) or (n_out,)."""
    result = probabilities(head, outputs.reshape(-1, outputs.shape[-1]))
    if head.target == "shares" and result.shape[1] == 1:
        result = np.hstack([1 - result, result])
    return result.reshape(*outputs.shape[:-1], -1)


def numbers(head: Head, outputs: NDArray[Any]) -> Any:
    """`Model.predict_class` of the outputs of a model with this head, of shape (n, n_out) or (n_out,)."""
    if head.target == "classes":
        return outputs.argmax(axis=-1)
    labels = decisions(head, outputs.reshape(-1, outputs.shape[-1])).astype(np.int64)
    return labels.reshape(outputs.shape) if outputs.shape[-1] > 1 else labels.reshape(outputs.shape[:-1])[()]


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
    if head.target == "shares":
        return np.asarray(outputs > head.threshold)
    return np.asarray(np.arange(outputs.shape[1]) == outputs.argmax(axis=1)[:, np.newaxis])
