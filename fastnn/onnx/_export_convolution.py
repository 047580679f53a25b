"""Convolutions as nodes of an ONNX graph, whose images have their channels first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..engine.ops import Shape
    from ..layers.convolution import Conv1D, Conv2D, Conv2DTranspose
    from ..layers.convolution_base import Windowed
    from ..layers.depthwise import DepthwiseConv2D, SeparableConv2D
    from ._writer import Writer


def write_convolution(graph: Writer, layer: Conv1D | Conv2D, shape: Shape) -> None:
    """As one node; the activation is not part of it."""
    _write_node(graph, "Conv", shape, "weights", "bias", group=layer.groups, **_windows(layer, shape))


def write_depthwise(graph: Writer, layer: DepthwiseConv2D, shape: Shape) -> None:
    """As a convolution of as many groups as channels."""
    _write_node(graph, "Conv", shape, "weights", "bias", group=shape[-1], **_windows(layer, shape))


def write_separable(graph: Writer, layer: SeparableConv2D, shape: Shape) -> None:
    """As two convolutions."""
    windows = _windows(layer, shape)
    _write_node(graph, "Conv", shape, "depthwise_weights", None, group=shape[-1], **windows)
    _write_node(graph, "Conv", shape, "pointwise_weights", "bias")


def write_transposed(graph: Writer, layer: Conv2DTranspose, shape: Shape) -> None:
    """As one node, whose padding is what is cut off."""
    before = [axis.before for axis in layer.windows_of(shape)]
    missing = [
        axis.output - ((size - 1) * stride + (k - 1) * d + 1 - axis.before)
        for size, axis, stride, k, d in zip(
            shape[:-1],
            layer.windows_of(shape),
            layer.strides,
            layer.kernel_size,
            layer.dilation_rate,
            strict=True,
        )
    ]
    _write_node(
        graph,
        "ConvTranspose",
        shape,
        "weights",
        "bias",
        strides=layer.strides,
        dilations=layer.dilation_rate,
        pads=before + [max(-n, 0) for n in missing],
        output_padding=[max(n, 0) for n in missing],
    )


def _windows(layer: Windowed, shape: Shape) -> dict[str, Any]:
    """Attributes that say where the windows of a convolution are."""
    found = layer.windows_of(shape)
    after = [
        max((axis.output - 1) * stride + (k - 1) * d + 1 - size - axis.before, 0)
        for axis, stride, k, d, size in zip(
            found, layer.strides, layer.kernel_size, layer.dilation_rate, shape[:-1], strict=True
        )
    ]
    pads = [axis.before for axis in found] + after
    return {"strides": layer.strides, "dilations": layer.dilation_rate, "pads": pads}


def _write_node(
    graph: Writer, operator: str, shape: Shape, weights: str, bias: str | None, **attributes: Any
) -> None:
    own, ndim = graph.parameters, len(shape)
    array = own[weights]
    if "group" in attributes:  # weights of a depthwise convolution get the layout of grouped ones
        array = array.reshape(*array.shape[: ndim - 1], shape[-1] // attributes["group"], -1)
    axes = (ndim, ndim - 1, *range(ndim - 1))
    names = [graph.channels_first(ndim), graph.constant(weights, array.transpose(axes))]
    if bias is not None and bias in own:
        names.append(graph.constant(bias, own[bias]))
    graph.node(operator, names, **attributes)
    graph.channels_last(ndim)
