"""The solvers: stochastic training with scikit-learn's rules for when to stop, and L-BFGS.

What scikit-learn looks at after each epoch is looked at after several here, where that comes to the
same: training cannot stop before `n_iter_no_change` + 1 epochs have passed without improvement.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split
from threadpoolctl import ThreadpoolController

from ..errors import DivergenceError
from ..scipy import minimize
from ..training.callback import Callback

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._base import BaseMLP

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
    "preprocessed."
)
_SMALLEST_RATE = 1e-6  # an adaptive learning rate is not lowered further


def fit_stochastic(
    estimator: BaseMLP,
    X: NDArray[Any],
    y: NDArray[Any],
    weight: NDArray[Any] | None,
    sample_weight: NDArray[Any] | None,
    held_out: tuple[Any, Any, Any] | None,
    incremental: bool,
) -> None:
    """Train by steps on batches.

    Parameters
    ----------
    estimator : BaseMLP
        With a model, and the records of the epochs so far.
    X, y : arrays of shape (n, n_features) and (n, n_targets)
    weight : array of shape (n,) or None
        Weights of the samples, those of their classes included.
    sample_weight : array of shape (n,) or None
        The user's.
    held_out : (X, y, weight) or None
        The user's validation set.
    incremental : bool
        Whether to train for one epoch only, with the optimizer's memory.
    """
    model = estimator.model_
    if not incremental or getattr(estimator, "_optimizer", None) is not model.optimizer:
        model.optimizer = estimator._optimizer = estimator._new_optimizer()
    if estimator.early_stopping and incremental:
        raise ValueError("partial_fit does not support early_stopping=True")
    if estimator.loss_curve_:  # a warm start goes on from the last weights, unless it meets better ones
        estimator._best_parameters = model.parameters
    scored = held_out if estimator.early_stopping else None
    if estimator.early_stopping and held_out is None:
        train, test = _split(estimator, y)
        scored = (X[test], y[test], None if sample_weight is None else sample_weight[test])
        X, y, weight = X[train], y[train], None if weight is None else weight[train]
    n = len(X)
    rows = _batch_size(estimator, n)
    targets = estimator._targets(y, X.dtype)
    look = _Look(estimator, n, scored, incremental)
    validation = None
    if held_out is not None:
        validation = (held_out[0], estimator._targets(held_out[1], X.dtype), held_out[2])
        estimator.validation_loss_curve_ = estimator.validation_loss_curve_ or []
    callbacks = [] if estimator.callbacks is None else list(estimator.callbacks)
    try:
        model.fit(
            X,
            targets,
            epochs=1 if incremental else estimator.max_iter,
            batch_size=rows,
            shuffle=estimator.shuffle and rows < n and _orders(n, estimator._random_state),
            sample_weight=weight,
            validation_data=validation,
            callbacks=[look, *callbacks],
            verbose=0,
            threads=estimator.threads,
        )
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=4)
    except DivergenceError as error:
        look.diverged(error)
    if estimator.early_stopping:
        with model.executor.weights_lock.change():
            model.parameters[...] = estimator._best_parameters
    look.warn()


def _split(estimator: BaseMLP, y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Numbers of the samples to train on and of those to validate on, the same as scikit-learn's."""
    train, test = train_test_split(
        np.arange(len(y)),
        random_state=estimator._random_state,
        test_size=estimator.validation_fraction,
        stratify=y.astype(bool) if is_classifier(estimator) and estimator.n_outputs_ == 1 else None,
    )
    if len(test) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
        )
    return train, test


def _batch_size(estimator: BaseMLP, n: int) -> int:
    if estimator.batch_size == "auto":
        return min(200, n)
    if estimator.batch_size > n:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=5
        )
    return int(min(estimator.batch_size, n))


def _orders(n: int, random_state: np.random.RandomState) -> Callable[[int], NDArray[np.int64]]:
    """The order of each epoch: each shuffles the one before, by the same numbers as scikit-learn's."""
    order = np.arange(n)

    def next_order(epoch: int) -> NDArray[np.int64]:
        nonlocal order
        indices = np.arange(n)
        random_state.shuffle(indices)
        order = order[indices]
        return order

    return next_order


