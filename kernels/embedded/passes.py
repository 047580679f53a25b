"""A training step in its parts: the forward pass, the backward pass, and the optimizer's update.

A forward pass is as in training: dropout drops, and batch normalization takes the moments of the batch. What
its ops keep for their gradients stays in the workspace for the backward pass, whose gradient with respect to
the outputs is given instead of that of a loss.
"""

import numpy as np

from ..abi.descriptor import DESCRIPTOR, NOT_FINITE, OK
from ..abi.oprow import OP
from ..abi.tensors import tensor
from ..driver import update
from ..driver.batch import add, is_finite, rows_parts
from ..driver.rows import backward_rows, call_kernel, forward_rows, parts_at_a_time, place_parts, place_rows
from ..driver.team import prepare_worker, share, wait_for_team, worker
from ..lowlevel._jit import force_inline, inline_ir
from ..lowlevel.simd import flush_denormals, record, record_at, restore_denormals, view
from .jacobian import copy


@force_inline
def _begin(net, thread):
    """Take all samples for the batch; how many parts it has, and which of them are this thread's."""
    prepare_worker(net, thread)
    own = worker(net, thread)
    own.batch_rows, own.position, own.input = net.n_samples, 0, net.x
    parts = rows_parts(own)
    return parts, share(parts, thread, net.team), share(parts, thread + 1, net.team)


@inline_ir
def _rows_at(start, own, width, T):
    """Array of the rows at hand of an array of all samples."""
    return view(start + own.first_row * width * own.itemsize, (own.rows, width), T)


def forward_train_entry(T):
    """`x` -> `output`, and in the workspace what `backward` needs."""

    def forward_train(thread, net_address):
        net = record(net_address, DESCRIPTOR)
        mode = flush_denormals()
        parts, part, last = _begin(net, thread)
        own = worker(net, thread)
        op = record_at(net.ops, net.n_ops - 1, OP)
        at_a_time = parts_at_a_time(net, own.batch_rows, parts)
        goes_on = part < last or net.coupled == 1
        while goes_on:
            end = min(part + at_a_time, last)
            place_parts(own, part, end, parts)
            forward_rows(net, own)
            copy(tensor(own, op.y, net.n_outputs, T), _rows_at(net.output, own, net.n_outputs, T))
            part = end
            goes_on = part < last
        net.status = OK
        restore_denormals(mode)

    return forward_train


def backward_entry(T):
    """`y` (the gradient with respect to the outputs) -> `gradient`; and `output`, unless it is 0.

    That is the gradient with respect to the inputs, if `ops` compute it. Running statistics are updated.
    """

    def backward(thread, net_address):
        net = record(net_address, DESCRIPTOR)
        mode = flush_denormals()
        parts, part, last = _begin(net, thread)
        own = worker(net, thread)
        first, op = record(net.ops, OP), record_at(net.ops, net.n_ops - 1, OP)
        at_a_time = parts_at_a_time(net, own.batch_rows, parts)
        goes_on = part < last or net.coupled == 1
        while goes_on:
            end = min(part + at_a_time, last)
            place_parts(own, part, end, parts)
            dy = tensor(own, op.dy, net.n_outputs, T)
            copy(_rows_at(net.y, own, net.n_outputs, T), dy)
            backward_rows(net, own, part, end, parts)
            if net.output != 0:
                copy(tensor(own, first.dx, net.n_features, T), _rows_at(net.output, own, net.n_features, T))
            part = end
            goes_on = part < last
        if wait_for_team(net):
            place_rows(own, 0, own.batch_rows)
            update.compute_gradient(net, thread, view(net.gradient, 0, np.int64), False)
            if thread == 0 and net.statistics != 0:
                for i in range(net.n_ops):
                    row = record_at(net.ops, i, OP)
                    call_kernel(row.update_statistics, row, own)
            if net.accumulates == 1:  # to what stands before it
                size = net.n_parameters
                add(view(net.gradient, size, T), view(net.gradient - size * net.itemsize, size, T))
            net.status = OK
        restore_denormals(mode)

    return backward


def apply_gradient_entry(T):
    """`gradient` -> `parameters`, `optimizer_state`, `step`; `status` says if it is finite: else nothing."""

    def apply_gradient(_, net_address):
        net = record(net_address, DESCRIPTOR)
        mode = flush_denormals()
        finite = is_finite(view(net.gradient, net.n_parameters, T))
        if finite:
            update.apply_gradient(net, 0)
            net.step += 1
        net.status = OK if finite else NOT_FINITE
        restore_denormals(mode)

    return apply_gradient
