"""The diagram of a network."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from ..layers.dense import Dense
from ._style import NEGATIVE, POSITIVE, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ..inference import Inference
    from ..layers.base import Layer

_UNIT = "#444444"


def network(model: Inference, *, most: int = 10, ax: Axes | None = None) -> Axes:
    """Draw the units and the weights of a built model.

    A line is a weight: orange if it is positive, blue if negative, the stronger the larger it is among
    those of its layer. Of a wide layer the first and the last units are shown.

    Parameters
    ----------
    model : Model
        Built.
    most : int, >= 3
        Units of a layer that are drawn.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError, ValueError
        If the model is not built, or `most` is not such a number.

    Examples
    --------
    >>> import fastnn as fn
    >>> model = fn.Model([fn.Dense(8, "relu"), fn.Dense(3)], seed=0).build(784)
    >>> ax = fn.plot.network(model)
    """
    model.state  # noqa: B018 - a ValueError if the model is not built
    most = validate.integer("most", most, low=3)
    return _draw(model, most, ax, pyplot())


@dataclass
class _Column:
    """Units that are drawn below each other."""

    width: int
    title: str
    layer: Layer | None = None  # what computes them; None for the input
    notes: list[str] = field(default_factory=list)  # layers that keep their number

    def shown(self, most: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Which units are drawn, and at which heights; with a gap, if they are not all."""
        if self.width <= most:
            units = np.arange(self.width)
            return units, (self.width - 1) / 2 - units
        above, below = most - most // 2, most // 2
        units = np.concatenate([np.arange(above), np.arange(self.width - below, self.width)])
        places = np.concatenate([np.arange(above), np.arange(below) + above + 1])
        return units, most / 2 - places

    def gap(self, most: int) -> float | None:
        """Height of the gap, if not all units are drawn."""
        return None if self.width <= most else most / 2 - (most - most // 2)


def _columns(model: Inference) -> list[_Column]:
    assert model.n_in is not None
    graph = model.executor.graph
    assert graph is not None
    result = [_Column(graph.input.size, "input")]
    for layer in model.layers:
        node = graph.node(layer)
        n_in, n_out = math.prod(node.inputs[0]), math.prod(node.output)
        if isinstance(layer, Dense):
            activation = "" if layer.activation is None else f"\n{layer.activation.name}"
            result.append(_Column(n_out, f"Dense{activation}", layer))
        elif n_in != n_out:
            result.append(_Column(n_out, type(layer).__name__, layer))
        else:
            result[-1].notes.append(repr(layer))
    return result


def _draw(model: Inference, most: int, ax: Axes | None, plt: Any) -> Axes:
    """Draw the columns of units, the weights between them, and what they are called."""
    columns = _columns(model)
    half = min(max(column.width for column in columns), most + 1) / 2
    lines = max(len(column.notes) for column in columns)
    top, bottom = half + 1.6, -half - 1.2 - 0.5 * lines  # with room for the legend
    if ax is None:
        size = (max(1.7 * len(columns), 3.2), 1.2 + 0.33 * (top - bottom))
        figure, ax = plt.subplots(figsize=size, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    assert ax is not None
    for i, (left, right) in enumerate(zip(columns, columns[1:], strict=False)):
        _draw_weights(ax, i, left.shown(most), right, right.shown(most))
    for i, column in enumerate(columns):
        _draw_units(ax, i, column.shown(most)[1], column.gap(most))
        title = f"{column.title}\n{column.width:,}"
        ax.text(i, half + 0.2, title, ha="center", va="bottom", fontsize=9)
        ax.text(i, -half - 0.2, "\n".join(column.notes), ha="center", va="top", fontsize=8, color=_UNIT)
    ax.set(xlim=(-0.5, len(columns) - 0.5), ylim=(bottom, top))
    ax.set_axis_off()
    for color, label in ((POSITIVE, "positive weight"), (NEGATIVE, "negative")):
        ax.plot([], [], color=color, linewidth=2, label=label)
    ax.legend(loc="lower center", borderaxespad=0, ncols=2, frameon=False, fontsize=8)
    return ax


def _draw_weights(ax: Axes, i: int, left: Any, column: _Column, right: Any) -> None:
    """Lines from column i to the next: the larger a weight, the stronger; grey where there are none."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgba

    (units, heights), (next_units, next_heights) = left, right
    ends = [((i, a), (i + 1, b)) for a in heights for b in next_heights]
    if not isinstance(column.layer, Dense):
        ax.add_collection(LineCollection(ends, colors="#BBBBBB", linewidths=0.5, zorder=1))
        return
    weights = column.layer.weights
    strength = weights[np.ix_(units, next_units)].ravel() / (np.abs(weights).max() or 1)
    order = np.argsort(np.abs(strength))  # the strongest on top
    colors = [to_rgba(POSITIVE if s > 0 else NEGATIVE, 0.08 + 0.82 * abs(s)) for s in strength[order]]
    widths = 0.4 + 1.6 * np.abs(strength[order])
    lines = LineCollection([ends[k] for k in order], colors=colors, linewidths=widths, zorder=1)
    ax.add_collection(lines)


def _draw_units(ax: Axes, i: int, heights: NDArray[np.float64], gap: float | None) -> None:
    places = np.full(len(heights), i)
    ax.scatter(places, heights, s=110, color="white", edgecolors=_UNIT, linewidths=1.2, zorder=3)
    if gap is not None:
        ax.text(i, gap, "\N{VERTICAL ELLIPSIS}", ha="center", va="center", fontsize=13, color=_UNIT, zorder=3)
