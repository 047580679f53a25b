"""What people with other kinds of colour vision see, and contrast as WCAG 2.2 defines it."""

import numpy as np

# G. Machado, M. Oliveira, L. Fernandes, *A physiologically-based model for simulation of color vision
# deficiency* (2009), severity 1: matrices for linear RGB.
KINDS = {
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
_HUE_180 = np.array([[-0.574, 1.430, 0.144], [0.426, 0.430, 0.144], [0.426, 1.430, -0.856]])


def rgb(color):
    """Parts from 0 to 1 of ``#rrggbb`` or ``#rgb``."""
    if len(color) == 4:
        color = "#" + "".join(2 * digit for digit in color[1:])
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def linear(color):
    """Linear parts of a colour of the sRGB space."""
    parts = rgb(color) if isinstance(color, str) else np.asarray(color)
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """The contrast ratio of two colours, from 1 to 21."""
    low, high = sorted(float(linear(color) @ [0.2126, 0.7152, 0.0722]) for color in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(color, kind="all cones"):
    """Lightness, green to red and blue to yellow (CIELAB), as seen with a kind of colour vision."""
    seen = np.clip(np.asarray(KINDS[kind]) @ linear(color), 0, 1)
    x, y, z = np.cbrt(np.maximum(_XYZ @ seen / _WHITE, 1e-6))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def difference(one, other, kind="all cones"):
    """How different two colours look; above 2.3 most people notice it."""
    return float(np.linalg.norm(lab(one, kind) - lab(other, kind)))


def turned(color):
    """What ``filter: invert(1) hue-rotate(180deg)`` of CSS makes of a colour."""
    return np.clip(_HUE_180 @ (1 - rgb(color)), 0, 1)
