"""Rows of the data set: copying those of a batch together, and looking for NaN and infinity."""

import numpy as np

from . import descriptor
from ._jit import kernel, reduction
from .simd import view
from .tensors import row_weights, slots


@kernel
def gather(source, order, target):
    """Write the rows of `source` whose numbers are in `order` into `target`.

    Parameters
    ----------
    source, target : arrays of shape (n, width) and (order.size, width)
    order : int64 array
    """
    for i in range(order.size):
        row = order[i]
        for j in range(source.shape[1]):
            target[i, j] = source[row, j]


@reduction
def is_finite(x):
    """True if no element of `x`, of shape (n,), is NaN or infinite. Writes nothing."""
    zero = x.dtype.type(0)
    total = zero
    for i in range(x.size):
        total += x[i] * zero  # NaN times zero and infinity times zero are NaN
    return total == zero


@kernel
def weight_sum(weight):
    """Sum of `weight`, of shape (n,), in float64. Writes nothing."""
    total = 0.0
    for i in range(weight.size):
        total += np.float64(weight[i])
    return total


def gather_entry(T):
    """Op: rows POSITION to POSITION + ROWS of ORDER -> BATCH_X, BATCH_Y, BATCH_WEIGHT."""

    def gather_op(op_address, net_address):
        net, _ = slots(net_address)
        rows, n = net[descriptor.ROWS], net[descriptor.N_SAMPLES]
        order = view(net[descriptor.ORDER] + 8 * net[descriptor.POSITION], rows, np.int64)
        width = net[descriptor.N_FEATURES]
        x = view(net[descriptor.X], (n, width), T)
        gather(x, order, view(net[descriptor.BATCH_X], (rows, width), T))
        width = net[descriptor.N_TARGETS]
        y = view(net[descriptor.Y], (n, width), T)
        gather(y, order, view(net[descriptor.BATCH_Y], (rows, width), T))
        if net[descriptor.SAMPLE_WEIGHT] != 0:
            weight = view(net[descriptor.SAMPLE_WEIGHT], (n, 1), T)
            gather(weight, order, view(net[descriptor.BATCH_WEIGHT], (rows, 1), T))

    return gather_op


def check_entry(T):
    """Op: X, of N_SAMPLES rows -> STATUS."""

    def check_op(op_address, net_address):
        net, _ = slots(net_address)
        size = net[descriptor.N_SAMPLES] * net[descriptor.N_FEATURES]
        finite = is_finite(view(net[descriptor.X], size, T))
        net[descriptor.STATUS] = descriptor.OK if finite else descriptor.NOT_FINITE

    return check_op


def weight_sum_entry(T):
    """Op: WEIGHT, ROWS -> SCALE holds the sum of the weights of the rows at hand."""

    def weight_sum_op(op_address, net_address):
        net, real = slots(net_address)
        real[descriptor.SCALE] = weight_sum(row_weights(net, T))

    return weight_sum_op
