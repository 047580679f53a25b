"""Samples of different lengths: how many of the time steps of each there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..data import array_checks
from .graph import Graph
from .ops import AS_NAMED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .graph import Layer
    from .head import Head
    from .ops import Products, Shape


class _Built(Protocol):
    """What is asked of layers with an input of a known shape."""

    def graph_of(self, lengths: bool) -> Graph: ...


class _Executor(Protocol):
    """What is asked of an executor here."""

    layers: tuple[Layer, ...]
    head: Head

    @property
    def is_built(self) -> bool: ...
    @property
    def built(self) -> _Built: ...


def lower_with_lengths(layers: Sequence[Layer], shape: Shape, products: Products = AS_NAMED) -> Graph:
    """As `graph.lower`, for samples of different lengths: the time steps behind the end of each are masked.

    Raises
    ------
    ValueError
        If a layer cannot leave out time steps, or none has a use for the lengths.
    """
    graph = Graph(shape, products=products)
    mask = graph.op("layers.masking.lengths", [graph.input], shape[:1], differentiable=False)
    graph.add_in_a_row(layers, graph.input.masked(mask.value))
    if not any(tensor.value == mask.value for op in graph.ops for tensor in op.inputs):
        raise ValueError(
            f"lengths are for recurrent layers, and no such layer goes along the {shape[0]} time steps of "
            f"samples of shape {shape}"
        )
    return graph


def check_lengths(
    executor: _Executor, lengths: Any, n: int, shape: Shape, name: str = "lengths"
) -> NDArray[np.int64] | None:
    """Checked lengths of n samples of a shape, or None if none are given.

    Raises
    ------
    TypeError, ValueError
        If they are not n integers from 1 to the number of time steps, or the layers have no use for them.
    """
    if lengths is None:
        return None
    given = np.atleast_1d(array_checks.as_array(name, lengths))
    if given.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got {_first(given)!r} of dtype {given.dtype}")
    if given.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one for each sample, got {given.shape}")
    wrong = np.flatnonzero((given < 1) | (given > shape[0]))
    if wrong.size:
        i = int(wrong[0])
        raise ValueError(
            f"{name} must be in 1 ... {shape[0]}, the time steps of X, got {given[i]} for sample {i}"
        )
    built = executor.is_built
    graph = executor.built.graph_of(True) if built else lower_with_lengths(executor.layers, shape)
    executor.head.check_output(graph.output)
    return np.ascontiguousarray(given, np.int64)


def _first(given: NDArray[Any]) -> Any:
    values: Sequence[Any] = given.ravel()[:1].tolist()
    return values[0] if values else given
