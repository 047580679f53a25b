"""The first half of a step: forward pass, loss, and the gradients with respect to the inputs, row by row.

Threads take rows of their own and do not wait for each other, but where an op couples rows.

The rows of a batch are cut into parts, whose number follows from the problem. The loss of each part is
summed up by itself, so that the sum of all does not depend on which thread computes which part. Where a batch
is long, each part has a gradient of the weights of its own as well; otherwise these are computed of all rows
together, in the second half of the step: see `update`.
"""

import numpy as np

from ..abi.oprow import LOSS, OP, PENALTY
from ..lowlevel._jit import force_inline, kernel
from ..lowlevel.simd import address, call, record, record_at, view
from .batch import rows_parts
from .team import share, worker

# Rows that a thread takes at a time: their tensors stay in the second cache.
_AT_A_TIME = 256


@force_inline
def call_kernel(entry, row, net):
    """Call an entry of a row of any kind, if there is one."""
    if entry != 0:
        call(entry, address(row), address(net))


@kernel
def forward(table, net):
    """Compute the outputs of the ops at the address `table`, for the rows at hand."""
    for i in range(net.n_ops):
        op = record_at(table, i, OP)
        call_kernel(op.forward, op, net)


@kernel
def backward(table, net):
    """Compute the ops' gradients, by what `forward` left; it may be called again."""
    with_weights = net.input_only == 0
    for i in range(net.n_ops - 1, -1, -1):
        op = record_at(table, i, OP)
        call_kernel(op.backward_input, op, net)
        if with_weights:
            call_kernel(op.backward_weights, op, net)


@force_inline
def _place_inputs(own):
    """Say where the inputs, targets and weights of the batch are, or will be when all are gathered."""
    if own.order != 0 or own.convert == 1:
        own.input, own.target = own.batch_x, own.batch_y
        own.weight = own.batch_weight if own.sample_weight != 0 else 0
    else:
        skip = own.position * own.itemsize
        own.input = own.x + skip * own.n_features
        own.target = own.y + skip * own.n_targets
        weight = own.sample_weight
        own.weight = weight + skip * own.weight_width if weight != 0 else 0


@force_inline
def place_rows(own, first, end):
    """Make rows of the batch, from one to another, those at hand."""
    own.first_row, own.rows = first, end - first


