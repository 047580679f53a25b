"""Normalization within a sample: of each position by itself, or of groups of channels over all positions.

J. L. Ba, J. R. Kiros, G. E. Hinton, *Layer Normalization*, 2016. B. Zhang, R. Sennrich, *Root Mean Square
Layer Normalization*, NeurIPS 2019, is the same without the mean: not `centred`. Y. Wu, K. He, *Group
Normalization*, ECCV 2018.

In group normalization x, y, dx and dy are of shape (segments, n): a row for the n channels of a group at a
position, positions outermost. gamma and beta are of shape (groups, n), or (0, n) for 1 and 0, and `moments`
of shape (samples * groups, 2).
"""

import math
from collections import namedtuple

import numpy as np

from ..abi.entries import BY_LAST_AXIS, Op
from ..lowlevel._jit import kernel, reduction

Normalization = namedtuple("Normalization", "forward_entry backward_input_entry backward_weights_entry")


@reduction
def row_moments(x, i, epsilon, centred):
    """Mean of row i of x, 0 unless `centred`, and 1 / sqrt(variance + epsilon). Writes nothing."""
    T = x.dtype.type
    n = T(x.shape[1])
    mean = T(0)
    if centred:
        for j in range(x.shape[1]):
            mean += x[i, j]
        mean /= n
    squares = T(0)
    for j in range(x.shape[1]):
        distance = x[i, j] - mean
        squares += distance * distance
    return mean, T(1) / math.sqrt(squares / n + epsilon)


@kernel
def layer_normalization_forward(x, gamma, beta, epsilon, centred, y, moments):
    """Write ``y = (x - mean) / sqrt(variance + epsilon) * gamma + beta`` by rows.

    Parameters
    ----------
    x, y : arrays of shape (rows, n)
    gamma, beta : arrays of shape (n,), or (0,) for 1 and 0
    epsilon : number of the dtype of x
    centred : int
        Whether the mean is subtracted.
    moments : array of shape (rows, 2), or (0, 2)
        Written unless it is empty: of each row the mean, and 1 / sqrt(variance + epsilon).
    """
    whole = gamma.size > 0 and beta.size > 0
    for i in range(x.shape[0]):
        mean, factor = row_moments(x, i, epsilon, centred)
        if whole:
            for j in range(x.shape[1]):
                y[i, j] = (x[i, j] - mean) * factor * gamma[j] + beta[j]
        else:
            for j in range(x.shape[1]):
                y[i, j] = (x[i, j] - mean) * factor
            for j in range(gamma.size):
                y[i, j] *= gamma[j]
            for j in range(beta.size):
                y[i, j] += beta[j]
        if moments.shape[0] > 0:
            moments[i, 0], moments[i, 1] = mean, factor


@reduction
def _gradient_sums(x, gamma, dy, i, mean, factor):
    """Sums over row i of the gradient by the normalized numbers, and of it times these. Writes nothing."""
    total, product = x.dtype.type(0), x.dtype.type(0)
    for j in range(x.shape[1]):
        inner = dy[i, j] * gamma[j]
        total += inner
        product += inner * ((x[i, j] - mean) * factor)
    return total, product


@reduction
def _plain_gradient_sums(x, dy, i, mean, factor):
    """The same where there is no gamma. Writes nothing."""
    total, product = x.dtype.type(0), x.dtype.type(0)
    for j in range(x.shape[1]):
        total += dy[i, j]
        product += dy[i, j] * ((x[i, j] - mean) * factor)
    return total, product


@kernel
def layer_normalization_backward_input(x, gamma, dy, centred, moments, dx):
    """Write ``dx``, by what the forward pass left in `moments`; arrays of the shapes named there.

    With z the normalized numbers and g = dy * gamma: ``dx = (g - mean(g) - z * mean(g * z)) * factor``,
    without ``mean(g)`` unless it is `centred`.
    """
    T = x.dtype.type
    for i in range(x.shape[0]):
        mean, factor = moments[i, 0], moments[i, 1]
        if gamma.size > 0:
            total, product = _gradient_sums(x, gamma, dy, i, mean, factor)
        else:
            total, product = _plain_gradient_sums(x, dy, i, mean, factor)
        total = total / T(x.shape[1]) if centred else T(0)
        product /= T(x.shape[1])
        if gamma.size > 0:
            for j in range(x.shape[1]):
                normalized = (x[i, j] - mean) * factor
                dx[i, j] = (dy[i, j] * gamma[j] - total - normalized * product) * factor
        else:
            for j in range(x.shape[1]):
                normalized = (x[i, j] - mean) * factor
                dx[i, j] = (dy[i, j] - total - normalized * product) * factor


@kernel
def layer_normalization_backward_weights(x, dy, moments, dgamma, dbeta):
    """Write ``dgamma``, the sum over rows of dy times the normalized numbers, and ``dbeta``, that of dy."""
    whole = dgamma.size > 0 and dbeta.size > 0
    for j in range(dgamma.size):
        dgamma[j] = x.dtype.type(0)
    for j in range(dbeta.size):
        dbeta[j] = x.dtype.type(0)
    for i in range(x.shape[0]):
        mean, factor = moments[i, 0], moments[i, 1]
        if whole:
            for j in range(x.shape[1]):
                dgamma[j] += dy[i, j] * ((x[i, j] - mean) * factor)
                dbeta[j] += dy[i, j]
            continue
        for j in range(dgamma.size):
            dgamma[j] += dy[i, j] * ((x[i, j] - mean) * factor)
        for j in range(dbeta.size):
            dbeta[j] += dy[i, j]


