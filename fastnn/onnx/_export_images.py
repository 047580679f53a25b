"""Pooling, and images made larger or smaller, as nodes of an ONNX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.pooling import AVERAGE
from ..layers.resizing import INTERPOLATIONS
from ._matrices import interpolation, means

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.ops import Shape
    from ..layers.pooling import GlobalPooling, WindowPooling
    from ..layers.resizing import Cropping, UpSampling, ZeroPadding
    from ._writer import Writer


def write_pooling(graph: Writer, layer: WindowPooling, shape: Shape) -> None:
    """With channels first, as the operators want them."""
    found = layer.windows_of(shape)
    before = [axis.before for axis in found]
    after = [
        max((axis.output - 1) * stride + pool - size - axis.before, 0)
        for axis, stride, pool, size in zip(found, layer.strides, layer.pool_size, shape, strict=False)
    ]
    graph.channels_first(len(shape))
    if layer.kernel == AVERAGE and graph.dtype == np.float64:  # ONNX Runtime has no AveragePool of it
        _write_means(graph, layer, shape)
    else:
        windows = {"kernel_shape": layer.pool_size, "strides": layer.strides, "pads": before + after}
        graph.node("AveragePool" if layer.kernel == AVERAGE else "MaxPool", [graph.output], **windows)
    graph.channels_last(len(shape))


def _write_means(graph: Writer, layer: WindowPooling, shape: Shape) -> None:
    """Write means of windows as products, with a matrix for each axis."""
    axes = zip(shape, layer.pool_size, layer.strides, strict=False)
    _write_products(graph, [means(n, pool, stride, layer.padding) for n, pool, stride in axes])


def _write_products(graph: Writer, matrices: list[NDArray[Any]]) -> None:
    """Write products with a matrix for each axis of images, channels first."""
    graph.node("MatMul", [graph.output, graph.constant("columns", matrices[-1].T)])
    if len(matrices) > 1:
        graph.node("MatMul", [graph.constant("rows", matrices[0]), graph.output])


def write_global_pooling(graph: Writer, layer: GlobalPooling, shape: Shape) -> None:
    """As a reduction."""
    operator = "ReduceMean" if layer.kernel == AVERAGE else "ReduceMax"
    graph.reduce(operator, graph.output, range(1, len(shape)), keepdims=layer.keepdims)


def write_up_sampling(graph: Writer, layer: UpSampling, shape: Shape) -> None:
    """Repeat along an axis of its own behind each; Resize knows only some dtypes."""
    if layer.op_kernel() == INTERPOLATIONS["bilinear"]:
        _write_bilinear(graph, layer, shape)
        return
    *image, channels = shape
    apart, times = [0], [1]
    for n, factor in zip(image, layer.size, strict=True):
        apart, times = [*apart, n, 1], [*times, n, factor]
    for operator, name, sizes in (
        ("Reshape", "apart", [*apart, channels]),
        ("Expand", "times", [*times, channels]),
        ("Reshape", "shape", [0, *layer.output_shape(shape)]),
    ):
        graph.node(operator, [graph.output, graph.constant(name, sizes, np.int64)])


def _write_bilinear(graph: Writer, layer: UpSampling, shape: Shape) -> None:
    """With channels first; as products in float64, of which ONNX Runtime has no Resize."""
    graph.channels_first(len(shape))
    if graph.dtype == np.float64:
        _write_products(graph, [interpolation(n, by) for n, by in zip(shape, layer.size, strict=False)])
    else:
        scales = graph.constant("scales", [1, 1, *layer.size], np.float32)
        ways = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        graph.node("Resize", [graph.output, "", scales], **ways)
    graph.channels_last(len(shape))


def write_zero_padding(graph: Writer, layer: ZeroPadding, shape: Shape) -> None:
    """As one node."""
    before, after = zip(*layer.padding, strict=True)
    pads = [0, *before, 0, 0, *after, 0]
    graph.node("Pad", [graph.output, graph.constant("pads", pads, np.int64)])


def write_cropping(graph: Writer, layer: Cropping, shape: Shape) -> None:
    """As one node."""
    starts, cut = zip(*layer.cropping, strict=True)
    ends = [n - each for n, each in zip(shape, cut, strict=False)]
    places = {"starts": starts, "ends": ends, "axes": range(1, len(shape))}
    graph.node("Slice", [graph.output, *(graph.constant(name, of, np.int64) for name, of in places.items())])
