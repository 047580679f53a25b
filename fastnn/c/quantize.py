"""Weights as integers of 8 bits, with a scale for each column; the sums stay floating-point numbers."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.attention import MultiHeadAttention
from ..layers.base import walk
from ..layers.convolution import Conv1D, Conv2D
from ..layers.dense import Dense
from ..layers.depthwise import SeparableConv2D

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ..inference import Inference

LARGEST = 127
_ROUNDED = 1e-3  # how near to integers a column is that is rounded already
#: Parameters whose last axis is that of the outputs of a product.
MATRICES = {
    Dense: ("weights",),
    Conv1D: ("weights",),
    Conv2D: ("weights",),
    SeparableConv2D: ("pointwise_weights",),
    MultiHeadAttention: ("projection_weights", "output_weights"),
}


def codes(weights: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Integers of the shape of weights, and the factor of each column: ``weights ~ codes * factors``.

    Columns that are integers times a factor already keep these.
    """
    values = np.asarray(weights, np.float64)
    columns = values.reshape(-1, values.shape[-1])
    largest = np.abs(columns).max(axis=0)
    largest[largest == 0] = LARGEST
    factors = largest / LARGEST
    left = np.arange(len(factors))
    for count in range(LARGEST, 0, -1):
        for rows in (columns[:32], columns):  # few suffice to say no
            units = rows[:, left] * (count / largest[left])
            near = (np.abs(units - np.rint(units)) <= _ROUNDED).all(axis=0)
            if not near.any():
                break
        factors[left[near]] = largest[left[near]] / count
        left = left[~near]
    return np.rint(values / factors).astype(np.int8), factors


def quantized(model: Inference) -> Inference:
    """A copy of a model that predicts with the weights that `codes` stand for."""
    result = copy.deepcopy(model)
    for view in _matrices(result):
        integers, factors = codes(view)
        view[...] = integers * factors
    return result


def _matrices(model: Inference) -> Iterator[NDArray[Any]]:
    for _, layer in walk(model.layers):
        for kind, names in MATRICES.items():
            if isinstance(layer, kind):
                yield from (layer.views[name] for name in names)


def saved(model: Inference) -> int:
    """Bytes that codes and factors take less than the weights."""
    size = np.dtype(model.dtype).itemsize
    return sum((size - 1) * view.size - size * view.shape[-1] for view in _matrices(model))