@reduction
def _group_moments(x, first, positions, groups, epsilon):
    """Mean and 1 / sqrt(variance + epsilon) of every `groups`-th row from `first` on. Writes nothing."""
    T = x.dtype.type
    n = T(positions * x.shape[1])
    mean = T(0)
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
def group_normalization_forward(x, gamma, beta, epsilon, positions, groups, y, moments):
    """Write ``y = (x - mean) / sqrt(variance + epsilon) * gamma + beta``, and `moments` unless empty."""
    has_gamma, has_beta = gamma.shape[0] > 0, beta.shape[0] > 0
    for sample in range(x.shape[0] // (positions * groups)):
        for group in range(groups):
            first = sample * positions * groups + group
            mean, factor = _group_moments(x, first, positions, groups, epsilon)
            for p in range(positions):
                i = first + p * groups
                if has_gamma and has_beta:
                    for j in range(x.shape[1]):
                        y[i, j] = (x[i, j] - mean) * factor * gamma[group, j] + beta[group, j]
                    continue
                for j in range(x.shape[1]):
                    y[i, j] = (x[i, j] - mean) * factor
                if has_gamma:
                    for j in range(x.shape[1]):
                        y[i, j] *= gamma[group, j]
                if has_beta:
                    for j in range(x.shape[1]):
                        y[i, j] += beta[group, j]
            if moments.shape[0] > 0:
                moments[sample * groups + group, 0] = mean
                moments[sample * groups + group, 1] = factor


@kernel
def group_normalization_backward_input(x, gamma, dy, positions, groups, moments, dx):
    """Write ``dx``, by what the forward pass left in `moments`.

    The formula is that of `layer_normalization_backward_input`, with the mean over a group.
    """
    T = x.dtype.type
    count = T(positions * x.shape[1])
    for sample in range(x.shape[0] // (positions * groups)):
        for group in range(groups):
            first = sample * positions * groups + group
            mean, factor = moments[sample * groups + group, 0], moments[sample * groups + group, 1]
            total, product = T(0), T(0)
            for p in range(positions):
                i = first + p * groups
                if gamma.shape[0] > 0:
                    more, further = _gradient_sums(x, gamma[group], dy, i, mean, factor)
                else:
                    more, further = _plain_gradient_sums(x, dy, i, mean, factor)
                total += more
                product += further
            total /= count
            product /= count
            for p in range(positions):
                i = first + p * groups
                if gamma.shape[0] > 0:
                    for j in range(x.shape[1]):
                        normalized = (x[i, j] - mean) * factor
                        dx[i, j] = (dy[i, j] * gamma[group, j] - total - normalized * product) * factor
                else:
                    for j in range(x.shape[1]):
                        normalized = (x[i, j] - mean) * factor
                        dx[i, j] = (dy[i, j] - total - normalized * product) * factor


@kernel
def group_normalization_backward_weights(x, dy, positions, groups, moments, dgamma, dbeta):
    """Write ``dgamma``, sums of dy times the normalized numbers, and ``dbeta``, sums of dy."""
    for group in range(groups):
        for j in range(x.shape[1]):
            if dgamma.shape[0] > 0:
                dgamma[group, j] = x.dtype.type(0)
            if dbeta.shape[0] > 0:
                dbeta[group, j] = x.dtype.type(0)
    for sample in range(x.shape[0] // (positions * groups)):
        for group in range(groups):
            first = sample * positions * groups + group
            mean, factor = moments[sample * groups + group, 0], moments[sample * groups + group, 1]
            for p in range(positions):
                i = first + p * groups
                if dgamma.shape[0] > 0:
                    for j in range(x.shape[1]):
                        dgamma[group, j] += dy[i, j] * ((x[i, j] - mean) * factor)
                if dbeta.shape[0] > 0:
                    for j in range(x.shape[1]):
                        dbeta[group, j] += dy[i, j]


def _with_entries(op, forward, backward_input, backward_weights):
    return Normalization(
        op.entry(forward, writes="y moments"),
        op.entry(backward_input, writes="dx"),
        op.entry(backward_weights, writes="dgamma dbeta"),
    )


layer_normalization = _with_entries(
    Op(
        tensors=BY_LAST_AXIS,
        parameters={"gamma": "features", "beta": "features"},
        scratch={"moments": "rows * positions, 2"},
        settings={"epsilon": None, "features": np.int64, "centred": np.int64},
        numbers={"positions": "n_in // features"},
        optional=("gamma", "beta", "moments"),
    ),
    layer_normalization_forward,
    layer_normalization_backward_input,
    layer_normalization_backward_weights,
)
group_normalization = _with_entries(
    Op(
        tensors=dict.fromkeys(("x", "y", "dx", "dy"), "rows * positions * groups, channels"),
        parameters={"gamma": "groups, channels", "beta": "groups, channels"},
        scratch={"moments": "rows * groups, 2"},
        settings={"epsilon": None, "channels": np.int64, "groups": np.int64},
        numbers={"positions": "n_in // (channels * groups)"},
        optional=("gamma", "beta", "moments"),
    ),
    group_normalization_forward,
    group_normalization_backward_input,
    group_normalization_backward_weights,
)
