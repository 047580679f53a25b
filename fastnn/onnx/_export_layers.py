"""How each kind of layer becomes nodes of an ONNX graph. To add one: a function, and a line in `WRITERS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper

from ..data.categories import NONE
from ..layers.activation import Activation
from ..layers.attention import MultiHeadAttention
from ..layers.batch_normalization import BatchNormalization
from ..layers.bidirectional import Bidirectional
from ..layers.convolution import Conv1D, Conv2D, Conv2DTranspose
from ..layers.dense import Dense
from ..layers.depthwise import DepthwiseConv2D, SeparableConv2D
from ..layers.dropout import Dropout
from ..layers.embedding import Embedding, EntityEmbedding
from ..layers.impute import Impute
from ..layers.normalization import GroupNormalization, LayerNormalization, RMSNormalization
from ..layers.one_hot import OneHot
from ..layers.pooling import GlobalPooling, WindowPooling
from ..layers.recurrent import Recurrent
from ..layers.reshaping import Flatten, Reshape, Select
from ..layers.resizing import Cropping, UpSampling, ZeroPadding
from ..layers.scaling import Scaling
from ..layers.unscale import Unscale
from ._export_attention import write_attention
from ._export_convolution import write_convolution, write_depthwise, write_separable, write_transposed
from ._export_images import (
    write_cropping,
    write_global_pooling,
    write_pooling,
    write_up_sampling,
    write_zero_padding,
)
from ._export_normalization import (
    write_batch_normalization,
    write_group_normalization,
    write_layer_normalization,
    write_rms_normalization,
)
from ._export_recurrent import write_both_directions, write_recurrent
from ._expressions import ACTIVATIONS, FLOAT64, LATER

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ..activations import Activation as ActivationSpec
    from ..engine.ops import Shape
    from ..layers.base import Layer
    from ..layers.category_columns import CategoryColumns
    from ..layers.convolution_base import Windowed
    from ._writer import Writer


def _write_dense(graph: Writer, layer: Dense, shape: Shape) -> None:
    own = graph.parameters
    names = [graph.output, graph.constant("weights", own["weights"])]
    bias = [graph.constant("bias", own["bias"])] if "bias" in own else []
    if len(shape) == 1:
        graph.node("Gemm", [*names, *bias])
    else:
        graph.node("MatMul", names)
        if bias:
            graph.node("Add", [graph.output, *bias])
    if layer.activation is not None and layer.activation.name != "identity":
        _write_activation(graph, layer.activation)


def _write_activation(graph: Writer, activation: ActivationSpec) -> None:
    name = activation.name
    if name not in ACTIVATIONS:
        raise ValueError(f"the activation {name!r} is user-defined, and ONNX does not know it")
    first, text = LATER.get(name, (0, ACTIVATIONS[name][0]))
    text = ACTIVATIONS[name][0] if graph.opset >= first else text
    text = FLOAT64.get(name, text) if graph.dtype == np.float64 else text
    elementwise = name not in ("softmax", "log_softmax")
    graph.write(text, {**activation.settings, "axis": -1}, elementwise=elementwise)


def _write_dropout(graph: Writer, layer: Dropout, shape: Shape) -> None:
    graph.node("Dropout", [graph.output, graph.scalar(layer.rate)])


def write_scaling(graph: Writer, shift: NDArray[np.float64], scale: NDArray[np.float64]) -> None:
    """Write ``(x - shift) / scale``."""
    graph.node("Sub", [graph.output, graph.constant("shift", shift)])
    graph.node("Div", [graph.output, graph.constant("scale", scale)])


def _require_numbers(layer: CategoryColumns) -> None:
    if any(labels is not None for labels in layer.labels):
        raise ValueError(
            f"{layer!r} has categories that are text, or integers beyond 2**24, which a graph of numbers "
            "does not take; code them before, and train on the codes"
        )


def _write_impute(graph: Writer, layer: Impute, shape: Shape) -> None:
    x = graph.output
    missing = graph.node("IsNaN", [x])
    imputed = np.isin(np.arange(shape[-1]), layer.missing_columns(shape[-1]))
    replaced = (
        missing if imputed.all() else graph.node("And", [missing, graph.constant("imputed", imputed, bool)])
    )
    filled = graph.node("Where", [replaced, graph.constant("fill", layer.fill_values), x])
    if layer.indicated:
        columns = graph.constant("indicated", layer.indicated, np.int64)
        own = graph.node("Gather", [missing, columns], axis=-1)
        codes = graph.node("Cast", [own], to=helper.np_dtype_to_tensor_dtype(graph.dtype))
        graph.node("Concat", [filled, codes], axis=-1)


def _write_one_hot(graph: Writer, layer: OneHot, shape: Shape) -> None:
    """For each output column take its input column, and compare it with the category if it has one."""
    _require_numbers(layer)
    axis, n_in = len(shape), shape[-1]
    by_column = layer.by_column(n_in)
    coded, source, categories = [], [], []
    for column in range(n_in):
        own = by_column.get(column)
        count = 1 if own is None else len(own)
        coded += [own is not None] * count
        source += [column] * count
        categories += [0.0] if own is None else list(own)
    columns = graph.node("Gather", [graph.output, graph.constant("columns", source, np.int64)], axis=axis)
    graph.node("Equal", [columns, graph.constant("categories", categories)])
    codes = graph.node("Cast", [graph.output], to=helper.np_dtype_to_tensor_dtype(graph.dtype))
    if not all(coded):
        graph.node("Where", [graph.constant("coded", coded, bool), codes, columns])


def _write_embedding(graph: Writer, layer: Embedding, shape: Shape) -> None:
    indices = graph.node("Cast", [graph.output], to=TensorProto.INT64)
    graph.node("Gather", [graph.constant("weights", layer.weights), indices], axis=0)


def _write_entities(graph: Writer, layer: EntityEmbedding, shape: Shape) -> None:
    """Find each category among those of its column, and take its vector; zeros if it is none of them."""
    _require_numbers(layer)
    x, axis, n_in = graph.output, len(shape), shape[-1]
    known, parts = layer.by_column(n_in), []
    for column in range(n_in):
        part = graph.node("Gather", [x, graph.constant(f"column_{column}", [column], np.int64)], axis=axis)
        if column in known:
            weights = layer.views[f"weights_{column}"]
            table = np.concatenate([np.zeros_like(weights[:1]), weights])
            # No integer is equal to the first of these, so that its index is found for unknown ones.
            categories = graph.constant(f"categories_{column}", [NONE, *known[column]])
            codes = graph.node("Cast", [graph.node("Equal", [part, categories])], to=TensorProto.FLOAT)
            index = graph.node("ArgMax", [codes], axis=axis, keepdims=0)
            part = graph.node("Gather", [graph.constant(f"weights_{column}", table), index], axis=0)
        parts.append(part)
    graph.node("Concat", parts, axis=axis)


def _write_unscale(graph: Writer, layer: Unscale, shape: Shape) -> None:
    graph.node("Mul", [graph.output, graph.constant("scale", layer.scale)])
    graph.node("Add", [graph.output, graph.constant("mean", layer.mean)])


def _write_shape(graph: Writer, layer: Flatten | Reshape, shape: Shape) -> None:
    sizes = [0, *layer.output_shape(shape)]  # 0 stands for what the axis has
    graph.node("Reshape", [graph.output, graph.constant("shape", sizes, np.int64)])


def _write_select(graph: Writer, layer: Select, shape: Shape) -> None:
    columns = graph.constant("columns", layer.constants(shape), np.int64)
    graph.node("Gather", [graph.output, columns], axis=-1)


def _activated(write: Callable[[Writer, Any, Shape], None]) -> Callable[[Writer, Any, Shape], None]:
    """What writes a convolution and its activation."""

    def write_all(graph: Writer, layer: Windowed, shape: Shape) -> None:
        write(graph, layer, shape)
        if layer.activation is not None and layer.activation.name != "identity":
            _write_activation(graph, layer.activation)

    return write_all


#: What writes each kind of layer, of an input of a shape.
WRITERS: dict[type[Layer], Callable[[Writer, Any, Shape], None]] = {
    Dense: _write_dense,
    Activation: lambda graph, layer, shape: _write_activation(graph, layer.activation),
    Dropout: _write_dropout,
    Scaling: lambda graph, layer, shape: write_scaling(graph, *layer.shift_and_scale()),
    Impute: _write_impute,
    OneHot: _write_one_hot,
    Embedding: _write_embedding,
    EntityEmbedding: _write_entities,
    Unscale: _write_unscale,
    LayerNormalization: write_layer_normalization,
    RMSNormalization: write_rms_normalization,
    GroupNormalization: write_group_normalization,
    BatchNormalization: write_batch_normalization,
    MultiHeadAttention: write_attention,
    Conv1D: _activated(write_convolution),
    Conv2D: _activated(write_convolution),
    Conv2DTranspose: _activated(write_transposed),
    DepthwiseConv2D: _activated(write_depthwise),
    SeparableConv2D: _activated(write_separable),
    WindowPooling: write_pooling,
    GlobalPooling: write_global_pooling,
    UpSampling: write_up_sampling,
    ZeroPadding: write_zero_padding,
    Cropping: write_cropping,
    Flatten: _write_shape,
    Reshape: _write_shape,
    Select: _write_select,
    Recurrent: write_recurrent,
    Bidirectional: write_both_directions,
}


def writer_of(layer: Layer) -> Callable[[Writer, Any, Shape], None]:
    """What writes a layer; a ValueError if ONNX has no counterpart."""
    for kind, writer in WRITERS.items():
        if isinstance(layer, kind):
            return writer
    raise ValueError(f"{layer!r} has no counterpart in ONNX")
