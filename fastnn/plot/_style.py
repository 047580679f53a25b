"""matplotlib, if it is there, and colours."""

from __future__ import annotations

from typing import Any

# M. Okabe, K. Ito, *Color universal design* (2008): told apart with any kind of colour vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"


def pyplot() -> Any:
    """``matplotlib.pyplot``, or an ImportError that says what to install."""
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError(
            "pictures need matplotlib: python -m pip install matplotlib (the extra 'plot' of fastnn-jit)"
        ) from error
    return matplotlib.pyplot
