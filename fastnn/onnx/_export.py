"""A model as an ONNX graph of standard operators."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .. import _files, _validate
from ..activations import Activation as ActivationSpec
from ..head import TABLE
from ..layers import Activation, Dense, Dropout
from ..one_hot import OneHot
from ..scaling import Scaling
from ._expressions import ACTIVATIONS, FLOAT64, Expression, Operation, Setting, parse
from ._scaler import shift_and_scale

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from ..layer import Layer
    from ..model import Model

_OPSET = 20  # the first with Gelu; of February 2024
_LARGEST = 2**31 - 1  # bytes of a file: a limit of protocol buffers
# What makes probabilities of a model's output, by what it is an output for and what it is.
_PROBABILITIES = {
    ("classes", "logits"): "Softmax(x, axis=axis)",
    ("shares", "logits"): "Sigmoid(x)",
    ("classes", "log_probabilities"): "Exp(x)",
}


def export(
    model: Model,
    path: str | os.PathLike[str],
    *,
    probabilities: bool = False,
    scaler: Any = None,
    dtype: DTypeLike | None = None,
) -> None:
    """Write a built model as an ONNX graph.

    Its input ``X`` has shape (batch, n_in), its output ``Y`` (batch, n_out), for batches of any size. It
    computes what `Model.predict` does, but looks for no NaN or unknown category. Dropout stands in the
    graph, where it does nothing. The file is replaced in one step, or left as it was.

    Parameters
    ----------
    model : Model
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
        written here, knows all but the activation ``gelu``.

    Raises
    ------
    OSError
        If the file cannot be written.
    TypeError, ValueError
        If the model is not built, has an activation of the user's own (ONNX does not know it), is
        larger than 2 GB or than float32 can tell, or the scaler or the loss does not fit.

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
    from ..model import Model

    if not isinstance(model, Model):
        raise TypeError(f"model must be a fastnn.Model, got {model!r}")
    probabilities = _validate.boolean("probabilities", probabilities)
    with model.turns.alone():  # between two steps of a fit in another thread
        graph = _Graph(model.dtype if dtype is None else _validate.dtype(dtype))
        content = _serialized(_write(graph, model, probabilities, scaler))
    _files.replace(path, content)


def _write(graph: _Graph, model: Model, probabilities: bool, scaler: Any) -> onnx.ModelProto:
    model.state  # noqa: B018 - refuses a model that is not built
    model._require_adapted()
    assert model.n_in is not None and model.n_out is not None
    if scaler is not None:
        graph.name = "scaler"
        _write_scaling(graph, *shift_and_scale(scaler, model.n_in))
    n_in = model.n_in
    for i, layer in enumerate(model.layers):
        graph.name = f"{i}.{layer.kind}"
        _writer(layer)(graph, layer, n_in)
        n_in = layer.output_size(n_in)
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
    return graph.model(model.n_in, model.n_out)


def _serialized(proto: onnx.ModelProto) -> bytes:
    size = proto.ByteSize()
    if size > _LARGEST:
        raise ValueError(f"the model is too large for an ONNX file: {size} bytes of {_LARGEST}")
    onnx.checker.check_model(proto, full_check=True)
    content: bytes = proto.SerializeToString()
    return content


