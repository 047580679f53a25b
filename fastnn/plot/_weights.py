"""The weights of dense layers as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..checks import validate
from ..checks.hints import nearest
from ..layers.base import walk
from ..layers.dense import Dense
from ._style import diverging, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ..inference import Inference

_MOST_IMAGES = 64


def weights(
    model: Inference,
    layer: int | str | None = None,
    *,
    image_shape: tuple[int, int] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> Any:
    """Draw the weights of the dense layers, each as a picture of shape (n_in, units).

    Blue is negative, orange positive, white zero; each picture has its own scale.

    Parameters
    ----------
    model : Model
        Built.
    layer : int or str, optional
        Index in ``model.layers`` of the dense layer to draw, or the path of one in a container, such as
        ``"1.body.0"``; all if not given.
    image_shape : (height, width), optional
        If the inputs of a layer are images of ``height * width`` pixels, row by row: the weights of each of
        its units, of 64 at most, are then drawn as an image.
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
        If the model is not built or has no such layer, no layer has inputs of `image_shape`, or the numbers
        of Axes and layers differ.

    Examples
    --------
    >>> import fastnn as fn
    >>> model = fn.Model([fn.Dense(8, "relu"), fn.Dense(3)], seed=0).build(5)
    >>> [ax.get_title() for ax in fn.plot.weights(model)]
    ['0: Dense(8)', '1: Dense(3)']

    What each unit of a network for images looks for:

    >>> model = fn.Model([fn.Dense(12, "relu"), fn.Dense(10)], seed=0).build(64)
    >>> ax = fn.plot.weights(model, 0, image_shape=(8, 8))
    """
    found = {path: each for path, each in walk(model.layers) if isinstance(each, Dense)}
    dense: list[int | str] = [int(path) if path.isdecimal() else path for path in found]
    model.state  # noqa: B018 - a ValueError if the model is not built
    if layer is not None:
        index = layer if isinstance(layer, str) else validate.integer("layer", layer)
        if index not in dense:
            near = nearest(layer, dense)
            raise ValueError(f"layer must be one of the dense layers, {dense}, got {layer!r}{near}")
        dense = [index]
    if not dense:
        raise ValueError("the model has no dense layer")
    drawn = [found[str(index)].weights for index in dense]
    if image_shape is not None:
        image_shape = _checked_shape(image_shape, [len(values) for values in drawn])
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
    for panel, index, values in zip(axes, dense, drawn, strict=True):
        if image_shape is not None and len(values) == image_shape[0] * image_shape[1]:
            _draw_images(panel, index, values, image_shape)
        else:
            _draw_matrix(panel, index, values)
    return axes[0] if layer is not None else np.array(axes)


def _checked_shape(shape: Any, inputs: list[int]) -> tuple[int, int]:
    """The checked shape of images; it must match the inputs of one of the layers."""
    if not isinstance(shape, (tuple, list)) or len(shape) != 2:
        raise TypeError(f"image_shape must be (height, width), got {shape!r}")
    height, width = (validate.integer("image_shape", side, low=1) for side in shape)
    if height * width not in inputs:
        known = ", ".join(map(str, inputs))
        size = height * width
        raise ValueError(f"image_shape={height, width} is of {size} inputs; the layers have {known}")
    return height, width


def _draw_images(ax: Axes, index: int | str, values: NDArray[Any], shape: tuple[int, int]) -> None:
    """The weights of each unit as an image, in a grid with gaps of one pixel."""
    (height, width), shown = shape, min(values.shape[1], _MOST_IMAGES)
    columns = int(np.ceil(np.sqrt(shown)))
    rows = -(-shown // columns)
    mosaic = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for k in range(shown):
        i, j = k // columns * (height + 1), k % columns * (width + 1)
        mosaic[i : i + height, j : j + width] = values[:, k].reshape(shape)
    _draw_colors(ax, mosaic, float(np.abs(values[:, :shown]).max()), "equal")
    units = values.shape[1]
    which = f"{units} units" if shown == units else f"the first {shown} of {units} units"
    ax.set(title=f"{index}: Dense({units})", xlabel=which, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def _draw_colors(ax: Axes, values: NDArray[Any], limit: float, aspect: Literal["auto", "equal"]) -> None:
    """Values as colours, white for missing ones, with a colour bar."""
    limit = limit or 1.0
    image = ax.imshow(values, cmap=diverging(), vmin=-limit, vmax=limit, aspect=aspect)
    ax.figure.colorbar(image, ax=ax, fraction=0.08)


def _draw_matrix(ax: Axes, index: int | str, values: NDArray[Any]) -> None:
    from matplotlib.ticker import MaxNLocator

    _draw_colors(ax, values, float(np.abs(values).max()), "auto")
    ax.set(title=f"{index}: Dense({values.shape[1]})", xlabel="unit", ylabel="input")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
