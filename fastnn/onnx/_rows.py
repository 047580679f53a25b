"""Tensors of a graph as affine maps of what steps compute; a step becomes a layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ._affine import Map, Matrix
from ._layout import BATCH, Layout

if TYPE_CHECKING:
    from ..activations import Activation as ActivationSpec
    from ..layers.base import Layer


@dataclass(frozen=True, eq=False)
class Step:
    """Computes `width` columns from those of the step before, or from the input if there is none.

    A step is a product, an activation or a layer, or a product with its activation. `trained` says whether it
    or a step before it is a product.
    """

    width: int
    before: Step | None = None
    product: Matrix | None = None
    activation: ActivationSpec | None = None
    layer: Layer | None = None
    trained: bool = False
    depth: int = field(init=False)  # how many steps there are before it

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", 0 if self.before is None else self.before.depth + 1)


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
