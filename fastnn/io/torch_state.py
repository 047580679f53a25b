"""Weights for PyTorch: the state of a `torch.nn.Sequential` with the same layers.

PyTorch's `Linear` keeps its weights as (out, in), `fastnn.Dense` as (in, out): they are transposed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.activation import Activation
from ..layers.dense import Dense
from ..layers.dropout import Dropout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..inference import Inference
    from ..layers.base import Layer


def to_torch_state(model: Inference, as_numpy: bool = False) -> dict[str, Any]:
    """See `Model.to_torch_state`."""
    dense_layers(model, (Dense, Activation, Dropout))
    model.state  # noqa: B018 - refuses a model that is not built
    state: dict[str, NDArray[Any]] = {}
    number = 0
    for layer in model.layers:
        if isinstance(layer, Dense):
            state[f"{number}.weight"] = np.ascontiguousarray(layer.weights.T).copy()
            if layer.use_bias:
                state[f"{number}.bias"] = layer.bias.copy()
        number += _modules(layer)
    if as_numpy:
        return state
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "to_torch_state needs PyTorch to make tensors; as_numpy=True gives arrays without it"
        ) from error
    return {key: torch.from_numpy(value) for key, value in state.items()}


def _modules(layer: Layer) -> int:
    """Number of modules of a `Sequential` that correspond to a layer."""
    if isinstance(layer, Dense) and layer.activation is not None:
        return 1 if layer.activation.name == "identity" else 2
    return 1


def dense_layers(model: Inference, known: tuple[type[Layer], ...]) -> list[Dense]:
    """The layers with weights; a ValueError unless all layers are of known kinds."""
    for layer in model.layers:
        if not isinstance(layer, known):
            raise ValueError(f"{layer!r} has no counterpart in a state of Linear layers")
    return [layer for layer in model.layers if isinstance(layer, Dense)]
