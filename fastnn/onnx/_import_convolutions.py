"""Convolutions, as layers of images and series with their channels last."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.convolution import Conv1D, Conv2D, Conv2DTranspose
from ..layers.depthwise import DepthwiseConv2D
from . import _import_pools, _sums
from ._import_windows import Windows
from ._layout import BATCH, sliced
from ._steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ..engine.ops import Shape
    from ._call import Call
    from ._rows import Rows


def convolution(call: Call) -> Rows:
    """A layer for series and images; a product for images of more axes."""
    kernel = _kernel(call)
    filters, inputs, *shape = kernel.shape
    x, groups = call.x, call.attributes.get("group", 1)
    if len(x.sizes) < 3 or x.sizes[1] != inputs * groups or filters % groups:
        raise ValueError(f"a kernel of shape {kernel.shape} goes over {list(x.sizes)}")
    if len(shape) > 2:
        return _sums.convolution(call)
    found = Windows.of(call, x, shape)
    padding = found.padding()
    if padding is None:
        order, widths = [*range(2, len(x.sizes)), 1], list(zip(found.before, found.after, strict=True))
        x, padding = _import_pools.padded(call, x, order, widths), "valid"
    window: dict[str, Any] = {"strides": found.strides, "padding": padding, "dilation_rate": found.dilations}
    if max(found.strides) > 1 and max(found.dilations) > 1:
        raise ValueError(f"it has strides {found.strides} and dilations {found.dilations}")
    if len(shape) == 2 and groups == x.sizes[1] > 1:
        multiplier = filters // groups
        weights = kernel.reshape(groups, multiplier, *shape).transpose(2, 3, 0, 1)
        window["depth_multiplier"] = multiplier

        def make(activation: Any, use_bias: bool) -> DepthwiseConv2D:
            return DepthwiseConv2D(found.kernel, activation=activation, use_bias=use_bias, **window)

        return _layer(call, x, make, weights, (2, 3), found.outputs, filters)
    weights = np.moveaxis(kernel, (0, 1), (-1, -2))
    layer = Conv1D if len(shape) == 1 else Conv2D

    def make_full(activation: Any, use_bias: bool) -> Conv1D | Conv2D:
        return layer(filters, found.kernel, groups=groups, activation=activation, use_bias=use_bias, **window)

    return _layer(call, x, make_full, weights, (weights.ndim - 1,), found.outputs, filters)


def transposed(call: Call) -> Rows:
    """A layer that makes images larger."""
    kernel, x, options = _kernel(call), call.x, call.attributes
    inputs, filters, *shape = kernel.shape
    n = len(shape)
    if n != 2 or options.get("group", 1) != 1 or options.get("output_shape"):
        raise ValueError(f"a kernel of shape {kernel.shape} in {options.get('group', 1)} groups")
    if len(x.sizes) != 4 or x.sizes[:2] != (BATCH, inputs) or max(shape) > 1 << 20:
        raise ValueError(f"a kernel of shape {kernel.shape} goes over {list(x.sizes)}")
    strides, gaps = options.get("strides") or [1] * n, options.get("dilations") or [1] * n
    pads, more = options.get("pads") or [0] * 2 * n, options.get("output_padding") or [0] * n
    if options.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise ValueError(f"its padding is {options['auto_pad']}")
    if (
        min([*strides, *gaps]) < 1
        or min([*pads, *more]) < 0
        or max([*strides, *gaps, *pads, *more]) > 1 << 20
    ):
        raise ValueError(f"its strides are {strides}, its dilations {gaps}, its pads {pads}")
    sizes = x.sizes[2:]
    outputs = [
        (sizes[i] - 1) * strides[i] + (shape[i] - 1) * gaps[i] + 1 - pads[i] - pads[n + i] + more[i]
        for i in range(n)
    ]
    if min(outputs) < 1:
        raise ValueError(f"nothing is left of {list(sizes)}")
    whole = [(sizes[i] - 1) * strides[i] + (shape[i] - 1) * gaps[i] + 1 + more[i] for i in range(n)]

    def make(
        activation: Any, use_bias: bool, padding: str = "valid", extra: Any = tuple(more)
    ) -> Conv2DTranspose:
        return Conv2DTranspose(
            filters, shape, strides, padding, extra, gaps, activation=activation, use_bias=use_bias
        )

    same = make(None, True, "same", None).windows_of((*sizes, inputs))
    if [axis.output for axis in same] == outputs and [axis.before for axis in same] == pads[:n]:
        make_same = partial(make, padding="same", extra=None)
        return _layer(call, x, make_same, kernel.transpose(2, 3, 1, 0), (2,), tuple(outputs), filters)
    y = _layer(call, x, make, kernel.transpose(2, 3, 1, 0), (2,), tuple(whole), filters)
    if whole == outputs:
        return y
    ends = [start + size for start, size in zip(pads, outputs, strict=False)]
    return call.assembly.moved(y, lambda own: sliced(own, pads[:n], ends, [2, 3], None))


def _kernel(call: Call) -> NDArray[np.float64]:
    kernel = call.assembly.numbers("weights", call.constant(1))
    if kernel.ndim < 3 or not kernel.size:
        raise ValueError(f"its kernel has the shape {kernel.shape}")
    return kernel


def _layer(
    call: Call,
    x: Rows,
    make: Callable[..., Any],
    weights: NDArray[np.float64],
    channels: tuple[int, ...],
    outputs: Shape,
    filters: int,
) -> Rows:
    """A layer with weights and perhaps a bias over images of (channels, *sizes)."""
    arrays = {"weights": weights}
    if call.input(2) is not None:
        arrays["bias"] = call.assembly.numbers("bias", call.constant(2))
        if arrays["bias"].shape != (filters,):
            raise ValueError(f"bias has shape {arrays['bias'].shape} for {filters} channels")
    _, inputs, *sizes = x.sizes
    made = Step(
        math.prod(outputs) * filters,
        make=lambda activation, arrays: make(activation, "bias" in arrays),
        absorbs=True,
        arrays=arrays,
        channels=channels,
        takes=(*sizes, inputs),
        gives=(*outputs, filters),
        images=True,
        trained=True,
    )
    axes = [*range(2, len(x.sizes)), 1]
    return call.assembly.layer(x, axes, made, [BATCH, filters, *outputs])
