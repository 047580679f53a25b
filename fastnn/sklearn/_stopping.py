"""What happens between the epochs of a stochastic solver: records, and scikit-learn's rules for when to stop.

scikit-learn checks its rules after each epoch. Here they are checked after several, where that makes no
difference: training cannot stop before `n_iter_no_change` + 1 epochs have passed without improvement.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..errors import DivergenceError
from ..training.callback import Callback

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._base import BaseMLP

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
    "preprocessed."
)
_SMALLEST_RATE = 1e-6  # an adaptive learning rate is not lowered further


class EpochEnd(Callback):
    """Updates the records of an estimator, and decides after an epoch whether to continue.

    Parameters
    ----------
    estimator : BaseMLP
    n_samples : int
        Size of the training set.
    score : function or None
        Returns the score of the validation set, which then decides instead of the loss.
    incremental : bool
        Whether a single epoch is trained, by ``partial_fit``.
    no_improvement : int
        Number of epochs in a row without improvement.
    best_parameters : array
        Those of the best score so far.
    """

    rates: str
    stopped: bool

    def __init__(
        self,
        estimator: BaseMLP,
        n_samples: int,
        score: Callable[[], float] | None,
        incremental: bool,
        no_improvement: int,
        best_parameters: NDArray[Any],
    ) -> None:
        self.estimator, self.n_samples, self.score = estimator, n_samples, score
        self.incremental = incremental
        self.no_improvement, self.best_parameters = no_improvement, best_parameters
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
        """Record the epochs that have ended."""
        history = self.model.history
        assert history is not None
        for i in range(self.estimator.n_iter_, len(history.epoch)):
            self._take_epoch({name: values[i] for name, values in history.history.items()})
        self._set_period()

    def _set_period(self) -> None:
        """Be called again after the first epoch that may need an action."""
        estimator = self.estimator
        each = self.score is not None or estimator.verbose or self.rates == "invscaling"
        rest = estimator.n_iter_no_change + 1 - self.no_improvement
        self.period = 1 if each else int(max(1, min(rest, estimator.max_iter)))

    def _take_epoch(self, logs: dict[str, float]) -> None:
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.t_ += self.n_samples
        estimator.loss_ = logs["loss"]
        estimator.loss_curve_.append(estimator.loss_)
        if "val_loss" in logs:
            estimator.validation_loss_curve_.append(logs["val_loss"])
        self._say(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")
        if self.score is not None:
            self._take_score(self.score())
        else:
            self._take_loss(estimator.loss_)
        if self.rates == "invscaling":
            self._set_rate(estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t)
        if self.no_improvement > estimator.n_iter_no_change:
            self._stop_or_slow_down()

    def _take_score(self, score: float) -> None:
        estimator = self.estimator
        estimator.validation_scores_.append(score)
        self._say(f"Validation score: {score:f}")
        worse = score < estimator.best_validation_score_ + estimator.tol
        self.no_improvement = self.no_improvement + 1 if worse else 0
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            self.best_parameters = self.model.parameters.copy()

    def _take_loss(self, loss: float) -> None:
        estimator = self.estimator
        worse = loss > estimator.best_loss_ - estimator.tol
        self.no_improvement = self.no_improvement + 1 if worse else 0
        estimator.best_loss_ = min(loss, estimator.best_loss_)

    def _stop_or_slow_down(self) -> None:
        estimator = self.estimator
        what = "Training loss" if self.score is None else "Validation score"
        message = (
            f"{what} did not improve more than tol={estimator.tol:f} for {estimator.n_iter_no_change} "
            "consecutive epochs."
        )
        rate = self.model.optimizer.learning_rate
        if self.rates == "adaptive" and rate > _SMALLEST_RATE:
            self._set_rate(rate / 5)
            self._say(f"{message} Setting learning rate to {rate / 5:f}")
            self.no_improvement = 0
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
        """Record that training diverged; with early stopping the best weights so far are kept."""
        estimator = self.estimator
        if self.score is None or not np.isfinite(estimator.best_validation_score_):
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
