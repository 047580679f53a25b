"""Depthwise convolution: each channel is convolved by itself, with one or several filters.

Names and sizes are those of `convolution.Geometry`, with as many groups as channels; the weights are of shape
(kernel height, kernel width, channels, multiplier). Channels are in the lanes.
"""

from ..abi.entries import entry
from ..abi.oprow import NONE, OP
from ..abi.tensors import tensor_address
from ..lowlevel._jit import kernel
from ..lowlevel.simd import element, view
from .convolution import op_geometry, sum_positions


@kernel
def _window(first, size, window, dilation):
    """The taps of a window along an axis that are within the image, [from, to). Writes nothing."""
    start = (-first + dilation - 1) // dilation if first < 0 else 0
    end = (size - first + dilation - 1) // dilation
    return start, min(window, max(end, start))


@kernel
def depthwise_forward(g, x, w, b, y):
    """Write ``y = b + sum over taps of x * w``.

    Parameters
    ----------
    g : Geometry
    x, y : arrays of shape (rows, height, width, channels) and (rows, out_height, out_width, filters)
    w : array of shape (taps, filters)
    b : array of shape (filters,), or (0,) for none
    """
    multiplier = g.filters // g.channels
    for r in range(x.shape[0]):
        for i in range(g.out_height):
            for j in range(g.out_width):
                for f in range(g.filters):
                    y[r, i, j, f] = b[f] if b.size > 0 else y.dtype.type(0)
                row, column = i * g.stride_height - g.top, j * g.stride_width - g.left
                top, bottom = _window(row, g.height, g.kernel_height, g.dilation_height)
                left, right = _window(column, g.width, g.kernel_width, g.dilation_width)
                for u in range(top, bottom):
                    for v in range(left, right):
                        tap = u * g.kernel_width + v
                        at, along = row + u * g.dilation_height, column + v * g.dilation_width
                        if multiplier == 1:
                            for f in range(g.filters):
                                y[r, i, j, f] += x[r, at, along, f] * w[tap, f]
                        else:
                            for c in range(g.channels):
                                for f in range(c * multiplier, (c + 1) * multiplier):
                                    y[r, i, j, f] += x[r, at, along, c] * w[tap, f]


@kernel
def depthwise_backward_input(g, w, dy, dx):
    """Write ``dx``; arrays of the shapes of x and y in `depthwise_forward`."""
    multiplier = g.filters // g.channels
    for r in range(dx.shape[0]):
        for i in range(g.height):
            for j in range(g.width):
                for c in range(g.channels):
                    dx[r, i, j, c] = dx.dtype.type(0)
        for i in range(g.out_height):
            for j in range(g.out_width):
                row, column = i * g.stride_height - g.top, j * g.stride_width - g.left
                top, bottom = _window(row, g.height, g.kernel_height, g.dilation_height)
                left, right = _window(column, g.width, g.kernel_width, g.dilation_width)
                for u in range(top, bottom):
                    for v in range(left, right):
                        tap = u * g.kernel_width + v
                        at, along = row + u * g.dilation_height, column + v * g.dilation_width
                        if multiplier == 1:
                            for f in range(g.filters):
                                dx[r, at, along, f] += dy[r, i, j, f] * w[tap, f]
                        else:
                            for c in range(g.channels):
                                for f in range(c * multiplier, (c + 1) * multiplier):
                                    dx[r, at, along, c] += dy[r, i, j, f] * w[tap, f]


@kernel
def depthwise_backward_weights(g, x, dy, dw):
    """Write ``dw``, of shape (taps, filters); arrays of the shapes of x and y in `depthwise_forward`."""
    multiplier = g.filters // g.channels
    for tap in range(dw.shape[0]):
        for f in range(g.filters):
            dw[tap, f] = dw.dtype.type(0)
    for r in range(x.shape[0]):
        for i in range(g.out_height):
            for j in range(g.out_width):
                row, column = i * g.stride_height - g.top, j * g.stride_width - g.left
                top, bottom = _window(row, g.height, g.kernel_height, g.dilation_height)
                left, right = _window(column, g.width, g.kernel_width, g.dilation_width)
                for u in range(top, bottom):
                    for v in range(left, right):
                        tap = u * g.kernel_width + v
                        at, along = row + u * g.dilation_height, column + v * g.dilation_width
                        if multiplier == 1:
                            for f in range(g.filters):
                                dw[tap, f] += x[r, at, along, f] * dy[r, i, j, f]
                        else:
                            for c in range(g.channels):
                                for f in range(c * multiplier, (c + 1) * multiplier):
                                    dw[tap, f] += x[r, at, along, c] * dy[r, i, j, f]


@entry(OP)
def forward_entry(op, net, T):
    """`x`, parameters -> `y`."""
    n_in, n_out, rows = op.n_in, op.n_out, net.rows
    g = op_geometry(op, n_in, n_out)
    images, outputs = (rows, g.height, g.width, g.channels), (rows, g.out_height, g.out_width, g.filters)
    x = view(tensor_address(net, op.x, n_in, T), images, T)
    y = view(tensor_address(net, op.y, n_out, T), outputs, T)
    parameters = net.parameters
    w = view(element(parameters, op.parameters[0], T), (g.kernel_height * g.kernel_width, g.filters), T)
    b = view(element(parameters, op.parameters[1], T), g.filters if op.parameters[1] != NONE else 0, T)
    depthwise_forward(g, x, w, b, y)


@entry(OP)
def backward_input_entry(op, net, T):
    """`dy`, parameters -> `dx`."""
    n_in, n_out, rows = op.n_in, op.n_out, net.rows
    g = op_geometry(op, n_in, n_out)
    images, outputs = (rows, g.height, g.width, g.channels), (rows, g.out_height, g.out_width, g.filters)
    dx = view(tensor_address(net, op.dx, n_in, T), images, T)
    dy = view(tensor_address(net, op.dy, n_out, T), outputs, T)
    place = element(net.parameters, op.parameters[0], T)
    w = view(place, (g.kernel_height * g.kernel_width, g.filters), T)
    depthwise_backward_input(g, w, dy, dx)


@entry(OP)
def backward_weights_entry(op, net, T):
    """`x`, `dy` -> the gradients of w and b."""
    n_in, n_out, rows = op.n_in, op.n_out, net.rows
    g = op_geometry(op, n_in, n_out)
    images, outputs = (rows, g.height, g.width, g.channels), (rows, g.out_height, g.out_width, g.filters)
    x = view(tensor_address(net, op.x, n_in, T), images, T)
    place, vector = tensor_address(net, op.dy, n_out, T), net.rows_gradient
    dw = view(element(vector, op.parameters[0], T), (g.kernel_height * g.kernel_width, g.filters), T)
    depthwise_backward_weights(g, x, view(place, outputs, T), dw)
    if op.parameters[1] != NONE:
        count = rows * g.out_height * g.out_width
        sum_positions(count, g.filters, place, element(vector, op.parameters[1], T), T, net.itemsize)
