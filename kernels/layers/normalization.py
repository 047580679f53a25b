"""Layer normalization over the last axis.

J. L. Ba, J. R. Kiros, G. E. Hinton, *Layer Normalization*, 2016.
"""

import math
from collections import namedtuple

from ..abi import descriptor, oprow
from ..abi.tensors import last_axis, op_row, slots
from ..lowlevel._jit import inline_ir, kernel, reduction
from ..lowlevel.simd import view

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


@inline_ir
def _tensor(net, op, setting, column, dtype):
    """Array (rows * positions, features) of one of the op's tensors."""
    return last_axis(net, op[column], op[oprow.N_IN], int(setting[oprow.SETTINGS + 1]), dtype)


@inline_ir
def _moments(net, op, setting, dtype):
    """Array (rows * positions, 2) of what the forward pass leaves; no rows if there is no place for it."""
    positions = op[oprow.N_IN] // int(setting[oprow.SETTINGS + 1])
    return last_axis(net, op[oprow.SCRATCH], 2 * positions, 2, dtype)


@inline_ir
def _features(net, vector, op, setting, column, dtype):
    """Array (features,) of one of the op's parameters in the flat vector at the address `vector`."""
    address = vector + op[column] * net[descriptor.ITEMSIZE]
    return view(address, int(setting[oprow.SETTINGS + 1]), dtype)


def _forward_entry(T):
    """Op: X, W (gamma), B (beta) -> Y and, if it has one, SCRATCH; settings: epsilon, features."""

    def layer_normalization_forward_op(op_address, net_address):
        op, setting = op_row(op_address)
        net, _ = slots(net_address)
        vector = net[descriptor.PARAMETERS]
        x = _tensor(net, op, setting, oprow.X, T)
        y = _tensor(net, op, setting, oprow.Y, T)
        gamma = _features(net, vector, op, setting, oprow.W, T)
        beta = _features(net, vector, op, setting, oprow.B, T)
        epsilon = T(setting[oprow.SETTINGS])
        layer_normalization_forward(x, gamma, beta, epsilon, y, _moments(net, op, setting, T))

    return layer_normalization_forward_op


def _backward_input_entry(T):
    """Op: X, W, DY, SCRATCH -> DX."""

    def layer_normalization_backward_input_op(op_address, net_address):
        op, setting = op_row(op_address)
        net, _ = slots(net_address)
        x = _tensor(net, op, setting, oprow.X, T)
        dy = _tensor(net, op, setting, oprow.DY, T)
        dx = _tensor(net, op, setting, oprow.DX, T)
        gamma = _features(net, net[descriptor.PARAMETERS], op, setting, oprow.W, T)
        layer_normalization_backward_input(x, gamma, dy, _moments(net, op, setting, T), dx)

    return layer_normalization_backward_input_op


def _backward_weights_entry(T):
    """Op: X, DY, SCRATCH -> the gradients of W and B."""

    def layer_normalization_backward_weights_op(op_address, net_address):
        op, setting = op_row(op_address)
        net, _ = slots(net_address)
        vector = net[descriptor.SHARD_GRADIENT]
        x = _tensor(net, op, setting, oprow.X, T)
        dy = _tensor(net, op, setting, oprow.DY, T)
        dgamma = _features(net, vector, op, setting, oprow.W, T)
        dbeta = _features(net, vector, op, setting, oprow.B, T)
        layer_normalization_backward_weights(x, dy, _moments(net, op, setting, T), dgamma, dbeta)

    return layer_normalization_backward_weights_op


layer_normalization = Normalization(_forward_entry, _backward_input_entry, _backward_weights_entry)
