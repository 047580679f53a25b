"""How much a model depends on each column, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..checks import validate
from ._style import COLORS, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray


class Importance(Protocol):
    """What is drawn: `fastnn.explain.Importance`."""

    @property
    def mean(self) -> NDArray[Any]:
        """Of each column."""

    @property
    def std(self) -> NDArray[Any]:
        """Of each column."""

    @property
    def names(self) -> Sequence[str]:
        """Of the columns; empty if they have none."""


def importance(result: Importance, *, most: int = 20, ax: Axes | None = None) -> Axes:
    """Draw what `fastnn.explain.permutation_importance` returns: the most important columns, from the top.

    Parameters
    ----------
    result : fastnn.explain.Importance
    most : int
        How many columns are drawn at most.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If `most` is less than 1.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> model = fn.Model([fn.Dense(1)], "mse", seed=0).build(3)
    >>> result = fn.explain.permutation_importance(model, X, X[:, 0])
    >>> ax = fn.plot.importance(result)
    """
    order = np.argsort(-result.mean, kind="stable")[: validate.integer("most", most, low=1)]
    if ax is None:
        size = (6.4, 1.2 + 0.3 * len(order))
        _, ax = pyplot().subplots(figsize=size, layout="constrained")
    places = np.arange(len(order))
    ax.barh(places, result.mean[order], xerr=result.std[order], color=COLORS[0], ecolor=COLORS[-1])
    labels = [result.names[j] if result.names else str(j) for j in order]
    ax.set(yticks=places, yticklabels=labels, xlabel="increase of the error when shuffled")
    ax.invert_yaxis()
    return ax
