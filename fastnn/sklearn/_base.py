"""What the classifier and the regressor share: parameters, the model and its weights, prediction.

The weights live in a `fastnn.Model`; `coefs_` and `intercepts_` are views into them. What a user
assigns to those is copied into the model before it is used.
"""

from __future__ import annotations

from itertools import pairwise
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import (
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .. import activations, optimizers
from ..activations import Activation
from ..checks.attributes import KnownArguments
from ..checks.hints import nearest
from ..data.weights import in_dtype
from ..layers.base import Layer
from ..layers.dense import Dense
from ..layers.dropout import Dropout
from ..losses import Loss
from ..model import Model
from ..optimizers import SGD, Adam, Optimizer
from ..schedules import Schedule
from ..user_functions import UserActivation

if TYPE_CHECKING:
    from numpy.typing import NDArray


class _Layout(NamedTuple):
    """What a model is made of, as far as it may change between two fits of an estimator."""

    sizes: tuple[int, ...]
    activations: tuple[Activation | None, ...]
    dropout: tuple[float, ...]
    alpha: float
    loss: Loss
    dtype: str


class BaseMLP(KnownArguments, BaseEstimator):
    """Base of both estimators."""

    _parameter_constraints: dict[str, list[Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({*activations.ALIASES, *activations.TABLE}), Activation, "array-like"],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "optimizer": [StrOptions(set(optimizers.TABLE)), Optimizer, None],
        "schedule": [Schedule, None],
        "callbacks": ["array-like", None],
        "dtype": [StrOptions({"float32", "float64"}), type, np.dtype, None],
        "threads": [Interval(Integral, 1, None, closed="left"), None],
        "scoring": [StrOptions({"loss", *get_scorer_names()}), callable, None],
    }

    def _take_parameters(self, parameters: dict[str, Any]) -> None:
        """Keep the arguments of `__init__`, given as its local names, as they are."""
        for name, value in parameters.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    # ---- checks --------------------------------------------------------------------------------

    def _validate_params(self) -> None:
        """Check the parameters; user-defined activations may have been registered since this was imported."""
        names = StrOptions({*activations.ALIASES, *activations.TABLE})
        constraints = {**self._parameter_constraints, "activation": [names, Activation, "array-like"]}
        given = self.get_params(deep=False)
        try:
            validate_parameter_constraints(constraints, given, type(self).__name__)
        except ValueError as error:
            for name, kinds in constraints.items():
                known = [option for kind in kinds if isinstance(kind, StrOptions) for option in kind.options]
                if f" {name!r} " in str(error) and (near := nearest(given[name], known)):
                    raise type(error)(f"{error}{near}") from None
            raise

    def set_params(self, **parameters: Any) -> Self:
        """Set parameters of the estimator, as scikit-learn does."""
        known = self.get_params(deep=False)
        for name in parameters:
            if "__" not in name and name not in known and (near := nearest(name, known)):
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}{near}; "
                    f"valid parameters are {', '.join(known)}"
                )
        super().set_params(**parameters)
        return self

    def _hidden_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if np.any(np.array(sizes) <= 0):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return sizes

    def _check_combination(self, validation: tuple[Any, Any, Any]) -> None:
        """Reject parameters that contradict each other."""
        X_val, y_val, _ = validation
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given together")
        if self.solver == "lbfgs":
            dropout = np.any(np.asarray(self.dropout) != 0)
            given = {"dropout": dropout, "optimizer": self.optimizer, "schedule": self.schedule}
            given |= {"callbacks": self.callbacks, "X_val": X_val is not None}
            wrong = [name for name, value in given.items() if value]
            if wrong:
                raise ValueError(f"{wrong[0]} needs solver='adam' or solver='sgd', got solver='lbfgs'")
        elif self.schedule is not None and self.learning_rate != "constant":
            raise ValueError(f"give schedule or learning_rate={self.learning_rate!r}, not both")

    def _validate_arrays(self, X: Any, y: Any, reset: bool, **options: Any) -> tuple[Any, Any]:
        """Samples as a dense array in the dtype of training, and unchanged targets."""
        wanted = (np.float64, np.float32) if self.dtype is None else np.dtype(self.dtype)
        kinds = {"accept_sparse": ["csr", "csc"], "multi_output": True, "dtype": wanted}
        X, y = validate_data(self, X, y, reset=reset, **kinds, **options)
        # L-BFGS needs differences of losses that float32 does not resolve.
        dtype = np.float64 if self.solver == "lbfgs" else X.dtype
        X = X.toarray() if issparse(X) else X
        return np.ascontiguousarray(X, dtype), y

    def _validation_set(self, validation: tuple[Any, Any, Any], dtype: Any) -> Any:
        """The user's validation set, checked as the training set is: (X, y, weight) or None."""
        X, y, weight = validation
        if X is None:
            return None
        X, y = self._validate_validation(X, y)
        if self._count_outputs(y) != self.n_outputs_:
            raise ValueError(f"y_val must have {self.n_outputs_} outputs as y, got {self._count_outputs(y)}")
        X = X.astype(dtype, copy=False)
        return X, y, None if weight is None else checked_weights("sample_weight_val", weight, X)

    # ---- the model -----------------------------------------------------------------------------

    def _prepare_model(self, sizes: list[int], dtype: str, first: bool) -> None:
        """Make the model that the current parameters describe; unless `first`, it keeps the weights."""
        if first:
            self.n_iter_ = self.t_ = 0
            self.n_layers_ = len(sizes)
            self.out_activation_ = self._out_activation()
            self._make_model(self._layout(sizes, dtype))
            self._draw_weights(sizes)
            self._bind()
            return
        old, layout = self.current_model(), self._layout(sizes, dtype)
        if self._made_of.sizes != layout.sizes:
            before, now = list(self._made_of.sizes), sizes
            raise ValueError(f"the sizes of layers must stay the same: {before} before, {now} now")
        if self._made_of != layout:  # a parameter was changed since
            self._make_model(layout)
            self.model_.optimizer = old.optimizer
            self.model_.state.restore(old.state)
            self._bind()

    def _layout(self, sizes: list[int], dtype: str) -> _Layout:
        """The model that the current parameters describe."""
        hidden = len(sizes) - 2
        rates = self._per_layer("dropout", self.dropout, hidden)
        loss = self._model_loss(sizes[-1])
        return _Layout(tuple(sizes), self._activations(hidden), tuple(rates), self.alpha, loss, dtype)

    def _make_model(self, layout: _Layout) -> None:
        self._made_of = layout
        alpha, n_outputs = layout.alpha, layout.sizes[-1]
        layers: list[Layer] = []
        hidden = zip(layout.sizes[1:-1], layout.activations, layout.dropout, strict=True)
        for size, activation, rate in hidden:
            layers.append(Dense(size, activation, kernel_initializer="zeros", alpha=alpha))
            if rate:
                layers.append(Dropout(rate))
        layers.append(Dense(n_outputs, kernel_initializer="zeros", alpha=alpha))
        # Only dropout draws from this seed: what else is random comes from random_state.
        seed = self._random_state.randint(2**31 - 1) if any(layout.dropout) else 0
        model = Model(layers, layout.loss, metrics=[], dtype=layout.dtype, seed=seed)
        self.model_ = model.build(layout.sizes[0])

    def _per_layer(self, name: str, value: Any, hidden: int) -> list[Any]:
        """A parameter that is one value for all hidden layers, or a value for each."""
        if isinstance(value, (str, Activation, Real)):
            return [value] * hidden
        values = list(value)
        if len(values) != hidden:
            raise ValueError(f"{name} must have one value for each of {hidden} hidden layers, got {value!r}")
        return values

    def _activations(self, hidden: int) -> tuple[Activation | None, ...]:
        names = self._per_layer("activation", self.activation, hidden)
        return tuple(activations.get(a) for a in names)

    def _draw_weights(self, sizes: list[int]) -> None:
        """Draw weights and biases by Glorot and Bengio's rule, the same numbers as scikit-learn."""
        kinds = self._made_of.activations or self._activations(1)  # the bounds follow it without layers, too
        for i, (layer, (n_in, n_out)) in enumerate(zip(_dense(self.model_), pairwise(sizes), strict=True)):
            kind = kinds[min(i, len(kinds) - 1)]
            bound = np.sqrt((2.0 if kind is not None and kind.name == "sigmoid" else 6.0) / (n_in + n_out))
            layer.weights = self._random_state.uniform(-bound, bound, (n_in, n_out))
            layer.bias = self._random_state.uniform(-bound, bound, n_out)

    def _new_optimizer(self) -> Optimizer:
        rate = self.learning_rate_init if self.schedule is None else self.schedule
        if isinstance(self.optimizer, Optimizer):
            own = optimizers.get(self.optimizer.config())  # a copy: training may change its rate
            if self.schedule is not None:
                own.learning_rate = rate  # type: ignore[attr-defined]
            return own
        if self.optimizer is not None:
            return optimizers.get({"name": self.optimizer, "learning_rate": rate})
        if self.solver == "sgd":
            return SGD(rate, momentum=self.momentum, nesterov=self.nesterovs_momentum)
        return Adam(rate, self.beta_1, self.beta_2, self.epsilon, epsilon_hat=True)

    # ---- weights -------------------------------------------------------------------------------

    def _bind(self) -> None:
        """Make `coefs_` and `intercepts_` views into the model's weights."""
        self.coefs_ = [layer.weights for layer in _dense(self.model_)]
        self.intercepts_ = [layer.bias for layer in _dense(self.model_)]

    def current_model(self) -> Model:
        """The model, updated with what was assigned to `coefs_` and `intercepts_`."""
        if not hasattr(self, "model_"):  # weights without a fit
            sizes = [len(self.coefs_[0]), *(len(b) for b in self.intercepts_)]
            self._make_model(self._layout(sizes, np.result_type(*self.coefs_).name))
        layers = _dense(self.model_)
        if not len(layers) == len(self.coefs_) == len(self.intercepts_):
            raise ValueError(
                f"coefs_ and intercepts_ must have {len(layers)} arrays each, got {len(self.coefs_)} and "
                f"{len(self.intercepts_)}"
            )
        for layer, weights, bias in zip(layers, self.coefs_, self.intercepts_, strict=True):
            if weights is not layer.weights:
                layer.weights = weights
            if bias is not layer.bias:
                layer.bias = bias
        return self.model_

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "model_" in state and "coefs_" in state:
            self.current_model()
            del state["coefs_"], state["intercepts_"]  # the model has them
        if "_made_of" in state:
            state["_made_of"] = tuple(self._made_of)
        named = self.activation if isinstance(self.activation, (list, tuple)) else [self.activation]
        found = [activations.TABLE.get(name) for name in named if isinstance(name, str)]
        own = [made for made in found if isinstance(made, UserActivation)]
        return {**state, "_user_activations": own} if own else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state.pop("_user_activations", None)  # they are registered now
        super().__setstate__(state)
        if hasattr(self, "_made_of"):
            self._made_of = _Layout(*self._made_of)
        if hasattr(self, "model_"):
            self._bind()

    # ---- predicting ----------------------------------------------------------------------------

    def _raw_outputs(self, X: Any) -> NDArray[Any]:
        """Output of the last layer, of shape (n_samples, n_outputs), before `out_activation_`."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return self.current_model().predict(X.toarray() if issparse(X) else X)

    # ---- defined by the classifier and the regressor --------------------------------------------

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any, Any]:
        """Checked samples, targets of shape (n, n_targets), and the samples' weights by class or None."""
        raise NotImplementedError

    def _count_outputs(self, y: NDArray[Any]) -> int:
        """Outputs of a network for checked targets."""
        return int(y.shape[1])

    def _validate_validation(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Checked samples and targets of a validation set."""
        raise NotImplementedError

    def _out_activation(self) -> str:
        """Name of the function that makes predictions out of the model's outputs."""
        raise NotImplementedError

    def _model_loss(self, n_outputs: int) -> Loss:
        """The loss that the model is trained with."""
        raise NotImplementedError

    def _targets(self, y: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """Targets as the model takes them."""
        raise NotImplementedError

    def _as_given(self, y: NDArray[Any]) -> NDArray[Any]:
        """Checked targets in the form that `predict` returns."""
        return y.ravel() if y.shape[1] == 1 else y

    def _held_out_score(self, outputs: NDArray[Any], y: NDArray[Any], weight: Any) -> float:
        """Score of a validation set; NaN if a regressor's predictions are not finite."""
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def has_partial_fit(estimator: BaseMLP) -> bool:
    """Whether the solver makes steps."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        )
    return True


def _dense(model: Model) -> list[Dense]:
    """The layers that have weights."""
    return [layer for layer in model.layers if isinstance(layer, Dense)]


def checked_weights(name: str, weight: Any, X: NDArray[Any], counts: str = "") -> NDArray[Any]:
    """Checked weights of samples in the dtype of X; see `in_dtype`."""
    return in_dtype(name, _check_sample_weight(weight, X, dtype=np.float64), X.dtype.name, counts)
