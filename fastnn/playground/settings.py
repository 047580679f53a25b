"""What the page may ask for, checked: a message that asks for more is refused by a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..checks import hints, validate
from ..optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

MOST_LAYERS, MOST_UNITS, MOST_CLASSES, MOST_POINTS = 4, 16, 3, 600
REACH = 1.1  # own points have coordinates from -REACH to REACH

DATA = ("spiral", "circles", "xor", "own")
ACTIVATIONS = ("tanh", "relu", "sigmoid", "gelu", "silu", "leaky_relu", "elu", "identity")
# Class, and its arguments beside the learning rate.
OPTIMIZERS: dict[str, tuple[type[Optimizer], dict[str, Any]]] = {
    "SGD": (SGD, {}),
    "Momentum": (SGD, {"momentum": 0.9}),
    "Nesterov": (SGD, {"momentum": 0.9, "nesterov": True}),
    "RMSprop": (RMSprop, {}),
    "Adagrad": (Adagrad, {}),
    "Adam": (Adam, {}),
    "AdamW": (AdamW, {}),
}


@dataclass(frozen=True)
class Settings:
    """A network, its data, and how it is trained; checked when it is made.

    Raises
    ------
    TypeError, ValueError
        If a setting is not one that the page offers; the message names it and its limits.
    """

    data: str = "spiral"
    classes: int = 3
    noise: float = 0.2
    seed: int = 0
    points: tuple[tuple[float, float, int], ...] = ()
    hidden: tuple[int, ...] = (8, 8)
    activation: str = "tanh"
    optimizer: str = "Adam"
    learning_rate: float = 0.01
    batch_size: int | None = 32
    l2: float = 0.0

    def __post_init__(self) -> None:
        for name, known in (("data", DATA), ("activation", ACTIVATIONS), ("optimizer", OPTIMIZERS)):
            _one_of(name, getattr(self, name), known)
        _within("classes", self.classes, 2, MOST_CLASSES)
        _within("seed", self.seed, 0, 9999)
        if self.batch_size is not None:
            _within("batch_size", self.batch_size, 1, 1024)
        validate.number("noise", self.noise, low=0.0, high=1.0)
        validate.number("learning_rate", self.learning_rate, above=0.0, high=10.0)
        validate.number("l2", self.l2, low=0.0, high=1.0)
        object.__setattr__(self, "hidden", _hidden(self.hidden))
        object.__setattr__(self, "points", _points(self.points, self.n_classes))

    @property
    def n_classes(self) -> int:
        """Exclusive or has two classes, whatever is chosen."""
        return 2 if self.data == "xor" else self.classes


def parse(given: Any) -> Settings:
    """Settings from what the page sent.

    Raises
    ------
    TypeError, ValueError
        As `Settings`; also if something is not a name of a setting.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"settings must be an object of names and values, got {shortened(given)}")
    for name in given:
        if name not in Settings.__dataclass_fields__:
            raise ValueError(
                f"unknown setting {shortened(name)}{hints.nearest(name, Settings.__dataclass_fields__)}"
            )
    return Settings(**given)


def shortened(value: Any) -> str:
    """A value as it is shown in a message: not more than a line of it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _one_of(name: str, value: Any, known: Any) -> None:
    if not isinstance(value, str) or value not in known:
        near = hints.nearest(value, known) if isinstance(value, str) else ""
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {shortened(value)}{near}")


def _within(name: str, value: Any, low: int, high: int) -> int:
    if validate.integer(name, value) < low or value > high:
        raise ValueError(f"{name} must be from {low} to {high}, got {shortened(value)}")
    return int(value)


def _hidden(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= MOST_LAYERS:
        raise ValueError(
            f"hidden must be a list of 1 to {MOST_LAYERS} numbers of units, got {shortened(value)}"
        )
    return tuple(
        _within(f"units of layer {number}", units, 1, MOST_UNITS) for number, units in enumerate(value, 1)
    )


def _points(value: Any, classes: int) -> tuple[tuple[float, float, int], ...]:
    if not isinstance(value, (list, tuple)) or len(value) > MOST_POINTS:
        raise ValueError(f"points must be a list of at most {MOST_POINTS} points, got {shortened(value)}")
    return tuple(_point(point, classes) for point in value)


def _point(value: Any, classes: int) -> tuple[float, float, int]:
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        raise ValueError(f"a point must be a list [x, y, class], got {shortened(value)}")
    x, y = (validate.number("a coordinate", part, low=-REACH, high=REACH) for part in value[:2])
    # Thousandths are finer than a pixel, and short in the program.
    return round(x, 3), round(y, 3), _within("the class of a point", value[2], 0, classes - 1)


def batches(settings: Settings, samples: int) -> int:
    """Steps of an epoch."""
    return math.ceil(samples / (settings.batch_size or samples)) if samples else 0
