"""Weight penalties: l1 * sum(abs(w)) + l2 * sum(w * w), added to the loss.

Goodfellow, Bengio, Courville, *Deep Learning* (2016), section 7.1.
"""

import numpy as np

from . import descriptor, oprow
from ._jit import kernel, reduction
from .simd import flat, view
from .tensors import op_row, slots, weights


@reduction
def penalty_value(w, l1, l2):
    """The penalty of `w`, an array of shape (n,); l1 and l2 are float64. Writes nothing."""
    total = 0.0
    for i in range(w.size):
        x = np.float64(w[i])
        total += l1 * abs(x) + l2 * x * x
    return total


@kernel
def penalty_gradient(w, l1, l2, dw):
    """Add the penalty's gradient to `dw`; arrays of shape (n,), l1 and l2 of their dtype."""
    zero = w.dtype.type(0)
    two_l2 = w.dtype.type(2) * l2
    for i in range(w.size):
        sign = l1 if w[i] > zero else (-l1 if w[i] < zero else zero)
        dw[i] += sign + two_l2 * w[i]


def forward_entry(T):
    """Op: W -> PENALTY is increased."""

    def penalty_op(op_address, net_address):
        op, setting = op_row(op_address)
        net, real = slots(net_address)
        w = flat(weights(net, net[descriptor.PARAMETERS], op, T))
        real[descriptor.PENALTY] += penalty_value(w, setting[oprow.P], setting[oprow.P + 1])

    return penalty_op


def backward_entry(T):
    """Op: W -> the gradient of W is increased, as far as it lies in this thread's part."""

    def penalty_gradient_op(op_address, net_address):
        op, setting = op_row(op_address)
        net, _ = slots(net_address)
        start, end = op[oprow.W], op[oprow.W] + op[oprow.N_IN] * op[oprow.N_OUT]
        part = net[descriptor.PART_START]
        start, end = max(start, part), min(end, part + net[descriptor.PART_SIZE])
        if start < end:
            skip = start * net[descriptor.ITEMSIZE]
            w = view(net[descriptor.PARAMETERS] + skip, end - start, T)
            dw = view(net[descriptor.GRADIENT] + skip, end - start, T)
            penalty_gradient(w, T(setting[oprow.P]), T(setting[oprow.P + 1]), dw)

    return penalty_gradient_op
