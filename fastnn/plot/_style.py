"""matplotlib, if it is there, and the colours of all pictures."""

from __future__ import annotations

from typing import Any

# Four colours and the black of M. Okabe, K. Ito, *Color universal design* (2008), which are told apart with
# any kind of colour vision; brown and indigo stand for its orange and sky blue, too pale for lines on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#604000", "#332288", "#000000")
MARKERS, LINES = "osD^vPX", ("-", "--", "-.", ":")
# Of what is there for comparison: lines and points, and the fainter lines between the units of a network.
GREY, FAINT = "#808080", "#949494"
# Where a legend covers nothing: to the right of the Axes.
OUTSIDE = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}
# Of weights, in all pictures.
NEGATIVE, POSITIVE = COLORS[:2]
SEQUENTIAL = "viridis"


def style() -> dict[str, Any]:
    """Return the settings of Matplotlib for pictures like those of fastnn.

    Lines take seven colours that people with any kind of colour vision tell apart and that stand out from
    white, at least 3 to 1: blue, orange, green, pink, brown, indigo and black, which are also called ``"C0"``
    to ``"C6"``. The colour map grows evenly lighter, and no label is cut off at the edge of a figure. In grey
    the colours alone are not enough: give lines and points different styles and markers too.

    Returns
    -------
    dict
        For ``matplotlib.pyplot.rcParams`` or ``rc_context``.

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import fastnn as fn
    >>> with plt.rc_context(fn.plot.style()):
    ...     figure, ax = plt.subplots()
    ...     blue, orange = ax.plot([1, 2], [[3, 4], [5, 4]])
    >>> orange.get_color()
    '#D55E00'
    """
    cycler = pyplot().cycler
    return {
        "axes.prop_cycle": cycler(color=COLORS),
        "figure.constrained_layout.use": True,
        "grid.color": "#DDDDDD",
        "image.cmap": SEQUENTIAL,
    }


def diverging() -> Any:
    """The colour map from negative over white to positive."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("fastnn", [NEGATIVE, "white", POSITIVE])


def class_colors(n: int) -> list[Any]:
    """Colours of n classes."""
    if n <= len(COLORS):
        return list(COLORS[:n])
    from matplotlib import colormaps

    return [colormaps[SEQUENTIAL](k / (n - 1)) for k in range(n)]


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