class _Graph:
    """A row of nodes in the making: each is fed by the one before."""

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self.name = ""  # of the layer being written; its nodes and constants are named after it
        self.output = "X"
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._scalars: dict[float, str] = {}

    def constant(self, name: str, values: ArrayLike, dtype: Any = None) -> str:
        """Name of a new constant of the layer, of the graph's dtype if none is given."""
        return self._constant(f"{self.name}.{name}", values, dtype or self.dtype)

    def scalar(self, value: float) -> str:
        """Name of a constant that is one number."""
        if value not in self._scalars:
            self._scalars[value] = self._constant(f"constant.{len(self._scalars)}", value, self.dtype)
        return self._scalars[value]

    def _constant(self, name: str, values: ArrayLike, dtype: Any) -> str:
        with np.errstate(over="ignore"):
            array = np.array(values, dtype)
        _validate.finite(name, np.atleast_1d(array))
        self._constants[name] = numpy_helper.from_array(array, name)
        return name

    def node(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        """Name of a new node's output, which is what the next layer gets."""
        name = f"{self.name}.{operator}.{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        self.output = name
        return name

    def write(self, text: str, settings: Mapping[str, float]) -> None:
        """Add the nodes of an expression of what the layer before gives."""
        x = self.output

        def name_of(expression: Expression) -> str:
            if isinstance(expression, Operation):
                inputs = [name_of(argument) for argument in expression.arguments]
                attributes = {
                    name: settings[value.name] if isinstance(value, Setting) else value
                    for name, value in expression.attributes.items()
                }
                return self.node(expression.operator, inputs, **attributes)
            if isinstance(expression, str):
                return x if expression == "x" else self.scalar(settings[expression])
            return self.scalar(expression)

        name_of(parse(text))

    def model(self, n_in: int, n_out: int) -> onnx.ModelProto:
        """The graph, with its input X and its output Y."""
        from .. import __version__

        self._nodes[-1].output[0] = "Y"
        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        x = helper.make_tensor_value_info("X", kind, ["batch", n_in])
        y = helper.make_tensor_value_info("Y", kind, ["batch", n_out])
        graph = helper.make_graph(self._nodes, "fastnn", [x], [y], list(self._constants.values()))
        opset = helper.make_opsetid("", _OPSET)
        return helper.make_model(
            graph,
            opset_imports=[opset],
            ir_version=helper.find_min_ir_version_for([opset]),
            producer_name="fastnn",
            producer_version=__version__,
        )


def _write_dense(graph: _Graph, layer: Dense, n_in: int) -> None:
    names = [graph.output, graph.constant("weights", layer.weights)]
    if layer.use_bias:
        names.append(graph.constant("bias", layer.bias))
    graph.node("Gemm", names)
    if layer.activation is not None and layer.activation.name != "identity":
        _write_activation(graph, layer.activation)


def _write_activation(graph: _Graph, activation: ActivationSpec) -> None:
    name = activation.name
    if name not in ACTIVATIONS:
        raise ValueError(f"the activation {name!r} is one of your own, which ONNX does not know")
    text = FLOAT64.get(name, ACTIVATIONS[name][0]) if graph.dtype == np.float64 else ACTIVATIONS[name][0]
    graph.write(text, {**activation.settings, "axis": -1})


def _write_dropout(graph: _Graph, layer: Dropout, n_in: int) -> None:
    graph.node("Dropout", [graph.output, graph.scalar(layer.rate)])


def _write_scaling(graph: _Graph, shift: NDArray[np.float64], scale: NDArray[np.float64]) -> None:
    graph.node("Sub", [graph.output, graph.constant("shift", shift)])
    graph.node("Div", [graph.output, graph.constant("scale", scale)])


def _write_one_hot(graph: _Graph, layer: OneHot, n_in: int) -> None:
    """A column of the input for each of the output, compared with its category where it has one."""
    if any(labels is not None for labels in layer.labels):
        raise ValueError(
            f"{layer!r} has categories that are text, or integers beyond 2**24, which a graph of numbers "
            "does not take; code them before, and train on the codes"
        )
    by_column = layer._by_column(n_in)
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


# How each kind of layer is written. To add one: a function, and a line here.
_WRITERS: dict[type[Layer], Callable[[_Graph, Any, int], None]] = {
    Dense: _write_dense,
    Activation: lambda graph, layer, n_in: _write_activation(graph, layer.activation),
    Dropout: _write_dropout,
    Scaling: lambda graph, layer, n_in: _write_scaling(graph, *layer.shift_and_scale()),
    OneHot: _write_one_hot,
}


def _writer(layer: Layer) -> Callable[[_Graph, Any, int], None]:
    for kind, writer in _WRITERS.items():
        if isinstance(layer, kind):
            return writer
    raise ValueError(f"{layer!r} has no counterpart in ONNX")
