"""Windows that move over an image: sizes, and the arithmetic of padding, as Keras has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ..checks import hints, validate

PADDINGS = ("valid", "same", "causal")
_AXES = {1: "(time, channels)", 2: "(height, width, channels)"}
_RESHAPED = {1: "fn.Reshape((-1, channels))", 2: "fn.Reshape((height, width, channels))"}


def require_image(label: str, shape: tuple[int, ...], rank: int) -> None:
    """Raise a ValueError that names a layer unless its input has `rank` axes and one of channels."""
    if len(shape) != rank + 1:
        raise ValueError(
            f"{label} expects an input of shape {_AXES[rank]}, got {shape}; put {_RESHAPED[rank]} before it"
        )


def short(value: Any) -> Any:
    """The one number of a tuple of equal numbers; anything else as it is."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def sizes(name: str, value: Any, rank: int) -> tuple[int, ...]:
    """A size for each axis, from one for all or one each; all at least 1."""
    given = validate.shape(name, value)
    if not isinstance(value, Iterable):
        return given * rank
    if len(given) != rank:
        raise ValueError(f"{name} must be an integer or {rank} integers, got {value!r}")
    return given


def padding(value: Any, known: tuple[str, ...]) -> str:
    """A checked name of a way to pad."""
    if not isinstance(value, str):
        raise TypeError(f"padding must be {hints.listed(known)}, got {value!r}")
    if value.lower() not in known:
        validate.choice("padding", value, known)
    return value.lower()


class Axis(NamedTuple):
    """Windows along an axis.

    Attributes
    ----------
    output : int
        How many there are; less than 1 if the window is larger than the image.
    before : int
        Padding before the image.
    """

    output: int
    before: int


def windows(size: int, window: int, stride: int, dilation: int, padding: str) -> Axis:
    """The windows along an axis of `size`: "same" gives ``ceil(size / stride)``, with most padding behind."""
    extent = (window - 1) * dilation + 1
    if padding == "valid":
        return Axis((size - extent) // stride + 1, 0)
    if padding == "causal":
        return Axis((size - 1) // stride + 1, extent - 1)
    output = -(-size // stride)
    return Axis(output, max((output - 1) * stride + extent - size, 0) // 2)


def transposed_windows(
    size: int, window: int, stride: int, dilation: int, padding: str, output_padding: int | None
) -> Axis:
    """The output of a transposed convolution: its size, and how much is cut off before it."""
    extent = (window - 1) * dilation + 1
    if padding == "valid":
        more = max(stride - extent, 0) if output_padding is None else output_padding
        return Axis((size - 1) * stride + extent + more, 0)
    if output_padding is None:
        output, padded = size * stride, stride + extent - 2
    else:
        output = (size - 1) * stride + extent % 2 + output_padding
        padded = extent + extent % 2 - 2 + output_padding
    return Axis(output, extent - 1 - min(padded // 2 + padded % 2, extent - 1))
