"""Model: layers in a row, built, trained, evaluated and used."""

from __future__ import annotations

import copy
import functools
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import losses, optimizers
from . import metrics as metric_table
from .checks import shown, validate
from .checks.attributes import KnownAttributes
from .checks.hints import not_called
from .compiler import loader
from .data import array_checks, coding, missing, names, sample_checks, weights
from .data.rows import as_samples
from .data.tables import column_names
from .display.summary import summary
from .engine import launch, network, required_kernels
from .engine.optimizer_rows import FitOptimizer, optimizer_state
from .engine.plan import Parameter, constants, frozen_ranges, parameters, plan, widths
from .engine.prediction import PredictorPool
from .engine.state import State
from .engine.threads import shards, team_size
from .engine.weights_lock import WeightsLock
from .io import checkpoint, torch_state
from .kernels.abi import descriptor as d
from .layers import classes, preprocessing
from .layers.base import Layer
from .layers.head import check_units, head_of, mistake
from .layers.registry import draw_parameters
from .memory import buffers
from .training.arguments import FitArguments, check_fit_arguments
from .training.callback import Callback, CallbackList, states
from .training.history import History
from .training.loop import Training
from .training.progress import Bar, Lines, reporter, style
from .training.thread_tuner import ThreadTuner

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from .engine.network import Network, OptimizerState
    from .layers.head import Head
    from .losses import Loss
    from .metrics import Metric
    from .optimizers import Optimizer

# Prediction and evaluation go through so many rows at a time that a layer's output has about this
# many numbers: it then stays in the CPU's second cache.
_CHUNK = 32768
# Attributes that are not copied or pickled, but begin as in a new model.
_RUNTIME_ATTRIBUTES = {
    "_head",
    "last_finite_state",
    "called",
    "_networks",
    "_predictors",
    "_optimizer_state",
    "_loaded",
    "weights_lock",
}
_RUNTIME_ATTRIBUTES |= {"_fit_optimizer", "_numeric", "_thread_tuners", "_waits_for_names"}
# Attributes that a pickle describes in its own terms: see `Model.__getstate__`.
_DERIVED_ATTRIBUTES = {"_state", "_parameters", "_widths"}
# What a pickle calls the others. Pickles must load in later versions, whatever happens to the attributes.
_PICKLED_NAMES = {
    "_layers": "layers",
    "_loss": "loss",
    "_optimizer": "optimizer",
    "_metrics": "metrics",
    "_metric_functions": "metric_functions",
    "_dtype": "dtype",
    "_feature_names": "feature_names",
}


