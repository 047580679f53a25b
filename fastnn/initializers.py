"""Initializers: the weights of a layer before training.

Wherever an initializer is expected, its name will do; the functions here are for initializers with a
setting: ``fn.Dense(32, kernel_initializer=fn.initializers.normal(std=0.1))``.

To add one: a function here, a line in `TABLE`, and how it draws in `_DRAW`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .checks import shown, validate

__all__ = [
    "Initializer",
    "constant",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "orthogonal",
    "uniform",
    "zeros",
]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True)
class Initializer:
    """How to draw an array of weights.

    Attributes
    ----------
    name : str
        Name in `TABLE`.
    settings : dict of str to float
    function : callable, optional
        Of a user-defined initializer: ``function(shape, generator) -> array``. Those of `TABLE` are plain
        data, which any serializer can write.
    """

    name: str
    settings: dict[str, float]
    function: Callable[[tuple[int, ...], np.random.Generator], np.ndarray] | None = field(
        default=None, compare=False
    )

    def draw(
        self, shape: tuple[int, ...], generator: np.random.Generator, fan: tuple[int, int] | None = None
    ) -> np.ndarray:
        """Weights of `shape`, from a `numpy.random.Generator`.

        `fan` is how many numbers each output is computed from, and how many each input goes to: if not given,
        the first and the last number of the shape.
        """
        if self.function is not None:
            return self.function(shape, generator)
        return _DRAW[self.name](shape, generator, fan or (shape[0], shape[-1]), **self.settings)

    @property
    def is_safe(self) -> bool:
        """Whether it surely draws an array of the shape, of numbers that any dtype can hold."""
        return self.function is None and not self.settings

    def config(self) -> dict[str, Any]:
        """Name and settings, as they are saved."""
        return {"name": self.name, **self.settings}

    def __repr__(self) -> str:
        return shown.spec(self.name, self.settings, TABLE)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and copy: by name, or with its function if it is user-defined."""
        if self.name in TABLE:
            return get, (self.config(),)
        return Initializer, (self.name, self.settings, self.function)


def zeros() -> Initializer:
    """All 0."""
    return Initializer("zeros", {})


def constant(value: float) -> Initializer:
    """All `value`.

    Parameters
    ----------
    value : float
    """
    return Initializer("constant", {"value": validate.number("value", value)})


def normal(std: float = 0.05) -> Initializer:
    """From a normal distribution with mean 0.

    Parameters
    ----------
    std : float, >= 0
        Standard deviation.
    """
    return Initializer("normal", {"std": validate.number("std", std, low=0.0)})


def uniform(low: float = -0.05, high: float = 0.05) -> Initializer:
    """From a uniform distribution.

    Parameters
    ----------
    low, high : float, low <= high
    """
    low = validate.number("low", low)
    return Initializer("uniform", {"low": low, "high": validate.number("high", high, low=low)})


def glorot_uniform() -> Initializer:
    """Uniform, with variance ``2 / (n_in + n_out)``.

    X. Glorot, Y. Bengio, *Understanding the difficulty of training deep feedforward neural
    networks*, AISTATS 2010, equation 16.
    """
    return Initializer("glorot_uniform", {})


def glorot_normal() -> Initializer:
    """Normal, with variance ``2 / (n_in + n_out)``; see `glorot_uniform`."""
    return Initializer("glorot_normal", {})


def he_uniform() -> Initializer:
    """Uniform, with variance ``2 / n_in``; see `he_normal`."""
    return Initializer("he_uniform", {})


def he_normal() -> Initializer:
    """Normal, with variance ``2 / n_in``, for relu.

    K. He et al., *Delving deep into rectifiers*, ICCV 2015, equation 10.
    """
    return Initializer("he_normal", {})


def lecun_uniform() -> Initializer:
    """Uniform, with variance ``1 / n_in``; see `lecun_normal`."""
    return Initializer("lecun_uniform", {})


def lecun_normal() -> Initializer:
    """Normal, with variance ``1 / n_in``, for tanh and selu.

    Y. LeCun et al., *Efficient backprop* (1998), section 4.6.
    """
    return Initializer("lecun_normal", {})


def orthogonal(gain: float = 1.0) -> Initializer:
    """A random matrix with orthonormal rows or columns, whichever are fewer, times `gain`.

    A. Saxe, J. McClelland, S. Ganguli, *Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks*, ICLR 2014.

    Parameters
    ----------
    gain : float, > 0
    """
    return Initializer("orthogonal", {"gain": validate.number("gain", gain, above=0.0)})


def _orthogonal(
    shape: tuple[int, ...], generator: np.random.Generator, fan: tuple[int, int], gain: float
) -> np.ndarray:
    rows, columns = math.prod(shape[:-1]), shape[-1]
    tall = generator.normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))  # so that q is uniformly distributed
    return gain * (q if rows >= columns else q.T).reshape(shape)


def _uniform(
    variance: Callable[[int, int], float],
    shape: tuple[int, ...],
    generator: np.random.Generator,
    fan: tuple[int, int],
) -> np.ndarray:
    limit = math.sqrt(3 * variance(*fan))
    return generator.uniform(-limit, limit, shape)


def _normal(
    variance: Callable[[int, int], float],
    shape: tuple[int, ...],
    generator: np.random.Generator,
    fan: tuple[int, int],
) -> np.ndarray:
    return generator.normal(0.0, math.sqrt(variance(*fan)), shape)


def _glorot(n_in: int, n_out: int) -> float:
    return 2 / (n_in + n_out)


def _he(n_in: int, n_out: int) -> float:
    return 2 / n_in


def _lecun(n_in: int, n_out: int) -> float:
    return 1 / n_in


# Name -> ``function(shape, generator, fan, **settings) -> array``.
_DRAW: dict[str, Callable[..., np.ndarray]] = {
    "zeros": lambda shape, generator, fan: np.zeros(shape),
    "constant": lambda shape, generator, fan, value: np.full(shape, value),
    "normal": lambda shape, generator, fan, std: generator.normal(0.0, std, shape),
    "uniform": lambda shape, generator, fan, low, high: generator.uniform(low, high, shape),
    "glorot_uniform": functools.partial(_uniform, _glorot),
    "glorot_normal": functools.partial(_normal, _glorot),
    "he_uniform": functools.partial(_uniform, _he),
    "he_normal": functools.partial(_normal, _he),
    "lecun_uniform": functools.partial(_uniform, _lecun),
    "lecun_normal": functools.partial(_normal, _lecun),
    "orthogonal": _orthogonal,
}

TABLE = {
    function.__name__: function
    for function in (
        zeros,
        constant,
        normal,
        uniform,
        glorot_uniform,
        glorot_normal,
        he_uniform,
        he_normal,
        lecun_uniform,
        lecun_normal,
        orthogonal,
    )
}


def get(initializer: str | dict[str, Any] | Initializer) -> Initializer:
    """The initializer of a name, a saved configuration, or an initializer itself."""
    found: Initializer = validate.from_table("initializer", initializer, TABLE, Initializer)
    return found
