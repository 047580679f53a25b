"""Learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..checks.hints import nearest
from ..metrics import more_is_better
from ._style import COLORS, MARKERS, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Record(Protocol):
    """What is drawn of a `fastnn.History`."""

    history: dict[str, list[float]]
    learning_rate: list[float]
    epoch: list[int]


def history(
    history: Record,
    names: str | Sequence[str] | None = None,
    *,
    label: str | None = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> Any:
    """Draw what a call of `fit` recorded: a panel for each metric, together with its validation value.

    A dot marks the best epoch. Several histories can be drawn into the same Axes, each in its own
    colours and with another mark.

    Parameters
    ----------
    history : History
    names : str or sequence of str, optional
        Such as ``"loss"``, ``"accuracy"``, ``"learning_rate"``. If not given, the loss and all metrics,
        and the learning rate where it changes; with a single `ax`, the loss.
    label : str, optional
        Name of this history in the legend if several are drawn; its number if not given.
    ax : Axes or sequence of Axes, optional
        One for each name.

    Returns
    -------
    Axes, or array of Axes of shape (n,)
        A single one for a single name.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If nothing was recorded, or a name is unknown, or the numbers of Axes and names differ.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.spiral(100, 3, seed=0)
    >>> model = fn.Model([fn.Dense(64, "relu"), fn.Dense(3)], loss="cross_entropy", seed=0)
    >>> axes = model.fit(X, y, epochs=20, validation_split=0.2).plot()
    >>> [ax.get_ylabel() for ax in axes]
    ['loss', 'accuracy']

    Two in the same Axes:

    >>> other = fn.Model([fn.Dense(8, "relu"), fn.Dense(3)], loss="cross_entropy", seed=0)
    >>> ax = model.history.plot("loss", label="64 units")
    >>> ax = other.fit(X, y, epochs=20, validation_split=0.2).plot(label="8 units", ax=ax)
    """
    if not history.epoch:
        raise ValueError("the history holds no epoch yet")
    single = isinstance(names, str) or (ax is not None and not isinstance(ax, (Sequence, np.ndarray)))
    chosen = _chosen_names(history, names, only_loss=single)
    plt = pyplot()
    if ax is None:
        n = len(chosen)
        size = (6.4, 1.2 + 2.2 * n) if n > 1 else None
        _, panels = plt.subplots(n, sharex=True, squeeze=False, figsize=size, layout="constrained")
        axes = list(panels[:, 0])
    else:
        axes = [ax] if single else list(ax)  # type: ignore[arg-type]
    if len(axes) != len(chosen):
        raise ValueError(f"ax must have one Axes for each of {', '.join(chosen)}, got {len(axes)}")
    for panel, name in zip(axes, chosen, strict=True):
        _draw_figure(panel, history, name, label)
    axes[-1].set_xlabel("epoch")
    return axes[0] if single else np.array(axes)


def _chosen_names(history: Record, names: str | Sequence[str] | None, only_loss: bool) -> list[str]:
    known = list(dict.fromkeys(name.removeprefix("val_") for name in history.history))
    known = [name for name in known if name != "learning_rate"]
    if isinstance(names, str):
        chosen = [names]
    elif names is not None:
        chosen = list(names)
    elif only_loss:
        chosen = ["loss"]
    else:
        chosen = known + (["learning_rate"] if len(set(history.learning_rate)) > 1 else [])
    for name in chosen:
        if name not in (*known, "learning_rate"):
            near = nearest(name, [*known, "learning_rate"])
            raise ValueError(
                f"unknown name {name!r}{near}; this history has {', '.join(known)}, learning_rate"
            )
    if not chosen:
        raise ValueError("names must not be empty")
    return chosen


def _draw_figure(ax: Axes, history: Record, name: str, label: str | None) -> None:
    """A metric over the epochs, together with its validation value."""
    from matplotlib.ticker import MaxNLocator

    epochs = np.array(history.epoch) + 1
    lines = _lines(history, name)
    drawn = _drawn(ax)
    if label is None:
        label = str(drawn + 1) if drawn else ""
    for (which, values), style in zip(lines.items(), ("-", "--"), strict=False):
        color = COLORS[len(ax.lines) % len(COLORS)]
        text = " ".join(part for part in (label, which) if part)
        is_last = which == list(lines)[-1]
        marked = [_best(name, values)] if is_last and name != "learning_rate" else []
        marker = MARKERS[drawn % len(MARKERS)] if marked or len(epochs) == 1 else None
        ax.plot(epochs, values, style, color=color, marker=marker, markevery=marked or None, label=text)
    low, high = min(map(min, lines.values())), max(map(max, lines.values()))
    # A schedule that ends at almost zero would stretch a logarithmic axis too far.
    if low > 0 and (
        (name == "loss" and high > 50 * low) or (name == "learning_rate" and 50 < high / low < 1e5)
    ):
        ax.set_yscale("log")
    ax.set_ylabel(name.replace("_", " "))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    if len(ax.lines) > 1:
        ax.legend(frameon=False)


def _lines(history: Record, name: str) -> dict[str, list[float]]:
    """The values of a metric for the training and the validation data."""
    if name == "learning_rate":
        return {name.replace("_", " "): history.history.get(name, history.learning_rate)}
    keys = {"training": name, "validation": f"val_{name}"}
    return {which: history.history[key] for which, key in keys.items() if key in history.history}


def _drawn(ax: Axes) -> int:
    """How many histories are drawn already: each has one line that is not dashed."""
    return sum(line.get_linestyle() == "-" for line in ax.lines)


def _best(name: str, values: Sequence[float]) -> int:
    """Which epoch is the best; of those that have a number."""
    numbers = np.array(values, float)
    if np.isnan(numbers).all():
        return 0
    return int(np.nanargmax(numbers) if more_is_better(name) else np.nanargmin(numbers))
