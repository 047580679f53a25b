"""matplotlib, if it is there, and colours."""

from __future__ import annotations

from typing import Any

# M. Okabe, K. Ito, *Color universal design* (2008): told apart with any kind of colour vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"
# Where a legend covers nothing: to the right of the Axes.
OUTSIDE = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}
# Of weights, in all pictures.
NEGATIVE, POSITIVE = COLORS[:2]


def diverging() -> Any:
    """The colour map from negative over white to positive."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("fastnn", [NEGATIVE, "white", POSITIVE])


def class_colors(n: int) -> list[Any]:
    """Colours of n classes."""
    if n <= len(COLORS):
        return list(COLORS[:n])
    from matplotlib import colormaps

    return [colormaps["viridis"](k / (n - 1)) for k in range(n)]


def mixed(color: Any, white: float) -> Any:
    """A colour mixed with white."""
    from matplotlib.colors import to_rgb

    return tuple(white + (1 - white) * part for part in to_rgb(color))


def pyplot() -> Any:
    """``matplotlib.pyplot``, or an ImportError that says what to install."""
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError(
            "pictures need matplotlib: python -m pip install matplotlib (the extra 'plot' of fastnn-jit)"
        ) from error
    return matplotlib.pyplot
