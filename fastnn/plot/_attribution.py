"""What inputs contribute to an output, as bars or as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import array_checks
from ._style import GREY, diverging, pyplot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

_SHADE = 0.25  # how dark the sample itself is drawn, under the colours


def attribution(
    values: ArrayLike,
    sample: ArrayLike | None = None,
    *,
    names: Sequence[str] = (),
    ax: Axes | None = None,
) -> Axes:
    """Draw what `fastnn.explain.saliency`, `integrated_gradients` or `occlusion` returns for one sample.

    Numbers become bars, a sequence or an image a picture: blue is negative, orange positive. Channels are
    summed up.

    Parameters
    ----------
    values : array of shape (features,), (time, channels), (height, width) or (height, width, channels)
        (height, width) unless `sample` has two axes.
    sample : array, optional
        The sample itself, of the shape of `values` or with one more axis for channels; an image is drawn in
        grey under the colours.
    names : sequence of str
        Of the features.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If `values` has another number of axes, or `sample` or `names` do not fit.

    Examples
    --------
    >>> import fastnn as fn
    >>> model = fn.Model([fn.Dense(1)], seed=0).build(3)
    >>> values = fn.explain.saliency(model, [1.0, 2.0, 3.0])
    >>> ax = fn.plot.attribution(values, names=["age", "height", "weight"])
    """
    given = array_checks.array("values", values, "float64", (1, 2, 3))
    shown = None if sample is None else array_checks.array("sample", sample, "float64", (1, 2, 3))
    if shown is not None and given.shape not in (shown.shape, shown.shape[:-1]):
        raise ValueError(f"sample must have the shape of values, {given.shape}, got {shown.shape}")
    if len(names) and (given.ndim > 1 or len(names) != len(given)):
        raise ValueError(f"names must be one for each feature, got {len(names)} for shape {given.shape}")
    plt = pyplot()
    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    if given.ndim == 1:
        _draw_bars(ax, given, names)
    elif shown is not None and shown.ndim == 2 and given.ndim == 2:
        _draw_map(ax, given.T, None, "auto")
        ax.set(xlabel="time", ylabel="channel")
    else:
        total = given.sum(axis=-1) if given.ndim == 3 else given
        under = None if shown is None else (shown.mean(axis=-1) if shown.ndim == 3 else shown)
        _draw_map(ax, total, under, "equal")
        ax.set(xticks=[], yticks=[])
    return ax


def _draw_bars(ax: Axes, values: NDArray[Any], names: Sequence[str]) -> None:
    places = np.arange(len(values))
    limit = float(np.abs(values).max()) or 1.0
    ax.barh(places, values, color=diverging()(0.5 + 0.35 * np.sign(values)))
    ax.set(yticks=places, yticklabels=list(names) or places.tolist(), xlabel="contribution")
    ax.set_xlim(-1.05 * limit if values.min() < 0 else 0, 1.05 * limit if values.max() > 0 else 0)
    ax.axvline(0, color=GREY, linewidth=0.8)
    ax.invert_yaxis()


def _draw_map(ax: Axes, values: NDArray[Any], under: NDArray[Any] | None, aspect: Any) -> None:
    limit = float(np.abs(values).max()) or 1.0
    if under is not None:
        spread = float(np.ptp(under)) or 1.0
        ax.imshow(1 - _SHADE * (under - under.min()) / spread, cmap="gray", vmin=0, vmax=1, aspect=aspect)
    image = ax.imshow(
        values,
        cmap=diverging(),
        vmin=-limit,
        vmax=limit,
        aspect=aspect,
        alpha=None if under is None else np.abs(values) / limit,
    )
    ax.figure.colorbar(image, ax=ax, fraction=0.08)
