"""The compiled walk over the tables: prediction, evaluation, gradient, and training over many epochs.

The driver knows no dtype and no layer. It calls the entries of the op rows by their addresses, so
that a new architecture, or a user's own function, is data to it and compiles nothing.
"""

import math

import numpy as np

from . import descriptor as d
from . import oprow
from ._jit import kernel
from .random import shuffle
from .simd import address, call, flush_denormals, restore_denormals, view
from .tensors import slots


@kernel
def _call_rows(table, count, column, net):
    """Call the entry in `column` of each of the `count` op rows at the address `table`."""
    for i in range(count):
        op_address = table + 8 * oprow.SIZE * i
        entry = view(op_address, oprow.SIZE, np.int64)[column]
        if entry != 0:
            call(entry, op_address, address(net))


@kernel
def _forward(net):
    _call_rows(net[d.OPS], net[d.N_OPS], oprow.FORWARD, net)


@kernel
def _backward(net):
    for i in range(net[d.N_OPS] - 1, -1, -1):
        _call_rows(net[d.OPS] + 8 * oprow.SIZE * i, 1, oprow.BACKWARD, net)


@kernel
def _load_rows(net, position, rows):
    """Make rows `position` to ``position + rows`` of the (shuffled) data set the rows at hand."""
    net[d.ROWS] = rows
    itemsize = net[d.ITEMSIZE]
    if net[d.ORDER] != 0:
        call(net[d.GATHER], 0, address(net))
        net[d.INPUT], net[d.TARGET] = net[d.BATCH_X], net[d.BATCH_Y]
        net[d.WEIGHT] = net[d.BATCH_WEIGHT] if net[d.SAMPLE_WEIGHT] != 0 else 0
    else:
        net[d.INPUT] = net[d.X] + position * net[d.N_FEATURES] * itemsize
        net[d.TARGET] = net[d.Y] + position * net[d.N_TARGETS] * itemsize
        weight = net[d.SAMPLE_WEIGHT]
        net[d.WEIGHT] = weight + position * itemsize if weight != 0 else 0


@kernel
def _loss(net, real):
    """Forward pass and loss of the rows at hand; return the sum of their weights."""
    total = float(net[d.ROWS])
    if net[d.WEIGHT] != 0:
        call(net[d.WEIGHT_SUM], 0, address(net))
        total = real[d.SCALE]
    real[d.SCALE] = 1.0 if net[d.SUM_LOSS] == 1 else (1.0 / total if total > 0.0 else 0.0)
    _forward(net)
    _call_rows(net[d.LOSS], 1, oprow.FORWARD, net)
    real[d.PENALTY] = 0.0
    _call_rows(net[d.PENALTIES], net[d.N_PENALTIES], oprow.FORWARD, net)
    return total


@kernel
def _gradient(net):
    _backward(net)
    _call_rows(net[d.PENALTIES], net[d.N_PENALTIES], oprow.BACKWARD, net)


@kernel
def _start_sums(net, real):
    real[d.TOTAL_LOSS] = real[d.TOTAL_WEIGHT] = real[d.TOTAL_PENALTY] = 0.0
    state = view(net[d.METRIC_STATE], net[d.METRIC_STATE_SIZE], np.float64)
    for i in range(state.size):
        state[i] = 0.0


@kernel
def _add_sums(net, real, weight):
    rows = float(net[d.ROWS])
    real[d.TOTAL_LOSS] += real[d.LOSS_VALUE]
    real[d.TOTAL_WEIGHT] += weight
    real[d.TOTAL_PENALTY] += real[d.PENALTY] * rows
    _call_rows(net[d.METRICS], net[d.N_METRICS], oprow.FORWARD, net)


