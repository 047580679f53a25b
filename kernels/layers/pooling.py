"""Pooling: the largest number, or the mean, of a window over an image, for each channel.

Windows are computed in two passes. The first combines the rows of an image that a row of windows covers, one
long loop whatever the number of channels; the second combines neighbouring columns of that line. A sequence
is an image of height 1, and a window as large as the image pools all of it.
"""

from collections import namedtuple

import numpy as np

from ..abi.entries import Op
from ..lowlevel._jit import force_inline, kernel

Pooling = namedtuple("Pooling", "forward_entry backward_input_entry")

# From so many channels on the innermost loop is over them: it is then vectorised.
_MANY_CHANNELS = 8


@force_inline
def _span(place, stride, before, window, size):
    """Where the part of a window that lies in the image begins and ends, on one axis."""
    start = place * stride - before
    return max(start, 0), min(start + window, size)


@kernel
def _largest_of_rows(x, start, end, line):
    """Write `line`: the largest numbers of the rows of x from `start` to `end`, column by column."""
    for j in range(line.shape[1]):
        line[0, j] = x[start, j]
    for r in range(start + 1, end):
        for j in range(line.shape[1]):
            value = x[r, j]
            line[0, j] = value if (value > line[0, j]) | (value != value) else line[0, j]


@kernel
def _place_largest_of_rows(x, start, end, line):
    """As `_largest_of_rows`; the second row of `line` becomes how far they lie behind row `start`."""
    n, T = line.shape[1], x.dtype.type
    for j in range(n):
        line[0, j], line[1, j] = x[start, j], T(0)
    for r in range(start + 1, end):
        behind = T((r - start) * n)
        for j in range(n):
            value = x[r, j]
            larger = (value > line[0, j]) | (value != value)
            line[0, j] = value if larger else line[0, j]
            line[1, j] = behind if larger else line[1, j]


@kernel
def _largest_of_columns(pixels, stride, left, pool, y, row):
    """Write a row of `y`: the largest numbers of the pixels of each window, channel by channel."""
    width, channels = pixels.shape[1], pixels.shape[2]
    for b in range(y.shape[1]):
        start, end = _span(b, stride, left, pool, width)
        if end - start == 2:
            for c in range(channels):
                largest, value = pixels[0, start, c], pixels[0, start + 1, c]
                y[row, b, c] = value if (value > largest) | (value != value) else largest
        elif channels < _MANY_CHANNELS:
            for c in range(channels):
                largest = pixels[0, start, c]
                for k in range(start + 1, end):
                    value = pixels[0, k, c]
                    largest = value if (value > largest) | (value != value) else largest
                y[row, b, c] = largest
        else:
            for c in range(channels):
                y[row, b, c] = pixels[0, start, c]
            for k in range(start + 1, end):
                for c in range(channels):
                    value, largest = pixels[0, k, c], y[row, b, c]
                    y[row, b, c] = value if (value > largest) | (value != value) else largest


@force_inline
def _is_first(value, place, largest, place_of_largest):
    """Whether a number is the largest so far, and of equal ones the first in the window; or NaN."""
    # Without branches, which would be taken at random.
    return (value > largest) | (value != value) | ((value == largest) & (place < place_of_largest))


@kernel
def _place_largest_of_columns(pixels, stride, left, pool, y, index, row):
    """Write a row of `y`, and of `index` how far its numbers lie behind the first ones of their windows."""
    width, channels, T = pixels.shape[1], pixels.shape[2], y.dtype.type
    for b in range(y.shape[1]):
        start, end = _span(b, stride, left, pool, width)
        if end - start == 2:
            behind = T(channels)
            for c in range(channels):
                largest, place = pixels[0, start, c], pixels[1, start, c]
                value, own = pixels[0, start + 1, c], pixels[1, start + 1, c] + behind
                first = _is_first(value, own, largest, place)
                y[row, b, c], index[row, b, c] = value if first else largest, own if first else place
        elif channels < _MANY_CHANNELS:
            for c in range(channels):
                largest, place = pixels[0, start, c], pixels[1, start, c]
                behind = T(0)
                for k in range(start + 1, end):
                    behind += T(channels)
                    value, own = pixels[0, k, c], pixels[1, k, c] + behind
                    first = _is_first(value, own, largest, place)
                    largest, place = value if first else largest, own if first else place
                y[row, b, c], index[row, b, c] = largest, place
        else:
            for c in range(channels):
                y[row, b, c], index[row, b, c] = pixels[0, start, c], pixels[1, start, c]
            for k in range(start + 1, end):
                behind = T((k - start) * channels)
                for c in range(channels):
                    value, own = pixels[0, k, c], pixels[1, k, c] + behind
                    largest, place = y[row, b, c], index[row, b, c]
                    first = _is_first(value, own, largest, place)
                    y[row, b, c] = value if first else largest
                    index[row, b, c] = own if first else place


@kernel
def max_pooling_forward(
    x, height, width, pool_height, pool_width, stride_height, stride_width, top, left, rows, line, pixels,
    index, y,
):  # fmt: skip
    """Write `y`, the largest number of each window; `index`, where it lies; and `line`, `pixels`.

    Parameters
    ----------
    x : array of shape (rows * height, width * channels)
    y : array of shape (rows * new height, new width, channels)
    top, left : int
        Padding, which counts for nothing.
    line, pixels : arrays of shape (2, width * channels) and (2, width, channels)
        The same memory.
    index : array of the shape of y, or with no rows
        How far the number lies behind the first one of its window in the image.
    """
    out_height = y.shape[0] // max(rows, 1)
    with_index = index.shape[0] > 0
    for i in range(rows):
        for a in range(out_height):
            start, end = _span(a, stride_height, top, pool_height, height)
            row = i * out_height + a
            if with_index:
                _place_largest_of_rows(x, i * height + start, i * height + end, line)
                _place_largest_of_columns(pixels, stride_width, left, pool_width, y, index, row)
            else:
                _largest_of_rows(x, i * height + start, i * height + end, line)
                _largest_of_columns(pixels, stride_width, left, pool_width, y, row)


