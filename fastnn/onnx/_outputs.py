"""The outputs and inputs of a graph that a model can have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from ..checks.hints import nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ValueInfoProto

    from ._graph import Graph, Node

# Types of the input: a model converts what it gets.
_INPUTS = {
    getattr(TensorProto, name)
    for name in ("FLOAT", "DOUBLE", "FLOAT16", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32")
}
_RANDOM = (
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Multinomial",
    "Bernoulli",
)
# Operators that do not change the number of columns, which weights after them determine.
_SAME_WIDTH = {"Relu", "Sigmoid", "Tanh", "LeakyRelu", "PRelu", "Elu", "Selu", "Gelu", "Softplus", "Swish"}
_SAME_WIDTH |= {"Clip", "HardSigmoid", "Celu", "Neg", "Dropout", "Identity", "Cast", "Concat", "Flatten"}
_SAME_WIDTH |= {"Add", "Sub", "Mul", "Div", "Max", "Min", "ai.onnx.ml.Scaler"}

# Operators of images whose channels are the axis behind that of the samples.
_OF_IMAGES = {"Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"}
_OF_IMAGES |= {"BatchNormalization", "InstanceNormalization"}
_RECURRENT = ("RNN", "GRU", "LSTM")
_SAME_CHANNELS = (_SAME_WIDTH - {"Flatten"}) | {"Pad", "Resize", "Upsample"}


def output(graph: Graph, name: str | None) -> str:
    """Name of the tensor that is wanted.

    Without a name, it is the only output that a model can compute: one that depends on the input, uses no
    random numbers and is floating-point.
    """
    if name is not None:
        if name not in graph.nodes:
            raise ValueError(f"no node gives {name!r}{nearest(name, graph.nodes)}")
        return name
    if len(graph.outputs) == 1:
        return str(graph.outputs[0].name)
    computed = _Computed(graph)
    obstacles = {str(value.name): computed.obstacle(value) for value in graph.outputs}
    chosen = [name for name, obstacle in obstacles.items() if not obstacle]
    if not chosen:
        known = "; ".join(f"{name!r} {obstacle}" for name, obstacle in list(obstacles.items())[:10])
        raise ValueError(f"none of its outputs can be a model's: {known}; name another tensor by output=")
    if len(chosen) > 1:
        raise ValueError(f"it has {len(chosen)} outputs ({', '.join(chosen[:10])}); name one by output=")
    return chosen[0]


class _Computed:
    """What tensors depend on; each node is visited once."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._found: dict[str, tuple[bool, Node | None]] = {}

    def obstacle(self, value: ValueInfoProto) -> str:
        """Why a model cannot have this output; empty if it can."""
        node = self._graph.nodes.get(value.name)
        if not _is_float(value):
            return f"is not floating-point: {'an input' if node is None else node.label}"
        if self._graph.source(value.name) in self._graph.inputs:
            return "is an input"
        from_input, random = self._of(value.name)
        if random is not None:
            return f"is random: {random.label}"
        return "" if from_input else "is constant"

    def _of(self, name: str) -> tuple[bool, Node | None]:
        """Whether it depends on the input, and a node that draws numbers at random for it."""
        wanted, waiting, opened, graph = name, [name], set[str](), self._graph
        while waiting:
            name = waiting[-1]
            node = graph.nodes.get(name)
            if name in self._found or node is None:
                self._found.setdefault(name, (name in graph.inputs, None))
                waiting.pop()
            elif name not in opened:  # its inputs come first
                opened.add(name)
                waiting += set(filter(None, node.inputs)) - self._found.keys() - opened
            else:
                parts = [self._found.get(value, (False, None)) for value in node.inputs if value]
                drawn = next((part[1] for part in parts if part[1]), None)
                random = node if node.operator in _RANDOM else drawn
                self._found[name] = (any(part[0] for part in parts), random)
                waiting.pop()
        return self._found[wanted]


def inputs_of(graph: Graph, name: str) -> list[str]:
    """Names of the inputs that a tensor is computed from, in the order of the graph."""
    seen, waiting = {name}, [name]
    while waiting:
        node = graph.nodes.get(waiting.pop())
        new = set(filter(None, node.inputs)) - seen if node else set()
        seen |= new
        waiting += new
    if not graph.inputs:
        raise ValueError("it has no input")
    return [known for known in graph.inputs if known in seen] or list(graph.inputs)[:1]


