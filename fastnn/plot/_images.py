"""Images side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import array_checks
from ._style import pyplot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray


def images(
    values: ArrayLike,
    *,
    titles: Sequence[Any] = (),
    columns: int | None = None,
    ax: Sequence[Axes] | None = None,
) -> NDArray[Any]:
    """Draw images side by side: samples, what excites units, dreams, adversarial samples.

    Images of three channels are drawn in colour, of others in grey, the mean of the channels; each is
    scaled to its own range.

    Parameters
    ----------
    values : array of shape (n, height, width) or (n, height, width, channels)
    titles : sequence, optional
        One for each image.
    columns : int, optional
        How many images a row has.
    ax : sequence of Axes, optional
        One for each image.

    Returns
    -------
    array of Axes of shape (n,)

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If `values` has another number of axes, or `titles` or `ax` do not fit.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.digits()
    >>> axes = fn.plot.images(X[:10].reshape(-1, 8, 8), titles=y[:10])
    """
    given = array_checks.array("values", values, "float64", (3, 4))
    n = len(given)
    if len(titles) not in (0, n):
        raise ValueError(f"titles must be one for each of {n} images, got {len(titles)}")
    plt = pyplot()
    if ax is None:
        across = min(n, 8) if columns is None else columns
        rows = -(-n // across)
        _, panels = plt.subplots(
            rows, across, squeeze=False, figsize=(1.5 * across, 1.7 * rows), layout="constrained"
        )
        axes = panels.ravel()
        for panel in axes[n:]:
            panel.set_axis_off()
        axes = axes[:n]
    else:
        axes = np.array(list(ax), dtype=object)
    if len(axes) != n:
        raise ValueError(f"ax must have one Axes for each of {n} images, got {len(axes)}")
    for i, (panel, image) in enumerate(zip(axes, given, strict=True)):
        if image.ndim == 3 and image.shape[-1] == 3:
            panel.imshow((image - image.min()) / (float(np.ptp(image)) or 1.0))
        else:
            panel.imshow(image if image.ndim == 2 else image.mean(axis=-1), cmap="gray")
        panel.set(xticks=[], yticks=[])
        if len(titles):
            panel.set_title(str(titles[i]), fontsize="medium")
    result: NDArray[Any] = axes
    return result
