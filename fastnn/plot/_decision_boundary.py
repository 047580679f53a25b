"""Decision boundaries: predictions in the plane of two columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from ..data import array_checks
from ._one_column import over_one_column
from ._outputs import class_numbers, outputs_of, require_numbers
from ._style import MARKERS, OUTSIDE, SEQUENTIAL, class_colors, mixed, pyplot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from ..inference import Inference
    from ._outputs import Outputs

_MOST_POINTS = 5000  # that are drawn


def decision_boundary(
    model: Inference | Any,
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    columns: tuple[int, int] = (0, 1),
    resolution: int = 200,
    ax: Axes | None = None,
) -> Axes:
    """Draw the predicted class in the plane of two columns of the input.

    For a model with one output that is not trained on classes, the output is drawn instead; for a model of
    a single column, its outputs or class probabilities over that column.

    Parameters
    ----------
    model : Model or estimator
        A built model; or a fitted classifier or regressor with scikit-learn's methods, such as those of
        `fastnn.sklearn`.
    X : array of shape (n, n_in)
        Samples: the picture shows the part of the plane that contains them. All other columns are held at
        their medians.
    y : array of shape (n,), or (n, n_out) where 1 marks the class, optional
        What to colour the samples by. If not given, they are not drawn. At most 5000 are drawn.
    columns : two int
        Columns of the horizontal and the vertical axis.
    resolution : int
        Grid points along each axis.
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
    drawn = outputs_of(model, X)
    x = drawn.samples
    if x.shape[1] == 1 and columns == (0, 1):
        return over_one_column(drawn, None if y is None else _labels(y, x.shape), resolution, ax)
    chosen = array_checks.columns(columns)
    numbers = [] if chosen is None else array_checks.column_numbers(chosen, x.shape[1])
    if len(numbers) != 2:
        raise ValueError(f"columns must be two of the input's {x.shape[1]} columns, got {columns!r}")
    resolution = validate.integer("resolution", resolution, low=2)
    labels = None if y is None else _labels(y, x.shape)
    grid_x, grid_y, outputs = _over_plane(drawn, numbers, resolution)
    require_numbers(drawn, labels)
    plt = pyplot()
    place = OUTSIDE if ax is None else {"loc": "best"}
    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    assert ax is not None
    shown = np.arange(0, len(x), -(-len(x) // _MOST_POINTS))
    points, labels = x[shown][:, numbers], None if labels is None else labels[shown]
    if drawn.of_classes:
        _draw_classes(ax, drawn.threshold, grid_x, grid_y, outputs)
        if labels is not None:
            _draw_samples(ax, points, labels, drawn.classes, place)
    else:
        _draw_values(ax, grid_x, grid_y, outputs[..., 0], points, labels)
    ax.set(xlabel=f"column {numbers[0]}", ylabel=f"column {numbers[1]}")
    return ax


def _labels(y: Any, of: tuple[int, ...]) -> NDArray[Any]:
    """The class of each sample, a number or a name, or its target; the samples have the shape `of`."""
    labels = _names(y)
    if labels is None:
        labels = array_checks.array("y", y, "float64", (1, 2))
        array_checks.finite("y", labels)
    array_checks.same_rows("y", labels, of)
    if labels.ndim == 2 and labels.shape[1] == 0:
        raise ValueError(f"y must not be empty, got shape {labels.shape}")
    if labels.ndim == 2:
        labels = labels[:, 0] if labels.shape[1] == 1 else labels.argmax(axis=1)
    return labels


def _names(y: Any) -> NDArray[Any] | None:
    """Class names, of shape (n,), if `y` contains nothing else."""
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
    drawn: Outputs, columns: list[int], resolution: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The output of the model over the rectangle that contains the samples."""
    x = drawn.samples
    low, high = x[:, columns].min(axis=0), x[:, columns].max(axis=0)
    margin = 0.07 * np.where(high > low, high - low, 1)
    sides = [np.linspace(a, b, resolution) for a, b in zip(low - margin, high + margin, strict=True)]
    grid_x, grid_y = np.meshgrid(*sides)
    points = np.tile(np.median(x, axis=0), (grid_x.size, 1))
    points[:, columns[0]], points[:, columns[1]] = grid_x.ravel(), grid_y.ravel()
    return grid_x, grid_y, drawn.at(points).reshape(*grid_x.shape, -1)


def _draw_classes(
    ax: Axes, threshold: float, grid_x: NDArray[Any], grid_y: NDArray[Any], outputs: NDArray[Any]
) -> None:
    """The regions as tints, with lines between them."""
    from matplotlib.colors import ListedColormap

    if outputs.shape[-1] == 1:
        outputs = np.concatenate([np.full_like(outputs, threshold), outputs], axis=-1)
    n, classes = outputs.shape[-1], outputs.argmax(axis=-1)
    tints = ListedColormap([mixed(color, 0.72) for color in class_colors(n)])
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
    from matplotlib.ticker import MaxNLocator

    values = output.ravel() if targets is None else np.concatenate([output.ravel(), targets.ravel()])
    steps = [1, 2, 2.5, 5, 10]
    levels = MaxNLocator(12, steps=steps).tick_values(values.min(), values.max())
    filled = ax.contourf(grid_x, grid_y, output, levels=levels, cmap=SEQUENTIAL)
    ax.figure.colorbar(filled, ax=ax, label="output", ticks=MaxNLocator(6, steps=steps))
    if targets is not None:
        x, y = points.T
        low, high = levels[0], levels[-1]
        ax.scatter(x, y, c=targets, cmap=SEQUENTIAL, vmin=low, vmax=high, edgecolors="white", linewidths=0.6)


def _draw_samples(
    ax: Axes, points: NDArray[Any], labels: NDArray[Any], classes: Sequence[Any] | None, place: dict[str, Any]
) -> None:
    kinds = np.unique(labels)
    numbers = class_numbers(kinds, classes)
    colors = class_colors(int(numbers.max()) + 1)
    size = 80 if len(points) <= 20 else 26 if len(points) <= 1000 else 9
    for kind, k in zip(kinds, numbers, strict=True):
        label = f"{kind:g}" if np.issubdtype(kinds.dtype, np.number) else str(kind)
        x, y = points[labels == kind].T
        style = {"marker": MARKERS[k % len(MARKERS)], "color": colors[k], "edgecolors": "white"}
        ax.scatter(x, y, s=size, linewidths=0.5, label=label, **style)
    if len(kinds) <= 10:
        ax.legend(title="class", framealpha=0.9, **place)
