"""Weight penalties: l1 * sum(abs(w)) + l2 * sum(w * w), added to the loss.

A third setting, alpha, is an l2 of alpha / 2 that is scaled as the loss of a row is: divided by the
number of the batch's rows, or by the sum of their weights.

Goodfellow, Bengio, Courville, *Deep Learning* (2016), section 7.1.
"""

import numpy as np

from ..abi.entries import entry
from ..abi.oprow import PENALTY
from ..lowlevel._jit import force_inline, kernel, reduction
from ..lowlevel.simd import element, view


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


@force_inline
def _l2(row, net):
    """Factor l2 for the batch at hand."""
    return row.l2 + 0.5 * (row.alpha * net.scale)


@entry(PENALTY)
def forward_entry(row, net, T):
    """`penalty` is increased."""
    w = view(element(net.parameters, row.start, T), row.size, T)
    net.penalty += penalty_value(w, row.l1, _l2(row, net))


@entry(PENALTY)
def gradient_entry(row, net, T):
    """The gradient of the weights is increased, as far as it lies in this thread's part."""
    start, end = row.start, row.start + row.size
    part = net.part_start
    start, end = max(start, part), min(end, part + net.part_size)
    if start < end:
        skip = start * net.itemsize
        w = view(net.parameters + skip, end - start, T)
        dw = view(net.gradient + skip, end - start, T)
        penalty_gradient(w, T(row.l1), T(_l2(row, net)), dw)
