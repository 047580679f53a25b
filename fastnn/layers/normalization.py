"""Normalization within a sample: `LayerNormalization`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import initializers
from ..checks import shown, validate
from ..engine.ops import ParameterSpec
from .base import Layer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..engine.graph import Graph
    from ..engine.ops import Shape, Tensor


class LayerNormalization(Layer):
    """Give each sample mean 0 and variance 1 over its last axis, then scale and shift each feature.

    ``y = (x - mean) / sqrt(variance + epsilon) * gamma + beta``, as in Keras; gamma is initialized to 1,
    beta to 0. J. L. Ba, J. R. Kiros, G. E. Hinton, *Layer Normalization*, 2016.

    Parameters
    ----------
    epsilon : float, > 0

    Raises
    ------
    TypeError, ValueError
        If it is not a number, or out of range.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.LayerNormalization()([[1.0, 2.0, 3.0]]).round(3)
    array([[-1.224,  0.   ,  1.224]], dtype=float32)
    """

    kind = "layer_normalization"

    def __init__(self, epsilon: float = 1e-3) -> None:
        super().__init__()
        self.epsilon = validate.number("epsilon", epsilon, above=0.0)

    @property
    def gamma(self) -> NDArray[Any]:
        """Factors, of shape (features,): a view into the model's parameters. Can be assigned to."""
        return self._parameter("gamma")

    @gamma.setter
    def gamma(self, value: ArrayLike) -> None:
        self.set_parameter("gamma", value)

    @property
    def beta(self) -> NDArray[Any]:
        """Offsets, of shape (features,): a view, like `gamma`."""
        return self._parameter("beta")

    @beta.setter
    def beta(self, value: ArrayLike) -> None:
        self.set_parameter("beta", value)

    def parameters(self, *inputs: Shape) -> list[ParameterSpec]:  # noqa: D102
        shape = inputs[0][-1:]
        return [
            ParameterSpec("gamma", shape, initializers.constant(1.0)),
            ParameterSpec("beta", shape, initializers.zeros()),
        ]

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        features = x.shape[-1]
        return graph.op(
            "layers.normalization.layer_normalization",
            [x],
            x.shape,
            parameters=("gamma", "beta"),
            settings=(self.epsilon, features),
            saves="x",
            scratch_per_row=2 * (x.size // features),
        )

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind, "epsilon": self.epsilon}

    def __repr__(self) -> str:
        return shown.call(
            "LayerNormalization", (), shown.other(LayerNormalization, {"epsilon": self.epsilon})
        )
