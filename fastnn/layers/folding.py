"""Batch normalization folded into the weights of the layer before it, for export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .batch_normalization import BatchNormalization
from .convolution import Conv1D, Conv2D
from .dense import Dense

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from .base import Layer

    #: A layer, and its parameters by name.
    WithParameters = tuple[Layer, Mapping[str, NDArray[Any]]]

# Layers with `weights`, whose last axis is that of the outputs, and an optional `bias`.
_INTO = (Dense, Conv1D, Conv2D)


def folded(layers: Sequence[Layer]) -> Iterator[WithParameters]:
    """Layers of a built model in a row, with their parameters; without `BatchNormalization` where it can be.

    It is then part of the weights and the bias of the layer before it, in float64.
    """
    skipped = False
    for layer, behind in zip(layers, [*layers[1:], None], strict=True):
        if skipped:
            skipped = False
        elif isinstance(behind, BatchNormalization) and isinstance(layer, _INTO) and _is_linear(layer):
            skipped = True
            yield layer, _fold(layer.views, behind)
        else:
            yield layer, layer.views


def _is_linear(layer: Dense | Conv1D | Conv2D) -> bool:
    return layer.activation is None or layer.activation.name == "identity"


def _fold(views: Mapping[str, NDArray[Any]], norm: BatchNormalization) -> dict[str, NDArray[Any]]:
    factor, offset = affine(norm)
    bias = views["bias"].astype(np.float64) if "bias" in views else 0.0
    return {"weights": views["weights"] * factor, "bias": bias * factor + offset}


def affine(norm: BatchNormalization) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factor and offset of each channel: what a prediction multiplies by, and then adds."""
    own = {name: view.astype(np.float64) for name, view in norm.views.items()}
    factor = own.get("gamma", 1.0) / np.sqrt(own["moving_variance"] + norm.epsilon)
    return factor, own.get("beta", 0.0) - own["moving_mean"] * factor
