"""A single step, as `partial_fit` makes it: the short way of `Training`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..engine import launch
from ..engine.scan import FiniteCheck
from ..engine.threads import team_size
from ..kernels.abi.descriptor import OK
from ..memory.buffers import address, allocate
from .history import History
from .loop import outer_stop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.executor import Executor
    from ..engine.network import Network
    from ..engine.samples import DataSet


class SingleStep:
    """Steps of a model by known samples, each a call: what they have in common is prepared once.

    What is not as it was at the last fit, or goes wrong, is left to `Training`, which says what it is: then
    `make` changes nothing.

    Parameters
    ----------
    executor : Executor
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._net: Network | None = None
        self._optimizer: NDArray[Any] | None = None

    def _prepare(self, net: Network) -> None:
        executor, state = self._executor, self._executor.state
        self._names = ["loss", *(metric.name for metric in executor.metrics)]
        self._logs = allocate(len(self._names) + 1, "float64", "logs")
        self._logs_address = address(self._logs)
        vectors = [state.parameters, state.statistics, state.optimizer]
        self._is_finite = FiniteCheck(*vectors)
        self._copies = [(vector, vector.copy()) for vector in vectors if vector.size]
        self._net, self._optimizer = net, state.optimizer

    def make(self, data: DataSet) -> History | None:
        """Train by checked samples in one step. None if that needs more than the step before."""
        executor = self._executor
        with executor.weights_lock.fit():
            net, state = executor.network("train", len(data.X)), executor.state
            if (
                not executor.trains_as_before(net)
                or state.callbacks
                or state.interrupted_epoch is not None
                or outer_stop() is not None
                or team_size(len(data.X), net.fields.multiplications) > 1
            ):
                return None
            if net is not self._net or state.optimizer is not self._optimizer:
                self._prepare(net)
            return self._make(net, data)

    def _make(self, net: Network, data: DataSet) -> History | None:
        executor, state, fields = self._executor, self._executor.state, net.fields
        for vector, copy in self._copies:
            copy[...] = vector
        counters = state.counters
        step, epoch, position = counters.tolist()
        launch.set_data(net, data)
        fields.order, fields.history, fields.max_steps = 0, self._logs_address, 1
        fields.seed, fields.step, fields.epoch, fields.last_epoch = state.seed, step, epoch, epoch + 1
        fields.position = 0
        with executor.weights_lock.change():
            try:
                launch.run("train", net)
            finally:  # without a call, so that no signal's handler comes in between
                counters[0], counters[1], counters[2] = fields.step, fields.epoch, 0
        if fields.status == OK and self._is_finite():
            *logs, rate = self._logs.tolist()
            return History.of_epoch(self._names, logs, rate)
        with executor.weights_lock.change():
            for vector, copy in self._copies:
                vector[...] = copy
            counters[:] = step, epoch, position
        return None
