"""Dropout: `Dropout`, and of whole channels `SpatialDropout1D` and `SpatialDropout2D`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from ..checks import validate
from .base import Layer

if TYPE_CHECKING:
    from ..engine.graph import Graph
    from ..engine.ops import Shape, Tensor


class Dropout(Layer):
    """During training, set a random fraction of the inputs to 0 and scale up the rest.

    N. Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*, JMLR
    15 (2014). It is inactive in prediction and evaluation, but for
    ``predict(X, samples=100)``.

    Parameters
    ----------
    rate : float, 0 <= rate < 1
        Fraction that is set to 0; the rest is divided by ``1 - rate``.
    """

    kind = "dropout"
    supports_masking = True

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = validate.number("rate", rate, low=0.0, below=1.0)

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        return graph.op(
            "layers.dropout",
            [x],
            x.shape,
            settings=(self.rate,),
            in_place=True,
            scratch_per_row=x.size,
            drops=self.rate > 0,
        )

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind, "rate": self.rate}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.rate:g})"


class _SpatialDropout(Dropout):
    """Base of dropout of whole channels."""

    rank: ClassVar[int]

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        (shape,) = inputs
        if len(shape) != self.rank + 1:
            axes = {1: "(time, channels)", 2: "(height, width, channels)"}[self.rank]
            raise ValueError(f"{self.label} expects an input of shape {axes}, got {shape}; use fn.Dropout")
        return shape

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        *places, channels = self.output_shape(x.shape)
        return graph.op(
            "layers.dropout.spatial",
            [x],
            x.shape,
            settings=(self.rate, math.prod(places), channels),
            in_place=True,
            scratch_per_row=channels,
            drops=self.rate > 0,
        )


class SpatialDropout2D(_SpatialDropout):
    """During training, set random channels of an image to 0 at all positions, and scale up the rest.

    Neighbouring pixels of a channel are much alike, so that `Dropout` of single ones takes little away.
    J. Tompson et al., *Efficient Object Localization Using Convolutional Networks*, CVPR 2015.

    Parameters
    ----------
    rate : float, 0 <= rate < 1
        Fraction of the channels of each sample that is set to 0; the rest is divided by ``1 - rate``.
    """

    kind, rank = "spatial_dropout_2d", 2


class SpatialDropout1D(_SpatialDropout):
    """During training, set random channels of a sequence to 0 at all times: see `SpatialDropout2D`.

    Parameters
    ----------
    rate : float, 0 <= rate < 1
    """

    kind, rank = "spatial_dropout_1d", 1
