"""Rows of the data set: copying those of a batch together, and looking for NaN, infinity, wrong targets."""

from collections import namedtuple

import numpy as np

from ..abi.descriptor import BLOCKS, DESCRIPTOR, NOT_FINITE, OK, PART_ROWS
from ..abi.entries import entry
from ..abi.oprow import TARGET
from ..lowlevel._jit import force_inline, kernel, reduction
from ..lowlevel.simd import record, view


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
def are_within(y, low, high, whole):
    """True if `y`, of shape (n,), is from `low` to `high`, and integers if `whole`. Writes nothing."""
    wrong = 0
    for i in range(y.size):
        inside = y[i] >= low and y[i] <= high  # false for NaN
        if not (inside and (not whole or np.floor(y[i]) == y[i])):
            wrong += 1
    return wrong == 0


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
    return (net.n_parameters // (16 * BLOCKS) + 1) * 16


@force_inline
def rows_parts(net):
    """How many parts the rows of the batch at hand are cut into."""
    parts = net.n_parts
    return parts if parts == 1 else max(1, min(parts, net.batch_rows // PART_ROWS))


Source = namedtuple("Source", "gather_entry")


def _gather_entry(S):
    """Factory of the entry that copies rows of a data set of dtype S; None is the model's own."""

    def gather_entry(T):
        source = T if S is None else S
        itemsize = np.dtype(source).itemsize

        def gather_op(op_address, net_address):
            net = record(net_address, DESCRIPTOR)
            rows, n, width = net.rows, net.n_samples, net.n_features
            place = net.first_row  # in the batch's memory
            first, chosen, skip = net.position + place, rows, 0
            place *= net.itemsize
            if net.order == 0:
                skip, chosen = first, 0
            order = view(net.order + 8 * first, chosen, np.int64)
            x = net.x + skip * width * itemsize
            target = view(net.batch_x + place * width, (rows, width), T)
            gather(view(x, (n, width), source), order, target)
            skip *= net.itemsize
            width = net.n_targets
            y = view(net.y + skip * width, (n, width), T)
            gather(y, order, view(net.batch_y + place * width, (rows, width), T))
            if net.sample_weight != 0:
                width = net.weight_width
                weight = view(net.sample_weight + skip * width, (n, width), T)
                target = view(net.batch_weight + place * width, (rows, width), T)
                gather(weight, order, target)

        return gather_op

    return gather_entry


#: Rows at hand of the batch, by `order` if it is given -> `batch_x`, `batch_y`, `batch_weight`.
gather_entry = _gather_entry(None)
uint8, int8 = Source(_gather_entry(np.uint8)), Source(_gather_entry(np.int8))
uint16, int16 = Source(_gather_entry(np.uint16)), Source(_gather_entry(np.int16))
uint32, int32 = Source(_gather_entry(np.uint32)), Source(_gather_entry(np.int32))
uint64, int64 = Source(_gather_entry(np.uint64)), Source(_gather_entry(np.int64))
float32, float64 = Source(_gather_entry(np.float32)), Source(_gather_entry(np.float64))


@entry()
def weight_sum_entry(net, T):
    """Weights of all rows of the batch at hand -> `scale` holds their sum."""
    position, rows = net.position, net.batch_rows
    start, size = net.sample_weight, net.n_samples
    width, chosen = net.weight_width, rows
    if net.order == 0:
        start, size, chosen = start + position * width * net.itemsize, rows, 0
    order = view(net.order + 8 * position, chosen, np.int64)
    net.scale = weight_sum(view(start, (size, width), T), order)


@entry()
def sum_gradients_entry(net, T):
    """Gradients of a batch's parts, `part_size` numbers from `part_start` on -> `gradient`: their sum."""
    size, itemsize = net.part_size, net.itemsize
    first = net.gradient + net.part_start * itemsize
    for i in range(1, rows_parts(net)):
        own = first + i * net.n_parameters * itemsize
        add(view(own, size, T), view(first, size, T))


@entry()
def squares_entry(net, T):
    """The part of the gradient that is this thread's -> the squares of its blocks."""
    size, end = block_size(net), net.part_start + net.part_size
    sums = view(net.block_squares, BLOCKS, np.float64)
    for start in range(net.part_start, end, size):
        address = net.gradient + start * net.itemsize
        sums[start // size] = squares(view(address, min(size, end - start), T))


@entry()
def check_entry(net, T):
    """`input`, of `rows` rows -> `status`."""
    size = net.rows * net.n_features
    finite = is_finite(view(net.input, size, T))
    net.status = OK if finite else NOT_FINITE


@entry(TARGET)
def check_samples_entry(row, net, T):
    """`x` and `y`, of `n_samples` rows -> `status`: whether x is finite, and y what the row says."""
    n = net.n_samples
    y = view(net.y, n * net.n_targets, T)
    right = is_finite(view(net.x, n * net.n_features, T))
    right = right and are_within(y, T(row.low), T(row.high), row.whole == 1)
    net.status = OK if right else NOT_FINITE
