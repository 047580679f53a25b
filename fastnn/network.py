"""A network as data: arrays around the one descriptor that every compiled call takes.

`Network` is a NamedTuple of NumPy arrays, so that it can be an argument of compiled code. The
functions here fill its descriptor and call the driver.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from . import native
from .buffers import address, allocate
from .kernels import descriptor as d
from .kernels import oprow
from .plan import set_settings
from .threads import run_together

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
    shards : int64 array of shape (n_shards, descriptor.SIZE)
        The descriptors of the parts that a batch is cut into.
    ops : int64 array of shape (n, oprow.SIZE)
        The layers' op rows.
    extra : int64 array of shape (n, oprow.SIZE)
        The rows of the loss, the optimizer, the schedule, the penalties and the metrics, in this order.
    parameters : array of shape (n_parameters,)
        The flat vector.
    constants : array of shape (n,)
        The numbers of preprocessing layers.
    gradients : array of shape (n_shards, n_parameters)
        Of each shard; the first row becomes that of the batch. Empty in a network for prediction.
    workspace : array of shape (n_shards, size)
        Activations, gradients by them, scratch.
    sums : float64 array
        The gradient's squares, block by block, then the state of the metrics.
    team : int64 array of shape (2,)
        The team's counter of arrivals, and its sign to give up.
    """

    descriptor: NDArray[np.int64]
    shards: NDArray[np.int64]
    ops: NDArray[np.int64]
    extra: NDArray[np.int64]
    parameters: NDArray[Any]
    constants: NDArray[Any]
    gradients: NDArray[Any]
    workspace: NDArray[Any]
    sums: NDArray[np.float64]
    team: NDArray[np.int64]

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse pickle and deep copies: the arrays hold addresses of each other."""
        raise TypeError("a network cannot be copied or pickled; copy the model and use its network()")


_LOSS, _OPTIMIZER, _SCHEDULE, _PENALTIES = range(4)
_TOTALS = [d.TOTAL_LOSS, d.TOTAL_WEIGHT, d.TOTAL_PENALTY]


def network(
    plan: Plan,
    parameters: NDArray[Any],
    *,
    constants: NDArray[Any],
    batch_size: int,
    n_shards: int = 1,
    loss: Loss | None = None,
    penalties: Sequence[tuple[int, int, tuple[float, ...]]] = (),
    metrics: Sequence[Metric] = (),
) -> Network:
    """Allocate the workspaces of a plan and fill the descriptors.

    Parameters
    ----------
    plan : Plan
        Of the rows of a shard.
    parameters : array of shape (n_parameters,)
    constants : array of shape (n,)
    batch_size : int
        Rows of a step, of all shards together.
    n_shards : int
    loss : Loss, optional
        Without, the network can predict only.
    penalties : sequence of (offset, size, factors)
        The weights that are penalised, as places in the flat vector, and how much: l1, l2, alpha.
    metrics : sequence of Metric
    """
    dtype = parameters.dtype.name
    batch = [plan.allocate(width) for width in (plan.n_in, plan.n_out, 1)] if loss is not None else []
    state_size = sum(metric.state_size(plan.n_out) for metric in metrics)
    net = Network(
        descriptor=np.zeros(d.SIZE, np.int64),
        shards=np.zeros((n_shards, d.SIZE), np.int64),
        ops=plan.ops,
        extra=np.zeros((_PENALTIES + len(penalties) + len(metrics), oprow.SIZE), np.int64),
        parameters=parameters,
        constants=constants,
        gradients=np.zeros((0 if loss is None else n_shards, parameters.size), dtype),
        workspace=allocate(n_shards * plan.workspace, dtype).reshape(n_shards, plan.workspace),
        sums=np.zeros(d.BLOCKS + state_size),
        team=np.zeros(2, np.int64),
    )
    _fill_descriptor(net, plan, batch_size, len(penalties), len(metrics))
    for shard, memory in zip(net.shards, net.workspace, strict=True):
        shard[d.WORKSPACE] = address(memory)
        for slot, offset in zip((d.BATCH_X, d.BATCH_Y, d.BATCH_WEIGHT), batch, strict=bool(batch)):
            shard[slot] = address(memory) + offset * parameters.itemsize
    if loss is not None:
        net.shards[:, d.SHARD_GRADIENT] = [address(gradient) for gradient in net.gradients]
        _fill_loss(net, plan, loss, dtype)
        _fill_penalties(net, penalties, dtype)
        _fill_metrics(net, plan, loss, metrics, dtype)
    return net


def _fill_descriptor(net: Network, plan: Plan, batch_size: int, n_penalties: int, n_metrics: int) -> None:
    slots, row_bytes = net.descriptor, net.extra.strides[0]
    slots[d.OPS], slots[d.N_OPS] = address(net.ops), len(net.ops)
    for slot, i in ((d.LOSS, _LOSS), (d.OPTIMIZER, _OPTIMIZER), (d.SCHEDULE, _SCHEDULE)):
        slots[slot] = address(net.extra[i])
    slots[d.PENALTIES], slots[d.N_PENALTIES] = address(net.extra) + row_bytes * _PENALTIES, n_penalties
    slots[d.METRICS], slots[d.N_METRICS] = slots[d.PENALTIES] + row_bytes * n_penalties, n_metrics
    slots[d.PARAMETERS], slots[d.GRADIENT] = address(net.parameters), address(net.gradients)
    slots[d.CONSTANTS] = address(net.constants)
    slots[d.N_PARAMETERS], slots[d.ITEMSIZE] = net.parameters.size, net.parameters.itemsize
    slots[d.WORKSPACE] = address(net.workspace)
    state = net.sums[d.BLOCKS :]
    slots[d.BLOCK_SQUARES] = address(net.sums)
    slots[d.METRIC_STATE], slots[d.METRIC_STATE_SIZE] = address(state), state.size
    slots[d.N_FEATURES], slots[d.N_OUTPUTS], slots[d.BATCH_SIZE] = plan.n_in, plan.n_out, batch_size
    slots[d.SHARDS], slots[d.N_SHARDS] = address(net.shards), len(net.shards)
    if (net.ops[:, oprow.W] != oprow.NONE).any():
        slots[d.PRODUCT] = native.address("gemm.product", net.parameters.dtype.name)
    slots[d.PREDICT] = native.address("driver.predict", "float64")
    slots[d.BARRIER], slots[d.ABORT] = address(net.team), address(net.team[1:])


def _fill_loss(net: Network, plan: Plan, loss: Loss, dtype: str) -> None:
    row = net.extra[_LOSS]
    net.descriptor[d.SUM_LOSS] = loss.is_sum
    for slot, entry in (
        (d.WEIGHT_SUM, "weight_sum"),
        (d.SUM_GRADIENTS, "sum_gradients"),
        (d.SQUARES, "squares"),
    ):
        net.descriptor[slot] = native.address(f"batch.{entry}", dtype)
    row[oprow.FORWARD] = native.address(f"{loss.kernel}.forward", dtype)
    row[oprow.N_IN], row[oprow.X], row[oprow.DX] = plan.n_out, plan.output, plan.gradient
    row.view(np.float64)[oprow.FACTOR] = loss.factor
    set_settings(row, loss.settings.values())


def _fill_penalties(
    net: Network, penalties: Sequence[tuple[int, int, tuple[float, ...]]], dtype: str
) -> None:
    for row, (offset, size, factors) in zip(net.extra[_PENALTIES:], penalties, strict=False):
        row[oprow.FORWARD] = native.address("penalty.forward", dtype)
        row[oprow.BACKWARD] = native.address("penalty.backward", dtype)
        row[oprow.W], row[oprow.N_IN], row[oprow.N_OUT] = offset, size, 1
        set_settings(row, factors)


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
    """Make checked arrays the data set of the next calls; they must outlive them.

    X may be of another dtype than the model if `y` is given: its rows are then converted as they are
    gathered.
    """
    slots = net.descriptor
    slots[d.X], slots[d.Y], slots[d.SAMPLE_WEIGHT] = address(X), address(y), address(weight)
    slots[d.N_SAMPLES] = len(X)
    if y is not None:
        dtype = net.parameters.dtype.name
        converts = X.dtype.name != dtype
        gather = f"batch.{X.dtype.name}.gather" if converts else "batch.gather"
        slots[d.GATHER], slots[d.CONVERT] = native.address(gather, dtype), converts
        slots[d.N_TARGETS] = y.shape[1]
        net.extra[_LOSS, oprow.N_OUT] = y.shape[1]
        n_metrics = int(slots[d.N_METRICS])
        net.extra[len(net.extra) - n_metrics :, oprow.N_OUT] = y.shape[1]


def draw_order(net: Network) -> None:
    """Write the order of the samples for the epoch in the descriptor, as the driver does at its start."""
    if net.descriptor[d.ORDER]:
        native.function("random.shuffle")(0, address(net.descriptor))


def sums(net: Network) -> NDArray[np.float64]:
    """Loss, weight and penalty, then the state of the metrics, summed over the epoch so far."""
    return np.concatenate([net.descriptor.view(np.float64)[_TOTALS], net.sums[d.BLOCKS :]])


def set_sums(net: Network, values: NDArray[np.float64]) -> None:
    """Let an epoch go on with what `sums` gave."""
    totals = net.descriptor.view(np.float64)
    totals[_TOTALS], net.sums[d.BLOCKS :] = np.split(values, [len(_TOTALS)])


def predict(net: Network, X: NDArray[Any], out: NDArray[Any]) -> None:
    """Write the output of the samples `X` into `out`, both checked."""
    set_data(net, X, None, None)
    net.descriptor[d.OUTPUT] = address(out)
    native.function("driver.predict")(0, address(net.descriptor))


def run(entry: str, net: Network, threads: int = 1) -> None:
    """Call an entry of the driver, by a team of at most as many threads as there are shards."""
    function = native.function(f"driver.{entry}")
    team = min(threads, len(net.shards))
    net.descriptor[d.TEAM] = team
    if team == 1:
        function(0, address(net.descriptor))
    else:
        net.team[:] = 0
        calls = [functools.partial(function, i, address(net.descriptor)) for i in range(team)]
        run_together(calls, give_up=net.team[1:])


def measure(kernel: str, X: NDArray[Any], weight: NDArray[Any] | None, state: NDArray[np.float64]) -> None:
    """Add rows to the statistics in `state` that a kernel of `scaling` keeps there."""
    slots = np.zeros(d.SIZE, np.int64)
    slots[d.X], slots[d.SAMPLE_WEIGHT], slots[d.METRIC_STATE] = address(X), address(weight), address(state)
    slots[d.N_SAMPLES], slots[d.N_FEATURES] = X.shape
    native.function(kernel, X.dtype.name)(0, address(slots))


def is_finite(values: NDArray[Any]) -> bool:
    """Whether a C-contiguous array holds neither NaN nor infinity."""
    slots = np.zeros(d.SIZE, np.int64)
    slots[d.X], slots[d.N_SAMPLES], slots[d.N_FEATURES] = address(values), values.size, 1
    native.function("batch.check", values.dtype.name)(0, address(slots))
    return bool(slots[d.STATUS] == d.OK)
