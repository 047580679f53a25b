"""Initializers: the weights of a layer before training.

Wherever an initializer is asked for, its name will do; the functions here are for those that have a
setting: ``fn.Dense(32, kernel_initializer=fn.initializers.normal(std=0.1))``.

To add one: a function here, a line in `TABLE`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import _validate


@dataclass(frozen=True)
class Initializer:
    """How to draw an array of weights.

    Attributes
    ----------
    name : str
        Name in `TABLE`.
    settings : dict of str to float
    draw : callable
        ``draw(shape, generator) -> array``, with `shape` (n_in, n_out) or (n_out,) and `generator` a
        `numpy.random.Generator`.
    """

    name: str
    settings: dict[str, float]
    draw: Callable[[tuple[int, ...], np.random.Generator], np.ndarray] = field(compare=False)

    def config(self) -> dict[str, Any]:
        """Name and settings, as they are saved."""
        return {"name": self.name, **self.settings}

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and copy: by name, or as it is if it is a user's own."""
        if self.name in TABLE:
            return get, (self.config(),)
        return Initializer, (self.name, self.settings, self.draw)


def zeros() -> Initializer:
    """All 0."""
    return Initializer("zeros", {}, lambda shape, generator: np.zeros(shape))


def constant(value: float) -> Initializer:
    """All `value`.

    Parameters
    ----------
    value : float
    """
    value = _validate.number("value", value)
    return Initializer("constant", {"value": value}, lambda shape, generator: np.full(shape, value))


def normal(std: float = 0.05) -> Initializer:
    """From a normal distribution with mean 0.

    Parameters
    ----------
    std : float, >= 0
        Standard deviation.
    """
    std = _validate.number("std", std, low=0.0)
    return Initializer("normal", {"std": std}, lambda shape, generator: generator.normal(0.0, std, shape))


def uniform(low: float = -0.05, high: float = 0.05) -> Initializer:
    """From a uniform distribution.

    Parameters
    ----------
    low, high : float, low <= high
    """
    low = _validate.number("low", low)
    high = _validate.number("high", high, low=low)
    settings = {"low": low, "high": high}
    return Initializer("uniform", settings, lambda shape, generator: generator.uniform(low, high, shape))


def glorot_uniform() -> Initializer:
    """Uniform, with variance ``2 / (n_in + n_out)``.

    X. Glorot, Y. Bengio, *Understanding the difficulty of training deep feedforward neural
    networks*, AISTATS 2010, equation 16.
    """
    return _scaled("glorot_uniform", lambda n_in, n_out: 2 / (n_in + n_out), _uniform)


def glorot_normal() -> Initializer:
    """Normal, with variance ``2 / (n_in + n_out)``; see `glorot_uniform`."""
    return _scaled("glorot_normal", lambda n_in, n_out: 2 / (n_in + n_out), _normal)


def he_uniform() -> Initializer:
    """Uniform, with variance ``2 / n_in``; see `he_normal`."""
    return _scaled("he_uniform", lambda n_in, n_out: 2 / n_in, _uniform)


def he_normal() -> Initializer:
    """Normal, with variance ``2 / n_in``, for relu.

    K. He et al., *Delving deep into rectifiers*, ICCV 2015, equation 10.
    """
    return _scaled("he_normal", lambda n_in, n_out: 2 / n_in, _normal)


def lecun_uniform() -> Initializer:
    """Uniform, with variance ``1 / n_in``; see `lecun_normal`."""
    return _scaled("lecun_uniform", lambda n_in, n_out: 1 / n_in, _uniform)


def lecun_normal() -> Initializer:
    """Normal, with variance ``1 / n_in``, for tanh and selu.

    Y. LeCun et al., *Efficient backprop* (1998), section 4.6.
    """
    return _scaled("lecun_normal", lambda n_in, n_out: 1 / n_in, _normal)


def orthogonal(gain: float = 1.0) -> Initializer:
    """A random matrix with orthonormal rows or columns, whichever are fewer, times `gain`.

    A. Saxe, J. McClelland, S. Ganguli, *Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks*, ICLR 2014.

    Parameters
    ----------
    gain : float, > 0
    """
    gain = _validate.number("gain", gain, above=0.0)

    def draw(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        rows, columns = shape if len(shape) == 2 else (1, *shape)
        tall = generator.normal(size=(max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q = q * np.sign(np.diag(r))  # so that q is uniformly distributed
        return gain * (q if rows >= columns else q.T).reshape(shape)

    return Initializer("orthogonal", {"gain": gain}, draw)


def _uniform(variance: float, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    limit = math.sqrt(3 * variance)
    return generator.uniform(-limit, limit, shape)


def _normal(variance: float, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    return generator.normal(0.0, math.sqrt(variance), shape)


def _scaled(
    name: str,
    variance: Callable[[int, int], float],
    distribution: Callable[[float, tuple[int, ...], np.random.Generator], np.ndarray],
) -> Initializer:
    """From a distribution with mean 0 whose variance follows from the layer's sizes."""

    def draw(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return distribution(variance(shape[0], shape[-1]), shape, generator)

    return Initializer(name, {}, draw)


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
    found: Initializer = _validate.from_table("initializer", initializer, TABLE, Initializer)
    return found
