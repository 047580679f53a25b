"""An activation function as a layer of its own: `Activation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import activations
from .base import Layer

if TYPE_CHECKING:
    from ..activations import Activation as ActivationSpec
    from ..engine.graph import Graph
    from ..engine.ops import Tensor


class Activation(Layer):
    """An activation function as a layer of its own.

    Parameters
    ----------
    activation : str or Activation
        Name, or one of `fastnn.activations`.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.Activation("relu")([[-5, 10], [15, -10]])
    array([[ 0., 10.],
           [15.,  0.]], dtype=float32)
    """

    kind = "activation"
    supports_masking = True

    def __init__(self, activation: str | ActivationSpec) -> None:
        super().__init__()
        found = activations.get(activation)
        if found is None:
            raise TypeError("activation must be a name or a fastnn.activations.Activation, got None")
        self.activation = found

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        return lower_activation(graph, self.activation, inputs[0], keep_identity=True)

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind, "activation": self.activation.config()}

    def __repr__(self) -> str:
        return f"Activation({self.activation!r})"


def lower_activation(
    graph: Graph, activation: ActivationSpec, x: Tensor, *, keep_identity: bool = False
) -> Tensor:
    """Add the op of an activation function, unless that changes nothing."""
    if activation.name == "identity" and not keep_identity:
        return x
    by_rows = activation.name in ("softmax", "log_softmax")
    return graph.op(
        activation.kernel,
        [x],
        x.shape,
        settings=(x.shape[-1],) if by_rows else tuple(activation.settings.values()),
        in_place=True,
        saves="y" if activation.from_output else "xy",
    )
