"""The diagram of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from ..layers.dense import Dense
from ._diagram import Column, Diagram, Source
from ._style import FAINT, GREY, NEGATIVE, POSITIVE, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ..inference import Inference

_UNIT, _BAND = "#444444", "#EEEEEE"


def network(model: Inference, *, most: int = 10, ax: Axes | None = None) -> Axes:
    """Draw the units and the weights of a built model.

    A line is a weight: orange if it is positive, blue if negative, stronger for larger weights of its
    layer. For a wide layer the first and the last units are shown. Branches lie below each other and end in
    a column that joins them; a branch that is the identity is a curve.

    Parameters
    ----------
    model : Model
        Built.
    most : int, >= 3
        Most units of a layer that are drawn.
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
    return _draw(Diagram(model, most), ax, pyplot())


def _draw(diagram: Diagram, ax: Axes | None, plt: Any) -> Axes:
    """Draw the columns of units, the weights between them, and what they are called."""
    columns = diagram.columns
    upper, lower = diagram.extent(columns)
    top, bottom = upper + 0.2, lower - 1.0  # with room for the legend
    width = 1 + max(column.x for column in columns)
    if ax is None:
        size = (max(1.7 * width, 3.2), 1.2 + 0.33 * (top - bottom))
        figure, ax = plt.subplots(figsize=size, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    assert ax is not None
    for column in columns:
        for source in column.sources:
            _draw_source(ax, diagram, source, column)
    for column in columns:
        _draw_units(ax, column.x, diagram.shown(column)[1], diagram.gap(column))
        title, notes = f"{column.title}\n{column.width:,}", "\n".join(column.notes)
        above, below = column.y + column.half + 0.2, column.y - column.half - 0.2
        ax.text(column.x, above, title, ha="center", va="bottom", fontsize=9)
        ax.text(column.x, below, notes, ha="center", va="top", fontsize=9, color=_UNIT)
    ax.set(xlim=(-0.5, width - 0.5), ylim=(bottom, top))
    ax.set_axis_off()
    for color, label in ((POSITIVE, "positive weight"), (NEGATIVE, "negative")):
        ax.plot([], [], color=color, linewidth=2, label=label)
    ax.legend(loc="lower center", borderaxespad=0, ncols=2, frameon=False, fontsize=9)
    return ax


def _draw_source(ax: Axes, diagram: Diagram, source: Source, column: Column) -> None:
    """What leads from a column to one that is computed from it."""
    if source.part is None:
        _draw_weights(ax, diagram, source.column, column)
    elif source.curve is None:
        _draw_band(ax, diagram, source.column, column, source.part)
    else:
        _draw_curve(ax, diagram, source.column, column, source.curve)


def _draw_band(ax: Axes, diagram: Diagram, source: Column, column: Column, part: tuple[float, float]) -> None:
    """What becomes a part of another column, unit by unit."""
    left, right = diagram.half(source), diagram.half(column)
    above, below = (column.y + right * (1 - 2 * end) for end in part)
    heights = [source.y + left, above, below, source.y - left]
    ax.fill([source.x, column.x, column.x, source.x], heights, color=_BAND, linewidth=0, zorder=0)


def _draw_curve(ax: Axes, diagram: Diagram, source: Column, column: Column, depth: float) -> None:
    """The way of what goes past the columns between."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    left, right = (each.y - diagram.half(each) for each in (source, column))
    far = (depth - (left + right) / 8) * 4 / 3  # a curve gets three quarters of the way to it
    points = [(source.x, left), (source.x, far), (column.x, far), (column.x, right)]
    path = Path(points, [Path.MOVETO, *[Path.CURVE4] * 3])
    ax.add_patch(PathPatch(path, fill=False, edgecolor=GREY, linewidth=1.5, zorder=1))


def _draw_weights(ax: Axes, diagram: Diagram, source: Column, column: Column) -> None:
    """Lines from a column to the next: the larger a weight, the stronger; grey where there are none."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgba

    (units, heights), (next_units, next_heights) = diagram.shown(source), diagram.shown(column)
    ends = [((source.x, a), (column.x, b)) for a in heights for b in next_heights]
    if not isinstance(column.layer, Dense):
        ax.add_collection(LineCollection(ends, colors=FAINT, linewidths=0.5, zorder=1))
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
