"""Base of convolutions: settings, bias, the windows over an image, and the op."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .. import activations, initializers
from ..checks import shown, validate
from . import windows
from .base import Layer
from .parameter import Parameter

if TYPE_CHECKING:
    from ..activations import Activation as ActivationSpec
    from ..engine.graph import Graph
    from ..engine.ops import Shape, Tensor
    from ..initializers import Initializer

    Sizes = int | Sequence[int]

# Of `kernels.layers.convolution`: positions that are computed at a time where windows are added up, and least
# numbers that are added at a time; most numbers of a vector.
_BLOCK, SUMMED, _LANES = 16, 128, 16
#: Numbers of a cache line, at whose beginning images lie.
LINE = 16


class Windowed(Layer):
    """Base of layers that compute something of a window around each position, and then add a bias.

    `settings` are the parameters of ``__init__``, in their order; the first `positional` are shown without
    names.
    """

    rank: ClassVar[int]
    settings: ClassVar[tuple[str, ...]]
    positional: ClassVar[int] = 2

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes,
        padding: str,
        dilation_rate: Sizes,
        activation: str | ActivationSpec | None,
        use_bias: bool,
        bias_initializer: str | Initializer,
        l1: float,
        l2: float,
        alpha: float,
    ) -> None:
        super().__init__()
        self.kernel_size = windows.sizes("kernel_size", kernel_size, self.rank)
        self.strides = windows.sizes("strides", strides, self.rank)
        self.padding = windows.padding(padding, windows.PADDINGS if self.rank == 1 else windows.PADDINGS[:2])
        self.dilation_rate = windows.sizes("dilation_rate", dilation_rate, self.rank)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"strides > 1 cannot be combined with dilation_rate > 1, got strides={strides!r} and "
                f"dilation_rate={dilation_rate!r}"
            )
        self.activation = activations.get(activation)
        self.use_bias = validate.boolean("use_bias", use_bias)
        self.bias_initializer = initializers.get(bias_initializer)
        self.l1 = validate.number("l1", l1, low=0.0)
        self.l2 = validate.number("l2", l2, low=0.0)
        self.alpha = validate.number("alpha", alpha, low=0.0)

    bias = Parameter("Bias, of shape (channels of the output,).", only_with="use_bias")

    @property
    def has_parameters(self) -> bool:  # noqa: D102
        return True

    def penalties(self) -> tuple[float, float, float]:  # noqa: D102
        return (self.l1, self.l2, self.alpha)

    def require_image(self, shape: Shape) -> None:
        """Raise a ValueError unless an input has as many axes as it must."""
        windows.require_image(self.label, shape, self.rank)

    def windows_of(self, shape: Shape) -> list[windows.Axis]:
        """The windows over an image along each axis; a ValueError if they do not fit."""
        self.require_image(shape)
        found = [
            windows.windows(*sizes, self.padding)
            for sizes in zip(shape[:-1], self.kernel_size, self.strides, self.dilation_rate, strict=True)
        ]
        if min(axis.output for axis in found) < 1:
            dilated = f" with dilation_rate {self.dilation_rate}" if max(self.dilation_rate) > 1 else ""
            raise ValueError(
                f"{self.label}: a kernel of size {self.kernel_size}{dilated} is larger than an input of "
                f"shape {shape}; use padding='same' or a smaller kernel_size"
            )
        return found

    def config(self) -> dict[str, Any]:  # noqa: D102
        values = {name: getattr(self, name) for name in self.settings}
        for name, value in values.items():
            if isinstance(value, tuple):
                values[name] = list(value)
            elif hasattr(value, "config"):
                values[name] = value.config()
        return {"name": self.kind, **values}

    def __repr__(self) -> str:
        values = {name: windows.short(getattr(self, name)) for name in self.settings}
        first = tuple(values.pop(name) for name in self.settings[: self.positional])
        return shown.call(type(self).__name__, first, shown.other(type(self), values))


def add_op(
    graph: Graph,
    kernel: str,
    x: Tensor,
    shape: Shape,
    names: tuple[str, str | None],
    *,
    large: Shape,
    small: Shape,
    window: Shape = (1, 1),
    strides: Shape = (1, 1),
    dilation: Shape = (1, 1),
    before: Shape = (0, 0),
    groups: int = 1,
) -> Tensor:
    """Add the op of a convolution, from a large image to a small one, or of its transpose.

    Parameters
    ----------
    kernel : str
    x : Tensor
        The input.
    shape : tuple of int
        Of the output.
    names : (str, str or None)
        Of weights and bias.
    large, small : tuple of int
        Shapes of the images.
    window, strides, dilation, before : tuple of int
        Of the kernel, by axis; padding before the image.
    groups : int
    """
    if len(large) == 2:  # a series is an image of height 1
        large, small, before = (1, *large), (1, *small), (0, *before)
        window, strides, dilation = (1, *window), (1, *strides), (1, *dilation)
    taps, places, filters = math.prod(window) * large[-1] // groups, math.prod(small[:-1]), small[-1]
    extents = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    padded = [
        max((n - 1) * stride + extent, start + size)
        for n, stride, extent, start, size in zip(small[:2], strides, extents, before, large[:2], strict=True)
    ]
    image = math.prod(padded) * large[-1]
    turned = math.prod(n + extent for n, extent in zip(large[:2], extents, strict=True)) * filters
    return graph.op(
        kernel,
        [x],
        shape,
        parameters=names,
        settings=(large[1], large[2], *window, *strides, *dilation, *before, small[1], filters, groups),
        product="linalg.indirect.product",
        multiplications=places * taps * filters,
        shared_scratch=LINE
        + max(
            image + places + _weights(window, strides, large[-1] // groups, filters),
            image + places + _BLOCK + filters + taps * (1 + filters + _BLOCK),
            turned
            + math.prod(large[:2])
            + taps * filters
            + _weights(window, (1, 1), filters // groups, large[-1]),
            SUMMED,
        ),
    )


def _weights(window: Shape, strides: Shape, channels: int, filters: int) -> int:
    """Most numbers that the weights and the table of taps have where neighbours are computed together."""
    neighbours = max(_LANES // filters, 1)
    taps = window[0] * (window[1] + (neighbours - 1) * strides[1]) * channels
    return taps * (1 + neighbours * filters) + neighbours * filters
