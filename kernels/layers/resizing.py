"""Images made larger or smaller without weights: repeated or interpolated pixels, borders added or cut off.

A sequence is an image of height 1.
"""

from collections import namedtuple

import numpy as np

from ..abi.entries import Op
from ..lowlevel._jit import force_inline, kernel

Resizing = namedtuple("Resizing", "forward_entry backward_input_entry")


@kernel
def upsampling_forward(x, height_factor, width_factor, y):
    """Write `y`: each pixel of `x` several times, below and beside each other.

    Arrays of shape (rows * height, width, channels) and (rows * height * height_factor, width * width_factor,
    channels).
    """
    for r in range(y.shape[0]):
        source = r // height_factor
        for b in range(x.shape[1]):
            for k in range(b * width_factor, (b + 1) * width_factor):
                for c in range(x.shape[2]):
                    y[r, k, c] = x[source, b, c]


@kernel
def upsampling_backward(height_factor, width_factor, dy, dx):
    """Write `dx`: the sum of `dy` over the copies of each pixel; shapes as in `upsampling_forward`."""
    for r in range(dx.shape[0]):
        for b in range(dx.shape[1]):
            for c in range(dx.shape[2]):
                dx[r, b, c] = dx.dtype.type(0)
            for a in range(r * height_factor, (r + 1) * height_factor):
                for k in range(b * width_factor, (b + 1) * width_factor):
                    for c in range(dx.shape[2]):
                        dx[r, b, c] += dy[a, k, c]


@force_inline
def _between(i, factor, n, dtype):
    """The two of n old pixels that new pixel i lies between, and how far from the first to the second."""
    twice = max(2 * i + 1 - factor, 0)  # twice the distance to the centre of the first of all, in new pixels
    before = twice // (2 * factor)
    after = min(before + 1, n - 1)
    return before, after, dtype(twice - before * 2 * factor) / dtype(2 * factor)


@kernel
def bilinear_forward(x, height, height_factor, width_factor, y):
    """Write `y`: images of `x`, of this height, made larger; each pixel is a mean of four, by distance.

    Arrays of shape (rows * height, width, channels) and (rows * height * height_factor, width * width_factor,
    channels). Centres of pixels are half a pixel from the border, beyond the outermost the image is constant.
    """
    T = y.dtype.type
    for r in range(y.shape[0]):
        image, row = r // (height * height_factor), r % (height * height_factor)
        above, below, down = _between(row, height_factor, height, T)
        above, below = above + image * height, below + image * height
        for k in range(y.shape[1]):
            left, right, along = _between(k, width_factor, x.shape[1], T)
            for c in range(y.shape[2]):
                first = x[above, left, c] + along * (x[above, right, c] - x[above, left, c])
                second = x[below, left, c] + along * (x[below, right, c] - x[below, left, c])
                y[r, k, c] = first + down * (second - first)


@kernel
def bilinear_backward(height, height_factor, width_factor, dy, dx):
    """Write `dx`, the transpose of `bilinear_forward` of `dy`."""
    T = dx.dtype.type
    for r in range(dx.shape[0]):
        for k in range(dx.shape[1]):
            for c in range(dx.shape[2]):
                dx[r, k, c] = T(0)
    for r in range(dy.shape[0]):
        image, row = r // (height * height_factor), r % (height * height_factor)
        above, below, down = _between(row, height_factor, height, T)
        above, below = above + image * height, below + image * height
        for k in range(dy.shape[1]):
            left, right, along = _between(k, width_factor, dx.shape[1], T)
            for c in range(dy.shape[2]):
                second = down * dy[r, k, c]
                first = dy[r, k, c] - second
                dx[above, right, c] += along * first
                dx[above, left, c] += first - along * first
                dx[below, right, c] += along * second
                dx[below, left, c] += second - along * second


@kernel
def pad(small, rows, top, left, large):
    """Write `large`: each image of `small` from row `top` and column `left` on, and zeros around it.

    Arrays of shape (rows * height, width, channels), each with its own height and width.
    """
    height, padded = small.shape[0] // max(rows, 1), large.shape[0] // max(rows, 1)
    for r in range(large.shape[0]):
        for k in range(large.shape[1]):
            for c in range(large.shape[2]):
                large[r, k, c] = large.dtype.type(0)
    for i in range(rows):
        for a in range(height):
            for b in range(small.shape[1]):
                for c in range(small.shape[2]):
                    large[i * padded + top + a, left + b, c] = small[i * height + a, b, c]


@kernel
def crop(large, rows, top, left, small):
    """Write `small`: the part of each image of `large` from row `top` and column `left` on; see `pad`."""
    height, padded = small.shape[0] // max(rows, 1), large.shape[0] // max(rows, 1)
    for i in range(rows):
        for a in range(height):
            for b in range(small.shape[1]):
                for c in range(small.shape[2]):
                    small[i * height + a, b, c] = large[i * padded + top + a, left + b, c]


@kernel
def padding_forward(x, rows, top, left, y):
    """Write `y`: see `pad`."""
    pad(x, rows, top, left, y)


@kernel
def padding_backward(dy, rows, top, left, dx):
    """Write `dx`: see `crop`."""
    crop(dy, rows, top, left, dx)


@kernel
def cropping_forward(x, rows, top, left, y):
    """Write `y`: see `crop`."""
    crop(x, rows, top, left, y)


@kernel
def cropping_backward(dy, rows, top, left, dx):
    """Write `dx`: see `pad`."""
    pad(dy, rows, top, left, dx)


_before, _after = "rows * height, width, channels", "rows * out_height, out_width, channels"
_tensors = {"x": _before, "y": _after, "dx": _before, "dy": _after}
_sizes = ("height", "width", "channels", "out_height", "out_width")

_upsampling = Op(
    tensors=_tensors, settings=dict.fromkeys((*_sizes, "height_factor", "width_factor"), np.int64)
)
upsampling = Resizing(
    _upsampling.entry(upsampling_forward, writes="y"), _upsampling.entry(upsampling_backward, writes="dx")
)
bilinear = Resizing(
    _upsampling.entry(bilinear_forward, writes="y"), _upsampling.entry(bilinear_backward, writes="dx")
)
_border = Op(tensors=_tensors, settings=dict.fromkeys((*_sizes, "top", "left"), np.int64))
padding = Resizing(_border.entry(padding_forward, writes="y"), _border.entry(padding_backward, writes="dx"))
cropping = Resizing(
    _border.entry(cropping_forward, writes="y"), _border.entry(cropping_backward, writes="dx")
)
