"""A frame as bytes, little-endian: figures, then maps, a byte for each point.

=====================  =========================================================================
bytes                  what
=====================  =========================================================================
8                      float64: steps since the start
4                      uint32: epochs since the start
20                     float32: loss, validation loss, accuracy, validation accuracy, steps a second
2, 2                   uint16: points of a side of the maps of classes, and of those of units
1, 4                   uint8: number of classes; units of each hidden layer, 0 for a layer that is not there
classes * side ** 2    uint8: probability of each class, 255 for 1, row by row from the top
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

_HEAD = struct.Struct(f"<dI5f2H{1 + MOST_LAYERS}B")


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
    return b"".join(
        [head, _bytes(np.nan_to_num(probabilities) * 255), *(_bytes(_centred(maps)) for maps in hidden)]
    )


def _centred(maps: NDArray[Any]) -> NDArray[Any]:
    """Each unit's outputs as 1 to 255, so that 0 is 128."""
    maps = np.nan_to_num(maps)
    largest = np.abs(maps).max(axis=0)
    return 128 + maps * (127 / np.where(largest > 0, largest, 1))


def _bytes(maps: NDArray[Any]) -> bytes:
    return bytes(np.rint(maps).astype(np.uint8).T.tobytes())
