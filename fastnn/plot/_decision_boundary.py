"""What a model tells where, in a plane of two columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _validate
from ._style import COLORS, MARKERS, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from ..model import Model

_MOST_POINTS = 5000  # that are drawn


def decision_boundary(
    model: Model,
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    columns: tuple[int, int] = (0, 1),
    resolution: int = 200,
    ax: Axes | None = None,
) -> Axes:
    """Draw which class the model tells where, in the plane of two columns of the input.

    A model of one output that is not trained on classes is drawn as its output instead.

    Parameters
    ----------
    model : Model
        Built.
    X : array of shape (n, n_in)
        Samples: the picture shows the part of the plane in which they lie. Other columns than the two
        are held at their medians.
    y : array of shape (n,), or (n, n_out) where 1 marks the class, optional
        What to colour the samples by. Without, they are not drawn. Of more than 5000, so many are.
    columns : two int
        Those of the horizontal and of the vertical axis.
    resolution : int
        Points of the grid, along each axis.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError, ValueError
        If an argument is not what is described above.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.spiral(100, 3, seed=0)
    >>> model = fn.Model([fn.Dense(64, "relu"), fn.Dense(3)], loss="cross_entropy", seed=0)
    >>> history = model.fit(X, y, epochs=100)
    >>> ax = fn.plot.decision_boundary(model, X, y)
    """
    model.check_names(X)
    x = _validate.features(model.coded(X), model.dtype, model.n_in, table=X)
    chosen = _validate.columns(columns)
    numbers = [] if chosen is None else _validate.column_numbers(chosen, x.shape[1])
    if len(numbers) != 2:
        raise ValueError(f"columns must be two of the input's {x.shape[1]} columns, got {columns!r}")
    resolution = _validate.integer("resolution", resolution, low=2)
    labels = None if y is None else _labels(y, x.shape)
    grid_x, grid_y, outputs = _over_plane(model, x, numbers, resolution)
    kind = "values" if model.loss is None else model.loss.target
    of_classes = outputs.shape[-1] > 1 or kind != "values"
    if not of_classes and labels is not None and labels.dtype.kind == "U":
        raise TypeError(f"y must be numbers for a model of values, got {labels[0]!r}")
    plt = pyplot()
    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    assert ax is not None
    shown = np.arange(0, len(x), -(-len(x) // _MOST_POINTS))
    points, labels = x[shown][:, numbers], None if labels is None else labels[shown]
    if of_classes:
        _draw_classes(ax, model, grid_x, grid_y, outputs)
        if labels is not None:
            _draw_samples(ax, points, labels)
    else:
        _draw_values(ax, grid_x, grid_y, outputs[..., 0], points, labels)
    ax.set(xlabel=f"column {numbers[0]}", ylabel=f"column {numbers[1]}")
    return ax


def _labels(y: Any, of: tuple[int, ...]) -> NDArray[Any]:
    """The class of each sample, a number or a name, or the target; the samples are of the shape `of`."""
    labels = _names(y)
    if labels is None:
        labels = _validate.array("y", y, "float64", (1, 2))
        _validate.finite("y", labels)
    _validate.same_rows("y", labels, of)
    if labels.ndim == 2 and labels.shape[1] == 0:
        raise ValueError(f"y must not be empty, got shape {labels.shape}")
    if labels.ndim == 2:
        labels = labels[:, 0] if labels.shape[1] == 1 else labels.argmax(axis=1)
    return labels


def _names(y: Any) -> NDArray[Any] | None:
    """Names of classes, of shape (n,), if `y` is a list or an array of nothing else."""
    if isinstance(y, (str, np.ma.MaskedArray)):
        return None
    try:
        names = np.asarray(y)
    except (TypeError, ValueError):
        return None
    if names.ndim != 1 or not (names.dtype.kind in "UT" or all(isinstance(name, str) for name in names)):
        return None
    return names.astype(str) if names.size else None


def _over_plane(
    model: Model, x: NDArray[Any], columns: list[int], resolution: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The model's output over the rectangle in which the samples lie."""
    low, high = x[:, columns].min(axis=0), x[:, columns].max(axis=0)
    margin = 0.07 * np.where(high > low, high - low, 1)
    sides = [np.linspace(a, b, resolution) for a, b in zip(low - margin, high + margin, strict=True)]
    grid_x, grid_y = np.meshgrid(*sides)
    points = np.tile(np.median(x, axis=0), (grid_x.size, 1))
    points[:, columns[0]], points[:, columns[1]] = grid_x.ravel(), grid_y.ravel()
    return grid_x, grid_y, model.predict_coded(points).reshape(*grid_x.shape, -1)


