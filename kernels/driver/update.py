"""The second half of a step: the gradient of the parameters, and the optimizer's update.

The gradient of a piece of the flat vector, some rows of a weight matrix, is computed of all rows of the
batch, so that no gradients need to be added up, and the optimizer changes the piece while it is in the cache.
Which thread does which piece changes no bit. Where each part of a long batch has a gradient of its own (see
`rows`), these are added up instead, in their order.
"""

import math

import numpy as np

from ..abi import descriptor as d
from ..abi import oprow
from ..abi.tensors import op_row
from ..lowlevel._jit import force_inline, kernel
from ..lowlevel.simd import address, call, view
from ..training.optimizer import CLIPNORM
from .batch import block_size
from .rows import call_rows
from .team import share, wait_for_team, worker_slots

# Parameters that are updated at a time, at least: with their gradients and the optimizer's memory they fit
# into the second cache.
_UPDATED = 16384
# Most parameters whose gradient is computed at a time. For each such piece the matrix product copies
# the gradient with respect to the output together.
_PIECE = 262144
# A piece begins at a multiple of so many rows of a weight matrix.
_TILE = 8


@force_inline
def _first_weight(op, place):
    """The first row of an op's W that lies behind a place in the flat vector, in whole tiles."""
    rows, columns = op[oprow.W_ROWS], op[oprow.W_COLUMNS]
    inside = place - op[oprow.FIRST_PARAMETER]
    if inside <= 0:
        return 0
    if inside >= rows * columns:
        return rows
    return min(rows, (inside // columns + _TILE // 2) // _TILE * _TILE)


@force_inline
def _optimize(net, own, start, end):
    """Let the optimizer change the parameters from `start` to `end`."""
    if start < end:
        own[d.PART_START], own[d.PART_SIZE] = start, end - start
        call_rows(net[d.OPTIMIZER], 1, oprow.FORWARD, own)


@force_inline
def _update_range(net, own, start, end, frozen):
    """Let the optimizer change the parameters from `start` to `end`, but for what is frozen."""
    for k in range(0, frozen.size, 2):
        _optimize(net, own, start, min(end, frozen[k]))
        start = max(start, frozen[k + 1])
    _optimize(net, own, start, end)


@force_inline
def _clear(net, start, end, frozen):
    """Write zeros into the gradient of what is not trained, from `start` to `end`."""
    itemsize = net[d.ITEMSIZE]
    for k in range(0, frozen.size, 2):
        first, last = max(start, frozen[k]), min(end, frozen[k + 1])
        if first < last:
            gradient = view(net[d.GRADIENT] + first * itemsize, (last - first) * itemsize // 4, np.int32)
            for i in range(gradient.size):
                gradient[i] = 0


@kernel
def _finish(net, own, start, end, frozen, updates):
    """Complete the gradient from `start` to `end`, and if asked for let the optimizer use it."""
    own[d.PART_START], own[d.PART_SIZE] = start, end - start
    call_rows(net[d.PENALTIES], net[d.N_PENALTIES], oprow.GRADIENT, own)
    _clear(net, start, end, frozen)
    if updates:
        _update_range(net, own, start, end, frozen)


@kernel
def _sum_parts(net, own, start, end, frozen, updates):
    """Add up the gradients of all parts from `start` to `end`."""
    for first in range(start, end, _UPDATED):
        last = min(first + _UPDATED, end)
        own[d.PART_START], own[d.PART_SIZE] = first, last - first
        call(net[d.SUM_GRADIENTS], 0, address(own))
        _finish(net, own, first, last, frozen, updates)


@force_inline
def _compute(net, own, thread, frozen, updates):
    """Compute this thread's share of the gradient of all rows, piece by piece."""
    team, n = net[d.TEAM], net[d.N_PARAMETERS]
    low, high = share(n, thread, team), share(n, thread + 1, team)
    start = end = 0  # what is computed and not finished yet
    for i in range(net[d.N_OPS]):
        op_address = net[d.OPS] + 8 * oprow.SIZE * i
        op = view(op_address, oprow.SIZE, np.int64)
        if op[oprow.BACKWARD_WEIGHTS] == 0:
            continue
        rows, columns, at = op[oprow.W_ROWS], op[oprow.W_COLUMNS], op[oprow.FIRST_PARAMETER]
        row, last = 0, rows
        if team > 1:
            row, last = _first_weight(op, low), _first_weight(op, high)
        at_a_time = rows
        if rows * columns > _PIECE:
            at_a_time = max(_TILE, _PIECE // columns // _TILE * _TILE)
        while row < last:
            stop = min(row + at_a_time, last)
            first = at + row * columns
            after = at + stop * columns if stop < rows else at + op[oprow.N_PARAMETERS]
            if first != end:
                if start < end:
                    _finish(net, own, start, end, frozen, updates)
                start = first
            own[d.FIRST_WEIGHT], own[d.N_WEIGHTS] = row, stop - row
            call(op[oprow.BACKWARD_WEIGHTS], op_address, address(own))
            row, end = stop, after
            if end - start >= _UPDATED:
                _finish(net, own, start, end, frozen, updates)
                start = end
    if start < end:
        _finish(net, own, start, end, frozen, updates)


@kernel
def _own_blocks(net, thread):
    """Where a thread's share of the flat vector begins and ends, in whole blocks."""
    team, n = net[d.TEAM], net[d.N_PARAMETERS]
    if team == 1:  # without divisions, which small steps would feel
        return 0, n
    block = block_size(net)
    return min(share(d.BLOCKS, thread, team) * block, n), min(share(d.BLOCKS, thread + 1, team) * block, n)


@force_inline
def compute_gradient(net, thread, frozen, updates):
    """Complete a thread's share of GRADIENT, and if asked for let the optimizer use it.

    `frozen` are the starts and ends of what the optimizer leaves alone.
    """
    own, _ = worker_slots(net, thread)
    if net[d.PART_GRADIENTS] == 1:
        start, end = _own_blocks(net, thread)
        _sum_parts(net, own, start, end, frozen, updates)
    else:
        own[d.ROWS_GRADIENT] = net[d.GRADIENT]
        _compute(net, own, thread, frozen, updates)


@kernel
def _norm_factor(net, own, start, end, limit):
    """What the gradient is multiplied with so that its norm is at most `limit`."""
    own[d.PART_START], own[d.PART_SIZE] = start, end - start
    call(net[d.SQUARES], 0, address(own))
    wait_for_team(net)
    # Block by block, so that the sum does not depend on how many threads there are.
    squares = view(net[d.BLOCK_SQUARES], d.BLOCKS, np.float64)
    total = 0.0
    for i in range(squares.size):
        total += squares[i]
    norm = math.sqrt(total)
    return limit / norm if norm > limit else 1.0


@force_inline
def update(net, thread):
    """Make this thread's share of the optimizer's step."""
    own, real = worker_slots(net, thread)
    row, setting = op_row(net[d.OPTIMIZER])
    frozen = view(net[d.OPTIMIZER] + 2 * 8 * oprow.SIZE, 2 * row[oprow.FROZEN], np.int64)
    limit = setting[oprow.SETTINGS + CLIPNORM]
    call_rows(net[d.SCHEDULE], 1, oprow.FORWARD, own)
    real[d.NORM_FACTOR] = 1.0
    compute_gradient(net, thread, frozen, limit == 0.0)
    if thread == 0 and net[d.STATISTICS] != 0:
        call_rows(net[d.OPS], net[d.N_OPS], oprow.UPDATE_STATISTICS, own)
    if limit > 0.0:
        wait_for_team(net)  # for all of the gradient
        start, end = _own_blocks(net, thread)
        real[d.NORM_FACTOR] = _norm_factor(net, own, start, end, limit)
        _update_range(net, own, start, end, frozen)
