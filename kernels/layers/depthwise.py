"""Depthwise convolution: each channel is convolved by itself, with one or several filters.

Names and sizes are those of `windows.Geometry`, with as many groups as channels; the weights are of shape
(kernel height, kernel width, channels, multiplier), a row of filters for each place of the window. Channels
are in the lanes. Where there are several filters a channel, each channel is repeated as often in a copy of
the image.
"""

from ..abi.entries import entry
from ..abi.oprow import NONE, OP
from ..abi.tensors import tensor_address
from ..linalg.indirect import indirect_product
from ..lowlevel._jit import kernel
from ..lowlevel.simd import element, view
from .windows import Geometry, clear, copy, op_geometry, padded_size, sum_positions, tables


@kernel
def _spread(g, x, repeat, stride_height, stride_width, target, padded_width, dtype, itemsize):
    """Write an image, at the address `x`, into the middle of a padded one of zeros.

    Its positions are put some strides apart, and each of its channels is repeated.
    """
    run = g.width * g.channels
    for i in range(g.height):
        source = x + i * run * itemsize
        place = (g.top + i * stride_height) * padded_width + g.left
        to = target + place * g.channels * repeat * itemsize
        if repeat == 1 and stride_width == 1:
            copy(source, to, run, dtype)
        else:
            numbers = view(source, (g.width, g.channels), dtype)
            y = view(to, (padded_width, g.channels, repeat), dtype)
            for j in range(g.width):
                for c in range(g.channels):
                    for k in range(repeat):
                        y[j * stride_width, c, k] = numbers[j, c]


@kernel
def _of_all_channels(g):
    """The geometry with each channel repeated for each of its filters. Writes nothing."""
    return Geometry(
        g.height, g.width, g.filters, g.kernel_height, g.kernel_width, g.stride_height, g.stride_width,
        g.dilation_height, g.dilation_width, g.top, g.left, g.out_height, g.out_width, g.filters, g.filters,
    )  # fmt: skip