@kernel
def max_pooling_backward(
    height, width, pool_height, pool_width, stride_height, stride_width, top, left, rows, index, dy, dx
):
    """Write `dx`: each number of `dy` goes to where `index` says.

    Arrays as in `max_pooling_forward`, but dx of shape (rows, height * width * channels).
    """
    out_height, channels = dy.shape[0] // max(rows, 1), dy.shape[2]
    for i in range(rows):
        for j in range(dx.shape[1]):
            dx[i, j] = dx.dtype.type(0)
        for a in range(out_height):
            top_row, _ = _span(a, stride_height, top, pool_height, height)
            row = i * out_height + a
            for b in range(dy.shape[1]):
                column, _ = _span(b, stride_width, left, pool_width, width)
                start = (top_row * width + column) * channels
                for c in range(channels):
                    dx[i, start + int(index[row, b, c]) + c] += dy[row, b, c]


@kernel
def _sum_of_rows(x, start, end, line):
    """Write `line`: the sum of the rows of x from `start` to `end`."""
    for j in range(line.size):
        line[j] = x[start, j]
    for r in range(start + 1, end):
        for j in range(line.size):
            line[j] += x[r, j]


@kernel
def _mean_of_columns(pixels, stride, left, pool, rows, y, row):
    """Write a row of `y`: for each window the sum of its pixels, divided by their number and by `rows`."""
    width, channels, T = pixels.shape[0], pixels.shape[1], y.dtype.type
    for b in range(y.shape[1]):
        start, end = _span(b, stride, left, pool, width)
        count = T(rows * (end - start))
        if channels < _MANY_CHANNELS:
            for c in range(channels):
                total = pixels[start, c]
                for k in range(start + 1, end):
                    total += pixels[k, c]
                y[row, b, c] = total / count
        else:
            for c in range(channels):
                y[row, b, c] = pixels[start, c]
            for k in range(start + 1, end):
                for c in range(channels):
                    y[row, b, c] += pixels[k, c]
            for c in range(channels):
                y[row, b, c] /= count


@kernel
def average_pooling_forward(
    x, height, width, pool_height, pool_width, stride_height, stride_width, top, left, rows, line, pixels, y
):
    """Write `y`, the mean of each window without the padding; and `line`, `pixels`.

    Arrays as in `max_pooling_forward`, but for line and pixels: (width * channels,) and (width, channels).
    """
    out_height = y.shape[0] // max(rows, 1)
    for i in range(rows):
        for a in range(out_height):
            start, end = _span(a, stride_height, top, pool_height, height)
            _sum_of_rows(x, i * height + start, i * height + end, line)
            _mean_of_columns(pixels, stride_width, left, pool_width, end - start, y, i * out_height + a)


@kernel
def _add_row(line, dx, row):
    """Add `line` to a row of `dx`."""
    for j in range(line.size):
        dx[row, j] += line[j]


@kernel
def _share_out(dy, row, stride, left, pool, count, pixels):
    """Write `pixels`: the sum of a row of `dy`, divided by `count` and by the width of each window, there."""
    T = pixels.dtype.type
    for k in range(pixels.shape[0]):
        for c in range(pixels.shape[1]):
            pixels[k, c] = T(0)
    for b in range(dy.shape[1]):
        start, end = _span(b, stride, left, pool, pixels.shape[0])
        share = T(count * (end - start))
        for k in range(start, end):
            for c in range(pixels.shape[1]):
                pixels[k, c] += dy[row, b, c] / share


@kernel
def average_pooling_backward(
    height, width, pool_height, pool_width, stride_height, stride_width, top, left, rows, line, pixels, dy, dx
):
    """Write `dx`: each window's share of `dy`; and `line`, `pixels`. Arrays as in the forward pass."""
    out_height = dy.shape[0] // max(rows, 1)
    for i in range(rows):
        for r in range(i * height, (i + 1) * height):
            for j in range(line.size):
                dx[r, j] = line.dtype.type(0)
        for a in range(out_height):
            start, end = _span(a, stride_height, top, pool_height, height)
            _share_out(dy, i * out_height + a, stride_width, left, pool_width, end - start, pixels)
            for r in range(start, end):
                _add_row(line, dx, i * height + r)


_SIZES = (
    "height", "width", "channels", "out_height", "out_width", "pool_height", "pool_width",
    "stride_height", "stride_width", "top", "left",
)  # fmt: skip
_settings = dict.fromkeys(_SIZES, np.int64)
_image, _windows = "rows * height, width * channels", "rows * out_height, out_width, channels"
_tensors = {"x": _image, "y": _windows, "dx": _image, "dy": _windows}

_max = Op(
    tensors=_tensors,
    scratch={"line": "2, width * channels", "pixels": "2, width, channels", "index": _windows},
    settings=_settings,
    optional=("index",),
)
_max_backward = Op(
    tensors={"dy": _windows, "dx": "rows, n_in"}, scratch={"index": _windows}, settings=_settings
)
max_pooling = Pooling(
    _max.entry(max_pooling_forward, writes="y index line pixels"),
    _max_backward.entry(max_pooling_backward, writes="dx"),
)
_average = Op(
    tensors=_tensors,
    scratch={"line": "width * channels", "pixels": "width, channels"},
    settings=_settings,
)
average_pooling = Pooling(
    _average.entry(average_pooling_forward, writes="y line pixels"),
    _average.entry(average_pooling_backward, writes="dx line pixels"),
)
