"""Softmax and log-softmax over the last axis, shifted by the row's maximum so that nothing overflows.

I. Goodfellow, Y. Bengio, A. Courville, *Deep Learning* (2016), section 4.1.
"""

import numpy as np

from ..abi.entries import BY_LAST_AXIS, Op
from ..lowlevel._jit import force_inline, reduction
from ..lowlevel.simd import flat
from ..math.elementary import exp, log
from .activation import Activation


@force_inline
def shift_rows(x, y):
    """Write y = x minus its row's maximum; x and y, of shape (rows, n), may be the same array."""
    for i in range(x.shape[0]):
        largest = x[i, 0]
        for j in range(1, x.shape[1]):
            largest = x[i, j] if x[i, j] > largest else largest
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] - largest


@reduction
def row_sum(x, i):
    """Sum of row i of x, an array of two dimensions."""
    total = x.dtype.type(0)
    for j in range(x.shape[1]):
        total += x[i, j]
    return total


@reduction
def softmax_forward(x, y, p):
    """Write ``y = exp(x) / sum(exp(x))`` by rows; x and y, of shape (rows, n), may be the same array.

    `p` is not used: all activations are called alike.
    """
    shift_rows(x, y)
    # One loop over all elements, not one a row: rows are often shorter than a vector.
    all_of_y = flat(y)
    for i in range(all_of_y.size):
        all_of_y[i] = exp(all_of_y[i])
    for i in range(y.shape[0]):
        factor = x.dtype.type(1) / row_sum(y, i)
        for j in range(y.shape[1]):
            y[i, j] *= factor


@reduction
def softmax_backward(x, y, dy, dx, p):
    """Write ``dx = y * (dy - sum(y * dy))`` by rows; dx and dy, of shape (rows, n), may be the same."""
    for i in range(y.shape[0]):
        inner = y.dtype.type(0)
        for j in range(y.shape[1]):
            inner += y[i, j] * dy[i, j]
        for j in range(y.shape[1]):
            dx[i, j] = y[i, j] * (dy[i, j] - inner)


@reduction
def log_softmax_forward(x, y, p):
    """Write ``y = x - log(sum(exp(x)))`` by rows; x and y, of shape (rows, n), may be the same array."""
    shift_rows(x, y)
    for i in range(y.shape[0]):
        total = y.dtype.type(0)
        for j in range(y.shape[1]):
            total += exp(y[i, j])
        total = log(total)
        for j in range(y.shape[1]):
            y[i, j] -= total


@reduction
def log_softmax_backward(x, y, dy, dx, p):
    """Write ``dx = dy - exp(y) * sum(dy)`` by rows; dx and dy, of shape (rows, n), may be the same."""
    for i in range(y.shape[0]):
        total = row_sum(dy, i)
        for j in range(y.shape[1]):
            dx[i, j] = dy[i, j] - exp(y[i, j]) * total


_op = Op(
    tensors=BY_LAST_AXIS,
    settings={"features": np.int64},
    numbers={"positions": "n_in // features", "p": "T(0)"},
)


def _with_entries(forward, backward):
    forward_entry, backward_input_entry = _op.entry(forward, writes="y"), _op.entry(backward, writes="dx")
    return Activation(forward, backward, forward_entry, backward_input_entry)


softmax = _with_entries(softmax_forward, softmax_backward)
log_softmax = _with_entries(log_softmax_forward, log_softmax_backward)
