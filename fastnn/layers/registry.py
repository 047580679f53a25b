"""Layers: specifications of what a network computes.

Their base is `fastnn.layers.base.Layer`; those that prepare the data are in `fastnn.layers.scaling` and
`fastnn.layers.one_hot`.

To add one: a subclass that answers `output_size`, `parameter_shapes` and `ops`, and a line in
`TABLE`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import activations, initializers
from ..checks import shown, validate
from ..engine.plan import OpSpec
from ..kernels.abi import oprow
from .base import Layer
from .one_hot import OneHot
from .scaling import MinMax, Standardize
from .unscale import Unscale

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..activations import Activation as ActivationSpec
    from ..initializers import Initializer


class Dense(Layer):
    """Fully connected layer: ``y = activation(x @ weights + bias)``.

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
        ``alpha / (2 * n) * sum(weights**2)`` is added to the loss of a batch of n samples (or of
        samples whose weights have the sum n), as scikit-learn does: the more data, the smaller its part.
        It belongs to training, and to no loss that `evaluate` gives.

    Raises
    ------
    TypeError, ValueError
        If a setting is not of its kind or out of range, or a name is not known.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> fn.Dense(5, "relu")(np.ones((2, 3))).shape
    (2, 5)
    """

    kind = "dense"

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

    @property
    def weights(self) -> NDArray[Any]:
        """Weights, of shape (n_in, units): a view into the model's parameters. Can be assigned to."""
        return self._parameter("weights")

    @weights.setter
    def weights(self, value: ArrayLike) -> None:
        self.set_parameter("weights", value)

    @property
    def bias(self) -> NDArray[Any]:
        """Bias, of shape (units,): a view into the model's parameters. Can be assigned to."""
        if not self.use_bias:
            raise ValueError("the dense layer has no bias: it was made with use_bias=False")
        return self._parameter("bias")

    @bias.setter
    def bias(self, value: ArrayLike) -> None:
        if not self.use_bias:
            raise ValueError("the dense layer has no bias: it was made with use_bias=False")
        self.set_parameter("bias", value)

    def output_size(self, n_in: int) -> int:  # noqa: D102
        return self.units

    def parameter_shapes(self, n_in: int) -> dict[str, tuple[int, ...]]:  # noqa: D102
        shapes: dict[str, tuple[int, ...]] = {"weights": (n_in, self.units)}
        return shapes | ({"bias": (self.units,)} if self.use_bias else {})

    def initializer(self, name: str) -> Initializer:  # noqa: D102
        return self.kernel_initializer if name == "weights" else self.bias_initializer

    def penalties(self) -> tuple[float, float, float]:  # noqa: D102
        return (self.l1, self.l2, self.alpha)

    def ops(self, n_in: int) -> list[OpSpec]:  # noqa: D102
        product = OpSpec(
            "layers.dense",
            n_in,
            self.units,
            has_weights=True,
            has_bias=self.use_bias,
            needs_input=True,
            shared_scratch=oprow.PACK_SIZE,
        )
        if self.activation is None or self.activation.name == "identity":
            return [product]
        return [product, activation_op(self.activation, self.units)]

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

    def __init__(self, activation: str | ActivationSpec) -> None:
        super().__init__()
        found = activations.get(activation)
        if found is None:
            raise TypeError("activation must be a name or a fastnn.activations.Activation, got None")
        self.activation = found

    def ops(self, n_in: int) -> list[OpSpec]:  # noqa: D102
        return [activation_op(self.activation, n_in)]

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind, "activation": self.activation.config()}

    def __repr__(self) -> str:
        return f"Activation({self.activation!r})"


class Dropout(Layer):
    """While training, set a random share of the inputs to 0 and scale up the rest.

    N. Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*, JMLR
    15 (2014). In prediction and evaluation it changes nothing.

    Parameters
    ----------
    rate : float, 0 <= rate < 1
        Share that is set to 0; the rest is divided by ``1 - rate``.
    """

    kind = "dropout"

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = validate.number("rate", rate, low=0.0, below=1.0)

    def ops(self, n_in: int) -> list[OpSpec]:  # noqa: D102
        return [OpSpec("layers.dropout", n_in, n_in, (self.rate,), in_place=True, scratch_per_row=n_in)]

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind, "rate": self.rate}

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"


def activation_op(activation: ActivationSpec, width: int) -> OpSpec:
    """The op of an activation function over `width` numbers a row."""
    return OpSpec(
        activation.kernel,
        width,
        width,
        tuple(activation.settings.values()),
        in_place=True,
        needs_input=not activation.from_output,
        needs_output=True,
    )


TABLE = {kind.kind: kind for kind in (Dense, Activation, Dropout, Standardize, MinMax, OneHot, Unscale)}
