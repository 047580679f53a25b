"""What a model's outputs say of classes: probabilities, votes and class numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import calls, network
from .buffers import empty
from .layers import Activation
from .plan import plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .head import Head


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
    return _activated("softmax" if head.target == "classes" else "sigmoid", outputs)


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


def _activated(name: str, x: NDArray[Any]) -> NDArray[Any]:
    """An activation of `x`, of shape (n, width)."""
    dtype, nothing = x.dtype.name, np.zeros(0, x.dtype)
    layout = plan([Activation(name)], x.shape[1], len(x), dtype, training=False)
    net = network.network(layout, nothing, constants=nothing, batch_size=len(x))
    out = empty(x.shape, dtype, "the output")
    calls.predict(net, x, out)
    return out
