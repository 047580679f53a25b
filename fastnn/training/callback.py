"""Callback: the base of all callbacks, and how those of a fit are called."""

from __future__ import annotations

import inspect
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import metric_values, shown, validate
from ..checks.attributes import KnownAttributes
from ..checks.hints import not_called

if TYPE_CHECKING:
    from ..engine.executor import Executor


class _Reference(weakref.ref):  # type: ignore[type-arg]
    """A model that is not kept alive, nor pickled by a callback with a `__getstate__` of its own."""

    def __reduce__(self) -> Any:
        return type(None), ()


class Callback(KnownAttributes):
    """Base of all callbacks; each method may be overridden and does nothing here.

    Attributes
    ----------
    model : Model
        Set before training starts; ``model.stop_training = True`` ends it after the epoch. A callback
        does not keep its model alive, and copies and pickles of it have none: then this is None.
    period : int
        `on_epoch_end` is called after so many epochs, >= 1, and after the last. Several short epochs run in
        one compiled call. May be changed at any time; it counts from the next call on.
    called_last : bool
        Whether it is called after all those that are not, wherever it stands: for what saves a model
        with all that the others know.
    first_rank_only : bool
        Whether it is called by one process only, rank 0, where several train together (`comm` of
        `Model.fit`): for what writes files.
    """

    period: int = 1
    called_last: bool = False
    first_rank_only: bool = False
    _model: weakref.ref[Any] | None = None

    @property
    def model(self) -> Any:
        """The model that is trained, or was trained last."""
        return None if self._model is None else self._model()

    @model.setter
    def model(self, model: Any) -> None:
        self._model = None if model is None else _Reference(model)

    def __repr__(self) -> str:
        kind = type(self)
        own = {name: getattr(self, name) for name in inspect.signature(kind).parameters if name in vars(self)}
        return shown.call(kind.__name__, (), shown.other(kind, own))

    def __getstate__(self) -> Any:
        """For pickle and copy: all but the model."""
        state = super().__getstate__()
        if isinstance(state, dict):
            return {name: value for name, value in state.items() if name != "_model"}
        return state

    def on_train_begin(self) -> None:
        """Called before the first epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Called after each epoch, or each `period` of them.

        Parameters
        ----------
        epoch : int
            The latest, counted from the `initial_epoch` of each call of `fit`, which is 0 if not given.
        logs : dict of str to float
            The loss and metrics of the epoch, those of the validation data included. All callbacks get the
            same dictionary, one after the other: what one writes into it, those after it and the history
            get too. Values are numbers.
        """

    def on_train_end(self) -> None:
        """Called once training has ended, for whatever reason: the last epoch, an error, or Ctrl-C.

        It is called if `on_train_begin` returned, even if another callback fails. The error that ended
        training is raised after it; an error raised here is added to that one as a note.
        """

    def get_state(self) -> dict[str, Any]:
        """State that is needed to resume training; empty here.

        `fastnn.Model.save` writes it with ``training=True``.

        Returns
        -------
        dict of str to number, str, None or array
            Arrays are of finite floating-point numbers and have one or two dimensions.

        Examples
        --------
        >>> import fastnn as fn
        >>> class Least(fn.Callback):
        ...     '''Records the smallest loss, also across a training that was stopped and resumed.'''
        ...
        ...     def on_train_begin(self):
        ...         self.least = float("inf")
        ...
        ...     def on_epoch_end(self, epoch, logs):
        ...         self.least = min(self.least, logs["loss"])
        ...
        ...     def get_state(self):
        ...         return {"least": self.least}
        ...
        ...     def set_state(self, state):
        ...         self.least = state["least"]
        """
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned: called after `on_train_begin` by ``fit(resume=True)``.

        It is the state of the callback of this class, and of this `monitor` if it has one, in the latest
        fit of the model, or in the one that was saved.
        """


class _Function(Callback):
    """A plain function as a callback."""

    def __init__(self, function: Callable[[int, dict[str, float]], Any]) -> None:
        self.function = function

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if self.function(epoch, logs):
            self.model.stop_training = True


def as_callback(callback: Any) -> Callback:
    """A callback, made of a callback or a function."""
    if isinstance(callback, Callback):
        _period(callback)
        return callback
    if isinstance(callback, type) or not callable(callback):
        got = f"{callback!r}{not_called(callback)}"
        raise TypeError(f"a callback must be a fastnn.Callback or a function, got {got}")
    return _Function(callback)


def function_of(callback: Callback) -> Callable[..., Any] | None:
    """The function that `as_callback` made a callback of; None for others."""
    return callback.function if isinstance(callback, _Function) else None


class CallbackList:
    """The callbacks of a fit, and after which epochs each is called.

    Parameters
    ----------
    model : Model
        What callbacks are told of.
    executor : Executor
        What runs it.
    callbacks : sequence of Callback
    resume : bool
        Whether they get the state of those of the latest fit.
    """

    def __init__(self, model: Any, executor: Executor, callbacks: Sequence[Callback], resume: bool) -> None:
        self.model, self.executor = model, executor
        self.callbacks = sorted(callbacks, key=lambda callback: bool(callback.called_last))
        #: The state for those that have not begun yet; it stays with the model if they never do.
        self._known: dict[str, dict[str, Any]] = {}
        if resume and (known := executor.state.callbacks):
            self._known = {name: known[name] for name, _ in self._named() if name in known}
        self._begun: list[tuple[str, Callback]] = []
        self._looks = [0] * len(callbacks)  # the epochs after which they are called next

    def begin(self, epoch: int) -> None:
        """Tell each that training begins, at this epoch of the model."""
        self.executor.callback_states = self.states
        for i, (name, callback) in enumerate(self._named()):
            callback.model = self.model
            callback.on_train_begin()
            self._begun.append((name, callback))
            if name in self._known:
                callback.set_state(self._known[name])
                del self._known[name]
            self._looks[i] = epoch + _period(callback)

    def next_callback_epochs(self, last: int) -> int:
        """The next epoch after which a callback is called, `last` at most."""
        return min(last, *self._looks) if self._looks else last

    def end_epoch(self, epoch: int, number: int, logs: dict[str, float], is_last: bool) -> None:
        """Call those that are due after an epoch of the model, the given one of the fit.

        They may write into `logs`.
        """
        for i, callback in enumerate(self.callbacks):
            if epoch >= self._looks[i] or is_last:
                callback.on_epoch_end(number, logs)
                _check_figures(callback, logs)
                self._looks[i] = epoch + _period(callback)

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
        calls = [
            (f"{type(callback).__name__}.on_train_end", callback.on_train_end) for _, callback in self._begun
        ]
        for name, call in [*calls, ("get_state", self._keep_states)]:
            try:
                call()
            except BaseException as failure:
                if first is None:
                    first = failure
                else:
                    first.add_note(f"{name} raised too: {type(failure).__name__}: {failure}")
        if error is None and first is not None:
            raise first

    def _keep_states(self) -> None:
        """Leave the state of the callbacks with the model, for a fit that resumes."""
        self.executor.callback_states = None
        self.executor.state.callbacks = self.states()

    def states(self) -> dict[str, dict[str, Any]]:
        """The state of each callback, by its name."""
        states = {name: _checked_state(callback) for name, callback in self._begun}
        return {name: state for name, state in states.items() if state} | self._known

    def _named(self) -> Iterator[tuple[str, Callback]]:
        """Each callback with its class and monitor as a name; further ones of that name are counted."""
        count: Counter[str] = Counter()
        for callback in self.callbacks:
            name, monitor = type(callback).__name__, getattr(callback, "monitor", None)
            name = f"{name}({monitor})" if isinstance(monitor, str) else name
            count[name] += 1
            yield name if count[name] == 1 else f"{name} {count[name]}", callback


def _period(callback: Callback) -> int:
    """After how many epochs a callback is called, which may have been changed."""
    period = callback.period
    if type(period) is int and period >= 1:
        return period
    return validate.integer(f"period of {type(callback).__name__}", period, low=1)


def _check_figures(callback: Callback, logs: dict[str, float]) -> None:
    """Convert all logs to floats; one that is not a number is removed and refused."""
    for name, value in logs.items():
        if type(value) is float and type(name) is str and name != "epoch":
            continue
        number = metric_values.as_float(value)
        if number is not None and isinstance(name, str) and name != "epoch":
            logs[name] = number
            continue
        del logs[name]
        who = callback.function if isinstance(callback, _Function) else callback
        what = f"{getattr(who, '__name__', type(who).__name__)} wrote logs[{name!r}] = {value!r}"
        if not isinstance(name, str) or name == "epoch":
            raise ValueError(f"{what}; the name of a logged value must be text, and not 'epoch'")
        raise TypeError(f"{what}; a logged value must be a number")


def _checked_state(callback: Callback) -> dict[str, Any]:
    """The state of a callback, with plain numbers."""
    state = callback.get_state()
    where = f"get_state of {type(callback).__name__}"
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise TypeError(f"{where} must give a dictionary of names, got {state!r}")
    return {name: _checked_value(f"{name!r} in {where}", value) for name, value in state.items()}


def _checked_value(name: str, value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim in (1, 2):
        if not np.isfinite(value).all():
            raise ValueError(f"{name} must be finite")
        return value if value.dtype == np.float32 else value.astype(np.float64)
    what = "a number, text, None, or an array of floating-point numbers with one or two dimensions"
    raise TypeError(f"{name} must be {what}, got {value!r}")
