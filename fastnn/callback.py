"""Callback: the base of all callbacks, and how those of a fit are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model import Model


class Callback:
    """Base of all callbacks; each method may be overridden and does nothing here.

    Attributes
    ----------
    model : Model
        Set before training starts; ``model.stop_training = True`` ends it after the epoch.
    period : int
        `on_epoch_end` is called after so many epochs, and after the last. Several short epochs run in
        one compiled call. May be changed at any time; it counts from the next call on.
    """

    model: Model
    period: int = 1

    def on_train_begin(self) -> None:
        """Called before the first epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Called after each epoch, or each `period` of them.

        Parameters
        ----------
        epoch : int
            The latest, counted from 0 in each call of `fit`.
        logs : dict of str to float
            The epoch's figures, those of the validation data included.
        """

    def on_train_end(self) -> None:
        """Called once training has ended, by whatever: the last epoch, an error, or Ctrl-C.

        It is called if `on_train_begin` returned, even where another callback fails. The error that ended
        training is raised after it; one that is raised here becomes a note of that.
        """


class _Function(Callback):
    """A plain function as a callback."""

    def __init__(self, function: Callable[[int, dict[str, float]], Any]) -> None:
        self.function = function

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if self.function(epoch, logs):
            self.model.stop_training = True


def as_callback(callback: Any) -> Callback:
    """A callback out of a callback or a function."""
    if isinstance(callback, Callback):
        return callback
    if isinstance(callback, type) or not callable(callback):
        raise TypeError(f"a callback must be a fastnn.Callback or a function, got {callback!r}")
    return _Function(callback)


class CallbackList:
    """The callbacks of a fit, and after which epochs each is called.

    Parameters
    ----------
    model : Model
    callbacks : sequence of Callback
    """

    def __init__(self, model: Model, callbacks: Sequence[Callback]) -> None:
        self.model, self.callbacks = model, callbacks
        self._begun: list[Callback] = []
        self._looks = [0] * len(callbacks)  # the epochs after which they are called next

    def begin(self, epoch: int) -> None:
        """Tell each that training begins, with this epoch of the model's."""
        for i, callback in enumerate(self.callbacks):
            callback.model = self.model
            callback.on_train_begin()
            self._begun.append(callback)
            self._looks[i] = epoch + callback.period

    def next_look(self, last: int) -> int:
        """The epoch until which nobody wants to look, `last` at most."""
        return min(last, *self._looks) if self._looks else last

    def end_epoch(self, epoch: int, number: int, logs: dict[str, float], is_last: bool) -> None:
        """Call those whose turn it is after an epoch of the model's, the given one of the fit."""
        for i, callback in enumerate(self.callbacks):
            if epoch >= self._looks[i] or is_last:
                callback.on_epoch_end(number, dict(logs))
                self._looks[i] = epoch + callback.period

    def end(self, error: BaseException | None) -> None:
        """Tell each that began that training has ended, whatever another one raises.

        Parameters
        ----------
        error : exception or None
            What ended training, which the caller raises.

        Raises
        ------
        BaseException
            The first that a callback raised, if there is no such error; later ones are notes of it.
        """
        first = error
        while self._begun:
            callback = self._begun.pop(0)
            try:
                callback.on_train_end()
            except BaseException as failure:
                if first is None:
                    first = failure
                else:
                    what = f"{type(callback).__name__}.on_train_end raised too"
                    first.add_note(f"{what}: {type(failure).__name__}: {failure}")
        if error is None and first is not None:
            raise first
