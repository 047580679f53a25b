"""Columns and categories: missing values, codes, learned vectors, selected columns, branches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .writer import data, indented

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.ops import Shape
    from ..layers.category_columns import CategoryColumns
    from ..layers.embedding import Embedding, EntityEmbedding
    from ..layers.impute import Impute
    from ..layers.one_hot import OneHot
    from ..layers.reshaping import Select
    from .writer import Value, Writer


def write_select(c: Writer, layer: Select, shape: Shape, x: Value) -> Value:
    """The columns, one by one."""
    columns = [int(j) for j in layer.constants(shape)]
    positions = math.prod(shape[:-1])
    y = c.new(positions * len(columns))
    table = c.table("columns", columns)
    c.function(
        "select",
        data(x, None, y),
        [
            f"for (int p = 0; p < {positions}; p++, x += {shape[-1]}, y += {len(columns)})",
            f"    for (int j = 0; j < {len(columns)}; j++)",
            f"        y[j] = x[{table}[j]];",
        ],
    )
    y.mask = x.mask
    c.read(x)
    return y


def write_impute(c: Writer, layer: Impute, shape: Shape, x: Value) -> Value:
    """Numbers in place of NaN, and columns that say where one was."""
    positions, columns, indicated = math.prod(shape[:-1]), shape[-1], layer.indicated
    fills = np.isin(np.arange(columns), layer.missing_columns(columns))
    width = columns + len(indicated)
    y = c.new(positions * width)
    place = c.weights(layer.fill_values)
    filled = c.table("imputed", fills.astype(int).tolist())
    lines = [
        f"for (int j = 0; j < {columns}; j++)",
        f"    y[j] = {filled}[j] && x[j] != x[j] ? w[j] : x[j];",
    ]
    if indicated:
        table = c.table("indicated", indicated)
        lines += [
            f"for (int j = 0; j < {len(indicated)}; j++)",
            f"    y[{columns} + j] = x[{table}[j]] != x[{table}[j]] ? 1.0r : 0.0r;",
        ]
    loop = f"for (int p = 0; p < {positions}; p++, x += {columns}, y += {width}) {{"
    c.function("impute", data(x, place, y), [loop, *indented(lines), "}"])
    c.read(x)
    return y


def _require_numbers(c: Writer, layer: CategoryColumns) -> None:
    if any(labels is not None for labels in layer.labels):
        raise ValueError(
            f"layer {c.name}, {type(layer).__name__}, has categories that are text, or integers beyond "
            "2**24, which a C file of numbers does not take; code them before, and train on the codes"
        )


def write_one_hot(c: Writer, layer: OneHot, shape: Shape, x: Value) -> Value:
    """Compare each coded column with its categories; zeros for unknown ones."""
    _require_numbers(c, layer)
    *places, n_in = shape
    known = layer.by_column(n_in)
    y = c.new(math.prod(layer.output_shape(shape)))
    sizes = c.table("sizes", [len(known[j]) if j in known else 0 for j in range(n_in)])
    place = c.weights(np.concatenate([known[j] for j in sorted(known)]))
    c.function(
        "one_hot",
        data(x, place, y),
        [
            f"for (int p = 0; p < {math.prod(places)}; p++, x += {n_in}) {{",
            "    const $real *category = w;",
            f"    for (int i = 0; i < {n_in}; i++) {{",
            f"        if ({sizes}[i] == 0)",
            "            *y++ = x[i];",
            f"        for (int k = 0; k < {sizes}[i]; k++)",
            "            *y++ = x[i] == *category++ ? 1.0r : 0.0r;",
            "    }",
            "}",
        ],
    )
    c.read(x)
    return y


def write_embedding(c: Writer, layer: Embedding, shape: Shape, x: Value) -> Value:
    """A vector for each integer; zeros for what is none."""
    count, dim, size = layer.input_dim, layer.output_dim, math.prod(shape)
    y = c.new(size * dim)
    place = c.weights(c.parameters["weights"])
    c.function(
        "embedding",
        data(x, place, y),
        [
            f"for (int i = 0; i < {size}; i++, y += {dim}) {{",
            f"    const int known = x[i] >= 0.0r && x[i] < {c.number(count)};",
            "    const int index = known ? (int)x[i] : 0;",
            "    const int exact = known && ($real)index == x[i];",
            f"    for (int j = 0; j < {dim}; j++)",
            f"        y[j] = exact ? w[(ptrdiff_t)index * {dim} + j] : 0.0r;",
            "}",
        ],
    )
    y.mask = x.mask
    c.read(x)
    return y


def write_entities(c: Writer, layer: EntityEmbedding, shape: Shape, x: Value) -> Value:
    """Find each category among those of its column, and copy its vector; zeros for unknown ones."""
    _require_numbers(c, layer)
    *places, n_in = shape
    known = layer.by_column(n_in)
    y = c.new(math.prod(layer.output_shape(shape)))
    vectors = [c.parameters[f"weights_{j}"] for j in sorted(known)]
    dims = {j: vector.shape[1] for j, vector in zip(sorted(known), vectors, strict=True)}
    sizes = c.table("sizes", [len(known[j]) if j in known else 0 for j in range(n_in)])
    lengths = c.table("lengths", [dims.get(j, 1) for j in range(n_in)])
    # Of each column the categories, and then their vectors.
    numbers = [part for j, vector in zip(sorted(known), vectors, strict=True) for part in (known[j], vector)]
    place = c.weights(*numbers)
    c.function(
        "entities",
        data(x, place, y),
        [
            f"for (int p = 0; p < {math.prod(places)}; p++, x += {n_in}) {{",
            "    const $real *v = w;",
            f"    for (int i = 0; i < {n_in}; i++) {{",
            f"        const int size = {sizes}[i], length = {lengths}[i];",
            "        int found = -1;",
            "        for (int k = 0; k < size; k++)",
            "            found = x[i] == v[k] ? k : found;",
            "        v += size;",
            "        for (int j = 0; j < length; j++)",
            "            y[j] = size == 0 ? x[i] : found < 0 ? 0.0r : v[found * length + j];",
            "        v += size * length;",
            "        y += length;",
            "    }",
            "}",
        ],
    )
    c.read(x)
    return y


def write_concatenation(c: Writer, parts: Sequence[tuple[Value, int]], positions: int) -> Value:
    """Tensors and their numbers of columns side by side."""
    width = sum(columns for _, columns in parts)
    y, first = c.new(positions * width), 0
    for x, columns in parts:
        place = f"{y.name} + {first}" if first else y.name
        if positions == 1:
            c.call("copy", x.name, str(columns), place)
        else:
            c.call("put_columns", x.name, str(positions), str(columns), place, str(width))
        first += columns
    y.mask = parts[0][0].mask
    for x, _ in parts:
        c.read(x)
    return y


def write_sum(c: Writer, parts: Sequence[Value]) -> Value:
    """The sum of tensors, into the memory of the first one that may be written to."""
    own = next((x for x in parts if x.start is not None and x.readers == 1), None)
    others = [x for x in parts if x is not own]
    if own is None:
        own = c.new(parts[0].size)
        own.mask = parts[0].mask
        c.call("copy", others[0].name, str(own.size), own.name)
        c.read(others[0])
        others = others[1:]
    for x in others:
        c.call("add", x.name, str(own.size), own.name)
        c.read(x)
    return own
