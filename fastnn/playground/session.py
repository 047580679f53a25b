"""The network that the page shows: its training, and a frame of what it is now."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..layers.dense import Dense
from ..model import Model
from . import frame, points, program
from .settings import OPTIMIZERS, Settings, batches

SIDE, UNIT_SIDE = 80, 32  # points of a side of the maps: of the classes, and of each hidden unit
_NOTHING = {"loss": math.nan, "accuracy": math.nan}


class Session:
    """A network in training.

    All of it is public fastnn: what `text` gives is the same in another process.

    Parameters
    ----------
    settings : Settings

    Attributes
    ----------
    settings : Settings
        With the learning rate that holds now.
    stages : list of (float, int)
        Learning rates, one after the other, and the epochs of training with each.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.points = settings, points.drawn(settings)
        self.stages = [(settings.learning_rate, 0)]
        self.model = _model(settings)
        self.steps_per_epoch = batches(settings, len(self.points.X))
        self._hidden = range(len(settings.hidden))
        self._plane, self._unit_plane = (self._grid(side) for side in (SIDE, UNIT_SIDE))

    def train(self, epochs: int) -> None:
        """Train for some epochs.

        Raises
        ------
        ValueError
            If there are no points.
        DivergenceError
            If the loss or a weight becomes NaN or infinite; the last finite weights are kept.
        """
        self.require_points()
        rows = self.settings.batch_size
        self.model.fit(self.points.X, self.points.y, epochs=epochs, batch_size=rows, verbose=0, threads=1)
        rate, before = self.stages[-1]
        self.stages[-1] = rate, before + epochs

    @property
    def epochs(self) -> int:
        """Trained for so far."""
        return sum(epochs for _, epochs in self.stages)

    def set_learning_rate(self, rate: float) -> None:
        """Go on with another learning rate, and what the optimizer remembers.

        Raises
        ------
        TypeError, ValueError
            As `Settings`.
        """
        self.settings = dataclasses.replace(self.settings, learning_rate=rate)
        self.model.optimizer.learning_rate = rate  # type: ignore[attr-defined]
        if self.stages[-1][1] == 0:
            self.stages.pop()
        self.stages.append((rate, 0))

    def require_points(self) -> None:
        """Raise a ValueError if there is nothing to train on."""
        if self.steps_per_epoch == 0:
            raise ValueError("there are no points yet: place some of each class in the picture first")

    def figures(self, rate: float = 0.0) -> frame.Figures:
        """The state in numbers; `rate` is in steps a second."""
        data = self.points
        now, val = self._evaluated(data.X, data.y), self._evaluated(data.X_val, data.y_val)
        steps = self.epochs * self.steps_per_epoch
        return frame.Figures(
            steps, self.epochs, now["loss"], val["loss"], now["accuracy"], val["accuracy"], rate
        )

    def frame(self, rate: float = 0.0) -> bytes:
        """Figures and maps: see `fastnn.playground.frame`."""
        hidden = self.model.outputs(self._unit_plane, layers=self._hidden)
        return frame.encode(self.figures(rate), self.model.predict_proba(self._plane), hidden)

    def description(self) -> dict[str, Any]:
        """What the page draws once: the points, and facts of the network."""
        data = self.points
        return {
            "points": np.column_stack([data.X, data.y]).tolist(),
            "validation": np.column_stack([data.X_val, data.y_val]).tolist(),
            "low": data.low,
            "high": data.high,
            "classes": self.settings.n_classes,
            "parameters": self.model.parameters.size,
            "steps_per_epoch": self.steps_per_epoch,
        }

    def text(self) -> str:
        """The program that trains the same network as far; a ValueError if there are no points."""
        self.require_points()
        return program.program(self.settings, self.stages)

    def _evaluated(self, X: NDArray[Any], y: NDArray[Any]) -> dict[str, float]:
        return self.model.evaluate(X, y) if len(X) else _NOTHING

    def _grid(self, side: int) -> NDArray[Any]:
        """Points of the plane, row by row from the top."""
        across = np.linspace(self.points.low, self.points.high, side, dtype=np.float32)
        return np.stack(np.meshgrid(across, across[::-1]), axis=-1).reshape(-1, 2)


def _model(settings: Settings) -> Model:
    hidden = [Dense(units, settings.activation, l2=settings.l2) for units in settings.hidden]
    kind, options = OPTIMIZERS[settings.optimizer]
    optimizer: Any = kind
    layers = [*hidden, Dense(settings.n_classes, l2=settings.l2)]
    rate = optimizer(settings.learning_rate, **options)
    return Model(layers, "cross_entropy", rate, seed=settings.seed).build(2)
