"""The compiled walk over the tables: prediction, evaluation, gradient, and training over many epochs.

The driver knows no dtype and no layer. It calls the entries of the op rows by their addresses, so
that a new architecture, or a user's own function, is data to it and compiles nothing.

A batch is cut into shards, whose number follows from the problem. Each shard has a descriptor of its
own, with its own workspace and gradient; which thread computes it changes no bit of the result.
"""

import math

import numpy as np

from ..abi import descriptor as d
from ..abi import oprow
from ..abi.tensors import op_row, slots
from ..lowlevel._jit import kernel
from ..lowlevel.simd import address, call, flush_denormals, restore_denormals, view
from ..math.random import shuffle
from ..training.optimizer import CLIPNORM
from .team import place_batch, prepare_shards, shard_slots, wait_for_team

# Parameters that are updated at a time: with their gradients and the optimizer's memory they fit
# into the second cache. A multiple of a vector, so that the same bits come out at any number of threads.
_PIECE = 16384


@kernel
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
        if with_weights:  # first: DX may overwrite what they are computed from
            call_rows(op_address, 1, oprow.BACKWARD_WEIGHTS, net)
        call_rows(op_address, 1, oprow.BACKWARD_INPUT, net)


@kernel
def _load_rows(shard):
    """Make the shard's rows of the (shuffled) data set the rows at hand."""
    if shard[d.ORDER] != 0 or shard[d.CONVERT] == 1:
        call(shard[d.GATHER], 0, address(shard))
        shard[d.INPUT], shard[d.TARGET] = shard[d.BATCH_X], shard[d.BATCH_Y]
        shard[d.WEIGHT] = shard[d.BATCH_WEIGHT] if shard[d.SAMPLE_WEIGHT] != 0 else 0
    else:
        skip = (shard[d.POSITION] + shard[d.FIRST_ROW]) * shard[d.ITEMSIZE]
        shard[d.INPUT] = shard[d.X] + skip * shard[d.N_FEATURES]
        shard[d.TARGET] = shard[d.Y] + skip * shard[d.N_TARGETS]
        weight = shard[d.SAMPLE_WEIGHT]
        shard[d.WEIGHT] = weight + skip * shard[d.WEIGHT_WIDTH] if weight != 0 else 0


@kernel
def _run_shards(net, thread, step, position, rows, with_gradient):
    """Forward pass, loss and, if asked for, gradient of this thread's shards of a batch."""
    own, own_real = slots(net[d.SHARDS] + 8 * d.SIZE * thread)
    weight = float(rows)
    if net[d.SAMPLE_WEIGHT] != 0:
        place_batch(own, thread, step, position, rows)
        call(net[d.WEIGHT_SUM], 0, address(own))
        weight = own_real[d.SCALE]
    scale = 1.0 if net[d.SUM_LOSS] == 1 else (1.0 / weight if weight > 0.0 else 0.0)
    s = thread
    while s < net[d.N_SHARDS]:
        shard, real = slots(net[d.SHARDS] + 8 * d.SIZE * s)
        place_batch(shard, s, step, position, rows)
        real[d.SCALE] = scale
        _load_rows(shard)
        forward(net[d.OPS], shard)
        call_rows(net[d.LOSS], 1, oprow.FORWARD, shard)
        if with_gradient:
            backward(net[d.OPS], shard)
        s += net[d.TEAM]
    if thread == 0:
        own_real[d.PENALTY] = 0.0
        call_rows(net[d.PENALTIES], net[d.N_PENALTIES], oprow.FORWARD, own)
    return weight


@kernel
def _batch_loss(net):
    """Sum of the shards' losses, in their order."""
    total = 0.0
    for s in range(net[d.N_SHARDS]):
        _, real = slots(net[d.SHARDS] + 8 * d.SIZE * s)
        total += real[d.LOSS_VALUE]
    return total


@kernel
def _sum_gradients(net, own):
    """Complete the gradient of a part of the flat vector: all shards, and the penalties."""
    if net[d.N_SHARDS] > 1:
        call(net[d.SUM_GRADIENTS], 0, address(own))
    call_rows(net[d.PENALTIES], net[d.N_PENALTIES], oprow.GRADIENT, own)


@kernel
def _norm_factor(net, own, limit):
    """What the gradient is multiplied with so that its norm is at most `limit`."""
    call(net[d.SQUARES], 0, address(own))
    wait_for_team(net)
    # Block by block, so that the sum does not depend on how many threads there are.
    squares = view(net[d.BLOCK_SQUARES], d.BLOCKS, np.float64)
    total = 0.0
    for i in range(squares.size):
        total += squares[i]
    norm = math.sqrt(total)
    return limit / norm if norm > limit else 1.0


