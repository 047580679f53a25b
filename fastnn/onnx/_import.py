"""A model of a sequential ONNX graph."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from onnx import TensorProto

from .. import _validate
from ._assembly import Assembly
from ._expressions import ACTIVATIONS, FLOAT64, Operation, parse
from ._graph import Graph, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike
    from onnx import ValueInfoProto

    from ..losses import Loss
    from ..model import Model
    from ..optimizers import Optimizer
    from ._graph import Node

# Types of the input: a model converts what it gets.
_INPUTS = {
    getattr(TensorProto, name)
    for name in ("FLOAT", "DOUBLE", "FLOAT16", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32")
}
_ROWS = "Gather(x, columns, axis=1)"
_GEMM = "alpha=alpha, beta=beta, transA=transA, transB=transB"
# What other steps may look like; names are arguments of the method of `Assembly`, x is the data.
_STEPS: dict[str, Callable[..., None]] = {
    f"Gemm(x, weights, bias, {_GEMM})": Assembly.gemm,
    f"Gemm(x, weights, {_GEMM})": Assembly.gemm,
    "MatMul(x, weights)": Assembly.gemm,
    "MatMul(x, Transpose(weights, perm=perm))": Assembly.transposed,
    "Add(x, constant)": Assembly.add,
    "Sub(x, constant)": Assembly.subtract,
    "Sub(constant, x)": Assembly.subtract_from,
    "Mul(x, constant)": Assembly.multiply,
    "Div(x, constant)": Assembly.divide,
    "ai.onnx.ml.Scaler(x, offset=offset, scale=scale)": Assembly.scaler,
    "Dropout(x)": Assembly.dropout,
    "Dropout(x, ratio=ratio)": Assembly.dropout,
    "Dropout(x, ratio)": Assembly.dropout,
    "Dropout(x, ratio, training_mode)": Assembly.dropout,
    "Flatten(x, axis=axis)": Assembly.flatten,
    "Reshape(x, shape, allowzero=allowzero)": Assembly.reshape,
    # PyTorch's x.view(x.size(0), -1)
    "Reshape(x, Concat(Unsqueeze(Gather(Shape(x), 0), 0), size, axis=0))": Assembly.reshape_rows,
    "Reshape(x, Concat(Unsqueeze(Gather(Shape(x), 0), axes=axes), size, axis=0))": Assembly.reshape_rows,
    f"Where(coded, Equal({_ROWS}, categories), {_ROWS})": Assembly.one_hot,
    f"Equal({_ROWS}, categories)": Assembly.one_hot,
    # scikit-learn's classifiers of two classes
    "Concat(Sub(1, Sigmoid(x)), Sigmoid(x), axis=axis)": Assembly.two_classes,
}


def _activation(name: str) -> Callable[..., None]:
    return lambda assembly, **settings: assembly.activation(name, **settings)


def _by_operator() -> dict[str, list[tuple[Operation, Callable[..., None]]]]:
    """All steps by their last operator; activations, which look at more nodes, before single nodes."""
    steps = [(text, _activation(name)) for name, forms in ACTIVATIONS.items() for text in forms]
    steps += [(text, _activation(name)) for name, text in FLOAT64.items()]
    table: dict[str, list[tuple[Operation, Callable[..., None]]]] = {}
    for text, method in (*steps, *_STEPS.items()):
        operation = parse(text)
        table.setdefault(operation.operator, []).append((operation, method))
    return table


_TABLE = _by_operator()


def load(
    path: str | os.PathLike[str],
    *,
    output: str | None = None,
    loss: str | Loss | None = None,
    optimizer: str | Optimizer = "adam",
    metrics: str | Sequence[str] = "auto",
    dtype: DTypeLike | None = None,
    seed: int | None = None,
) -> Model:
    """A model from an ONNX graph that is a row of layers.

    Read are dense layers (Gemm, or MatMul and Add), all activations of `fastnn.activations`, Dropout,
    Flatten, Reshape that only flattens, columns that are shifted and scaled, and what `export` writes,
    in the forms in which PyTorch, Keras and scikit-learn's converter write them. An input of more axes
    than two is taken as rows of numbers: the model's input is flat.

    Parameters
    ----------
    path : str or path
    output : str, optional
        Name of the tensor that the model shall give; the graph's output if not given, or if it has
        several, the one of floating-point numbers.
    loss, optimizer, metrics, seed
        For training the model further: see `fastnn.Model`.
    dtype : {"float32", "float64"}, optional
        Of the model; that of the graph's constants, or of its input if it has none, if not given.

    Returns
    -------
    Model
        Built, with the weights of the graph.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not an ONNX file, or damaged, or has another operator: the message names it. Weights
        in other files are not read.

    Examples
    --------
    See `fastnn.onnx`.
    """
    path = os.fspath(path)
    options = {"loss": loss, "optimizer": optimizer, "metrics": metrics, "seed": seed}
    wanted = None if dtype is None else _validate.dtype(dtype)
    proto = read(path)
    try:
        graph = Graph(proto)
        steps, source = _walk(graph, _output(graph, output))
        end = graph.inputs[source]
        assembly = Assembly(_shape(end), graph.opset, graph.size, _dtype(end))
        for node, method, found in reversed(steps):
            _take(assembly, node, method, found)
        return assembly.model(wanted, **options)
    except ValueError as error:
        raise ValueError(f"{path} is not a row of layers: {error}") from error


def _output(graph: Graph, name: str | None) -> str:
    """Name of the tensor that is wanted."""
    if name is not None:
        if name not in graph.nodes:
            raise ValueError(f"no node gives {name!r}")
        return name
    names = [value.name for value in graph.outputs if len(graph.outputs) == 1 or _is_float(value)]
    if len(names) != 1:
        known = ", ".join(value.name for value in graph.outputs[:10])
        raise ValueError(f"it has {len(graph.outputs)} outputs ({known}); name one by output=")
    return str(names[0])


def _is_float(value: ValueInfoProto) -> bool:
    """Whether a value is floating-point numbers, or a sequence of dictionaries of them."""
    if value.type.HasField("sequence_type"):
        return True
    return value.type.tensor_type.elem_type in (TensorProto.FLOAT, TensorProto.DOUBLE)


def _shape(value: ValueInfoProto) -> list[int | None] | None:
    """Sizes of the input's axes, None where they may vary."""
    if not value.type.HasField("tensor_type"):
        raise ValueError(f"the input {value.name!r} is not a tensor")
    kind = value.type.tensor_type
    if kind.elem_type not in _INPUTS:
        raise ValueError(f"the input {value.name!r} is of the type {kind.elem_type}, not of real numbers")
    if not kind.HasField("shape"):
        return None
    return [size.dim_value if size.HasField("dim_value") else None for size in kind.shape.dim]


