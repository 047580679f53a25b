"""Pooling, padding and enlargement of images and series with channels, as layers with their channels last."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..layers import pooling, resizing
from . import _sums
from ._import_windows import Windows
from ._layout import BATCH
from ._steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ..layers.base import Layer
    from ._call import Call
    from ._rows import Rows

_POOLS: dict[tuple[bool, int], Any] = {
    (True, 1): pooling.AveragePooling1D,
    (True, 2): pooling.AveragePooling2D,
    (False, 1): pooling.MaxPooling1D,
    (False, 2): pooling.MaxPooling2D,
}
_GLOBAL: dict[tuple[bool, int], Any] = {
    (True, 1): pooling.GlobalAveragePooling1D,
    (True, 2): pooling.GlobalAveragePooling2D,
    (False, 1): pooling.GlobalMaxPooling1D,
    (False, 2): pooling.GlobalMaxPooling2D,
}
_SMALL = 1 << 14  # numbers of a matrix that is taken in place of a layer
# How Resize computes coordinates where it interpolates.
_HALF_PIXELS = ("half_pixel", "pytorch_half_pixel")
_MODES = ("constant", "edge", "reflect", "wrap")  # of padding
# How Resize and Upsample repeat places, if they do: its ways to compute coordinates and to round them.
_REPEATS = {
    ("asymmetric", "floor"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
    ("pytorch_half_pixel", "round_prefer_floor"),
    ("tf_half_pixel_for_nn", "floor"),
}


def over_image(
    call: Call,
    x: Rows,
    order: Sequence[int],
    make: Callable[..., Layer],
    sizes: Sequence[Any],
    **settings: Any,
) -> Rows:
    """A layer without an activation; the axes of a tensor in this order are those of the layer's samples."""
    shape = tuple(x.sizes[axis] for axis in order)
    gives = tuple(sizes[axis] for axis in order)
    made = Step(
        math.prod(gives), make=make, takes=shape, images=True, trained=True, **{"gives": gives, **settings}
    )
    return call.assembly.layer(x, order, made, sizes)


def padded(call: Call, x: Rows, order: Sequence[int], widths: Sequence[tuple[int, int]]) -> Rows:
    """Zeros around the axes but the last of this order."""
    sizes = list(x.sizes)
    for axis, width in zip(order, widths, strict=False):
        sizes[axis] += sum(width)
    if len(widths) == 1:
        return over_image(call, x, order, lambda: resizing.ZeroPadding1D(widths[0]), sizes)
    return over_image(call, x, order, lambda: resizing.ZeroPadding2D(tuple(widths)), sizes)


def pool(call: Call, *, mean: bool) -> Rows:
    """The mean or the largest number of windows."""
    x, kernel = call.x, call.attributes["kernel_shape"]
    found = Windows.of(call, x, kernel)
    rank, borders = len(kernel), list(zip(found.before, found.after, strict=True))
    if call.part or call.parts > 1 or call.attributes.get("storage_order"):
        raise ValueError("places of the largest numbers are asked for")
    if rank > 2 or max(found.dilations) > 1:
        if mean:
            return _sums.pooled(call)
        raise ValueError(f"its windows have {rank} axes, and dilations {found.dilations}")
    order, padding = [*range(2, len(x.sizes)), 1], found.padding()
    whole = mean and call.attributes.get("count_include_pad") and any(map(any, borders))
    if padding not in ("valid", "same") or whole:
        # Zeros do as well as nothing where the largest number is wanted and none is negative.
        if call.attributes.get("ceil_mode") or not (whole or (not mean and x.step.is_positive)):
            raise ValueError(f"it is padded by {found.before} and {found.after}")
        x, padding = padded(call, x, order, borders), "valid"
    layer = _POOLS[mean, rank]
    sizes = [BATCH, x.sizes[1], *found.outputs]
    return over_image(call, x, order, lambda: layer(found.kernel, found.strides, padding), sizes)


def whole_pool(call: Call, *, mean: bool) -> Rows:
    """The mean or the largest number of each channel."""
    x = call.x
    rank = len(x.sizes) - 2
    if rank < 1 or x.sizes[0] != BATCH:
        raise ValueError(f"it has no axes behind channels: {list(x.sizes)}")
    if rank > 2:
        if mean:
            return _sums.whole_pool(call)
        raise ValueError(f"its images have {rank} axes")
    return _global(call, x, list(range(2, len(x.sizes))), 1, mean=mean, keep=True)


def _global(call: Call, x: Rows, over: list[int], channels: int, *, mean: bool, keep: Any) -> Rows:
    layer = _GLOBAL[mean, len(over)]
    kept = [1 if axis in over else size for axis, size in enumerate(x.sizes)]
    y = over_image(call, x, [*over, channels], lambda: layer(), kept, gives=(x.sizes[channels],))
    if keep:
        return y
    return call.assembly.moved(y, lambda own: own.without(over))


def reduced(call: Call, *, mean: bool) -> Rows:
    """The mean or the largest number along axes: of images by a layer."""
    x = call.x
    axes = call.option("axes", 1)
    over = sorted({x.layout.axis(axis) for axis in axes or []})
    others = [axis for axis, size in enumerate(x.sizes) if axis not in over and size != BATCH]
    fits = len(others) == 1 and len(over) in (1, 2) and BATCH in x.sizes
    large = x.map.n_out * x.sizes[others[0]] > _SMALL if fits else False
    if fits and (x.step.has_axes or large or not mean):
        keep = call.attributes.get("keepdims", 1)
        return _global(call, x, over, others[0], mean=mean, keep=keep)
    if not mean:
        raise ValueError(f"it reduces axes {axes} of {list(x.sizes)}")
    return _sums.reduced(call, mean=True)