@kernel
def depthwise_forward(product, g, rows, x, w, b, y, scratch, dtype, itemsize):
    """Write ``y = b + sum over the window of x * w``, and `scratch`.

    Parameters
    ----------
    product : int64
        Address of the compiled `linalg.indirect.channel_product_entry`.
    g : Geometry
    rows : int
        Samples.
    x, w, b, y : int64
        Addresses of arrays of shape (rows, height, width, channels), (places of the window, filters),
        (filters,), or 0 for none, and (rows, out_height, out_width, filters).
    scratch : int64
        Address of memory: see `fastnn.layers.depthwise`.
    """
    wide = _of_all_channels(g)
    padded_height, padded_width = padded_size(wide)
    positions, image = tables(wide, padded_width, scratch, itemsize)
    is_copied = padded_height > g.height or padded_width > g.width or g.filters > g.channels
    if is_copied:
        clear(image, padded_height * padded_width * g.filters, dtype)
    window, places = g.kernel_height * g.kernel_width, g.out_height * g.out_width
    for r in range(rows):
        source = x + r * g.height * g.width * g.channels * itemsize
        if is_copied:
            _spread(g, source, g.filters // g.channels, 1, 1, image, padded_width, dtype, itemsize)
            source = image
        indirect_product(
            product, places, g.filters, window, source, positions, scratch, w, g.filters, b, 0,
            y + r * places * g.filters * itemsize, g.filters
        )  # fmt: skip


@kernel
def depthwise_backward_input(product, g, rows, w, dy, dx, scratch, dtype, itemsize):
    """Write ``dx``, and `scratch`: the windows of dy, spread by the strides, with the weights turned."""
    window, places = g.kernel_height * g.kernel_width, g.out_height * g.out_width
    source = Geometry(
        g.out_height, g.out_width, g.filters, g.kernel_height, g.kernel_width, 1, 1,
        g.dilation_height, g.dilation_width,
        (g.kernel_height - 1) * g.dilation_height - g.top, (g.kernel_width - 1) * g.dilation_width - g.left,
        g.height, g.width, g.filters, g.filters,
    )  # fmt: skip
    padded_height = source.top + max((g.out_height - 1) * g.stride_height + 1, g.height + g.top)
    padded_width = source.left + max((g.out_width - 1) * g.stride_width + 1, g.width + g.left)
    positions, turned = tables(source, padded_width, scratch, itemsize)
    weights, opposite = view(w, (window, g.filters), dtype), view(turned, (window, g.filters), dtype)
    for i in range(window):
        for f in range(g.filters):
            opposite[window - 1 - i, f] = weights[i, f]
    image = turned + window * g.filters * itemsize
    size = padded_height * padded_width * g.filters
    clear(image, size, dtype)
    multiplier, n_in = g.filters // g.channels, g.height * g.width * g.channels
    for r in range(rows):
        _spread(
            source, dy + r * places * g.filters * itemsize, 1, g.stride_height, g.stride_width, image,
            padded_width, dtype, itemsize
        )  # fmt: skip
        target = dx + r * n_in * itemsize
        all_filters = image + size * itemsize if multiplier > 1 else target
        indirect_product(
            product, g.height * g.width, g.filters, window, image, positions, scratch, turned, g.filters, 0,
            0, all_filters, g.filters
        )  # fmt: skip
        if multiplier > 1:
            terms, total = view(all_filters, (n_in, multiplier), dtype), view(target, n_in, dtype)
            for c in range(n_in):
                value = terms[c, 0]
                for k in range(1, multiplier):
                    value += terms[c, k]
                total[c] = value


@kernel
def depthwise_backward_weights(product, g, rows, x, dy, dw, scratch, dtype, itemsize):
    """Write ``dw``, of shape (places of the window, filters), and `scratch`; see `depthwise_forward`."""
    wide = _of_all_channels(g)
    padded_height, padded_width = padded_size(wide)
    positions, image = tables(wide, padded_width, scratch, itemsize)
    is_copied = padded_height > g.height or padded_width > g.width or g.filters > g.channels
    if is_copied:
        clear(image, padded_height * padded_width * g.filters, dtype)
    window, places = g.kernel_height * g.kernel_width, g.out_height * g.out_width
    if rows == 0:
        clear(dw, window * g.filters, dtype)
    for r in range(rows):
        source = x + r * g.height * g.width * g.channels * itemsize
        if is_copied:
            _spread(g, source, g.filters // g.channels, 1, 1, image, padded_width, dtype, itemsize)
            source = image
        indirect_product(
            product, window, g.filters, places, source, scratch, positions,
            dy + r * places * g.filters * itemsize, g.filters, dw if r > 0 else 0, g.filters, dw, g.filters
        )  # fmt: skip


@entry(OP)
def forward_entry(op, net, T):
    """`x`, parameters -> `y`."""
    n_in, n_out, vector = op.n_in, op.n_out, net.parameters
    g = op_geometry(op, n_in, n_out)
    x, y = tensor_address(net, op.x, n_in, T), tensor_address(net, op.y, n_out, T)
    w = element(vector, op.parameters[0], T)
    b = element(vector, op.parameters[1], T) if op.parameters[1] != NONE else 0
    depthwise_forward(op.product, g, net.rows, x, w, b, y, net.scratch, T, net.itemsize)


@entry(OP)
def backward_input_entry(op, net, T):
    """`dy`, parameters -> `dx`."""
    n_in, n_out = op.n_in, op.n_out
    g = op_geometry(op, n_in, n_out)
    dx, dy = tensor_address(net, op.dx, n_in, T), tensor_address(net, op.dy, n_out, T)
    w = element(net.parameters, op.parameters[0], T)
    depthwise_backward_input(op.product, g, net.rows, w, dy, dx, net.scratch, T, net.itemsize)


@entry(OP)
def backward_weights_entry(op, net, T):
    """`x`, `dy` -> the gradients of w and b."""
    n_in, n_out, rows, scratch = op.n_in, op.n_out, net.rows, net.scratch
    g = op_geometry(op, n_in, n_out)
    x, dy = tensor_address(net, op.x, n_in, T), tensor_address(net, op.dy, n_out, T)
    dw = element(net.rows_gradient, op.parameters[0], T)
    depthwise_backward_weights(op.product, g, rows, x, dy, dw, scratch, T, net.itemsize)
    if op.parameters[1] != NONE:
        count, db = rows * (n_out // g.filters), element(net.rows_gradient, op.parameters[1], T)
        sum_positions(count, g.filters, dy, db, scratch, T, net.itemsize)
