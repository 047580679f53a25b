"""Weights of 8 bits by samples: roundings that make up for one another in the outputs of a layer.

The rounding of a weight is compensated by the weights that are not rounded yet, as their inputs go together
in the samples: E. Frantar et al., *GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers*, ICLR 2023. What is left of the mean error goes into the bias: M. Nagel et al., *Data-Free
Quantization Through Weight Equalization and Bias Correction*, ICCV 2019. Layers are rounded from the first to
the last, each for the inputs that it gets from those before it. Smaller factors, which clip the largest
weights, lower the error no further.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.containers import Sequential
from ..layers.convolution import Conv1D, Conv2D
from ..layers.dense import Dense
from . import quantize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import ArrayLike, NDArray

    from ..inference import Inference
    from ..layers.base import Layer

_SAMPLES = 256  # at a time
_DAMPING = 0.01  # of the mean diagonal, which is added to it


def calibrated(model: Inference, X: ArrayLike) -> Inference:
    """A copy of a model that predicts with weights of 8 bits, chosen for samples.

    Those of `Dense`, and of `Conv1D` and `Conv2D` in one group, are; the others are those of
    `quantize.quantized`.
    """
    result = quantize.quantized(model)
    rows = np.asarray(X)
    rows = rows[np.newaxis] if rows.ndim == len(model.input_shape or ()) else rows
    for (layer, before), (original, _) in zip(
        _with_inputs(result.layers, None), _with_inputs(model.layers, None), strict=True
    ):
        moments = _moments(result, layer, before, rows)
        weights = original.views["weights"]
        matrix = weights.reshape(-1, weights.shape[-1]).astype(np.float64)
        has_bias = "bias" in layer.views
        mean, products = _centred(*moments) if has_bias else (0.0, moments[1] / moments[2])
        rounded = compensated(matrix, products)
        layer.views["weights"][...] = rounded.reshape(weights.shape)
        if has_bias:
            layer.views["bias"][...] = original.views["bias"] + mean @ (matrix - rounded)
    return result


def compensated(matrix: NDArray[np.float64], products: NDArray[np.float64]) -> NDArray[np.float64]:
    """A rounded matrix, for inputs whose products have these means."""
    factors = quantize.codes(matrix)[1]
    strength = np.diag(products).mean()
    damped = products + (_DAMPING * strength or 1.0) * np.eye(len(products))
    order = np.argsort(-np.diag(products), kind="stable")
    left, result = matrix[order], np.empty_like(matrix)
    upper = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    for i, place in enumerate(order):
        result[place] = factors * np.clip(np.rint(left[i] / factors), -quantize.LARGEST, quantize.LARGEST)
        left[i + 1 :] -= np.outer(upper[i, i + 1 :], (left[i] - result[place]) / upper[i, i])
    return result


def _with_inputs(
    layers: Iterable[Layer], before: Layer | None
) -> Iterator[tuple[Dense | Conv1D | Conv2D, Layer | None]]:
    """Layers that are rounded, and those whose outputs they read; None is the input of the model."""
    for layer in layers:
        if isinstance(layer, Dense) or (isinstance(layer, (Conv1D, Conv2D)) and layer.groups == 1):
            yield layer, before
        elif isinstance(layer, Sequential):
            yield from _with_inputs(layer.layers, before)
        else:
            for child in layer.children.values():  # branches, all of which read the same
                yield from _with_inputs([child], before)
        before = layer


def _moments(
    model: Inference, layer: Dense | Conv1D | Conv2D, before: Layer | None, rows: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Sum and sum of products of what the weights are multiplied with, and how many of these there are."""
    n = int(np.prod(layer.views["weights"].shape[:-1]))
    total, products, count = np.zeros(n), np.zeros((n, n)), 0
    for start in range(0, len(rows), _SAMPLES):
        given = rows[start : start + _SAMPLES]
        x = np.asarray(given if before is None else model.outputs(given, [before])[0], np.float64)
        values = (x if isinstance(layer, Dense) else windows(layer, x)).reshape(-1, n)
        total, products, count = total + values.sum(0), products + values.T @ values, count + len(values)
    return total, products, count


def _centred(
    total: NDArray[np.float64], products: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean = total / count
    return mean, products / count - np.outer(mean, mean)


def windows(layer: Conv1D | Conv2D, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inputs of each output, in the order of the weights."""
    axes, sizes = layer.windows_of(x.shape[1:]), x.shape[1:-1]
    settings = list(zip(layer.kernel_size, layer.strides, layer.dilation_rate, axes, sizes, strict=True))
    ends = [(axis.output - 1) * stride + (k - 1) * step + 1 for k, stride, step, axis, _ in settings]
    pads = [
        (axis.before, max(0, end - axis.before - size))
        for end, (*_, axis, size) in zip(ends, settings, strict=True)
    ]
    padded = np.pad(x, [(0, 0), *pads, (0, 0)])
    parts = []
    for offsets in itertools.product(*map(range, layer.kernel_size)):
        places = (
            slice(at * step, at * step + (axis.output - 1) * stride + 1, stride)
            for at, (_, stride, step, axis, _) in zip(offsets, settings, strict=True)
        )
        parts.append(padded[(slice(None), *places)])
    return np.concatenate(parts, axis=-1)