class _Look(Callback):
    """Keeps the estimator's records, and decides after an epoch whether to go on.

    Parameters
    ----------
    estimator : BaseMLP
    n_samples : int
        That are trained on.
    scored : (X, y, weight) or None
        The validation set whose score decides; without, the loss does.
    incremental : bool
    """

    rates: str
    stopped: bool

    def __init__(
        self,
        estimator: BaseMLP,
        n_samples: int,
        scored: tuple[Any, Any, Any] | None,
        incremental: bool,
    ) -> None:
        self.estimator, self.n_samples, self.scored = estimator, n_samples, scored
        self.incremental = incremental
        own = estimator.solver == "sgd" and estimator.optimizer is None
        self.rates = estimator.learning_rate if own else "constant"
        self.stopped = False

    def on_train_begin(self) -> None:
        self.estimator.n_iter_ = 0
        self._set_period()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.take()

    def on_train_end(self) -> None:
        self.take()

    def take(self) -> None:
        """Take up the epochs that have ended."""
        history = self.model.history
        assert history is not None
        for i in range(self.estimator.n_iter_, len(history.epoch)):
            self._take_epoch({name: values[i] for name, values in history.history.items()})
        self._set_period()

    def _set_period(self) -> None:
        """Look again at the first epoch in which something may have to be done."""
        estimator = self.estimator
        each = self.scored is not None or estimator.verbose or self.rates == "invscaling"
        rest = estimator.n_iter_no_change + 1 - estimator._no_improvement_count
        self.period = 1 if each else int(max(1, min(rest, estimator.max_iter)))

    def _take_epoch(self, figures: dict[str, float]) -> None:
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.t_ += self.n_samples
        estimator.loss_ = figures["loss"]
        estimator.loss_curve_.append(estimator.loss_)
        if "val_loss" in figures:
            estimator.validation_loss_curve_.append(figures["val_loss"])
        self._say(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")
        if self.scored is not None:
            self._take_score(self._score())
        else:
            self._take_loss(estimator.loss_)
        if self.rates == "invscaling":
            self._set_rate(estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t)
        if estimator._no_improvement_count > estimator.n_iter_no_change:
            self._stop_or_slow_down()

    def _score(self) -> float:
        assert self.scored is not None
        estimator, (X, y, weight) = self.estimator, self.scored
        if estimator.scoring is None:
            return float(estimator._held_out_score(self.model.predict(X), y, weight))
        if estimator.scoring == "loss":
            figures = self.model.evaluate(X, estimator._targets(y, X.dtype), weight)
            return -float(figures["loss"])
        with warnings.catch_warnings():
            # The estimator may have been given columns with names, of which nothing is left here.
            warnings.filterwarnings("ignore", "X does not have valid feature names")
            weights = {} if weight is None else {"sample_weight": weight}
            return float(get_scorer(estimator.scoring)(estimator, X, estimator._as_given(y), **weights))

    def _take_score(self, score: float) -> None:
        estimator = self.estimator
        estimator.validation_scores_.append(score)
        self._say(f"Validation score: {score:f}")
        worse = score < estimator.best_validation_score_ + estimator.tol
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if worse else 0
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            estimator._best_parameters = self.model.parameters.copy()

    def _take_loss(self, loss: float) -> None:
        estimator = self.estimator
        worse = loss > estimator.best_loss_ - estimator.tol
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if worse else 0
        estimator.best_loss_ = min(loss, estimator.best_loss_)

    def _stop_or_slow_down(self) -> None:
        estimator = self.estimator
        what = "Training loss" if self.scored is None else "Validation score"
        message = (
            f"{what} did not improve more than tol={estimator.tol:f} for {estimator.n_iter_no_change} "
            "consecutive epochs."
        )
        rate = self.model.optimizer.learning_rate
        if self.rates == "adaptive" and rate > _SMALLEST_RATE:
            self._set_rate(rate / 5)
            self._say(f"{message} Setting learning rate to {rate / 5:f}")
            estimator._no_improvement_count = 0
            return
        too_small = " Learning rate too small." if self.rates == "adaptive" else ""
        self._say(f"{message}{too_small} Stopping.")
        self.stopped = self.model.stop_training = True

    def _set_rate(self, rate: float) -> None:
        """Change the learning rate of SGD; scikit-learn's velocity has the rate of its time in it."""
        optimizer: Any = self.model.optimizer
        self.model.state.optimizer *= optimizer.learning_rate / rate
        optimizer.learning_rate = rate

    def diverged(self, error: DivergenceError) -> None:
        """Take up that training cannot go on; with early stopping the best weights so far are kept."""
        estimator = self.estimator
        if self.scored is None or not np.isfinite(estimator.best_validation_score_):
            raise ValueError(NON_FINITE) from error
        estimator.n_iter_ += 1
        estimator.loss_ = math.nan
        estimator.loss_curve_.append(math.nan)
        estimator.validation_scores_.append(math.nan)
        self.stopped = True
        warnings.warn(f"{error}; the best weights are kept", ConvergenceWarning, stacklevel=5)

    def warn(self) -> None:
        """Warn if training ended before it converged."""
        estimator = self.estimator
        if not self.stopped and not self.incremental and estimator.n_iter_ == estimator.max_iter:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _say(self, message: str) -> None:
        if self.estimator.verbose:
            print(message)


@functools.cache
def _blas() -> ThreadpoolController:
    """Control of BLAS's threads, which take longer to meet than a step of L-BFGS has to compute."""
    return ThreadpoolController()


def fit_lbfgs(estimator: BaseMLP, X: NDArray[Any], y: NDArray[Any], weight: Any) -> None:
    """Train by SciPy's L-BFGS-B on all samples at once.

    Parameters
    ----------
    estimator : BaseMLP
        With a float64 model.
    X, y, weight
        As the model takes them.
    """
    options = {"maxfun": estimator.max_fun, "maxiter": estimator.max_iter, "gtol": estimator.tol}
    with _blas().limit(limits=1, user_api="blas"):
        result = minimize(
            estimator.model_,
            X,
            y,
            "L-BFGS-B",
            sample_weight=weight,
            threads=estimator.threads,
            options=options,
        )
    estimator.n_iter_ = min(int(result.nit), estimator.max_iter)
    squares = sum(float(np.square(layer).sum()) for layer in estimator.coefs_)
    penalty = 0.5 * estimator.alpha * squares / (len(X) if weight is None else weight.sum())
    estimator.loss_ = estimator.model_.evaluate(X, y, weight)["loss"] + penalty
    if result.status != 0:
        warnings.warn(
            f"lbfgs failed to converge after {estimator.n_iter_} iterations (status={result.status}): "
            f"{result.message}. Increase max_iter or max_fun, or scale the data.",
            ConvergenceWarning,
            stacklevel=4,
        )
