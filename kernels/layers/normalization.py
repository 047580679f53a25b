"""Layer normalization over the last axis.

J. L. Ba, J. R. Kiros, G. E. Hinton, *Layer Normalization*, 2016.
"""

import math
from collections import namedtuple

import numpy as np

from ..abi.entries import BY_LAST_AXIS, Op
from ..lowlevel._jit import kernel, reduction

Normalization = namedtuple("Normalization", "forward_entry backward_input_entry backward_weights_entry")


@reduction
def row_moments(x, i, epsilon):
    """Mean of row i of x, and 1 / sqrt(variance + epsilon); x of shape (rows, n). Writes nothing."""
    T = x.dtype.type
    n = T(x.shape[1])
    total = T(0)
    for j in range(x.shape[1]):
        total += x[i, j]
    mean = total / n
    squares = T(0)
    for j in range(x.shape[1]):
        distance = x[i, j] - mean
        squares += distance * distance
    return mean, T(1) / math.sqrt(squares / n + epsilon)


@kernel
def layer_normalization_forward(x, gamma, beta, epsilon, y, moments):
    """Write ``y = (x - mean) / sqrt(variance + epsilon) * gamma + beta`` by rows.

    Parameters
    ----------
    x, y : arrays of shape (rows, n)
    gamma, beta : arrays of shape (n,)
    epsilon : number of the dtype of x
    moments : array of shape (rows, 2), or (0, 2)
        Written unless it is empty: of each row the mean, and 1 / sqrt(variance + epsilon).
    """
    for i in range(x.shape[0]):
        mean, factor = row_moments(x, i, epsilon)
        for j in range(x.shape[1]):
            y[i, j] = (x[i, j] - mean) * factor * gamma[j] + beta[j]
        if moments.shape[0] > 0:
            moments[i, 0], moments[i, 1] = mean, factor


@reduction
def _gradient_sums(x, gamma, dy, i, mean, factor):
    """Sums over row i of the gradient by the normalized numbers, and of it times these. Writes nothing."""
    T = x.dtype.type
    total, product = T(0), T(0)
    for j in range(x.shape[1]):
        inner = dy[i, j] * gamma[j]
        total += inner
        product += inner * ((x[i, j] - mean) * factor)
    return total, product


@kernel
def layer_normalization_backward_input(x, gamma, dy, moments, dx):
    """Write ``dx``, by what the forward pass left in `moments`; arrays of the shapes named there.

    With n the normalized numbers and g = dy * gamma: ``dx = (g - mean(g) - n * mean(g * n)) * factor``.
    """
    T = x.dtype.type
    for i in range(x.shape[0]):
        mean, factor = moments[i, 0], moments[i, 1]
        total, product = _gradient_sums(x, gamma, dy, i, mean, factor)
        total, product = total / T(x.shape[1]), product / T(x.shape[1])
        for j in range(x.shape[1]):
            normalized = (x[i, j] - mean) * factor
            dx[i, j] = (dy[i, j] * gamma[j] - total - normalized * product) * factor


@kernel
def layer_normalization_backward_weights(x, dy, moments, dgamma, dbeta):
    """Write ``dgamma``, the sum over rows of dy times the normalized numbers, and ``dbeta``, that of dy."""
    for j in range(dgamma.size):
        dgamma[j] = dbeta[j] = x.dtype.type(0)
    for i in range(x.shape[0]):
        mean, factor = moments[i, 0], moments[i, 1]
        for j in range(x.shape[1]):
            dgamma[j] += dy[i, j] * ((x[i, j] - mean) * factor)
            dbeta[j] += dy[i, j]


_op = Op(
    tensors=BY_LAST_AXIS,
    parameters={"gamma": "features", "beta": "features"},
    scratch={"moments": "rows * positions, 2"},
    settings={"epsilon": None, "features": np.int64},
    numbers={"positions": "n_in // features"},
    optional=("moments",),
)
layer_normalization = Normalization(
    _op.entry(layer_normalization_forward, writes="y moments"),
    _op.entry(layer_normalization_backward_input, writes="dx"),
    _op.entry(layer_normalization_backward_weights, writes="dgamma dbeta"),
)
