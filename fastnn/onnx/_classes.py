"""Classes and categories: one-hot codes, and the probabilities of two classes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.one_hot import OneHot
from ._affine import Matrix
from ._assembly import Assembly
from ._layout import BATCH
from ._rows import Rows
from ._steps import Step

if TYPE_CHECKING:
    from numpy.typing import NDArray


def one_hot(
    assembly: Assembly,
    x: Rows,
    axis: int,
    columns: NDArray[Any],
    categories: NDArray[Any],
    coded: NDArray[Any] | None = None,
) -> Rows:
    """Columns of categories as `fastnn.onnx.export` writes them."""
    n = x.sizes[-1]
    if axis % len(x.sizes) != len(x.sizes) - 1 or n == BATCH:
        raise ValueError("it codes what is along another axis than the last")
    is_coded = np.ones(columns.shape, bool) if coded is None else coded
    if columns.ndim != 1 or not columns.shape == categories.shape == is_coded.shape:
        raise ValueError("it does not compare each column with one number")
    assembly.use_codes(n + columns.size)
    if (categories != np.floor(assembly.numbers("categories", categories))).any():
        raise ValueError("categories must be integers")
    source = columns.tolist()
    known: dict[int, list[int]] = {column: [] for column in range(n)}
    if source != sorted(source) or set(source) != set(known):
        raise ValueError("it does not take the columns in their order")
    for column, category, own in zip(source, categories.tolist(), is_coded.tolist(), strict=True):
        if own:
            known[column].append(int(category))
    chosen = {column: of for column, of in known.items() if of}
    if len(source) != sum(len(of) or 1 for of in known.values()):
        raise ValueError("it both codes and keeps a column")
    made = Step(
        math.prod(x.row[:-1]) * len(source),
        make=lambda: OneHot(list(chosen), list(chosen.values()), "ignore"),
        takes=x.row,
        gives=(*x.row[:-1], len(source)),
    )
    axes = [axis for axis, size in enumerate(x.sizes) if size != BATCH]
    return assembly.layer(x, axes, made, [*x.sizes[:-1], len(source)])


def two_classes(assembly: Assembly, x: Rows, axis: int) -> Rows:
    """``[1 - sigmoid(x), sigmoid(x)]`` of a single x, which is ``softmax([0, x])``."""
    if x.row != (1,) or x.layout.axis(axis) != len(x.sizes) - 1:
        raise ValueError("it joins two tensors")
    assembly.use(2 * x.map.n_in)
    score = x.map.matrix()
    weights = np.concatenate([np.zeros_like(score.weights), score.weights], axis=1)
    bias = None if score.bias is None else np.concatenate([[0.0], score.bias])
    return assembly.activation(replace(x, map=Matrix(weights, bias), sizes=(*x.sizes[:-1], 2)), "softmax")