@kernel
def _write_sums(net, real):
    """Write the loss and the metrics of the rows since `_start_sums` into a row of the history."""
    row = view(net[d.HISTORY], net[d.HISTORY_WIDTH], np.float64)
    weight = 1.0 if net[d.SUM_LOSS] == 1 else real[d.TOTAL_WEIGHT]
    loss = real[d.TOTAL_LOSS] / weight if weight != 0.0 else 0.0
    row[0] = loss + real[d.TOTAL_PENALTY] / float(net[d.N_SAMPLES])
    _call_rows(net[d.METRICS], net[d.N_METRICS], oprow.BACKWARD, net)
    net[d.HISTORY] += 8 * net[d.HISTORY_WIDTH]


@kernel
def _step(net, real):
    """One step of training; False, with the weights unchanged, if the loss is not finite."""
    rows = min(net[d.BATCH_SIZE], net[d.N_SAMPLES] - net[d.POSITION])
    _load_rows(net, net[d.POSITION], rows)
    weight = _loss(net, real)
    if not math.isfinite(real[d.LOSS_VALUE] + real[d.PENALTY]):
        return False
    _add_sums(net, real, weight)
    _gradient(net)
    _call_rows(net[d.SCHEDULE], 1, oprow.FORWARD, net)
    _call_rows(net[d.OPTIMIZER], 1, oprow.FORWARD, net)
    net[d.STEP] += 1
    net[d.POSITION] += rows
    return True


def predict_entry(T):
    """OUTPUT is written for all samples, BATCH_SIZE rows at a time."""

    def predict(_, net_address):
        net, _ = slots(net_address)
        mode = flush_denormals()
        row_bytes = net[d.N_OUTPUTS] * net[d.ITEMSIZE]
        n = net[d.N_SAMPLES]
        for position in range(0, n, net[d.BATCH_SIZE]):
            net[d.ROWS] = min(net[d.BATCH_SIZE], n - position)
            net[d.INPUT] = net[d.X] + position * net[d.N_FEATURES] * net[d.ITEMSIZE]
            _forward(net)
            net[d.OUTPUT] += net[d.ROWS] * row_bytes
        restore_denormals(mode)

    return predict


def evaluate_entry(T):
    """HISTORY's row is written: loss and metrics of all samples, BATCH_SIZE rows at a time."""

    def evaluate(_, net_address):
        net, real = slots(net_address)
        mode = flush_denormals()
        _start_sums(net, real)
        n = net[d.N_SAMPLES]
        for position in range(0, n, net[d.BATCH_SIZE]):
            _load_rows(net, position, min(net[d.BATCH_SIZE], n - position))
            _add_sums(net, real, _loss(net, real))
        _write_sums(net, real)
        restore_denormals(mode)

    return evaluate


def gradient_entry(T):
    """LOSS_VALUE, scaled and with the penalty, and GRADIENTS are written for all samples at once."""

    def gradient(_, net_address):
        net, real = slots(net_address)
        mode = flush_denormals()
        _load_rows(net, 0, net[d.N_SAMPLES])
        _loss(net, real)
        real[d.LOSS_VALUE] = real[d.LOSS_VALUE] * real[d.SCALE] + real[d.PENALTY]
        _gradient(net)
        restore_denormals(mode)

    return gradient


def train_entry(T):
    """Train until LAST_EPOCH, for MAX_STEPS at most; everything that training changes is written."""

    def train(_, net_address):
        net, real = slots(net_address)
        mode = flush_denormals()
        net[d.STATUS] = d.OK
        for _ in range(net[d.MAX_STEPS]):
            if net[d.EPOCH] >= net[d.LAST_EPOCH]:
                break
            if net[d.POSITION] == 0:
                _start_sums(net, real)
                if net[d.ORDER] != 0:
                    shuffle(net[d.SEED], net[d.EPOCH], view(net[d.ORDER], net[d.N_SAMPLES], np.int64))
            if not _step(net, real):
                net[d.STATUS] = d.DIVERGED
                break
            if net[d.POSITION] >= net[d.N_SAMPLES]:
                _write_sums(net, real)
                net[d.POSITION] = 0
                net[d.EPOCH] += 1
                if net[d.EPOCH_STOP] == 1:
                    break
        restore_denormals(mode)

    return train
