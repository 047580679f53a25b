"""Convolutions; a series is an image of height 1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import quantize, vector
from .dense import activate, write_product
from .images import at_positions, beginning, of_two_axes
from .writer import data, indented

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.ops import Shape
    from ..layers.convolution import Conv1D, Conv2D, Conv2DTranspose
    from ..layers.depthwise import DepthwiseConv2D, SeparableConv2D
    from .writer import Value, Writer


_FEWEST = 3  # columns behind whole vectors that are worth a vector


def _bias(bias: NDArray[Any] | None, filters: int) -> NDArray[Any]:
    return np.zeros(filters) if bias is None else bias


class _Windows(NamedTuple):
    """Where the windows of a convolution lie; pairs are of both axes."""

    image: tuple[int, int]
    channels: int
    outputs: tuple[int, int]
    before: tuple[int, int]
    strides: tuple[int, int]
    dilation: tuple[int, int]
    size: tuple[int, int]

    def rows(self, lines: list[str]) -> list[str]:
        """Lines for each row of a window that lies in the image, row h of it."""
        body = [f"const int h = row + a * {self.dilation[0]};", *lines]
        return ["for (int a = top; a < bottom; a++) {", *indented(body), "}"]

    @property
    def has_edges(self) -> bool:
        """Whether windows stick out at the left or at the right."""
        last = (self.outputs[1] - 1) * self.strides[1] - self.before[1]
        return self.before[1] > 0 or last + self.size[1] > self.image[1]

    @property
    def of_rows(self) -> list[str]:
        """Where the windows of a row begin, and which of their rows lie in the image."""
        step, height = self.dilation[0], self.image[0]
        more = f" + {step - 1}) / {step}" if step > 1 else ")"
        return [
            f"const int row = {beginning('i', self.strides[0], self.before[0])};",
            f"const int top = row < 0 ? (-row{more} : 0, end = ({height} - row{more};",
            f"const int bottom = end < {self.size[0]} ? end : {self.size[0]};",
        ]


def write_convolution(c: Writer, layer: Conv1D | Conv2D, shape: Shape, x: Value) -> Value:
    """Each kernel row is one product where it is contiguous in the image, else each tap."""
    own, found = c.parameters, layer.windows_of(shape)
    channels, filters, groups = shape[-1], layer.filters, layer.groups
    windows = _Windows(
        of_two_axes(shape[:-1], 1),
        channels,
        of_two_axes([axis.output for axis in found], 1),
        of_two_axes([axis.before for axis in found], 0),
        of_two_axes(layer.strides, 1),
        of_two_axes(layer.dilation_rate, 1),
        of_two_axes(layer.kernel_size, 1),
    )
    weights, bias = np.asarray(own["weights"]), _bias(own.get("bias"), filters)
    weights = weights.reshape(*windows.size, channels // groups, filters)
    in_rows = groups == 1 and windows.dilation[1] == 1
    added = -filters % 8 if in_rows and filters % 8 >= _FEWEST else 0
    if added:  # columns of zeros, so that sums are whole vectors
        weights, bias = np.pad(weights, [(0, 0)] * 3 + [(0, added)]), np.pad(bias, (0, added))
    columns, sums = filters + added, "s" if added else "y"
    base, numbers, end = f"w + {columns}", [bias], ""
    if c.quantizes:
        weights, factors = quantize.codes(weights)
        base, numbers, end = "q", [*numbers, factors], f" * w[{columns} + f] + w[f]"
    if in_rows:
        parts, lines = _row_by_row(c, windows, weights, base, sums)
    else:
        parts, lines = _tap_by_tap(c, windows, weights, base, groups)
    body = [
        f"const int column = {beginning('j', windows.strides[1], windows.before[1])};",
        *([f"$real s[{columns}];"] if added else []),
        f"for (int f = 0; f < {columns}; f++)",
        f"    {sums}[f] = {'0.0r' if c.quantizes else 'w[f]'};",
        *lines,
    ]
    if added or end:
        body += [f"for (int f = 0; f < {filters}; f++)", f"    y[f] = {sums}[f]{end};"]
    y = c.new(math.prod(windows.outputs) * filters)
    if c.quantizes:
        arguments = data(x, c.weights(*numbers), y)
        arguments.append(("const int8_t *$P_RESTRICT q", c.integers(np.concatenate(parts))))
    else:
        arguments = data(x, c.weights(*numbers, *parts), y)
    c.function("convolution", arguments, at_positions(*windows.outputs, filters, body, windows.of_rows))
    c.read(x)
    return y if layer.activation is None else activate(c, layer.activation, y, filters)


def _row_by_row(
    c: Writer, windows: _Windows, weights: NDArray[Any], base: str, sums: str
) -> tuple[list[NDArray[Any]], list[str]]:
    """Weights and lines of products with rows of windows.

    Those that stick out of the image have a function of their own: compilers make good code only of products
    whose size is a constant, and that are called in one place.
    """
    width, channels, columns = windows.image[1], windows.channels, weights.shape[-1]
    taps, comment, name = windows.size[1] * channels, c.comment, c.new_name(f"{c.name}_add")
    parts = [vector.laid_out(rows.reshape(taps, columns)) for rows in weights]
    image, at = f"x + (h * {width} + column", f"{base} + a * {taps * columns}"
    if windows.size[1] <= width:
        c.functions.append(c.text(vector.own_functions(name, columns, codes=c.quantizes)))
    lines, helpers = vector.product(
        taps, columns, x=f"{image}) * {channels}", w=at, y=sums, codes=c.quantizes, own=name
    )
    inner = windows.rows(lines)
    if windows.has_edges:
        size, kind = windows.size[1], "int8_t" if c.quantizes else "$real"
        edge, more = vector.product(
            taps,
            columns,
            x=f"{image} + first) * {channels}",
            w=at,
            codes=c.quantizes,
            first=f"first * {channels}",
            count=f"(last - first) * {channels}",
        )
        helpers += more
        c.comment = ""
        function = c.define(
            "edge",
            [
                "const $real *$P_RESTRICT x",
                f"const {kind} *$P_RESTRICT {base[0]}",
                "$real *$P_RESTRICT y",
                *(f"int {each}" for each in ("row", "column", "top", "bottom")),
            ],
            [
                "const int first = column < 0 ? -column : 0;",
                f"const int last = {width} - column < {size} ? {width} - column : {size};",
                *windows.rows(edge),
            ],
        )
        c.comment = comment
        call = f"{function}(x, {base[0]}, {sums}, row, column, top, bottom);"
        if size > width:  # all of them stick out
            inner = [call]
        else:
            test = f"if (column < 0 || column > {width - size}) {{"
            inner = [test, f"    {call}", "} else {", *indented(inner), "}"]
    for helper in helpers:
        c.helper(helper)
    return parts, inner


def _tap_by_tap(
    c: Writer, windows: _Windows, weights: NDArray[Any], base: str, groups: int
) -> tuple[list[NDArray[Any]], list[str]]:
    """Weights and lines of products with each position of windows, and each group of channels."""
    (rows, columns), (_, width) = windows.size, windows.image
    n, m = windows.channels // groups, weights.shape[-1] // groups
    pieces = weights.reshape(rows * columns, n, groups, m)
    parts = [vector.laid_out(piece[:, g]) for piece in pieces for g in range(groups)]
    inner, helpers = vector.product(
        n,
        m,
        x=f"x + (h * {width} + v) * {windows.channels} + g * {n}",
        w=f"{base} + ((a * {columns} + b) * {groups} + g) * {n * m}",
        codes=c.quantizes,
        y=f"(y + g * {m})",
    )
    for helper in helpers:
        c.helper(helper)
    lines = [
        f"for (int b = 0; b < {columns}; b++) {{",
        f"    const int v = column + b * {windows.dilation[1]};",
        f"    if (v < 0 || v >= {width})",
        "        continue;",
        f"    for (int g = 0; g < {groups}; g++) {{",
        *indented(indented(inner)),
        "    }",
        "}",
    ]
    return parts, windows.rows(lines)


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
        f"const int row = {beginning('i', layer.strides[0], found[0].before)};",
        f"const int column = {beginning('j', layer.strides[1], found[1].before)};",
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
    c.function("depthwise", data(x, place, y), at_positions(rows, columns, filters, body))
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
        f"const int h = {beginning('i', layer.strides[0], found[0].before)} + a * {layer.dilation_rate[0]};",
        f"const int v = {beginning('j', layer.strides[1], found[1].before)} + b * {layer.dilation_rate[1]};",
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
