"""Shift and scale of each feature, y = (x - shift) / scale, and the statistics that these come from.

A block of rows is summed up by itself and then joined to what came before: T. Chan, G. Golub, R.
LeVeque, *Algorithms for computing the sample variance*, The American Statistician 37 (1983). All sums
are float64.
"""

import numpy as np

from ..abi.entries import Op, entry
from ..lowlevel._jit import inline_ir, kernel
from ..lowlevel.simd import view

_ROWS = 256  # of a block: it is read twice, and should still be in the cache the second time


@kernel
def scaling_forward(x, shift, scale, y):
    """Write ``y = (x - shift) / scale``; x and y of shape (rows, n), shift and scale of shape (n,)."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = (x[i, j] - shift[j]) / scale[j]


@kernel
def scaling_backward(scale, dy, dx):
    """Write ``dx = dy / scale``; dx and dy of shape (rows, n), scale of shape (n,)."""
    for i in range(dx.shape[0]):
        for j in range(dx.shape[1]):
            dx[i, j] = dy[i, j] / scale[j]


@kernel
def moments(x, weight, total, mean, squares, block_mean, block_squares):
    """Add rows to the weighted moments of the columns.

    Writes `total`, `mean` and `squares`, which begin as zeros, and the two last arguments as scratch.

    Parameters
    ----------
    x : array of shape (rows, n)
    weight : array of shape (rows,), or (0,) where all are one
    total : float64 array of shape (1,)
        Sum of the weights.
    mean, squares : float64 arrays of shape (n,)
        Mean, and weighted sum of the squares of the distances from it.
    block_mean, block_squares : float64 arrays of shape (n,)
    """
    for start in range(0, x.shape[0], _ROWS):
        end = min(start + _ROWS, x.shape[0])
        block = 0.0
        for j in range(mean.size):
            block_mean[j] = block_squares[j] = 0.0
        for i in range(start, end):
            w = np.float64(weight[i]) if weight.size > 0 else 1.0
            block += w
            for j in range(mean.size):
                block_mean[j] += w * np.float64(x[i, j])
        if block == 0.0:
            continue
        for j in range(mean.size):
            block_mean[j] /= block
        for i in range(start, end):
            w = np.float64(weight[i]) if weight.size > 0 else 1.0
            for j in range(mean.size):
                distance = np.float64(x[i, j]) - block_mean[j]
                block_squares[j] += w * distance * distance
        share = block / (total[0] + block)
        for j in range(mean.size):
            distance = block_mean[j] - mean[j]
            mean[j] += distance * share
            squares[j] += block_squares[j] + distance * distance * total[0] * share
        total[0] += block


@kernel
def extremes(x, weight, low, high):
    """Lower `low` and raise `high`, float64 arrays of shape (n,), to the columns' smallest and largest.

    x and weight as for `moments`; rows of weight 0 do not count.
    """
    for i in range(x.shape[0]):
        if weight.size > 0 and weight[i] == 0.0:
            continue
        for j in range(low.size):
            value = np.float64(x[i, j])
            low[j] = value if value < low[j] else low[j]
            high[j] = value if value > high[j] else high[j]


@inline_ir
def _data(net, dtype):
    """The rows of the data set, and their weights: an array (0,) where all are one."""
    n = net.n_samples
    x = view(net.x, (n, net.n_features), dtype)
    return x, view(net.sample_weight, 0 if net.sample_weight == 0 else n, dtype)


_op = Op(constants={"shift": "n_in", "scale": "n_in"})
forward_entry = _op.entry(scaling_forward, writes="y")
backward_input_entry = _op.entry(scaling_backward, writes="dx")


@entry()
def moments_entry(net, T):
    """`x`, `sample_weight` -> `metric_state`: see `moments`, n numbers for each argument, `total` last."""
    n, state = net.n_features, net.metric_state
    mean, squares = view(state, n, np.float64), view(state + 8 * n, n, np.float64)
    block, more = view(state + 16 * n, n, np.float64), view(state + 24 * n, n, np.float64)
    total = view(state + 32 * n, 1, np.float64)
    x, weight = _data(net, T)
    moments(x, weight, total, mean, squares, block, more)


@entry()
def extremes_entry(net, T):
    """`x`, `sample_weight` -> `metric_state`: `low` and `high`, n numbers each."""
    n, state = net.n_features, net.metric_state
    x, weight = _data(net, T)
    extremes(x, weight, view(state, n, np.float64), view(state + 8 * n, n, np.float64))
