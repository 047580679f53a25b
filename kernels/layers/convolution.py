"""Convolution and its transpose: a large image, and a small one that sees a window of it at each position.

Three kernels, by rows (samples), do all: `gather` computes the small image from the large one, `scatter` is
its transpose, `weight_gradient` the gradient with respect to the weights of both. A convolution goes forward
by `gather` and back by `scatter`; a transposed convolution goes the other way (V. Dumoulin, F. Visin, *A
guide to convolution arithmetic for deep learning*, 2016). In one dimension the images are one row high.

The weights are of shape (kernel height, kernel width, channels / groups, filters), for channels of the large
image and filters of the small one: a matrix of a row for each *tap*, which is a place and a channel of the
window. Where taps and positions lie is put into tables, by which `linalg.indirect` multiplies: no matrix of
windows is made.
"""

from collections import namedtuple

import numpy as np

from ..abi.entries import entry
from ..abi.oprow import NONE, OP
from ..abi.tensors import tensor_address
from ..linalg.add import add_run
from ..linalg.indirect import indirect_product
from ..lowlevel._jit import kernel
from ..lowlevel.simd import element, view
from ..lowlevel.vector_ir import VECTOR_BYTES
from .windows import Geometry, clear, copy_in, copy_out, op_geometry, padded_size, sum_positions, tables

Convolution = namedtuple("Convolution", "forward_entry backward_input_entry backward_weights_entry")

#: Positions of the small image that `_scatter` computes at a time.
BLOCK = 16
# Most positions that `_weight_gradient` adds up at a time: what it reads of them stays in the first cache.
_POSITIONS = 192


@kernel
def _gather(product, g, rows, large, w, bias, small, scratch, dtype, itemsize):
    """Write the small images, and `scratch`."""
    padded_height, padded_width = padded_size(g)
    positions, image = tables(g, padded_width, scratch, itemsize)
    channels, filters = g.channels // g.groups, g.filters // g.groups
    taps, places = g.kernel_height * g.kernel_width * channels, g.out_height * g.out_width
    size, is_padded = g.height * g.width * g.channels, padded_height > g.height or padded_width > g.width
    if is_padded:
        clear(image, padded_height * padded_width * g.channels, dtype)
    for r in range(rows):
        x = large + r * size * itemsize
        if is_padded:
            copy_in(g, x, image, padded_width, dtype, itemsize)
            x = image
        y = small + r * places * g.filters * itemsize
        for group in range(g.groups):
            skip = group * filters * itemsize
            indirect_product(
                product, places, filters, taps, x + group * channels * itemsize, positions, scratch,
                w + skip, g.filters, bias + skip if bias != 0 else 0, 0, y + skip, g.filters
            )  # fmt: skip


@kernel
def _scatter(product, g, rows, small, w, bias, large, scratch, dtype, itemsize):
    """Write the large images, and `scratch`."""
    padded_height, padded_width = padded_size(g)
    positions, image = tables(g, padded_width, scratch, itemsize)
    channels, filters = g.channels // g.groups, g.filters // g.groups
    taps, places = g.kernel_height * g.kernel_width * channels, g.out_height * g.out_width
    padded = padded_height * padded_width * g.channels
    own = image + padded * itemsize  # the places of a block of the small image,
    own_steps = own + BLOCK * itemsize  # those of a group's filters in it,
    turned = own_steps + filters * itemsize  # the weights, transposed,
    windows = turned + taps * g.filters * itemsize  # and what is added to the windows
    block_rows, steps = view(own, BLOCK, np.int32), view(own_steps, filters, np.int32)
    for i in range(BLOCK):
        block_rows[i] = i * g.filters
    for i in range(filters):
        steps[i] = i
    source, target = view(w, (taps, g.filters), dtype), view(turned, (g.filters, taps), dtype)
    for i in range(taps):
        for j in range(g.filters):
            target[j, i] = source[i, j]
    run = channels  # so many taps lie side by side in the window
    if g.groups == 1 and g.dilation_width == 1:
        run *= g.kernel_width
    tap_places, window_places = view(scratch, taps, np.int32), view(positions, places, np.int32)
    size = g.height * g.width * g.channels
    for r in range(rows):
        clear(image, padded, dtype)
        for group in range(g.groups):
            windowed = image + group * channels * itemsize
            for first in range(0, places, BLOCK):
                count = min(BLOCK, places - first)
                y = small + ((r * places + first) * g.filters + group * filters) * itemsize
                b = turned + group * filters * taps * itemsize
                indirect_product(
                    product, count, taps, filters, y, own, own_steps, b, taps, 0, 0, windows, taps
                )
                for i in range(count):
                    window = windowed + window_places[first + i] * itemsize
                    for k in range(0, taps, run):
                        term = windows + (i * taps + k) * itemsize
                        add_run(term, window + tap_places[k] * itemsize, run, dtype, itemsize)
        copy_out(g, image, bias, large + r * size * itemsize, padded_width, dtype, itemsize)


