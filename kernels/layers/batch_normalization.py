"""Batch normalization: each channel of the last axis over the batch and all other axes.

S. Ioffe, C. Szegedy, *Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
Shift*, ICML 2015. While training, channels are normalized by the mean and the variance of the batch, which
also go into the running statistics behind each step. Otherwise, and where the layer is frozen, they are
normalized by these.

Each part of the batch (see `kernels.driver.rows`) has sums of its own, which are written by the thread that
has its rows. When all threads have come so far, each adds them up in the order of the parts, so that the bits
depend on no number of threads. Moments are joined as by T. Chan, G. Golub, R. LeVeque, *Algorithms for
computing the sample variance*, The American Statistician 37 (1983).

x, y, dy and dx are of shape (rows, n), where every position of a sample is a row; gamma and beta, and what is
theirs, of shape (n,). `moments`, of shape (4, n), are mean, 1 / sqrt(variance + epsilon), factor and offset:
see `prepare`. `sums`, of shape (parts, 2, n), are those of the parts.
"""

import math

import numpy as np

from ..abi import descriptor, oprow
from ..abi.entries import entry
from ..abi.tensors import row_address, tensor_address
from ..driver.batch import rows_parts
from ..driver.team import wait_for_team
from ..lowlevel._jit import force_inline, inline_ir, kernel
from ..lowlevel.simd import element, view

_ROWS = 64  # of a block: it is read twice, and should still be in the cache the second time


@kernel
def part_moments(x, start, end, part, sums, block):
    """Write ``sums[part]``: means of x from row `start` to `end`, and sums of squared distances from them.

    Also writes `block`, of shape (2, n).
    """
    T = x.dtype.type
    for j in range(x.shape[1]):
        sums[part, 0, j] = sums[part, 1, j] = T(0)
    for first in range(start, end, _ROWS):
        last = min(first + _ROWS, end)
        for j in range(x.shape[1]):
            block[0, j] = block[1, j] = T(0)
        for i in range(first, last):
            for j in range(x.shape[1]):
                block[0, j] += x[i, j]
        factor = T(1) / T(last - first)
        for j in range(x.shape[1]):
            block[0, j] *= factor
        for i in range(first, last):
            for j in range(x.shape[1]):
                distance = x[i, j] - block[0, j]
                block[1, j] += distance * distance
        share = T(last - first) / T(last - start)
        weight = T(first - start) * share
        for j in range(x.shape[1]):
            distance = block[0, j] - sums[part, 0, j]
            sums[part, 0, j] += distance * share
            sums[part, 1, j] += block[1, j] + distance * distance * weight


@kernel
def join_moments(sums, rows, positions, moments):
    """Write ``moments[:2]``: mean and variance of a batch of `rows` samples, by what `part_moments` wrote.

    `positions` are the rows of x that a sample has.
    """
    T = moments.dtype.type
    parts = sums.shape[0]
    for j in range(moments.shape[1]):
        moments[0, j], moments[1, j] = sums[0, 0, j], sums[0, 1, j]
    for part in range(1, parts):
        before, after = part * rows // parts * positions, (part + 1) * rows // parts * positions
        share = T(after - before) / T(after)
        weight = T(before) * share
        for j in range(moments.shape[1]):
            distance = sums[part, 0, j] - moments[0, j]
            moments[0, j] += distance * share
            moments[1, j] += sums[part, 1, j] + distance * distance * weight
    factor = T(1) / T(rows * positions)
    for j in range(moments.shape[1]):
        moments[1, j] *= factor


@kernel
def prepare(gamma, beta, epsilon, moments):
    """Make of the variance in ``moments[1]`` its inverse root, and write factor and offset behind it.

    gamma and beta may be of shape (0,): they are then 1 and 0.
    """
    T = moments.dtype.type
    for j in range(moments.shape[1]):
        moments[1, j] = T(1) / math.sqrt(moments[1, j] + epsilon)
    for j in range(moments.shape[1]):
        moments[2, j] = moments[1, j] * gamma[j] if gamma.size > 0 else moments[1, j]
        moments[3, j] = beta[j] if beta.size > 0 else T(0)


