"""Executor: what runs a model. It owns the parameters, the networks over them, the locks and the kernels.

Everything that trains, saves, draws or exports a model uses its executor; so does a layer that is called
alone.
"""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import optimizers
from ..checks import validate
from ..compiler import loader
from ..data import array_checks, missing, sample_checks
from ..data.rows import sample_shape, sizes_of
from ..memory import buffers
from . import compute_dtype as compute_dtypes
from . import embedded, launch, required_kernels
from .builder import NetworkBuilder
from .columns import Columns
from .frozen import frozen_numbers
from .graph import lower, shapes
from .head import Head
from .lengths import check_lengths
from .optimizer_rows import FitOptimizer, optimizer_state
from .prediction import PredictorPool
from .samples import SamplePool, target_limits
from .state import State
from .threads import team_size
from .weightless import check_rows
from .weights_lock import WeightsLock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ..losses import Loss
    from ..metrics import Metric
    from ..optimizers import Optimizer
    from .data_set import DataSet
    from .graph import Graph, Layer
    from .network import Network, OptimizerState
    from .ops import Shape

# Of what a copy is made: arguments, and attributes.
_SETTINGS = ("layers", "dtype", "seed", "loss", "optimizer", "metrics", "metric_functions", "compute_dtype")
#: The keys of `Executor.to_dict`.
PICKLED = (*_SETTINGS, "feature_names", "input_shape", "state")


