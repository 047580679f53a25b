"""Normalizations, as layers where there is one for the axes that they go over."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.batch_normalization import BatchNormalization
from ..layers.normalization import GroupNormalization, LayerNormalization, RMSNormalization
from ._affine import Columns
from ._import_pools import over_image
from ._layout import BATCH
from ._steps import CALL, Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ..layers.base import Layer
    from ._assembly import Assembly
    from ._call import Call
    from ._rows import Rows

_FACTORS = ("gamma", "beta")


def layer_normalization(call: Call) -> Rows:
    """Over the axes from one on."""
    axis, rank = call.attributes["axis"], len(call.x.sizes)
    if not -rank <= axis < rank:
        raise ValueError(f"it has no axis {axis}")
    beta = None if call.input(2) is None else call.constant(2)
    axes = range(axis % rank, rank)
    return written(call.assembly, call.x, axes, _epsilon(call), call.constant(1), beta)


def rms_normalization(call: Call) -> Rows:
    """The same without the mean."""
    axis, rank = call.attributes["axis"], len(call.x.sizes)
    if not -rank <= axis < rank:
        raise ValueError(f"it has no axis {axis}")
    axes = range(axis % rank, rank)
    return root_mean_square(call.assembly, call.x, axes, _epsilon(call), call.constant(1))


def group_normalization(call: Call) -> Rows:
    """Over groups of channels, then a factor and a shift of each or, before version 21, of each group."""
    x, groups = call.x, call.attributes["num_groups"]
    channels = _channels(x)
    if groups < 1 or channels % groups:
        raise ValueError(f"its {groups} groups do not divide {channels} channels")
    y = _by_channel(call.assembly, x, groups, _epsilon(call))
    parts = [call.constant(place) for place in (1, 2)]
    if parts[0].shape == (groups,):
        parts = [np.repeat(part, channels // groups) for part in parts]
    return _factors(call, y, *parts)


def instance_normalization(call: Call) -> Rows:
    """Over all positions of each channel."""
    channels = _channels(call.x)
    y = _by_channel(call.assembly, call.x, channels, _epsilon(call))
    return _factors(call, y, call.constant(1), call.constant(2))


def _channels(x: Rows) -> int:
    if len(x.sizes) < 3 or x.sizes[0] != BATCH:
        raise ValueError(f"it has no axes behind channels: {list(x.sizes)}")
    return int(x.sizes[1])


def _by_channel(assembly: Assembly, x: Rows, groups: int, epsilon: float) -> Rows:
    """Mean 0 and variance 1 of groups along axis 1."""
    sizes = (BATCH, groups, x.map.n_out // groups)
    grouped = replace(x, sizes=sizes)  # the order of the columns stays
    return replace(_normalized(assembly, grouped, [2], epsilon), sizes=x.sizes)


def _factors(call: Call, y: Rows, scale: NDArray[Any], shift: NDArray[Any]) -> Rows:
    """A factor and a shift of each channel."""
    shape = (y.sizes[1],) + (1,) * (len(y.sizes) - 2)
    y = call.assembly.times(y, call.assembly.numbers("weights", scale).reshape(shape))
    return call.assembly.plus(y, call.assembly.numbers("bias", shift).reshape(shape))


def _epsilon(call: Call) -> float:
    return float(str(np.float32(call.attributes["epsilon"])))  # 0.001, which float32 does not have


def written(
    assembly: Assembly,
    x: Rows,
    axes: Any,
    epsilon: Any,
    gamma: NDArray[Any] | None = None,
    beta: NDArray[Any] | None = None,
) -> Rows:
    """Mean 0 and variance 1 over axes, then a factor and a shift of each number there."""
    return _normalized(assembly, x, axes, epsilon, {"gamma": gamma, "beta": beta})


def root_mean_square(
    assembly: Assembly, x: Rows, axes: Any, epsilon: Any, gamma: NDArray[Any] | None = None
) -> Rows:
    """Divided by the root of the mean of the squares over axes, then a factor of each number there."""
    return _normalized(assembly, x, axes, epsilon, {"gamma": gamma}, centred=False)


def _normalized(
    assembly: Assembly,
    x: Rows,
    axes: Any,
    epsilon: Any,
    factors: Mapping[str, NDArray[Any] | None] | None = None,
    *,
    centred: bool = True,
) -> Rows:
    """The layer that normalizes over axes; its columns stay where they are if it can do that."""
    over = sorted({x.layout.axis(axis) for axis in np.ravel(axes).tolist()})
    ahead = [axis for axis, size in enumerate(x.sizes) if axis not in over and size != BATCH]
    shape, count = [x.sizes[axis] for axis in over], math.prod(x.sizes[axis] for axis in over)
    given = {
        name: np.broadcast_to(assembly.numbers(name, values), shape).ravel()
        for name, values in (factors or {}).items()
        if values is not None
    }
    rounded = np.asarray(epsilon).item()
    value = float(str(np.float32(rounded))) if np.float32(rounded) == rounded else float(rounded)
    assembly.use(2 * x.map.n_out + 3 * CALL)
    x = assembly.settled(x)
    layout, step = x.layout, x.step
    batch = [] if layout.batch is None else [layout.batch]
    places = layout.array.transpose([*batch, *ahead, *over]).reshape(-1, count)
    if isinstance(x.map, Columns) and x.map.n_out == x.map.n_in == np.unique(assembly.columns(x.map)).size:
        columns, own = assembly.columns(x.map)[places], step.shape or step.row or (step.width,)
        size = own[-1]
        if count == size and (columns // size == columns[:, :1] // size).all():
            order = np.argsort(columns[0])
            if (np.diff(columns[:, order], axis=1) == 1).all():
                arrays = {name: values[order] for name, values in given.items()}
                kind: Any = LayerNormalization if centred else RMSNormalization
                return replace(x, step=_step(step, partial(kind, value), arrays, own, centred))
        groups = len(columns)
        if centred and not given and size % groups == 0:
            group = columns % size // (size // groups)
            if (group == group[:, :1]).all():
                make = partial(GroupNormalization, -1 if groups == size > 1 else groups, value)
                return replace(x, step=_step(step, make, {}, own, centred))
    kind = LayerNormalization if centred else RMSNormalization
    made = _step(
        None, partial(kind, value), given, (*(x.sizes[axis] for axis in ahead), count), centred, x.map.n_out
    )
    return assembly.layer(x, [*ahead, *over], made, x.sizes)


def _step(
    before: Step | None,
    kind: partial[Any],
    arrays: dict[str, NDArray[np.float64]],
    shape: Sequence[int] | None,
    centred: bool,
    width: int = 0,
) -> Step:
    """A normalization of samples of a shape, which can take up factors and shifts of channels."""

    def make(activation: Any, arrays: dict[str, NDArray[np.float64]]) -> Layer:
        center = {"center": "beta" in arrays} if centred else {}
        layer: Layer = kind(scale="gamma" in arrays, **center)
        return layer

    width = before.width if before is not None else width
    return Step(
        width,
        before,
        make=make,
        arrays=arrays,
        channels=(0,),
        names=("gamma", "beta" if centred else ""),
        takes=tuple(shape or (width,)),
        trained=True,
    )


def batch_normalization(call: Call) -> Rows:
    """A shift and a scale for each channel; channels are axis 1."""
    training = call.attributes.get("training_mode", 0) or not call.attributes.get("is_test", 1)
    if training or not call.attributes.get("spatial", 1):
        raise ValueError("it is in training mode, or not of channels")
    x, sizes = call.x, call.x.sizes
    if len(sizes) < 2 or sizes[1] == BATCH:
        raise ValueError(f"it has no channels: its input is {sizes}")
    weight, bias, mean, variance = (call.assembly.numbers("weights", call.constant(i)) for i in range(1, 5))
    if not weight.shape == bias.shape == mean.shape == variance.shape == (sizes[1],):
        raise ValueError(f"it is of {weight.shape} channels, but its input is {sizes}")
    deviation = np.sqrt(variance + call.attributes["epsilon"])
    if not (deviation > 0).all():
        raise ValueError("its variance is not positive")
    if 2 < len(sizes) < 5 and x.step.trained and not x.step.channels and sizes[0] == BATCH:
        arrays = {"gamma": weight, "beta": bias, "moving_mean": mean, "moving_variance": variance}
        return _running(call, x, arrays)
    shape = (sizes[1],) + (1,) * (len(sizes) - 2)
    x = call.assembly.minus(x, mean.reshape(shape))
    x = call.assembly.times(call.assembly.over(x, deviation.reshape(shape)), weight.reshape(shape))
    return call.assembly.plus(x, bias.reshape(shape))


def _running(call: Call, x: Rows, arrays: dict[str, NDArray[np.float64]]) -> Rows:
    """Normalization of channels by running statistics, as a layer."""
    epsilon = _epsilon(call)
    # The variance makes up for what is rounded.
    variance = np.maximum(arrays["moving_variance"] + (call.attributes["epsilon"] - epsilon), 0.0)
    call.assembly.use(sum(values.size for values in arrays.values()))
    return over_image(
        call,
        x,
        [*range(2, len(x.sizes)), 1],
        lambda: BatchNormalization(epsilon=epsilon),
        x.sizes,
        arrays={**arrays, "moving_variance": variance},
    )
