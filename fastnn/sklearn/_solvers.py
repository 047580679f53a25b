"""The solvers: stochastic training by scikit-learn's rules, and L-BFGS."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from threadpoolctl import ThreadpoolController

from ..errors import DivergenceError
from ..scipy import minimize
from ._base import checked_weights
from ._short_step import SteppingMLP
from ._stopping import NON_FINITE, EpochEnd

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TrainableMLP(SteppingMLP):
    """Base of both estimators: `SteppingMLP` with its solvers."""

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any] = (None, None, None),
        incremental: bool = False,
    ) -> Any:
        """Train for at most `max_iter` epochs; if `incremental`, for one more epoch."""
        given, plain, self._step = (X, y), sample_weight is None, None
        self._validate_params()
        sizes = self._hidden_sizes()
        self._check_combination(validation)
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        X, y, classes_weight = self._validate_input(X, y, incremental, reset=first)
        if sample_weight is not None:
            counts = "the penalty alpha" if self.alpha else ""
            sample_weight = checked_weights("sample_weight", sample_weight, X, counts)
        weight = sample_weight
        if classes_weight is not None:
            weight = classes_weight if weight is None else weight * classes_weight
        self.n_outputs_ = self._count_outputs(y)
        self._random_state = check_random_state(self.random_state)
        self._prepare_model([X.shape[1], *sizes, self.n_outputs_], X.dtype.name, first)
        if self.solver == "lbfgs":
            self._fit_lbfgs(X, self._targets(y, X.dtype), weight)
        else:
            if first:
                self._start_records()
            held_out = self._validation_set(validation, X.dtype)
            self._fit_stochastic(X, y, weight, sample_weight, held_out, incremental)
        self._bind()
        if not np.isfinite(self.model_.parameters).all():
            raise ValueError(NON_FINITE)
        if incremental and plain:
            self._learn_step(*given)
        return self

    def _start_records(self) -> None:
        """Reset what a stochastic solver records."""
        self.loss_curve_: list[float] = []
        self.validation_loss_curve_: Any = None
        self._no_improvement_count = 0
        self._best_parameters = self.model_.parameters.copy()
        self.validation_scores_: Any = [] if self.early_stopping else None
        self.best_validation_score_: Any = -np.inf if self.early_stopping else None
        self.best_loss_: Any = None if self.early_stopping else np.inf

    def _fit_stochastic(
        self,
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
        model = self.model_
        if not incremental or getattr(self, "_optimizer", None) is not model.optimizer:
            model.optimizer = self._optimizer = self._new_optimizer()
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        # A warm start, or one from assigned weights, continues from these unless it finds better ones.
        if self.loss_curve_ or not hasattr(self, "_best_parameters"):
            self._best_parameters = model.parameters
        scored = held_out if self.early_stopping else None
        if self.early_stopping and held_out is None:
            train, test = self._split(y)
            scored = (X[test], y[test], None if sample_weight is None else sample_weight[test])
            X, y, weight = X[train], y[train], None if weight is None else weight[train]
        n = len(X)
        rows = self._checked_batch_size(n)
        targets = self._targets(y, X.dtype)
        score = None if scored is None else functools.partial(self._validation_score, *scored)
        epoch_end = EpochEnd(self, n, score, incremental, self._no_improvement_count, self._best_parameters)
        validation = None
        if held_out is not None:
            validation = (held_out[0], self._targets(held_out[1], X.dtype), held_out[2])
            self.validation_loss_curve_ = self.validation_loss_curve_ or []
        callbacks = [] if self.callbacks is None else list(self.callbacks)
        try:
            model.fit(
                X,
                targets,
                epochs=1 if incremental else self.max_iter,
                batch_size=rows,
                shuffle=self.shuffle and rows < n and _orders(n, self._random_state),
                sample_weight=weight,
                validation_data=validation,
                callbacks=[epoch_end, *callbacks],
                verbose=0,
                threads=self.threads,
            )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        except DivergenceError as error:
            epoch_end.diverged(error)
        finally:
            self._no_improvement_count = epoch_end.no_improvement
            self._best_parameters = epoch_end.best_parameters
        if self.early_stopping:
            with model.executor.weights_lock.change():
                model.parameters[...] = self._best_parameters
        epoch_end.warn()

    def _split(self, y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Indices of the training and the validation samples, the same as in scikit-learn."""
        train, test = train_test_split(
            np.arange(len(y)),
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=y.astype(bool) if is_classifier(self) and self.n_outputs_ == 1 else None,
        )
        if len(test) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        return train, test

    def _checked_batch_size(self, n: int) -> int:
        if self.batch_size == "auto":
            return min(200, n)
        if self.batch_size > n:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
                stacklevel=5,
            )
        return int(min(self.batch_size, n))

    def _validation_score(self, X: NDArray[Any], y: NDArray[Any], weight: Any) -> float:
        """Score of the model on a validation set; see `scoring`."""
        if self.scoring is None:
            return float(self._held_out_score(self.model_.predict(X), y, weight))
        if self.scoring == "loss":
            logs = self.model_.evaluate(X, self._targets(y, X.dtype), weight)
            return -float(logs["loss"])
        with warnings.catch_warnings():
            # The estimator may have been fitted to columns with names, which are not known here.
            warnings.filterwarnings("ignore", "X does not have valid feature names")
            weights = {} if weight is None else {"sample_weight": weight}
            return float(get_scorer(self.scoring)(self, X, self._as_given(y), **weights))

    def _fit_lbfgs(self, X: NDArray[Any], y: NDArray[Any], weight: Any) -> None:
        """Train by SciPy's L-BFGS-B on all samples at once.

        Parameters
        ----------
        X, y, weight
            As the model takes them.
        """
        options = {"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol}
        with _blas().limit(limits=1, user_api="blas"):
            result = minimize(
                self.model_,
                X,
                y,
                "L-BFGS-B",
                sample_weight=weight,
                threads=self.threads,
                options=options,
            )
        self.n_iter_ = min(int(result.nit), self.max_iter)
        squares = sum(float(np.square(layer).sum()) for layer in self.coefs_)
        penalty = 0.5 * self.alpha * squares / (len(X) if weight is None else weight.sum())
        self.loss_ = self.model_.evaluate(X, y, weight)["loss"] + penalty
        if result.status != 0:
            warnings.warn(
                f"lbfgs failed to converge after {self.n_iter_} iterations (status={result.status}): "
                f"{result.message}. Increase max_iter or max_fun, or scale the data.",
                ConvergenceWarning,
                stacklevel=4,
            )


def _orders(n: int, random_state: np.random.RandomState) -> Callable[[int], NDArray[np.int64]]:
    """The order of each epoch: it shuffles the one before, with the same random numbers as scikit-learn."""
    order = np.arange(n)

    def next_order(epoch: int) -> NDArray[np.int64]:
        nonlocal order
        indices = np.arange(n)
        random_state.shuffle(indices)
        order = order[indices]
        return order

    return next_order


@functools.cache
def _blas() -> ThreadpoolController:
    """Control of BLAS's threads, whose synchronization takes longer than a step of L-BFGS."""
    return ThreadpoolController()
