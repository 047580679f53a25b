"""OptunaPruning: a fit that Optuna may end early."""

from __future__ import annotations

from typing import Any

from ..checks.hints import of_log
from .callback import Callback


class OptunaPruning(Callback):
    """Report a value to a trial of Optuna after each epoch; the trial may be pruned.

    Training then ends by ``optuna.TrialPruned``, which `Model.fit` raises and ``study.optimize`` expects. The
    model is that of the finished epoch. Other callbacks are called before it, and have seen the epoch.

    Parameters
    ----------
    trial : optuna.trial.Trial
    monitor : str
        Name of the value, as in the history. Its direction is that of the study: "val_loss" is minimized.

    Raises
    ------
    optuna.TrialPruned
        During training, where the study's pruner says so.
    ValueError
        During training, if there is no such value.

    Notes
    -----
    T. Akiba et al., *Optuna: A Next-generation Hyperparameter Optimization Framework*, KDD 2019. For a trial
    with a loss that becomes infinite: ``study.optimize(objective, catch=fn.DivergenceError)``.

    Examples
    --------
    An objective, for ``optuna.create_study(direction="maximize").optimize(objective, n_trials=50)``::

        def objective(trial):
            rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
            model = fn.Model([fn.Dense(32, "relu"), fn.Dense(3)], "cross_entropy", fn.Adam(rate))
            pruning = fn.OptunaPruning(trial, "val_accuracy")
            history = model.fit(X, y, epochs=50, validation_split=0.2, callbacks=[pruning])
            return history.history["val_accuracy"][-1]
    """

    called_last = True

    def __init__(self, trial: Any, monitor: str = "val_loss") -> None:
        if isinstance(trial, type) or not (hasattr(trial, "report") and hasattr(trial, "should_prune")):
            raise TypeError(f"trial must be a trial of Optuna, got {trial!r}")
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be a name, got {monitor!r}")
        self.trial, self.monitor = trial, monitor

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: D102
        if self.monitor not in logs:
            near = of_log(self.monitor, logs)
            raise ValueError(f"unknown monitor {self.monitor!r}{near}; this fit has {', '.join(logs)}")
        self.trial.report(logs[self.monitor], epoch)
        if self.trial.should_prune():
            from optuna import TrialPruned

            raise TrialPruned(f"pruned after epoch {epoch}: {self.monitor} = {logs[self.monitor]:.4g}")
