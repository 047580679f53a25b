"""Callbacks: what is called between epochs.

A callback is a `Callback`, or a function of the epoch's number and its logs that stops training by
returning True:

>>> import fastnn as fn
>>> X, y = fn.datasets.xor()
>>> model = fn.Model([fn.Dense(4, "tanh"), fn.Dense(1)], loss="mse", seed=0)
>>> history = model.fit(X, y, epochs=100, callbacks=[lambda epoch, logs: epoch == 2])
>>> history.epoch
[0, 1, 2]
"""

from __future__ import annotations

import csv
import io
import math
import os
from typing import Any

from . import metrics
from .checks import paths, validate
from .checks.hints import of_log
from .io import files
from .schedules import Schedule
from .training.callback import Callback, as_callback
from .training.loggers import JSONLines, MLflow, TensorBoard

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "JSONLines",
    "MLflow",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "TensorBoard",
    "as_callback",
]


def __dir__() -> list[str]:
    return __all__


class _Monitor(Callback):
    """Base of callbacks that monitor whether a value improves."""

    best: float
    wait: int
    _seen: bool = False

    def __init__(self, monitor: str, mode: str, min_delta: float) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be a name, got {monitor!r}")
        validate.choice("mode", mode, ("auto", "min", "max"))
        if mode == "auto":
            mode = "max" if metrics.more_is_better(monitor) else "min"
        self.monitor, self.mode = monitor, mode
        self.min_delta = validate.number("min_delta", min_delta, low=0.0)
        self.best = math.nan
        self.wait = 0

    def on_train_begin(self) -> None:
        self.best, self.wait, self._seen = math.nan, 0, False

    def is_logged(self, logs: dict[str, float]) -> bool:
        """Whether the epoch has the monitored value; a ValueError if no epoch had it so far."""
        self._seen = self._seen or self.monitor in logs
        if not self._seen:
            raise ValueError(
                f"unknown monitor {self.monitor!r}{of_log(self.monitor, logs)}; this fit has "
                f"{', '.join(logs)}. A value that a callback adds to the logs reaches the callbacks after it "
                "that have the same period"
            )
        return self.monitor in logs

    def is_better(self, logs: dict[str, float]) -> bool:
        """Record the epoch's value; `wait` counts the epochs since the last improvement."""
        value = logs[self.monitor]
        gain = self.best - value if self.mode == "min" else value - self.best
        better = math.isnan(self.best) or gain > self.min_delta
        self.best = value if better else self.best
        self.wait = 0 if better else self.wait + 1
        return better

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best, "wait": self.wait}

    def set_state(self, state: dict[str, Any]) -> None:
        self.best, self.wait, self._seen = float(state["best"]), int(state["wait"]), True


