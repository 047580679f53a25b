"""History: what training recorded, epoch by epoch."""

from __future__ import annotations


class History:
    """Record of a call of `fit`.

    Attributes
    ----------
    history : dict of str to list of float
        ``"loss"``, the metrics, and both of the validation data under ``"val_..."``: a number an
        epoch. The training figures are means over the epoch, while the weights change.
    epoch : list of int
        Numbers of the epochs, counted from 0.
    error : Exception or None
        What ended the training of a model by `fastnn.fit_many`.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.error: Exception | None = None

    def append(self, rows: dict[str, list[float]]) -> None:
        """Add the figures of some epochs: lists of equal length."""
        count = 0
        for name, values in rows.items():
            self.history.setdefault(name, []).extend(values)
            count = len(values)
        start = len(self.epoch)
        self.epoch.extend(range(start, start + count))

    def trim(self) -> None:
        """Drop an epoch of which not all figures are known, because training was interrupted."""
        known = min(map(len, self.history.values()), default=0)
        del self.epoch[known:]
        for values in self.history.values():
            del values[known:]

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.history.items() if values)
        return f"<History of {len(self.epoch)} epochs{': ' + last if last else ''}>"
