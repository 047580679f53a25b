"""History: a record of training, epoch by epoch."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class History:
    """Record of a call of `fit`.

    Attributes
    ----------
    history : dict of str to list of float
        ``"loss"``, the metrics, and both for the validation data under ``"val_..."``: a number per epoch.
        Loss and metrics of training are means over the epoch, while the weights change. Also the values
        that callbacks wrote into their `logs`, with NaN for epochs without.
    learning_rate : list of float
        Learning rate of the last step of each epoch.
    epoch : list of int
        Numbers of the epochs, counted from the `initial_epoch` of the fit, which is 0 if not given.
    error : Exception or None
        The exception that ended training, if it failed: the one that `fastnn.fit_many` caught, or a copy of
        the one that `Model.fit` raised.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.learning_rate: list[float] = []
        self.epoch: list[int] = []
        self.error: Exception | None = None
        self._own: set[str] = set()  # names of what callbacks logged

    @classmethod
    def of_epochs(cls, names: Sequence[str], columns: list[list[float]], rates: list[float]) -> History:
        """The record of the first epochs: the logs of these names, and learning rates."""
        history = cls()
        history.history = dict(zip(names, columns, strict=True))
        history.learning_rate, history.epoch = rates, list(range(len(rates)))
        return history

    def append(self, rows: dict[str, list[float]], rates: list[float], first: int = 0) -> None:
        """Add logs and learning rates of some epochs, lists of equal length, from `first` on."""
        for name, values in rows.items():
            self.history.setdefault(name, []).extend(values)
        self.learning_rate.extend(rates)
        start = self.epoch[-1] + 1 if self.epoch else first
        self.epoch.extend(range(start, start + len(rates)))
        for name in self._own:
            self.history[name].extend([math.nan] * len(rates))

    def latest(self) -> dict[str, float]:
        """The latest epoch's logs, without those that callbacks write."""
        return {name: values[-1] for name, values in self.history.items() if name not in self._own}

    def last_figures(self) -> dict[str, float]:
        """The latest epoch's logs, which are complete."""
        return {name: values[-1] for name, values in self.history.items() if values}

    def record(self, logs: dict[str, float]) -> None:
        """Record what callbacks made of the logs of the latest epoch."""
        for name, value in logs.items():
            if name not in self.history:
                self.history[name] = [math.nan] * len(self.epoch)
                self._own.add(name)
            self.history[name][-1] = value

    def note(self, error: Exception) -> None:
        """Keep what ended training, without the memory that its traceback holds."""
        try:
            self.error = copy.copy(error)
        except Exception:  # its arguments are not those that its class takes
            self.error = _retold(error)

    def trim(self) -> None:
        """Drop an epoch whose logs are incomplete, because training was interrupted."""
        measured = [values for name, values in self.history.items() if name not in self._own]
        known = min(map(len, measured), default=0)
        if len(self.epoch) == known == max(map(len, self.history.values()), default=known):
            return
        del self.epoch[known:]
        for values in (self.learning_rate, *self.history.values()):
            del values[known:]

    def to_pandas(self) -> Any:
        """The logs and the learning rate as a pandas DataFrame, a row an epoch.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError("to_pandas needs pandas: python -m pip install pandas") from error
        index = pandas.Index(self.epoch, name="epoch")
        columns = {**self.history}
        columns.setdefault("learning_rate", self.learning_rate)
        return pandas.DataFrame(columns, index)

    def plot(
        self,
        names: str | Sequence[str] | None = None,
        *,
        label: str | None = None,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> Any:
        """Draw loss, metrics and learning rate over the epochs; see `fastnn.plot.history`."""
        from .. import plot

        return plot.history(self, names, label=label, ax=ax)

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copy: an error of a class that may not be known elsewhere is retold."""
        state = dict(vars(self))
        known = ("builtins", "fastnn", errors.__name__)
        if self.error is not None and type(self.error).__module__ not in known:
            state["error"] = _retold(self.error)
        return state

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.history.items() if values)
        end = "" if self.error is None else f"; ended by {type(self.error).__name__}: {self.error}"
        return f"<History of {len(self.epoch)} epochs{': ' + last if last else ''}{end}>"

    def _repr_html_(self) -> str:
        from ..display.html import history_html

        return history_html(self.history, len(self.epoch), self.error)


def _retold(error: Exception) -> RuntimeError:
    return RuntimeError(f"{type(error).__name__}: {error}")