class Executor:
    """Layers, and what it takes to run and to train them.

    Parameters
    ----------
    layers : tuple of Layer
        They become those of this executor.
    dtype, compute_dtype : str
    seed : int, optional
        A random one if not given.
    head : Head, optional
    loss, optimizer : Loss and Optimizer, optional
    metrics : sequence of Metric
    metric_functions : sequence of function
        User-defined metrics.

    Attributes
    ----------
    weights_lock : WeightsLock
        Of those who change the weights and those who predict.
    predictors : PredictorPool
    columns : Columns
    last_finite_state : State or None
        The last state known to be finite, while training.
    fit_memory, evaluation_memory : KeptMemory
    log_names : tuple of str
        Of what is recorded of an epoch: the loss and the metrics of the library.
    callback_states : function or None
        Gives what the callbacks know, while training.
    """

    def __init__(
        self,
        layers: tuple[Layer, ...],
        dtype: str,
        seed: int | None = None,
        *,
        head: Head | None = None,
        loss: Loss | None = None,
        optimizer: Optimizer | None = None,
        metrics: Sequence[Metric] = (),
        metric_functions: Sequence[Callable[..., Any]] = (),
        compute_dtype: str | None = None,
    ) -> None:
        self.layers, self.dtype, self.loss = layers, dtype, loss
        self.compute_dtype = compute_dtypes.check(compute_dtype, dtype)
        self.head = Head("values", "values", None) if head is None else head
        self.metrics, self.metric_functions = tuple(metrics), tuple(metric_functions)
        self.log_names = ("loss", *(metric.name for metric in self.metrics))
        self._optimizer = optimizers.get("adam") if optimizer is None else optimizer
        self._builder: NetworkBuilder | None = None
        self._state: State | None = None
        self.seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self.weights_lock = WeightsLock()
        self.predictors = PredictorPool(
            any(layer.checks_rows or layer.takes_missing for layer in layers), self.weights_lock
        )
        self._predictors_with_lengths = PredictorPool(True, self.weights_lock)
        self.columns = Columns(layers, dtype, self.predictors)
        self.last_finite_state: State | None = None
        self.fit_memory, self.evaluation_memory = buffers.KeptMemory(), buffers.KeptMemory()
        self.callback_states: Callable[[], dict[str, dict[str, Any]]] | None = None
        self.samples = SamplePool(layers, self.columns, target_limits(loss))
        self._networks: dict[str, tuple[tuple[int, bool], Network]] = {}
        self._optimizer_state: OptimizerState | None = None
        self._fit_optimizer = FitOptimizer()
        self._loaded: set[bool] = set()  # whether it has loaded the kernels to train, and to predict
        for i, layer in enumerate(layers):
            layer.attach(self, str(i))

    # ---- what it is ----------------------------------------------------------------------------

    @property
    def input_shape(self) -> Shape | None:
        """Shape of a sample of the input; None until it is built."""
        return None if self._builder is None else self._builder.graph.input.shape

    @property
    def output_shape(self) -> Shape | None:
        """Shape of a sample of the output; None until it is built."""
        return None if self._builder is None else self._builder.graph.output.shape

    @property
    def n_in(self) -> int | None:
        """Numbers that a row of the input has; None until it is built."""
        return None if self._builder is None else self._builder.graph.input.size

    @property
    def n_out(self) -> int | None:
        """Numbers that a row of the output has; None until it is built."""
        return None if self._builder is None else self._builder.graph.output.size

    @property
    def is_built(self) -> bool:
        """Whether it has weights."""
        return self._state is not None

    @property
    def state(self) -> State:
        """Parameters, the optimizer's memory and counters."""
        if self._state is None:
            raise ValueError("the model is not built yet; use model.build(n_in) or fit")
        return self._state

    @property
    def graph(self) -> Graph | None:
        """What it computes; None until it is built."""
        return None if self._builder is None else self._builder.graph

    def shape_of_input(self, X: Any, rows: NDArray[Any]) -> Shape:
        """Shape of a sample of X, of which these rows were made."""
        return self.input_shape or sample_shape(X) or rows.shape[1:]

    def shape_of_output(self, shape: Shape) -> Shape:
        """Shape of a sample of the output for an input of a shape; with 0 where it is not known yet."""
        return (self.output_shape if shape == self.input_shape else None) or shapes(self.layers, shape)[-1]

    def shape_of_target(self, shape: Shape) -> Shape:
        """Shape of a target of a sample of a shape."""
        return self.head.target_shape(self.shape_of_output(shape))

    def require_fits(self, X: Any, shape: Shape | None, name: str) -> None:
        """Raise a ValueError that names X if the layers, not built yet, do not take samples of a shape."""
        if self._builder is None and shape is not None and len(shape) > 1:
            try:
                shapes(self.layers, shape)
            except ValueError as error:
                raise ValueError(f"{name} of shape {sizes_of(X)} does not fit: {error}") from error

    def parameter_count(self, shape: Shape) -> int:
        """How many parameters it has for samples of a shape; about so many if a layer is not adapted."""
        layers = [layer for layer in self.layers if layer.adapted or not layer.kernels]
        return lower(layers, shape).n_parameters

    @property
    def built(self) -> NetworkBuilder:
        """Its layers with an input of a known shape."""
        if self._builder is None:
            self.state  # noqa: B018 - says that it is not built
        assert self._builder is not None
        return self._builder

    @property
    def seed(self) -> int:
        """Of the random numbers."""
        return self._seed

    @seed.setter
    def seed(self, value: int) -> None:
        self._seed = seed = validate.seed("seed", value)
        if self._state is not None:
            self._state.seed = seed

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer; a new one begins with no memory."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, value: Optimizer) -> None:
        # Not while another thread trains with the old one's memory.
        with self.weights_lock.held(), self.weights_lock.exclusive():
            self._optimizer = value
            for state in (self._state, self.last_finite_state):  # a fit may go back to the latter
                if state is not None:
                    state.forget_optimizer()

    # ---- building ------------------------------------------------------------------------------

    def build(self, shape: Shape) -> None:
        """Make the weights, for samples of a shape, or check that they are for this one."""
        if self._state is None:  # otherwise without the lock, which a fit in another thread holds
            with self.weights_lock.held():
                if self._state is None:
                    self._make_weights(shape)
        if shape != self.input_shape:
            if len(shape) == 1 and self.input_shape == (self.n_in,):
                raise ValueError(f"the model is built for inputs of {self.n_in} numbers, got n_in={shape[0]}")
            raise ValueError(f"the model is built for inputs of shape {self.input_shape}, got {shape}")

    def _make_weights(self, shape: Shape) -> None:
        *_, output = every = shapes(self.layers, shape)
        if any(0 in shape for shape in every):
            self.require_adapted()
        built = NetworkBuilder(self.layers, shape, self.dtype, self.compute_dtype)
        self.head.check_output(built.graph.output)
        self.predictors.set_shapes(shape, output)
        vector, statistics, arrays = built.new_vectors()
        built.draw(arrays, self.seed)
        numbers = built.graph.constants(self.dtype)
        built.bind(arrays)
        self._builder = built
        self._state = State(vector, np.zeros(0, self.dtype), numbers, self.seed, statistics=statistics)
        self.columns.refresh(self.input_shape)

    def require_adapted(self, layers: Sequence[Layer] | None = None) -> None:
        """Raise a ValueError if one of the layers has no numbers yet."""
        for layer in self.layers if layers is None else layers:
            if not layer.adapted:
                how = "model.layers[-1].adapt(y)" if layer.of_targets else "model.adapt(X)"
                raise ValueError(f"{layer!r} is not adapted to data yet; use fit or {how}")

    def refresh_constants(self) -> None:
        """Take over the numbers of layers that were adapted; a ValueError if sizes do not fit."""
        self.columns.refresh(self.input_shape)
        if self._state is not None:
            numbers = self.built.refresh()
            with self.weights_lock.change():
                self._state.take_constants(numbers)

    def to_dict(self) -> dict[str, Any]:
        """All that a copy or a pickle has of it: everything but networks, locks and kernels.

        The layers bring the weights, unless another thread trains: they are copied later, when the
        weights may be those of another step.
        """
        kept: dict[str, Any] = {name: getattr(self, name) for name in _SETTINGS}
        kept |= {"feature_names": self.columns.names, "input_shape": self.input_shape, "state": None}
        if self._state is not None:
            training = not self.weights_lock.fit_lock.is_free()
            kept["state"] = self._state.to_dict(with_parameters=training)
            kept["state"]["callbacks"] = self.known_to_callbacks()
        return kept

    @classmethod
    def from_dict(cls, kept: dict[str, Any], head: Head) -> Executor:
        """What `to_dict` copied, with the weights that the layers have, or those of the state."""
        result = cls(head=head, **{name: kept[name] for name in _SETTINGS if name in kept})
        result.columns.names, state = kept["feature_names"], kept["state"]
        if state is not None:
            dtypes = result.dtype, result.compute_dtype
            built = result._builder = NetworkBuilder(result.layers, kept["input_shape"], *dtypes)
            result.predictors.set_shapes(built.graph.input.shape, built.graph.output.shape)
            vector, statistics, arrays = built.new_vectors()
            built.bind(arrays)
            if state["parameters"].size:
                vector[...] = state["parameters"]
                statistics[...] = state["statistics"]
            result._state = State.from_dict(state, vector, statistics)
        result.columns.refresh(result.input_shape)
        return result

    # ---- running -------------------------------------------------------------------------------

    def predict(
        self,
        X: Any,
        out: NDArray[Any] | None = None,
        table: Any = None,
        shape: Shape | None = None,
        lengths: Any = None,
    ) -> NDArray[Any]:
        """Output for what `coded` gave, after `check_names` of the `table`; see `Model.predict`.

        X has samples as rows; `shape` is that of one before, if it had more axes.
        """
        sizes = shape or self.input_shape or sizes_of(X)[-1:] or (0,)
        nan = missing.columns(self.layers, sizes) if self.predictors.checks_rows else []
        given = array_checks.array("X", X, self.dtype, (1, 2), keep_mapped=True, missing=nan)
        if shape is None and lengths is None:
            if (few := self.predictors.predict_small(given, out, checked=True)) is not None:
                return few
        x = given if given.ndim == 2 else given.reshape(1, -1)
        self.load_kernels(training=False)
        # Otherwise it is looked for on the way: what has been done by then changes nothing that is kept.
        ahead = out is not None or self._state is None or self.predictors.checks_rows
        options = {"keep_mapped": True, "check_finite": ahead, "given": given.shape, "table": table}
        x = sample_checks.features(x, self.dtype, self.n_in, missing=nan, **options)
        shape = shape or self.input_shape or x.shape[1:]
        check_rows(self.layers, x, self.dtype, "X", shape, table)
        lengths = check_lengths(self, lengths, len(x), shape)
        if self._state is None:  # not otherwise: build waits for a fit in another thread
            self.require_adapted()
        wanted = (*given.shape[:-1], *self.shape_of_output(shape))
        if out is None:
            result = buffers.empty(wanted, self.dtype, "the output")
        else:
            result = array_checks.output(out, wanted, self.dtype)
            x = x.copy() if np.may_share_memory(x, out) else x
        if self._state is None:
            self.build(shape)
        y = result.reshape(len(x), -1)
        pool = self.predictors if lengths is None else self._predictors_with_lengths
        make = functools.partial(self.new_predictor, lengths is not None)
        if not pool.predict_batched(make, x, y, not ahead, lengths):
            array_checks.finite("X", x, self.dtype, table, nan)
        return result if out is None else out

    def loss_and_gradient(
        self, data: DataSet, threads: int | None = None, lengths: Any = None, own: bool = False
    ) -> tuple[float, Any]:
        """Loss and gradient on checked data, between two changes of the weights (`run_exclusive`).

        The gradient's memory is that of the next call's as well, unless it is to be the caller's own.
        """
        net = self.network("gradient", len(data.X), lengths)
        launch.set_data(net, data, lengths)
        launch.run("gradient", net, team_size(len(data.X), net.fields.multiplications, threads))
        return net.fields.loss_value, net.gradient.copy() if own else net.gradient

    # ---- networks ------------------------------------------------------------------------------

    def load_kernels(self, training: bool) -> None:
        """Load what this model needs, or compile it all at once."""
        if training not in self._loaded:
            loader.prepare(required_kernels.by_model(self, training))
            self._loaded.add(training)

    def network(self, purpose: str, rows: int, lengths: Any = None) -> Network:
        """A network to "train", to "evaluate" or for the "gradient"; the latest of each purpose is kept."""
        key, kept = (rows, lengths is not None), self._networks.get(purpose)
        if kept is None or kept[0] != key:
            kept = self._networks[purpose] = (key, self.new_network(rows, purpose, key[1]))
        return kept[1]

    def new_network(self, rows: int, purpose: str = "train", lengths: bool = False) -> Network:
        """See `NetworkBuilder.for_training`."""
        self.require_adapted()
        return self.built.for_training(self.state, self.head, self.metrics, rows, purpose, lengths)

    def new_predictor(self, lengths: bool = False) -> Network:
        """See `NetworkBuilder.for_prediction`."""
        self.require_adapted()
        return self.built.for_prediction(self.state, lengths)

    def embedded_network(self, rows: int) -> Network:
        """A network for compiled code, for steps of `rows` samples at most; it does not need Numba."""
        state, net = self.state, self.new_network(rows, "embedded")
        embedded.prepare_inside(net, state, self.loss)
        return net

    def optimizer_state(self) -> OptimizerState:
        """The optimizer for compiled code: see `Model.optimizer_state`."""
        with self.weights_lock.exclusive():
            self._optimizer_state = self._state_of(copy.copy(self._optimizer), self._optimizer_state)
            return self._optimizer_state

    def _state_of(self, optimizer: Optimizer, kept: OptimizerState | None) -> OptimizerState:
        with self.weights_lock.exclusive():
            graph = self.built.graph
            places = [*graph.parameters, *graph.statistics]
            return optimizer_state(self.state, optimizer, places, frozen_numbers(graph), kept)

    def refresh_optimizer(self, net: Network) -> None:
        """Let a network train by what the optimizer is now: see `FitOptimizer`."""
        given = self._optimizer, self.built.trained(), self.state.optimizer
        self._fit_optimizer.refresh(net, *given, self._state_of)

    def trains_as_before(self, net: Network) -> bool:
        """Whether `refresh_optimizer` would find nothing new."""
        assert self._builder is not None and self._state is not None  # noqa: PT018
        given = self._optimizer, self._builder.trained(), self._state.optimizer
        return self._fit_optimizer.is_current(net, *given)

    def check_optimizer(self) -> None:
        """Raise an error if a setting of the optimizer was changed to one that is out of range."""
        if not self._fit_optimizer.has_seen(self._optimizer):
            self._optimizer.settings()

    def known_to_callbacks(self) -> dict[str, dict[str, Any]]:
        """What the callbacks of the running or the latest fit know."""
        return (self.state.callbacks or {}) if self.callback_states is None else self.callback_states()
