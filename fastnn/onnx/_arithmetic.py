"""Elementwise operators: sums, limits, and combinations of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper

from .. import activations
from . import _import_attention
from ._assembly import Assembly
from ._call import Call
from ._layout import BATCH
from ._rows import OTHERS, Indices, Merged, Rows, Scores, Vectors

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
    if any(isinstance(value, (Indices, Merged, Scores, Vectors)) for value in (first, second)):
        raise ValueError(f"it takes {OTHERS}, which only attention and embeddings do")
    if isinstance(first, Rows) and isinstance(second, np.ndarray):
        second = call.assembly.numbers("the constant", _aligned(call, second, first))
    elif isinstance(second, Rows) and isinstance(first, np.ndarray):
        first = call.assembly.numbers("the constant", first)
    return first, second


def _scores(call: Call) -> tuple[Scores, NDArray[Any]] | None:
    """Scores of attention and a constant, in whatever order; None if the inputs are others."""
    for place in (0, 1):
        value = call.input(place)
        if isinstance(value, Scores):
            return value, call.constant(1 - place)
    return None


def add(call: Call) -> Value:
    if (found := _scores(call)) is not None:
        return _import_attention.masked(*found)
    first, second = _two(call)
    if isinstance(first, Rows) and isinstance(second, Rows):
        return call.assembly.sum(first, second)
    if isinstance(first, Rows):
        return call.assembly.plus(first, second)
    return call.assembly.plus(second, first) if isinstance(second, Rows) else call.folded(np.add)


def subtract(call: Call) -> Value:
    first, second = _two(call)
    if isinstance(first, Rows) and isinstance(second, Rows):
        return call.assembly.sum(first, _negative(call, second))
    if isinstance(first, Rows):
        return call.assembly.minus(first, second)
    if isinstance(second, Rows):
        return call.assembly.plus(_negative(call, second), first)
    return call.folded(np.subtract)


def _negative(call: Call, x: Rows) -> Rows:
    return call.assembly.times(x, np.array(-1.0))


def multiply(call: Call) -> Value:
    if (found := _scores(call)) is not None:
        return _import_attention.multiplied(*found)
    first, second = _two(call)
    if isinstance(first, Rows) and isinstance(second, Rows):
        raise ValueError("it multiplies two tensors, which a row of layers does not")
    if isinstance(first, Rows):
        return call.assembly.times(first, second)
    return call.assembly.times(second, first) if isinstance(second, Rows) else call.folded(np.multiply)


def divide(call: Call) -> Value:
    if isinstance(call.input(0), Scores):
        return _import_attention.multiplied(call.input(0), 1 / call.constant(1))
    first, second = _two(call)
    if isinstance(second, Rows):
        raise ValueError("it divides by what it computes, which a row of layers does not")
    if isinstance(first, Rows):
        return call.assembly.over(first, second)
    return call.folded(np.divide if first.dtype.kind == "f" else lambda a, b: np.trunc(a / b))


def modulo(call: Call) -> NDArray[Any]:
    return call.folded(np.mod)


def power(call: Call) -> NDArray[Any]:
    return call.folded(np.power)


def negate(call: Call) -> Value:
    return _negative(call, call.x) if isinstance(call.input(0), Rows) else call.folded(np.negative)


def root(call: Call) -> Value:
    return call.folded(np.sqrt)


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


def dropout(call: Call) -> Value:
    ratio = call.option("ratio", 1)
    if call.input(2) is not None and call.constant(2).any():
        raise ValueError("it is in training mode")
    if call.opset < 7 and not call.attributes.get("is_test", 0):
        raise ValueError("it is in training mode")
    value = call.input(0)
    if isinstance(value, Scores):
        return value
    return call.assembly.dropout(call.x, 0.5 if ratio is None else float(np.asarray(ratio).item()))


def where(call: Call) -> Value:
    """One of two constants; scores of attention, or a constant that hides some."""
    condition, *values = call.constant(0), call.input(1), call.input(2)
    if not any(isinstance(value, Scores) for value in values):
        return call.folded(np.where)
    if isinstance(values[0], Scores):
        return _import_attention.masked(values[0], np.where(condition, 0.0, call.constant(2)))
    return _import_attention.masked(values[1], np.where(condition, call.constant(1), 0.0))


def equal(call: Call) -> NDArray[Any]:
    """Whether constants are equal."""
    return call.folded(np.equal)


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
    """Constants are converted; tensors only to integers, which are indices of an embedding."""
    value, to = call.input(0), call.attributes["to"]
    kind = helper.tensor_dtype_to_np_dtype(to)
    if isinstance(value, (Rows, Indices)):
        if kind.kind == "i" and kind.itemsize > 2:
            return value if isinstance(value, Indices) else Indices(value)
        raise ValueError(f"it makes numbers of the type {to} of them")
    if kind.kind not in "fib" or (value.dtype.kind == "O" and kind.kind != "i"):
        raise ValueError(f"it makes constants of the type {to}")
    return call.constant(0) if value.dtype.kind == "O" else call.constant(0).astype(kind)
