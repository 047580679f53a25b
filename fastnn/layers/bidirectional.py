"""A recurrent layer in both directions of time: `Bidirectional`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..checks import validate
from .containers import Branches, add_up, concatenate
from .masking import with_zeros
from .recurrent import Recurrent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.graph import Graph
    from ..engine.ops import Shape, Tensor
    from .base import Layer

_MODES = ("concat", "sum")


class Bidirectional(Branches):
    """A recurrent layer that goes forwards, and one of the same settings that goes backwards.

    M. Schuster, K. K. Paliwal, *Bidirectional recurrent neural networks*, IEEE Transactions on Signal
    Processing 45 (1997). With `return_sequences`, the outputs of both at a time step belong together.
    The outputs at masked time steps are zeros, as in Keras. The parameters are those of `forward_layer` and
    of `backward_layer`.

    Parameters
    ----------
    layer : SimpleRNN, GRU or LSTM
        The one that goes forwards.
    merge_mode : "concat" or "sum"
        Whether the outputs are concatenated, those of `layer` first, or added.

    Raises
    ------
    TypeError, ValueError
        If it is no recurrent layer, or goes backwards, or the mode is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> fn.Bidirectional(fn.GRU(5))(np.ones((2, 10, 3))).shape
    (2, 10)
    >>> fn.Bidirectional(fn.GRU(5, return_sequences=True), "sum")(np.ones((2, 10, 3))).shape
    (2, 10, 5)
    """

    kind = "bidirectional"
    holds = ("layer",)

    def __init__(self, layer: Layer, merge_mode: str = "concat") -> None:
        if not isinstance(layer, Recurrent):
            raise TypeError(f"layer must be fn.SimpleRNN, fn.GRU or fn.LSTM, got {layer!r}")
        if layer.go_backwards:
            raise ValueError(f"layer must go forwards, got {layer!r}; the other one goes backwards")
        self.merge_mode = validate.choice("merge_mode", merge_mode, _MODES)
        self._forward, self._backward = layer, layer.backwards()
        super().__init__({"forward_layer": self._forward, "backward_layer": self._backward})

    @property
    def layer(self) -> Recurrent:
        """The layer that goes forwards."""
        return self._forward

    @property
    def forward_layer(self) -> Recurrent:
        """The layer that goes forwards."""
        return self._forward

    @property
    def backward_layer(self) -> Recurrent:
        """The layer that goes backwards."""
        return self._backward

    def combined_shape(self, shapes: Sequence[Shape]) -> Shape:  # noqa: D102
        *positions, units = shapes[0]
        return (*positions, 2 * units if self.merge_mode == "concat" else units)

    def combine(self, graph: Graph, tensors: Sequence[Tensor]) -> Tensor:  # noqa: D102
        y = concatenate(graph, tensors) if self.merge_mode == "concat" else add_up(graph, tensors)
        return y if tensors[0].mask is None else with_zeros(graph, y, tensors[0].mask)

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind, "layer": self._forward.config(), "merge_mode": self.merge_mode}

    def __repr__(self) -> str:
        mode = "" if self.merge_mode == "concat" else f", {self.merge_mode!r}"
        return f"Bidirectional({self._forward!r}{mode})"
