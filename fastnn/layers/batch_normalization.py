"""Normalization over a batch: `BatchNormalization`."""

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


class BatchNormalization(Layer):
    """Give each channel of the last axis mean 0 and variance 1, over the batch and all other axes.

    ``y = (x - mean) / sqrt(variance + epsilon) * gamma + beta``, as in Keras. In a training step mean and
    variance are those of the batch, and after it ``momentum * moving + (1 - momentum) * batch`` replaces the
    moving ones; the variance is the biased one. Prediction, evaluation, `Model.loss_and_gradient` and a
    frozen layer (`trainable`) use the moving ones. Weights of samples play no part in mean and variance.
    gamma and the moving variance are initialized to 1, beta and the moving mean to 0.

    S. Ioffe, C. Szegedy, *Batch Normalization: Accelerating Deep Network Training by Reducing Internal
    Covariate Shift*, ICML 2015.

    Parameters
    ----------
    momentum : float, 0 <= momentum <= 1
        Of the moving averages. (PyTorch's `momentum` is 1 less this.)
    epsilon : float, > 0
    center, scale : bool
        Whether there are beta and gamma.

    Raises
    ------
    TypeError, ValueError
        If a setting has the wrong type or is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> X, y = fn.datasets.spiral(100, 3, seed=0)
    >>> layers = [fn.Dense(32, use_bias=False), fn.BatchNormalization(), fn.Activation("relu"), fn.Dense(3)]
    >>> model = fn.Model(layers, loss="cross_entropy", seed=0)
    >>> history = model.fit(X, y, epochs=50)
    >>> layers[1].moving_mean.shape, model.evaluate(X, y)["accuracy"] > 0.8
    ((32,), True)
    """

    kind = "batch_normalization"

    def __init__(
        self, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True, scale: bool = True
    ) -> None:
        super().__init__()
        self.momentum = validate.number("momentum", momentum, low=0.0, high=1.0)
        self.epsilon = validate.number("epsilon", epsilon, above=0.0)
        self.center = validate.boolean("center", center)
        self.scale = validate.boolean("scale", scale)

    @property
    def gamma(self) -> NDArray[Any]:
        """Factors, of shape (channels,): a view into the model's parameters. Can be assigned to."""
        if not self.scale:
            raise ValueError(f"the {self.kind} layer has no gamma: it was made with scale=False")
        return self._parameter("gamma")

    @gamma.setter
    def gamma(self, value: ArrayLike) -> None:
        self.gamma  # noqa: B018 - refuses a layer that has none
        self.set_parameter("gamma", value)

    @property
    def beta(self) -> NDArray[Any]:
        """Offsets, of shape (channels,): a view, like `gamma`."""
        if not self.center:
            raise ValueError(f"the {self.kind} layer has no beta: it was made with center=False")
        return self._parameter("beta")

    @beta.setter
    def beta(self, value: ArrayLike) -> None:
        self.beta  # noqa: B018 - refuses a layer that has none
        self.set_parameter("beta", value)

    @property
    def moving_mean(self) -> NDArray[Any]:
        """Moving average of the means of batches, of shape (channels,): a view. Can be assigned to."""
        return self._parameter("moving_mean")

    @moving_mean.setter
    def moving_mean(self, value: ArrayLike) -> None:
        self.set_parameter("moving_mean", value)

    @property
    def moving_variance(self) -> NDArray[Any]:
        """Moving average of the variances of batches, of shape (channels,): a view. Can be assigned to."""
        return self._parameter("moving_variance")

    @moving_variance.setter
    def moving_variance(self, value: ArrayLike) -> None:
        self.set_parameter("moving_variance", value)

    def parameters(self, *inputs: Shape) -> list[ParameterSpec]:  # noqa: D102
        shape = inputs[0][-1:]
        gamma = ParameterSpec("gamma", shape, initializers.constant(1.0))
        beta = ParameterSpec("beta", shape, initializers.zeros())
        return [gamma] * self.scale + [beta] * self.center

    def running_statistics(self, *inputs: Shape) -> list[ParameterSpec]:  # noqa: D102
        shape = inputs[0][-1:]
        return [
            ParameterSpec("moving_mean", shape, initializers.zeros()),
            ParameterSpec("moving_variance", shape, initializers.constant(1.0)),
        ]

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        channels = x.shape[-1]
        parameters = ("gamma" if self.scale else None, "beta" if self.center else None)
        return graph.op(
            "layers.batch_normalization",
            [x],
            x.shape,
            parameters=parameters if self.scale or self.center else (),
            settings=(self.epsilon, self.momentum, channels),
            statistics=True,
            saves="x",
            scratch_per_part=4 * channels,
            shared_scratch=6 * channels,
            couples=True,
        )

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {
            "name": self.kind,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
        }

    def __repr__(self) -> str:
        settings = {name: value for name, value in self.config().items() if name != "name"}
        return shown.call("BatchNormalization", (), shown.other(BatchNormalization, settings))
