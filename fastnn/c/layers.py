"""How each kind of layer becomes C. To add one: a function, and a line in `WRITERS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..layers.activation import Activation
from ..layers.batch_normalization import BatchNormalization
from ..layers.containers import Add, Concatenate, Container, Residual, Sequential
from ..layers.dense import Dense
from ..layers.dropout import Dropout
from ..layers.embedding import Embedding, EntityEmbedding
from ..layers.folding import folded
from ..layers.impute import Impute
from ..layers.normalization import GroupNormalization, LayerNormalization, RMSNormalization
from ..layers.one_hot import OneHot
from ..layers.reshaping import Flatten, Reshape, Select
from ..layers.scaling import Scaling
from ..layers.unscale import Unscale
from . import dense, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..engine.graph import Node
    from ..engine.ops import Shape
    from ..layers.base import Layer
    from .writer import Value, Writer

    #: Writes a layer for an input of a shape, and gives its output.
    LayerWriter = Callable[[Writer, Any, Shape, Value], Value]


def _as_it_is(c: Writer, layer: Layer, shape: Shape, x: Value) -> Value:
    return x


WRITERS: dict[type[Layer], LayerWriter] = {
    Dense: dense.write_dense,
    Activation: dense.write_activation,
    Dropout: _as_it_is,
    Scaling: dense.write_scaling,
    Impute: tables.write_impute,
    OneHot: tables.write_one_hot,
    Embedding: tables.write_embedding,
    EntityEmbedding: tables.write_entities,
    Unscale: dense.write_unscale,
    BatchNormalization: dense.write_batch_normalization,
    LayerNormalization: dense.write_layer_normalization,
    RMSNormalization: dense.write_rms_normalization,
    GroupNormalization: dense.write_group_normalization,
    Flatten: _as_it_is,
    Reshape: _as_it_is,
    Select: tables.write_select,
}


def _writer_of(layer: Layer, path: str) -> LayerWriter:
    for kind, writer in WRITERS.items():
        if isinstance(layer, kind):
            return writer
    known = ", ".join(sorted(kind.__name__ for kind in WRITERS))
    raise ValueError(
        f"layer {path}, {layer!r}, cannot be written as C; what can is {known}, and containers of these"
    )


def write_layers(c: Writer, layers: Sequence[Layer], x: Value, nodes: Mapping[int, Node]) -> Value:
    """Write layers in a row, batch normalization as part of the layer before it where it can be."""
    for layer, parameters in folded(layers):
        c.parameters = parameters
        x = _write_layer(c, layer, x, nodes)
    return x


def _write_layer(c: Writer, layer: Layer, x: Value, nodes: Mapping[int, Node]) -> Value:
    node = nodes[id(layer)]
    if isinstance(layer, Sequential):
        return write_layers(c, layer.layers, x, nodes)
    if isinstance(layer, Container):
        return _write_branches(c, layer, x, nodes)
    c.name = node.path
    c.comment = f"Layer {node.path}, {layer!r}: {node.inputs[0]} to {node.output}."
    return _writer_of(layer, node.path)(c, layer, node.inputs[0], x)


def _write_branches(c: Writer, layer: Container, x: Value, nodes: Mapping[int, Node]) -> Value:
    """All branches read the same input."""
    node, parts = nodes[id(layer)], list(layer.parts.values())
    if not isinstance(layer, (Add, Residual, Concatenate)):
        raise ValueError(f"layer {node.path}, {layer!r}, cannot be written as C")
    x.readers += len(parts) - 1
    ends = [x if part is None else write_layers(c, [part], x, nodes) for part in parts]
    c.name, c.comment = node.path, ""
    if isinstance(layer, Concatenate):
        widths = [(node.inputs[0] if part is None else nodes[id(part)].output)[-1] for part in parts]
        return tables.write_concatenation(c, list(zip(ends, widths, strict=True)), ends[0].size // widths[0])
    return tables.write_sum(c, ends)
