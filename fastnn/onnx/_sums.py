"""Operators that sum values of a row: reductions and pooling; padding and triangles."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ._call import Call
from ._layout import BATCH, Layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ._call import Value
    from ._rows import Rows


_CONVOLUTION = 1 << 18  # largest matrix that replaces a convolution: for small images


def _filled(call: Call, x: Rows, layout: Layout, value: float) -> Rows:
    """Columns in other positions, with `value` where the layout has -1."""
    left_out = layout.array < 0
    call.assembly.use(layout.array.size)
    y = call.assembly.moved(x, lambda own: layout.moved(np.where(left_out, 0, layout.array)))
    if not left_out.any():
        return y
    y = call.assembly.times(y, np.where(left_out, 0.0, 1.0))
    return call.assembly.plus(y, np.where(left_out, value, 0.0)) if value else y


def pad(call: Call, x: Rows, widths: Sequence[tuple[int, int]], mode: str, value: float) -> Rows:
    """Padding with a constant, or with columns of the tensor."""
    sizes = [size + sum(pair) for size, pair in zip(x.layout.array.shape, widths, strict=True)]
    call.assembly.use(math.prod(sizes))
    options = {"constant_values": -1} if mode == "constant" else {}
    array = np.pad(x.layout.array, widths, mode, **options)  # type: ignore[call-overload]
    return _filled(call, x, x.layout.moved(array), value)


def triangle(call: Call) -> Value:
    """One side of the diagonal of the last two axes; zeros on the other."""
    k = 0 if call.input(1) is None else int(call.constant(1).item())
    if isinstance(call.input(0), np.ndarray):
        constant = call.constant(0)
        return np.triu(constant, k) if call.attributes.get("upper", 1) else np.tril(constant, k)
    x = call.x
    if len(x.sizes) < 2 or BATCH in x.sizes[-2:]:
        raise ValueError(f"it takes matrices, but gets {list(x.sizes)}")
    side = np.triu if call.attributes.get("upper", 1) else np.tril
    return call.assembly.times(x, side(np.ones(x.sizes[-2:]), k))


def reduced(call: Call, *, mean: bool) -> Rows:
    """The sum or the mean along axes."""
    x = call.x
    axes = call.option("axes", 1) or None  # an empty list also means all
    if axes is None and call.attributes.get("noop_with_empty_axes"):
        return x
    layout = x.layout
    places = sorted({layout.axis(axis) for axis in (range(len(x.sizes)) if axes is None else axes)})
    count = math.prod(layout.array.shape[place] for place in places)
    kept = layout.array.size // count
    call.assembly.use(layout.array.size * kept)
    # Which of the results a column goes into.
    ordered = np.moveaxis(layout.array, places, range(-len(places), 0)).reshape(kept, count)
    weights = np.zeros((layout.array.size, kept))
    weights[ordered, np.arange(kept)[:, None]] = 1 / count if mean else 1.0
    keep = call.attributes.get("keepdims", 1)
    sizes = [1 if i in places else size for i, size in enumerate(x.sizes) if keep or i not in places]
    return call.assembly.combined(x, weights, sizes)


def _windows(call: Call, x: Rows, kernel: Sequence[int]) -> NDArray[np.int64]:
    """The columns in each window of the axes after that of the channels, -1 beyond the ends.

    Of shape (channels, places of each axis ..., size of a window).
    """
    options, n = call.attributes, len(kernel)
    strides, pads = options.get("strides") or [1] * n, options.get("pads") or [0] * 2 * n
    gaps = options.get("dilations") or [1] * n
    if options.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or options.get("ceil_mode"):
        raise ValueError("its windows are padded by a rule")
    if len(x.sizes) != n + 2 or x.sizes[0] != BATCH or min([*kernel, *strides, *gaps]) < 1 or min(pads) < 0:
        raise ValueError(f"it takes windows of {kernel} in steps of {strides} from {list(x.sizes)}")
    widths = [(0, 0), (0, 0), *zip(pads[:n], pads[n:], strict=True)]
    reach = [(size - 1) * gap + 1 for size, gap in zip(kernel, gaps, strict=True)]
    places = math.prod(size + sum(pair) for size, pair in zip(x.layout.array.shape, widths, strict=True))
    call.assembly.use(places * math.prod(kernel))
    padded = np.pad(x.layout.array, widths, constant_values=-1)[0]
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, tuple(range(1, n + 1)))
    steps = (slice(None, None, step) for step in (*strides, *gaps))
    windows = windows[(slice(None), *steps)]
    return windows.reshape(*windows.shape[: n + 1], math.prod(kernel))


def pooled(call: Call) -> Rows:
    """The mean over windows of the axes after that of the channels."""
    x, kernel = call.x, call.attributes["kernel_shape"]
    windows = _windows(call, x, kernel)
    columns = windows.reshape(-1, math.prod(kernel))
    inside = columns >= 0
    whole = call.attributes.get("count_include_pad")
    counted = math.prod(kernel) if whole else inside.sum(axis=1, keepdims=True)
    call.assembly.use(x.map.n_out * len(columns))
    weights = np.zeros((x.map.n_out, len(columns)))
    shares = np.broadcast_to(1 / np.maximum(counted, 1), columns.shape)
    results = np.broadcast_to(np.arange(len(columns))[:, None], columns.shape)
    weights[columns[inside], results[inside]] = shares[inside]
    return call.assembly.combined(x, weights, [BATCH, *windows.shape[:-1]])


def whole_pool(call: Call) -> Rows:
    """The mean of each channel."""
    x = call.x
    if len(x.sizes) < 3:
        raise ValueError(f"it has no axes behind channels: {list(x.sizes)}")
    attributes = {"axes": list(range(2, len(x.sizes))), "keepdims": 1}
    return reduced(Call(call.assembly, [x], attributes, call.opset, 0, 1), mean=True)


def convolution(call: Call) -> Rows:
    """A small convolution, as a product with separate weights for each position."""
    x, kernel = call.x, call.assembly.numbers("weights", call.constant(1))
    channels, inputs, *shape = kernel.shape
    groups = call.attributes.get("group", 1)
    if len(x.sizes) < 3 or x.sizes[1] != inputs * groups or channels % groups:
        raise ValueError(f"a kernel of shape {kernel.shape} goes over {list(x.sizes)}")
    windows = _windows(call, x, shape)
    places = windows.shape[1:-1]
    parted = windows.reshape(groups, inputs, math.prod(places), -1)
    columns = parted.transpose(0, 2, 1, 3).reshape(groups, math.prod(places), -1)
    n_out = channels * math.prod(places)
    if x.map.n_out * n_out > _CONVOLUTION:
        raise ValueError(
            f"its product would have {x.map.n_out * n_out} numbers, at most {_CONVOLUTION} are taken"
        )
    call.assembly.use(x.map.n_out * n_out + columns.size)
    weights = np.zeros((x.map.n_out, channels, math.prod(places)))
    results = np.broadcast_to(np.arange(math.prod(places))[:, None], columns.shape[1:])
    for channel in range(channels):
        own = columns[channel * groups // channels]
        inside = own >= 0
        numbers = np.broadcast_to(kernel[channel].ravel(), own.shape)
        weights[own[inside], channel, results[inside]] = numbers[inside]
    y = call.assembly.product(x, weights.reshape(x.map.n_out, n_out), [BATCH, channels, *places])
    if call.input(2) is None:
        return y
    bias = call.assembly.numbers("bias", call.constant(2))
    if bias.shape != (channels,):
        raise ValueError(f"bias has shape {bias.shape} for {channels} channels")
    return call.assembly.plus(y, bias.reshape(-1, *[1] * len(places)))


def absolute(call: Call) -> Rows:
    """``relu(x) + relu(-x)``."""
    x = call.x
    n = x.map.n_out
    call.assembly.use(4 * n * n + 2 * x.map.n_in * n)
    both = call.assembly.combined(x, np.concatenate([np.eye(n), -np.eye(n)], axis=1), [2 * n])
    y = call.assembly.activation(both, "relu")
    return call.assembly.combined(y, np.concatenate([np.eye(n), np.eye(n)]), list(x.sizes))


def absolute_sum(call: Call) -> Rows:
    """The sum of absolute values along axes."""
    return reduced(replace(call, inputs=[absolute(call), *call.inputs[1:]]), mean=False)
