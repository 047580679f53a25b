"""The regressor."""

from __future__ import annotations

import math
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from .. import losses
from ..losses import Loss
from ._base import has_partial_fit
from ._solvers import TrainableMLP

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Kernels of the losses that scikit-learn reports otherwise than it trains for them.
_REPORTED = {
    "mse": "training.reported_loss.squared_error",
    "poisson": "training.reported_loss.poisson_deviance",
}


class MLPRegressor(RegressorMixin, TrainableMLP):
    """Multi-layer perceptron regressor, like `sklearn.neural_network.MLPRegressor` and with more options.

    One output or several. All parameters, attributes and methods of scikit-learn's class have the same
    meaning and defaults, and the same `random_state` gives the same result up to rounding.

    Parameters
    ----------
    loss : {"squared_error", "poisson", "absolute_error", "huber", "quantile"} or Loss
        The first two as in scikit-learn; "absolute_error" estimates the median, "huber" is robust to
        outliers beyond `delta`, "quantile" estimates the quantile `quantile`. Also one of `fastnn.losses`
        for values. The losses of several outputs are summed.
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, \
max_iter, shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping, \
validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun
        As in scikit-learn. `activation` may also be the name of any activation of fastnn, one of
        `fastnn.activations`, or a sequence with one for each hidden layer.
    delta : float, > 0
        Error beyond which "huber" grows linearly, in units of the target.
    quantile : float, 0 < quantile < 1
        What "quantile" estimates.
    dropout, optimizer, schedule, callbacks, dtype, threads, scoring
        As in `MLPClassifier`.

    Attributes
    ----------
    loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, t_, coefs_, intercepts_, \
n_features_in_, feature_names_in_, n_iter_, n_layers_, n_outputs_, out_activation_
        As in scikit-learn. The arrays in `coefs_` and `intercepts_` are views into the model: predictions use
        what is written into them, or assigned.
    validation_loss_curve_ : list of float or None
        Loss of the validation set passed to `fit`, after each epoch, without the penalty.
    model_ : fastnn.Model
        The network; with ``loss="poisson"`` its outputs are the logarithms of what `predict` returns.

    Raises
    ------
    InvalidParameterError, ValueError, NotFittedError
        As in scikit-learn; ValueError also for parameters that contradict each other.

    Examples
    --------
    >>> from fastnn.sklearn import MLPRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> upper = MLPRegressor("quantile", (32,), quantile=0.9, solver="lbfgs", max_iter=2000, random_state=0)
    >>> float((y <= upper.fit(X, y).predict(X)).mean())
    0.9
    """

    _parameter_constraints = {
        **TrainableMLP._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson", "absolute_error", "huber", "quantile"}), Loss],
        "delta": [Interval(Real, 0, None, closed="neither")],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        delta: float = 1.0,
        quantile: float = 0.5,
        dropout: Any = 0.0,
        optimizer: Any = None,
        schedule: Any = None,
        callbacks: Any = None,
        dtype: Any = None,
        threads: int | None = None,
        scoring: Any = None,
    ) -> None:
        self._take_parameters(locals())

    # ---- fitting -------------------------------------------------------------------------------

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> MLPRegressor:
        """Train.

        Parameters
        ----------
        X : array, DataFrame or sparse matrix of shape (n_samples, n_features)
            A sparse one is made dense, as a whole.
        y : array of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array of shape (n_samples,), optional
            Numbers >= 0.
        X_val, y_val, sample_weight_val : arrays, optional
            A validation set, for `validation_loss_curve_`. With `early_stopping` its score decides, and
            nothing is split off.

        Returns
        -------
        MLPRegressor
            Itself.
        """
        self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))
        return self

    @available_if(has_partial_fit)
    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> MLPRegressor:
        """Train for one epoch on the given data, from where training stands.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        MLPRegressor
            Itself.
        """
        if sample_weight is not None or not self._step_short(X, y):
            self._fit(X, y, sample_weight, incremental=True)
        return self

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any, Any]:
        return *self._samples_and_targets(X, y, reset), None

    def _validate_validation(self, X: Any, y: Any) -> tuple[Any, Any]:
        return self._samples_and_targets(X, y, reset=False)

    def _samples_and_targets(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
        X, y = self._validate_arrays(X, y, reset, y_numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y.reshape(len(y), -1)

    def _out_activation(self) -> str:
        name = self.loss.name if isinstance(self.loss, Loss) else self.loss
        return "exp" if name == "poisson" else "identity"

    def _model_loss(self, n_outputs: int) -> Loss:
        if isinstance(self.loss, Loss):
            if self.loss.target != "values" or self.loss.is_sum or self.loss.rowwise:
                raise ValueError(
                    "loss must be for values, one for each output, and a mean over samples, got "
                    f"{self.loss.name!r}"
                )
            loss = self.loss
        else:
            loss = {
                "squared_error": losses.mse().scaled(0.5),
                "poisson": losses.poisson(),
                "absolute_error": losses.mae(),
                "huber": losses.huber(self.delta),
                "quantile": losses.quantile(self.quantile),
            }[self.loss]
        reported = _REPORTED.get(loss.name, loss.kernel)
        return replace(loss, reported=reported).scaled(n_outputs)  # the sum over outputs

    def _targets(self, y: NDArray[Any], dtype: Any) -> NDArray[Any]:
        return y.astype(dtype, copy=False)

    def _may_learn(self, y: NDArray[Any]) -> bool:
        return y.dtype.kind in "buif" and (y.ndim == 1 or y.shape[1] > 1)

    def _short_targets(self, y: NDArray[Any]) -> NDArray[Any] | None:
        return y.reshape(len(y), -1)

    def _held_out_score(self, outputs: NDArray[Any], y: NDArray[Any], weight: Any) -> float:
        """Coefficient of determination, as `sklearn.metrics.r2_score`."""
        predicted = self._predicted(outputs)
        if not np.isfinite(predicted).all():
            return math.nan
        rest = np.average((y - predicted) ** 2, axis=0, weights=weight)
        spread = np.average((y - np.average(y, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
        constant = spread == 0
        shares = np.where(constant, rest != 0, rest / np.where(constant, 1, spread))
        return float(1 - shares.mean())

    # ---- predicting ----------------------------------------------------------------------------

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The predicted values.

        Parameters
        ----------
        X : array, DataFrame or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_outputs), of the dtype of the weights
        """
        values = self._predicted(self._raw_outputs(X))
        return values.ravel() if values.shape[1] == 1 else values

    def _predicted(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """The values that outputs of the model stand for."""
        if self.out_activation_ == "exp":
            with np.errstate(over="ignore"):
                return np.asarray(np.exp(outputs))
        return outputs
