"""Normalization within a sample: by the moments of groups of channels, over positions or at each by itself.

A sample is so many positions of so many groups of channels, the positions outermost; moments are those of a
group over all of its positions. Layer normalization (J. L. Ba, J. R. Kiros, G. E. Hinton, *Layer
Normalization*, 2016) takes each position for a sample of one group, group normalization (Y. Wu, K. He, *Group
Normalization*, ECCV 2018) is the general case, and root mean square normalization (B. Zhang, R. Sennrich,
*Root Mean Square Layer Normalization*, NeurIPS 2019) leaves the mean out: it is not `centred`.

x, y, dx and dy are of shape (segments, n): a row for the n channels of a group at a position. gamma and beta,
of shape (groups * n,), may be of shape (0,): they are then 1 and 0. `moments`, of shape
(samples * groups, 2), are of each group the mean, and 1 / sqrt(variance + epsilon).
"""

import math

import numpy as np

from ..abi.entries import Op
from ..lowlevel._jit import kernel, reduction


@reduction
def _moments(x, first, positions, groups, epsilon, centred):
    """Mean and 1 / sqrt(variance + epsilon) of every `groups`-th row from `first` on. Writes nothing."""
    T = x.dtype.type
    n = T(positions * x.shape[1])
    mean = T(0)
    if centred:
        for p in range(positions):
            i, total = first + p * groups, T(0)
            for j in range(x.shape[1]):
                total += x[i, j]
            mean += total
        mean /= n
    squares = T(0)
    for p in range(positions):
        i, total = first + p * groups, T(0)
        for j in range(x.shape[1]):
            distance = x[i, j] - mean
            total += distance * distance
        squares += total
    return mean, T(1) / math.sqrt(squares / n + epsilon)


@kernel
def normalization_forward(x, gamma, beta, epsilon, positions, groups, centred, y, moments):
    """Write ``y = (x - mean) / sqrt(variance + epsilon) * gamma + beta``, and `moments` unless empty."""
    T = x.dtype.type
    n = x.shape[1]
    for k in range(x.shape[0] // positions):
        group = k % groups
        first = (k - group) * positions + group
        mean, factor = _moments(x, first, positions, groups, epsilon, centred)
        for i in range(first, first + positions * groups, groups):
            for j in range(n):
                scale = gamma[group * n + j] if gamma.size > 0 else T(1)
                shift = beta[group * n + j] if beta.size > 0 else T(0)
                y[i, j] = (x[i, j] - mean) * factor * scale + shift
        if moments.shape[0] > 0:
            moments[k, 0], moments[k, 1] = mean, factor


@reduction
def _gradient_sums(x, gamma, dy, first, positions, groups, group, mean, factor):
    """Sums over a group of the gradient by the normalized numbers, and of it times these. Writes nothing."""
    T = x.dtype.type
    n = x.shape[1]
    total, product = T(0), T(0)
    for i in range(first, first + positions * groups, groups):
        for j in range(n):
            inner = dy[i, j] * (gamma[group * n + j] if gamma.size > 0 else T(1))
            total += inner
            product += inner * ((x[i, j] - mean) * factor)
    return total, product


@kernel
def normalization_backward_input(x, gamma, dy, positions, groups, centred, moments, dx):
    """Write ``dx``, by what the forward pass left in `moments`.

    With z the normalized numbers and g = dy * gamma: ``dx = (g - mean(g) - z * mean(g * z)) * factor``,
    without ``mean(g)`` unless it is `centred`.
    """
    T = x.dtype.type
    n = x.shape[1]
    for k in range(x.shape[0] // positions):
        group = k % groups
        first = (k - group) * positions + group
        mean, factor = moments[k, 0], moments[k, 1]
        total, product = _gradient_sums(x, gamma, dy, first, positions, groups, group, mean, factor)
        total = total / T(positions * n) if centred else T(0)
        product /= T(positions * n)
        for i in range(first, first + positions * groups, groups):
            for j in range(n):
                inner = dy[i, j] * (gamma[group * n + j] if gamma.size > 0 else T(1))
                dx[i, j] = (inner - total - (x[i, j] - mean) * factor * product) * factor


@kernel
def normalization_backward_weights(x, dy, positions, groups, moments, dgamma, dbeta):
    """Write ``dgamma``, sums of dy times the normalized numbers, and ``dbeta``, sums of dy."""
    n = x.shape[1]
    for j in range(dgamma.size):
        dgamma[j] = x.dtype.type(0)
    for j in range(dbeta.size):
        dbeta[j] = x.dtype.type(0)
    for i in range(x.shape[0]):
        group = i % groups
        k = i // (positions * groups) * groups + group
        mean, factor = moments[k, 0], moments[k, 1]
        if dgamma.size > 0:
            for j in range(n):
                dgamma[group * n + j] += dy[i, j] * ((x[i, j] - mean) * factor)
        if dbeta.size > 0:
            for j in range(n):
                dbeta[group * n + j] += dy[i, j]


_segments = "rows * segments, channels"
_op = Op(
    tensors=dict.fromkeys(("x", "y", "dx", "dy"), _segments),
    parameters={"gamma": "groups * channels", "beta": "groups * channels"},
    scratch={"moments": "rows * (segments // positions), 2"},
    settings={
        "epsilon": None,
        "channels": np.int64,
        "positions": np.int64,
        "groups": np.int64,
        "centred": np.int64,
    },
    numbers={"segments": "n_in // channels"},
    optional=("gamma", "beta", "moments"),
)
forward_entry = _op.entry(normalization_forward, writes="y moments")
backward_input_entry = _op.entry(normalization_backward_input, writes="dx")
backward_weights_entry = _op.entry(normalization_backward_weights, writes="dgamma dbeta")