def _dtype(value: ValueInfoProto) -> str:
    return "float64" if value.type.tensor_type.elem_type == TensorProto.DOUBLE else "float32"


def _walk(graph: Graph, name: str) -> tuple[list[tuple[Node, Callable[..., None], dict[str, Any]]], str]:
    """The steps from the output back to an input, and the name of that input."""
    steps: list[tuple[Node, Callable[..., None], dict[str, Any]]] = []
    name = graph.source(name)
    while name not in graph.inputs:
        node = graph.nodes.get(name)
        if node is None:
            raise ValueError(f"{name!r} is not computed from the input")
        if len(steps) > len(graph.nodes):
            raise ValueError(f"{name!r} is computed from itself")
        method, found = _step(graph, name, node)
        name = found.pop("x")
        steps.append((node, method, found))
    return steps, name


def _step(graph: Graph, name: str, node: Node) -> tuple[Callable[..., None], dict[str, Any]]:
    """What a node does, perhaps with those before it."""
    for operation, method in _TABLE.get(node.operator, []):
        for found in graph.match(operation, name, {}):
            return method, found
    form = " in this form" if node.operator in _TABLE else ""
    raise ValueError(f"the operator {_named(node)} is not supported{form}")


def _take(assembly: Assembly, node: Node, method: Callable[..., None], found: dict[str, Any]) -> None:
    try:
        method(assembly, **found)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the operator {_named(node)} is not supported here: {error}") from error


def _named(node: Node) -> str:
    return f"{node.operator} (node {node.name!r})" if node.name else node.operator