class Model(KnownAttributes):
    """Layers in a row.

    Parameters
    ----------
    layers : sequence of Layer
        Each may be part of one model only.
    loss : str or Loss, optional
        Name, or one of `fastnn.losses`; needed for all but prediction. A last activation that belongs to
        it, `softmax` to `cross_entropy` and `nll`, `sigmoid` to `binary_cross_entropy`, is computed
        together with it: the loss is that of the logits, to the bit.
    optimizer : str or Optimizer
        Name, or one of `fastnn.optimizers`.
    metrics : "auto" or sequence of str or function
        Names of `fastnn.metrics`; "auto" is the accuracy for losses of classes. A function
        ``f(y, prediction)`` of your own gives a number for the validation data, and in `evaluate`.
    dtype : {"float32", "float64"}
        Of the weights and of all arithmetic.
    seed : int, optional
        For initial weights, shuffling and dropout; a random one if not given.
    missing_targets : {"raise", "ignore"}
        Whether a NaN among the targets is an error, or a target that is not known: it has no weight in
        the loss and in the metrics, which are means over what is there. Not in compiled code.

    Attributes
    ----------
    layers : tuple of Layer
    loss : Loss or None
    head : fastnn.layers.head.Head
        What the output of the last layer is: values, logits, probabilities or log-probabilities.
    metrics : tuple of Metric
    dtype : str
    n_in, n_out : int or None
        Numbers that a row of the input and of the output has; None until the model is built.
    feature_names_in_ : array of shape (n_in,), or None
        Names of the columns of the table that the model was first fitted with, if all of them are text.
    history : History or None
        Of the latest `fit`, an interrupted one included.

    Raises
    ------
    TypeError, ValueError
        If a setting is not of its kind or out of range, or a name is not known.

    Warns
    -----
    UserWarning
        If the last activation cannot belong to the loss, as `tanh` to `cross_entropy`: what to write instead.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.spiral(100, 3, seed=0)
    >>> model = fn.Model([fn.Dense(64, "relu"), fn.Dense(3)], loss="cross_entropy", seed=0)
    >>> history = model.fit(X, y, epochs=200)
    >>> model.evaluate(X, y)["accuracy"] > 0.9
    True
    >>> model.predict(X).shape
    (300, 3)
    """

    history: History | None
    stop_training: bool
    last_finite_state: State | None  # the last state known to be finite, while training
    called: CallbackList | None  # the callbacks, while training
    weights_lock: WeightsLock  # of those who change the weights and those who predict
    #: Of the columns that it was fitted with: empty without names, None before.
    _feature_names: tuple[str, ...] | None = None

    def __init__(
        self,
        layers: Sequence[Layer],
        loss: str | Loss | None = None,
        optimizer: str | Optimizer = "adam",
        metrics: str | Sequence[str | Callable[..., Any]] = "auto",
        dtype: DTypeLike = "float32",
        seed: int | None = None,
        missing_targets: str = "raise",
    ) -> None:
        self._layers = _check_layers(layers)
        self._loss = None if loss is None else losses.get(loss)
        if missing_targets != "raise":
            self._loss = losses.with_missing(self._loss, missing_targets)
        self._metrics = metric_table.get(metrics, self._loss)
        check_units(self._layers, self._loss, self._metrics)
        self._metric_functions = metric_table.functions(metrics)
        self._dtype = validate.dtype(dtype)
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        self._state: State | None = None
        self.seed = seed
        self._optimizer = optimizers.get(optimizer)
        self.history = None
        self.stop_training = False
        self._parameters: list[Parameter] = []
        self._widths: list[int] = []
        self._reset_runtime()
        if (wrong := mistake(self.layers, self.loss)) is not None:
            warnings.warn(f"the last activation does not fit the loss: {wrong}", stacklevel=2)

    def _reset_runtime(self) -> None:
        """Set what no copy of the model takes over: `_RUNTIME_ATTRIBUTES`."""
        self._head = head_of(self.layers, self.loss)
        self.last_finite_state = self.called = None
        self._networks: dict[str, tuple[int, Network]] = {}
        self._thread_tuners: dict[int, ThreadTuner] = {}  # by the rows of a step: that of the latest fit
        self.weights_lock = WeightsLock()
        self._predictors = PredictorPool(any(layer.checks_rows for layer in self.layers), self.weights_lock)
        self._look_at_arrays(bool(self._feature_names))
        self._optimizer_state: OptimizerState | None = None
        self._fit_optimizer = FitOptimizer()
        self._loaded: set[bool] = set()  # whether it has loaded the kernels to train, and to predict
        for layer in self.layers:
            layer._attach(self)

    @property
    def _lock(self) -> AbstractContextManager[None]:
        """Building, adapting and training are one at a time."""
        return self.weights_lock.held()

    # ---- building ------------------------------------------------------------------------------

    def build(self, n_in: int) -> Model:
        """Make the weights, for inputs of `n_in` numbers.

        Called by `fit` and by the first call otherwise; on a built model it only checks the size.

        Parameters
        ----------
        n_in : int

        Returns
        -------
        Model
            Itself.

        Raises
        ------
        ValueError
            If the model is built for another size already.
        """
        n_in = validate.integer("n_in", n_in, low=1)
        if self._state is None:  # otherwise without the lock, which a fit in another thread holds
            with self._lock:
                if self._state is None:
                    self._make_weights(n_in)
        if n_in != self.n_in:
            raise ValueError(f"the model is built for inputs of {self.n_in} numbers, got n_in={n_in}")
        return self

    def _make_weights(self, n_in: int) -> None:
        sizes = widths(self.layers, n_in)
        if 0 in sizes:
            self._require_adapted()
        places = parameters(self.layers, n_in)
        vector = buffers.allocate(sum(p.size for p in places), self.dtype, buffers.PARAMETERS)
        views = buffers.views(vector, places, len(self.layers))
        draw_parameters(self.layers, views, self.seed)
        numbers = constants(self.layers, n_in, self.dtype)
        self._bind(views)
        self._parameters, self._widths = places, sizes
        self._state = State(vector, np.zeros(0, self.dtype), numbers, self.seed)
        self._look_at_arrays(bool(self._feature_names))

    def _require_adapted(self, layers: Sequence[Layer] | None = None) -> None:
        for layer in self.layers if layers is None else layers:
            if not layer.adapted:
                how = "model.layers[-1].adapt(y)" if layer.of_targets else "model.adapt(X)"
                raise ValueError(f"{layer!r} is not adapted to data yet; use fit or {how}")

    def adapt(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Model:
        """Let preprocessing layers compute their statistics again, one after the other.

        `fit` does so once, for those that have none yet.

        Parameters
        ----------
        X, sample_weight
            As for `fit`.

        Returns
        -------
        Model
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument is not what `fit` takes, or the model is built for other numbers of
            columns or categories; the layers are then as they were.
        """
        self.check_names(X)
        found = coding.find(
            self.layers, X, lambda n: weights.counting(sample_weight, n, self.dtype), anew=True
        )
        x = coding.coded(self.layers, X, self.dtype, n_in=self.n_in, found=found)
        x = sample_checks.features(x, self.dtype, self.n_in, keep_mapped=True, table=X)
        weight = weights.of_samples(sample_weight, len(x), self.dtype)
        with self._lock, preprocessing.undone_on_error(self.layers):
            preprocessing.adapt(self.layers, x, weight, self.dtype, anew=True)
            coding.take(self.layers, found)
            self.refresh_constants()
            self.take_names(column_names(X))
        return self

    def refresh_constants(self) -> None:
        """Take over the numbers of layers that were adapted; a ValueError if sizes do not fit."""
        self._look_at_arrays(bool(self._feature_names))
        if self._state is None:
            return
        assert self.n_in is not None
        numbers = constants(self.layers, self.n_in, self.dtype)
        if widths(self.layers, self.n_in) != self._widths:
            raise ValueError("the model is built for another number of categories; make a new model")
        with self.weights_lock.change():
            self._state.take_constants(numbers)

    def _bind(self, views: list[dict[str, NDArray[Any]]]) -> None:
        """Make these the layers' weights; what a layer has already, from use alone, is kept."""
        for layer, own in zip(self.layers, views, strict=True):
            for name, view in own.items():
                if name in layer._views:
                    old = layer._views[name]
                    if old.shape != view.shape:
                        raise ValueError(f"{layer!r} has {name} of shape {old.shape}, not {view.shape}")
                    view[...] = old
        for layer, own in zip(self.layers, views, strict=True):
            layer._views = own

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copy: all but locks and networks.

        The layers bring the weights, unless another thread trains: they are looked at later, when the
        weights may be those of another step.
        """
        with self.weights_lock.exclusive():  # between two steps of a fit in another thread
            left_out = _RUNTIME_ATTRIBUTES | _DERIVED_ATTRIBUTES
            kept = {_PICKLED_NAMES.get(k, k): value for k, value in vars(self).items() if k not in left_out}
            kept["input_shape"] = None if self.n_in is None else (self.n_in,)
            kept["state"] = None
            if self._state is not None:
                training = not self.weights_lock.fit_lock.is_free()
                kept["state"] = self._state.to_dict(with_parameters=training) | {"callbacks": states(self)}
        return kept

    def __setstate__(self, kept: dict[str, Any]) -> None:
        attributes = {pickled: name for name, pickled in _PICKLED_NAMES.items()}
        vars(self).update({attributes.get(name, name): value for name, value in kept.items()})
        shape, state = vars(self).pop("input_shape"), vars(self).pop("state")
        self._state = None
        self._widths = [] if shape is None else widths(self.layers, *shape)
        self._parameters = [] if shape is None else parameters(self.layers, *shape)
        self._reset_runtime()
        if state is not None:
            vector = buffers.allocate(sum(p.size for p in self._parameters), self.dtype, buffers.PARAMETERS)
            self._bind(buffers.views(vector, self._parameters, len(self.layers)))
            if state["parameters"].size:
                vector[...] = state["parameters"]
            self._state = State.from_dict(state, vector)

    def __copy__(self) -> Model:
        """A deep copy: a layer can be part of one model only."""
        return copy.deepcopy(self)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers. They, and what follows, cannot be changed: weights and plans depend on them."""
        return self._layers

    @property
    def loss(self) -> Loss | None:
        """The loss."""
        return self._loss

    @property
    def missing_targets(self) -> str:
        """Whether targets may be NaN."""
        return "raise" if self.loss is None else self.loss.missing_targets

    @property
    def head(self) -> Head:
        """What the output is, and what the loss is computed from."""
        return self._head

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics of the library."""
        return self._metrics

    @property
    def metric_functions(self) -> tuple[Callable[..., Any], ...]:
        """The metrics of the user's own."""
        return self._metric_functions

    @property
    def n_in(self) -> int | None:
        """Numbers that a row of the input has; None until the model is built."""
        return self._widths[0] if self._widths else None

    @property
    def n_out(self) -> int | None:
        """Numbers that a row of the output has; None until the model is built."""
        return self._widths[-1] if self._widths else None

    @property
    def dtype(self) -> str:
        """``"float32"`` or ``"float64"``."""
        return self._dtype

    @property
    def seed(self) -> int:
        """Of the random numbers; a new one counts from the next step on, or for the initial weights."""
        seed: int = vars(self)["seed"]
        return seed

    @seed.setter
    def seed(self, value: int) -> None:
        seed = validate.integer("seed", value, low=0)
        if seed >= 2**63:
            raise ValueError(f"seed must be < 2**63, got {value!r}")
        vars(self)["seed"] = seed
        if self._state is not None:
            self._state.seed = seed

    @property
    def state(self) -> State:
        """Parameters, the optimizer's memory and counters of a built model."""
        if self._state is None:
            raise ValueError("the model is not built yet; use model.build(n_in) or fit")
        return self._state

    @property
    def feature_names_in_(self) -> NDArray[Any] | None:
        """Names of the columns of the table that it was first fitted with, as in scikit-learn, or None."""
        return names.as_array(self._feature_names)

    def check_names(self, X: Any, name: str = "X") -> None:
        """Raise a ValueError if a table has other columns than the one that the model was fitted with."""
        given = column_names(X)
        if self._feature_names and not given and self._waits_for_names:
            self._look_at_arrays(False)  # once is enough
        names.check(self._feature_names, given, name)

    def _look_at_arrays(self, names: bool) -> None:
        """Let `predict` look at the names of arrays, which have none, and at categories, or only at these."""
        self._waits_for_names = names
        codes, safe = bool(coding.coders(self.layers)), None
        self._numeric = None if self.n_in is None else coding.numeric_columns(self.layers, self.n_in)
        columns = None if names or self._numeric is None else self._numeric.tolist()
        if not names and not coding.has_labels(self.layers):
            safe = self.dtype
        self._predictors.look_at(names or codes, safe, columns)

    def take_names(self, given: tuple[str, ...]) -> None:
        """Remember the names of the columns that it is fitted with first."""
        if self._feature_names is None:
            self._feature_names = given
            self._look_at_arrays(bool(given))

    @property
    def parameters(self) -> NDArray[Any]:
        """All weights and biases, as one vector of shape (n_parameters,), which may be written to.

        Layer by layer: the weights, of shape (n_in, n_out) in C order, then the bias.
        """
        return self.state.parameters

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer. Its attributes may be changed at any time; a new one begins anew.

        `fit` takes what they are between two compiled calls, which take about 0.1 s.
        """
        return self._optimizer

    @optimizer.setter
    def optimizer(self, value: str | Optimizer) -> None:
        optimizer = optimizers.get(value)
        with (
            self._lock,
            self.weights_lock.exclusive(),
        ):  # not while another thread trains with the old one's memory
            self._optimizer = optimizer
            for state in (self._state, self.last_finite_state):  # a fit may go back to the latter
                if state is not None:
                    state.forget_optimizer()

    # ---- using ---------------------------------------------------------------------------------

    def predict(self, X: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """What the last layer gives: logits where it has no activation, probabilities behind a softmax.

        May be called by several threads at once, and while another one trains the model: then a call waits
        for up to about 0.1 s, and sees the weights of a finished step.

        Parameters
        ----------
        X : array of shape (n, n_in), or (n_in,) for one sample
        out : array of shape (n, n_out), or (n_out,) for one sample, optional
            Of the model's dtype and C-contiguous: the result is written there, and no array is
            allocated if `X` is of the model's dtype as well. May overlap `X`, which is copied then.

        Returns
        -------
        array of shape (n, n_out), or (n_out,) for one sample
            `out`, or a new one of the model's dtype. A row does not depend on the rows around it.

        Raises
        ------
        TypeError, ValueError
            If `X` is not numbers, of another shape, or not finite, or `out` is not as described above;
            `out` is then as it was.

        Examples
        --------
        >>> import numpy as np
        >>> import fastnn as fn
        >>> model = fn.Model([fn.Dense(2)], seed=0).build(3)
        >>> out = np.empty(2, np.float32)
        >>> model.predict([1, 2, 3], out=out) is out
        True
        """
        few = self._predictors.predict_small(X, out)
        if few is not None:
            return few
        self.check_names(X)
        return self.predict_coded(self.coded(X), out, X)

    def coded(self, X: Any) -> Any:
        """Samples in which categories that the dtype may not hold are numbers of categories."""
        return coding.coded(self.layers, X, self.dtype, n_in=self.n_in, numeric=self._numeric)

    def predict_coded(self, X: Any, out: NDArray[Any] | None = None, table: Any = None) -> NDArray[Any]:
        """As `predict`, of what `coded` gave, after a look at the names of the columns of the `table`."""
        given = array_checks.array("X", X, self.dtype, (1, 2), keep_mapped=True)
        few = self._predictors.predict_small(given, out, looked_at=True)
        if few is not None:
            return few
        x = given if given.ndim == 2 else given.reshape(1, -1)
        self.load_kernels(training=False)
        # Otherwise it is looked for on the way: what has been done by then changes nothing that is kept.
        ahead = out is not None or self._state is None or self._predictors.checks_rows
        x = sample_checks.features(
            x,
            self.dtype,
            self.n_in,
            keep_mapped=True,
            check_finite=ahead,
            given=given.shape,
            table=table,
        )
        preprocessing.check(self.layers, x, self.dtype, "X")
        if self._state is None:  # not otherwise: build waits for a fit in another thread
            self._require_adapted()
        shape = (*given.shape[:-1], widths(self.layers, x.shape[1])[-1])
        if out is None:
            result = buffers.empty(shape, self.dtype, "the output")
        else:
            result = array_checks.output(out, shape, self.dtype)
            x = x.copy() if np.may_share_memory(x, out) else x
        if self._state is None:
            self.build(x.shape[1])
        if not self._predictors.predict_batched(self._predictor, x, result.reshape(len(x), -1)):
            array_checks.finite("X", x, self.dtype, table)
        return result if out is None else out

    def __call__(self, X: ArrayLike) -> NDArray[Any]:
        """See `predict`."""
        return self.predict(X)

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Probabilities of the classes, whether the last layer gives them or logits.

        Parameters
        ----------
        X : array of shape (n, n_in), or (n_in,) for one sample

        Returns
        -------
        array of shape (n, n_classes), or (n_classes,) for one sample
            Of the model's dtype. One output that stands for a class of two gives two columns, as in
            scikit-learn; several such outputs, which stand for labels, give a column each.

        Raises
        ------
        TypeError, ValueError
            As `predict`; ValueError also if the loss is not one of classes.

        Examples
        --------
        >>> import fastnn as fn
        >>> model = fn.Model([fn.Dense(1)], loss="binary_cross_entropy", seed=0).build(2)
        >>> model.predict_proba([[0.0, 0.0]])
        array([[0.5, 0.5]], dtype=float32)
        """
        classes.require("predict_proba", self.head, self.loss)
        return classes.by_class(self.head, self.predict(X))

    def predict_class(self, X: ArrayLike) -> Any:
        """Number of the most probable class of each sample.

        Parameters
        ----------
        X : array of shape (n, n_in), or (n_in,) for one sample

        Returns
        -------
        int64 array of shape (n,), or a number for one sample
            For several outputs that stand for labels (`binary_cross_entropy`) an array of 0 and 1, of
            shape (n, n_out) or (n_out,).

        Raises
        ------
        TypeError, ValueError
            As `predict_proba`.

        Examples
        --------
        >>> import fastnn as fn
        >>> X, y = fn.datasets.spiral(100, 3, seed=0)
        >>> model = fn.Model([fn.Dense(32, "relu"), fn.Dense(3)], loss="cross_entropy", seed=0)
        >>> history = model.fit(X, y, epochs=200)
        >>> bool((model.predict_class(X) == y).mean() > 0.9)
        True
        """
        classes.require("predict_class", self.head, self.loss)
        return classes.numbers(self.head, self.predict(X))

    def call_layer(self, layer: Layer, X: ArrayLike) -> NDArray[Any]:
        """Output of one of the model's layers for `X`, of shape (n, n_in) or (n_in,) of that layer."""
        given = array_checks.array("x", coding.coded([layer], X, self.dtype, "x"), self.dtype, (1, 2))
        x = given if given.ndim == 2 else given.reshape(1, -1)
        index = self.layers.index(layer)
        if index == 0:
            self.check_names(X, "x")
        self._require_adapted(self.layers[: index + 1])
        if self._state is None and len(self.layers) == 1:
            self.build(sample_checks.features(x, self.dtype, None, name="x", given=given.shape).shape[1])
        parameters = self.state.parameters
        assert self.n_in is not None
        n_in = widths(self.layers, self.n_in)[index]
        x = sample_checks.features(x, self.dtype, n_in, name="x", given=given.shape)
        preprocessing.check([layer], x, self.dtype, "x")
        at = next((p.offset for p in self._parameters if p.layer == index), 0)
        first = constants(self.layers[:index], self.n_in, self.dtype).size
        layout = plan([layer], n_in, len(x), self.dtype, training=False, at=at, constants_at=first)
        net = network.network(layout, parameters, constants=self.state.constants, batch_size=len(x))
        out = buffers.empty((*given.shape[:-1], layer.output_size(n_in)), self.dtype, "the output")
        with self.weights_lock.exclusive():
            launch.predict(net, x, out.reshape(len(x), -1))
        return out

    def evaluate(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> dict[str, float]:
        """Loss and metrics on given data.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`; or one sample, as for `partial_fit`.

        Returns
        -------
        dict of str to float
            ``{"loss": ..., "accuracy": ...}``, then metrics of your own by their names; the loss includes
            the penalties on the weights.

        Raises
        ------
        TypeError, ValueError
            As `fit`.
        """
        X, y, sample_weight = self._as_samples(X, y, sample_weight)
        self.check_names(X)
        data = self._checked(X, y, sample_weight)
        self._require_adapted()
        self.build(data[0].shape[1])
        return self._evaluate(*data)

    def loss_and_gradient(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, NDArray[Any]]:
        """Loss of all samples as one batch, and its gradient with respect to all parameters.

        Dropout does not drop. The penalties on the weights are included.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`; or one sample, as for `partial_fit`.

        Returns
        -------
        loss : float
        gradient : array of shape (n_parameters,)
            In the order of `parameters`.

        Raises
        ------
        TypeError, ValueError
            As `fit`.
        """
        X, y, sample_weight = self._as_samples(X, y, sample_weight)
        self.check_names(X)
        data = self._checked(X, y, sample_weight, penalties=True)
        self._require_adapted()
        self.build(data[0].shape[1])
        with self.weights_lock.exclusive():
            loss, gradient = self._loss_and_gradient(data)
            return loss, gradient.copy()

    # ---- training ------------------------------------------------------------------------------

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int = 1,
        batch_size: int | None = 32,
        shuffle: bool | Callable[[int], ArrayLike] = True,
        sample_weight: ArrayLike | None = None,
        class_weight: Any = None,
        validation_data: Any = None,
        validation_split: float = 0.0,
        callbacks: Sequence[Callback | Callable[[int, dict[str, float]], Any]] = (),
        verbose: Any = "auto",
        threads: int | None = None,
        resume: bool = False,
        initial_epoch: int = 0,
    ) -> History:
        """Train.

        Parameters
        ----------
        X : array of shape (n, n_in)
            Finite numbers. A C-contiguous array of the model's dtype is used where it lies, and so is a
            C-contiguous `numpy.memmap` of any real dtype but float16, which may be larger than the
            memory; any other array is converted once.
        y : array of shape (n, n_out), or (n,) for one output
            For `cross_entropy` and `nll` also class numbers of shape (n,) or (n, 1).
        epochs : int
            How many times to go through the data, less `initial_epoch`.
        batch_size : int or None
            Samples of a step; None is all.
        shuffle : bool or function
            Whether to go through the samples in a new order each epoch. A function gives the order
            itself: ``function(epoch)``, with epochs counted from `initial_epoch`, is an array of n numbers
            of samples.
        sample_weight : array of shape (n,), optional
            Numbers >= 0. Their common scale is free, and may be beyond what the dtype holds; not so
            with `sse`, a sum, and with penalties `alpha`, where it is refused then. For losses of values
            and of labels also (n, n_out), a weight for each output.
        class_weight : dict of int to float, or "balanced", optional
            Factors of the samples of each class that are trained on, 1 for those not named;
            "balanced" makes all classes weigh the same. Of several labels they are factors of the
            classes 0 and 1 of each label; a list has one for each label.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Evaluated after each epoch.
        validation_split : float, 0 <= validation_split < 1
            This share of the samples, the last, is not trained on but evaluated after each epoch.
        callbacks : sequence of Callback or function
            Called between epochs; see `fastnn.callbacks`.
        verbose : "auto", 0, 1 or 2
            1 shows a bar of progress, 2 prints a line an epoch; "auto" is 1 in a terminal or notebook,
            and 0 elsewhere.
        threads : int, optional
            How many threads to train with. If not given, one, or up to `fastnn.get_threads` where the
            work of a step is worth it and they prove faster. The result is the same bits in any case.
        resume : bool
            Whether this goes on with the latest fit, also one of before the model was saved with
            ``training=True``. The callbacks then know what those of that fit knew (see
            `Callback.get_state`). If it was interrupted within an epoch, that epoch is resumed and counted
            among `epochs`; otherwise, or where a function gave its order, it is begun again.
        initial_epoch : int
            Number of the first epoch, as in Keras: training goes from there until `epochs`, and the
            history and callbacks count so.

        Returns
        -------
        History
            Also kept as `history`.

        Raises
        ------
        TypeError, ValueError
            If an argument is not what is described above; the model is then as it was.
        DivergenceError
            If the loss, a weight or what the optimizer remembers becomes NaN or infinite; the last
            finite weights are kept.
        KeyboardInterrupt
            On Ctrl-C, within a fraction of a second; the model is that of a finished step.
        """
        shown = style(verbose)
        if threads is not None:
            threads = validate.integer("threads", threads, low=1)
        task = check_fit_arguments(
            self,
            self._checked,
            X,
            y,
            epochs=epochs,
            batch_size=batch_size,
            shuffle=shuffle,
            sample_weight=sample_weight,
            class_weight=class_weight,
            validation_data=validation_data,
            validation_split=validation_split,
            callbacks=callbacks,
            resume=resume,
            initial_epoch=initial_epoch,
        )
        watched = [str(getattr(callback, "monitor", "")) for callback in task.callbacks]
        self.train(task, threads, reporter(shown, task.epochs, task.initial_epoch, watched))
        return task.history

    def train(
        self,
        task: FitArguments,
        threads: int | None = None,
        progress: Bar | Lines | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Do what `task.check_fit_arguments` has checked; see `Training`."""
        evaluate = None
        if task.validation is not None:
            evaluate = functools.partial(self._validation_figures, *task.validation, threads)
        with self.weights_lock.fit():
            self._adapt_and_build(task)
            if task.resume and self.state.interrupted_epoch is not None:
                self.state.interrupted_epoch.check(
                    len(task.data[0]), task.rows, task.shuffle, self.state.position
                )
            self.history = task.history
            net = self._network("train", task.rows)
            tuner = self._thread_tuner(task.rows, threads)
            training = Training(
                self, net, task, evaluate=evaluate, progress=progress, thread_tuner=tuner, stop=stop
            )
            try:
                training.run()
            except Exception as error:
                task.history.note(error)
                raise

    def _thread_tuner(self, rows: int, threads: int | None) -> ThreadTuner:
        """That of the fit before, if it was for as many rows and threads: it knows how fast they are."""
        team, fixed = team_size(rows, self.parameters.size, threads), threads is not None
        known = self._thread_tuners.get(rows)
        if known is None or (known.threads, known.fixed) != (team, fixed):
            self._thread_tuners = {rows: ThreadTuner(team, fixed)}
        return self._thread_tuners[rows]

    def _adapt_and_build(self, task: FitArguments) -> None:
        x = task.data[0]
        with preprocessing.undone_on_error(self.layers):
            if not all(layer.adapted for layer in self.layers):
                preprocessing.adapt(self.layers, x, task.sample_weight, self.dtype, anew=False)
                coding.take(self.layers, task.found)
                preprocessing.adapt_to_targets(self.layers[-1], *task.data[1:])
                self.refresh_constants()
                if task.validation is not None:
                    preprocessing.check(self.layers, task.validation[0], self.dtype, "validation X")
            self.build(x.shape[1])
            self.take_names(task.names)

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        batch_size: int | None = None,
    ) -> Model:
        """Go through the given data once, in its order; by default in a single step.

        Parameters
        ----------
        X, y, sample_weight, batch_size
            As for `fit`. For one sample `X` may have the shape (n_in,), as in `predict`; `y` is then its
            target, a number or of shape (n_out,), and `sample_weight` a number.

        Returns
        -------
        Model
            Itself.

        Raises
        ------
        TypeError, ValueError, DivergenceError
            As `fit`.
        """
        X, y, sample_weight = self._as_samples(X, y, sample_weight)
        self.fit(X, y, batch_size=batch_size, shuffle=False, sample_weight=sample_weight, verbose=0)
        return self

    # ---- showing and saving --------------------------------------------------------------------

    def network(self, max_batch: int = 32) -> Network:
        """The model as arrays, for use inside compiled code: see ``docs/compiled_code.md``.

        For `fastnn.forward`, `input_gradient`, `jacobian`, `parameter_jacobian`, and for a model with a
        loss `loss_and_gradient` and `train_step`. The weights are the model's own: what a later `fit`
        changes is seen, and what `train_step` changes is the model's. A network belongs to one thread at
        a time: see `fastnn.clone_workspace`.

        Parameters
        ----------
        max_batch : int
            Most samples of a training step. Other functions take any number, and go through them so
            many at a time at most. The memory of the workspace is proportional to it.

        Returns
        -------
        Network
            A NamedTuple of arrays, valid as an argument of functions compiled by Numba. As a global, a
            variable of an enclosing function or a default argument it is refused when they are compiled.

        Raises
        ------
        TypeError, ValueError
            If the model is not built, or `max_batch` is not an integer >= 1.

        Examples
        --------
        >>> import numpy as np
        >>> from numba import njit
        >>> import fastnn as fn
        >>> net = fn.Model([fn.Dense(2, "tanh")], seed=0).build(3).network()
        >>> @njit
        ... def largest_output(net, x, out):
        ...     fn.forward(net, x, out)
        ...     return out.argmax()
        >>> largest_output(net, np.array([1, 2, 3], np.float32), np.empty(2, np.float32))
        0
        """
        rows = validate.integer("max_batch", max_batch, low=1)
        net = self.inside(rows)
        network.refuse_constants()
        return net

    def inside(self, rows: int) -> Network:
        """What `network` gives, for steps of `rows` samples at most; it does not need Numba."""
        state = self.state
        net = self._new_network(rows, "inside")
        network.prepare_inside(net, state, self.loss is not None and self.loss.target == "classes")
        return net

    @property
    def trainable(self) -> bool:
        """Whether any of its layers is trained; setting it sets all of theirs: see `Layer.trainable`."""
        return any(layer.trainable for layer in self.layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.layers:
            layer.trainable = value

    def optimizer_state(self) -> OptimizerState:
        """The optimizer as arrays, for `fastnn.train_step` inside compiled code.

        Its memory and the counter of steps are the model's own, so that `fit` and `train_step` can take
        weights_lock. Where the optimizer's settings were changed, a new call enters them into what earlier
        calls returned. Where another optimizer was set, or one that remembers more, ask for the new
        state: the earlier one goes on with the old optimizer. May be called while another thread trains the
        model: it then waits for up to about 0.1 s, as `predict` does.

        Returns
        -------
        OptimizerState
            A NamedTuple of arrays, valid as an argument of functions compiled by Numba.

        Raises
        ------
        ValueError
            If the model is not built, or a setting was changed to one that is out of range.
        """
        with self.weights_lock.exclusive():
            self._optimizer_state = self._state_of(copy.copy(self._optimizer), self._optimizer_state)
            return self._optimizer_state

    def _state_of(self, optimizer: Optimizer, kept: OptimizerState | None) -> OptimizerState:
        with self.weights_lock.exclusive():
            frozen = frozen_ranges(self.layers, self._parameters)
            return optimizer_state(self.state, optimizer, self._parameters, frozen, kept)

    def refresh_optimizer(self, net: Network) -> None:
        """Let a network train by what the optimizer is now: see `FitOptimizer`."""
        trained = [layer.trainable for layer in self.layers]
        memory = self.state.optimizer
        self._fit_optimizer.refresh(net, self._optimizer, trained, memory, self._state_of)

    def summary(self) -> None:
        """Print a table of the layers, their output shapes and parameter counts."""
        print(summary(self))

    def save(self, path: str | os.PathLike[str], training: bool = False) -> None:
        """Write the model to a file in the safetensors format: see `fastnn.load`.

        Parameters
        ----------
        path : str or path
            Replaced if it exists, in one step; a symbolic link is followed.
        training : bool
            Whether to write also what training needs to go on to the same bits as if it had not been
            interrupted: the optimizer's memory, the state of the random numbers, where within an
            epoch it stopped, and what the callbacks knew (see `resume` of `fit`).

        Raises
        ------
        ValueError
            If the model is not built, or holds NaN or infinity; the file is then as it was.
        OSError
            If the file cannot be written.
        """
        checkpoint.save(self, path, training)

    def to_torch_state(self, as_numpy: bool = False) -> dict[str, Any]:
        """The weights as ``load_state_dict`` of a `torch.nn.Sequential` of the same layers takes them.

        `Dense` is a ``Linear``, followed by a module for its activation if it has one; `Activation` and
        `Dropout` are one module each: ``[Dense(8, "relu"), Dropout(0.2), Dense(3)]`` is
        ``Sequential(Linear(n_in, 8), ReLU(), Dropout(0.2), Linear(8, 3))``. The way back is
        `fastnn.load_torch`.

        Parameters
        ----------
        as_numpy : bool
            Whether to give NumPy arrays, for which PyTorch is not needed.

        Returns
        -------
        dict of str to tensor or array
            Copies: ``"0.weight"`` of shape (n_out, n_in), ``"0.bias"``, ...

        Raises
        ------
        ImportError
            If PyTorch is needed and not installed.
        ValueError
            If the model is not built, or has a layer that is none of these.

        Examples
        --------
        >>> import fastnn as fn
        >>> model = fn.Model([fn.Dense(8, "relu"), fn.Dense(3)]).build(4)
        >>> {key: value.shape for key, value in model.to_torch_state(as_numpy=True).items()}
        {'0.weight': (8, 4), '0.bias': (8,), '2.weight': (3, 8), '2.bias': (3,)}
        """
        return torch_state.to_torch_state(self, as_numpy)

    def __repr__(self) -> str:
        settings: dict[str, Any] = {"loss": self.loss}
        if self.optimizer != optimizers.Adam():
            settings["optimizer"] = self.optimizer
        settings |= shown.other(Model, {"dtype": self.dtype})
        return shown.call("Model", (list(self.layers),), settings)

    def _repr_html_(self) -> str:
        from .display.html import model_html

        return model_html(self)

    # ---- inside --------------------------------------------------------------------------------

    def _as_samples(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        n_out = functools.partial(widths, self.layers)
        return as_samples(X, y, sample_weight, self.n_in, lambda n_in: n_out(n_in)[-1])

    def _checked(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        n_in: int | None = None,
        name: str = "",
        penalties: bool = False,
        found: coding.Found | None = None,
        coded: bool = False,
        table: Any = None,
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """Samples, targets and weights, checked before anything changes; with all penalties, or without.

        `found` is for `coding.coded`, unless X is `coded`; `table` is what X was made of.
        """
        if self.loss is None:
            raise ValueError("the model has no loss; give one: fn.Model(layers, loss=...)")
        n_in, table = self.n_in or n_in, X if table is None else table
        if not coded:
            X = coding.coded(self.layers, X, self.dtype, f"{name}X", n_in=n_in, found=found)
        x = sample_checks.features(X, self.dtype, n_in, name=f"{name}X", keep_mapped=True, table=table)
        preprocessing.check(self.layers, x, self.dtype, f"{name}X")
        n_out = widths(self.layers, x.shape[1])[-1]
        y, present = missing.filled(y, self.loss, self.dtype, f"{name}y")
        target = sample_checks.targets(y, self.loss, n_out, x.shape, self.dtype, prefix=name)
        outputs = weights.of_outputs(self.loss, n_out)
        counts = weights.scale_counts(self.loss, self.layers if penalties else ())
        weight = weights.of_samples(
            sample_weight, len(x), self.dtype, counts, prefix=name, outputs=outputs, present=present
        )
        return x, target, weight

    def load_kernels(self, training: bool) -> None:
        """Load what this model needs, or compile it all at once."""
        if training not in self._loaded:
            loader.prepare(required_kernels.by_model(self, training))
            self._loaded.add(training)

    def _loss_and_gradient(self, data: tuple[Any, ...], threads: int | None = None) -> tuple[float, Any]:
        """Loss and gradient on checked data; the gradient's memory is that of the next call's as well."""
        with self.weights_lock.exclusive():
            net = self._network("gradient", len(data[0]))
            launch.set_data(net, *data)
            launch.run("gradient", net, team_size(len(data[0]), self.parameters.size, threads))
            return float(net.descriptor.view(np.float64)[d.LOSS_VALUE]), net.gradients[0]

    def _evaluate(
        self, X: NDArray[Any], y: NDArray[Any], weight: NDArray[Any] | None, threads: int | None = None
    ) -> dict[str, float]:
        figures = buffers.allocate(1 + len(self.metrics), "float64", "figures")
        with self.weights_lock.exclusive():
            rows = min(len(X), 4 * self._chunk())
            net = self._network("evaluate", rows)
            launch.set_data(net, X, y, weight)
            slots = net.descriptor
            slots[d.HISTORY], slots[d.HISTORY_WIDTH] = buffers.address(figures), figures.size
            launch.run("evaluate", net, team_size(rows, self.parameters.size, threads))
            outputs = self.predict_coded(X) if self._metric_functions else None  # of the same weights
        found = dict(zip(("loss", *(metric.name for metric in self.metrics)), figures.tolist(), strict=True))
        if outputs is not None and self.loss is not None:
            found |= metric_table.own_figures(self._metric_functions, self.loss, y, outputs, weight)
        return found

    def _validation_figures(self, *data: Any) -> dict[str, float]:
        return {f"val_{name}": value for name, value in self._evaluate(*data).items()}

    def _network(self, purpose: str, rows: int) -> Network:
        """A network for training, gradients or evaluation; the latest of each purpose is kept."""
        kept = self._networks.get(purpose)
        if kept is None or kept[0] != rows:
            kept = self._networks[purpose] = (rows, self._new_network(rows, purpose))
        return kept[1]

    def _new_network(self, rows: int, purpose: str = "train") -> Network:
        assert self.n_in is not None
        self._require_adapted()
        count = 2 if purpose == "evaluate" else 3  # without alpha, or with
        penalties = [
            (p.offset, p.size, factors)
            for p in self._parameters
            if p.name == "weights" and any(factors := self.layers[p.layer].penalties()[:count])
        ]
        loss = self.head.loss
        if loss is not None and purpose in ("train", "evaluate"):
            loss = loss.as_reported()
        count = shards(rows, self.parameters.size)
        lay_out = functools.partial(plan, self.layers, self.n_in, -(-rows // count), self.dtype)
        measured = () if purpose == "inside" else self.metrics
        shown = any(metric.of_output for metric in measured)
        return network.network(
            lay_out(training=True, head=self.head.ops, with_output=shown),
            self.parameters,
            constants=self.state.constants,
            batch_size=rows,
            n_shards=count,
            loss=loss,
            penalties=penalties,
            metrics=measured,
            predict=lay_out(training=False) if purpose == "inside" else None,
            inputs=lay_out(training=True, input_gradient=True) if purpose == "inside" else None,
            scales_targets=loss is not None and self.layers[-1].of_targets,
        )

    def _predictor(self) -> Network:
        assert self.n_in is not None
        self._require_adapted()
        layout = plan(self.layers, self.n_in, self._chunk(), self.dtype, training=False)
        numbers = self.state.constants
        return network.network(layout, self.parameters, constants=numbers, batch_size=layout.rows)

    def _chunk(self) -> int:
        assert self.n_in is not None
        return min(max(_CHUNK // max(widths(self.layers, self.n_in)), 16), 1024)


def _check_layers(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers as a tuple, if each is a layer and may become part of a model."""
    if isinstance(layers, Layer):
        raise TypeError(f"layers must be a sequence of layers, got a single one: {layers!r}")
    if not isinstance(layers, Iterable):
        raise TypeError(f"layers must be a sequence of layers, got {layers!r}")
    result = tuple(layers)
    if not result:
        raise ValueError("layers must not be empty")
    trained = None
    for layer in result:
        if not isinstance(layer, Layer):
            raise TypeError(f"layers must be fastnn layers, got {layer!r}{not_called(layer)}")
        if layer.of_targets and layer is not result[-1]:
            raise ValueError(f"{layer!r} must be the last layer, since it gives values in the target's units")
        if isinstance(layer, preprocessing.Preprocessing) and trained is not None and not layer.of_targets:
            raise ValueError(f"{layer!r} must stand before all layers with weights, not after {trained!r}")
        trained = layer if layer.parameter_shapes(1) else trained
        if layer._model is not None and layer._standalone_model is None:
            raise ValueError(f"{layer!r} is part of another model already")
    if len({id(layer) for layer in result}) < len(result):
        raise ValueError("the same layer stands twice in layers; a layer has weights of its own")
    return result
