"""A frame as bytes, little-endian: figures, then maps.

=====================  =========================================================================
bytes                  what
=====================  =========================================================================
8                      float64: steps since the start
4                      uint32: epochs since the start
20                     float32: loss, validation loss, accuracy, validation accuracy, steps a second
2, 2                   uint16: points of a side of the maps of classes, and of those of units
1, 4, 1                uint8: number of classes; units of each hidden layer, 0 for a layer that is not there;
                       a byte that makes the number of bytes even
2 * classes * side**2  uint16: probability of each class, 65535 for 1, row by row from the top; fine enough
                       for the lines between regions
units * side ** 2      uint8: output of each hidden unit, 128 for 0, 1 and 255 for its largest magnitude
=====================  =========================================================================
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .settings import MOST_LAYERS

_HEAD = struct.Struct(f"<dI5f2H{1 + MOST_LAYERS}Bx")


class Figures(NamedTuple):
    """What the page shows in numbers; NaN for what there is no data for."""

    steps: int
    epochs: int
    loss: float
    val_loss: float
    accuracy: float
    val_accuracy: float
    rate: float


def encode(figures: Figures, probabilities: NDArray[Any], hidden: Sequence[NDArray[Any]]) -> bytes:
    """The bytes of a frame. What is NaN, as in a network that has diverged, is drawn as 0.

    Parameters
    ----------
    figures : Figures
    probabilities : array of shape (side ** 2, classes)
    hidden : sequence of array of shape (unit_side ** 2, units)
        The outputs of each hidden layer.
    """
    sides = [round(len(maps) ** 0.5) for maps in (probabilities, hidden[0])]
    units = [maps.shape[1] for maps in hidden] + [0] * (MOST_LAYERS - len(hidden))
    head = _HEAD.pack(*figures, *sides, probabilities.shape[1], *units)
    classes = _bytes(np.nan_to_num(probabilities) * 65535, "<u2")
    return b"".join([head, classes, *(_bytes(_centred(maps), "u1") for maps in hidden)])


def _centred(maps: NDArray[Any]) -> NDArray[Any]:
    """Each unit's outputs as 1 to 255, so that 0 is 128."""
    maps = np.nan_to_num(maps)
    largest = np.abs(maps).max(axis=0)
    return 128 + maps * (127 / np.where(largest > 0, largest, 1))


def _bytes(maps: NDArray[Any], dtype: str) -> bytes:
    return bytes(np.rint(maps).astype(dtype).T.tobytes())
