"""The compiled walk over the tables: prediction, evaluation, gradient, and training over many epochs.

The driver knows no dtype and no layer. It calls the entries of the op rows by their addresses, so
that a new architecture, or a user's own function, is data to it and compiles nothing.

A step has two halves, with a barrier behind each: `rows` computes what is independent from row to row,
`update` the gradient of the parameters and their change.
"""

import math

import numpy as np

from ..abi import descriptor as d
from ..abi import oprow
from ..abi.tensors import slots
from ..lowlevel._jit import kernel
from ..lowlevel.simd import address, call, flush_denormals, restore_denormals, view
from ..math.random import shuffle
from .rows import batch_loss, call_rows, forward, run_rows
from .team import prepare_worker, wait_for_team, worker_slots
from .update import compute_gradient, update


@kernel
def _start_sums(net, real):
    real[d.TOTAL_LOSS] = real[d.TOTAL_WEIGHT] = real[d.TOTAL_PENALTY] = 0.0
    state = view(net[d.METRIC_STATE], net[d.METRIC_STATE_SIZE], np.float64)
    for i in range(state.size):
        state[i] = 0.0


@kernel
def _add_sums(net, real, rows, weight, loss):
    """Add a batch's loss and metrics to the epoch's."""
    own, first = worker_slots(net, 0)
    if net[d.BATCH_MEANS] == 1 and weight > 0.0:
        loss, weight = loss * (float(rows) / weight), float(rows)
    real[d.TOTAL_LOSS] += loss
    real[d.TOTAL_WEIGHT] += weight
    real[d.TOTAL_PENALTY] += first[d.PENALTY] * float(rows)
    call_rows(net[d.METRICS], net[d.N_METRICS], oprow.FORWARD, own)


@kernel
def _write_sums(net, real):
    """Write the loss and the metrics of the rows since `_start_sums` into a row of the history."""
    row = view(net[d.HISTORY], net[d.HISTORY_WIDTH], np.float64)
    weight = 1.0 if net[d.SUM_LOSS] == 1 else real[d.TOTAL_WEIGHT]
    loss = real[d.TOTAL_LOSS] / weight if weight != 0.0 else 0.0
    row[0] = loss + real[d.TOTAL_PENALTY] / float(net[d.N_SAMPLES])
    call_rows(net[d.METRICS], net[d.N_METRICS], oprow.RESULT, net)
    if row.size > 1 + net[d.N_METRICS]:  # while training: the rate of the last step
        _, first = worker_slots(net, 0)
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
        prepare_worker(net, thread)
        n = net[d.N_SAMPLES]
        if thread == 0:
            _start_sums(net, real)
        for position in range(0, n, net[d.BATCH_SIZE]):
            rows = min(net[d.BATCH_SIZE], n - position)
            if not wait_for_team(net):  # for the metrics of the last batch
                break
            weight = run_rows(net, thread, 0, position, rows, False)
            if not wait_for_team(net):  # for all rows
                break
            if thread == 0:
                _add_sums(net, real, rows, weight, batch_loss(net, thread))
        if thread == 0:
            _write_sums(net, real)
        restore_denormals(mode)

    return evaluate


def gradient_entry(T):
    """LOSS_VALUE, scaled and with the penalty, and GRADIENT are written, for all samples as a batch."""

    def gradient(thread, net_address):
        net, real = slots(net_address)
        mode = flush_denormals()
        prepare_worker(net, thread)
        _, own_real = worker_slots(net, thread)
        run_rows(net, thread, net[d.STEP], 0, net[d.N_SAMPLES], True)
        if wait_for_team(net):
            loss = batch_loss(net, thread)
            compute_gradient(net, thread, view(net[d.GRADIENT], 0, np.int64), False)
            if thread == 0:
                real[d.LOSS_VALUE] = loss * own_real[d.SCALE] + own_real[d.PENALTY]
        restore_denormals(mode)

    return gradient


def train_entry(T):
    """Train until LAST_EPOCH, for MAX_STEPS at most; everything that training changes is written.

    All threads of the team walk through the same steps. The first of them also keeps the books.
    """

    def train(thread, net_address):
        net, real = slots(net_address)
        mode = flush_denormals()
        prepare_worker(net, thread)
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
            weight = run_rows(net, thread, step, position, rows, True)
            if not wait_for_team(net):  # for all rows
                break
            loss = batch_loss(net, thread)
            if not math.isfinite(loss):
                status = d.DIVERGED
                break
            if thread == 0:
                _add_sums(net, real, rows, weight, loss)
            update(net, thread)
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
