"""Dropout: `Dropout`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..checks import validate
from .base import Layer

if TYPE_CHECKING:
    from ..engine.graph import Graph
    from ..engine.ops import Tensor


class Dropout(Layer):
    """During training, set a random fraction of the inputs to 0 and scale up the rest.

    N. Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*, JMLR
    15 (2014). It is inactive in prediction and evaluation.

    Parameters
    ----------
    rate : float, 0 <= rate < 1
        Fraction that is set to 0; the rest is divided by ``1 - rate``.
    """

    kind = "dropout"

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = validate.number("rate", rate, low=0.0, below=1.0)

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        return graph.op(
            "layers.dropout", [x], x.shape, settings=(self.rate,), in_place=True, scratch_per_row=x.size
        )

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind, "rate": self.rate}

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"
