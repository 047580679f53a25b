"""Batch normalization: each channel of the last axis over the batch and all other axes.

S. Ioffe, C. Szegedy, *Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
Shift*, ICML 2015. While training, channels are normalized by the mean and the variance of the batch, which
also go into the running statistics behind each step. Otherwise, and where the layer is frozen, they are
normalized by these.

Each part of the batch (see `kernels.driver.rows`) has sums of its own, which are written by the thread that
has its rows. When all threads have come so far, each adds them up in the order of the parts, so that the bits
depend on no number of threads. Moments are joined as by T. Chan, G. Golub, R. LeVeque, *Algorithms for
computing the sample variance*, The American Statistician 37 (1983).

In a fit by several processes a synchronized layer takes the moments of the rows of all of them: the first
thread of each process sends those of its own rows and joins all, in the order of the processes. The same is
done with the sums of the backward pass: see `synchronized_batch_normalization`.

x, y, dy and dx are of shape (rows, n), where every position of a sample is a row; gamma and beta, and what is
theirs, of shape (n,). `moments`, of shape (4, n), are mean, 1 / sqrt(variance + epsilon), factor and offset:
see `prepare`. `sums`, of shape (parts, 2, n), are those of the parts.
"""

import math

import numpy as np

from ..abi.entries import entry
from ..abi.oprow import NONE, OP, OPTIMIZER, SIZE
from ..abi.tensors import row_address, tensor_address
from ..driver.batch import rows_parts
from ..driver.team import wait_for_team
from ..lowlevel._jit import force_inline, inline_ir, kernel
from ..lowlevel.simd import address, call, element, record, view

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
    if net.training == 0:
        return False
    optimizer = record(net.optimizer, OPTIMIZER)
    frozen = view(net.optimizer + 2 * 8 * SIZE, 2 * optimizer.n_frozen, np.int64)
    place = net.n_parameters + op.statistics  # see `graph.frozen_numbers`
    for k in range(0, frozen.size, 2):
        if frozen[k] <= place < frozen[k + 1]:
            return False
    return True


@force_inline
def _is_shared(op, net):
    """Whether the rows of all processes are one batch."""
    return op.settings[3] == 1.0 and net.exchange != 0


@force_inline
def _first_part(net, row, parts):
    """The part of the batch that begins with a row; 0 of a batch without rows."""
    rows = net.batch_rows
    return (row * parts + rows - 1) // rows


@inline_ir
def channels_and_positions(op):
    """Channels, and the positions of a sample that each has a number for."""
    features = int(op.settings[2])
    return features, op.n_in // features


@inline_ir
def _channels(vector, offset, n, T):
    """Parameters of the flat vector at an address, or their gradients: (n,), or (0,) if there are none."""
    return view(element(vector, offset, T), n if offset != NONE else 0, T)


@inline_ir
def _rows_at_hand(net, offset, positions, n, T):
    """The rows at hand of a tensor."""
    rows = net.rows * positions
    return view(tensor_address(net, offset, positions * n, T), (rows, n), T)


@inline_ir
def _all_rows(net, offset, positions, n, T):
    """All rows of the batch of a tensor."""
    rows = net.batch_rows * positions
    return view(row_address(net, offset, 0, positions * n, T), (rows, n), T)


@inline_ir
def sums_of_parts(op, net, backward, n, T):
    """The sums of the parts: moments, or gradients if it is 1 and not 0 that is given."""
    offset = op.scratch + backward * 2 * n * net.n_parts
    return view(element(net.workspace, offset, T), (rows_parts(net), 2, n), T)


@inline_ir
def sums_of_all(op, net, backward, n, T):
    """Mean and variance of the rows of all processes, or the sums of their gradients: (2, n)."""
    return view(element(net.workspace, op.scratch + (4 + 2 * backward) * n * net.n_parts, T), (2, n), T)


@inline_ir
def _take_moments(op, net, by_batch, moments, T):
    """Write `moments`, all four."""
    n, positions = channels_and_positions(op)
    if by_batch and not _is_shared(op, net):
        join_moments(sums_of_parts(op, net, 0, n, T), net.batch_rows, positions, moments)
    else:
        known = view(element(net.statistics, op.statistics, T), (2, n), T)
        if by_batch:
            known = sums_of_all(op, net, 0, n, T)
        for j in range(n):
            moments[0, j], moments[1, j] = known[0, j], known[1, j]
    gamma = _channels(net.parameters, op.parameters[0], n, T)
    beta = _channels(net.parameters, op.parameters[1], n, T)
    prepare(gamma, beta, T(op.settings[0]), moments)


