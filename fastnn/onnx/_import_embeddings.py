"""Vectors in place of integers of the data, as layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..layers.embedding import Embedding
from ._affine import Columns
from ._layout import BATCH
from ._rows import Indices
from ._steps import Step

if TYPE_CHECKING:
    from ._call import Call
    from ._rows import Rows


def embedding(call: Call) -> Rows:
    """The rows of a matrix that the data names."""
    assembly, value = call.assembly, call.input(1)
    weights = assembly.numbers("weights", call.constant(0))
    x = assembly.settled(value.rows if isinstance(value, Indices) else value)
    if call.attributes["axis"] or weights.ndim != 2:
        raise ValueError(f"it takes places that are computed, of an array of shape {weights.shape}")
    if x.step.before is not None or not isinstance(x.map, Columns) or not x.map.is_choice:
        raise ValueError("it takes places that are computed, not those that stand in the data")
    axes = [axis for axis, size in enumerate(x.sizes) if size != BATCH]
    shape, (input_dim, output_dim) = tuple(x.sizes[axis] for axis in axes) or (1,), weights.shape
    made = Step(
        math.prod(shape) * output_dim,
        assembly.ordered(x, axes),
        make=lambda: Embedding(input_dim, output_dim),
        arrays={"weights": weights},
        takes=shape,
        gives=(*shape, output_dim),
        trained=True,
    )
    assembly.use(made.size)
    return assembly.spread(made, [*axes, len(x.sizes)], [*x.sizes, output_dim], x.samples)
