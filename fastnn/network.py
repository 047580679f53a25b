"""A network as data: arrays around the one descriptor that every compiled call takes.

`Network` is a NamedTuple of NumPy arrays, so that it can be an argument of compiled code. The
functions here fill its descriptor and call the driver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import native
from .buffers import address, allocate
from .kernels import descriptor as d
from .kernels import oprow
from .plan import set_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .losses import Loss
    from .metrics import Metric
    from .optimizers import Optimizer
    from .plan import Plan


class Network(NamedTuple):
    """Everything that a compiled call needs, and the arrays that keep it alive.

    Attributes
    ----------
    descriptor : int64 array of shape (descriptor.SIZE,)
        Addresses, sizes, positions; the slots are named in ``kernels/descriptor.py``.
    ops : int64 array of shape (n, oprow.SIZE)
        The layers' op rows.
    extra : int64 array of shape (n, oprow.SIZE)
        The rows of the loss, the optimizer, the schedule, the penalties and the metrics, in this order.
    parameters, gradients : arrays of shape (n_parameters,)
        The flat vectors; `gradients` is empty without training.
    workspace : array
        Activations, gradients by them, scratch.
    metric_state : float64 array
    """

    descriptor: NDArray[np.int64]
    ops: NDArray[np.int64]
    extra: NDArray[np.int64]
    parameters: NDArray[Any]
    gradients: NDArray[Any]
    workspace: NDArray[Any]
    metric_state: NDArray[np.float64]


_LOSS, _OPTIMIZER, _SCHEDULE, _PENALTIES = range(4)


def network(
    plan: Plan,
    parameters: NDArray[Any],
    gradients: NDArray[Any] | None = None,
    *,
    loss: Loss | None = None,
    penalties: Sequence[tuple[int, int, float, float]] = (),
    metrics: Sequence[Metric] = (),
) -> Network:
    """Allocate the workspace of a plan and fill a descriptor.

    Parameters
    ----------
    plan : Plan
    parameters, gradients : arrays of shape (n_parameters,)
    loss : Loss, optional
    penalties : sequence of (offset, size, l1, l2)
        The weights that are penalised, as places in the flat vector, and how much.
    metrics : sequence of Metric
    """
    dtype = parameters.dtype.name
    extra = np.zeros((_PENALTIES + len(penalties) + len(metrics), oprow.SIZE), np.int64)
    state = np.zeros(sum(metric.state_size(plan.n_out) for metric in metrics))
    vector = np.zeros(0, dtype) if gradients is None else gradients
    batch = [plan.allocate(width) for width in (plan.n_in, plan.n_out, 1)] if loss is not None else []
    workspace = allocate(plan.workspace, dtype)
    net = Network(np.zeros(d.SIZE, np.int64), plan.ops, extra, parameters, vector, workspace, state)
    slots = net.descriptor
    slots[d.OPS], slots[d.N_OPS] = address(plan.ops), len(plan.ops)
    for slot, i in ((d.LOSS, _LOSS), (d.OPTIMIZER, _OPTIMIZER), (d.SCHEDULE, _SCHEDULE)):
        slots[slot] = address(extra[i])
    slots[d.PENALTIES] = address(extra) + extra.strides[0] * _PENALTIES
    slots[d.N_PENALTIES] = len(penalties)
    slots[d.METRICS] = slots[d.PENALTIES] + extra.strides[0] * len(penalties)
    slots[d.N_METRICS] = len(metrics)
    slots[d.PARAMETERS], slots[d.GRADIENTS] = address(parameters), address(vector)
    slots[d.N_PARAMETERS] = parameters.size
    slots[d.WORKSPACE], slots[d.METRIC_STATE] = address(workspace), address(state)
    slots[d.METRIC_STATE_SIZE] = state.size
    slots[d.N_FEATURES], slots[d.N_OUTPUTS] = plan.n_in, plan.n_out
    slots[d.ITEMSIZE], slots[d.BATCH_SIZE] = parameters.itemsize, plan.rows
    if loss is not None:
        _fill_loss(net, plan, loss, dtype)
        _fill_penalties(net, penalties, dtype)
        _fill_metrics(net, plan, loss, metrics, dtype)
        slots[d.GATHER] = native.address("batch.gather", dtype)
        slots[d.WEIGHT_SUM] = native.address("batch.weight_sum", dtype)
        slots[d.SUM_LOSS] = loss.is_sum
        for slot, offset in zip((d.BATCH_X, d.BATCH_Y, d.BATCH_WEIGHT), batch, strict=True):
            slots[slot] = address(workspace) + offset * parameters.itemsize
    return net


def _fill_loss(net: Network, plan: Plan, loss: Loss, dtype: str) -> None:
    row = net.extra[_LOSS]
    row[oprow.FORWARD] = native.address(f"{loss.kernel}.forward", dtype)
    row[oprow.N_IN], row[oprow.X], row[oprow.DX] = plan.n_out, plan.output, plan.gradient
    set_settings(row, loss.settings.values())


def _fill_penalties(net: Network, penalties: Sequence[tuple[int, int, float, float]], dtype: str) -> None:
    for row, (offset, size, l1, l2) in zip(net.extra[_PENALTIES:], penalties, strict=False):
        row[oprow.FORWARD] = native.address("penalty.forward", dtype)
        row[oprow.BACKWARD] = native.address("penalty.backward", dtype)
        row[oprow.W], row[oprow.N_IN], row[oprow.N_OUT] = offset, size, 1
        set_settings(row, (l1, l2))


def _fill_metrics(net: Network, plan: Plan, loss: Loss, metrics: Sequence[Metric], dtype: str) -> None:
    rows = net.extra[len(net.extra) - len(metrics) :]
    state = 0
    for column, (row, metric) in enumerate(zip(rows, metrics, strict=True), start=1):
        row[oprow.FORWARD] = native.address(f"{metric.kernel}.forward", dtype)
        row[oprow.BACKWARD] = native.address(f"{metric.kernel}.backward", dtype)
        row[oprow.N_IN], row[oprow.X], row[oprow.Y] = plan.n_out, plan.output, column
        row[oprow.STATE], row[oprow.SCRATCH] = state, metric.state_size(plan.n_out)
        set_settings(row, (loss.accuracy_threshold,))
        state += metric.state_size(plan.n_out)


def set_optimizer(net: Network, optimizer: Optimizer, state: NDArray[Any]) -> None:
    """Write an optimizer and its schedule into their rows; `state` holds its vectors."""
    dtype = net.parameters.dtype.name
    row, schedule = net.extra[_OPTIMIZER], optimizer.schedule()
    row[oprow.FORWARD] = native.address(f"{optimizer.kernel}.forward", dtype)
    set_settings(row, optimizer.settings())
    net.descriptor[d.OPTIMIZER_STATE] = address(state)
    row = net.extra[_SCHEDULE]
    row[oprow.FORWARD] = native.address(f"{schedule.kernel}.forward", "float64")
    set_settings(row, schedule.settings.values())


def set_data(net: Network, X: NDArray[Any], y: NDArray[Any] | None, weight: NDArray[Any] | None) -> None:
    """Make checked arrays the data set of the next calls; they must outlive them."""
    slots = net.descriptor
    slots[d.X], slots[d.Y], slots[d.SAMPLE_WEIGHT] = address(X), address(y), address(weight)
    slots[d.N_SAMPLES] = len(X)
    if y is not None:
        slots[d.N_TARGETS] = y.shape[1]
        net.extra[_LOSS, oprow.N_OUT] = y.shape[1]
        n_metrics = int(slots[d.N_METRICS])
        net.extra[len(net.extra) - n_metrics :, oprow.N_OUT] = y.shape[1]


def predict(net: Network, X: NDArray[Any], out: NDArray[Any]) -> None:
    """Write the output of the samples `X` into `out`, both checked."""
    set_data(net, X, None, None)
    net.descriptor[d.OUTPUT] = address(out)
    run("predict", net)


def run(entry: str, net: Network) -> None:
    """Call an entry of the driver."""
    native.function(f"driver.{entry}")(0, address(net.descriptor))


def is_finite(values: NDArray[Any]) -> bool:
    """Whether a C-contiguous array holds neither NaN nor infinity."""
    slots = np.zeros(d.SIZE, np.int64)
    slots[d.X], slots[d.N_SAMPLES], slots[d.N_FEATURES] = address(values), values.size, 1
    native.function("batch.check", values.dtype.name)(0, address(slots))
    return bool(slots[d.STATUS] == d.OK)
