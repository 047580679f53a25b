"""Derivatives with respect to the input, of networks of dense layers in a row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..layers.activation import Activation
from ..layers.batch_normalization import BatchNormalization
from ..layers.containers import Sequential
from ..layers.dense import Dense
from ..layers.dropout import Dropout
from ..layers.folding import affine, folded
from ..layers.reshaping import Flatten, Reshape
from ..layers.scaling import Scaling
from ..layers.unscale import Unscale
from .dense import activate, by_channel, write_product
from .writer import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..activations import Activation as ActivationSpec
    from ..engine.graph import Node
    from ..engine.ops import Shape
    from ..layers.base import Layer
    from .writer import Writer

    #: Writes the way back through something: from the gradient of its output to that of its input.
    Back = Callable[[Value], Value]


class Gradient(NamedTuple):
    """The statements of both passes.

    Attributes
    ----------
    forward : list of str
    backward : list of str
        They read dy and write dx.
    unit : Value
        Memory for a gradient of the output.
    """

    forward: list[str]
    backward: list[str]
    unit: Value


def write_gradient(
    c: Writer, layers: Sequence[Layer], nodes: Mapping[int, Node], n_in: int, n_out: int
) -> Gradient:
    """Write both passes; what the way back reads is kept, however often it is gone."""
    unit, x, steps = c.new(n_out), Value("x", n_in), []
    for layer, parameters in folded(list(in_a_row(layers))):
        node = nodes[id(layer)]
        c.name, c.parameters, c.comment = f"gradient_{node.path}", parameters, ""
        x, back = forward(c, layer, node, x)
        steps += back
    statements, c.calls = c.calls, []
    d = Value("dy", n_out)
    for back_step in reversed(steps):
        d = back_step(d)
    c.call("copy", d.name, str(d.size), "dx")
    return Gradient(statements, c.calls, unit)


def in_a_row(layers: Sequence[Layer]) -> Iterator[Layer]:
    """The layers, those of a `Sequential` in its place."""
    for layer in layers:
        if isinstance(layer, Sequential):
            yield from in_a_row(layer.layers)
        else:
            yield layer


def forward(c: Writer, layer: Layer, node: Node, x: Value) -> tuple[Value, list[Back]]:
    """The output of a layer, and the ways back through it, from its input to its output."""
    shape: Shape = node.inputs[0]
    if isinstance(layer, (Dropout, Flatten, Reshape)):
        return x, []
    if isinstance(layer, Activation):
        return activated(c, layer.activation, x, shape[-1])
    if isinstance(layer, Dense):
        weights, positions, name = np.asarray(c.parameters["weights"]), math.prod(shape[:-1]), c.name

        def back(d: Value) -> Value:
            c.name = name
            return write_product(c, d, positions, weights.T, None, "back")

        y = write_product(c, x, positions, weights, c.parameters.get("bias"))
        if layer.activation is None:
            return y, [back]
        y, more = activated(c, layer.activation, y, layer.units)
        return y, [back, *more]
    if isinstance(layer, Scaling):
        shift, scale = layer.shift_and_scale()
        return by_channel(c, "scale", shape, x, shift, scale), [_scaled(c, shape, 1 / scale)]
    if isinstance(layer, Unscale):
        return by_channel(c, "affine", shape, x, layer.scale, layer.mean), [_scaled(c, shape, layer.scale)]
    if isinstance(layer, BatchNormalization):
        factor, offset = affine(layer)
        factor = np.broadcast_to(factor, offset.shape)
        return by_channel(c, "affine", shape, x, factor, offset), [_scaled(c, shape, factor)]
    raise ValueError(
        f"layer {node.path}, {layer!r}: gradient=True is for networks of Dense, Activation, "
        "BatchNormalization, Dropout, Flatten, Reshape, Standardize, MinMax and Unscale in a row"
    )


def activated(c: Writer, activation: ActivationSpec, x: Value, columns: int) -> tuple[Value, list[Back]]:
    """The output of an activation, whose input and output are kept."""
    if activation.name == "identity":
        return x, []
    x.readers += 2  # so that nothing is written over it
    y = activate(c, activation, x, columns)
    y.readers += 1

    def back(d: Value) -> Value:
        result = c.over(d)
        if activation.name in ("softmax", "log_softmax"):
            positions = str(x.size // columns)
            c.call(f"{activation.name}_back", y.name, positions, str(columns), d.name, result.name)
        else:
            settings = [c.number(value) for value in activation.settings.values()]
            c.call(f"{activation.name}_back", x.name, str(x.size), *settings, d.name, result.name)
        return result

    return y, [back]


def _scaled(c: Writer, shape: Shape, factor: np.ndarray) -> Back:
    """The way back through a factor for each column."""

    def back(d: Value) -> Value:
        return by_channel(c, "affine", shape, d, factor, np.zeros(shape[-1]))

    return back
