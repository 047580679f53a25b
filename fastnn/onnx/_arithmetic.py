"""Elementwise operators: sums, limits, and combinations of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper

from .. import activations
from . import _import_pools
from ._assembly import Assembly
from ._call import Call
from ._layout import BATCH
from ._rows import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._call import Value


_FARTHEST = 1e38  # beyond it there are hardly any float32 numbers
_COARSE = 1000.0  # with larger bounds, values near 0 would lose more than 4 digits


def _aligned(call: Call, constant: NDArray[Any], other: Rows) -> NDArray[Any]:
    """A constant, with its first axis aligned with the axis that old opset versions name."""
    axis = call.attributes.get("axis")
    if axis is None or constant.ndim == 0:
        return constant
    after = len(other.sizes) - axis - constant.ndim
    if call.opset >= 7 or not 0 <= after <= len(other.sizes):
        raise ValueError(f"it names axis {axis} for a constant of shape {constant.shape}")
    return constant.reshape(constant.shape + (1,) * after)


def _two(call: Call) -> tuple[Any, Any]:
    """Both inputs; a constant is aligned with a tensor."""
    first, second = call.inputs
    if isinstance(first, Rows) and isinstance(second, np.ndarray):
        second = call.assembly.numbers("the constant", _aligned(call, second, first))
    elif isinstance(second, Rows) and isinstance(first, np.ndarray):
        first = call.assembly.numbers("the constant", first)
    return first, second


def _folded(call: Call, function: Callable[..., Any]) -> NDArray[Any]:
    """The result of an operator on constants."""
    values = [call.constant(place) for place in range(len(call.inputs))]
    if any(value.dtype.kind not in "fi" for value in values):
        raise ValueError("it computes something of sizes or truths")
    call.assembly.use(int(np.prod(np.broadcast_shapes(*(value.shape for value in values)))))
    with np.errstate(all="ignore"):
        return np.asarray(function(*values), values[0].dtype)


def add(call: Call) -> Value:
    first, second = _two(call)
    if isinstance(first, Rows) and isinstance(second, Rows):
        return call.assembly.sum(first, second)
    if isinstance(first, Rows):
        return call.assembly.plus(first, second)
    return call.assembly.plus(second, first) if isinstance(second, Rows) else _folded(call, np.add)


def subtract(call: Call) -> Value:
    first, second = _two(call)
    if isinstance(first, Rows) and isinstance(second, Rows):
        return call.assembly.sum(first, _negative(call, second))
    if isinstance(first, Rows):
        return call.assembly.minus(first, second)
    if isinstance(second, Rows):
        return call.assembly.plus(_negative(call, second), first)
    return _folded(call, np.subtract)


def _negative(call: Call, x: Rows) -> Rows:
    return call.assembly.times(x, np.array(-1.0))


def multiply(call: Call) -> Value:
    first, second = _two(call)
    if isinstance(first, Rows) and isinstance(second, Rows):
        raise ValueError("it multiplies two tensors, which a row of layers does not")
    if isinstance(first, Rows):
        return call.assembly.times(first, second)
    return call.assembly.times(second, first) if isinstance(second, Rows) else _folded(call, np.multiply)


def divide(call: Call) -> Value:
    first, second = _two(call)
    if isinstance(second, Rows):
        raise ValueError("it divides by what it computes, which a row of layers does not")
    if isinstance(first, Rows):
        return call.assembly.over(first, second)
    if first.dtype.kind != "f":
        raise ValueError("it divides integers")
    return _folded(call, np.divide)


def negate(call: Call) -> Value:
    return _negative(call, call.x) if isinstance(call.input(0), Rows) else _folded(call, np.negative)


def root(call: Call) -> Value:
    return _folded(call, np.sqrt)


def _bound(call: Call, name: str, place: int) -> float | None:
    value = call.option(name, place)
    if isinstance(value, list):
        raise ValueError("its bounds are not numbers")
    return None if value is None else float(value)


def clipped(assembly: Assembly, x: Rows, low: float | None, high: float | None) -> Rows:
    """``min(max(x, low), high)``: `hard_tanh` of a shifted and scaled tensor, or `relu`."""
    low, high = (None if bound is None or abs(bound) > _FARTHEST else bound for bound in (low, high))
    if low is None and high is None:
        return x
    bounds = [bound for bound in (low, high) if bound is not None]
    if sum(bounds) != 0 and max(map(abs, bounds)) > _COARSE:
        raise ValueError(f"it clips to {low} ... {high}, which float32 would not tell finely")
    if high is None:
        name, shift, scale = "relu", low, 1.0
    elif low is None:
        name, shift, scale = "relu", high, -1.0
    elif low < high:
        name, shift, scale = "hard_tanh", (low + high) / 2, (high - low) / 2
    else:
        raise ValueError(f"it clips to {low} ... {high}")
    if shift:
        x = assembly.minus(x, np.array(shift))
    x = assembly.activation(assembly.over(x, np.array(scale)) if scale != 1 else x, name)
    x = assembly.over(x, np.array(1 / scale)) if scale != 1 else x
    return assembly.plus(x, np.array(shift)) if shift else x


def clip(call: Call) -> Rows:
    return clipped(call.assembly, call.x, _bound(call, "min", 1), _bound(call, "max", 2))


def limit(call: Call, place: int) -> Rows:
    """The larger or the smaller of a tensor and a number."""
    first, second = _two(call)
    x, constant = (first, second) if isinstance(first, Rows) else (second, first)
    if not isinstance(x, Rows) or not isinstance(constant, np.ndarray) or constant.size != 1:
        raise ValueError("it does not compare a tensor with a number")
    bounds: list[float | None] = [None, None]
    bounds[place] = float(constant.item())
    if constant.ndim > len(x.sizes):
        x = call.assembly.plus(x, np.zeros(constant.shape))
    return clipped(call.assembly, x, *bounds)


def hard_sigmoid(call: Call) -> Rows:
    x = call.assembly.times(call.x, np.array(call.attributes["alpha"]))
    return clipped(call.assembly, call.assembly.plus(x, np.array(call.attributes["beta"])), 0.0, 1.0)


def celu(call: Call) -> Rows:
    alpha = np.array(float(call.attributes["alpha"]))
    if not 1e-6 <= alpha <= 1e6:
        raise ValueError(f"its alpha is {alpha}")
    return call.assembly.times(call.assembly.activation(call.assembly.over(call.x, alpha), "elu"), alpha)


def batch_normalization(call: Call) -> Rows:
    """A shift and a scale for each channel; channels are axis 1."""
    training = call.attributes.get("training_mode", 0) or not call.attributes.get("is_test", 1)
    if training or not call.attributes.get("spatial", 1):
        raise ValueError("it is in training mode, or not of channels")
    x, sizes = call.x, call.x.sizes
    if len(sizes) < 2 or sizes[1] == BATCH:
        raise ValueError(f"it has no channels: its input is {sizes}")
    weight, bias, mean, variance = (call.assembly.numbers("weights", call.constant(i)) for i in range(1, 5))
    if not weight.shape == bias.shape == mean.shape == variance.shape == (sizes[1],):
        raise ValueError(f"it is of {weight.shape} channels, but its input is {sizes}")
    deviation = np.sqrt(variance + call.attributes["epsilon"])
    if not (deviation > 0).all():
        raise ValueError("its variance is not positive")
    if 2 < len(sizes) < 5 and x.step.trained and not x.step.channels and sizes[0] == BATCH:
        arrays = {"gamma": weight, "beta": bias, "moving_mean": mean, "moving_variance": variance}
        return _import_pools.normalization(call, x, arrays)
    shape = (sizes[1],) + (1,) * (len(sizes) - 2)
    x = call.assembly.minus(x, mean.reshape(shape))
    x = call.assembly.times(call.assembly.over(x, deviation.reshape(shape)), weight.reshape(shape))
    return call.assembly.plus(x, bias.reshape(shape))


def layer_normalization(call: Call) -> Rows:
    """Over the axes from one on."""
    axis, rank = call.attributes["axis"], len(call.x.sizes)
    if not -rank <= axis < rank:
        raise ValueError(f"it has no axis {axis}")
    beta = None if call.input(2) is None else call.constant(2)
    axes = range(axis % rank, rank)
    epsilon = float(str(np.float32(call.attributes["epsilon"])))  # 0.001, which float32 does not have
    return call.assembly.normalization(call.x, axes, epsilon, call.constant(1), beta)


def dropout(call: Call) -> Rows:
    ratio = call.option("ratio", 1)
    if call.input(2) is not None and call.constant(2).any():
        raise ValueError("it is in training mode")
    if call.opset < 7 and not call.attributes.get("is_test", 0):
        raise ValueError("it is in training mode")
    return call.assembly.dropout(call.x, 0.5 if ratio is None else float(np.asarray(ratio).item()))


def softmax(assembly: Assembly, x: Rows, name: str, axis: int, opset: int) -> Rows:
    """Softmax or its logarithm along an axis or, before version 13, all axes from it on."""
    axis = x.layout.axis(axis)
    over = [axis] if opset >= 13 else list(range(axis, len(x.sizes)))
    if any(x.sizes[place] == BATCH for place in over):
        raise ValueError(f"it goes over axis {axis} of {list(x.sizes)}, not over a row")
    ahead = [place for place, size in enumerate(x.sizes) if place not in over and size != BATCH]
    shape = tuple(x.sizes[place] for place in ahead)
    count = math.prod(x.sizes[place] for place in over)
    shape = (*shape, count) if math.prod(shape) > 1 else (count,)
    return assembly.softmax(x, activations.TABLE[name](), [*ahead, *over], shape)


def cast(call: Call) -> Value:
    """Constants are converted; tensors are not, since the model has one precision."""
    value, to = call.input(0), call.attributes["to"]
    if isinstance(value, Rows):
        raise ValueError(f"it makes numbers of the type {to} of them")
    kind = helper.tensor_dtype_to_np_dtype(to)
    if kind.kind not in "fi" or (value.dtype.kind == "O" and kind.kind != "i"):
        raise ValueError(f"it makes constants of the type {to}")
    return call.constant(0) if value.dtype.kind == "O" else call.constant(0).astype(kind)
