"""Convolution of each channel by itself: `DepthwiseConv2D` and `SeparableConv2D`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .. import initializers
from ..checks import validate
from ..engine.ops import ParameterSpec
from .activation import lower_activation
from .convolution_base import LINE, SUMMED, Windowed, add_op
from .parameter import Parameter

if TYPE_CHECKING:
    from ..activations import Activation as ActivationSpec
    from ..engine.graph import Graph
    from ..engine.ops import Shape, Tensor
    from ..initializers import Initializer
    from . import windows
    from .convolution_base import Sizes


class _Depthwise(Windowed):
    """Base of layers that begin with a depthwise convolution."""

    rank = 2
    depth_multiplier: int

    def _set_multiplier(self, value: int) -> None:
        self.depth_multiplier = validate.integer("depth_multiplier", value, low=1)

    def _depthwise_spec(self, name: str, channels: int, initializer: Initializer) -> ParameterSpec:
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        field = math.prod(self.kernel_size)
        fan = (field * channels, field * self.depth_multiplier)
        return ParameterSpec(name, shape, initializer, fan, self.penalties())

    def _lower_depthwise(self, graph: Graph, x: Tensor, weights: str, bias: str | None) -> Tensor:
        found, channels = self.windows_of(x.shape), x.shape[-1]
        filters = channels * self.depth_multiplier
        positions = tuple([axis.output for axis in found])
        return graph.op(
            "layers.depthwise",
            [x],
            (*positions, filters),
            parameters=(weights, bias),
            settings=(
                x.shape[1],
                channels,
                *self.kernel_size,
                *self.strides,
                *self.dilation_rate,
                *(axis.before for axis in found),
                positions[1],
                filters,
                channels,
            ),  # fmt: skip
            multiplications=math.prod(positions) * math.prod(self.kernel_size) * filters,
            product="linalg.indirect.channel_product",
            shared_scratch=max(SUMMED, self._scratch(x.shape, found, filters)),
        )

    def _scratch(self, shape: Shape, found: list[windows.Axis], filters: int) -> int:
        """Memory for tables, turned weights, an image with padding, and the gradients of all filters."""
        padded = [
            size + axis.output * stride + (k - 1) * d + axis.before
            for size, axis, stride, k, d in zip(
                shape[:2], found, self.strides, self.kernel_size, self.dilation_rate, strict=True
            )
        ]
        window, places = math.prod(self.kernel_size), math.prod(shape[:2])
        tables = window + max(places, math.prod(axis.output for axis in found))
        return LINE + tables + filters * (1 + window + math.prod(padded) + places)


class DepthwiseConv2D(_Depthwise):
    """Convolution of each channel of an image by itself.

    ``y[i, j, c * m + k] = activation(bias[c * m + k] + sum(x[i * s + a * d, j * s + b * d, c] *
    weights[a, b, c, k]))`` over a and b, for m filters a channel: see `Conv2D`.

    The input has shape (height, width, channels), the output (new height, new width, channels * m).

    Parameters
    ----------
    kernel_size, strides : int or (int, int)
    padding : {"valid", "same"}
    depth_multiplier : int
        Filters of each channel.
    dilation_rate, activation, use_bias
        See `Conv2D`.
    depthwise_initializer, bias_initializer : str or Initializer
    l1, l2, alpha : float, >= 0
        Penalties on the weights: see `Dense`.

    Raises
    ------
    TypeError, ValueError
        As `Conv2D` does.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> layer = fn.DepthwiseConv2D(3, padding="same")
    >>> layer(np.ones((2, 8, 8, 5))).shape
    (2, 8, 8, 5)
    >>> layer.weights.shape
    (3, 3, 5, 1)
    """

    kind = "depthwise_conv2d"
    settings = (
        "kernel_size", "strides", "padding", "depth_multiplier", "dilation_rate", "activation", "use_bias",
        "depthwise_initializer", "bias_initializer", "l1", "l2", "alpha",
    )  # fmt: skip
    positional = 1

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        dilation_rate: Sizes = 1,
        activation: str | ActivationSpec | None = None,
        use_bias: bool = True,
        depthwise_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        l1: float = 0.0,
        l2: float = 0.0,
        alpha: float = 0.0,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            dilation_rate,
            activation,
            use_bias,
            bias_initializer,
            l1,
            l2,
            alpha,
        )
        self._set_multiplier(depth_multiplier)
        self.depthwise_initializer = initializers.get(depthwise_initializer)

    weights = Parameter("Weights, of shape (*kernel_size, channels, depth_multiplier).")

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        found = self.windows_of(inputs[0])
        return (*(axis.output for axis in found), inputs[0][-1] * self.depth_multiplier)

    def parameters(self, *inputs: Shape) -> list[ParameterSpec]:  # noqa: D102
        self.require_image(inputs[0])
        channels = inputs[0][-1]
        bias = ParameterSpec("bias", (channels * self.depth_multiplier,), self.bias_initializer)
        return [self._depthwise_spec("weights", channels, self.depthwise_initializer), bias][
            : 1 + self.use_bias
        ]

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        y = self._lower_depthwise(graph, inputs[0], "weights", "bias" if self.use_bias else None)
        return y if self.activation is None else lower_activation(graph, self.activation, y)


class SeparableConv2D(_Depthwise):
    """Depthwise convolution, then a mixture of its channels at each position.

    ``y = activation(depthwise(x) @ pointwise_weights + bias)``: `DepthwiseConv2D` without bias, then a
    `Conv2D` of kernel size 1. F. Chollet, *Xception: deep learning with depthwise separable convolutions*,
    CVPR 2017.

    The input has shape (height, width, channels), the output (new height, new width, filters).

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size, strides : int or (int, int)
    padding : {"valid", "same"}
    dilation_rate : int or (int, int)
    depth_multiplier : int
        Filters of each channel in the depthwise convolution.
    activation, use_bias
        See `Conv2D`.
    depthwise_initializer, pointwise_initializer, bias_initializer : str or Initializer
    l1, l2, alpha : float, >= 0
        Penalties on both arrays of weights: see `Dense`.

    Raises
    ------
    TypeError, ValueError
        As `Conv2D` does.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> layer = fn.SeparableConv2D(16, 3)
    >>> layer(np.ones((2, 8, 8, 5))).shape
    (2, 6, 6, 16)
    >>> layer.depthwise_weights.shape, layer.pointwise_weights.shape
    ((3, 3, 5, 1), (1, 1, 5, 16))
    """

    kind = "separable_conv2d"
    settings = (
        "filters", "kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier", "activation",
        "use_bias", "depthwise_initializer", "pointwise_initializer", "bias_initializer", "l1", "l2", "alpha",
    )  # fmt: skip

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        dilation_rate: Sizes = 1,
        depth_multiplier: int = 1,
        activation: str | ActivationSpec | None = None,
        use_bias: bool = True,
        depthwise_initializer: str | Initializer = "glorot_uniform",
        pointwise_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        l1: float = 0.0,
        l2: float = 0.0,
        alpha: float = 0.0,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            dilation_rate,
            activation,
            use_bias,
            bias_initializer,
            l1,
            l2,
            alpha,
        )
        self.filters = validate.integer("filters", filters, low=1)
        self._set_multiplier(depth_multiplier)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)

    depthwise_weights = Parameter(
        "Weights of the depthwise part, of shape (*kernel_size, channels, depth_multiplier)."
    )

    pointwise_weights = Parameter(
        "Weights of the mixture, of shape (1, 1, channels * depth_multiplier, filters)."
    )

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        return (*(axis.output for axis in self.windows_of(inputs[0])), self.filters)

    def parameters(self, *inputs: Shape) -> list[ParameterSpec]:  # noqa: D102
        self.require_image(inputs[0])
        channels = inputs[0][-1]
        shape = (1, 1, channels * self.depth_multiplier, self.filters)
        fan = shape[2:]
        return [
            self._depthwise_spec("depthwise_weights", channels, self.depthwise_initializer),
            ParameterSpec("pointwise_weights", shape, self.pointwise_initializer, fan, self.penalties()),
            ParameterSpec("bias", (self.filters,), self.bias_initializer),
        ][: 2 + self.use_bias]

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        middle = self._lower_depthwise(graph, inputs[0], "depthwise_weights", None)
        names = ("pointwise_weights", "bias" if self.use_bias else None)
        shape = (*middle.shape[:-1], self.filters)
        kernel = "layers.convolution.convolution"
        y = add_op(graph, kernel, middle, shape, names, large=middle.shape, small=shape)
        return y if self.activation is None else lower_activation(graph, self.activation, y)