@kernel
def _weight_gradient(product, g, rows, large, small, dw, scratch, dtype, itemsize):
    """Write the gradient with respect to the weights, and `scratch`."""
    padded_height, padded_width = padded_size(g)
    positions, image = tables(g, padded_width, scratch, itemsize)
    channels, filters = g.channels // g.groups, g.filters // g.groups
    taps, places = g.kernel_height * g.kernel_width * channels, g.out_height * g.out_width
    size, is_padded = g.height * g.width * g.channels, padded_height > g.height or padded_width > g.width
    if is_padded:
        clear(image, padded_height * padded_width * g.channels, dtype)
    if rows == 0:
        clear(dw, taps * g.filters, dtype)
    parts = (places + _POSITIONS - 1) // _POSITIONS
    for r in range(rows):
        x = large + r * size * itemsize
        if is_padded:
            copy_in(g, x, image, padded_width, dtype, itemsize)
            x = image
        y = small + r * places * g.filters * itemsize
        for group in range(g.groups):
            skip, first = group * filters * itemsize, 0
            for part in range(parts):
                after = (part + 1) * places // parts
                indirect_product(
                    product, taps, filters, after - first, x + group * channels * itemsize, scratch,
                    positions + 4 * first, y + skip + first * g.filters * itemsize, g.filters,
                    dw + skip if r + part > 0 else 0, g.filters, dw + skip, g.filters
                )  # fmt: skip
                first = after


@kernel
def _vectors(n, itemsize):
    """How many vectors so many numbers take. Writes nothing."""
    return (n * itemsize + VECTOR_BYTES - 1) // VECTOR_BYTES


