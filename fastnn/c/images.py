"""Pooling and other sizes of images; a series is an image of height 1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..layers.pooling import AVERAGE
from ..layers.resizing import INTERPOLATIONS
from .writer import data, indented

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..engine.ops import Shape
    from ..layers.pooling import GlobalPooling, WindowPooling
    from ..layers.resizing import Cropping, UpSampling, ZeroPadding
    from .writer import Value, Writer


def of_two_axes(numbers: Sequence[int], filler: int) -> tuple[int, int]:
    """Numbers of two axes, of one or two."""
    first, second = (filler, *numbers) if len(numbers) == 1 else numbers
    return first, second


def at_positions(
    height: int, width: int, channels: int, lines: list[str], of_rows: Sequence[str] = ()
) -> list[str]:
    """Lines for each position of an output, whose `channels` numbers are at y, and for each row before."""
    inner = [*of_rows, f"for (int j = 0; j < {width}; j++, y += {channels}) {{", *indented(lines), "}"]
    return [f"for (int i = 0; i < {height}; i++) {{", *indented(inner), "}"]


def beginning(axis: str, stride: int, before: int) -> str:
    """Where a window begins."""
    place = axis if stride == 1 else f"{axis} * {stride}"
    return f"{place} - {before}" if before else place


def write_pooling(c: Writer, layer: WindowPooling, shape: Shape, x: Value) -> Value:
    """The largest number or the mean of each window; what lies outside does not count."""
    found = layer.windows_of(shape)
    outputs = of_two_axes([axis.output for axis in found], 1)
    before = of_two_axes([axis.before for axis in found], 0)
    return _write_pooling(
        c,
        layer.kernel == AVERAGE,
        shape,
        x,
        outputs,
        of_two_axes(layer.pool_size, 1),
        of_two_axes(layer.strides, 1),
        before,
    )


def write_global_pooling(c: Writer, layer: GlobalPooling, shape: Shape, x: Value) -> Value:
    """A window that is the whole image."""
    image = of_two_axes(shape[:-1], 1)
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
    height, width = of_two_axes(shape[:-1], 1)
    channels = shape[-1]
    y = c.new(math.prod(outputs) * channels)
    lines = []
    for name, axis, k in (("row", "i", 0), ("column", "j", 1)):
        size, place = (height, width)[k], beginning(axis, strides[k], before[k])
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
    c.function("pooling", data(x, None, y), at_positions(*outputs, channels, lines))
    c.read(x)
    return y


def write_up_sampling(c: Writer, layer: UpSampling, shape: Shape, x: Value) -> Value:
    """Repeat pixels, or interpolate between four of them."""
    (height, width), (by, of) = of_two_axes(shape[:-1], 1), of_two_axes(layer.size, 1)
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
    c.function("up_sampling", data(x, place, y), at_positions(rows, columns, channels, lines))
    c.read(x)
    return y


def _shares(n: int, factor: int) -> NDArray[np.float64]:
    """For each new pixel along an axis the old one before it, and the share of the one behind that."""
    places = np.clip((np.arange(n * factor) + 0.5) / factor - 0.5, 0, n - 1)
    return np.stack([np.floor(places), places - np.floor(places)], axis=1)


def write_zero_padding(c: Writer, layer: ZeroPadding, shape: Shape, x: Value) -> Value:
    """Zeros around an image."""
    height, width = of_two_axes(shape[:-1], 1)
    channels = shape[-1]
    rows, columns = of_two_axes(layer.sizes_of(shape[:-1]), 1)
    above, left = of_two_axes([before for before, _ in layer.borders], 0)
    y = c.new(rows * columns * channels)
    lines = [
        f"const int h = i - {above}, v = j - {left};",
        f"const int inside = h >= 0 && h < {height} && v >= 0 && v < {width};",
        f"for (int f = 0; f < {channels}; f++)",
        f"    y[f] = inside ? x[(h * {width} + v) * {channels} + f] : 0.0r;",
    ]
    c.function("padding", data(x, None, y), at_positions(rows, columns, channels, lines))
    c.read(x)
    return y


def write_cropping(c: Writer, layer: Cropping, shape: Shape, x: Value) -> Value:
    """What is left of an image."""
    _, width = of_two_axes(shape[:-1], 1)
    channels = shape[-1]
    rows, columns = of_two_axes(layer.sizes_of(shape[:-1]), 1)
    above, left = of_two_axes([before for before, _ in layer.borders], 0)
    y = c.new(rows * columns * channels)
    lines = [
        f"for (int f = 0; f < {channels}; f++)",
        f"    y[f] = x[((i + {above}) * {width} + j + {left}) * {channels} + f];",
    ]
    c.function("cropping", data(x, None, y), at_positions(rows, columns, channels, lines))
    c.read(x)
    return y
