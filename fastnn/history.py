"""History: what training recorded, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class History:
    """Record of a call of `fit`.

    Attributes
    ----------
    history : dict of str to list of float
        ``"loss"``, the metrics, and both of the validation data under ``"val_..."``: a number an
        epoch. The training figures are means over the epoch, while the weights change.
    learning_rate : list of float
        That of each epoch's last step.
    epoch : list of int
        Numbers of the epochs, counted from 0.
    error : Exception or None
        What ended the training of a model by `fastnn.fit_many`.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.learning_rate: list[float] = []
        self.epoch: list[int] = []
        self.error: Exception | None = None

    def append(self, rows: dict[str, list[float]], rates: list[float]) -> None:
        """Add the figures of some epochs and their learning rates: lists of equal length."""
        for name, values in rows.items():
            self.history.setdefault(name, []).extend(values)
        self.learning_rate.extend(rates)
        start = len(self.epoch)
        self.epoch.extend(range(start, start + len(rates)))

    def trim(self) -> None:
        """Drop an epoch of which not all figures are known, because training was interrupted."""
        known = min(map(len, self.history.values()), default=0)
        del self.epoch[known:]
        for values in (self.learning_rate, *self.history.values()):
            del values[known:]

    def to_pandas(self) -> Any:
        """The figures and the learning rate as a pandas DataFrame, a row an epoch.

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
        return pandas.DataFrame({**self.history, "learning_rate": self.learning_rate}, index)

    def plot(
        self, names: str | Sequence[str] | None = None, *, ax: Axes | Sequence[Axes] | None = None
    ) -> Any:
        """Draw loss, metrics and learning rate over the epochs; see `fastnn.plot.history`."""
        from . import plot

        return plot.history(self, names, ax=ax)

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.history.items() if values)
        return f"<History of {len(self.epoch)} epochs{': ' + last if last else ''}>"

    def _repr_html_(self) -> str:
        from .notebook import history_html

        return history_html(self)
