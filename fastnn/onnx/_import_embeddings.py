"""Vectors in place of integers of the data, as layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.categories import NONE
from ..layers.embedding import Embedding, EntityEmbedding
from ._affine import Columns
from ._layout import BATCH, taken
from ._rows import Indices, Rows, Vectors
from ._steps import Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._assembly import Assembly
    from ._call import Call


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


def vectors(
    assembly: Assembly,
    x: Rows,
    axis: int,
    columns: NDArray[Any],
    categories: NDArray[Any],
    last: int,
    weights: NDArray[Any],
) -> Vectors:
    """Vectors of a column of categories as `fastnn.onnx.export` writes them."""
    rank = len(x.sizes)
    if axis % rank != rank - 1 or last % rank != rank - 1 or x.sizes[-1] == BATCH:
        raise ValueError("it looks up categories along another axis than the last")
    if columns.shape != (1,) or categories.ndim != 1 or weights.ndim != 2:
        raise ValueError("it does not compare one column with each category")
    known, table = assembly.numbers("categories", categories), assembly.numbers("weights", weights)
    if len(known) != len(table) or len(known) < 2 or known[0] != NONE or table[0].any():
        raise ValueError("what stands for unknown categories is not zeros")
    if (known[1:] != np.floor(known[1:])).any():
        raise ValueError("categories must be integers")
    assembly.use(table.size)
    order = 1 + np.argsort(known[1:], kind="stable")
    return Vectors(assembly.moved(x, lambda own: taken(own, columns, axis)), known[order], table[order])


def entities(call: Call) -> Rows:
    """Columns of categories that became vectors, and other columns, side by side."""
    assembly = call.assembly
    parts = [value if isinstance(value, Vectors) else call.rows(i) for i, value in enumerate(call.inputs)]
    columns = [part.rows if isinstance(part, Vectors) else part for part in parts]
    if call.attributes["axis"] % len(columns[0].sizes) != len(columns[0].sizes) - 1:
        raise ValueError("it joins vectors of categories along another axis than the last")
    whole = assembly.joined(columns, call.attributes["axis"])
    ends = np.cumsum([column.sizes[-1] for column in columns])
    found = {int(end) - 1: part for end, part in zip(ends, parts, strict=True) if isinstance(part, Vectors)}
    weights = [part.weights for part in found.values()]
    given = [part.categories.astype(np.int64).tolist() for part in found.values()]
    gives = (*whole.row[:-1], whole.sizes[-1] + sum(table.shape[1] - 1 for table in weights))
    made = Step(
        math.prod(gives),
        make=lambda: EntityEmbedding([table.shape[1] for table in weights], list(found), given, "ignore"),
        arrays={f"weights_{column}": part.weights for column, part in found.items()},
        takes=whole.row,
        gives=gives,
        trained=True,
    )
    axes = [axis for axis, size in enumerate(whole.sizes) if size != BATCH]
    return assembly.layer(whole, axes, made, [*whole.sizes[:-1], gives[-1]])
