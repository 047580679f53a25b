"""Samples for the self-test of a file, as a model's first layers take them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine.index_limits import IndexLimits
from ..layers.category_columns import CategoryColumns
from ..layers.impute import Impute
from ..layers.scaling import MinMax, Scaling, Standardize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..engine.index_limits import Origins
    from ..engine.ops import Shape
    from ..layers.base import Layer

_MOST = 8  # samples
_NUMBERS = 4096  # of all inputs and outputs, unless a single sample has more


def how_many(n_in: int, n_out: int) -> int:
    """Number of samples in a file, which they should not make much larger."""
    return max(1, min(_MOST, _NUMBERS // (n_in + n_out)))


def draw(layers: Sequence[Layer], shape: Shape, count: int, seed: int = 0) -> NDArray[Any]:
    """Samples of the distribution that the layers were adapted to: what is known of it."""
    generator = np.random.default_rng(seed)
    X: NDArray[Any] = generator.normal(size=(count, math.prod(shape)))
    limits, origins = IndexLimits(shape), _numbered(shape)
    missing = np.zeros(X.shape, bool)
    for layer in layers:
        if origins is None:
            break
        if isinstance(layer, Scaling):
            _spread(X, layer, origins)
        elif isinstance(layer, CategoryColumns):
            for column, known in layer.by_column(origins.shape[-1]).items():
                places = _known(origins[..., column])
                X[:, places] = generator.choice(known, (count, places.size))
        elif isinstance(layer, Impute):
            places = _known(origins[..., layer.missing_columns(origins.shape[-1])])
            missing[:, places] = generator.random((count, places.size)) < 0.2
        origins = layer.trace(origins, limits)
    indices = ~np.isnan(limits.values)
    X[:, indices] = np.floor(generator.random((count, int(indices.sum()))) * limits.values[indices])
    X[missing] = np.nan
    return X.reshape(count, *shape)


def _numbered(shape: Shape) -> Origins:
    return np.arange(math.prod(shape)).reshape(shape)


def _known(origins: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those places that are known to be columns of the samples."""
    return origins[origins >= 0]


def _spread(X: NDArray[Any], layer: Scaling, origins: NDArray[np.int64]) -> None:
    """Give columns the mean and the deviation, or the range, of those that a layer was adapted to."""
    known = origins >= 0
    shift, scale = layer.shift_and_scale()
    if isinstance(layer, MinMax):
        middle = layer.low + (layer.high - layer.low) / 2
        shift, scale = shift + middle * scale, scale * (layer.high - layer.low) / 4
    elif not isinstance(layer, Standardize):
        return
    shift, scale = (np.broadcast_to(numbers, origins.shape)[known] for numbers in (shift, scale))
    X[:, origins[known]] = X[:, origins[known]] * scale + shift