@force_inline
def _losses(own, part, end, parts):
    """Compute the losses of parts of the batch, and the gradients with respect to the prediction."""
    losses, rows = view(own.losses, parts, np.float64), own.batch_rows
    loss = record(own.loss, LOSS)
    for i in range(part, end):
        if end > part + 1:
            place_rows(own, i * rows // parts, (i + 1) * rows // parts)
        call_kernel(loss.forward, loss, own)
        losses[i] = own.loss_value


@kernel
def _call_op(entry, op, own):
    """Call an entry of an op, if there are rows; one that couples rows in any case: threads wait in it."""
    if own.rows > 0 or op.coupled == 1:
        call_kernel(entry, op, own)


@force_inline
def place_parts(own, part, end, parts):
    """Make the rows of some parts of the batch those at hand."""
    rows = own.batch_rows
    if parts == 1:
        place_rows(own, 0, rows if part < end else 0)
    else:
        place_rows(own, part * rows // parts, end * rows // parts)


@force_inline
def forward_rows(net, own):
    """Compute the outputs of the rows at hand."""
    if net.coupled == 0:
        forward(net.ops, own)
    else:
        for i in range(net.n_ops):
            op = record_at(net.ops, i, OP)
            _call_op(op.forward, op, own)


@force_inline
def _backward_input(net, own):
    """Compute the gradients with respect to the ops' inputs."""
    for i in range(net.n_ops - 1, -1, -1):
        op = record_at(net.ops, i, OP)
        call_kernel(op.backward_input, op, own)


@kernel
def _backward_coupled(net, own, part, end, parts):
    """Compute the ops' gradients in a network where an op couples rows: op by op, of all rows of the thread.

    Where parts have gradients of the weights of their own, these are computed of each part by itself.
    """
    rows, size = own.batch_rows, net.n_parameters * net.itemsize
    for i in range(net.n_ops - 1, -1, -1):
        op = record_at(net.ops, i, OP)
        _call_op(op.backward_input, op, own)
        if net.part_gradients == 1 and op.backward_weights != 0:
            for k in range(part, end):
                place_rows(own, k * rows // parts, (k + 1) * rows // parts)
                own.rows_gradient = net.gradient + k * size
                call(op.backward_weights, address(op), address(own))
            place_rows(own, part * rows // parts, end * rows // parts)


@force_inline
def backward_rows(net, own, part, end, parts):
    """Compute the gradients of the rows at hand, which are those of some parts of the batch."""
    if net.coupled == 1:
        _backward_coupled(net, own, part, end, parts)
    elif net.part_gradients == 1:
        own.rows_gradient = net.gradient + part * net.n_parameters * net.itemsize
        backward(net.ops, own)
    else:
        _backward_input(net, own)


@force_inline
def parts_at_a_time(net, rows, parts):
    """How many parts of a batch a thread takes at a time."""
    if net.coupled == 1:  # all threads come to each op, once
        return parts
    if parts > 1 and net.part_gradients == 0:
        return max(1, _AT_A_TIME * parts // rows)
    return 1


@force_inline
def _move_rows(own, rows):
    """Take the inputs, targets and weights at hand for those of rows that come so many before."""
    own.first_row -= rows
    rows *= own.itemsize
    own.input += rows * own.n_features
    own.target += rows * own.n_targets
    own.weight += rows * own.weight_width if own.weight != 0 else 0


@force_inline
def _run_parts(net, own, start, part, end, parts, with_gradient):
    """Do all that is to be done for some parts of the batch, of a thread whose first row is `start`."""
    rows = own.batch_rows
    place_parts(own, part, end, parts)
    if own.order != 0 or own.convert == 1:
        call(own.gather, 0, address(own))
    moved = own.first_row - start if net.reuses_rows == 1 else 0
    if moved > 0:
        _move_rows(own, moved)
    forward_rows(net, own)
    _losses(own, part, end, parts)
    if with_gradient:
        if end > part + 1:
            place_rows(own, part * rows // parts, end * rows // parts)
        backward_rows(net, own, part, end, parts)
    if moved > 0:
        _move_rows(own, -moved)


@force_inline
def place_batch(net, own, step, position, rows):
    """Make rows from a position on the batch at hand, with the factor of its loss; the batch's weight."""
    own.step, own.position, own.batch_rows = step, position, rows
    weight = float(rows)
    if net.sample_weight != 0:
        call(net.weight_sum, 0, address(own))
        weight = own.scale
    own.scale = 1.0 if net.sum_loss == 1 else (1.0 / weight if weight > 0.0 else 0.0)
    _place_inputs(own)
    return weight


@force_inline
def run_batch(net, own, thread, with_gradient):
    """Forward pass, loss and, if asked for, gradients of a thread's rows of the batch at hand."""
    rows, parts, team = own.batch_rows, rows_parts(own), net.team
    part, last = share(parts, thread, team), share(parts, thread + 1, team)
    at_a_time, start = parts_at_a_time(net, rows, parts), part * rows // parts
    goes_on = part < last or net.coupled == 1
    while goes_on:
        end = min(part + at_a_time, last)
        _run_parts(net, own, start, part, end, parts, with_gradient)
        part = end
        goes_on = part < last


@force_inline
def add_penalties(net, own, count):
    """Compute the sum of the penalties on the weights, of so many rows of them."""
    own.penalty = 0.0
    for i in range(count):
        penalty = record_at(net.penalties, i, PENALTY)
        call_kernel(penalty.forward, penalty, own)


@force_inline
def run_rows(net, thread, step, position, rows, with_gradient):
    """Forward pass, loss and, if asked for, gradients of a thread's rows of a batch; the batch's weight."""
    own = worker(net, thread)
    weight = place_batch(net, own, step, position, rows)
    run_batch(net, own, thread, with_gradient)
    if thread == 0:
        add_penalties(net, own, net.n_penalties)
    return weight


@force_inline
def batch_loss(net, thread):
    """Sum of the losses of all parts, in their order; all rows of the batch become those at hand."""
    own = worker(net, thread)
    place_rows(own, 0, own.batch_rows)
    losses = view(net.losses, rows_parts(own), np.float64)
    total = 0.0
    for i in range(losses.size):
        total += losses[i]
    return total
