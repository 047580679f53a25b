"""Networks that get more inputs, or more outputs, while they learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..engine.graph import ParameterPlace

if TYPE_CHECKING:
    from ..layers.dense import Dense
    from ..model import Model


def copy_into(new: Model, old: Model) -> None:
    """Give a larger network the weights of a smaller one, and what its optimizer remembers.

    New inputs and outputs keep what was drawn for them, and the optimizer remembers nothing of them.
    """
    before, after = old.state, new.state
    count = before.optimizer.size // before.parameters.size
    vectors = after.optimizer_vectors(count).reshape(count, after.parameters.size)
    vectors[...] = 0
    pairs = [(before.parameters, after.parameters)]
    pairs += list(zip(before.optimizer.reshape(count, before.parameters.size), vectors, strict=True))
    for source, target in pairs:
        for own, other in zip(_places(old), _places(new), strict=True):
            values = target[other.offset : other.offset + other.size].reshape(other.shape)
            inside = tuple([slice(n) for n in own.shape])
            values[inside] = source[own.offset : own.offset + own.size].reshape(own.shape)
    after.counters[...] = before.counters


def _places(model: Model) -> list[ParameterPlace]:
    assert model.executor.graph is not None
    return list(model.executor.graph.parameters)


def draw_inputs(first: Dense, start: int, end: int, seed: int) -> None:
    """Draw the weights of some inputs, each by its number; those behind are spare, and zero."""
    weights = first.weights
    width = weights.shape[1]
    for place in range(start, end):
        generator = np.random.default_rng((seed, place))
        weights[place] = first.kernel_initializer.draw((1, width), generator, (end, width))[0]
    weights[end:] = 0