@entry(OP)
def forward_entry(op, net, T):
    """`x` -> `y`, and while training `scratch`: the moments of the parts of the batch."""
    n, positions = channels_and_positions(op)
    moments = view(net.scratch, (4, n), T)
    by_batch = _by_batch(op, net)
    if by_batch:
        sums, every = sums_of_parts(op, net, 0, n, T), _all_rows(net, op.x, positions, n, T)
        parts, rows, first = sums.shape[0], net.batch_rows, net.first_row
        block = view(net.scratch, (2, n), T)
        for part in range(_first_part(net, first, parts), _first_part(net, first + net.rows, parts)):
            start, end = part * rows // parts, (part + 1) * rows // parts
            part_moments(every, start * positions, end * positions, part, sums, block)
        if _is_shared(op, net):
            call(net.share_moments, address(op), address(net))
        else:
            wait_for_team(net)
    _take_moments(op, net, by_batch, moments, T)
    x = _rows_at_hand(net, op.x, positions, n, T)
    normalize(x, moments, _rows_at_hand(net, op.y, positions, n, T))


@entry(OP)
def backward_input_entry(op, net, T):
    """`x`, `dy` -> `dx`, and while training `scratch`: the sums of the gradients of the parts."""
    n, positions = channels_and_positions(op)
    moments = view(net.scratch, (4, n), T)
    by_batch = _by_batch(op, net)
    _take_moments(op, net, by_batch, moments, T)
    dy = _rows_at_hand(net, op.dy, positions, n, T)
    dx = _rows_at_hand(net, op.dx, positions, n, T)
    if by_batch:
        sums, x = sums_of_parts(op, net, 1, n, T), _rows_at_hand(net, op.x, positions, n, T)
        parts, rows, first = sums.shape[0], net.batch_rows, net.first_row
        for part in range(_first_part(net, first, parts), _first_part(net, first + net.rows, parts)):
            start, end = part * rows // parts - first, (part + 1) * rows // parts - first
            part_gradients(x, dy, start * positions, end * positions, moments, part, sums)
        if _is_shared(op, net):
            call(net.share_gradients, address(op), address(net))
        else:
            wait_for_team(net)
        dgamma = view(element(net.scratch, 4 * n, T), n, T)
        dbeta = view(element(net.scratch, 5 * n, T), n, T)
        if _is_shared(op, net):
            total, rows = sums_of_all(op, net, 1, n, T), net.all_rows
            for j in range(n):
                dgamma[j], dbeta[j] = total[0, j], total[1, j]
        else:
            join_gradients(sums, moments, dgamma, dbeta)
        batch_normalization_backward(x, dy, rows * positions, moments, dgamma, dbeta, dx)
    else:
        scale(dy, moments, dx)


@entry(OP)
def backward_weights_entry(op, net, T):
    """`x`, `dy` -> the gradients of gamma and beta.

    While training by what `backward_input` left in `scratch` of the parts at hand, if there is such an entry.
    """
    n, positions = channels_and_positions(op)
    moments = view(net.scratch, (4, n), T)
    by_batch = _by_batch(op, net)
    _take_moments(op, net, by_batch, moments, T)
    if by_batch and op.backward_input != 0:
        parts, first = rows_parts(net), net.first_row
        part, end = _first_part(net, first, parts), _first_part(net, first + net.rows, parts)
        offset = op.scratch + 2 * n * (net.n_parts + part)
        sums = view(element(net.workspace, offset, T), (end - part, 2, n), T)
    else:
        sums = view(element(net.scratch, 4 * n, T), (1, 2, n), T)
        x = _rows_at_hand(net, op.x, positions, n, T)
        dy = _rows_at_hand(net, op.dy, positions, n, T)
        part_gradients(x, dy, 0, x.shape[0], moments, 0, sums)
    # What is not trained is written where the moments were that are not needed any more.
    dgamma = _channels(net.rows_gradient, op.parameters[0], n, T)
    dbeta = _channels(net.rows_gradient, op.parameters[1], n, T)
    if dgamma.size == 0:
        dgamma = view(element(net.scratch, 2 * n, T), n, T)
    if dbeta.size == 0:
        dbeta = view(element(net.scratch, 3 * n, T), n, T)
    join_gradients(sums, moments, dgamma, dbeta)


@entry(OP)
def update_statistics_entry(op, net, T):
    """The moments of the batch, in `scratch` -> `statistics`, unless they are frozen."""
    n, positions = channels_and_positions(op)
    is_shared = _is_shared(op, net)
    if _by_batch(op, net) and (is_shared or net.batch_rows > 0):
        moments = view(net.scratch, (4, n), T)
        if is_shared:
            moments = sums_of_all(op, net, 0, n, T)
        else:
            join_moments(sums_of_parts(op, net, 0, n, T), net.batch_rows, positions, moments)
        mean = view(element(net.statistics, op.statistics, T), n, T)
        variance = view(element(net.statistics, op.statistics + n, T), n, T)
        average(moments, T(op.settings[1]), mean, variance)
