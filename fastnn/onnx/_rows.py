"""Tensors of a graph as affine maps of what steps compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._affine import Map
from ._layout import BATCH, Layout
from ._steps import Step


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


def numbered(parts: Sequence[Rows]) -> list[Layout]:
    """The layouts of tensors whose columns lie side by side."""
    layouts, start = [], 0
    for part in parts:
        own = part.layout
        layouts.append(replace(own, array=own.array + start))
        start += part.map.n_out
    return layouts
