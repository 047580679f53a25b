"""A training step in its parts, from Python: `Model.backward` and `Model.apply_gradient`."""

from __future__ import annotations

import functools
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels.abi.descriptor import OK
from ..memory.buffers import address, empty
from . import late_entries, launch
from .frozen import frozen_numbers
from .network import pass_table
from .optimizer_rows import fill_frozen
from .samples import KnownSamples, SamplePool
from .scan import FiniteCheck, is_finite
from .threads import team_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .data_set import DataSet
    from .executor import Executor
    from .network import Network
    from .ops import Shape

_PASS = 40  # see `kernels.embedded.unchecked.forward_train`


def _finite(n_out: int, n_targets: int) -> tuple[float, float, bool]:
    """What derivatives with respect to outputs may be: see `SamplePool`."""
    return -inf, inf, False


class Passes:
    """Passes forward and back through a model, as in training, and updates by a given gradient.

    Parameters
    ----------
    executor : Executor
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._samples = SamplePool(executor.layers, executor.columns, _finite)
        self._step, self._passes = -1, 0
        self._kept: dict[tuple[int, bool], ForwardPass] = {}
        self._updated: Network | None = None
        self._optimizer: NDArray[Any] | None = None

    def take(self, X: Any, dy: Any) -> KnownSamples | None:
        """Copies of samples and derivatives like earlier ones, if they are right; `dy` may be a function."""
        return self._samples.take(X, self._later(X) if callable(dy) else dy)

    def _later(self, X: Any) -> Any:
        """In place of derivatives that a function will compute."""
        executor = self._executor
        if type(X) is not np.ndarray or not executor.is_built:
            return None
        graph = executor.built.graph
        samples = X.shape[: max(0, X.ndim - len(graph.input.shape))]
        return np.zeros((*samples, *graph.output.shape))

    def load(self, data: DataSet, dy: Any) -> bool:
        """Copy what a function computed to known samples. Whether these are known, and that is right."""
        if not (isinstance(data, KnownSamples) and type(dy) is np.ndarray and dy.dtype.kind == "f"):
            return False
        return dy.shape == data.shape_of_targets and data.load_targets(dy)

    def keep(self, X: Any, dy: Any, data: DataSet, shape: Shape) -> None:
        """Put back what `take` gave; or know others like these, with derivatives of this shape, later."""
        if isinstance(data, KnownSamples):
            self._samples.put_back(data)
            return
        graph = self._executor.built.graph
        given = np.zeros(shape) if callable(dy) else dy
        self._samples.learn(X, given, self._executor.dtype, graph.input.shape, graph.output.shape)

    def forward(self, data: DataSet, lengths: NDArray[np.int64] | None) -> tuple[ForwardPass, NDArray[Any]]:
        """A forward pass of checked samples as one batch, and the outputs, of shape (n, n_out).

        It is for this call alone, until `backward` gets it back.
        """
        executor = self._executor
        output = empty((len(data.X), executor.built.graph.output.size), executor.dtype, "the output")
        forward = executor.weights_lock.run_exclusive(self._forward, data, lengths, output)
        return forward, output

    def _forward(
        self, data: DataSet, lengths: NDArray[np.int64] | None, output: NDArray[Any] | None = None
    ) -> ForwardPass:
        executor = self._executor
        key, state = (len(data.X), lengths is not None), executor.state
        forward = self._kept.pop(key, None)
        if forward is None:
            forward = ForwardPass(executor, executor.new_network(key[0], "passes", key[1]), key)
        if state.step != self._step:
            self._step, self._passes = state.step, 0
        step, self._passes = state.step | self._passes << _PASS, self._passes + 1
        forward.begin(data, lengths, step)
        forward.run(output)
        return forward

    def backward(self, forward: ForwardPass, dy: NDArray[Any]) -> NDArray[Any]:
        """The gradient with respect to the parameters, for checked derivatives by the outputs."""
        lock = self._executor.weights_lock
        run = lock.run_change if forward.net.statistics.size else lock.run_exclusive
        run(functools.partial(forward.backward, address(dy)))
        return self._finish(forward)

    def run(self, data: DataSet, lengths: NDArray[np.int64] | None) -> NDArray[Any]:
        """Both passes, for checked samples and derivatives."""
        executor = self._executor

        def both() -> ForwardPass:
            forward = self._forward(data, lengths)
            forward.backward(data.addresses[1])
            return forward

        lock = executor.weights_lock
        return self._finish((lock.run_change if executor.state.statistics.size else lock.run_exclusive)(both))

    def _finish(self, forward: ForwardPass) -> NDArray[Any]:
        gradient = forward.net.gradient.copy()
        self._kept = {forward.key: forward}
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
            self._copies = [(vector, vector.copy()) for vector in self._is_finite.arrays]
            self._updated, self._optimizer = net, state.optimizer
        for vector, copy in self._copies:
            copy[...] = vector
        net.gradient[...] = gradient
        net.fields.step = step = state.step
        with executor.weights_lock.change():
            try:
                launch.run_pass("apply_gradient", net)
            finally:  # without a call, so that no signal's handler comes in between
                state.counters[0] = net.fields.step
            if net.fields.status == OK and self._is_finite():
                return True
            for vector, copy in self._copies:
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
    key : (int, bool)
        How many samples, and whether they have lengths.
    """

    def __init__(self, executor: Executor, net: Network, key: tuple[int, bool]) -> None:
        self.net, self.key, self._executor = net, key, executor
        self._trained: list[bool] | None = None
        fields = net.fields
        late_entries.load(fields, executor.dtype)
        fields.ops, fields.optimizer, fields.training = fields.output_ops, fields.pass_optimizer, 1
        fields.n_samples, self._outputs = (
            key[0],
            empty((key[0], fields.n_outputs), executor.dtype, "the output"),
        )
        self._output = address(self._outputs)

    def begin(self, data: DataSet, lengths: NDArray[np.int64] | None, step: int) -> None:
        """Take other samples, for the random numbers of a step."""
        self._arrays = data, lengths  # which live as long as the network needs them
        fields, executor = self.net.fields, self._executor
        fields.x, fields.seed, fields.step = data.addresses[0], executor.state.seed, step
        if lengths is not None:
            fields.lengths = address(lengths)
        if (trained := executor.built.trained()) != self._trained:
            fill_frozen(pass_table(self.net), frozen_numbers(executor.built.graph))
            self._trained = trained
        self._threads = team_size(self.key[0], fields.multiplications)

    def run(self, output: NDArray[Any] | None = None) -> None:
        """Write the outputs. Whoever calls this sees to it that nobody changes the weights."""
        self._version = self._executor.weights_lock.version | 1
        self.net.fields.output = self._output if output is None else address(output)
        launch.run_pass("forward_train", self.net, self._threads)

    def backward(self, dy: int) -> None:
        """Write the gradient with respect to the parameters, for derivatives at an address, into the network.

        The forward pass is made once more where the weights have changed since. Running statistics are
        updated, unless they would not be finite. Whoever calls this sees to it that nobody changes them.
        """
        net = self.net
        if self._executor.weights_lock.version | 1 != self._version:
            self.run()
        kept = net.statistics.copy() if net.statistics.size else None
        net.fields.y, net.fields.output = dy, 0
        launch.run_pass("backward", net, self._threads)
        if kept is not None and not is_finite(net.statistics):
            net.statistics[...] = kept
