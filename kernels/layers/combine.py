"""Ops that bring tensors together or apart: sums, concatenation, selected columns."""

from collections import namedtuple

import numpy as np

from ..abi.entries import BY_ELEMENT, Op
from ..lowlevel._jit import inline_ir, kernel

Forward = namedtuple("Forward", "forward_entry")
Backward = namedtuple("Backward", "backward_input_entry")
Both = namedtuple("Both", "forward_entry backward_input_entry")


@inline_ir
def add_forward(x, x2, y):
    """Write ``y = x + x2``; arrays of shape (n,); y may be one of the others."""
    for i in range(y.size):
        y[i] = x[i] + x2[i]


@inline_ir
def add_two_gradients(dy, dx2, dx):
    """Write ``dx = dy + dx2``; arrays of shape (n,); dx may be one of the others."""
    for i in range(dx.size):
        dx[i] = dy[i] + dx2[i]


@kernel
def concatenate_forward(x, x2, y):
    """Write `y`, of two dimensions: the columns of `x`, and behind them those of `x2`."""
    n = x.shape[1]
    for i in range(y.shape[0]):
        for j in range(n):
            y[i, j] = x[i, j]
        for j in range(x2.shape[1]):
            y[i, n + j] = x2[i, j]


@kernel
def concatenate_backward(dy, dx, dx2):
    """Write `dx`, the first columns of `dy`, and `dx2`, the others; what has no rows is left out."""
    n = dx.shape[1]
    for i in range(dx.shape[0]):
        for j in range(n):
            dx[i, j] = dy[i, j]
    for i in range(dx2.shape[0]):
        for j in range(dx2.shape[1]):
            dx2[i, j] = dy[i, n + j]


@kernel
def select_forward(x, columns, y):
    """Write ``y[:, j] = x[:, columns[j]]``; x and y of two dimensions, columns of whole numbers."""
    for i in range(y.shape[0]):
        for j in range(columns.size):
            y[i, j] = x[i, int(columns[j])]


@kernel
def select_backward(columns, dy, dx):
    """Write ``dx``: the sum of the columns of `dy` for which a column was selected, 0 where it was not."""
    for i in range(dy.shape[0]):
        for j in range(dx.shape[1]):
            dx[i, j] = dx.dtype.type(0)
        for j in range(columns.size):
            dx[i, int(columns[j])] += dy[i, j]


_sum = Op(tensors=BY_ELEMENT)
#: The gradient with respect to either input is that with respect to the output.
add = Forward(_sum.entry(add_forward, writes="y", over=("x", "x2")))
#: Of two gradients with respect to one tensor, which two ops read, the sum.
add_gradients = Backward(_sum.entry(add_two_gradients, writes="dx", over=("dy", "dx2")))

# The setting is how many positions a sample has on all axes but the last.
_first, _both = "rows * positions, n_in // positions", "rows * positions, n_out // positions"
_second = "rows * positions, (n_out - n_in) // positions"
_concatenate = Op(
    tensors={"x": _first, "x2": _second, "y": _both, "dx": _first, "dx2": _second, "dy": _both},
    settings={"positions": np.int64},
    optional=("dx", "dx2"),
)
concatenate = Both(
    _concatenate.entry(concatenate_forward, writes="y"),
    _concatenate.entry(concatenate_backward, writes="dx dx2"),
)
_select = Op(
    tensors={"x": _first, "y": _both, "dx": _first, "dy": _both},
    constants={"columns": "n_out // positions"},
    settings={"positions": np.int64},
)
select = Both(_select.entry(select_forward, writes="y"), _select.entry(select_backward, writes="dx"))
