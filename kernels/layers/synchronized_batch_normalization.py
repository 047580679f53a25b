"""Batch normalization over the rows of all processes of a fit: what they exchange in the middle of a step.

The first thread of each process sends the moments of its own rows and joins those of all, in the order of the
processes, as by T. Chan, G. Golub, R. LeVeque, *Algorithms for computing the sample variance*, The American
Statistician 37 (1983). In the backward pass it does so with the sums of the gradients.
"""

from ..abi.entries import entry
from ..abi.oprow import OP
from ..driver.ranks import exchange, numbers_of, rows_of, speaks_for_team
from ..driver.team import wait_for_team
from ..lowlevel._jit import kernel
from ..lowlevel.simd import view
from .batch_normalization import (
    channels_and_positions,
    join_gradients,
    join_moments,
    sums_of_all,
    sums_of_parts,
)


@kernel
def join_batches(more, share, moments):
    """Write ``moments[:2]``: mean and variance of the rows they are of and those of `more` together.

    The rows of `more` are the fraction `share` of all.
    """
    rest = share * (moments.dtype.type(1) - share)
    for j in range(moments.shape[1]):
        distance = more[0, j] - moments[0, j]
        moments[0, j] += distance * share
        moments[1, j] += (more[1, j] - moments[1, j]) * share + distance * distance * rest


@kernel
def clear(numbers):
    """Write zeros into `numbers`."""
    for i in range(numbers.shape[0]):
        for j in range(numbers.shape[1]):
            numbers[i, j] = numbers.dtype.type(0)


@kernel
def add_sums(more, total):
    """Add `more` to `total`, both of shape (2, n)."""
    for i in range(total.shape[0]):
        for j in range(total.shape[1]):
            total[i, j] += more[i, j]


@entry(OP)
def share_moments_entry(op, net, T):
    """The moments of the parts, in `scratch` of each process -> those of the rows of all processes."""
    n, positions = channels_and_positions(op)
    wait_for_team(net)
    if speaks_for_team(net):
        rows_of(net, net.rank)[0] = net.batch_rows
        if net.batch_rows > 0:
            own = numbers_of(net, net.rank, (2, n), T)
            join_moments(sums_of_parts(op, net, 0, n, T), net.batch_rows, positions, own)
        exchange(net)
        moments, before = sums_of_all(op, net, 0, n, T), 0.0
        clear(moments)
        for rank in range(net.ranks):
            rows = rows_of(net, rank)[0]
            if rows > 0.0:
                before += rows
                join_batches(numbers_of(net, rank, (2, n), T), T(rows / before), moments)
    wait_for_team(net)


@entry(OP)
def share_gradients_entry(op, net, T):
    """The sums of the gradients of the parts, likewise; the moments of all are in the thread's `scratch`."""
    n, _ = channels_and_positions(op)
    wait_for_team(net)
    if speaks_for_team(net):
        rows_of(net, net.rank)[0] = net.batch_rows
        if net.batch_rows > 0:
            own = numbers_of(net, net.rank, (2, n), T)
            join_gradients(sums_of_parts(op, net, 1, n, T), view(net.scratch, (4, n), T), own[0], own[1])
        exchange(net)
        total = sums_of_all(op, net, 1, n, T)
        clear(total)
        for rank in range(net.ranks):
            if rows_of(net, rank)[0] > 0.0:
                add_sums(numbers_of(net, rank, (2, n), T), total)
    wait_for_team(net)
