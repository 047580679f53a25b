"""Weights for PyTorch: the state of a `torch.nn.Sequential` with the same layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.activation import Activation
from ..layers.base import walk
from ..layers.containers import Container
from ..layers.dropout import Dropout
from ..layers.embedding import EntityEmbedding
from ..layers.pooling import GlobalPooling, WindowPooling
from ..layers.reshaping import Flatten, Reshape, Select
from ..layers.resizing import Bordered, UpSampling
from .torch_layout import PARAMETERS, places

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..inference import Inference
    from ..layers.base import Layer

_POOLING = (WindowPooling, GlobalPooling)
# Layers that are modules without a state.
_STATELESS = (Activation, Dropout, Flatten, Reshape, Select, *_POOLING, UpSampling, Bordered)


def to_torch_state(model: Inference, as_numpy: bool = False) -> dict[str, Any]:
    """See `Model.to_torch_state`."""
    weighted_layers(model)
    model.state  # noqa: B018 - refuses a model that is not built
    assert model.input_shape is not None
    state: dict[str, NDArray[Any]] = {}
    for place in places(model.layers, model.input_shape):
        for module in place.modules():
            for one in place.parameters(module):
                values = place.to_torch(one, place.layer.views[one.own])
                state[place.key(module, one)] = np.array(values, order="C")
    if as_numpy:
        return state
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "to_torch_state needs PyTorch to make tensors; as_numpy=True gives arrays without it"
        ) from error
    return {key: torch.from_numpy(value) for key, value in state.items()}


def weighted_layers(model: Inference, others: tuple[type[Layer], ...] = ()) -> list[Layer]:
    """The layers with parameters, in their order; a ValueError unless all layers are of known kinds.

    `others` are kinds that have no module but do no harm.
    """
    known = (*PARAMETERS, *_STATELESS, Container, *others)
    found = [layer for _, layer in walk(model.layers)]
    for layer in found:
        if not isinstance(layer, known) or isinstance(layer, EntityEmbedding):
            hint = "; fn.Embedding behind fn.Select has" if isinstance(layer, EntityEmbedding) else ""
            raise ValueError(f"{layer.label} has no counterpart among PyTorch's modules with weights{hint}")
    return [layer for layer in found if isinstance(layer, tuple(PARAMETERS)) and layer.has_parameters]
