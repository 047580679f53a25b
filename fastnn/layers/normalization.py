"""Normalization within a sample: `LayerNormalization`, `RMSNormalization`, `GroupNormalization`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .. import initializers
from ..checks import shown, validate
from ..engine.ops import ParameterSpec
from .base import Layer
from .parameter import Parameter

if TYPE_CHECKING:
    from ..engine.graph import Graph
    from ..engine.ops import Shape, Tensor


class Normalization(Layer):
    """Base of layers that normalize, and then scale and shift each channel of the last axis.

    Parameters
    ----------
    epsilon : float, > 0
    center, scale : bool
        Whether there are beta and gamma.
    """

    #: Names of the arguments, in their order.
    settings: ClassVar[tuple[str, ...]] = ("epsilon", "center", "scale")

    def __init__(self, epsilon: float, center: bool, scale: bool) -> None:
        super().__init__()
        self.epsilon = validate.number("epsilon", epsilon, above=0.0)
        self.center = validate.boolean("center", center)
        self.scale = validate.boolean("scale", scale)

    gamma = Parameter("Factors, of shape (channels,).", only_with="scale")

    beta = Parameter("Offsets, of shape (channels,).", only_with="center")

    def parameters(self, *inputs: Shape) -> list[ParameterSpec]:  # noqa: D102
        shape = inputs[0][-1:]
        gamma = ParameterSpec("gamma", shape, initializers.constant(1.0))
        beta = ParameterSpec("beta", shape, initializers.zeros())
        return [gamma] * self.scale + [beta] * self.center

    def parameter_names(self) -> tuple[str | None, ...]:
        """Of the parameters of its op."""
        if not (self.scale or self.center):
            return ()
        return ("gamma" if self.scale else None, "beta" if self.center else None)

    def by_last_axis(self, graph: Graph, x: Tensor, *, centred: bool) -> Tensor:
        """Add the op of a normalization over the last axis."""
        features = x.shape[-1]
        return graph.op(
            "layers.normalization.layer_normalization",
            [x],
            x.shape,
            parameters=self.parameter_names(),
            settings=(self.epsilon, features, centred),
            saves="x",
            scratch_per_row=2 * (x.size // features),
        )

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind, **{name: getattr(self, name) for name in self.settings}}

    def __repr__(self) -> str:
        settings = {name: getattr(self, name) for name in self.settings}
        return shown.call(type(self).__name__, (), shown.other(type(self), settings))


class LayerNormalization(Normalization):
    """Give each sample mean 0 and variance 1 over its last axis, then scale and shift each feature.

    ``y = (x - mean) / sqrt(variance + epsilon) * gamma + beta``, as in Keras; gamma is initialized to 1,
    beta to 0. J. L. Ba, J. R. Kiros, G. E. Hinton, *Layer Normalization*, 2016.

    Parameters
    ----------
    epsilon : float, > 0
    center, scale : bool
        Whether there are beta and gamma.

    Raises
    ------
    TypeError, ValueError
        If a setting has the wrong type or is out of range.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.LayerNormalization()([[1.0, 2.0, 3.0]]).round(3)
    array([[-1.224,  0.   ,  1.224]], dtype=float32)
    """

    kind = "layer_normalization"
    supports_masking = True

    def __init__(self, epsilon: float = 1e-3, center: bool = True, scale: bool = True) -> None:
        super().__init__(epsilon, center, scale)

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        return self.by_last_axis(graph, inputs[0], centred=True)


class RMSNormalization(Normalization):
    """Divide each sample by its root mean square over the last axis, then scale each feature.

    ``y = x / sqrt(mean(x**2) + epsilon) * gamma``, as in Keras; gamma is initialized to 1. B. Zhang,
    R. Sennrich, *Root Mean Square Layer Normalization*, NeurIPS 2019.

    Parameters
    ----------
    epsilon : float, > 0
    scale : bool
        Whether there is gamma.

    Raises
    ------
    TypeError, ValueError
        If a setting has the wrong type or is out of range.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.RMSNormalization()([[3.0, 4.0, 0.0, 0.0]])
    array([[1.2, 1.6, 0. , 0. ]], dtype=float32)
    """

    kind = "rms_normalization"
    settings = ("epsilon", "scale")

    def __init__(self, epsilon: float = 1e-6, scale: bool = True) -> None:
        super().__init__(epsilon, False, scale)

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        return self.by_last_axis(graph, inputs[0], centred=False)


class GroupNormalization(Normalization):
    """Give groups of channels of each sample mean 0 and variance 1, then scale and shift each channel.

    ``y = (x - mean) / sqrt(variance + epsilon) * gamma + beta``, as in Keras: mean and variance are those of
    adjacent channels of the last axis, at all positions of the sample. gamma is initialized to 1, beta to 0.
    Y. Wu, K. He, *Group Normalization*, ECCV 2018.

    Parameters
    ----------
    groups : int
        Number of groups, which divides the number of channels. -1 stands for as many as channels: instance
        normalization.
    epsilon : float, > 0
    center, scale : bool
        Whether there are beta and gamma.

    Raises
    ------
    TypeError, ValueError
        If a setting has the wrong type or is out of range.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.GroupNormalization(2)([[1.0, 3.0, 10.0, 10.0]]).round(3)
    array([[-1.,  1.,  0.,  0.]], dtype=float32)
    """

    kind = "group_normalization"
    settings = ("groups", "epsilon", "center", "scale")

    def __init__(
        self, groups: int = 32, epsilon: float = 1e-3, center: bool = True, scale: bool = True
    ) -> None:
        super().__init__(epsilon, center, scale)
        self.groups = validate.integer("groups", groups, low=-1)
        if groups == 0:
            raise ValueError("groups must be >= 1, or -1 for as many as channels, got 0")

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        channels = inputs[0][-1]
        if channels % self.groups:
            divisors = [n for n in range(1, channels + 1) if channels % n == 0]
            nearest = min(divisors, key=lambda n: abs(n - self.groups))
            raise ValueError(
                f"{self.label}: {self.groups} groups do not divide the {channels} channels of its input of "
                f"shape {inputs[0]}; give groups={nearest}"
            )
        return inputs[0]

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        channels = self.output_shape(x.shape)[-1]
        groups = channels if self.groups == -1 else self.groups
        return graph.op(
            "layers.normalization.group_normalization",
            [x],
            x.shape,
            parameters=self.parameter_names(),
            settings=(self.epsilon, channels // groups, groups),
            saves="x",
            scratch_per_row=2 * groups,
        )