class EarlyStopping(_Monitor):
    """Stop training when a monitored value has stopped improving.

    Each fit starts over, unless it is called with ``resume=True``.

    Parameters
    ----------
    monitor : str
        Name of the value, as in the history.
    patience : int, >= 0
        Number of epochs in a row without improvement after which training stops, as in Keras; 0 means 1.
    restore_best : bool
        Whether to restore the weights of the best epoch at the end.
    min_delta : float, >= 0
        Smallest change that counts as an improvement.
    mode : {"auto", "min", "max"}
        Whether larger or smaller is better; "auto" is "max" for names that end in accuracy, acc, auc, f1,
        precision, r2, recall or score, and "min" for all others.
    restore_best_weights : bool, optional
        Keras's name for `restore_best`.

    Raises
    ------
    ValueError
        During training, if there is no such value.
    """

    stopped_epoch: int | None

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 0,
        restore_best: bool = False,
        min_delta: float = 0.0,
        mode: str = "auto",
        *,
        restore_best_weights: bool | None = None,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = validate.integer("patience", patience, low=0)
        self.restore_best = validate.boolean("restore_best", restore_best)
        if restore_best_weights is not None:
            other = validate.boolean("restore_best_weights", restore_best_weights)
            if self.restore_best and not other:
                raise ValueError("restore_best=True and restore_best_weights=False contradict each other")
            self.restore_best = other
        self.stopped_epoch = None
        self._best_weights: Any = None

    @property
    def restore_best_weights(self) -> bool:
        """Keras's name for `restore_best`."""
        return self.restore_best

    @restore_best_weights.setter
    def restore_best_weights(self, value: bool) -> None:
        self.restore_best = value

    def on_train_begin(self) -> None:  # noqa: D102
        super().on_train_begin()
        self.stopped_epoch, self._best_weights = None, None

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: D102
        if not self.is_logged(logs):
            return
        if self.is_better(logs):
            if self.restore_best:
                self._best_weights = self.model.state.weights()
        elif self.wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self) -> None:  # noqa: D102
        if self._best_weights is not None:
            with self.model.executor.weights_lock.change():
                self.model.state.set_weights(self._best_weights)
            self._best_weights = None

    def get_state(self) -> dict[str, Any]:  # noqa: D102
        # Once training has ended, the model has the best weights.
        best = {} if self._best_weights is None else {"parameters": self._best_weights}
        return {**super().get_state(), "restore_best": self.restore_best, **best}

    def set_state(self, state: dict[str, Any]) -> None:  # noqa: D102
        if self.restore_best and not state["restore_best"]:
            return  # the best weights were not kept: start over
        super().set_state(state)
        if self.restore_best and not math.isnan(self.best):
            weights = self.model.state.weights()
            best = state.get("parameters", weights)
            if best.shape != weights.shape:
                raise ValueError(
                    f"EarlyStopping has best weights of shape {best.shape}, but the model has {weights.shape}"
                )
            self._best_weights = best.copy()


