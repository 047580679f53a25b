"""Callbacks: what is called between epochs.

A callback is a `Callback`, or a function of the epoch's number and its figures, that stops training
by returning True:

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
from .io import files
from .schedules import Schedule
from .training.callback import Callback, as_callback

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "as_callback",
]


def __dir__() -> list[str]:
    return __all__


def _text(path: Any) -> str:
    """The path of a file."""
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise TypeError(f"path must be a text or a pathlib.Path, got {path!r}")
    return text


class _Monitor(Callback):
    """Base of callbacks that watch whether a figure gets better."""

    best: float
    wait: int
    _seen: bool = False

    def __init__(self, monitor: str, mode: str, min_delta: float) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be a name, got {monitor!r}")
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', got {mode!r}")
        if mode == "auto":
            mode = "max" if metrics.more_is_better(monitor) else "min"
        self.monitor, self.mode = monitor, mode
        self.min_delta = validate.number("min_delta", min_delta, low=0.0)
        self.best = math.nan
        self.wait = 0

    def on_train_begin(self) -> None:
        self.best, self.wait, self._seen = math.nan, 0, False

    def has_figure(self, logs: dict[str, float]) -> bool:
        """Whether the epoch has the figure; one that no epoch had is refused."""
        self._seen = self._seen or self.monitor in logs
        if not self._seen:
            raise ValueError(
                f"unknown monitor {self.monitor!r}; this fit has {', '.join(logs)}. What a callback writes "
                "reaches those behind it, with the same period"
            )
        return self.monitor in logs

    def is_better(self, logs: dict[str, float]) -> bool:
        """Take up the epoch's figure; `wait` counts the epochs since it was last better."""
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
    """Stop when a figure has not got better for some epochs.

    Each fit begins anew, but one with ``resume=True``.

    Parameters
    ----------
    monitor : str
        Name of the figure, as in the history.
    patience : int, >= 0
        So many epochs in a row without a better figure end training, as in Keras; 0 is as 1.
    restore_best : bool
        Whether to put back the weights of the best epoch in the end.
    min_delta : float, >= 0
        How much better a figure must be to count.
    mode : {"auto", "min", "max"}
        Which way is better; "auto" is "max" for names that end in accuracy, acc, auc, f1, precision, r2,
        recall or score, and "min" for all others.
    restore_best_weights : bool, optional
        Another name of `restore_best`, as in Keras.

    Raises
    ------
    ValueError
        During training, if there is no such figure.
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
                raise ValueError("restore_best=True and restore_best_weights=False say opposite things")
            self.restore_best = other
        self.stopped_epoch = None
        self._best_parameters: Any = None

    @property
    def restore_best_weights(self) -> bool:
        """Another name of `restore_best`."""
        return self.restore_best

    @restore_best_weights.setter
    def restore_best_weights(self, value: bool) -> None:
        self.restore_best = value

    def on_train_begin(self) -> None:  # noqa: D102
        super().on_train_begin()
        self.stopped_epoch, self._best_parameters = None, None

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: D102
        if not self.has_figure(logs):
            return
        if self.is_better(logs):
            if self.restore_best:
                self._best_parameters = self.model.parameters.copy()
        elif self.wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self) -> None:  # noqa: D102
        if self._best_parameters is not None:
            with self.model.executor.weights_lock.change():
                self.model.parameters[...] = self._best_parameters
            self._best_parameters = None

    def get_state(self) -> dict[str, Any]:  # noqa: D102
        # Once training has ended the best weights are the model's own.
        best = {} if self._best_parameters is None else {"parameters": self._best_parameters}
        return {**super().get_state(), "restore_best": self.restore_best, **best}

    def set_state(self, state: dict[str, Any]) -> None:  # noqa: D102
        if self.restore_best and not state["restore_best"]:
            return  # nobody kept the best weights: begin anew
        super().set_state(state)
        if self.restore_best and not math.isnan(self.best):
            best = state.get("parameters", self.model.parameters)
            if best.shape != self.model.parameters.shape:
                raise ValueError(
                    f"EarlyStopping knows best weights of shape {best.shape}, but the model has "
                    f"{self.model.parameters.shape}"
                )
            self._best_parameters = best.copy()


class ReduceLROnPlateau(_Monitor):
    """Lower the learning rate when a figure has not got better for some epochs.

    Each fit begins anew, but one with ``resume=True``.

    Parameters
    ----------
    monitor, patience, min_delta, mode
        As in `EarlyStopping`.
    factor : float, 0 < factor < 1
        What the rate is multiplied with.
    min_lr : float, >= 0
        The rate is not lowered further.

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
        if self.has_figure(logs) and not self.is_better(logs) and self.wait >= self.patience:
            rate = self._optimizer.learning_rate
            self._optimizer.learning_rate = min(rate, max(rate * self.factor, self.min_lr))
            self.wait = 0

    @property
    def _optimizer(self) -> Any:
        return self.model.optimizer


