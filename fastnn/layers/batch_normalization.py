"""Normalization over a batch: `BatchNormalization`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import initializers
from ..checks import validate
from ..engine.ops import ParameterSpec
from .normalization import Normalization
from .parameter import Parameter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.graph import Graph
    from ..engine.ops import Shape, Tensor


class BatchNormalization(Normalization):
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
    synchronized : bool
        Whether, in a fit by several processes (`comm` of `Model.fit`), mean and variance are those of the
        rows of all of them, as one process would have them. Otherwise each takes those of its own rows.

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
    >>> history = model.fit(X, y, epochs=200)
    >>> layers[1].moving_mean.shape, model.evaluate(X, y)["accuracy"] > 0.8
    ((32,), True)
    """

    kind = "batch_normalization"
    settings = ("momentum", "epsilon", "center", "scale", "synchronized")

    def __init__(
        self,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        synchronized: bool = False,
    ) -> None:
        super().__init__(epsilon, center, scale)
        self.momentum = validate.number("momentum", momentum, low=0.0, high=1.0)
        self.synchronized = validate.boolean("synchronized", synchronized)

    moving_mean = Parameter("Moving average of the means of batches, of shape (channels,).")

    moving_variance = Parameter("Moving average of the variances of batches, of shape (channels,).")

    def check_values(self, name: str, values: NDArray[Any], label: str) -> None:  # noqa: D102
        super().check_values(name, values, label)
        if name == "moving_variance" and values.min() < 0:
            raise ValueError(f"{label} must be >= 0, got {values.min():g}")

    def running_statistics(self, *inputs: Shape) -> list[ParameterSpec]:  # noqa: D102
        shape = inputs[0][-1:]
        return [
            ParameterSpec("moving_mean", shape, initializers.zeros()),
            ParameterSpec("moving_variance", shape, initializers.constant(1.0)),
        ]

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        channels = x.shape[-1]
        return graph.op(
            "layers.batch_normalization",
            [x],
            x.shape,
            parameters=self.parameter_names(),
            settings=(self.epsilon, self.momentum, channels, self.synchronized),
            statistics=True,
            saves="x",
            scratch_per_part=(8 if self.synchronized else 4) * channels,
            shared_scratch=6 * channels,
            couples=True,
        )