def _draw_classes(
    ax: Axes, model: Model, grid_x: NDArray[Any], grid_y: NDArray[Any], outputs: NDArray[Any]
) -> None:
    """The regions as tints, with lines between them."""
    from matplotlib.colors import ListedColormap

    if outputs.shape[-1] == 1:
        outputs = np.concatenate([np.full_like(outputs, model.head.threshold), outputs], axis=-1)
    n, classes = outputs.shape[-1], outputs.argmax(axis=-1)
    tints = ListedColormap([_mixed(color, 0.72) for color in _class_colors(n)])
    ax.pcolormesh(grid_x, grid_y, classes, cmap=tints, vmin=-0.5, vmax=n - 0.5, rasterized=True)
    present = np.unique(classes)
    for k in present[1:]:
        lead = outputs[..., k] - np.delete(outputs, k, axis=-1).max(axis=-1)
        ax.contour(grid_x, grid_y, lead, levels=[0], colors="white", linewidths=1.2)


def _draw_values(
    ax: Axes,
    grid_x: NDArray[Any],
    grid_y: NDArray[Any],
    output: NDArray[Any],
    points: NDArray[Any],
    targets: NDArray[Any] | None,
) -> None:
    """The output as a colour, and the targets of samples in the same colours."""
    values = output.ravel() if targets is None else np.concatenate([output.ravel(), targets.ravel()])
    levels = np.linspace(values.min(), values.max() + 1e-6 * (np.ptp(values) + 1), 13)
    filled = ax.contourf(grid_x, grid_y, output, levels=levels, cmap="viridis")
    ax.figure.colorbar(filled, ax=ax, label="output")
    if targets is not None:
        x, y = points.T
        low, high = levels[0], levels[-1]
        ax.scatter(x, y, c=targets, cmap="viridis", vmin=low, vmax=high, edgecolors="white", linewidths=0.6)


def _draw_samples(ax: Axes, points: NDArray[Any], labels: NDArray[Any]) -> None:
    kinds = np.unique(labels)
    integers = np.issubdtype(kinds.dtype, np.number) and (kinds == np.floor(kinds)).all() and kinds.min() >= 0
    highest = int(kinds.max()) + 1 if integers else 0
    # Class number k has the colour of region k; other labels have those of their order.
    numbers = kinds.astype(int) if integers and highest <= 4 * len(kinds) + 4 else np.arange(len(kinds))
    colors = _class_colors(int(numbers.max()) + 1)
    size = 26 if len(points) <= 1000 else 9
    for kind, k in zip(kinds, numbers, strict=True):
        label = f"{kind:g}" if np.issubdtype(kinds.dtype, np.number) else str(kind)
        x, y = points[labels == kind].T
        style = {"marker": MARKERS[k % len(MARKERS)], "color": colors[k], "edgecolors": "white"}
        ax.scatter(x, y, s=size, linewidths=0.5, label=label, **style)
    if len(kinds) <= 10:
        ax.legend(title="class", loc="upper right", framealpha=0.9)


def _class_colors(n: int) -> list[Any]:
    """Colours of n classes."""
    if n <= len(COLORS):
        return list(COLORS[:n])
    from matplotlib import colormaps

    return [colormaps["viridis"](k / (n - 1)) for k in range(n)]


def _mixed(color: Any, white: float) -> Any:
    """A colour mixed with white."""
    from matplotlib.colors import to_rgb

    return tuple(white + (1 - white) * part for part in to_rgb(color))
