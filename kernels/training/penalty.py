"""Weight penalties: l1 * sum(abs(w)) + l2 * sum(w * w), added to the loss.

A third setting, alpha, is an l2 of alpha / 2 that is scaled as the loss of a row is: divided by the
number of the batch's rows, or by the sum of their weights.

Goodfellow, Bengio, Courville, *Deep Learning* (2016), section 7.1.
"""

import numpy as np

from ..abi import descriptor, oprow
from ..abi.entries import entry
from ..abi.tensors import weights
from ..lowlevel._jit import inline_ir, kernel, reduction
from ..lowlevel.simd import flat, view


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


@inline_ir
def _factors(real, setting):
    """Factors l1 and l2 for the batch at hand."""
    alpha = setting[oprow.SETTINGS + 2] * real[descriptor.SCALE]
    return setting[oprow.SETTINGS], setting[oprow.SETTINGS + 1] + 0.5 * alpha


@entry
def forward_entry(op, setting, net, real, T):
    """Op: W, SCALE -> PENALTY is increased."""
    w = flat(weights(net, net[descriptor.PARAMETERS], op, T))
    l1, l2 = _factors(real, setting)
    real[descriptor.PENALTY] += penalty_value(w, l1, l2)


@entry
def gradient_entry(op, setting, net, real, T):
    """Op: W, SCALE -> the gradient of W is increased, as far as it lies in this thread's part."""
    start, end = op[oprow.W], op[oprow.W] + op[oprow.N_IN] * op[oprow.N_OUT]
    part = net[descriptor.PART_START]
    start, end = max(start, part), min(end, part + net[descriptor.PART_SIZE])
    if start < end:
        skip = start * net[descriptor.ITEMSIZE]
        w = view(net[descriptor.PARAMETERS] + skip, end - start, T)
        dw = view(net[descriptor.GRADIENT] + skip, end - start, T)
        l1, l2 = _factors(real, setting)
        penalty_gradient(w, T(l1), T(l2), dw)
