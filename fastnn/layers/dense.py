"""The fully connected layer: `Dense`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .. import activations, initializers
from ..checks import shown, validate
from ..engine.ops import ParameterSpec
from ..kernels.abi.oprow import PACK_SIZE
from .activation import lower_activation
from .base import Layer
from .parameter import Parameter

if TYPE_CHECKING:
    from ..activations import Activation as ActivationSpec
    from ..engine.graph import Graph
    from ..engine.ops import Shape, Tensor
    from ..initializers import Initializer


class Dense(Layer):
    """Fully connected layer: ``y = activation(x @ weights + bias)``.

    It acts on the last axis, as in Keras and PyTorch: inputs of shape (n, ..., n_in) become outputs of shape
    (n, ..., units), by the same weights at each position. `Flatten` before it connects all inputs with all
    units.

    Parameters
    ----------
    units : int
        Number of outputs. The number of inputs is taken from the first input.
    activation : str or Activation, optional
        Name, or one of `fastnn.activations`; none if not given.
    use_bias : bool
    kernel_initializer, bias_initializer : str or Initializer
        Name, or one of `fastnn.initializers`.
    l1, l2 : float, >= 0
        ``l1 * sum(abs(weights)) + l2 * sum(weights**2)`` is added to the loss.
    alpha : float, >= 0
        ``alpha / (2 * n) * sum(weights**2)`` is added to the loss of a batch of n samples (or of samples
        whose weights sum to n), as in scikit-learn: with more data, it matters less. It is part of the
        training loss only, not of what `evaluate` returns.

    Raises
    ------
    TypeError, ValueError
        If a setting has the wrong type or is out of range, or a name is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> fn.Dense(5, "relu")(np.ones((2, 3))).shape
    (2, 5)
    >>> fn.Dense(5)(np.ones((2, 10, 3))).shape
    (2, 10, 5)
    """

    kind = "dense"
    supports_masking = True

    def __init__(
        self,
        units: int,
        activation: str | ActivationSpec | None = None,
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        l1: float = 0.0,
        l2: float = 0.0,
        alpha: float = 0.0,
    ) -> None:
        super().__init__()
        self.units = validate.integer("units", units, low=1)
        self.activation = activations.get(activation)
        self.use_bias = validate.boolean("use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.l1 = validate.number("l1", l1, low=0.0)
        self.l2 = validate.number("l2", l2, low=0.0)
        self.alpha = validate.number("alpha", alpha, low=0.0)

    weights = Parameter("Weights, of shape (n_in, units).")

    bias = Parameter("Bias, of shape (units,).", only_with="use_bias")

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        return (*inputs[0][:-1], self.units)

    def parameters(self, *inputs: Shape) -> list[ParameterSpec]:  # noqa: D102
        shape, penalty = (inputs[0][-1], self.units), self.penalties()
        weights = ParameterSpec("weights", shape, self.kernel_initializer, shape, penalty)
        if not self.use_bias:
            return [weights]
        return [weights, ParameterSpec("bias", (self.units,), self.bias_initializer)]

    def penalties(self) -> tuple[float, float, float]:  # noqa: D102
        return (self.l1, self.l2, self.alpha)

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        y = lower_product(graph, inputs[0], self.units, "weights", "bias" if self.use_bias else None)
        return y if self.activation is None else lower_activation(graph, self.activation, y)

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {
            "name": self.kind,
            "units": self.units,
            "activation": None if self.activation is None else self.activation.config(),
            "use_bias": self.use_bias,
            "kernel_initializer": self.kernel_initializer.config(),
            "bias_initializer": self.bias_initializer.config(),
            "l1": self.l1,
            "l2": self.l2,
            "alpha": self.alpha,
        }

    def __repr__(self) -> str:
        names = ("use_bias", "kernel_initializer", "bias_initializer", "l1", "l2", "alpha")
        settings = shown.other(Dense, {name: getattr(self, name) for name in names})
        values = (self.units,) if self.activation is None else (self.units, self.activation)
        return shown.call("Dense", values, settings)


def lower_product(graph: Graph, x: Tensor, units: int, weights: str, bias: str | None = None) -> Tensor:
    """Add the product of the last axis and the weights, and the bias, of these names."""
    channels, positions = x.shape[-1], math.prod(x.shape[:-1])
    return graph.op(
        "layers.dense",
        [x],
        (*x.shape[:-1], units),
        parameters=(weights, bias),
        settings=(positions,),
        product="linalg.gemm.product",
        shared_scratch=PACK_SIZE,
        multiplications=positions * (channels + (bias is not None)) * units,
        matrix=(channels, units),
    )
