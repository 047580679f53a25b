"""Operators that only move values, of tensors and of constants."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import numpy_helper

from . import _import_embeddings, _layout, _merged
from ._call import Call, moving
from ._layout import BATCH, Layout
from ._rows import Indices, Merged, Rows, Vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._call import Value


def shape(call: Call) -> NDArray[Any]:
    value = call.input(0)
    value = value.rows if isinstance(value, Indices) else value
    sizes = list(value.sizes if isinstance(value, (Rows, Merged)) else call.constant(0).shape)
    end, result = call.attributes.get("end"), np.empty(len(sizes), object)
    result[:] = sizes
    return result[call.attributes.get("start", 0) : end]


def reshape(call: Call) -> Value:
    sizes, value = call.option("shape", 1), call.input(0)
    if not isinstance(sizes, list):
        raise ValueError("it has no shape")
    keep = bool(call.attributes.get("allowzero", 0))
    if isinstance(value, (Rows, Merged)):
        return _merged.reshaped(call.assembly, value, sizes, keep_zeros=keep)
    return moving(call, lambda x: _layout.reshaped(x, sizes, keep_zeros=keep))


def transpose(call: Call) -> Value:
    perm, value = call.attributes.get("perm"), call.input(0)
    if isinstance(value, Merged):
        return _merged.transposed(call.assembly, value, perm)
    return moving(call, lambda x: _layout.transposed(x, perm))


def squeeze(call: Call) -> Value:
    axes = call.option("axes", 1)
    if axes is not None and not axes:
        raise ValueError("it names no axes")
    return moving(call, lambda x: _layout.squeezed(x, axes))


def unsqueeze(call: Call) -> Value:
    axes = call.option("axes", 1)
    axes = [axes] if isinstance(axes, int) else axes
    return moving(call, lambda x: _layout.unsqueezed(x, axes or []))


def slice(call: Call) -> Value:
    starts, ends, axes, steps = (
        call.option(name, i) for i, name in enumerate(("starts", "ends", "axes", "steps"), 1)
    )
    return moving(call, lambda x: _layout.sliced(x, starts, ends, axes, steps))


def gather(call: Call) -> Value:
    if isinstance(call.input(1), (Indices, Rows)):
        return _import_embeddings.embedding(call)
    index = call.constant(1)
    if index.dtype.kind != "i":
        raise ValueError("it takes places that are not integers")
    value, axis = call.input(0), call.attributes["axis"]
    array = value.layout.array if isinstance(value, Rows) else call.constant(0)
    call.assembly.use(index.size * max(array.size // max(array.shape[axis], 1), 1))
    return moving(call, lambda x: _layout.taken(x, index, axis))


def split(call: Call) -> Value:
    sizes, axis = call.option("split", 1), call.attributes.get("axis", 0)
    if sizes is None:
        value = call.input(0)
        shape = value.layout.array.shape if isinstance(value, Rows) else call.constant(0).shape
        size, parts = shape[axis], call.attributes.get("num_outputs") or call.parts
        if not 1 <= parts <= size:
            raise ValueError(f"it splits {size} into {parts}")
        each = -(-size // parts)
        sizes = [*[each] * (parts - 1), size - each * (parts - 1)]
    call.assembly.use(len(sizes))
    if call.part >= len(sizes):
        raise ValueError("it has more outputs than parts")
    return moving(call, lambda x: _layout.split(x, sizes, axis, call.part))


def concat(call: Call) -> Value:
    axis = call.attributes.get("axis", 1)
    if any(isinstance(value, Vectors) for value in call.inputs):
        return _import_embeddings.entities(call)
    rows = [value for value in call.inputs if isinstance(value, Rows)]
    if rows:
        parts = [
            value if isinstance(value, Rows) else _constant_rows(call, place, rows[0])
            for place, value in enumerate(call.inputs)
        ]
        return call.assembly.joined(parts, axis)
    constants = [call.constant(place) for place in range(len(call.inputs))]
    call.assembly.use(sum(constant.size for constant in constants))
    return _layout.concatenated([Layout(constant) for constant in constants], axis).array


def _constant_rows(call: Call, place: int, beside: Rows) -> Rows:
    """A constant as columns that are the same for all samples, beside a tensor of as many axes."""
    values, batch = call.assembly.numbers("the constant", call.constant(place)), beside.layout.batch
    if batch is not None and (values.ndim != len(beside.sizes) or values.shape[batch] != 1):
        raise ValueError(f"it joins a constant of shape {values.shape} to {list(beside.sizes)}")
    sizes = tuple(BATCH if axis == batch else size for axis, size in enumerate(values.shape))
    return call.assembly.same(beside, values, sizes)


def expand(call: Call) -> Value:
    """Repeated along axes of size 1, to a common shape."""
    sizes = call.option("shape", 1)
    wanted = [1 if size == BATCH else size for size in sizes]
    call.assembly.use(math.prod(wanted))
    other = Layout(np.broadcast_to(0, wanted))
    return moving(call, lambda x: _layout.broadcast(x, _layout.common([x, other])))


def tile(call: Call) -> Value:
    """Repeated as a whole."""
    value, repeats = call.input(0), call.option("repeats", 1)
    layout = value.layout if isinstance(value, Rows) else Layout(call.constant(0))
    repeats = [1 if size == BATCH and layout.batch is None else size for size in repeats]
    if len(repeats) != layout.array.ndim or BATCH in repeats or min(repeats) < 1:
        raise ValueError(f"it repeats {layout.sizes} {repeats} times")
    if layout.batch is not None and repeats[layout.batch] != 1:
        raise ValueError(f"it repeats {layout.sizes} {repeats} times")
    call.assembly.use(layout.array.size * math.prod(repeats))
    return moving(call, lambda x: x.moved(np.tile(x.array, repeats)))


def constant_of_shape(call: Call) -> NDArray[Any]:
    """A constant with a single value."""
    sizes, value = call.constant(0).tolist(), call.attributes.get("value")
    number = np.zeros(1, np.float32) if value is None else numpy_helper.to_array(value)
    sizes = [1 if size == BATCH else size for size in sizes]
    if min(sizes, default=0) < 0 or number.size != 1:
        raise ValueError(f"it makes a constant of shape {sizes}")
    call.assembly.use(math.prod(sizes))
    return np.full(sizes, number.item(), number.dtype)
