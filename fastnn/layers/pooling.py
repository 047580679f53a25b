"""Pooling: the largest number or the mean of windows, or of all positions, for each channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..checks import shown, validate
from . import windows
from .base import Layer

if TYPE_CHECKING:
    from ..engine.graph import Graph
    from ..engine.ops import Shape, Tensor

    Sizes = int | Sequence[int]

MAX, AVERAGE = "layers.pooling.max_pooling", "layers.pooling.average_pooling"
# Numbers of a sample: how far the largest of a window lies behind its first one is exact in float32.
_LARGEST = 1 << 24


class _Pooling(Layer):
    """Base of layers that combine the numbers of each channel in windows."""

    rank: ClassVar[int]
    kernel: ClassVar[str]

    def _require_shape(self, shape: Shape) -> None:
        """Raise a ValueError unless an input has as many axes as it must, and is not too large."""
        windows.require_image(self.label, shape, self.rank)
        if self.kernel == MAX and math.prod(shape) > _LARGEST:
            raise ValueError(
                f"{self.label} takes samples of at most 2**24 numbers, got an input of shape {shape}"
            )

    def _lower(
        self, graph: Graph, x: Tensor, output: Shape, pool: Shape, strides: Shape, before: Shape
    ) -> Tensor:
        """Add the op; `output` is the number of windows along each axis."""
        *places, channels = x.shape
        sizes = (places, output, pool, strides, before)
        image, output, pool, strides, before = (
            (*(filler,) * (2 - self.rank), *given)
            for given, filler in zip(sizes, (1, 1, 1, 1, 0), strict=True)
        )
        n_out, is_max = math.prod(output) * channels, self.kernel == MAX
        return graph.op(
            self.kernel,
            [x],
            self.output_shape(x.shape),
            settings=(*image, channels, *output, *pool, *strides, *before),
            scratch_per_row=n_out if is_max else 0,
            shared_scratch=(2 if is_max else 1) * image[1] * channels,
        )


class WindowPooling(_Pooling):
    """Base of pooling of windows that move over the input."""

    def __init__(self, pool_size: Sizes = 2, strides: Sizes | None = None, padding: str = "valid") -> None:
        super().__init__()
        self.pool_size = windows.sizes("pool_size", pool_size, self.rank)
        self.strides = self.pool_size if strides is None else windows.sizes("strides", strides, self.rank)
        self.padding = windows.padding(padding, windows.PADDINGS[:2])

    def windows_of(self, shape: Shape) -> list[windows.Axis]:
        """The windows along each axis of an input; a ValueError if they do not fit."""
        self._require_shape(shape)
        found = [
            windows.windows(size, pool, stride, 1, self.padding)
            for size, pool, stride in zip(shape[:-1], self.pool_size, self.strides, strict=True)
        ]
        if min(axis.output for axis in found) < 1:
            raise ValueError(
                f"{self.label}: a window of {self.pool_size} is larger than an input of shape {shape}; "
                "use padding='same' or a smaller pool_size"
            )
        return found

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        return (*(axis.output for axis in self.windows_of(inputs[0])), inputs[0][-1])

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        found = self.windows_of(x.shape)
        output, before = (tuple(numbers) for numbers in zip(*found, strict=True))
        return self._lower(graph, x, output, self.pool_size, self.strides, before)

    def config(self) -> dict[str, Any]:  # noqa: D102
        sizes = {"pool_size": list(self.pool_size), "strides": list(self.strides)}
        return {"name": self.kind, **sizes, "padding": self.padding}

    def __repr__(self) -> str:
        strides = None if self.strides == self.pool_size else self.strides
        settings = {"strides": windows.short(strides), "padding": self.padding}
        return shown.call(
            type(self).__name__, (windows.short(self.pool_size),), shown.other(WindowPooling, settings)
        )


class MaxPooling2D(WindowPooling):
    """The largest number in each window of an image, channel by channel.

    Inputs of shape (n, height, width, channels) become (n, new height, new width, channels). Of several
    largest numbers in a window the first one gets the gradient, as in PyTorch and Keras.

    Parameters
    ----------
    pool_size : int or (int, int)
        Height and width of a window.
    strides : int or (int, int), optional
        Distance of two windows; `pool_size` if not given.
    padding : {"valid", "same"}
        "valid" takes only windows that lie in the image; "same" gives ``ceil(size / stride)`` of them, and
        what lies outside does not count.

    Raises
    ------
    TypeError, ValueError
        If a setting is not as described. When the model is built, if the input has other axes, or no window
        lies in it.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> fn.MaxPooling2D()(x)[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """

    kind, rank, kernel = "max_pooling_2d", 2, MAX


class MaxPooling1D(WindowPooling):
    """The largest number in each window of a sequence, channel by channel.

    Inputs of shape (n, time, channels) become (n, new time, channels). See `MaxPooling2D`.

    Parameters
    ----------
    pool_size : int
    strides : int, optional
        Distance of two windows; `pool_size` if not given.
    padding : {"valid", "same"}

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.MaxPooling1D(2)([[[1.0], [5.0], [3.0], [2.0]]])
    array([[[5.],
            [3.]]], dtype=float32)
    """

    kind, rank, kernel = "max_pooling_1d", 1, MAX


class AveragePooling2D(WindowPooling):
    """The mean of each window of an image, channel by channel.

    Inputs of shape (n, height, width, channels) become (n, new height, new width, channels). With "same" the
    mean is over what lies in the image, as in Keras; PyTorch counts padding as zeros unless told not to.

    Parameters
    ----------
    pool_size, strides, padding
        As for `MaxPooling2D`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> fn.AveragePooling2D()(x)[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)
    """

    kind, rank, kernel = "average_pooling_2d", 2, AVERAGE


class AveragePooling1D(WindowPooling):
    """The mean of each window of a sequence, channel by channel.

    Inputs of shape (n, time, channels) become (n, new time, channels). See `AveragePooling2D`.

    Parameters
    ----------
    pool_size, strides, padding
        As for `MaxPooling1D`.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.AveragePooling1D(2)([[[1.0], [5.0], [3.0], [2.0]]])
    array([[[3. ],
            [2.5]]], dtype=float32)
    """

    kind, rank, kernel = "average_pooling_1d", 1, AVERAGE


class GlobalPooling(_Pooling):
    """Base of pooling of all positions."""

    def __init__(self, keepdims: bool = False) -> None:
        super().__init__()
        self.keepdims = validate.boolean("keepdims", keepdims)

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        self._require_shape(inputs[0])
        return ((1,) * self.rank if self.keepdims else ()) + inputs[0][-1:]

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        ones = (1,) * self.rank
        return self._lower(graph, x, ones, x.shape[:-1], ones, (0,) * self.rank)

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind, "keepdims": self.keepdims}

    def __repr__(self) -> str:
        return shown.call(type(self).__name__, (), shown.other(GlobalPooling, {"keepdims": self.keepdims}))


class GlobalMaxPooling2D(GlobalPooling):
    """The largest number of each channel of an image: (n, height, width, channels) to (n, channels).

    Parameters
    ----------
    keepdims : bool
        Whether the output has shape (n, 1, 1, channels).

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> fn.GlobalMaxPooling2D()(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[6., 7.]], dtype=float32)
    """

    kind, rank, kernel = "global_max_pooling_2d", 2, MAX


class GlobalMaxPooling1D(GlobalPooling):
    """The largest number of each channel of a sequence: (n, time, channels) to (n, channels).

    Parameters
    ----------
    keepdims : bool
        Whether the output has shape (n, 1, channels).
    """

    kind, rank, kernel = "global_max_pooling_1d", 1, MAX


class GlobalAveragePooling2D(GlobalPooling):
    """The mean of each channel of an image: (n, height, width, channels) to (n, channels).

    Parameters
    ----------
    keepdims : bool
        Whether the output has shape (n, 1, 1, channels).

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> fn.GlobalAveragePooling2D()(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[3., 4.]], dtype=float32)
    """

    kind, rank, kernel = "global_average_pooling_2d", 2, AVERAGE


class GlobalAveragePooling1D(GlobalPooling):
    """The mean of each channel of a sequence: (n, time, channels) to (n, channels).

    Parameters
    ----------
    keepdims : bool
        Whether the output has shape (n, 1, channels).
    """

    kind, rank, kernel = "global_average_pooling_1d", 1, AVERAGE
