"""Windows over images: their geometry, tables of places, padded images, and sums over positions.

What `convolution` and `depthwise` share. Arrays are given by their addresses.
"""

from collections import namedtuple

import numpy as np

from ..lowlevel._jit import kernel
from ..lowlevel.simd import view

#: Sizes of an op: of the large image, of the kernel and its steps, the rows above and columns left of the
#: image that are padding, of the small image, and into how many groups channels and filters are divided.
Geometry = namedtuple(
    "Geometry",
    "height width channels kernel_height kernel_width stride_height stride_width "
    "dilation_height dilation_width top left out_height out_width filters groups",
)

# Numbers that `sum_positions` adds at a time, at least.
_SUMMED = 128


@kernel
def padded_size(g):
    """Height and width of the large image with its padding. Writes nothing."""
    rows = (g.out_height - 1) * g.stride_height + (g.kernel_height - 1) * g.dilation_height + 1
    columns = (g.out_width - 1) * g.stride_width + (g.kernel_width - 1) * g.dilation_width + 1
    return max(rows, g.top + g.height), max(columns, g.left + g.width)


@kernel
def tables(g, padded_width, scratch, itemsize):
    """Write int32 tables at `scratch`: the places of a group's taps, then those of the positions."""
    channels = g.channels // g.groups
    n_taps = g.kernel_height * g.kernel_width * channels
    taps = view(scratch, n_taps, np.int32)
    k = 0
    for i in range(g.kernel_height):
        for j in range(g.kernel_width):
            place = (i * g.dilation_height * padded_width + j * g.dilation_width) * g.channels
            for c in range(channels):
                taps[k] = place + c
                k += 1
    positions = scratch + n_taps * itemsize
    places = view(positions, g.out_height * g.out_width, np.int32)
    k = 0
    for i in range(g.out_height):
        for j in range(g.out_width):
            places[k] = (i * g.stride_height * padded_width + j * g.stride_width) * g.channels
            k += 1
    # What follows begins with a cache line, so that vectors do not straddle two.
    return positions, (positions + places.size * itemsize + 63) // 64 * 64


@kernel
def clear(target, size, dtype):
    """Write zeros at the address `target`."""
    x = view(target, size, dtype)
    for i in range(size):
        x[i] = dtype(0)


@kernel
def copy(source, target, size, dtype):
    """Write numbers at the address `source` to the address `target`."""
    x, y = view(source, size, dtype), view(target, size, dtype)
    for i in range(size):
        y[i] = x[i]


@kernel
def copy_in(g, source, target, padded_width, dtype, itemsize):
    """Write the large image, at the address `source`, into the middle of the padded one, at `target`."""
    run = g.width * g.channels
    for i in range(g.height):
        place = ((g.top + i) * padded_width + g.left) * g.channels
        copy(source + i * run * itemsize, target + place * itemsize, run, dtype)


@kernel
def copy_out(g, source, bias, target, padded_width, dtype, itemsize):
    """Write the large image at `target`: the middle of the padded one, and a bias unless it is 0."""
    run = g.width * g.channels
    for i in range(g.height):
        x = view(source + ((g.top + i) * padded_width + g.left) * g.channels * itemsize, run, dtype)
        y = view(target + i * run * itemsize, run, dtype)
        if bias == 0:
            for j in range(run):
                y[j] = x[j]
        else:
            for j in range(0, run, g.channels):
                b = view(bias, g.channels, dtype)
                for c in range(g.channels):
                    y[j + c] = x[j + c] + b[c]


@kernel
def _add_rows(x, total):
    """Write `total`, the sums over the rows of x."""
    for j in range(total.size):
        total[j] = total.dtype.type(0)
    for i in range(x.shape[0]):
        for j in range(total.size):
            total[j] += x[i, j]


@kernel
def sum_positions(count, width, source, target, scratch, dtype, itemsize):
    """Write the sums over `count` positions of `width` numbers each, at the address `source`, to `target`.

    Several positions are one row at first, whose sums are at `scratch`: short rows take long to begin.
    """
    fold = max(1, min(_SUMMED // width, count))
    rows, total = count // fold, view(target, width, dtype)
    sums = view(scratch, (fold, width), dtype)
    _add_rows(view(source, (rows, fold * width), dtype), view(scratch, fold * width, dtype))
    rest = view(source + rows * fold * width * itemsize, (count - rows * fold, width), dtype)
    for j in range(width):
        value = dtype(0)
        for k in range(fold):
            value += sums[k, j]
        for k in range(rest.shape[0]):
            value += rest[k, j]
        total[j] = value


@kernel
def op_geometry(op, n_large, n_small):
    """The geometry of an op row, of images of so many numbers. Writes nothing."""
    s = op.settings
    width, channels = np.int64(s[0]), np.int64(s[1])
    out_width, filters = np.int64(s[10]), np.int64(s[11])
    return Geometry(
        n_large // (width * channels), width, channels,
        np.int64(s[2]), np.int64(s[3]), np.int64(s[4]), np.int64(s[5]),
        np.int64(s[6]), np.int64(s[7]), np.int64(s[8]), np.int64(s[9]),
        n_small // (out_width * filters), out_width, filters, np.int64(s[12]),
    )  # fmt: skip
