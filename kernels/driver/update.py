"""The second half of a step: the gradient of the parameters, and the optimizer's update.

The gradient of a piece of the flat vector, some rows of a weight matrix, is computed of all rows of the
batch, so that no gradients need to be added up, and the optimizer changes the piece while it is in the cache.
Which thread does which piece changes no bit. Where each part of a long batch has a gradient of its own (see
`rows`), these are added up instead, in their order.
"""

import math

import numpy as np

from ..abi.descriptor import ALL, BLOCKS
from ..abi.oprow import OP, OPTIMIZER, PENALTY, SCHEDULE, SIZE
from ..lowlevel._jit import force_inline, kernel
from ..lowlevel.simd import address, call, record, record_at, view
from .batch import block_size
from .rows import call_kernel
from .team import share, wait_for_team, worker

# Parameters that are updated at a time, at least: with their gradients and the optimizer's memory they fit
# into the second cache.
_UPDATED = 16384
# Most parameters whose gradient is computed at a time. For each such piece the matrix product copies
# the gradient with respect to the output together.
_PIECE = 262144
# A piece begins at a multiple of so many rows of a weight matrix.
_TILE = 8


@force_inline
def _first_weight(op, cost):
    """The row of an op's W that is reached for some of its cost, in whole tiles."""
    rows = op.matrix_rows
    if cost <= 0:
        return 0
    if cost >= op.cost:
        return rows
    tile = min(rows, _TILE)
    return min(rows, (cost * rows + op.cost * tile // 2) // (op.cost * tile) * tile)


@force_inline
def _optimize(net, own, start, end):
    """Let the optimizer change the parameters from `start` to `end`."""
    if start < end:
        own.part_start, own.part_size = start, end - start
        optimizer = record(net.optimizer, OPTIMIZER)
        call_kernel(optimizer.forward, optimizer, own)


@force_inline
def _update_range(net, own, start, end, frozen):
    """Let the optimizer change the parameters from `start` to `end`, but for what is frozen."""
    for k in range(0, frozen.size, 2):
        _optimize(net, own, start, min(end, frozen[k]))
        start = max(start, frozen[k + 1])
    _optimize(net, own, start, end)


@force_inline
def _clear(own, start, end, frozen):
    """Write zeros into the gradient of what is not trained, from `start` to `end`."""
    itemsize = own.itemsize
    for k in range(0, frozen.size, 2):
        first, last = max(start, frozen[k]), min(end, frozen[k + 1])
        if first < last:
            gradient = view(own.gradient + first * itemsize, (last - first) * itemsize // 4, np.int32)
            for i in range(gradient.size):
                gradient[i] = 0


@kernel
def _finish(net, own, start, end, frozen, updates):
    """Complete the gradient from `start` to `end`, and if asked for let the optimizer use it."""
    own.part_start, own.part_size = start, end - start
    for i in range(net.n_penalties):
        penalty = record_at(net.penalties, i, PENALTY)
        call_kernel(penalty.gradient, penalty, own)
    _clear(own, start, end, frozen)
    if updates:
        _update_range(net, own, start, end, frozen)


@kernel
def _sum_parts(net, own, start, end, frozen, updates):
    """Add up the gradients of all parts from `start` to `end`."""
    for first in range(start, end, _UPDATED):
        last = min(first + _UPDATED, end)
        own.part_start, own.part_size = first, last - first
        call(net.sum_gradients, 0, address(own))
        _finish(net, own, first, last, frozen, updates)


@force_inline
def _compute(net, own, thread, frozen, updates):
    """Compute this thread's share of the gradient of all rows, piece by piece."""
    team, n = net.team, net.n_parameters
    low, high = share(net.cost, thread, team), share(net.cost, thread + 1, team)  # from the op at hand on
    start = end = low  # what is computed and not finished yet: nothing, wherever that is
    # A gradient that nobody sees is computed where the first piece of it was: there it stays in the cache.
    in_one_place, origin, gradient = updates and net.train == 0, n, net.gradient
    for i in range(net.n_ops):
        op = record_at(net.ops, i, OP)
        if op.backward_weights == 0:
            continue
        rows, columns, at = op.matrix_rows, op.matrix_columns, op.first_parameter
        row, last = 0, rows
        if team > 1:
            row, last = _first_weight(op, low), _first_weight(op, high)
            low, high = low - op.cost, high - op.cost
        at_a_time = rows
        if rows * columns > _PIECE:
            at_a_time = max(_TILE, _PIECE // columns // _TILE * _TILE)
        while row < last:
            stop = min(row + at_a_time, last)
            first = at + row * columns
            after = at + stop * columns if stop < rows else at + op.n_parameters
            if first != end:
                if start < end:
                    _finish(net, own, start, end, frozen, updates)
                start = end = first
            if start == end and in_one_place:
                origin = min(origin, start)
                own.gradient = own.rows_gradient = gradient - (start - origin) * net.itemsize
            own.first_weight, own.n_weights = row, stop - row
            call(op.backward_weights, address(op), address(own))
            row, end = stop, after
            if end - start >= _UPDATED:
                _finish(net, own, start, end, frozen, updates)
                start = end
    if start < end:
        _finish(net, own, start, end, frozen, updates)
    own.gradient = gradient
    own.first_weight, own.n_weights = 0, ALL


@kernel
def own_blocks(net, thread):
    """Where a thread's share of the flat vector begins and ends, in whole blocks."""
    team, n = net.team, net.n_parameters
    if team == 1:  # without divisions, which small steps would feel
        return 0, n
    block = block_size(net)
    return min(share(BLOCKS, thread, team) * block, n), min(share(BLOCKS, thread + 1, team) * block, n)


@force_inline
def compute_gradient(net, thread, frozen, updates):
    """Complete a thread's share of the gradient, and if asked for let the optimizer use it.

    `frozen` are the starts and ends of what the optimizer leaves alone.
    """
    own = worker(net, thread)
    if net.part_gradients == 1:
        start, end = own_blocks(net, thread)
        _sum_parts(net, own, start, end, frozen, updates)
    else:
        own.rows_gradient = net.gradient
        _compute(net, own, thread, frozen, updates)


@kernel
def _norm_factor(net, own, start, end, limit):
    """What the gradient is multiplied with so that its norm is at most `limit`."""
    own.part_start, own.part_size = start, end - start
    call(net.squares, 0, address(own))
    wait_for_team(net)
    # Block by block, so that the sum does not depend on how many threads there are.
    squares = view(net.block_squares, BLOCKS, np.float64)
    total = 0.0
    for i in range(squares.size):
        total += squares[i]
    norm = math.sqrt(total)
    return limit / norm if norm > limit else 1.0


@force_inline
def update(net, thread):
    """Make this thread's share of the optimizer's step."""
    own = worker(net, thread)
    optimizer, schedule = record(net.optimizer, OPTIMIZER), record(net.schedule, SCHEDULE)
    frozen = view(net.optimizer + 2 * 8 * SIZE, 2 * optimizer.n_frozen, np.int64)
    limit = optimizer.global_clipnorm
    call_kernel(schedule.forward, schedule, own)
    own.norm_factor = 1.0
    compute_gradient(net, thread, frozen, limit == 0.0)
    if thread == 0 and net.statistics != 0:
        for i in range(net.n_ops):
            op = record_at(net.ops, i, OP)
            call_kernel(op.update_statistics, op, own)
    if limit > 0.0:
        wait_for_team(net)  # for all of the gradient
        start, end = own_blocks(net, thread)
        own.norm_factor = _norm_factor(net, own, start, end, limit)
        _update_range(net, own, start, end, frozen)


@force_inline
def apply_gradient(net, thread):
    """Make this thread's share of the optimizer's step, by a gradient that is complete."""
    own = worker(net, thread)
    optimizer, schedule = record(net.optimizer, OPTIMIZER), record(net.schedule, SCHEDULE)
    frozen = view(net.optimizer + 2 * 8 * SIZE, 2 * optimizer.n_frozen, np.int64)
    limit = optimizer.global_clipnorm
    start, end = own_blocks(net, thread)
    call_kernel(schedule.forward, schedule, own)
    _clear(own, start, end, frozen)
    own.norm_factor = _norm_factor(net, own, start, end, limit) if limit > 0.0 else 1.0
    _update_range(net, own, start, end, frozen)
