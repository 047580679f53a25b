"""Convolutions, pooling and other sizes of images; a series is an image of height 1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.pooling import AVERAGE
from ..layers.resizing import INTERPOLATIONS
from . import quantize, vector
from .dense import activate, write_product
from .writer import data, indented

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..engine.ops import Shape
    from ..layers.convolution import Conv1D, Conv2D, Conv2DTranspose
    from ..layers.depthwise import DepthwiseConv2D, SeparableConv2D
    from ..layers.pooling import GlobalPooling, WindowPooling
    from ..layers.resizing import Cropping, UpSampling, ZeroPadding
    from .writer import Value, Writer


def _two(numbers: Sequence[int], filler: int) -> tuple[int, int]:
    """Numbers of two axes, of one or two."""
    first, second = (filler, *numbers) if len(numbers) == 1 else numbers
    return first, second


def _positions(height: int, width: int, channels: int, lines: list[str]) -> list[str]:
    """Lines for each position of an output, whose `channels` numbers are at y."""
    inner = f"for (int j = 0; j < {width}; j++, y += {channels}) {{"
    return [f"for (int i = 0; i < {height}; i++) {{", *indented([inner, *indented(lines), "}"]), "}"]


def _place(axis: str, stride: int, before: int) -> str:
    """Where a window begins."""
    place = axis if stride == 1 else f"{axis} * {stride}"
    return f"{place} - {before}" if before else place


def _bias(bias: NDArray[Any] | None, filters: int) -> NDArray[Any]:
    return np.zeros(filters) if bias is None else bias


def write_convolution(c: Writer, layer: Conv1D | Conv2D, shape: Shape, x: Value) -> Value:
    """Each kernel row is one product where it is contiguous in the image, else each tap."""
    own, found = c.parameters, layer.windows_of(shape)
    height, width = _two(shape[:-1], 1)
    channels, filters, groups = shape[-1], layer.filters, layer.groups
    outputs = _two([axis.output for axis in found], 1)
    before = _two([axis.before for axis in found], 0)
    strides, dilation = _two(layer.strides, 1), _two(layer.dilation_rate, 1)
    window = _two(layer.kernel_size, 1)
    weights = np.asarray(own["weights"]).reshape(*window, channels // groups, filters)
    base, numbers, tail = f"w + {filters}", [_bias(own.get("bias"), filters)], []
    if c.quantizes:
        weights, factors = quantize.codes(weights)
        base, numbers = "q", [*numbers, factors]
        tail = [f"for (int f = 0; f < {filters}; f++)", f"    y[f] = y[f] * w[{filters} + f] + w[f];"]
    head = [
        f"const int row = {_place('i', strides[0], before[0])};",
        f"const int column = {_place('j', strides[1], before[1])};",
        f"for (int f = 0; f < {filters}; f++)",
        "    y[f] = 0.0r;" if c.quantizes else "    y[f] = w[f];",
    ]
    if groups == 1 and dilation[1] == 1:
        taps = window[1] * channels
        parts = [vector.laid_out(rows.reshape(taps, filters)) for rows in weights]
        inside = before[1] == 0 and (outputs[1] - 1) * strides[1] + window[1] <= width
        lines, helpers = vector.product(
            taps,
            filters,
            x=f"x + (h * {width} + column{'' if inside else ' + first'}) * {channels}",
            w=f"{base} + a * {taps * filters}",
            codes=c.quantizes,
            first="" if inside else f"first * {channels}",
            count="" if inside else f"(last - first) * {channels}",
        )
        if not inside:
            head += [
                "const int first = column < 0 ? -column : 0;",
                f"const int last = {width} - column < {window[1]} ? {width} - column : {window[1]};",
            ]
    else:
        n, m = channels // groups, filters // groups
        pieces = weights.reshape(math.prod(window), n, groups, m)
        parts = [vector.laid_out(piece[:, g]) for piece in pieces for g in range(groups)]
        inner, helpers = vector.product(
            n,
            m,
            x=f"x + (h * {width} + v) * {channels} + g * {n}",
            w=f"{base} + ((a * {window[1]} + b) * {groups} + g) * {n * m}",
            codes=c.quantizes,
            y=f"(y + g * {m})",
        )
        lines = [
            f"for (int b = 0; b < {window[1]}; b++) {{",
            f"    const int v = column + b * {dilation[1]};",
            f"    if (v < 0 || v >= {width})",
            "        continue;",
            f"    for (int g = 0; g < {groups}; g++) {{",
            *indented(indented(inner)),
            "    }",
            "}",
        ]
    body = [
        *head,
        f"for (int a = 0; a < {window[0]}; a++) {{",
        f"    const int h = row + a * {dilation[0]};",
        f"    if (h < 0 || h >= {height})",
        "        continue;",
        *indented(lines),
        "}",
        *tail,
    ]
    for helper in helpers:
        c.helper(helper)
    y = c.new(math.prod(outputs) * filters)
    if c.quantizes:
        arguments = data(x, c.weights(*numbers), y)
        arguments.append(("const int8_t *$P_RESTRICT q", c.integers(np.concatenate(parts))))
    else:
        arguments = data(x, c.weights(*numbers, *parts), y)
    c.function("convolution", arguments, _positions(*outputs, filters, body))
    c.read(x)
    return y if layer.activation is None else activate(c, layer.activation, y, filters)


def _write_depthwise(
    c: Writer,
    layer: DepthwiseConv2D | SeparableConv2D,
    shape: Shape,
    x: Value,
    weights: NDArray[Any],
    bias: NDArray[Any] | None,
) -> tuple[Value, Shape]:
    """Each channel by itself; the output and its shape."""
    (height, width, channels), found = shape, layer.windows_of(shape)
    many = layer.depth_multiplier
    filters = channels * many
    (rows, columns), (kh, kw) = (axis.output for axis in found), layer.kernel_size
    y = c.new(rows * columns * filters)
    place = c.weights(_bias(bias, filters), weights)
    index = "f" if many == 1 else f"f / {many}"
    body = [
        f"const int row = {_place('i', layer.strides[0], found[0].before)};",
        f"const int column = {_place('j', layer.strides[1], found[1].before)};",
        f"for (int f = 0; f < {filters}; f++)",
        "    y[f] = w[f];",
        f"for (int a = 0; a < {kh}; a++)",
        f"    for (int b = 0; b < {kw}; b++) {{",
        f"        const int h = row + a * {layer.dilation_rate[0]};",
        f"        const int v = column + b * {layer.dilation_rate[1]};",
        f"        if (h < 0 || h >= {height} || v < 0 || v >= {width})",
        "            continue;",
        f"        for (int f = 0; f < {filters}; f++)",
        f"            y[f] += x[(h * {width} + v) * {channels} + {index}]"
        f" * w[{filters} + (a * {kw} + b) * {filters} + f];",
        "    }",
    ]
    c.function("depthwise", data(x, place, y), _positions(rows, columns, filters, body))
    c.read(x)
    return y, (rows, columns, filters)


def write_depthwise(c: Writer, layer: DepthwiseConv2D, shape: Shape, x: Value) -> Value:
    """Each channel by itself."""
    own = c.parameters
    y, result = _write_depthwise(c, layer, shape, x, own["weights"], own.get("bias"))
    return y if layer.activation is None else activate(c, layer.activation, y, result[-1])


def write_separable(c: Writer, layer: SeparableConv2D, shape: Shape, x: Value) -> Value:
    """Each channel by itself, then a product at each position."""
    own = c.parameters
    middle, result = _write_depthwise(c, layer, shape, x, own["depthwise_weights"], None)
    weights = np.asarray(own["pointwise_weights"]).reshape(result[-1], layer.filters)
    y = write_product(c, middle, math.prod(result[:-1]), weights, own.get("bias"), "mixture")
    return y if layer.activation is None else activate(c, layer.activation, y, layer.filters)


def write_transposed(c: Writer, layer: Conv2DTranspose, shape: Shape, x: Value) -> Value:
    """Each position of the input adds a window to the output."""
    own, found = c.parameters, layer.windows_of(shape)
    (height, width, channels), filters = shape, layer.filters
    (rows, columns), (kh, kw) = (axis.output for axis in found), layer.kernel_size
    pieces = np.asarray(own["weights"]).reshape(kh * kw, filters, channels)
    n = channels * filters
    lines, helpers = vector.product(channels, filters, w=f"w + {filters} + (a * {kw} + b) * {n}", y="at")
    for helper in helpers:
        c.helper(helper)
    y = c.new(rows * columns * filters)
    place = c.weights(_bias(own.get("bias"), filters), *(vector.laid_out(piece.T) for piece in pieces))
    inside = [
        f"const int h = {_place('i', layer.strides[0], found[0].before)} + a * {layer.dilation_rate[0]};",
        f"const int v = {_place('j', layer.strides[1], found[1].before)} + b * {layer.dilation_rate[1]};",
        f"if (h < 0 || h >= {rows} || v < 0 || v >= {columns})",
        "    continue;",
        f"$real *at = y + (h * {columns} + v) * {filters};",
        *lines,
    ]
    c.function(
        "transposed",
        data(x, place, y),
        [
            f"for (int p = 0; p < {rows * columns}; p++)",
            f"    for (int f = 0; f < {filters}; f++)",
            f"        y[p * {filters} + f] = w[f];",
            f"for (int i = 0; i < {height}; i++)",
            f"    for (int j = 0; j < {width}; j++, x += {channels})",
            f"        for (int a = 0; a < {kh}; a++)",
            f"            for (int b = 0; b < {kw}; b++) {{",
            *indented(indented(indented(indented(inside)))),
            "            }",
        ],
    )
    c.read(x)
    return y if layer.activation is None else activate(c, layer.activation, y, filters)


def write_pooling(c: Writer, layer: WindowPooling, shape: Shape, x: Value) -> Value:
    """The largest number or the mean of each window; what lies outside does not count."""
    found = layer.windows_of(shape)
    outputs = _two([axis.output for axis in found], 1)
    before = _two([axis.before for axis in found], 0)
    return _write_pooling(
        c,
        layer.kernel == AVERAGE,
        shape,
        x,
        outputs,
        _two(layer.pool_size, 1),
        _two(layer.strides, 1),
        before,
    )


def write_global_pooling(c: Writer, layer: GlobalPooling, shape: Shape, x: Value) -> Value:
    """A window that is the whole image."""
    image = _two(shape[:-1], 1)
    return _write_pooling(c, layer.kernel == AVERAGE, shape, x, (1, 1), image, (1, 1), (0, 0))


def _write_pooling(
    c: Writer,
    is_mean: bool,
    shape: Shape,
    x: Value,
    outputs: tuple[int, int],
    window: tuple[int, int],
    strides: tuple[int, int],
    before: tuple[int, int],
) -> Value:
    height, width = _two(shape[:-1], 1)
    channels = shape[-1]
    y = c.new(math.prod(outputs) * channels)
    lines = []
    for name, axis, k in (("row", "i", 0), ("column", "j", 1)):
        size, place = (height, width)[k], _place(axis, strides[k], before[k])
        lines += [
            f"const int {name} = {place} < 0 ? 0 : {place};" if before[k] else f"const int {name} = {place};",
            f"const int {name}_end = {place} + {window[k]} < {size} ? {place} + {window[k]} : {size};",
        ]
    first = f"x[(row * {width} + column) * {channels} + f]"
    here = f"x[(h * {width} + v) * {channels} + f]"
    update = f"y[f] += {here};" if is_mean else f"y[f] = {here} > y[f] ? {here} : y[f];"
    lines += [
        f"for (int f = 0; f < {channels}; f++)",
        f"    y[f] = {'0.0r' if is_mean else first};",
        "for (int h = row; h < row_end; h++)",
        "    for (int v = column; v < column_end; v++)",
        f"        for (int f = 0; f < {channels}; f++)",
        f"            {update}",
    ]
    if is_mean:
        lines += [
            f"for (int f = 0; f < {channels}; f++)",
            "    y[f] /= ($real)((row_end - row) * (column_end - column));",
        ]
    c.function("pooling", data(x, None, y), _positions(*outputs, channels, lines))
    c.read(x)
    return y


def write_up_sampling(c: Writer, layer: UpSampling, shape: Shape, x: Value) -> Value:
    """Repeat pixels, or interpolate between four of them."""
    (height, width), (by, of) = _two(shape[:-1], 1), _two(layer.size, 1)
    channels = shape[-1]
    rows, columns = height * by, width * of
    y = c.new(rows * columns * channels)
    if layer.op_kernel() == INTERPOLATIONS["bilinear"]:
        place = c.weights(_shares(height, by), _shares(width, of))
        at = "x[({} * {} + {}) * {} + f]"
        corners = [
            at.format(row, width, column, channels) for row in ("h", "below") for column in ("v", "right")
        ]
        lines = [
            f"const int h = (int)w[2 * i], v = (int)w[{2 * rows} + 2 * j];",
            f"const int below = h + 1 < {height} ? h + 1 : h, right = v + 1 < {width} ? v + 1 : v;",
            f"const $real t = w[2 * i + 1], u = w[{2 * rows} + 2 * j + 1];",
            f"for (int f = 0; f < {channels}; f++) {{",
            f"    const $real upper = {corners[0]} * (1.0r - u) + {corners[1]} * u;",
            f"    const $real lower = {corners[2]} * (1.0r - u) + {corners[3]} * u;",
            "    y[f] = upper * (1.0r - t) + lower * t;",
            "}",
        ]
    else:
        place = None
        lines = [
            f"for (int f = 0; f < {channels}; f++)",
            f"    y[f] = x[(i / {by} * {width} + j / {of}) * {channels} + f];",
        ]
    c.function("up_sampling", data(x, place, y), _positions(rows, columns, channels, lines))
    c.read(x)
    return y


def _shares(n: int, factor: int) -> NDArray[np.float64]:
    """For each new pixel along an axis the old one before it, and the share of the one behind that."""
    places = np.clip((np.arange(n * factor) + 0.5) / factor - 0.5, 0, n - 1)
    return np.stack([np.floor(places), places - np.floor(places)], axis=1)


def write_zero_padding(c: Writer, layer: ZeroPadding, shape: Shape, x: Value) -> Value:
    """Zeros around an image."""
    height, width = _two(shape[:-1], 1)
    channels = shape[-1]
    rows, columns = _two(layer.sizes_of(shape[:-1]), 1)
    above, left = _two([before for before, _ in layer.borders], 0)
    y = c.new(rows * columns * channels)
    lines = [
        f"const int h = i - {above}, v = j - {left};",
        f"const int inside = h >= 0 && h < {height} && v >= 0 && v < {width};",
        f"for (int f = 0; f < {channels}; f++)",
        f"    y[f] = inside ? x[(h * {width} + v) * {channels} + f] : 0.0r;",
    ]
    c.function("padding", data(x, None, y), _positions(rows, columns, channels, lines))
    c.read(x)
    return y


def write_cropping(c: Writer, layer: Cropping, shape: Shape, x: Value) -> Value:
    """What is left of an image."""
    _, width = _two(shape[:-1], 1)
    channels = shape[-1]
    rows, columns = _two(layer.sizes_of(shape[:-1]), 1)
    above, left = _two([before for before, _ in layer.borders], 0)
    y = c.new(rows * columns * channels)
    lines = [
        f"for (int f = 0; f < {channels}; f++)",
        f"    y[f] = x[((i + {above}) * {width} + j + {left}) * {channels} + f];",
    ]
    c.function("cropping", data(x, None, y), _positions(rows, columns, channels, lines))
    c.read(x)
    return y