class ModelCheckpoint(_Monitor):
    """Save the model after each epoch, or after each that is the best so far.

    The best so far is kept from one fit to the next, as in Keras. It is called after all other callbacks,
    so that with ``training=True`` the file holds what those know of the epoch too.

    Parameters
    ----------
    path : str or path
        ``{epoch}`` and the names of figures are filled in: ``"model-{epoch:02d}.safetensors"``. They may
        be the loss, the metrics, those of validation data (``{val_loss}``), and the `monitor`. The
        folder must exist when training begins.
    monitor, mode
        As in `EarlyStopping`.
    save_best_only : bool
    training : bool
        Whether to save all that training needs to go on; see `fastnn.Model.save`.
    initial_value_threshold : float, optional
        With `save_best_only` only epochs that are better than this are saved: the best of an earlier
        training, say.

    Raises
    ------
    ValueError
        If the path cannot be filled in; during training, if there is no such figure.
    OSError
        When training begins, if the folder does not exist or must not be written to; later, if the file
        cannot be written.
    """

    called_last = True

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
        self.path = _text(path)
        self.save_best_only = validate.boolean("save_best_only", save_best_only)
        self.training = validate.boolean("training", training)
        self.initial_value_threshold = initial_value_threshold
        if initial_value_threshold is not None:
            self.initial_value_threshold = validate.number("initial_value_threshold", initial_value_threshold)
        self._fields()

    def _fields(self) -> set[str]:
        return paths.fields(self.path, ("epoch", "loss", *metrics.TABLE, self.monitor))

    def on_train_begin(self) -> None:
        """The best so far stays."""
        self._fields()  # the path may have been changed
        paths.folder(self.path)
        if math.isnan(self.best) and self.initial_value_threshold is not None:
            self.best = self.initial_value_threshold

    def set_state(self, state: dict[str, Any]) -> None:  # noqa: D102
        other = float(state["best"])
        if math.isnan(self.best) or (other < self.best if self.mode == "min" else other > self.best):
            self.best = other  # never what is worse than a file that this object wrote

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: D102
        if not self.save_best_only or (self.has_figure(logs) and self.is_better(logs)):
            if missing := self._fields() - {"epoch", *logs}:
                name = min(missing)
                raise ValueError(f"path={self.path!r} has {{{name}}}; this fit has {', '.join(logs)}")
            self.model.save(self.path.format(epoch=epoch, **logs), training=self.training)


class CSVLogger(Callback):
    """Write the figures of each epoch as a line of a file.

    A figure that is missing in an epoch is written as ``nan``.

    Parameters
    ----------
    path : str or path
    append : bool
        Whether lines are added to a file that exists. If not, it is overwritten in the first fit with
        this object; later ones, and those with ``resume=True``, add to it.
    """

    def __init__(self, path: str | os.PathLike[str], append: bool = False) -> None:
        self.path = _text(path)
        self.append = validate.boolean("append", append)
        self._adds = False  # whether lines are added to what is there
        self._columns: list[str] | None = None

    def on_train_begin(self) -> None:  # noqa: D102
        self._columns, self._adds = None, self._adds or self.append
        with self._open("a"):  # finds out here whether it can be written
            pass

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: D102
        figures = {"epoch": epoch, **logs}
        if self._columns is None or not figures.keys() <= set(self._columns):
            self._begin(figures)
        with self._open("a") as file:
            csv.writer(file).writerow(figures.get(name, math.nan) for name in self._columns or ())

    def on_train_end(self) -> None:  # noqa: D102
        if not self._adds:  # no epoch was trained
            self._begin({})

    def get_state(self) -> dict[str, Any]:  # noqa: D102
        return {"adds": self._adds}

    def set_state(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._adds = self._adds or bool(state["adds"])

    def _begin(self, figures: dict[str, float]) -> None:
        """Write the names of the columns; the lines of a file that is added to stay, and become longer."""
        rows: list[list[str]] = []
        if self._adds:
            with self._open("r") as file:
                rows = list(csv.reader(file))
        old = rows[0] if rows else []
        self._columns = [*old, *(name for name in figures if name not in old)]
        if rows and self._columns != old:
            new = ["nan"] * (len(self._columns) - len(old))
            text = io.StringIO(newline="")
            csv.writer(text).writerows([self._columns, *(row + new for row in rows[1:])])
            files.replace(self.path, text.getvalue().encode())
        elif not rows:
            with self._open("w") as file:
                csv.writer(file).writerows([self._columns] if figures else [])
        self._adds = True

    def _open(self, mode: str) -> Any:
        return open(self.path, mode, newline="", encoding="utf-8")
