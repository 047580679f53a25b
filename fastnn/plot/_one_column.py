"""Predictions of a model of one column: outputs or class probabilities over that column."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from ._outputs import class_numbers, require_numbers
from ._style import COLORS, LINES, OUTSIDE, class_colors, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ._outputs import Outputs


def over_one_column(drawn: Outputs, labels: NDArray[Any] | None, resolution: int, ax: Axes | None) -> Axes:
    """Draw outputs over the only column; samples as points, classes at the lower edge."""
    require_numbers(drawn, labels)
    x = drawn.samples[:, 0]
    margin = 0.07 * (np.ptp(x) or 1)
    line = np.linspace(x.min() - margin, x.max() + margin, max(resolution, 2))
    outputs = drawn.at(line[:, np.newaxis].astype(drawn.samples.dtype))
    plt, place = pyplot(), OUTSIDE if ax is None else {"loc": "best"}
    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    assert ax is not None
    if drawn.of_classes:
        _draw_classes(ax, drawn, line, outputs, labels, place)
    else:
        ax.plot(line, outputs, color=COLORS[1], zorder=3)
        if labels is not None:
            ax.scatter(x, labels, s=16, color=COLORS[0], alpha=0.6, linewidths=0)
        ax.set_ylabel("output")
    ax.set_xlabel("column 0")
    return ax


def _draw_classes(
    ax: Axes,
    drawn: Outputs,
    line: NDArray[Any],
    outputs: NDArray[Any],
    labels: NDArray[Any] | None,
    place: dict[str, Any],
) -> None:
    """A line for each output, and a tint of its class where it is the largest."""
    if outputs.shape[1] == 1:
        leads = (outputs[:, 0] > drawn.threshold).astype(int)
        n, curves = 2, {1: outputs[:, 0]}
    else:
        leads, n = outputs.argmax(axis=1), outputs.shape[1]
        curves = dict(enumerate(outputs.T))
    colors = class_colors(n)
    names = drawn.classes if drawn.classes is not None else range(n)
    for (k, curve), dashes in zip(curves.items(), cycle(LINES)):
        ax.plot(line, curve, dashes, color=colors[k], label=str(names[k]))
    for k in np.unique(leads):
        style = {"color": colors[k], "alpha": 0.15, "linewidth": 0}
        ax.fill_between(line, 0, 1, where=leads == k, transform=ax.get_xaxis_transform(), **style)
    if labels is not None:
        kinds = np.unique(labels)
        for kind, k in zip(kinds, class_numbers(kinds, drawn.classes), strict=True):
            x = drawn.samples[labels == kind, 0]
            ax.plot(x, np.full(len(x), 0.02), "|", color=colors[k % n], transform=ax.get_xaxis_transform())
    ax.set_ylabel("output")
    if n <= 10:
        ax.legend(title="class", framealpha=0.9, **place)
