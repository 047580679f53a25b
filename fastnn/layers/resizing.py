"""Images and sequences made larger or smaller without weights: `UpSampling2D`, `ZeroPadding2D`, ..."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..checks import shown, validate
from . import windows
from .base import Layer

if TYPE_CHECKING:
    from ..engine.graph import Graph
    from ..engine.ops import Shape, Tensor

    Sizes = int | Sequence[int]
    Borders = int | Sequence[int] | Sequence[Sequence[int]]


class _Resizing(Layer):
    """Base of layers that change the size of an image."""

    rank: ClassVar[int]
    kernel: ClassVar[str]

    def sizes_of(self, image: Shape) -> Shape:
        """Height and width of the output, or its length."""
        raise NotImplementedError

    def numbers(self) -> Shape:
        """The settings of the op, for each axis."""
        raise NotImplementedError

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        (shape,) = inputs
        windows.require_image(self.label, shape, self.rank)
        return (*self.sizes_of(shape[:-1]), shape[-1])

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        shape, numbers = self.output_shape(x.shape), self.numbers()
        before, after = x.shape, shape[:-1]
        if self.rank == 1:  # a sequence is an image of height 1
            before, after, numbers = (1, *before), (1, *after), (self._of_one_row, *numbers)
        return graph.op(self.op_kernel(), [x], shape, settings=(*before, *after, *numbers))

    def op_kernel(self) -> str:
        """What computes the output."""
        return self.kernel

    _of_one_row: ClassVar[int] = 0  # the setting of an axis of size 1


class UpSampling(_Resizing):
    """Base of layers that enlarge images or sequences by whole factors."""

    kernel = "layers.resizing.upsampling"
    _of_one_row = 1

    def __init__(self, size: Sizes = 2) -> None:
        super().__init__()
        self.size = windows.sizes("size", size, self.rank)

    def sizes_of(self, image: Shape) -> Shape:  # noqa: D102
        return tuple([n * factor for n, factor in zip(image, self.size, strict=True)])

    def numbers(self) -> Shape:  # noqa: D102
        return self.size

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind, "size": list(self.size)}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({windows.short(self.size)!r})"


#: The ways to make an image larger, and what computes each.
INTERPOLATIONS = {"nearest": "layers.resizing.upsampling", "bilinear": "layers.resizing.bilinear"}


class UpSampling2D(UpSampling):
    """Enlarge an image by whole factors: (n, height, width, channels) to (n, height * size, ...).

    As Keras's layer, and PyTorch's ``Upsample(mode="nearest")`` and ``Upsample(mode="bilinear")``.

    Parameters
    ----------
    size : int or (int, int)
        Factors of the height and the width.
    interpolation : {"nearest", "bilinear"}
        "nearest" repeats each pixel. With "bilinear" a new pixel is a weighted mean of the four whose centres
        lie around its own: along an axis with the factor f, new pixel i lies at ``(i + 0.5) / f - 0.5`` of
        the old ones, and the image is constant beyond the outermost of these (half-pixel centres, as in Keras
        and in PyTorch with ``align_corners=False``). Keras's other ways are not supported.

    Raises
    ------
    TypeError, ValueError
        If a setting is not as described.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.UpSampling2D((1, 2))([[[[1.0], [2.0]]]]).tolist()
    [[[[1.0], [1.0], [2.0], [2.0]]]]
    >>> fn.UpSampling2D((1, 2), interpolation="bilinear")([[[[1.0], [2.0]]]]).tolist()
    [[[[1.0], [1.25], [1.75], [2.0]]]]
    """

    kind, rank = "up_sampling_2d", 2

    def __init__(self, size: Sizes = 2, interpolation: str = "nearest") -> None:
        super().__init__(size)
        self.interpolation = validate.choice("interpolation", interpolation, INTERPOLATIONS)

    def op_kernel(self) -> str:  # noqa: D102
        return INTERPOLATIONS[self.interpolation]

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {**super().config(), "interpolation": self.interpolation}

    def __repr__(self) -> str:
        settings = {} if self.interpolation == "nearest" else {"interpolation": self.interpolation}
        return shown.call(type(self).__name__, (windows.short(self.size),), settings)


class UpSampling1D(UpSampling):
    """Repeat each step of a sequence: (n, time, channels) to (n, time * size, channels).

    Parameters
    ----------
    size : int

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.UpSampling1D(2)([[[1.0], [2.0]]]).tolist()
    [[[1.0], [1.0], [2.0], [2.0]]]
    """

    kind, rank = "up_sampling_1d", 1


class Bordered(_Resizing):
    """Base of layers that add a border, or cut it off."""

    #: What the argument is called.
    argument: ClassVar[str]

    def _borders(self, value: Any) -> tuple[tuple[int, int], ...]:
        """Numbers before and after, for each axis, from one for all, one each, or two each."""
        name = self.argument
        given = [value] * self.rank if isinstance(value, int) else value
        wanted = f"{name} must be an integer, {self.rank} integers or {self.rank} pairs of integers"
        if self.rank == 1:
            given = [value]
            wanted = f"{name} must be an integer or two integers"
        if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != self.rank:
            raise ValueError(f"{wanted}, got {value!r}")
        pairs = [(each, each) if not isinstance(each, Sequence) else tuple(each) for each in given]
        if any(len(pair) != 2 for pair in pairs):
            raise ValueError(f"{wanted}, got {value!r}")
        return tuple([(validate.integer(name, a, low=0), validate.integer(name, b, low=0)) for a, b in pairs])

    @property
    def borders(self) -> tuple[tuple[int, int], ...]:
        """Numbers before and after, for each axis."""
        found: tuple[tuple[int, int], ...] = getattr(self, self.argument)
        return found

    def numbers(self) -> Shape:  # noqa: D102
        return tuple([before for before, _ in self.borders])

    def config(self) -> dict[str, Any]:  # noqa: D102
        pairs = [list(pair) for pair in self.borders]
        return {"name": self.kind, self.argument: pairs if self.rank > 1 else pairs[0]}

    def __repr__(self) -> str:
        short = tuple([a if a == b else (a, b) for a, b in self.borders])
        value = short[0] if len(set(short)) == 1 and (self.rank == 1 or self._is_one(short[0])) else short
        return shown.call(type(self).__name__, (value,), {})

    @staticmethod
    def _is_one(value: Any) -> bool:
        return not isinstance(value, tuple)


class ZeroPadding(Bordered):
    """Base of layers that add zeros."""

    argument, kernel = "padding", "layers.resizing.padding"

    def __init__(self, padding: Borders = 1) -> None:
        super().__init__()
        self.padding = self._borders(padding)

    def sizes_of(self, image: Shape) -> Shape:  # noqa: D102
        return tuple([n + sum(pair) for n, pair in zip(image, self.padding, strict=True)])


class ZeroPadding2D(ZeroPadding):
    """Add rows and columns of zeros around an image.

    Parameters
    ----------
    padding : int, (int, int) or ((int, int), (int, int))
        How many on each side; above and below, and left and right; or ((above, below), (left, right)).

    Raises
    ------
    TypeError, ValueError
        If it is not as described.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.ZeroPadding2D(((0, 0), (1, 2)))([[[[5.0]]]]).ravel().tolist()
    [0.0, 5.0, 0.0, 0.0]
    """

    kind, rank = "zero_padding_2d", 2


class ZeroPadding1D(ZeroPadding):
    """Add zeros before and after a sequence.

    Parameters
    ----------
    padding : int or (int, int)
        How many steps before and after.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.ZeroPadding1D((2, 0))([[[5.0]]]).ravel().tolist()
    [0.0, 0.0, 5.0]
    """

    kind, rank = "zero_padding_1d", 1


class Cropping(Bordered):
    """Base of layers that cut something off."""

    argument, kernel = "cropping", "layers.resizing.cropping"

    def __init__(self, cropping: Borders = 1) -> None:
        super().__init__()
        self.cropping = self._borders(cropping)

    def sizes_of(self, image: Shape) -> Shape:  # noqa: D102
        result = tuple([n - sum(pair) for n, pair in zip(image, self.cropping, strict=True)])
        if min(result) < 1:
            raise ValueError(f"{self.label} leaves nothing of an image of size {image}")
        return result


class Cropping2D(Cropping):
    """Cut rows and columns off an image.

    Parameters
    ----------
    cropping : int, (int, int) or ((int, int), (int, int))
        How many, as for `ZeroPadding2D`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> fn.Cropping2D(((0, 1), (1, 0)))(np.arange(4.0).reshape(1, 2, 2, 1)).ravel().tolist()
    [1.0]
    """

    kind, rank = "cropping_2d", 2


class Cropping1D(Cropping):
    """Cut steps off a sequence.

    Parameters
    ----------
    cropping : int or (int, int)
        How many steps before and after.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.Cropping1D((1, 0))([[[1.0], [2.0]]]).ravel().tolist()
    [2.0]
    """

    kind, rank = "cropping_1d", 1
