"""The weights of dense layers as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _validate
from ..layers import Dense
from ._style import pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ..model import Model


def weights(model: Model, layer: int | None = None, *, ax: Axes | Sequence[Axes] | None = None) -> Any:
    """Draw the weights of the dense layers, each as a picture of shape (n_in, units).

    Blue is negative, red positive, white zero; the scale of each picture is its own.

    Parameters
    ----------
    model : Model
        Built.
    layer : int, optional
        Index in ``model.layers`` of the dense layer to draw; all if not given.
    ax : Axes or sequence of Axes, optional
        One for each layer that is drawn.

    Returns
    -------
    Axes, or array of Axes of shape (n,)
        A single one for a single `layer`.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the model is not built, has no such layer, or there are not as many Axes as layers.

    Examples
    --------
    >>> import fastnn as fn
    >>> model = fn.Model([fn.Dense(8, "relu"), fn.Dense(3)], seed=0).build(5)
    >>> [ax.get_title() for ax in fn.plot.weights(model)]
    ['0: Dense(8)', '1: Dense(3)']
    """
    dense = [i for i, each in enumerate(model.layers) if isinstance(each, Dense)]
    model.state  # noqa: B018 - a ValueError if the model is not built
    if layer is not None:
        index = _validate.integer("layer", layer)
        if index not in dense:
            raise ValueError(f"layer must be one of the dense layers, {dense}, got {layer!r}")
        dense = [index]
    if not dense:
        raise ValueError("the model has no dense layer")
    plt = pyplot()
    if ax is None:
        columns = min(len(dense), 4)
        rows = -(-len(dense) // columns)
        size = (1.2 + 3.2 * columns, 3.8 * rows)
        _, panels = plt.subplots(rows, columns, squeeze=False, figsize=size, layout="constrained")
        axes = list(panels.flat[: len(dense)])
        for panel in panels.flat[len(dense) :]:
            panel.set_axis_off()
    else:
        axes = list(ax) if isinstance(ax, (Sequence, np.ndarray)) else [ax]
    if len(axes) != len(dense):
        raise ValueError(f"ax must have one Axes for each of the layers {dense}, got {len(axes)}")
    for panel, index in zip(axes, dense, strict=True):
        _draw_weights(panel, index, model.layers[index].weights)  # type: ignore[attr-defined]
    return axes[0] if layer is not None else np.array(axes)


def _draw_weights(ax: Axes, index: int, values: NDArray[Any]) -> None:
    from matplotlib.ticker import MaxNLocator

    limit = float(np.abs(values).max()) or 1.0
    image = ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    ax.figure.colorbar(image, ax=ax, fraction=0.08)
    ax.set(title=f"{index}: Dense({values.shape[1]})", xlabel="unit", ylabel="input")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
