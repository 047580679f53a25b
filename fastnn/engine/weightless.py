"""Layers without weights, run by themselves: those that prepare the data, and activations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import array_checks
from ..memory.buffers import empty
from . import launch
from .builder import without_weights
from .graph import shapes
from .index_limits import index_limits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .graph import Layer
    from .ops import Shape

    #: Rows of the data in the model's dtype, and their weights or None.
    Blocks = Iterable[tuple[NDArray[Any], NDArray[Any] | None]]


def outputs(layers: Sequence[Layer], x: NDArray[Any]) -> NDArray[Any]:
    """What layers make of a C-contiguous array of shape (n, width), in its dtype."""
    dtype = x.dtype.name
    net, n_out = without_weights(layers, x.shape[1:], len(x), dtype)
    out = empty((len(x), n_out), dtype, "the output")
    launch.predict(net, x, out, check=False)
    return out


def blocks(
    layers: Sequence[Layer], X: NDArray[Any], weight: NDArray[Any] | None, dtype: str, shape: Shape
) -> Blocks:
    """What adapted layers make of samples, block by block, in `dtype`; `shape` is that of a sample."""
    parts = array_checks.blocks(X)
    if layers:
        net, n_out = without_weights(layers, shape, parts[0].stop, dtype)
    for part in parts:
        block = np.ascontiguousarray(X[part], dtype)
        if layers:
            out = empty((len(block), n_out), dtype, "the output")
            launch.predict(net, block, out, check=False)
            block = out
        yield block, None if weight is None else weight[part]


def check_rows(
    layers: Sequence[Layer], X: NDArray[Any], dtype: str, name: str, shape: Shape, table: Any = None
) -> None:
    """Raise a ValueError if checked samples of a shape hold what a layer behind adapted ones cannot take.

    `table` is what X was made of, which may name the columns.
    """
    check_indices(layers, X, dtype, name, shape, table)
    for i, layer in enumerate(layers):
        if not layer.adapted and not layer.of_targets:
            break  # what it makes of the samples is not known yet
        if layer.checks_rows:
            first, given = 0, [shape, *shapes(layers[:i], shape)][-1]
            for block, _ in blocks(layers[:i], X, None, dtype, shape):
                layer.check_rows(block, given, first, name)
                first += len(block)


def check_indices(
    layers: Sequence[Layer], X: NDArray[Any], dtype: str, name: str, shape: Shape, table: Any = None
) -> None:
    """The same for what layers take for indices, if all layers are adapted: otherwise it is not known."""
    if all(layer.adapted or layer.of_targets for layer in layers):
        limits = index_limits(layers, shape)
        if limits is not None:
            limits.check(X, dtype, name, table)