@kernel
def _neighbours(g, itemsize):
    """How many positions of a row to compute at a time as one of more filters. Writes nothing.

    Few filters leave lanes empty. The window of neighbours is wider, with zeros among the weights.
    """
    best, least = 1, 0.0
    if g.groups == 1 and g.dilation_width == 1:
        most = max(1, min(g.out_width, VECTOR_BYTES // (g.filters * itemsize)))
        for n in range(1, most + 1):
            if g.out_width % n == 0:
                width = (n - 1) * g.stride_width + g.kernel_width
                cost = width * (4 * _vectors(n * g.filters, itemsize) + 1) / n
                if n == 1 or cost < least:
                    best, least = n, cost
    return best


@kernel
def _widened(g, n):
    """The geometry with n neighbouring positions for one, of n times as many filters. Writes nothing."""
    return Geometry(
        g.height, g.width, g.channels, g.kernel_height, (n - 1) * g.stride_width + g.kernel_width,
        g.stride_height, n * g.stride_width, g.dilation_height, g.dilation_width,
        g.top, g.left, g.out_height, g.out_width // n, n * g.filters, g.groups,
    )  # fmt: skip


@kernel
def gather(product, g, rows, large, w, bias, small, scratch, dtype, itemsize):
    """Write the small images at the address `small`: ``bias + sum over taps of large * w``; and `scratch`.

    Parameters
    ----------
    product : int64
        Address of the compiled `linalg.indirect.product_entry`.
    g : Geometry
    rows : int
        Samples.
    large, w, bias, small : int64
        Addresses of arrays of shape (rows, height, width, channels), (kernel_height, kernel_width, channels /
        groups, filters), (filters,), or 0 for none, and (rows, out_height, out_width, filters).
    scratch : int64
        Address of memory: see `fastnn.layers.convolution_base`.
    """
    n = _neighbours(g, itemsize)
    if n > 1:
        wide = _widened(g, n)
        taps = g.kernel_height * wide.kernel_width * g.channels
        row, skip = g.kernel_width * g.channels, g.stride_width * g.channels
        x = view(w, (g.kernel_height, row, g.filters), dtype)
        y = view(scratch, (g.kernel_height, wide.kernel_width * g.channels, wide.filters), dtype)
        clear(scratch, taps * wide.filters, dtype)
        for i in range(g.kernel_height):
            for k in range(n):
                for j in range(row):
                    for f in range(g.filters):
                        y[i, k * skip + j, k * g.filters + f] = x[i, j, f]
        w, scratch = scratch, scratch + taps * wide.filters * itemsize
        if bias != 0:
            b, c = view(bias, g.filters, dtype), view(scratch, (n, g.filters), dtype)
            for k in range(n):
                for f in range(g.filters):
                    c[k, f] = b[f]
            bias, scratch = scratch, scratch + wide.filters * itemsize
        g = wide
    _gather(product, g, rows, large, w, bias, small, scratch, dtype, itemsize)


@kernel
def _is_gathered(g, itemsize):
    """Whether the large image is sooner gathered from the small one than added up. Writes nothing."""
    if g.stride_height > 1 or g.stride_width > 1:
        return False
    turned = _turned(g)
    n = _neighbours(turned, itemsize)
    window = g.kernel_height * (g.kernel_width + n - 1) * (g.filters // g.groups)
    channels = _vectors(n * g.channels // g.groups, itemsize)
    gathered = g.height * g.width * window * (4 * channels + 1) // n
    taps = g.kernel_height * g.kernel_width * (g.channels // g.groups)
    row = g.kernel_width * g.channels if g.groups == 1 and g.dilation_width == 1 else g.channels // g.groups
    steps = g.filters // g.groups * (4 * _vectors(taps, itemsize) + 1) + 13 * _vectors(taps, itemsize)
    added = g.out_height * g.out_width * (steps + 20 * taps // row * _vectors(row, itemsize))
    return gathered <= added


@kernel
def _turned(g):
    """The geometry of the convolution that gives the large image from the small one. Writes nothing."""
    return Geometry(
        g.out_height, g.out_width, g.filters, g.kernel_height, g.kernel_width, 1, 1,
        g.dilation_height, g.dilation_width,
        (g.kernel_height - 1) * g.dilation_height - g.top, (g.kernel_width - 1) * g.dilation_width - g.left,
        g.height, g.width, g.channels, g.groups,
    )  # fmt: skip


@kernel
def scatter(product, g, rows, small, w, bias, large, scratch, dtype, itemsize):
    """Write the large images at the address `large`: ``bias + transpose of gather``; and `scratch`.

    Parameters are those of `gather`; the bias is of shape (channels,).
    """
    if not _is_gathered(g, itemsize):
        _scatter(product, g, rows, small, w, bias, large, scratch, dtype, itemsize)
        return
    # The window's places in the opposite order, channels and filters exchanged
    channels, filters = g.channels // g.groups, g.filters // g.groups
    places = g.kernel_height * g.kernel_width
    x = view(w, (places, channels, g.filters), dtype)
    y = view(scratch, (places, filters, g.channels), dtype)
    for i in range(places):
        for group in range(g.groups):
            for c in range(channels):
                for f in range(filters):
                    y[places - 1 - i, f, group * channels + c] = x[i, c, group * filters + f]
    after = scratch + x.size * itemsize
    gather(product, _turned(g), rows, small, scratch, bias, large, after, dtype, itemsize)


@kernel
def weight_gradient(product, g, rows, large, small, dw, scratch, dtype, itemsize):
    """Write the gradient with respect to the weights at the address `dw`; and `scratch`.

    Parameters are those of `gather`; one of `large` and `small` is an input, the other a gradient.
    """
    n = _neighbours(g, itemsize)
    if n == 1:
        _weight_gradient(product, g, rows, large, small, dw, scratch, dtype, itemsize)
        return
    wide = _widened(g, n)
    taps = g.kernel_height * wide.kernel_width * g.channels
    after = scratch + taps * wide.filters * itemsize
    _weight_gradient(product, wide, rows, large, small, scratch, after, dtype, itemsize)
    row, skip = g.kernel_width * g.channels, g.stride_width * g.channels
    x = view(scratch, (g.kernel_height, wide.kernel_width * g.channels, wide.filters), dtype)
    y = view(dw, (g.kernel_height, row, g.filters), dtype)
    for i in range(g.kernel_height):
        for j in range(row):
            for f in range(g.filters):
                total = dtype(0)
                for k in range(n):
                    total += x[i, k * skip + j, k * g.filters + f]
                y[i, j, f] = total


@kernel
def _bias(net, op, dtype):
    """Address of the bias, or 0. Writes nothing."""
    return element(net.parameters, op.parameters[1], dtype) if op.parameters[1] != NONE else 0


def _entries(turned):
    """The entries of a convolution, or of a transposed one."""
    to_small, to_large = (scatter, gather) if turned else (gather, scatter)

    @entry(OP)
    def forward_entry(op, net, T):
        """`x`, parameters -> `y`."""
        n_in, n_out = op.n_in, op.n_out
        g = op_geometry(op, n_out if turned else n_in, n_in if turned else n_out)
        x, y = tensor_address(net, op.x, n_in, T), tensor_address(net, op.y, n_out, T)
        w, itemsize = element(net.parameters, op.parameters[0], T), net.itemsize
        scratch = net.scratch
        to_small(op.product, g, net.rows, x, w, _bias(net, op, T), y, scratch, T, itemsize)

    @entry(OP)
    def backward_input_entry(op, net, T):
        """`dy`, parameters -> `dx`."""
        n_in, n_out = op.n_in, op.n_out
        g = op_geometry(op, n_out if turned else n_in, n_in if turned else n_out)
        dx, dy = tensor_address(net, op.dx, n_in, T), tensor_address(net, op.dy, n_out, T)
        w, itemsize = element(net.parameters, op.parameters[0], T), net.itemsize
        to_large(op.product, g, net.rows, dy, w, 0, dx, net.scratch, T, itemsize)

    @entry(OP)
    def backward_weights_entry(op, net, T):
        """`x`, `dy` -> the gradients of w and b."""
        n_in, n_out = op.n_in, op.n_out
        g = op_geometry(op, n_out if turned else n_in, n_in if turned else n_out)
        rows, vector, itemsize = net.rows, net.rows_gradient, net.itemsize
        x, dy = tensor_address(net, op.x, n_in, T), tensor_address(net, op.dy, n_out, T)
        large, small = (dy, x) if turned else (x, dy)
        dw = element(vector, op.parameters[0], T)
        weight_gradient(op.product, g, rows, large, small, dw, net.scratch, T, itemsize)
        if op.parameters[1] != NONE:
            width, db = g.channels if turned else g.filters, element(vector, op.parameters[1], T)
            sum_positions(rows * (n_out // width), width, dy, db, net.scratch, T, itemsize)

    return Convolution(forward_entry, backward_input_entry, backward_weights_entry)


convolution, transposed = _entries(False), _entries(True)