@kernel
def _clear_frozen(net, own, frozen):
    """Write zeros into this thread's part of the gradient of what is not trained."""
    itemsize, end = net[d.ITEMSIZE], own[d.PART_START] + own[d.PART_SIZE]
    for k in range(0, frozen.size, 2):
        first, last = max(own[d.PART_START], frozen[k]), min(end, frozen[k + 1])
        if first < last:
            gradient = view(net[d.GRADIENT] + first * itemsize, (last - first) * itemsize // 4, np.int32)
            for i in range(gradient.size):
                gradient[i] = 0


@kernel
def _update_range(net, own, start, end, sum_gradients):
    """Let the optimizer change the parameters from `start` to `end`; the slots of the part are written."""
    # Piece by piece: the optimizer finds in the cache what was summed up just before.
    for first in range(start, end, _PIECE):
        own[d.PART_START], own[d.PART_SIZE] = first, min(_PIECE, end - first)
        if sum_gradients:
            _sum_gradients(net, own)
        call_rows(net[d.OPTIMIZER], 1, oprow.FORWARD, own)


@kernel
def _update(net, thread):
    """Make the part of the optimizer's step that is this thread's."""
    own, real = slots(net[d.SHARDS] + 8 * d.SIZE * thread)
    row, setting = op_row(net[d.OPTIMIZER])
    frozen = view(net[d.OPTIMIZER] + 2 * 8 * oprow.SIZE, 2 * row[oprow.FROZEN], np.int64)
    limit = setting[oprow.SETTINGS + CLIPNORM]
    start, size = own[d.PART_START], own[d.PART_SIZE]
    call_rows(net[d.SCHEDULE], 1, oprow.FORWARD, own)
    real[d.NORM_FACTOR] = 1.0
    if limit > 0.0:
        _sum_gradients(net, own)
        if frozen.size > 0:
            _clear_frozen(net, own, frozen)
        real[d.NORM_FACTOR] = _norm_factor(net, own, limit)
    if frozen.size == 0:
        _update_range(net, own, start, start + size, limit == 0.0)
    else:
        first, end = start, start + size
        for k in range(0, frozen.size, 2):
            _update_range(net, own, first, min(end, frozen[k]), limit == 0.0)
            first = max(first, frozen[k + 1])
        _update_range(net, own, first, end, limit == 0.0)
    own[d.PART_START], own[d.PART_SIZE] = start, size
    if limit == 0.0 and frozen.size > 0:
        _clear_frozen(net, own, frozen)


@kernel
def _start_sums(net, real):
    real[d.TOTAL_LOSS] = real[d.TOTAL_WEIGHT] = real[d.TOTAL_PENALTY] = 0.0
    state = view(net[d.METRIC_STATE], net[d.METRIC_STATE_SIZE], np.float64)
    for i in range(state.size):
        state[i] = 0.0


@kernel
def _add_sums(net, real, rows, weight, loss):
    """Add a batch's loss and metrics to the epoch's."""
    _, first = slots(net[d.SHARDS])
    if net[d.BATCH_MEANS] == 1 and weight > 0.0:
        loss, weight = loss * (float(rows) / weight), float(rows)
    real[d.TOTAL_LOSS] += loss
    real[d.TOTAL_WEIGHT] += weight
    real[d.TOTAL_PENALTY] += first[d.PENALTY] * float(rows)
    for s in range(net[d.N_SHARDS] if net[d.N_METRICS] > 0 else 0):
        call_rows(net[d.METRICS], net[d.N_METRICS], oprow.FORWARD, shard_slots(net, s))


@kernel
def _write_sums(net, real):
    """Write the loss and the metrics of the rows since `_start_sums` into a row of the history."""
    row = view(net[d.HISTORY], net[d.HISTORY_WIDTH], np.float64)
    weight = 1.0 if net[d.SUM_LOSS] == 1 else real[d.TOTAL_WEIGHT]
    loss = real[d.TOTAL_LOSS] / weight if weight != 0.0 else 0.0
    row[0] = loss + real[d.TOTAL_PENALTY] / float(net[d.N_SAMPLES])
    call_rows(net[d.METRICS], net[d.N_METRICS], oprow.RESULT, net)
    if row.size > 1 + net[d.N_METRICS]:  # while training: the rate of the last step
        _, first = slots(net[d.SHARDS])
        row[row.size - 1] = first[d.LEARNING_RATE]
    net[d.HISTORY] += 8 * net[d.HISTORY_WIDTH]


@kernel
def _order_samples(net, epoch):
    """Write the epoch's order of the samples into ORDER: the next given one, or a random one."""
    if net[d.ORDER] == 0:
        return
    order = view(net[d.ORDER], net[d.N_SAMPLES], np.int64)
    if net[d.ORDERS] == 0:
        shuffle(net[d.SEED], epoch, order)
        return
    given = view(net[d.ORDERS], net[d.N_SAMPLES], np.int64)
    for i in range(order.size):
        order[i] = given[i]
    net[d.ORDERS] += 8 * order.size


def predict_entry(T):
    """OUTPUT is written for all samples, CHUNK rows at a time; not all, if STATUS becomes NOT_FINITE.

    The number of the thread is not used.
    """

    def predict(thread, net_address):
        net, _ = slots(net_address)
        mode = flush_denormals()
        output, row_bytes = net[d.OUTPUT], net[d.N_OUTPUTS] * net[d.ITEMSIZE]
        n = net[d.N_SAMPLES]
        net[d.STATUS] = d.OK
        for position in range(0, n, net[d.PREDICT_BATCH]):
            net[d.ROWS] = min(net[d.PREDICT_BATCH], n - position)
            net[d.INPUT] = net[d.X] + position * net[d.N_FEATURES] * net[d.ITEMSIZE]
            if net[d.CHECK] != 0:
                call(net[d.CHECK], 0, address(net))
                if net[d.STATUS] != d.OK:
                    break
            net[d.OUTPUT] = output + position * row_bytes
            forward(net[d.PREDICT_OPS], net)
        restore_denormals(mode)

    return predict


def evaluate_entry(T):
    """HISTORY's row is written: loss and metrics of all samples, BATCH_SIZE rows at a time."""

    def evaluate(thread, net_address):
        net, real = slots(net_address)
        mode = flush_denormals()
        prepare_shards(net, thread)
        n = net[d.N_SAMPLES]
        if thread == 0:
            _start_sums(net, real)
        for position in range(0, n, net[d.BATCH_SIZE]):
            rows = min(net[d.BATCH_SIZE], n - position)
            if not wait_for_team(net):  # for the metrics of the last batch
                break
            weight = _run_shards(net, thread, 0, position, rows, False)
            if not wait_for_team(net):  # for the losses of all shards
                break
            if thread == 0:
                _add_sums(net, real, rows, weight, _batch_loss(net))
        if thread == 0:
            _write_sums(net, real)
        restore_denormals(mode)

    return evaluate


def gradient_entry(T):
    """LOSS_VALUE, scaled and with the penalty, and GRADIENT are written, for all samples as a batch."""

    def gradient(thread, net_address):
        net, real = slots(net_address)
        mode = flush_denormals()
        prepare_shards(net, thread)
        own, own_real = slots(net[d.SHARDS] + 8 * d.SIZE * thread)
        _run_shards(net, thread, net[d.STEP], 0, net[d.N_SAMPLES], True)
        if wait_for_team(net):
            _sum_gradients(net, own)
        if thread == 0:
            real[d.LOSS_VALUE] = _batch_loss(net) * own_real[d.SCALE] + own_real[d.PENALTY]
        restore_denormals(mode)

    return gradient


def train_entry(T):
    """Train until LAST_EPOCH, for MAX_STEPS at most; everything that training changes is written.

    All threads of the team walk through the same steps. The first of them also keeps the books.
    """

    def train(thread, net_address):
        net, real = slots(net_address)
        mode = flush_denormals()
        prepare_shards(net, thread)
        status = d.OK
        step, epoch, position = net[d.STEP], net[d.EPOCH], net[d.POSITION]
        n, last_epoch = net[d.N_SAMPLES], net[d.LAST_EPOCH]
        for _ in range(net[d.MAX_STEPS]):
            if epoch >= last_epoch:
                break
            if thread == 0 and position == 0:
                _start_sums(net, real)
                _order_samples(net, epoch)
            if not wait_for_team(net):  # for the order of the samples, and for all parts of the last update
                break
            rows = min(net[d.BATCH_SIZE], n - position)
            weight = _run_shards(net, thread, step, position, rows, True)
            if not wait_for_team(net):  # for the gradients of all shards
                break
            loss = _batch_loss(net)
            if not math.isfinite(loss):
                status = d.DIVERGED
                break
            if thread == 0:
                _add_sums(net, real, rows, weight, loss)
            _update(net, thread)
            step += 1
            position += rows
            if position >= n:
                position = 0
                epoch += 1
                if thread == 0:
                    _write_sums(net, real)
        if thread == 0:
            net[d.STEP], net[d.EPOCH], net[d.POSITION], net[d.STATUS] = step, epoch, position, status
        restore_denormals(mode)

    return train
