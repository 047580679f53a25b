"""A training step in its parts, from Python: `Model.backward` and `Model.apply_gradient`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels.abi.descriptor import OK
from ..memory.buffers import address, empty
from . import late_entries, launch
from .data_set import DataSet
from .frozen import frozen_numbers
from .network import pass_table
from .optimizer_rows import fill_frozen
from .scan import FiniteCheck, is_finite
from .threads import team_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .executor import Executor
    from .network import Network

_PASS = 40  # see `kernels.embedded.unchecked.forward_train`


class Passes:
    """Passes forward and back through a model, as in training, and updates by a given gradient.

    Parameters
    ----------
    executor : Executor
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._step, self._passes = -1, 0
        self._kept: dict[tuple[int, bool], Network] = {}
        self._updated: Network | None = None
        self._optimizer: NDArray[Any] | None = None

    def forward(self, x: NDArray[Any], lengths: NDArray[np.int64] | None) -> tuple[ForwardPass, NDArray[Any]]:
        """A forward pass of checked samples as one batch, and the outputs, of shape (n, n_out).

        The network is that of this pass alone until `keep` gets it back.
        """
        executor = self._executor
        with executor.weights_lock.exclusive():
            key, state = (len(x), lengths is not None), executor.state
            net = self._kept.pop(key, None)
            if net is None:
                net = executor.new_network(key[0], "passes", key[1])
                late_entries.load(net.fields, executor.dtype)
            if state.step != self._step:
                self._step, self._passes = state.step, 0
            step, self._passes = state.step | self._passes << _PASS, self._passes + 1
            result = ForwardPass(executor, net, DataSet(x, None, None), lengths, step)
            return result, result.run()

    def backward(self, forward: ForwardPass, dy: NDArray[Any]) -> NDArray[Any]:
        """The gradient with respect to the parameters, for checked derivatives by the outputs."""
        gradient = forward.backward(dy).copy()
        self._kept = {forward.key: forward.net}
        return gradient

    def apply_gradient(self, gradient: NDArray[Any]) -> bool:
        """Make a step with a checked gradient; False, and nothing changed, if it would not be finite."""
        return self._executor.weights_lock.run_fit(self._apply, gradient)

    def _apply(self, gradient: NDArray[Any]) -> bool:
        executor = self._executor
        net, state = executor.network("passes", 1), executor.state
        executor.refresh_optimizer(net)
        if net is not self._updated or state.optimizer is not self._optimizer:
            late_entries.load(net.fields, executor.dtype)
            self._is_finite = FiniteCheck(state.parameters, state.optimizer)
            self._updated, self._optimizer = net, state.optimizer
        copies = [(vector, vector.copy()) for vector in self._is_finite.arrays]
        net.gradient[...] = gradient
        net.fields.step = step = state.step
        with executor.weights_lock.change():
            try:
                launch.run_pass("apply_gradient", net)
            finally:  # without a call, so that no signal's handler comes in between
                state.counters[0] = net.fields.step
            if net.fields.status == OK and self._is_finite():
                return True
            for vector, copy in copies:
                vector[...] = copy
            state.counters[0] = step
        return False


class ForwardPass:
    """A forward pass, whose network keeps what the backward pass needs.

    Parameters
    ----------
    executor : Executor
    net : Network
        Of as many rows as samples, for passes.
    data : DataSet
    lengths : array of shape (n,), or None
    step : int
        Of the random numbers.

    Attributes
    ----------
    net : Network
    key : (int, bool)
        How many samples, and whether they have lengths.
    """

    def __init__(
        self,
        executor: Executor,
        net: Network,
        data: DataSet,
        lengths: NDArray[np.int64] | None,
        step: int,
    ) -> None:
        self.net, self.key = net, (len(data.X), lengths is not None)
        self._executor = executor
        self._arrays = data, lengths  # which live as long as the network needs them
        fields = net.fields
        launch.set_data(net, data, lengths)
        fill_frozen(pass_table(net), frozen_numbers(executor.built.graph))
        fields.ops, fields.optimizer = fields.output_ops, fields.pass_optimizer
        fields.seed, fields.step, fields.training = executor.state.seed, step, 1
        self._threads = team_size(len(data.X), fields.multiplications)

    def run(self) -> NDArray[Any]:
        """The outputs. Whoever calls this sees to it that nobody changes the weights."""
        fields = self.net.fields
        self._version = self._executor.weights_lock.version | 1
        output = empty((fields.n_samples, fields.n_outputs), self._executor.dtype, "the output")
        fields.output = address(output)
        launch.run_pass("forward_train", self.net, self._threads)
        return output

    def backward(self, dy: NDArray[Any]) -> NDArray[Any]:
        """The gradient with respect to the parameters, in memory of the network.

        The forward pass is made once more where the weights have changed since. Running statistics are
        updated, unless they would not be finite.
        """
        net, lock = self.net, self._executor.weights_lock
        with lock.change() if net.statistics.size else lock.exclusive():
            if lock.version | 1 != self._version:
                self.run()
            kept = net.statistics.copy()
            net.fields.y, net.fields.output = address(dy), 0
            launch.run_pass("backward", net, self._threads)
            if kept.size and not is_finite(net.statistics):
                net.statistics[...] = kept
        return net.gradient
