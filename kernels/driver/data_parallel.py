"""A training step of several processes, each with some rows of the batch: `loop.train` in its parts.

``gradient`` computes what the rows of this process contribute to the loss and to the gradient of the batch.
Python adds up the contributions of all; then ``update`` makes the step, the same in each process. Dropout
draws other numbers in each process; in the first, and in one that is alone, those of `loop.train`.

A process may also stand for several, one after the other: behind each ``gradient`` then comes ``add_sums``,
by what that has left, and ``update`` has no rows of its own.
"""

import numpy as np

from ..abi.descriptor import DESCRIPTOR
from ..abi.oprow import METRIC, OP, PENALTY
from ..lowlevel._jit import force_inline, kernel
from ..lowlevel.simd import flush_denormals, record, record_at, restore_denormals, view
from . import update
from .loop import order_samples, start_sums, write_sums
from .rows import (
    add_penalties,
    backward_rows,
    batch_loss,
    call_kernel,
    forward_rows,
    place_batch,
    place_rows,
    run_batch,
)
from .team import prepare_worker, wait_for_team, worker

_RANK = 40  # bit of the number of a step from which on the process counts


@force_inline
def _scale(net):
    """Factor of a row's loss in that of the batch of all processes."""
    if net.sum_loss == 1:
        return 1.0
    return 1.0 / net.all_weight if net.all_weight > 0.0 else 0.0


def begin_entry(T):
    """`order` of the samples of all processes is written, and the sums of the epoch become zeros."""

    def begin(_, net_address):
        net = record(net_address, DESCRIPTOR)
        start_sums(net)
        order_samples(net, net.epoch)

    return begin


@kernel
def _take_part(net, own):
    """Let the ops that couple rows take part in a step with none."""
    own.batch_rows = 0
    place_rows(own, 0, 0)
    forward_rows(net, own)
    backward_rows(net, own, 0, 0, 1)


def gradient_entry(T):
    """`own_rows` rows from `position` on -> `loss_value`, their sum; `own_weight`; and `gradient`.

    The gradient is the part of these rows in that of the batch of weight `all_weight`, without penalties. If
    there are no rows, none of these is written: ops that couple rows of all processes exchange what they do.
    """

    def gradient(thread, net_address):
        net = record(net_address, DESCRIPTOR)
        mode = flush_denormals()
        prepare_worker(net, thread)
        own, step = worker(net, thread), net.step
        if net.own_rows == 0:
            _take_part(net, own)
            restore_denormals(mode)
            return
        weight = place_batch(net, own, step | net.rank << _RANK, net.position, net.own_rows)
        own.scale = _scale(net)
        run_batch(net, own, thread, True)
        if thread == 0:
            add_penalties(net, own, net.shared_penalties)
        if wait_for_team(net):  # for all rows
            loss = batch_loss(net, thread)
            update.compute_gradient(net, thread, view(net.gradient, 0, np.int64), False)
            if thread == 0:
                net.loss_value, net.own_weight = loss, weight
        own.step = step
        restore_denormals(mode)

    return gradient


@kernel
def _add_own_sums(net, own):
    """Add loss and metrics of the rows of this process to the epoch's."""
    rows, weight, loss = float(net.own_rows), net.own_weight, net.loss_value
    if net.batch_means == 1 and net.all_weight > 0.0:
        loss, weight = loss * (float(net.all_rows) / net.all_weight), rows
    net.total_loss += loss
    net.total_weight += weight
    net.total_penalty += own.penalty * rows
    for i in range(net.n_metrics):
        metric = record_at(net.metrics, i, METRIC)
        call_kernel(metric.forward, metric, own)


@kernel
def _update_statistics(net, own):
    """Let ops with running statistics take over those of the rows of this process, or of all."""
    if net.statistics != 0:
        for i in range(net.n_ops):
            op = record_at(net.ops, i, OP)
            call_kernel(op.update_statistics, op, own)


@kernel
def _keep_books(net):
    """Do what is done behind a step with what the rows of this process have left."""
    own = worker(net, 0)
    if net.own_rows > 0:
        _add_own_sums(net, own)
    if net.own_rows > 0 or net.exchange != 0:
        _update_statistics(net, own)


def add_sums_entry(T):
    """`own_rows` rows of the latest `gradient` -> the sums of the epoch, and the running statistics."""

    def add_sums(_, net_address):
        mode = flush_denormals()
        _keep_books(record(net_address, DESCRIPTOR))
        restore_denormals(mode)

    return add_sums


def update_entry(T):
    """`gradient` of all rows of the batch -> the parameters, the optimizer's memory, `step` and the sums."""

    def update_all(thread, net_address):
        net = record(net_address, DESCRIPTOR)
        mode = flush_denormals()
        if thread == 0:
            _keep_books(net)
        prepare_worker(net, thread)
        own = worker(net, thread)
        own.scale = _scale(net)  # which penalties read
        own.part_start, end = update.own_blocks(net, thread)
        own.part_size = end - own.part_start
        for i in range(net.shared_penalties):
            penalty = record_at(net.penalties, i, PENALTY)
            call_kernel(penalty.gradient, penalty, own)
        update.apply_gradient(net, thread)
        if wait_for_team(net) and thread == 0:
            net.step += 1
        restore_denormals(mode)

    return update_all


def finish_entry(T):
    """A row of `history` is written, by the sums of all processes."""

    def finish(_, net_address):
        write_sums(record(net_address, DESCRIPTOR))

    return finish
