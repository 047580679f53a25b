"""The compiled walk over the tables: prediction, evaluation, gradient, and training over many epochs.

The driver knows no dtype and no layer. It calls the entries of the op rows by their addresses, so
that a new architecture, or a user's own function, is data to it and compiles nothing.

A step has two halves, with a barrier behind each: `rows` computes what is independent from row to row,
`update` the gradient of the parameters and their change.
"""

import math

import numpy as np

from ..abi.descriptor import DESCRIPTOR, DIVERGED, OK
from ..abi.oprow import METRIC
from ..lowlevel._jit import kernel
from ..lowlevel.simd import address, call, flush_denormals, record, record_at, restore_denormals, view
from ..math.random import shuffle
from .rows import batch_loss, call_kernel, forward, run_rows
from .team import prepare_worker, wait_for_team, worker
from .update import compute_gradient, update


@kernel
def start_sums(net):
    """Let the sums over the rows of an epoch be zeros."""
    net.total_loss = net.total_weight = net.total_penalty = 0.0
    state = view(net.metric_state, net.metric_state_size, np.float64)
    for i in range(state.size):
        state[i] = 0.0


@kernel
def _add_sums(net, rows, weight, loss):
    """Add a batch's loss and metrics to the epoch's."""
    own = worker(net, 0)
    if net.batch_means == 1 and weight > 0.0:
        loss, weight = loss * (float(rows) / weight), float(rows)
    net.total_loss += loss
    net.total_weight += weight
    net.total_penalty += own.penalty * float(rows)
    for i in range(net.n_metrics):
        metric = record_at(net.metrics, i, METRIC)
        call_kernel(metric.forward, metric, own)


@kernel
def write_sums(net):
    """Write the loss and the metrics of the rows since `start_sums` into a row of the history."""
    row = view(net.history, net.history_width, np.float64)
    weight = 1.0 if net.sum_loss == 1 else net.total_weight
    loss = net.total_loss / weight if weight != 0.0 else 0.0
    row[0] = loss + net.total_penalty / float(net.n_samples)
    for i in range(net.n_metrics):
        metric = record_at(net.metrics, i, METRIC)
        call_kernel(metric.result, metric, net)
    if row.size > 1 + net.n_metrics:  # while training: the rate of the last step
        row[row.size - 1] = worker(net, 0).learning_rate
    net.history += 8 * net.history_width


@kernel
def order_samples(net, epoch):
    """Write the epoch's order of the samples into `order`: the next given one, or a random one.

    Unless it is the given one itself.
    """
    if net.order == 0 or net.order == net.orders:
        return
    order = view(net.order, net.n_samples, np.int64)
    if net.orders == 0:
        shuffle(net.seed, epoch, order)
        return
    given = view(net.orders, net.n_samples, np.int64)
    for i in range(order.size):
        order[i] = given[i]
    net.orders += 8 * order.size


def predict_entry(T):
    """`output` is written for all samples, `predict_batch` rows at a time; not all, if one is not finite.

    The number of the thread is not used.
    """

    def predict(thread, net_address):
        net = record(net_address, DESCRIPTOR)
        mode = flush_denormals()
        output, row_bytes = net.output, net.n_outputs * net.itemsize
        n = net.n_samples
        net.status = OK
        for position in range(0, n, net.predict_batch):
            net.position, net.rows = position, min(net.predict_batch, n - position)
            net.input = net.x + position * net.n_features * net.itemsize
            if net.check != 0:
                call(net.check, 0, address(net))
                if net.status != OK:
                    break
            net.output = output + position * row_bytes
            forward(net.predict_ops, net)
        restore_denormals(mode)

    return predict


def evaluate_entry(T):
    """A row of `history` is written: loss and metrics of all samples, `batch_size` rows at a time.

    Those before `position` were seen by earlier calls, whose sums are added to.
    """

    def evaluate(thread, net_address):
        net = record(net_address, DESCRIPTOR)
        mode = flush_denormals()
        prepare_worker(net, thread)
        first, n = net.position, net.n_samples
        if thread == 0 and first == 0:
            start_sums(net)
        for position in range(first, n, net.batch_size):
            rows = min(net.batch_size, n - position)
            if not wait_for_team(net):  # for the metrics of the last batch
                break
            weight = run_rows(net, thread, 0, position, rows, False)
            if not wait_for_team(net):  # for all rows
                break
            if thread == 0:
                _add_sums(net, rows, weight, batch_loss(net, thread))
        if thread == 0:
            write_sums(net)
        restore_denormals(mode)

    return evaluate


def gradient_entry(T):
    """`loss_value`, scaled and with the penalty, and `gradient` are written, for all samples as a batch."""

    def gradient(thread, net_address):
        net = record(net_address, DESCRIPTOR)
        mode = flush_denormals()
        prepare_worker(net, thread)
        own = worker(net, thread)
        run_rows(net, thread, net.step, 0, net.n_samples, True)
        if wait_for_team(net):
            loss = batch_loss(net, thread)
            compute_gradient(net, thread, view(net.gradient, 0, np.int64), False)
            if thread == 0:
                net.loss_value = loss * own.scale + own.penalty
        restore_denormals(mode)

    return gradient


def train_entry(T):
    """Train until `last_epoch`, for `max_steps` at most; everything that training changes is written.

    All threads of the team walk through the same steps. The first of them also keeps the books.
    """

    def train(thread, net_address):
        net = record(net_address, DESCRIPTOR)
        mode = flush_denormals()
        prepare_worker(net, thread)
        status = OK
        step, epoch, position = net.step, net.epoch, net.position
        n, last_epoch = net.n_samples, net.last_epoch
        for _ in range(net.max_steps):
            if epoch >= last_epoch:
                break
            if thread == 0 and position == 0:
                start_sums(net)
                order_samples(net, epoch)
            if not wait_for_team(net):  # for the order of the samples, and for all parts of the last update
                break
            rows = min(net.batch_size, n - position)
            weight = run_rows(net, thread, step, position, rows, True)
            if not wait_for_team(net):  # for all rows
                break
            loss = batch_loss(net, thread)
            if not math.isfinite(loss):
                status = DIVERGED
                break
            if thread == 0:
                _add_sums(net, rows, weight, loss)
            update(net, thread)
            step += 1
            position += rows
            if position >= n:
                position = 0
                epoch += 1
                if thread == 0:
                    write_sums(net)
        if thread == 0:
            net.step, net.epoch, net.position, net.status = step, epoch, position, status
        restore_denormals(mode)

    return train