def pad(call: Call) -> Rows:
    """Zeros around images, by a layer; other padding by a product. Negative padding cuts off."""
    x, value = call.x, call.attributes.get("value", 0.0) if call.input(2) is None else call.constant(2).item()
    widths, mode = _pads(call, x), call.attributes.get("mode", "constant")
    sizes = [size + sum(pair) for size, pair in zip(x.layout.array.shape, widths, strict=True)]
    wide = [axis for axis, pair in enumerate(widths) if any(pair)]
    largest = max(max(pair) for pair in widths)
    if mode not in _MODES or x.layout.batch in wide or min(sizes) < 1 or largest > 1 << 20:
        raise ValueError(f"it adds places {widths} around axes of sizes {list(x.sizes)}")
    if min(min(pair) for pair in widths) < 0:
        x = call.assembly.moved(x, lambda own: own.moved(_cut(own.array, widths)))
        widths = [(max(before, 0), max(after, 0)) for before, after in widths]
        wide = [axis for axis in wide if any(widths[axis])]
    if not wide:
        return x
    order, large = _order(x, wide), x.map.n_out * x.map.n_out > _SMALL
    if mode == "constant" and value == 0 and order is not None and (x.step.has_axes or large):
        return padded(call, x, order, [widths[axis] for axis in order[:-1]])
    return _sums.pad(call, x, widths, mode, float(value))


def _pads(call: Call, x: Rows) -> list[tuple[int, int]]:
    """How much is added around each axis."""
    pads = call.attributes.get("paddings") or call.option("pads", 1) or []
    axes, rank = call.option("axes", 3), len(x.sizes)
    axes = list(range(rank)) if axes is None else [x.layout.axis(axis) for axis in axes]
    widths = [(0, 0)] * rank
    for place, axis in enumerate(axes):
        widths[axis] = int(pads[place]), int(pads[place + len(axes)])
    return widths


def _cut(array: NDArray[Any], widths: Sequence[tuple[int, int]]) -> NDArray[Any]:
    """Without what negative padding takes away."""
    pairs = zip(array.shape, widths, strict=True)
    return array[tuple([slice(max(-before, 0), size - max(-after, 0)) for size, (before, after) in pairs])]


def _order(x: Rows, changed: list[int]) -> list[int] | None:
    """The order of the axes with the channels last, if only others change; None if there is none."""
    if x.sizes[0] != BATCH or len(x.sizes) not in (3, 4):
        return None
    first, last = [*range(2, len(x.sizes)), 1], list(range(1, len(x.sizes)))
    orders = [first, last] if x.step.images else [last, first]
    return next((order for order in orders if not {*changed} - {*order[:-1]}), None)


def resize(call: Call) -> Rows:
    """Places repeated along the axes of images, or interpolated between."""
    x, options = call.x, call.attributes
    rank = len(x.sizes)
    factors = _factors(call, x)
    ways = options.get("coordinate_transformation_mode", "asymmetric"), options.get("nearest_mode", "floor")
    changed = [axis for axis, factor in enumerate(factors) if factor != 1]
    if not changed:
        return x
    order = _order(x, changed)
    two = ways == ("asymmetric", "round_prefer_floor") and set(factors) <= {1, 2}
    mode = options.get("mode", "nearest")
    interpolates = mode == "linear" and ways[0] in _HALF_PIXELS and rank == 4
    if not (interpolates or (mode == "nearest" and (ways in _REPEATS or two))):
        raise ValueError(f"it is of mode {mode}, {ways[0]}, {ways[1]}")
    if len(factors) != rank or order is None or any(factor % 1 or factor < 1 for factor in factors):
        raise ValueError(f"it makes images of {list(x.sizes)} larger by {factors}")
    size = tuple(int(factors[axis]) for axis in order[:-1])
    sizes = [n if n == BATCH else n * int(factor) for n, factor in zip(x.sizes, factors, strict=True)]
    if len(size) == 1:
        return over_image(call, x, order, lambda: resizing.UpSampling1D(size), sizes)
    interpolation = "bilinear" if interpolates else "nearest"
    return over_image(call, x, order, lambda: resizing.UpSampling2D(size, interpolation), sizes)


def _factors(call: Call, x: Rows) -> list[float]:
    """How much larger each axis becomes."""
    if call.input(3) is not None:
        sizes = call.constant(3).tolist()
        if len(sizes) != len(x.sizes) or call.attributes.get("axes"):
            raise ValueError(f"it makes {sizes} of {list(x.sizes)}")
        samples = (BATCH, x.samples)
        pairs = zip(sizes, x.sizes, strict=True)
        return [1 if own == BATCH and size in samples else size / own for size, own in pairs]
    place = 2 if call.opset > 10 else 1
    scales = call.attributes.get("scales") if call.input(place) is None else call.constant(place).tolist()
    if not scales or len(scales) != len(x.sizes) or call.attributes.get("axes"):
        raise ValueError(f"its scales are {scales}")
    return [float(scale) for scale in scales]
