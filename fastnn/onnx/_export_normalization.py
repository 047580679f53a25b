"""Normalizations as nodes of an ONNX graph."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..engine.ops import Shape
    from ..layers.batch_normalization import BatchNormalization
    from ..layers.normalization import GroupNormalization, LayerNormalization, RMSNormalization
    from ._writer import Writer

_NORMALIZES = 17  # the first with LayerNormalization; of 2022


def write_layer_normalization(graph: Writer, layer: LayerNormalization, shape: Shape) -> None:
    """As one node where there is one."""
    if graph.opset >= _NORMALIZES and graph.dtype == np.float32:
        own = graph.parameters
        names = [graph.constant("gamma", own.get("gamma", np.ones(shape[-1])))]
        names += [graph.constant("beta", own["beta"])] if "beta" in own else []
        graph.node("LayerNormalization", [graph.output, *names], axis=-1, epsilon=layer.epsilon)
    else:
        # The operator came later, and it takes the mean and the variance in float32 even of float64.
        _write_normalized(graph, layer.epsilon)
        _write_scale_and_shift(graph)


def _write_normalized(graph: Writer, epsilon: float, *, centred: bool = True) -> None:
    x = graph.output
    if centred:
        x = graph.node("Sub", [x, graph.mean(x)])
    variance = graph.mean(graph.node("Mul", [x, x]))
    deviation = graph.node("Sqrt", [graph.node("Add", [variance, graph.scalar(epsilon)])])
    graph.node("Div", [x, deviation])


def _write_scale_and_shift(graph: Writer) -> None:
    for name, operator in (("gamma", "Mul"), ("beta", "Add")):
        if name in graph.parameters:
            graph.node(operator, [graph.output, graph.constant(name, graph.parameters[name])])


def write_rms_normalization(graph: Writer, layer: RMSNormalization, shape: Shape) -> None:
    """Written out: the operator is of 2025."""
    _write_normalized(graph, layer.epsilon, centred=False)
    _write_scale_and_shift(graph)


def write_group_normalization(graph: Writer, layer: GroupNormalization, shape: Shape) -> None:
    """Bring the numbers of each group together on the last axis, and back."""
    channels, positions = shape[-1], math.prod(shape[:-1])
    groups = channels if layer.groups == -1 else layer.groups

    def reshape(name: str, *sizes: int) -> None:
        graph.node("Reshape", [graph.output, graph.constant(name, [0, *sizes], np.int64)])

    reshape("groups", positions, groups, channels // groups)
    graph.node("Transpose", [graph.output], perm=[0, 2, 1, 3])
    reshape("together", groups, -1)
    _write_normalized(graph, layer.epsilon)
    reshape("apart", groups, positions, channels // groups)
    graph.node("Transpose", [graph.output], perm=[0, 2, 1, 3])
    reshape("shape", *shape)
    _write_scale_and_shift(graph)


def write_batch_normalization(graph: Writer, layer: BatchNormalization, shape: Shape) -> None:
    """The operator takes the channels for the first axis."""
    own, last = graph.parameters, len(shape)
    gamma = own.get("gamma", np.ones_like(own["moving_mean"]))
    values = {"gamma": gamma, "beta": own.get("beta", np.zeros_like(gamma))}
    rest = layer.epsilon - float(np.float32(layer.epsilon))  # the attribute is of float32
    values |= {"moving_mean": own["moving_mean"], "moving_variance": own["moving_variance"] + rest}
    constants = [graph.constant(name, value) for name, value in values.items()]
    x = graph.channels_first(last) if last > 1 else graph.output
    graph.node("BatchNormalization", [x, *constants], epsilon=layer.epsilon)
    if last > 1:
        graph.channels_last(last)