class ReduceLROnPlateau(_Monitor):
    """Reduce the learning rate when a monitored value has stopped improving.

    Each fit starts over, unless it is called with ``resume=True``.

    Parameters
    ----------
    monitor, patience, min_delta, mode
        As in `EarlyStopping`.
    factor : float, 0 < factor < 1
        What the learning rate is multiplied by.
    min_lr : float, >= 0
        Lower bound of the learning rate.

    Raises
    ------
    ValueError
        When training starts, if the learning rate is a schedule.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        mode: str = "auto",
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = validate.number("factor", factor, above=0.0, below=1.0)
        self.patience = validate.integer("patience", patience, low=0)
        self.min_lr = validate.number("min_lr", min_lr, low=0.0)

    def on_train_begin(self) -> None:  # noqa: D102
        super().on_train_begin()
        if isinstance(self._optimizer.learning_rate, Schedule):
            raise ValueError("ReduceLROnPlateau needs a number as learning_rate, got a schedule")

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: D102
        if self.is_logged(logs) and not self.is_better(logs) and self.wait >= self.patience:
            rate = self._optimizer.learning_rate
            self._optimizer.learning_rate = min(rate, max(rate * self.factor, self.min_lr))
            self.wait = 0

    @property
    def _optimizer(self) -> Any:
        return self.model.optimizer


class ModelCheckpoint(_Monitor):
    """Save the model after each epoch, or after each that is the best so far.

    The best value so far carries over from one fit to the next, as in Keras. It is called after all other
    callbacks, so that with ``training=True`` the file includes their state after the epoch too.

    Parameters
    ----------
    path : str or path
        ``{epoch}`` and the names of logged values are filled in: ``"model-{epoch:02d}.safetensors"``. These
        are the loss, the metrics, both for the validation data (``{val_loss}``), and the `monitor`. The
        folder must exist when training starts.
    monitor, mode
        As in `EarlyStopping`.
    save_best_only : bool
    training : bool
        Whether to save all that is needed to resume training; see `fastnn.Model.save`.
    initial_value_threshold : float, optional
        With `save_best_only`, only epochs that are better than this are saved, such as the best of an
        earlier training.

    Raises
    ------
    ValueError
        If the path cannot be filled in; during training, if there is no such value.
    OSError
        When training starts, if the folder does not exist or is not writable; later, if the file cannot be
        written.
    """

    called_last = True
    first_rank_only = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        monitor: str = "val_loss",
        save_best_only: bool = False,
        mode: str = "auto",
        training: bool = False,
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, 0.0)
        self.path = paths.text(path)
        self.save_best_only = validate.boolean("save_best_only", save_best_only)
        self.training = validate.boolean("training", training)
        self.initial_value_threshold = initial_value_threshold
        if initial_value_threshold is not None:
            self.initial_value_threshold = validate.number("initial_value_threshold", initial_value_threshold)
        self._fields()

    def _fields(self) -> set[str]:
        return paths.fields(self.path, ("epoch", "loss", *metrics.TABLE, self.monitor))

    def on_train_begin(self) -> None:
        """Keep the best value so far."""
        self._fields()  # the path may have been changed
        paths.folder(self.path)
        if math.isnan(self.best) and self.initial_value_threshold is not None:
            self.best = self.initial_value_threshold

    def set_state(self, state: dict[str, Any]) -> None:  # noqa: D102
        other = float(state["best"])
        if math.isnan(self.best) or (other < self.best if self.mode == "min" else other > self.best):
            self.best = other  # never worse than a file that this object wrote

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: D102
        if not self.save_best_only or (self.is_logged(logs) and self.is_better(logs)):
            if missing := self._fields() - {"epoch", *logs}:
                name = min(missing)
                near = of_log(name, logs)
                raise ValueError(f"path={self.path!r} has {{{name}}}{near}; this fit has {', '.join(logs)}")
            self.model.save(self.path.format(epoch=epoch, **logs), training=self.training)


class CSVLogger(Callback):
    """Write the logs of each epoch as a line of a CSV file.

    A value that is missing in an epoch is written as ``nan``.

    Parameters
    ----------
    path : str or path
    append : bool
        Whether to append to an existing file. Otherwise the first fit with this object overwrites it; later
        fits, and those with ``resume=True``, append to it.
    """

    first_rank_only = True

    def __init__(self, path: str | os.PathLike[str], append: bool = False) -> None:
        self.path = paths.text(path)
        self.append = validate.boolean("append", append)
        self._adds = False  # whether the next line is appended
        self._columns: list[str] | None = None

    def on_train_begin(self) -> None:  # noqa: D102
        self._columns, self._adds = None, self._adds or self.append
        with self._open("a"):  # fails here if the file cannot be written
            pass

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: D102
        values = {"epoch": epoch, **logs}
        if self._columns is None or not values.keys() <= set(self._columns):
            self._begin(values)
        with self._open("a") as file:
            csv.writer(file).writerow(values.get(name, math.nan) for name in self._columns or ())

    def on_train_end(self) -> None:  # noqa: D102
        if not self._adds:  # no epoch was trained
            self._begin({})

    def get_state(self) -> dict[str, Any]:  # noqa: D102
        return {"adds": self._adds}

    def set_state(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._adds = self._adds or bool(state["adds"])

    def _begin(self, values: dict[str, float]) -> None:
        """Write the header; lines that are there already stay, and get the new columns."""
        rows: list[list[str]] = []
        if self._adds:
            with self._open("r") as file:
                rows = list(csv.reader(file))
        old = rows[0] if rows else []
        self._columns = [*old, *(name for name in values if name not in old)]
        if rows and self._columns != old:
            new = ["nan"] * (len(self._columns) - len(old))
            text = io.StringIO(newline="")
            csv.writer(text).writerows([self._columns, *(row + new for row in rows[1:])])
            files.replace(self.path, text.getvalue().encode())
        elif not rows:
            with self._open("w") as file:
                csv.writer(file).writerows([self._columns] if values else [])
        self._adds = True

    def _open(self, mode: str) -> Any:
        return open(self.path, mode, newline="", encoding="utf-8")
