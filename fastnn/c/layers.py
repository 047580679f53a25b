"""How each kind of layer becomes C. To add one: a function, and a line in `WRITERS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..layers.activation import Activation
from ..layers.attention import MultiHeadAttention
from ..layers.batch_normalization import BatchNormalization
from ..layers.bidirectional import Bidirectional
from ..layers.containers import Add, Concatenate, Container, Residual, Sequential
from ..layers.convolution import Conv1D, Conv2D, Conv2DTranspose
from ..layers.dense import Dense
from ..layers.depthwise import DepthwiseConv2D, SeparableConv2D
from ..layers.dropout import Dropout
from ..layers.embedding import Embedding, EntityEmbedding
from ..layers.folding import folded
from ..layers.impute import Impute
from ..layers.masking import Masking
from ..layers.normalization import GroupNormalization, LayerNormalization, RMSNormalization
from ..layers.one_hot import OneHot
from ..layers.pooling import GlobalPooling, WindowPooling
from ..layers.recurrent import Recurrent
from ..layers.reshaping import Flatten, Reshape, Select
from ..layers.resizing import Cropping, UpSampling, ZeroPadding
from ..layers.scaling import Scaling
from ..layers.unscale import Unscale
from . import convolutions, dense, images, sequences, tables

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
    Conv1D: convolutions.write_convolution,
    Conv2D: convolutions.write_convolution,
    Conv2DTranspose: convolutions.write_transposed,
    DepthwiseConv2D: convolutions.write_depthwise,
    SeparableConv2D: convolutions.write_separable,
    WindowPooling: images.write_pooling,
    GlobalPooling: images.write_global_pooling,
    UpSampling: images.write_up_sampling,
    ZeroPadding: images.write_zero_padding,
    Cropping: images.write_cropping,
    Recurrent: sequences.write_recurrent,
    Masking: sequences.write_masking,
    MultiHeadAttention: sequences.write_attention,
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
    if not isinstance(layer, (Add, Residual, Concatenate, Bidirectional)):
        raise ValueError(f"layer {node.path}, {layer!r}, cannot be written as C")
    x.readers += len(parts) - 1
    ends = [x if part is None else write_layers(c, [part], x, nodes) for part in parts]
    c.name, c.comment = node.path, ""
    mode = layer.merge_mode if isinstance(layer, Bidirectional) else ""
    if mode == "concat" or isinstance(layer, Concatenate):
        widths = [(node.inputs[0] if part is None else nodes[id(part)].output)[-1] for part in parts]
        columns = list(zip(ends, widths, strict=True))
        y = tables.write_concatenation(c, columns, ends[0].size // widths[0])
    else:
        y = tables.write_sum(c, ends)
    return sequences.write_zeros_where_masked(c, y, node.inputs[0][0]) if mode else y
