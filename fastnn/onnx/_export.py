"""A model as an ONNX graph of standard operators."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import onnx
from onnx import helper

from ..checks import validate
from ..io import files
from ..layers.bidirectional import Bidirectional
from ..layers.containers import Add, Concatenate, Container, Residual, Sequential
from ..layers.folding import folded
from ..layers.head import TABLE
from ..model import Model
from ._estimator import Estimator, write_outputs
from ._export_layers import write_scaling, writer_of
from ._scaler import shift_and_scale
from ._writer import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import DTypeLike

    from ..engine.graph import Graph, Node
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
        ``StandardScaler``, ``MinMaxScaler``, ``MaxAbsScaler`` or ``RobustScaler`` of scikit-learn, or an
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
        Whether a `BatchNormalization` behind a `Dense`, `Conv1D` or `Conv2D` without activation becomes part
        of its weights and bias, which changes the outputs by rounding only.

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
        write_scaling(graph, *shift_and_scale(scaler, model.n_in))
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
    elif isinstance(layer, Container) and not _is_one_node(layer):
        _write_branches(graph, layer, nodes)
    else:
        graph.name = f"{node.path}.{layer.kind}"
        writer_of(layer)(graph, layer, node.inputs[0])


def _is_one_node(layer: Container) -> bool:
    return isinstance(layer, Bidirectional) and layer.merge_mode == "concat"


def _write_branches(graph: Writer, layer: Container, nodes: Mapping[int, Node]) -> None:
    x, ends = graph.output, []
    for part in layer.parts.values():
        graph.output = x
        if part is not None:
            _write_layers(graph, [part], nodes)
        ends.append(graph.output)
    graph.name = f"{nodes[id(layer)].path}.{layer.kind}"
    if isinstance(layer, Concatenate):
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
        if head.target not in ("classes", "shares"):
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
