"""Inverted dropout: N. Srivastava et al., *Dropout*, JMLR 15 (2014), section 10."""

import numpy as np

from ..abi import descriptor, oprow
from ..abi.tensors import flat_tensor, op_row, slots
from ..lowlevel._jit import inline_ir, kernel
from ..math.random import number


@kernel
def dropout_mask(rate, seed, stream, step, first, mask):
    """Write `mask`: 0 with probability `rate`, 1 / (1 - rate) otherwise.

    Parameters
    ----------
    rate : float64, 0 <= rate < 1
    seed, stream, step, first : int64
        Where in the random numbers the mask starts: element i takes number ``first + i``.
    mask : array of shape (n,)
    """
    threshold = np.uint64(rate * 4294967296.0)
    keep, drop = mask.dtype.type(1.0 / (1.0 - rate)), mask.dtype.type(0)
    seed, stream, step = np.uint64(seed), np.uint64(stream), np.uint64(step)
    for i in range(mask.size):
        drawn = number(seed, stream, step, np.uint64(first + i))
        mask[i] = keep if drawn >= threshold else drop


@inline_ir
def multiply(x, mask, y):
    """Write ``y = x * mask``; arrays of shape (n,); x and y may be the same array."""
    for i in range(x.size):
        y[i] = x[i] * mask[i]


def forward_entry(T):
    """Op: X -> Y and, while training, the mask at SCRATCH; the rate is the first setting."""

    def dropout_forward_op(op_address, net_address):
        op, setting = op_row(op_address)
        net, _ = slots(net_address)
        width = op[oprow.N_IN]
        x = flat_tensor(net, op[oprow.X], width, T)
        y = flat_tensor(net, op[oprow.Y], width, T)
        if net[descriptor.TRAINING] == 1:
            mask = flat_tensor(net, op[oprow.SCRATCH], width, T)
            first = net[descriptor.FIRST_ROW] * width
            seed, step = net[descriptor.SEED], net[descriptor.STEP]
            dropout_mask(setting[oprow.SETTINGS], seed, op[oprow.STREAM], step, first, mask)
            if op[oprow.X] == op[oprow.Y]:
                multiply(y, mask, y)
            else:
                multiply(x, mask, y)
        elif op[oprow.X] != op[oprow.Y]:
            for i in range(x.size):
                y[i] = x[i]

    return dropout_forward_op


def backward_input_entry(T):
    """Op: DY, the mask, if there is one -> DX."""

    def dropout_backward_op(op_address, net_address):
        op, _ = op_row(op_address)
        net, _ = slots(net_address)
        dy = flat_tensor(net, op[oprow.DY], op[oprow.N_IN], T)
        dx = flat_tensor(net, op[oprow.DX], op[oprow.N_IN], T)
        if net[descriptor.TRAINING] == 1:
            mask = flat_tensor(net, op[oprow.SCRATCH], op[oprow.N_IN], T)
            if op[oprow.DX] == op[oprow.DY]:
                multiply(dx, mask, dx)
            else:
                multiply(dy, mask, dx)
        elif op[oprow.DX] != op[oprow.DY]:
            for i in range(dy.size):
                dx[i] = dy[i]

    return dropout_backward_op
