"""Products along the axes of images that stand for layers in graphs of float64, as these layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.pooling import AveragePooling1D, AveragePooling2D
from ..layers.resizing import UpSampling2D
from ..layers.windows import PADDINGS
from ._import_pools import over_image
from ._layout import BATCH
from ._matrices import factor_of, interpolation, means, windows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ..layers.base import Layer
    from ._assembly import Assembly
    from ._call import Call
    from ._rows import Rows


def product_along(call: Call, x: Rows, matrix: NDArray[Any], axis: int) -> Rows | None:
    """Means of windows or interpolation along an axis of images, as `fastnn.onnx.export` writes them.

    `matrix` has a row for each new place. The last axis comes first; what is along the one before it becomes
    part of the same layer. None if it is another product: the numbers must be exactly these, in float64.
    """
    rank = len(x.sizes) - 2
    if rank not in (1, 2) or x.sizes[0] != BATCH or matrix.dtype != np.float64 or matrix.ndim != 2:
        return None
    if matrix.shape[1] != x.sizes[axis] or not matrix.size:
        return None
    call.assembly.use(8 * matrix.size)
    order, matrices = [*range(2, len(x.sizes)), 1], [matrix]
    if axis == -2:
        before = _of_last_axis(call.assembly, x, order) if rank == 2 else None
        if before is None:
            return None
        x, last = before
        matrices.append(last)
    elif rank == 2:
        matrices.insert(0, np.eye(x.sizes[2]))
    make = _layer(matrices)
    if make is None:
        return None
    return over_image(call, x, order, make, [*x.sizes[:2], *map(len, matrices)])


def _of_last_axis(assembly: Assembly, x: Rows, order: Sequence[int]) -> tuple[Rows, NDArray[Any]] | None:
    """What a layer along the last axis takes, and its matrix, if a tensor is what such a layer gives."""
    step = x.step
    if step.make is None or step.channels or step.before is None or step.takes is None:
        return None
    if assembly.ordered(x, order) is not step:
        return None
    layer, (height, width, channels) = step.make(), step.takes
    if isinstance(layer, AveragePooling2D) and layer.pool_size[0] == layer.strides[0] == 1:
        matrix = means(width, layer.pool_size[1], layer.strides[1], layer.padding)
    elif isinstance(layer, UpSampling2D) and layer.interpolation == "bilinear" and layer.size[0] == 1:
        matrix = interpolation(width, layer.size[1])
    else:
        return None
    return assembly.spread(step.before, order, [BATCH, channels, height, width], x.samples), matrix


def _layer(matrices: Sequence[NDArray[Any]]) -> Callable[[], Layer] | None:
    """What makes the layer with a matrix along each axis; None if there is none."""
    for padding in PADDINGS[:2]:
        found = [windows_of(matrix, padding) for matrix in matrices]
        if None not in found:
            pool, strides = zip(*found, strict=True)
            kind: Any = AveragePooling2D if len(found) > 1 else AveragePooling1D
            return lambda: kind(pool, strides, padding)
    size = [factor for matrix in matrices if (factor := factor_of(matrix)) is not None]
    return (lambda: UpSampling2D(size, "bilinear")) if len(size) == 2 else None
