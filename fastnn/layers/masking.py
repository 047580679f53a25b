"""Time steps that are left out: `Masking`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..checks import validate
from ..engine.ops import Tensor
from .base import Layer

if TYPE_CHECKING:
    from ..engine.graph import Graph
    from ..engine.ops import Shape


def with_zeros(graph: Graph, x: Tensor, mask: int) -> Tensor:
    """A masked tensor, with zeros at the masked time steps; `mask` is the value that says which these are."""
    inputs = [x, Tensor(mask, x.shape[:1])]
    y = graph.op("layers.masking.apply", inputs, x.shape, settings=x.shape[:1], saves="x")
    return y.masked(mask)


class Masking(Layer):
    """Mask the time steps all of whose features are `mask_value`: recurrent layers leave them out.

    For sequences of different lengths in one array, padded at the end or at the start. Where they are padded
    at the end, ``model.fit(X, y, lengths=...)`` does the same without a layer. Samples have the
    shape (time, features). At a masked step a recurrent layer keeps its state and, with `return_sequences`,
    gives it once more, so that the last output is that of the last step that is not masked. The output of
    this layer is 0 there, as in Keras.

    `Dense`, `Activation`, `Dropout`, `LayerNormalization`, `Select`, recurrent layers and containers of
    these take such samples; what needs all time steps, as `Flatten`, refuses them, and so does a loss.

    Parameters
    ----------
    mask_value : float

    Raises
    ------
    TypeError, ValueError
        If it is not a finite number.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> model = fn.Model([fn.Masking(-1.0), fn.GRU(4)], seed=0).build((5, 2))
    >>> at_the_end, at_the_start = np.ones((1, 5, 2)), np.ones((1, 5, 2))
    >>> at_the_end[:, 3:] = at_the_start[:, :2] = -1  # three time steps, padded
    >>> bool(np.all(model.predict(at_the_end) == model.predict(at_the_start)))
    True
    """

    kind = "masking"
    supports_masking = True

    def __init__(self, mask_value: float = 0.0) -> None:
        super().__init__()
        self.mask_value = validate.number("mask_value", mask_value)

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        shape = inputs[0]
        if len(shape) != 2:
            raise ValueError(f"{self.label} expects samples of shape (time, features), got {shape}")
        return shape

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        steps, _ = self.output_shape(x.shape)
        if x.mask is not None:
            raise ValueError(
                f"{self.label} gets what is masked already, by lengths or another fn.Masking; keep one"
            )
        mask = graph.op(
            "layers.masking.mask", [x], (steps,), settings=(self.mask_value,), differentiable=False
        )
        return with_zeros(graph, x, mask.value)

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind, "mask_value": self.mask_value}

    def __repr__(self) -> str:
        return f"Masking({self.mask_value:g})"
