"""The first half of a step: forward pass, loss, and the gradients with respect to the inputs, row by row.

Threads take rows of their own and do not wait for each other, but where an op couples rows.

The rows of a batch are cut into parts, whose number follows from the problem. The loss of each part is
summed up by itself, so that the sum of all does not depend on which thread computes which part. Where a batch
is long, each part has a gradient of the weights of its own as well; otherwise these are computed of all rows
together, in the second half of the step: see `update`.
"""

import numpy as np

from ..abi import descriptor as d
from ..abi import oprow
from ..lowlevel._jit import force_inline, kernel
from ..lowlevel.simd import address, call, view
from .batch import rows_parts
from .team import share, worker_slots

# Rows that a thread takes at a time: their tensors stay in the second cache.
_AT_A_TIME = 256


@force_inline
def call_rows(table, count, column, net):
    """Call the entry in `column` of each of the `count` op rows at the address `table`."""
    for i in range(count):
        op_address = table + 8 * oprow.SIZE * i
        entry = view(op_address, oprow.SIZE, np.int64)[column]
        if entry != 0:
            call(entry, op_address, address(net))


@kernel
def forward(table, net):
    """Compute the outputs of the ops at the address `table`, for the rows at hand."""
    call_rows(table, net[d.N_OPS], oprow.FORWARD, net)


@kernel
def backward(table, net):
    """Compute the ops' gradients, by what `forward` left; it may be called again."""
    with_weights = net[d.INPUT_ONLY] == 0
    for i in range(net[d.N_OPS] - 1, -1, -1):
        op_address = table + 8 * oprow.SIZE * i
        call_rows(op_address, 1, oprow.BACKWARD_INPUT, net)
        if with_weights:
            call_rows(op_address, 1, oprow.BACKWARD_WEIGHTS, net)


@force_inline
def _place_batch(own):
    """Say where the inputs, targets and weights of the batch are, or will be when all are gathered."""
    if own[d.ORDER] != 0 or own[d.CONVERT] == 1:
        own[d.INPUT], own[d.TARGET] = own[d.BATCH_X], own[d.BATCH_Y]
        own[d.WEIGHT] = own[d.BATCH_WEIGHT] if own[d.SAMPLE_WEIGHT] != 0 else 0
    else:
        skip = own[d.POSITION] * own[d.ITEMSIZE]
        own[d.INPUT] = own[d.X] + skip * own[d.N_FEATURES]
        own[d.TARGET] = own[d.Y] + skip * own[d.N_TARGETS]
        weight = own[d.SAMPLE_WEIGHT]
        own[d.WEIGHT] = weight + skip * own[d.WEIGHT_WIDTH] if weight != 0 else 0


@force_inline
def place_rows(own, first, end):
    """Make rows of the batch, from one to another, those at hand."""
    own[d.FIRST_ROW], own[d.ROWS] = first, end - first


@force_inline
def _losses(own, real, part, end, parts):
    """Compute the losses of parts of the batch, and the gradients with respect to the prediction."""
    losses, rows = view(own[d.LOSSES], parts, np.float64), own[d.BATCH_ROWS]
    for i in range(part, end):
        if parts > 1:
            place_rows(own, i * rows // parts, (i + 1) * rows // parts)
        call_rows(own[d.LOSS], 1, oprow.FORWARD, own)
        losses[i] = real[d.LOSS_VALUE]


@kernel
def _call_op(op_address, column, own):
    """Call an entry of an op, if there are rows; one that couples rows in any case: threads wait in it."""
    if own[d.ROWS] > 0 or view(op_address, oprow.SIZE, np.int64)[oprow.COUPLED] == 1:
        call_rows(op_address, 1, column, own)


@force_inline
def _forward(net, own):
    """Compute the outputs of the rows at hand."""
    if net[d.COUPLED] == 0:
        forward(net[d.OPS], own)
    else:
        for i in range(net[d.N_OPS]):
            _call_op(net[d.OPS] + 8 * oprow.SIZE * i, oprow.FORWARD, own)


@force_inline
def _backward_input(net, own):
    """Compute the gradients with respect to the ops' inputs."""
    op_address, coupled = net[d.OPS] + 8 * oprow.SIZE * net[d.N_OPS], net[d.COUPLED] == 1
    for _ in range(net[d.N_OPS]):
        op_address -= 8 * oprow.SIZE
        entry = view(op_address, oprow.SIZE, np.int64)[oprow.BACKWARD_INPUT]
        if entry != 0:
            if coupled:
                _call_op(op_address, oprow.BACKWARD_INPUT, own)
            else:
                call(entry, op_address, address(own))


@force_inline
def _run_parts(net, own, real, part, end, parts, with_gradient):
    """Do all that is to be done for some parts of the batch."""
    rows = own[d.BATCH_ROWS]
    if parts == 1:
        place_rows(own, 0, rows if part < end else 0)
    else:
        place_rows(own, part * rows // parts, end * rows // parts)
    if own[d.ORDER] != 0 or own[d.CONVERT] == 1:
        call(own[d.GATHER], 0, address(own))
    _forward(net, own)
    _losses(own, real, part, end, parts)
    if with_gradient:
        if net[d.PART_GRADIENTS] == 1:
            own[d.ROWS_GRADIENT] = net[d.GRADIENT] + part * net[d.N_PARAMETERS] * net[d.ITEMSIZE]
            backward(net[d.OPS], own)
        else:
            if end > part + 1:
                place_rows(own, part * rows // parts, end * rows // parts)
            _backward_input(net, own)


@force_inline
def run_rows(net, thread, step, position, rows, with_gradient):
    """Forward pass, loss and, if asked for, gradients of a thread's rows of a batch; the batch's weight."""
    own, real = worker_slots(net, thread)
    own[d.STEP], own[d.POSITION], own[d.BATCH_ROWS] = step, position, rows
    weight = float(rows)
    if net[d.SAMPLE_WEIGHT] != 0:
        call(net[d.WEIGHT_SUM], 0, address(own))
        weight = real[d.SCALE]
    real[d.SCALE] = 1.0 if net[d.SUM_LOSS] == 1 else (1.0 / weight if weight > 0.0 else 0.0)
    _place_batch(own)
    parts, team = rows_parts(own), net[d.TEAM]
    part, last = share(parts, thread, team), share(parts, thread + 1, team)
    at_a_time = 1
    if net[d.COUPLED] == 1:  # all threads come to each op, once
        at_a_time = parts
    elif parts > 1 and net[d.PART_GRADIENTS] == 0:
        at_a_time = max(1, _AT_A_TIME * parts // rows)
    goes_on = part < last or net[d.COUPLED] == 1
    while goes_on:
        end = min(part + at_a_time, last)
        _run_parts(net, own, real, part, end, parts, with_gradient)
        part = end
        goes_on = part < last
    if thread == 0:
        real[d.PENALTY] = 0.0
        call_rows(net[d.PENALTIES], net[d.N_PENALTIES], oprow.FORWARD, own)
    return weight


@force_inline
def batch_loss(net, thread):
    """Sum of the losses of all parts, in their order; all rows of the batch become those at hand."""
    own, _ = worker_slots(net, thread)
    place_rows(own, 0, own[d.BATCH_ROWS])
    losses = view(net[d.LOSSES], rows_parts(own), np.float64)
    total = 0.0
    for i in range(losses.size):
        total += losses[i]
    return total
