"""Masked time steps: which ones there are, and zeros in their place."""

from collections import namedtuple

import numpy as np

from ..abi.entries import Op, entry
from ..abi.oprow import OP
from ..abi.tensors import tensor
from ..lowlevel._jit import kernel
from ..lowlevel.simd import view

Forward = namedtuple("Forward", "forward_entry")
Both = namedtuple("Both", "forward_entry backward_input_entry")


@kernel
def mask_forward(x, mask_value, y):
    """Write `y`, of shape (rows, steps): 1 where any feature of a time step is not `mask_value`, else 0.

    x has shape (rows, steps, features); a NaN is not `mask_value`.
    """
    for i in range(y.shape[0]):
        for t in range(y.shape[1]):
            found = y.dtype.type(0)
            for j in range(x.shape[2]):
                if not x[i, t, j] == mask_value:
                    found = y.dtype.type(1)
            y[i, t] = found


@kernel
def lengths_forward(lengths, order, y):
    """Write `y`, of shape (rows, steps): 1 at as many time steps as the length of a sample, then 0.

    Parameters
    ----------
    lengths : int64 array of shape (n,)
    order : int64 array of shape (rows,), or (0,) for the first lengths in their order
    y : array
    """
    zero, one = y.dtype.type(0), y.dtype.type(1)
    for i in range(y.shape[0]):
        length = lengths[order[i] if order.size > 0 else i]
        for t in range(y.shape[1]):
            y[i, t] = one if t < length else zero


@kernel
def apply_forward(x, x2, y):
    """Write `y`, which is x, of shape (rows, steps, features), with zeros where the mask `x2` is 0."""
    zero = y.dtype.type(0)
    for i in range(y.shape[0]):
        for t in range(y.shape[1]):
            masked = x2[i, t] == zero
            for j in range(y.shape[2]):
                y[i, t, j] = zero if masked else x[i, t, j]


@kernel
def apply_backward(x2, dy, dx):
    """Write `dx`, which is dy with zeros where the mask is 0; shapes as for `apply_forward`."""
    zero = dx.dtype.type(0)
    for i in range(dx.shape[0]):
        for t in range(dx.shape[1]):
            masked = x2[i, t] == zero
            for j in range(dx.shape[2]):
                dx[i, t, j] = zero if masked else dy[i, t, j]


@entry(OP)
def _lengths_entry(op, net, T):
    """The lengths of the rows at hand -> `y`."""
    first, rows = net.position + net.first_row, net.rows
    chosen, skip = (0, first) if net.order == 0 else (rows, 0)
    lengths = view(net.lengths + 8 * skip, net.n_samples - skip, np.int64)
    order = view(net.order + 8 * first, chosen, np.int64)
    lengths_forward(lengths, order, tensor(net, op.y, op.n_out, T))


lengths = Forward(_lengths_entry)
_sample = "rows, steps, n_in // steps"
mask = Forward(
    Op(
        tensors={"x": "rows, n_out, n_in // n_out", "y": "rows, n_out"},
        settings={"mask_value": None},
    ).entry(mask_forward, writes="y")
)
_op = Op(
    tensors={"x": _sample, "x2": "rows, steps", "y": _sample, "dx": _sample, "dy": _sample},
    settings={"steps": np.int64},
)
apply = Both(_op.entry(apply_forward, writes="y"), _op.entry(apply_backward, writes="dx"))
