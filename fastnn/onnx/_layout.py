"""How the values of a tensor are laid out, and how operators that only move values change that.

A layout is an array: of the values themselves if they are constants, else of the column indices of a row,
with an axis of size 1 for the samples. So an operator that moves values is the same NumPy function for
both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Stands for the number of samples among the sizes of axes.
BATCH = "samples"


@dataclass(frozen=True, eq=False)
class Layout:
    """An array, the axis of the samples if it has one, and how many there are if that is fixed."""

    array: NDArray[Any]
    batch: int | None = None
    samples: int | None = None

    @property
    def sizes(self) -> list[Any]:
        """Of the axes, with `BATCH` for that of the samples."""
        return [BATCH if axis == self.batch else size for axis, size in enumerate(self.array.shape)]

    def axis(self, axis: int, *, ndim: int | None = None) -> int:
        """An axis, as an index >= 0, that is not that of the samples."""
        rank = self.array.ndim if ndim is None else ndim
        if not -rank <= axis < rank:
            raise ValueError(f"it has no axis {axis}")
        if ndim is None and axis % rank == self.batch:
            raise ValueError(f"axis {axis} is that of the samples")
        return axis % rank

    def ordered(self, axes: Sequence[int]) -> Layout:
        """The axes but that of the samples in this order, behind that of the samples."""
        return transposed(self, [*([] if self.batch is None else [self.batch]), *axes])

    def without(self, axes: Sequence[int]) -> Layout:
        """Without some axes of size 1."""
        return squeezed(self, axes)

    def moved(self, array: NDArray[Any], batch: int | None = None) -> Layout:
        """The same samples in another array, at the same axis if none is given."""
        return Layout(array, self.batch if batch is None else batch, self.samples)


def transposed(x: Layout, perm: Sequence[int] | None = None) -> Layout:
    """Axes in another order, the reverse if none is given."""
    axes = list(perm) if perm else list(range(x.array.ndim))[::-1]
    if sorted(axes) != list(range(x.array.ndim)):
        raise ValueError(f"it orders the axes {axes} of {x.array.ndim}")
    return x.moved(x.array.transpose(axes), None if x.batch is None else axes.index(x.batch))


def taken(x: Layout, index: NDArray[np.int64], axis: int) -> Layout:
    """Elements along an axis; the axis is removed if `index` is a number."""
    axis = x.axis(axis)
    if index.size and not (-x.array.shape[axis] <= index.min() <= index.max() < x.array.shape[axis]):
        raise ValueError(f"it takes places that axis {axis} does not have")
    batch = x.batch
    if batch is not None and batch > axis:
        batch += index.ndim - 1
    return x.moved(np.take(x.array, index, axis), batch)


def sliced(
    x: Layout, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int] | None, steps: Any
) -> Layout:
    """Slices along some axes, with a start, an end and a step."""
    axes = list(range(len(starts))) if axes is None else list(axes)
    steps = [1] * len(starts) if steps is None else list(steps)
    slices = [slice(None)] * x.array.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not -x.array.ndim <= axis < x.array.ndim or step == 0:
            raise ValueError(f"it slices axis {axis} in steps of {step}")
        axis %= x.array.ndim
        if axis == x.batch:
            if start == 0 and end > 2**30 and step == 1:
                continue
            raise ValueError(f"axis {axis} is that of the samples")
        size = x.array.shape[axis]
        slices[axis] = slice(start, None if step < 0 and end < -size else end, step)
    return x.moved(x.array[tuple(slices)])


def unsqueezed(x: Layout, axes: Sequence[int]) -> Layout:
    """New axes of size 1."""
    rank = x.array.ndim + len(axes)
    places = sorted(x.axis(axis, ndim=rank) for axis in axes)
    if len(set(places)) < len(places):
        raise ValueError(f"it makes an axis twice: {list(axes)}")
    batch = x.batch
    for place in places:
        batch = batch + 1 if batch is not None and batch >= place else batch
    return x.moved(np.expand_dims(x.array, tuple(places)), batch)


def squeezed(x: Layout, axes: Sequence[int] | None) -> Layout:
    """Without some axes of size 1; without all, if none are given."""
    if axes is None:
        if x.batch is not None and x.samples in (None, 1):
            raise ValueError("it might take away the axis of the samples")
        axes = [axis for axis, size in enumerate(x.array.shape) if size == 1 and axis != x.batch]
    places = {x.axis(axis) for axis in axes}
    if any(x.array.shape[place] != 1 for place in places):
        raise ValueError(f"it takes away axes {sorted(places)} of {x.sizes}")
    batch = None if x.batch is None else x.batch - sum(place < x.batch for place in places)
    return x.moved(np.squeeze(x.array, tuple(places)), batch)


def reshaped(x: Layout, sizes: Sequence[Any], *, keep_zeros: bool = False) -> Layout:
    """Other sizes of the axes; the samples must stay what they are."""
    own = x.sizes
    wanted = [
        own[i] if size == 0 and not keep_zeros and i < len(own) else size for i, size in enumerate(sizes)
    ]
    numbers = x.array.size
    what = f"it does not only flatten: it makes shape {list(sizes)} of {own}"
    batch = None
    if x.batch is not None:
        batch = _batch_axis(wanted, numbers, x.samples)
        if batch is None and x.samples == 1 and math.prod(wanted) == numbers:
            return Layout(x.array.reshape(wanted), None, 1)  # of the single sample, without an axis for it
        if batch is None:
            raise ValueError(what)
        wanted[batch] = 1
    if BATCH in wanted or wanted.count(-1) > 1 or any(size < -1 for size in wanted):
        raise ValueError(what)
    known = math.prod(size for size in wanted if size != -1)
    if -1 in wanted and known and numbers % known == 0:
        wanted[wanted.index(-1)] = numbers // known
    ahead = math.prod(x.array.shape[: x.batch])
    if math.prod(wanted) != numbers or (batch is not None and math.prod(wanted[:batch]) != ahead):
        raise ValueError(what)
    return x.moved(x.array.reshape(wanted), batch)


def _batch_axis(sizes: Sequence[Any], numbers: int, samples: int | None) -> int | None:
    """Which of the new axes is that of the samples, given the number of values of a row."""
    if BATCH in sizes:
        return sizes.index(BATCH) if sizes.count(BATCH) == 1 else None
    if -1 in sizes and math.prod(size for size in sizes if size != -1) == numbers:
        return sizes.index(-1)
    first = next((i for i, size in enumerate(sizes) if size != 1), 0)
    for axis in (0, first):
        if sizes and samples is not None and sizes[axis] == samples:
            return axis
    return None


def flattened(x: Layout, axis: int) -> Layout:
    """Two axes: all before one, and all from it on."""
    rank = x.array.ndim
    if not -rank <= axis <= rank:
        raise ValueError(f"it has no axis {axis}")
    axis = axis + rank if axis < 0 else axis
    if axis == x.batch == 0 and x.samples == 1:
        axis = 1  # a single sample becomes a single row either way
    left, right = x.array.shape[:axis], x.array.shape[axis:]
    if x.batch is not None and (axis <= x.batch or math.prod(left) != 1):
        raise ValueError(f"it flattens from axis {axis} of {x.sizes} on, not rows")
    return x.moved(x.array.reshape(math.prod(left), math.prod(right)), None if x.batch is None else 0)


def concatenated(parts: Sequence[Layout], axis: int) -> Layout:
    """Several along an axis."""
    first = parts[0]
    axis = first.axis(axis)
    if any(part.batch != first.batch or part.array.ndim != first.array.ndim for part in parts):
        raise ValueError("it joins tensors of different axes")
    try:
        return first.moved(np.concatenate([part.array for part in parts], axis))
    except ValueError:
        raise ValueError(f"it joins tensors of shapes {[part.sizes for part in parts]}") from None


def split(x: Layout, sizes: Sequence[int], axis: int, part: int) -> Layout:
    """One of several parts along an axis."""
    axis = x.axis(axis)
    if sum(sizes) != x.array.shape[axis] or min(sizes) < 0:
        raise ValueError(f"it splits axis {axis} of {x.sizes} into {list(sizes)}")
    start = sum(sizes[:part])
    return taken(x, np.arange(start, start + sizes[part]), axis)


def broadcast(x: Layout, sizes: Sequence[Any]) -> Layout:
    """Repeated along axes of size 1, as NumPy does, to sizes among which `BATCH` may be."""
    lead = len(sizes) - x.array.ndim
    array = x.array.reshape((1,) * lead + x.array.shape)
    batch = None if x.batch is None else x.batch + lead
    wanted = [1 if size == BATCH else size for size in sizes]
    if batch is not None and sizes[batch] != BATCH:
        raise ValueError(f"samples become axis {batch} of {list(sizes)}")
    try:
        return x.moved(np.broadcast_to(array, wanted), batch)
    except ValueError:
        raise ValueError(f"{x.sizes} does not fit {list(sizes)}") from None


def common(parts: Sequence[Layout]) -> list[Any]:
    """The common sizes of several tensors by NumPy's broadcasting rules."""
    rank = max(part.array.ndim for part in parts)
    result: list[Any] = [1] * rank
    for part in parts:
        for axis, size in enumerate(part.sizes, rank - part.array.ndim):
            if BATCH in (size, result[axis]):
                if {size, result[axis]} - {BATCH, 1}:
                    shapes = ", ".join(str(tuple(one.sizes)) for one in parts)
                    raise ValueError(f"there is one number for each sample: shapes {shapes}")
                result[axis] = BATCH
            elif size != 1 and result[axis] not in (1, size):
                shapes = ", ".join(str(tuple(one.sizes)) for one in parts)
                raise ValueError(f"shapes {shapes} do not fit together")
            elif size != 1:
                result[axis] = size
    if result.count(BATCH) > 1:
        raise ValueError("it joins samples with other samples")
    return result
