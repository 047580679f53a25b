"""Rows of the data set: copying those of a batch together, and looking for NaN and infinity."""

from collections import namedtuple

import numpy as np

from ..abi import descriptor
from ..abi.entries import entry
from ..abi.tensors import slots
from ..lowlevel._jit import force_inline, kernel, reduction
from ..lowlevel.simd import view


@kernel
def gather(source, order, target):
    """Write the rows of `source` whose numbers are in `order` into `target`, in the dtype of `target`.

    Parameters
    ----------
    source, target : arrays of shape (n, width) and (rows, width)
    order : int64 array of shape (rows,), or (0,) for the first rows in their order
    """
    for i in range(target.shape[0]):
        row = order[i] if order.size > 0 else i
        for j in range(source.shape[1]):
            target[i, j] = target.dtype.type(source[row, j])


@reduction
def is_finite(x):
    """True if no element of `x`, of shape (n,), is NaN or infinite. Writes nothing."""
    zero = x.dtype.type(0)
    total = zero
    for i in range(x.size):
        total += x[i] * zero  # NaN times zero and infinity times zero are NaN
    return total == zero


@kernel
def weight_sum(weight, order):
    """Sum of the rows' weights in float64, of those in `order` unless it is empty. Writes nothing.

    `weight` is of shape (n, width): the weight of a row is the mean of the weights of its outputs.
    """
    total = 0.0
    for i in range(order.size if order.size > 0 else weight.shape[0]):
        row = order[i] if order.size > 0 else i
        for j in range(weight.shape[1]):
            total += np.float64(weight[row, j])
    return total / np.float64(weight.shape[1])


@kernel
def add(x, total):
    """Add `x` to `total`, arrays of shape (n,)."""
    for i in range(total.size):
        total[i] += x[i]


@reduction
def squares(g):
    """Sum of the squares of `g`, of shape (n,), in float64. Writes nothing."""
    total = 0.0
    for i in range(g.size):
        total += np.float64(g[i]) * np.float64(g[i])
    return total


@force_inline
def block_size(net):
    """Elements of a block of the flat vector: 1 / BLOCKS of it, in whole vector registers."""
    return (net[descriptor.N_PARAMETERS] // (16 * descriptor.BLOCKS) + 1) * 16


@force_inline
def rows_parts(net):
    """How many parts the rows of the batch at hand are cut into."""
    parts = net[descriptor.N_PARTS]
    return parts if parts == 1 else max(1, min(parts, net[descriptor.BATCH_ROWS] // descriptor.PART_ROWS))


Source = namedtuple("Source", "gather_entry")


def _gather_entry(S):
    """Factory of the entry that copies rows of a data set of dtype S; None is the model's own."""

    def gather_entry(T):
        source = T if S is None else S
        itemsize = np.dtype(source).itemsize

        def gather_op(op_address, net_address):
            net, _ = slots(net_address)
            rows, n, width = net[descriptor.ROWS], net[descriptor.N_SAMPLES], net[descriptor.N_FEATURES]
            place = net[descriptor.FIRST_ROW]  # in the batch's memory
            first, chosen, skip = net[descriptor.POSITION] + place, rows, 0
            place *= net[descriptor.ITEMSIZE]
            if net[descriptor.ORDER] == 0:
                skip, chosen = first, 0
            order = view(net[descriptor.ORDER] + 8 * first, chosen, np.int64)
            x = net[descriptor.X] + skip * width * itemsize
            target = view(net[descriptor.BATCH_X] + place * width, (rows, width), T)
            gather(view(x, (n, width), source), order, target)
            skip *= net[descriptor.ITEMSIZE]
            width = net[descriptor.N_TARGETS]
            y = view(net[descriptor.Y] + skip * width, (n, width), T)
            gather(y, order, view(net[descriptor.BATCH_Y] + place * width, (rows, width), T))
            if net[descriptor.SAMPLE_WEIGHT] != 0:
                width = net[descriptor.WEIGHT_WIDTH]
                weight = view(net[descriptor.SAMPLE_WEIGHT] + skip * width, (n, width), T)
                target = view(net[descriptor.BATCH_WEIGHT] + place * width, (rows, width), T)
                gather(weight, order, target)

        return gather_op

    return gather_entry


#: Op: ROWS of the batch from FIRST_ROW on, by ORDER if it is given -> BATCH_X, BATCH_Y, BATCH_WEIGHT.
gather_entry = _gather_entry(None)
uint8, int8 = Source(_gather_entry(np.uint8)), Source(_gather_entry(np.int8))
uint16, int16 = Source(_gather_entry(np.uint16)), Source(_gather_entry(np.int16))
uint32, int32 = Source(_gather_entry(np.uint32)), Source(_gather_entry(np.int32))
uint64, int64 = Source(_gather_entry(np.uint64)), Source(_gather_entry(np.int64))
float32, float64 = Source(_gather_entry(np.float32)), Source(_gather_entry(np.float64))


@entry
def weight_sum_entry(op, setting, net, real, T):
    """Op: the weights of all rows of the batch at hand -> SCALE holds their sum."""
    position, rows = net[descriptor.POSITION], net[descriptor.BATCH_ROWS]
    start, size = net[descriptor.SAMPLE_WEIGHT], net[descriptor.N_SAMPLES]
    width, chosen = net[descriptor.WEIGHT_WIDTH], rows
    if net[descriptor.ORDER] == 0:
        start, size, chosen = start + position * width * net[descriptor.ITEMSIZE], rows, 0
    order = view(net[descriptor.ORDER] + 8 * position, chosen, np.int64)
    real[descriptor.SCALE] = weight_sum(view(start, (size, width), T), order)


@entry
def sum_gradients_entry(op, setting, net, real, T):
    """Op: the gradients of a batch's parts, of PART_SIZE numbers from PART_START -> GRADIENT: their sum."""
    size, itemsize = net[descriptor.PART_SIZE], net[descriptor.ITEMSIZE]
    first = net[descriptor.GRADIENT] + net[descriptor.PART_START] * itemsize
    for i in range(1, rows_parts(net)):
        own = first + i * net[descriptor.N_PARAMETERS] * itemsize
        add(view(own, size, T), view(first, size, T))


@entry
def squares_entry(op, setting, net, real, T):
    """Op: the part of GRADIENT that is this thread's -> the squares of its blocks."""
    size, end = block_size(net), net[descriptor.PART_START] + net[descriptor.PART_SIZE]
    sums = view(net[descriptor.BLOCK_SQUARES], descriptor.BLOCKS, np.float64)
    for start in range(net[descriptor.PART_START], end, size):
        address = net[descriptor.GRADIENT] + start * net[descriptor.ITEMSIZE]
        sums[start // size] = squares(view(address, min(size, end - start), T))


@entry
def check_entry(op, setting, net, real, T):
    """Op: INPUT, of ROWS rows -> STATUS."""
    size = net[descriptor.ROWS] * net[descriptor.N_FEATURES]
    finite = is_finite(view(net[descriptor.INPUT], size, T))
    net[descriptor.STATUS] = descriptor.OK if finite else descriptor.NOT_FINITE
