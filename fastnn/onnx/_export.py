"""A model as an ONNX graph of standard operators."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from ..activations import Activation as ActivationSpec
from ..checks import validate
from ..data.categories import NONE
from ..io import files
from ..layers.activation import Activation
from ..layers.attention import MultiHeadAttention
from ..layers.batch_normalization import BatchNormalization
from ..layers.bidirectional import Bidirectional
from ..layers.category_columns import CategoryColumns
from ..layers.containers import Add, Concatenate, Container, Residual, Sequential
from ..layers.convolution import Conv1D, Conv2D, Conv2DTranspose
from ..layers.convolution_base import Windowed
from ..layers.dense import Dense
from ..layers.depthwise import DepthwiseConv2D, SeparableConv2D
from ..layers.dropout import Dropout
from ..layers.embedding import Embedding, EntityEmbedding
from ..layers.folding import folded
from ..layers.head import TABLE
from ..layers.impute import Impute
from ..layers.normalization import GroupNormalization, LayerNormalization, RMSNormalization
from ..layers.one_hot import OneHot
from ..layers.pooling import GlobalPooling, WindowPooling
from ..layers.recurrent import Recurrent
from ..layers.reshaping import Flatten, Reshape, Select
from ..layers.resizing import Cropping, UpSampling, ZeroPadding
from ..layers.scaling import Scaling
from ..layers.unscale import Unscale
from ..model import Model
from ._attention import write_attention
from ._convolution import write_convolution, write_depthwise, write_separable, write_transposed
from ._estimator import Estimator, write_outputs
from ._expressions import ACTIVATIONS, FLOAT64, LATER
from ._images import (
    write_cropping,
    write_global_pooling,
    write_pooling,
    write_up_sampling,
    write_zero_padding,
)
from ._normalization import (
    write_batch_normalization,
    write_group_normalization,
    write_layer_normalization,
    write_rms_normalization,
)
from ._recurrent import write_recurrent
from ._scaler import shift_and_scale
from ._writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import DTypeLike, NDArray

    from ..engine.graph import Graph, Node
    from ..engine.ops import Shape
    from ..layers.base import Layer

_OPSET = 20  # the first with Gelu; of October 2023
_FIRST = 13  # the first in which everything else has its present form; of 2020
_LARGEST = 2**31 - 1  # bytes of a file: a limit of protocol buffers
# What makes probabilities of a model's output, by what it is an output for and what it is.
_PROBABILITIES = {
    ("classes", "logits"): "Softmax(x, axis=axis)",
    ("shares", "logits"): "Sigmoid(x)",
    ("classes", "log_probabilities"): "Exp(x)",
}


def export(
    model: Model | Any,
    path: str | os.PathLike[str],
    *,
    probabilities: bool = False,
    scaler: Any = None,
    dtype: DTypeLike | None = None,
    opset: int | None = None,
    ir_version: int | None = None,
    fold: bool = False,
) -> None:
    """Write a built model, or a fitted estimator of `fastnn.sklearn`, as an ONNX graph.

    Its input ``X`` has shape (batch, n_in), its output ``Y`` (batch, n_out), for batches of any size. It
    computes what `Model.predict` does, but does not check for NaN or unknown categories. Dropout is part of
    the graph, where it is inactive. The file is replaced in one step, or left as it was.

    A classifier has two outputs, as scikit-learn's converter writes them: ``label`` of shape (batch,), or
    (batch, n_outputs) for several labels, and ``probabilities`` of shape (batch, n_classes). They are what
    `predict` and `predict_proba` give; a regressor's ``Y`` is what `predict` gives, of shape
    (batch, n_outputs).

    Parameters
    ----------
    model : Model, MLPClassifier or MLPRegressor
    path : str or path
    probabilities : bool
        Whether the output is the probabilities of the classes, or labels: for ``cross_entropy`` the
        softmax of the logits, for ``binary_cross_entropy`` their sigmoid, for ``nll`` the exponential of
        the log-probabilities. Where the last layer gives probabilities, nothing is added.
    scaler : optional
        What prepared the data that the model was trained on, to stand before its layers: a fitted
        `StandardScaler`, `MinMaxScaler`, `MaxAbsScaler` or `RobustScaler` of scikit-learn, or an
        adapted `fastnn.Standardize` or `fastnn.MinMax`.
    dtype : {"float32", "float64"}, optional
        Of the graph; the model's if not given. Not all programs know float64: ONNX Runtime, of what is
        written here, knows all but the activation ``gelu`` and convolutions.
    opset : int, optional
        Version of the standard operators, at least 13; 20 if not given. Programs know those up to the one
        of their own time.
    ir_version : int, optional
        Version of the file format; the first that has the operators' version if not given.
    fold : bool
        Whether a `BatchNormalization` behind a `Dense` without activation becomes part of its weights and
        bias, which changes the outputs by rounding only.

    Raises
    ------
    OSError
        If the file cannot be written.
    TypeError, ValueError
        If the model is not built, has a user-defined activation (ONNX does not know it), is larger than 2
        GB or has values beyond float32, or the scaler, the loss or a version does not match. Or if an
        estimator is not fitted, or its classes are neither integers nor strings.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastnn as fn
    >>> import fastnn.onnx
    >>> model = fn.Model([fn.Dense(3, "relu"), fn.Dense(2)], loss="cross_entropy", seed=0).build(4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fn.onnx.export(model, os.path.join(folder, "model.onnx"), probabilities=True)
    ...     os.listdir(folder)
    ['model.onnx']
    """
    if isinstance(model, Model):
        estimator, network = None, model
    else:
        estimator = Estimator.of(model)
        network = estimator.model
    probabilities, fold = validate.boolean("probabilities", probabilities), validate.boolean("fold", fold)
    versions = _versions(opset, ir_version)
    with network.executor.weights_lock.exclusive():  # between two steps of a fit in another thread
        graph = Writer(network.dtype if dtype is None else validate.dtype(dtype), versions[0])
        graph.folds = fold
        _write(graph, network, scaler)
        if estimator is None:
            _write_output(graph, network, probabilities)
        else:
            write_outputs(graph, estimator, probabilities)
        content = _serialized(graph.model(_graph(network).input.shape, versions[1]))
    files.replace(path, content)


def _versions(opset: int | None, ir_version: int | None) -> tuple[int, int]:
    """Checked versions of the operators and of the format."""
    last = onnx.defs.onnx_opset_version()
    opset = _OPSET if opset is None else validate.integer("opset", opset)
    if not _FIRST <= opset <= last:
        raise ValueError(f"opset must be one of {_FIRST} ... {last}, got {opset}")
    first = helper.find_min_ir_version_for([helper.make_opsetid("", opset)])
    ir_version = first if ir_version is None else validate.integer("ir_version", ir_version)
    if not first <= ir_version <= onnx.IR_VERSION:
        raise ValueError(
            f"ir_version must be one of {first} ... {onnx.IR_VERSION} for opset {opset}, got {ir_version}"
        )
    return opset, ir_version


def _graph(model: Model) -> Graph:
    model.state  # noqa: B018 - refuses a model that is not built
    assert model.executor.graph is not None
    return model.executor.graph


def _write(graph: Writer, model: Model, scaler: Any) -> None:
    """Write the layers."""
    nodes = {id(node.layer): node for node in _graph(model).nodes}
    model.executor.require_adapted()
    if scaler is not None:
        graph.name = "scaler"
        assert model.n_in is not None
        _write_scaling(graph, *shift_and_scale(scaler, model.n_in))
    _write_layers(graph, model.layers, nodes)


def _write_layers(graph: Writer, layers: Sequence[Layer], nodes: Mapping[int, Node]) -> None:
    """Write layers in a row."""
    for layer, parameters in folded(layers) if graph.folds else [(layer, layer.views) for layer in layers]:
        graph.parameters = parameters
        _write_layer(graph, layer, nodes)


def _write_layer(graph: Writer, layer: Layer, nodes: Mapping[int, Node]) -> None:
    """Write a layer, by the parameters in `graph`, and those in it."""
    node = nodes[id(layer)]
    if isinstance(layer, Sequential):
        _write_layers(graph, layer.layers, nodes)
    elif isinstance(layer, Container):
        _write_branches(graph, layer, nodes)
    else:
        graph.name = f"{node.path}.{layer.kind}"
        _writer(layer)(graph, layer, node.inputs[0])


def _write_branches(graph: Writer, layer: Container, nodes: Mapping[int, Node]) -> None:
    x, ends = graph.output, []
    for part in layer.parts.values():
        graph.output = x
        if part is not None:
            _write_layers(graph, [part], nodes)
        ends.append(graph.output)
    graph.name = f"{nodes[id(layer)].path}.{layer.kind}"
    if isinstance(layer, Concatenate) or (isinstance(layer, Bidirectional) and layer.merge_mode == "concat"):
        graph.node("Concat", ends, axis=-1)
    elif isinstance(layer, (Add, Residual, Bidirectional)):
        graph.output = ends[0]
        for end in ends[1:]:
            graph.node("Add", [graph.output, end])
    else:
        raise ValueError(f"{layer!r} has no counterpart in ONNX")


def _write_output(graph: Writer, model: Model, probabilities: bool) -> None:
    """Write the output of the layers, as probabilities if wanted."""
    if probabilities:
        head = model.head
        if head.target == "values":
            name = None if model.loss is None else model.loss.name
            raise ValueError(
                f"probabilities need a model with one of the losses {', '.join(TABLE)}, not {name}"
            )
        if head.output != "probabilities":
            graph.name = "probabilities"
            graph.write(_PROBABILITIES[head.target, head.output], {"axis": -1})
    graph.finish("Y", helper.np_dtype_to_tensor_dtype(graph.dtype), *_graph(model).output.shape)


def _serialized(proto: onnx.ModelProto) -> bytes:
    size = proto.ByteSize()
    if size > _LARGEST:
        raise ValueError(f"the model is too large for an ONNX file: {size} bytes of {_LARGEST}")
    onnx.checker.check_model(proto, full_check=True)
    content: bytes = proto.SerializeToString()
    return content


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


def _write_scaling(graph: Writer, shift: NDArray[np.float64], scale: NDArray[np.float64]) -> None:
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
    (n_in,) = shape
    by_column = layer.by_column(n_in)
    coded, source, categories = [], [], []
    for column in range(n_in):
        own = by_column.get(column)
        count = 1 if own is None else len(own)
        coded += [own is not None] * count
        source += [column] * count
        categories += [0.0] if own is None else list(own)
    columns = graph.node("Gather", [graph.output, graph.constant("columns", source, np.int64)], axis=1)
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
    x, (n_in,) = graph.output, shape
    known, parts = layer.by_column(n_in), []
    for column in range(n_in):
        part = graph.node("Gather", [x, graph.constant(f"column_{column}", [column], np.int64)], axis=1)
        if column in known:
            weights = layer.views[f"weights_{column}"]
            table = np.concatenate([np.zeros_like(weights[:1]), weights])
            # No integer is equal to the first of these, so that its index is found for unknown ones.
            categories = graph.constant(f"categories_{column}", [NONE, *known[column]])
            codes = graph.node("Cast", [graph.node("Equal", [part, categories])], to=TensorProto.FLOAT)
            index = graph.node("ArgMax", [codes], axis=1, keepdims=0)
            part = graph.node("Gather", [graph.constant(f"weights_{column}", table), index], axis=0)
        parts.append(part)
    graph.node("Concat", parts, axis=1)


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


# How each kind of layer is written. To add one: a function, and a line here.
_WRITERS: dict[type[Layer], Callable[[Writer, Any, Shape], None]] = {
    Dense: _write_dense,
    Activation: lambda graph, layer, shape: _write_activation(graph, layer.activation),
    Dropout: _write_dropout,
    Scaling: lambda graph, layer, shape: _write_scaling(graph, *layer.shift_and_scale()),
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
}


def _writer(layer: Layer) -> Callable[[Writer, Any, Shape], None]:
    for kind, writer in _WRITERS.items():
        if isinstance(layer, kind):
            return writer
    raise ValueError(f"{layer!r} has no counterpart in ONNX")
