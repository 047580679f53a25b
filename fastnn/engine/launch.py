"""Calls of compiled code: what each needs in a network's descriptor, and the call."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler import loader
from ..kernels.abi import oprow
from ..kernels.abi.descriptor import OK
from ..memory.buffers import address, dtype_name
from .data_set import DataSet
from .threads import run_together

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .network import Network


def set_data(net: Network, data: DataSet, lengths: NDArray[np.int64] | None = None) -> None:
    """Make checked arrays the data set of the next calls; they must outlive them.

    X may be of another dtype than the model if `y` is given: its rows are then converted as they are
    gathered.
    """
    fields, (X, y, weight) = net.fields, data
    fields.x, fields.y, fields.sample_weight = data.addresses
    fields.n_samples = len(X)
    if lengths is not None:
        fields.lengths = address(lengths)
    fields.weight_width = 1 if weight is None or weight.ndim == 1 else weight.shape[1]
    if y is not None:
        converts = X.dtype != y.dtype
        if converts or fields.convert:
            gather = f"driver.batch.{X.dtype.name}.gather" if converts else "driver.batch.gather"
            fields.gather, fields.convert = loader.address(gather, dtype_name(y.dtype)), converts
        if fields.n_targets != y.shape[1]:
            net.extra[:1].view(oprow.LOSS)["n_targets"] = y.shape[1]
            net.extra[len(net.extra) - fields.n_metrics :].view(oprow.METRIC)["n_targets"] = y.shape[1]
            fields.n_targets = y.shape[1]  # last: it says that the rows have it, whatever is raised before


def place_piece(net: Network, data: DataSet, first: int, order: NDArray[np.int64] | None = None) -> None:
    """Make checked arrays a piece of a data set: their first, or the first of `order`, is sample `first`.

    Those before it are not there: the call is to begin at this position.
    """
    set_data(net, data)
    fields, (X, y, weight) = net.fields, data
    fields.order = fields.orders = 0 if order is None else address(order) - 8 * first
    if order is None:
        fields.x -= first * X.strides[0]
        fields.y -= first * y.strides[0]
        fields.sample_weight -= 0 if weight is None else first * weight.strides[0]


def draw_order(net: Network) -> None:
    """Write the order of the samples for the epoch in the descriptor, as the driver does at its start."""
    if net.fields.order:
        loader.function("math.random.shuffle")(0, net.fields.own_address)


def sums(net: Network) -> NDArray[np.float64]:
    """Loss, weight and penalty, then the state of the metrics, summed over the epoch so far."""
    fields = net.fields
    totals = [fields.total_loss, fields.total_weight, fields.total_penalty]
    return np.concatenate([totals, net.sums[_metric_state(net) :]])


def _metric_state(net: Network) -> int:
    """Where the state of the metrics begins in `net.sums`."""
    return len(net.sums) - int(net.fields.metric_state_size)


def set_sums(net: Network, values: NDArray[np.float64]) -> None:
    """Restore the sums of an epoch from what `sums` gave."""
    fields = net.fields
    fields.total_loss, fields.total_weight, fields.total_penalty = values[:3].tolist()
    net.sums[_metric_state(net) :] = values[3:]


def running_loss(net: Network) -> dict[str, float]:
    """The loss of an epoch so far, as a log; empty where there is none yet, or it is a sum and not a mean."""
    fields = net.fields
    if fields.sum_loss or fields.total_weight <= 0 or fields.position <= 0:
        return {}
    penalty = fields.total_penalty / fields.position
    return {"loss": float(fields.total_loss / fields.total_weight + penalty)}


def check_of(net: Network) -> str:
    """The entry that checks samples before the network predicts."""
    return "layers.embedding.check" if net.limits.size else "driver.batch.check"


def predict(
    net: Network,
    X: NDArray[Any],
    out: NDArray[Any],
    *,
    check: bool = True,
    lengths: NDArray[np.int64] | None = None,
) -> bool:
    """Write the output of the samples `X` into `out`, both checked but for what `check` finds on the way.

    `lengths` are given to a network that reads them.

    Returns
    -------
    bool
        False if an element of X is NaN, infinite, or not an index where it must be one; `out` then holds
        nothing useful.
    """
    set_data(net, DataSet(X, None, None), lengths)
    fields = net.fields
    fields.output = address(out)
    fields.check = loader.address(check_of(net), dtype_name(net.parameters.dtype)) if check else 0
    loader.function("driver.loop.predict")(0, net.fields.own_address)
    return bool(fields.status == OK)


def sample(
    net: Network, X: NDArray[Any], out: NDArray[Any], lengths: NDArray[np.int64] | None = None
) -> None:
    """Write the outputs of checked samples into `out`, of shape (draws, n, n_out), for each draw.

    `out` may be part of an array of more draws or rows; the number of the first draw is `net.fields.step`.
    """
    set_data(net, DataSet(X, None, None), lengths)
    fields = net.fields
    fields.n_draws, fields.draw_bytes, fields.output = len(out), out.strides[0], address(out)
    loader.function("driver.sample.sample")(0, fields.own_address)


def derivatives(
    entry: str,
    net: Network,
    X: NDArray[Any],
    out: NDArray[Any],
    dy: NDArray[Any] | None = None,
    lengths: NDArray[np.int64] | None = None,
) -> None:
    """Write derivatives of the outputs into `out`, as the function `entry` of `fastnn` does in compiled code.

    All arrays are of the model's dtype and in C order; `net` has gradients with respect to its input.
    """
    set_data(net, DataSet(X, None, None), lengths)
    net.fields.position = net.fields.first_row = 0  # by which lengths are found
    net.fields.output, net.fields.y = address(out), address(dy)
    function = loader.function(f"embedded.jacobian.{entry}", net.parameters.dtype.name)
    function(0, net.fields.own_address)


def run(entry: str, net: Network, threads: int = 1) -> None:
    """Call an entry of the driver, by a team of at most as many threads as there are parts of a batch."""
    call(loader.function(f"driver.loop.{entry}"), net, threads)


def run_pass(entry: str, net: Network, threads: int = 1) -> None:
    """The same for an entry of `kernels.embedded.passes`."""
    call(loader.function(f"embedded.passes.{entry}", dtype_name(net.parameters.dtype)), net, threads)


def call(function: Callable[[int, int], None], net: Network, threads: int) -> None:
    """Call an entry by a team, as `run` does."""
    team = min(threads, len(net.workers))
    net.fields.team = team
    if team == 1:
        function(0, net.fields.own_address)
    else:
        net.team[:] = 0
        calls = [functools.partial(function, i, net.fields.own_address) for i in range(team)]
        run_together(calls, give_up=net.team[1:])
