"""Tensors of a graph as affine maps of what steps compute."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ._affine import Map
from ._layout import BATCH, Layout
from ._steps import Step

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Rows:
    """A tensor of the graph: columns computed from those of a step, and the sizes of its axes.

    One of the sizes may be `BATCH`; without it, the graph computes a single row.
    """

    step: Step
    map: Map
    sizes: tuple[Any, ...]
    samples: int | None = None

    @property
    def row(self) -> tuple[int, ...]:
        """Sizes of all axes except that of the samples."""
        return tuple(size for size in self.sizes if size != BATCH)

    @property
    def layout(self) -> Layout:
        """The indices of its columns, in the shape of the tensor."""
        array = np.arange(self.map.n_out).reshape([1 if size == BATCH else size for size in self.sizes])
        return Layout(array, self.sizes.index(BATCH) if BATCH in self.sizes else None, self.samples)


@dataclass(frozen=True)
class Indices:
    """Columns of the data converted to integers, which an embedding takes for indices."""

    rows: Rows


@dataclass(frozen=True, eq=False)
class Vectors:
    """Vectors of the categories that a column of the data holds; of unknown ones, zeros.

    Attributes
    ----------
    rows : Rows
        The column, of sizes (samples, 1).
    categories : array of shape (n,)
    weights : array of shape (n, length)
    """

    rows: Rows
    categories: NDArray[np.float64]
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """A product of two tensors along their last axes: scores of attention, or its weights.

    Attributes
    ----------
    query, key : Rows
        Of the sizes (..., time, features) and (..., features, time).
    factor : float
        What the scores are multiplied by.
    causal : bool
        Whether a time sees only itself and what is before it.
    normalized : bool
        Whether they are weights, by a softmax of the scores.
    """

    query: Rows
    key: Rows
    factor: float = 1.0
    causal: bool = False
    normalized: bool = False


@dataclass(frozen=True)
class Merged:
    """A tensor some of whose axes, that of the samples among them, are a single one in the graph.

    Attributes
    ----------
    rows : Rows
        With these axes apart.
    first, count : int
        Which they are.
    """

    rows: Rows
    first: int
    count: int

    @property
    def sizes(self) -> list[Any]:
        """Sizes of the axes of the graph."""
        own = list(self.rows.sizes)
        end = self.first + self.count
        times = math.prod(size for size in own[self.first : end] if size != BATCH)
        return [*own[: self.first], Samples(times), *own[end:]]


@dataclass(frozen=True)
class Samples:
    """A multiple of the number of samples, among the sizes of axes."""

    times: int


#: What messages call values that are no tensors of a layer.
OTHERS = "integers, vectors of categories, scores of attention, or an axis of both samples and others"


def numbered(parts: Sequence[Rows]) -> list[Layout]:
    """The layouts of tensors whose columns lie side by side."""
    layouts, start = [], 0
    for part in parts:
        own = part.layout
        layouts.append(replace(own, array=own.array + start))
        start += part.map.n_out
    return layouts