@kernel
def normalize(x, moments, y):
    """Write ``y = (x - mean) * factor + offset``."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = (x[i, j] - moments[0, j]) * moments[2, j] + moments[3, j]


@kernel
def part_gradients(x, dy, start, end, moments, part, sums):
    """Write ``sums[part]``: from row `start` to `end`, the sums of `dy` and of ``dy * (x - mean)``."""
    T = x.dtype.type
    for j in range(x.shape[1]):
        sums[part, 0, j] = sums[part, 1, j] = T(0)
    for i in range(start, end):
        for j in range(x.shape[1]):
            sums[part, 0, j] += dy[i, j]
            sums[part, 1, j] += dy[i, j] * (x[i, j] - moments[0, j])


@kernel
def join_gradients(sums, moments, dgamma, dbeta):
    """Write the sums over all parts: `dbeta`, of dy, and `dgamma`, of dy times the normalized numbers."""
    T = moments.dtype.type
    for j in range(moments.shape[1]):
        dbeta[j] = dgamma[j] = T(0)
    for part in range(sums.shape[0]):
        for j in range(moments.shape[1]):
            dbeta[j] += sums[part, 0, j]
            dgamma[j] += sums[part, 1, j]
    for j in range(moments.shape[1]):
        dgamma[j] *= moments[1, j]


@kernel
def batch_normalization_backward(x, dy, count, moments, dgamma, dbeta, dx):
    """Write `dx`, and what `dgamma` and `dbeta` hold, as `join_gradients` wrote them for a batch.

    With z the normalized numbers, and means over the `count` rows of the batch:
    ``dx = (dy - mean(dy) - z * mean(dy * z)) * factor``.
    """
    T = x.dtype.type
    share = T(1) / T(count)
    for j in range(x.shape[1]):
        dbeta[j] *= share
        dgamma[j] *= share * moments[1, j]
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            dx[i, j] = (dy[i, j] - dbeta[j] - (x[i, j] - moments[0, j]) * dgamma[j]) * moments[2, j]


@kernel
def scale(dy, moments, dx):
    """Write ``dx = dy * factor``."""
    for i in range(dx.shape[0]):
        for j in range(dx.shape[1]):
            dx[i, j] = dy[i, j] * moments[2, j]


@kernel
def average(moments, momentum, mean, variance):
    """Write `mean` and `variance`: of what they hold the fraction `momentum`, the rest of ``moments[:2]``."""
    rest = moments.dtype.type(1) - momentum
    for j in range(mean.size):
        mean[j] = mean[j] * momentum + moments[0, j] * rest
        variance[j] = variance[j] * momentum + moments[1, j] * rest


# --- entries


@force_inline
def _by_batch(op, net):
    """Whether channels are normalized by the moments of the batch, not by the running statistics."""
    if net[descriptor.TRAINING] == 0:
        return False
    row = view(net[descriptor.OPTIMIZER], oprow.SIZE, np.int64)
    frozen = view(net[descriptor.OPTIMIZER] + 2 * 8 * oprow.SIZE, 2 * row[oprow.FROZEN], np.int64)
    place = net[descriptor.N_PARAMETERS] + op[oprow.STATISTICS]  # see `graph.frozen_numbers`
    for k in range(0, frozen.size, 2):
        if frozen[k] <= place < frozen[k + 1]:
            return False
    return True


@force_inline
def _first_part(net, row, parts):
    """The part of the batch that begins with a row."""
    rows = net[descriptor.BATCH_ROWS]
    return (row * parts + rows - 1) // rows


@inline_ir
def _shape(op, setting):
    """Channels, and the positions of a sample that each has a number for."""
    features = int(setting[oprow.SETTINGS + 2])
    return features, op[oprow.N_IN] // features


@inline_ir
def _channels(net, vector, offset, n, T):
    """Parameters of a flat vector, or their gradients: of shape (n,), or (0,) if there are none."""
    return view(element(net[vector], offset, T), n if offset != oprow.NONE else 0, T)


@inline_ir
def _rows_at_hand(net, offset, positions, n, T):
    """The rows at hand of a tensor."""
    rows = net[descriptor.ROWS] * positions
    return view(tensor_address(net, offset, positions * n, T), (rows, n), T)


@inline_ir
def _all_rows(net, offset, positions, n, T):
    """All rows of the batch of a tensor."""
    rows = net[descriptor.BATCH_ROWS] * positions
    return view(row_address(net, offset, 0, positions * n, T), (rows, n), T)


@inline_ir
def _sums(op, net, backward, n, T):
    """The sums of the parts: moments, or gradients if it is 1 and not 0 that is given."""
    offset = op[oprow.SCRATCH] + backward * 2 * n * net[descriptor.N_PARTS]
    return view(element(net[descriptor.WORKSPACE], offset, T), (rows_parts(net), 2, n), T)


@inline_ir
def _take_moments(op, setting, net, by_batch, moments, T):
    """Write `moments`, all four."""
    n, positions = _shape(op, setting)
    if by_batch:
        join_moments(_sums(op, net, 0, n, T), net[descriptor.BATCH_ROWS], positions, moments)
    else:
        running = view(element(net[descriptor.STATISTICS], op[oprow.STATISTICS], T), (2, n), T)
        for j in range(n):
            moments[0, j], moments[1, j] = running[0, j], running[1, j]
    gamma = _channels(net, descriptor.PARAMETERS, op[oprow.PARAMETERS], n, T)
    beta = _channels(net, descriptor.PARAMETERS, op[oprow.PARAMETERS + 1], n, T)
    prepare(gamma, beta, T(setting[oprow.SETTINGS]), moments)


@entry
def forward_entry(op, setting, net, real, T):
    """Op: X -> Y, and while training SCRATCH: the moments of the parts of the batch."""
    n, positions = _shape(op, setting)
    moments = view(net[descriptor.SCRATCH], (4, n), T)
    by_batch = _by_batch(op, net)
    if by_batch:
        sums, every = _sums(op, net, 0, n, T), _all_rows(net, op[oprow.X], positions, n, T)
        parts, rows, first = sums.shape[0], net[descriptor.BATCH_ROWS], net[descriptor.FIRST_ROW]
        block = view(net[descriptor.SCRATCH], (2, n), T)
        for part in range(
            _first_part(net, first, parts), _first_part(net, first + net[descriptor.ROWS], parts)
        ):
            start, end = part * rows // parts, (part + 1) * rows // parts
            part_moments(every, start * positions, end * positions, part, sums, block)
        wait_for_team(net)
    _take_moments(op, setting, net, by_batch, moments, T)
    x = _rows_at_hand(net, op[oprow.X], positions, n, T)
    normalize(x, moments, _rows_at_hand(net, op[oprow.Y], positions, n, T))


@entry
def backward_input_entry(op, setting, net, real, T):
    """Op: X, DY -> DX, and while training SCRATCH: the sums of the gradients of the parts."""
    n, positions = _shape(op, setting)
    moments = view(net[descriptor.SCRATCH], (4, n), T)
    by_batch = _by_batch(op, net)
    _take_moments(op, setting, net, by_batch, moments, T)
    dy = _rows_at_hand(net, op[oprow.DY], positions, n, T)
    dx = _rows_at_hand(net, op[oprow.DX], positions, n, T)
    if by_batch:
        sums, x = _sums(op, net, 1, n, T), _rows_at_hand(net, op[oprow.X], positions, n, T)
        parts, rows, first = sums.shape[0], net[descriptor.BATCH_ROWS], net[descriptor.FIRST_ROW]
        for part in range(
            _first_part(net, first, parts), _first_part(net, first + net[descriptor.ROWS], parts)
        ):
            start, end = part * rows // parts - first, (part + 1) * rows // parts - first
            part_gradients(x, dy, start * positions, end * positions, moments, part, sums)
        wait_for_team(net)
        dgamma = view(element(net[descriptor.SCRATCH], 4 * n, T), n, T)
        dbeta = view(element(net[descriptor.SCRATCH], 5 * n, T), n, T)
        join_gradients(sums, moments, dgamma, dbeta)
        batch_normalization_backward(x, dy, rows * positions, moments, dgamma, dbeta, dx)
    else:
        scale(dy, moments, dx)


@entry
def backward_weights_entry(op, setting, net, real, T):
    """Op: X, DY -> the gradients of gamma and beta.

    While training by what BACKWARD_INPUT left in SCRATCH, if there is such an entry.
    """
    n, positions = _shape(op, setting)
    moments = view(net[descriptor.SCRATCH], (4, n), T)
    by_batch = _by_batch(op, net)
    _take_moments(op, setting, net, by_batch, moments, T)
    sums = _sums(op, net, 1, n, T)
    if not by_batch or op[oprow.BACKWARD_INPUT] == 0:
        sums = view(element(net[descriptor.SCRATCH], 4 * n, T), (1, 2, n), T)
        x = _rows_at_hand(net, op[oprow.X], positions, n, T)
        dy = _rows_at_hand(net, op[oprow.DY], positions, n, T)
        part_gradients(x, dy, 0, x.shape[0], moments, 0, sums)
    # What is not trained is written where the moments were that are not needed any more.
    dgamma = _channels(net, descriptor.ROWS_GRADIENT, op[oprow.PARAMETERS], n, T)
    dbeta = _channels(net, descriptor.ROWS_GRADIENT, op[oprow.PARAMETERS + 1], n, T)
    if dgamma.size == 0:
        dgamma = view(element(net[descriptor.SCRATCH], 2 * n, T), n, T)
    if dbeta.size == 0:
        dbeta = view(element(net[descriptor.SCRATCH], 3 * n, T), n, T)
    join_gradients(sums, moments, dgamma, dbeta)


@entry
def update_statistics_entry(op, setting, net, real, T):
    """Op: the moments of the batch, in SCRATCH -> STATISTICS, unless they are frozen."""
    n, positions = _shape(op, setting)
    if _by_batch(op, net):
        moments = view(net[descriptor.SCRATCH], (4, n), T)
        join_moments(_sums(op, net, 0, n, T), net[descriptor.BATCH_ROWS], positions, moments)
        mean = view(element(net[descriptor.STATISTICS], op[oprow.STATISTICS], T), n, T)
        variance = view(element(net[descriptor.STATISTICS], op[oprow.STATISTICS] + n, T), n, T)
        average(moments, T(setting[oprow.SETTINGS + 1]), mean, variance)
