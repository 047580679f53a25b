"""Weights for PyTorch: the state of a `torch.nn.Sequential` with the same layers.

PyTorch's `Linear` keeps its weights as (out, in), `fastnn.Dense` as (in, out): they are transposed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.activation import Activation
from ..layers.dense import Dense
from ..layers.dropout import Dropout
from ..layers.normalization import LayerNormalization

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..inference import Inference
    from ..layers.base import Layer


#: What PyTorch calls the parameters of a `Linear` and of a `LayerNorm`.
LINEAR = {"weights": "weight", "bias": "bias"}
NORMALIZATION = {"gamma": "weight", "beta": "bias"}


def to_torch_state(model: Inference, as_numpy: bool = False) -> dict[str, Any]:
    """See `Model.to_torch_state`."""
    weighted_layers(model, (Dense, LayerNormalization, Activation, Dropout))
    model.state  # noqa: B018 - refuses a model that is not built
    state: dict[str, NDArray[Any]] = {}
    number = 0
    for layer in model.layers:
        for name, view in layer.views.items():
            state[f"{number}.{torch_names(layer)[name]}"] = np.ascontiguousarray(view.T).copy()
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


def torch_names(layer: Layer) -> dict[str, str]:
    """PyTorch's names of a layer's parameters."""
    return NORMALIZATION if isinstance(layer, LayerNormalization) else LINEAR


def weighted_layers(model: Inference, known: tuple[type[Layer], ...]) -> list[Layer]:
    """The layers with parameters; a ValueError unless all layers are of known kinds."""
    for layer in model.layers:
        if not isinstance(layer, known):
            raise ValueError(
                f"{layer!r} has no counterpart in a state of Linear and LayerNorm layers in a Sequential"
            )
    return [layer for layer in model.layers if isinstance(layer, (Dense, LayerNormalization))]
