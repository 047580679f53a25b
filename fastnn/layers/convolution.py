"""Convolution: `Conv1D`, `Conv2D`, and its transpose `Conv2DTranspose`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import initializers
from ..checks import validate
from ..engine.ops import ParameterSpec
from . import windows
from .activation import lower_activation
from .convolution_base import Windowed, add_op
from .parameter import Parameter

if TYPE_CHECKING:
    from ..activations import Activation as ActivationSpec
    from ..engine.graph import Graph
    from ..engine.ops import Shape, Tensor
    from ..initializers import Initializer
    from .convolution_base import Sizes


class _Convolution(Windowed):
    """Base of layers with a matrix of weights for each place of the window."""

    def __init__(
        self, filters: int, kernel_size: Sizes, kernel_initializer: str | Initializer, *settings: Any
    ) -> None:
        super().__init__(kernel_size, *settings)
        self.filters = validate.integer("filters", filters, low=1)
        self.kernel_initializer = initializers.get(kernel_initializer)

    weights = Parameter("Weights, in Keras's layout.")

    def weights_shape(self, channels: int) -> Shape:
        """Shape of the weights, for an input of so many channels."""
        raise NotImplementedError

    def parameters(self, *inputs: Shape) -> list[ParameterSpec]:  # noqa: D102
        self.require_image(inputs[0])
        shape, field = self.weights_shape(inputs[0][-1]), math.prod(self.kernel_size)
        fan = (field * shape[-2], field * shape[-1])
        weights = ParameterSpec("weights", shape, self.kernel_initializer, fan, self.penalties())
        return [weights, ParameterSpec("bias", (self.filters,), self.bias_initializer)][: 1 + self.use_bias]

    def _lower(self, graph: Graph, kernel: str, x: Tensor, **sizes: Any) -> Tensor:
        y = add_op(
            graph,
            kernel,
            x,
            self.output_shape(x.shape),
            ("weights", "bias" if self.use_bias else None),
            window=self.kernel_size,
            strides=self.strides,
            dilation=self.dilation_rate,
            **sizes,
        )
        return y if self.activation is None else lower_activation(graph, self.activation, y)


class _Grouped(_Convolution):
    """Base of convolutions from a large image to a small one."""

    settings = (
        "filters", "kernel_size", "strides", "padding", "dilation_rate", "groups", "activation", "use_bias",
        "kernel_initializer", "bias_initializer", "l1", "l2", "alpha",
    )  # fmt: skip

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        dilation_rate: Sizes = 1,
        groups: int = 1,
        activation: str | ActivationSpec | None = None,
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        l1: float = 0.0,
        l2: float = 0.0,
        alpha: float = 0.0,
    ) -> None:
        super().__init__(
            filters, kernel_size, kernel_initializer, strides, padding, dilation_rate, activation, use_bias,
            bias_initializer, l1, l2, alpha,
        )  # fmt: skip
        self.groups = validate.integer("groups", groups, low=1)
        if self.filters % self.groups:
            raise ValueError(f"filters must be a multiple of groups={groups}, got {filters}")

    def weights_shape(self, channels: int) -> Shape:  # noqa: D102
        return (*self.kernel_size, channels // self.groups, self.filters)

    def windows_of(self, shape: Shape) -> list[windows.Axis]:  # noqa: D102
        found = super().windows_of(shape)
        if shape[-1] % self.groups:
            raise ValueError(
                f"{self.label}: the {shape[-1]} channels of an input of shape {shape} are no multiple of "
                f"groups={self.groups}"
            )
        return found

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        return (*(axis.output for axis in self.windows_of(inputs[0])), self.filters)

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        before = tuple(axis.before for axis in self.windows_of(x.shape))
        images = {"large": x.shape, "small": self.output_shape(x.shape)}
        return self._lower(
            graph, "layers.convolution.convolution", x, before=before, groups=self.groups, **images
        )


class Conv2D(_Grouped):
    """Convolution of images: a sum over a window of each position, for each filter.

    ``y[i, j, f] = activation(bias[f] + sum(x[i * s + a * d, j * s + b * d, c] * weights[a, b, c, f]))`` over
    a, b and c, where x is padded, s are the strides and d the dilation rates. (It is a correlation: the
    weights are not flipped.) Y. LeCun et al., *Gradient-based learning applied to document recognition*,
    1998.

    The input has shape (height, width, channels), the output (new height, new width, filters).

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size, strides : int or (int, int)
        Height and width of the window, and how far it moves.
    padding : {"valid", "same"}
        No padding, or with as many zeros that the output has ``ceil(size / stride)`` positions; of an odd
        number one more is below and on the right.
    dilation_rate : int or (int, int)
        Distance of neighbours in the window; not together with strides.
    groups : int
        Into how many groups channels and filters are divided, each filter seeing the channels of its group.
    activation : str or Activation, optional
        Name, or one of `fastnn.activations`; none if not given.
    use_bias : bool
    kernel_initializer, bias_initializer : str or Initializer
        Name, or one of `fastnn.initializers`.
    l1, l2, alpha : float, >= 0
        Penalties on the weights: see `Dense`.

    Raises
    ------
    TypeError, ValueError
        If a setting has the wrong type or is out of range, or a name is unknown; later, if the input does not
        fit.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> layer = fn.Conv2D(6, 5, padding="same", activation="relu")
    >>> layer(np.ones((2, 28, 28, 1))).shape
    (2, 28, 28, 6)
    >>> layer.weights.shape
    (5, 5, 1, 6)
    """

    kind = "conv2d"
    rank = 2


class Conv1D(_Grouped):
    """Convolution of series: a sum over a window of each time, for each filter.

    ``y[t, f] = activation(bias[f] + sum(x[t * stride + a * dilation, c] * weights[a, c, f]))`` over a and c,
    where x is padded. The input has shape (time, channels), the output (new time, filters).

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size, strides : int
        Length of the window, and how far it moves.
    padding : {"valid", "same", "causal"}
        See `Conv2D`; "causal" pads before the series only, so that no output depends on what comes later.
    dilation_rate, groups, activation, use_bias, kernel_initializer, bias_initializer, l1, l2, alpha
        See `Conv2D`.

    Raises
    ------
    TypeError, ValueError
        As `Conv2D` does.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> fn.Conv1D(4, 3, padding="causal", dilation_rate=2)(np.ones((2, 128, 8))).shape
    (2, 128, 4)
    """

    kind = "conv1d"
    rank = 1


class Conv2DTranspose(_Convolution):
    """Transposed convolution of images, which makes them larger: the transpose of `Conv2D` as a matrix.

    Each position of the input adds a window to the output: ``y[i * s + a * d, j * s + b * d, f]`` gets
    ``x[i, j, c] * weights[a, b, f, c]`` from all i, j, a, b and c; then padding is cut off, bias and
    activation follow. M. D. Zeiler et al., *Deconvolutional networks*, CVPR 2010.

    The input has shape (height, width, channels), the output (new height, new width, filters).

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size, strides : int or (int, int)
        Height and width of the window, and how far it moves in the output.
    padding : {"valid", "same"}
        "same" gives ``size * stride`` positions, "valid" ``(size - 1) * stride + kernel_size`` or more.
    output_padding : int or (int, int), optional
        Positions that the output has more than the least, each less than the stride.
    dilation_rate : int or (int, int)
        Distance of neighbours in the window; not together with strides.
    activation, use_bias, kernel_initializer, bias_initializer, l1, l2, alpha
        See `Conv2D`.

    Raises
    ------
    TypeError, ValueError
        If a setting has the wrong type or is out of range, or a name is unknown; later, if the input does not
        fit.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> layer = fn.Conv2DTranspose(3, 3, strides=2, padding="same")
    >>> layer(np.ones((2, 7, 7, 16))).shape
    (2, 14, 14, 3)
    >>> layer.weights.shape
    (3, 3, 3, 16)
    """

    kind = "conv2d_transpose"
    rank = 2
    settings = (
        "filters", "kernel_size", "strides", "padding", "output_padding", "dilation_rate", "activation",
        "use_bias", "kernel_initializer", "bias_initializer", "l1", "l2", "alpha",
    )  # fmt: skip

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        output_padding: Sizes | None = None,
        dilation_rate: Sizes = 1,
        activation: str | ActivationSpec | None = None,
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        l1: float = 0.0,
        l2: float = 0.0,
        alpha: float = 0.0,
    ) -> None:
        super().__init__(
            filters, kernel_size, kernel_initializer, strides, padding, dilation_rate, activation, use_bias,
            bias_initializer, l1, l2, alpha,
        )  # fmt: skip
        self.output_padding = (
            None if output_padding is None else _output_padding(output_padding, self.strides)
        )

    def weights_shape(self, channels: int) -> Shape:  # noqa: D102
        return (*self.kernel_size, self.filters, channels)

    def windows_of(self, shape: Shape) -> list[windows.Axis]:  # noqa: D102
        self.require_image(shape)
        more = self.output_padding or (None, None)
        found = [
            windows.transposed_windows(n, k, stride, d, self.padding, m)
            for n, k, stride, d, m in zip(
                shape[:-1], self.kernel_size, self.strides, self.dilation_rate, more, strict=True
            )
        ]
        if min(axis.output for axis in found) < 1:
            raise ValueError(
                f"{self.label}: nothing is left of an input of shape {shape}; use larger strides"
            )
        return found

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        return (*(axis.output for axis in self.windows_of(inputs[0])), self.filters)

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        before = tuple(axis.before for axis in self.windows_of(x.shape))
        images = {"large": self.output_shape(x.shape), "small": x.shape}
        return self._lower(graph, "layers.convolution.transposed", x, before=before, **images)


def _output_padding(value: Sizes, strides: Shape) -> Shape:
    """A number for each axis, each less than the stride there."""
    given = tuple(value) if isinstance(value, Sequence) else (value,) * len(strides)
    if len(given) != len(strides):
        raise ValueError(f"output_padding must be an integer or {len(strides)} integers, got {value!r}")
    result = tuple(validate.integer("output_padding", n, low=0) for n in given)
    if any(n >= stride for n, stride in zip(result, strides, strict=True)):
        raise ValueError(f"output_padding must be less than strides={strides}, got {value!r}")
    return result
