"""Short fits by known samples, each one compiled call: the short way of `Training`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler import loader
from ..engine import launch
from ..engine.threads import team_size
from ..kernels.abi import oprow
from ..kernels.abi.descriptor import OK
from ..memory.buffers import address, allocate, dtype_name
from .history import History
from .loop import outer_stop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.data_set import DataSet
    from ..engine.executor import Executor
    from ..engine.network import Network

# Multiplications of a fit that takes a millisecond or two, and of what a step costs however small it is.
_SHORT, _STEP = 1 << 22, 1 << 9
# Those of a fit that takes some microseconds: see `prediction`.
_SHORT_CALL = 1 << 17
_FIT = "driver.fit.fit"


class ShortFit:
    """Fits of a model by known samples: what they have in common is prepared once.

    What is not as it was at the last fit, takes longer or goes wrong is left to `Training`, which says what
    it is: then `make` changes nothing.

    Parameters
    ----------
    executor : Executor
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        # Of the network that it is prepared for: not the network itself, whose memory is not to be kept.
        self._descriptor: NDArray[Any] | None = None
        self._optimizer: NDArray[Any] | None = None
        self._kind: Any = None
        self._copies: list[NDArray[Any]] = []

    def make(
        self, X: Any, y: Any, epochs: int = 1, batch_size: int | None = None, shuffle: bool = False
    ) -> History | None:
        """Train by samples of a known kind. None if they are not, or need more than the fit before."""
        samples = self._executor.samples
        data = samples.take(X, y)
        if data is None:
            return None
        try:
            n = len(data.X)
            rows = n if batch_size is None or batch_size > n else batch_size
            return self._executor.weights_lock.run_fit(self._make, data, rows, epochs, shuffle)
        finally:
            samples.put_back(data)

    def _make(self, data: DataSet, rows: int, epochs: int, shuffle: bool) -> History | None:
        executor = self._executor
        net, state = executor.network("train", rows), executor.state
        if (
            not executor.trains_as_before(net)
            or state.callbacks
            or state.interrupted_epoch is not None
            or outer_stop() is not None
        ):
            return None
        if net.descriptor is not self._descriptor or state.optimizer is not self._optimizer:
            self._descriptor, self._optimizer = net.descriptor, state.optimizer
            self._kind, self._copies = None, []
        if (kind := (len(data.X), epochs, shuffle)) != self._kind:
            self._lay_out(net, kind)
        if self._call is None:
            return None
        launch.set_data(net, data)
        net.fields.seed = state.seed
        executor.weights_lock.run_change(self._call)
        if net.fields.status != OK:
            return None
        *columns, rates = self._logs.tolist()
        return History.of_epochs(executor.log_names, columns, rates)

    def _prepare(self, net: Network) -> None:
        """Take over a network, and make memory for copies of what training changes."""
        executor, state, fields = self._executor, self._executor.state, net.fields
        vectors = [vector for vector in (state.parameters, state.statistics, state.optimizer) if vector.size]
        self._copies = [allocate(vector.size, executor.dtype, "a copy") for vector in vectors]
        self._table = np.zeros(len(vectors), oprow.VECTOR)
        for row, vector, copy in zip(self._table, vectors, self._copies, strict=True):
            row["values"], row["copy"], row["size"] = address(vector), address(copy), vector.size
        self._row = np.zeros(oprow.SIZE, np.int64)
        row = self._row.view(oprow.FIT)[0]
        row["train"] = loader.address("driver.loop.train", "float64")
        row["vectors"], row["n_vectors"] = address(self._table), len(vectors)
        row["counters"] = address(state.counters)
        fields.training, fields.history_width = 1, len(executor.log_names) + 1
        fields.batch_means = executor.loss is not None and executor.loss.reported != ""

    def _lay_out(self, net: Network, kind: tuple[int, int, bool]) -> None:
        """Memory for the history of some epochs over some samples, and for the order of these."""
        fields, (n, epochs, shuffle) = net.fields, kind
        rows, multiplications = fields.batch_size, fields.multiplications
        steps = epochs * -(-n // rows)
        cost = 3 * epochs * n * multiplications + steps * (fields.n_parameters + _STEP)
        self._kind, self._call = kind, None
        if team_size(rows, multiplications) > 1 or cost > _SHORT:
            return
        if not self._copies:
            self._prepare(net)
        logs = allocate(epochs * fields.history_width, "float64", "logs").reshape(epochs, -1)
        self._order = allocate(n if shuffle and rows < n else 0, "int64", "the order of the samples")
        row = self._row.view(oprow.FIT)[0]
        row["history"], row["epochs"] = address(logs), epochs
        row["order"] = address(self._order) if self._order.size else 0
        self._logs = logs.T
        dtype = dtype_name(net.parameters.dtype)
        call = loader.function(_FIT, dtype, holds_gil=cost <= _SHORT_CALL)
        self._call = functools.partial(call, address(self._row), fields.own_address)


def is_usual(
    epochs: Any, batch_size: Any, shuffle: Any, callbacks: Any, resume: Any, initial_epoch: Any
) -> bool:
    """Whether these arguments of `fit` need no more checks, and are for a fit that may be short."""
    return (
        type(epochs) is int
        and epochs > 0
        and (batch_size is None or (type(batch_size) is int and batch_size > 0))
        and type(shuffle) is bool
        and type(callbacks) in (tuple, list)
        and not callbacks
        and resume is False
        and type(initial_epoch) is int
        and initial_epoch == 0
    )