def _is_float(value: ValueInfoProto) -> bool:
    """Whether a value is floating-point, or a sequence of dictionaries of such values."""
    if value.type.HasField("sequence_type"):
        return True
    return value.type.tensor_type.elem_type in (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)


def shape(value: ValueInfoProto) -> list[int | None] | None:
    """Sizes of the axes of an input, None where they may vary; None if they are unknown."""
    if not value.type.HasField("tensor_type"):
        raise ValueError(f"the input {value.name!r} is not a tensor")
    kind = value.type.tensor_type
    if kind.elem_type not in _INPUTS:
        raise ValueError(f"the input {value.name!r} is of the type {kind.elem_type}, not of real numbers")
    if not kind.HasField("shape"):
        return None
    return [(size.dim_value or None) if size.HasField("dim_value") else None for size in kind.shape.dim]


def dtype(values: list[ValueInfoProto]) -> str:
    """The dtype of a model with these inputs."""
    double = any(value.type.tensor_type.elem_type == TensorProto.DOUBLE for value in values)
    return "float64" if double else "float32"


def _users(graph: Graph) -> dict[str, list[Node]]:
    """The nodes that take each tensor."""
    users: dict[str, list[Node]] = {}
    for node in {id(node): node for node in graph.nodes.values()}.values():
        for place in set(map(graph.source, filter(None, node.inputs))):
            users.setdefault(place, []).append(node)
    return users


def is_image(graph: Graph, name: str) -> bool:
    """Whether an input has channels, and these before its sizes, as those operators want that come first."""
    if len(shape(graph.inputs[name]) or []) < 3:
        return False
    users, waiting, seen = _users(graph), [name], {name}
    while waiting:
        for node in users.get(waiting.pop(), []):
            if node.operator in _OF_IMAGES and graph.source(node.inputs[0]) in seen:
                return True
            if node.operator in _SAME_CHANNELS:
                waiting += set(node.outputs[:1]) - seen
                seen |= set(node.outputs[:1])
    return False


def is_series(graph: Graph, name: str) -> bool:
    """Whether an input has its times before its samples, as recurrent operators want."""
    if len(shape(graph.inputs[name]) or []) != 3:
        return False
    users = _users(graph).get(name, [])
    return any(node.operator in _RECURRENT and graph.source(node.inputs[0]) == name for node in users)


def width(graph: Graph, name: str) -> int | None:
    """Number of columns of an input, inferred from the weights after it; None if that is not possible."""
    users = _users(graph)
    waiting, seen = [name], {name}
    while waiting:
        place = waiting.pop()
        for node in users.get(place, []):
            if found := _width_for(graph, node, [graph.source(value) == place for value in node.inputs]):
                return found
            new = set(node.outputs[:1]) - seen if node.operator in _SAME_WIDTH else set()
            waiting += new
            seen |= new
    return None


def _width_for(graph: Graph, node: Node, is_x: list[bool]) -> int | None:
    """Number of columns that a node expects in one of its inputs."""
    others = [None if own else graph.constant(value) for own, value in zip(is_x, node.inputs, strict=True)]
    attributes = graph.attributes(node)
    if node.operator in ("Gemm", "MatMul") and len(others) > 1:
        if is_x[0] and others[1] is not None and others[1].ndim == 2:
            return int(others[1].shape[1 if attributes.get("transB") else 0])
        if is_x[1] and others[0] is not None and others[0].ndim == 2:
            return int(others[0].shape[0 if attributes.get("transA") else 1])
    elif node.operator in ("Add", "Sub", "Mul", "Div") and len(others) == 2:
        return _length(others[0] if is_x[1] else others[1])
    elif node.operator == "ai.onnx.ml.Scaler":
        return _length(np.asarray(attributes.get("offset") or []))
    elif node.operator.startswith("ai.onnx.ml.Linear"):
        rows = max(len(attributes.get("intercepts") or []), 1)
        return len(attributes.get("coefficients") or []) // rows
    return None


def _length(constant: NDArray[Any] | None) -> int | None:
    """Length of a constant that is a row of several values."""
    if constant is None or constant.size < 2 or math.prod(constant.shape[:-1]) != 1:
        return None
    return int(constant.size)
