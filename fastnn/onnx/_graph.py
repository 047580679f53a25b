"""An ONNX model as a graph that can be searched."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from . import _external
from ._expressions import Expression, Operation, Setting

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ValueInfoProto

    #: What the names of an expression stand for: the data's name, a constant, or an attribute.
    Found = dict[str, Any]

_OPSETS = (1, 28)  # of the standard operators, first and last
_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)
_COMMUTATIVE = ("Add", "Mul", "Max", "Min")
_CLOSE = 1e-6  # relative: a constant in float32
_IGNORED = ("seed",)  # attributes that do not matter outside of training


class Node(NamedTuple):
    """An operator's name, with its domain if that is not the standard one; names; attributes."""

    operator: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]

    @property
    def label(self) -> str:
        """What messages call it: its operator, and its name if it has one, else its output's."""
        return f"{self.operator} (node {(self.name or self.outputs[0])!r})"


class Graph:
    """The nodes of a graph, by the names of their outputs.

    Parameters
    ----------
    model : ModelProto
    folder : str or None
        Folder of external weights.

    Attributes
    ----------
    opset : int
        Version of the standard operators.
    inputs : dict of str to ValueInfoProto
    outputs : list of ValueInfoProto
    nodes : dict of str to Node
        By the name of each output.

    Raises
    ------
    ValueError
        If a name is used twice, or the version of the operators is unknown.
    """

    def __init__(self, model: onnx.ModelProto, folder: str | None = None) -> None:
        self._folder = folder
        versions = {entry.domain or "": entry.version for entry in model.opset_import}
        self._versions = {"": versions.get("", versions.get("ai.onnx", 1)), **versions}
        self.opset = int(self._versions[""])
        if not _OPSETS[0] <= self.opset <= _OPSETS[1]:
            first, last = _OPSETS
            raise ValueError(f"its operators are of version {self.opset}; known are {first} ... {last}")
        graph = model.graph
        if graph.sparse_initializer:
            raise ValueError("sparse weights are not supported")
        self._tensors: dict[str, TensorProto] = {}
        self._constants: dict[str, NDArray[Any]] = {}
        self.nodes: dict[str, Node] = {}
        self._origins: dict[str, tuple[str, int | None]] = {}
        self._converted: dict[tuple[str, int], NDArray[Any]] = {}
        for tensor in graph.initializer:
            self._must_be_new(tensor.name)
            self._tensors[tensor.name] = tensor
        self.inputs: dict[str, ValueInfoProto] = {
            str(value.name): value for value in graph.input if value.name not in self._tensors
        }
        self.outputs = list(graph.output)
        for node in map(_node, graph.node):
            for output in filter(None, node.outputs):
                self._must_be_new(output)
                self.nodes[output] = node
            if node.operator == "Constant" and len(node.outputs) == 1:
                self._add_constant(node.outputs[0], node.attributes)

    def _must_be_new(self, name: str) -> None:
        if name in self._tensors or name in self.nodes:
            raise ValueError(f"{name!r} is computed twice")

    def _add_constant(self, name: str, attributes: dict[str, Any]) -> None:
        """Store the value of a constant node."""
        for kind, value in attributes.items():
            if isinstance(value, TensorProto):
                self._tensors[name] = value
            elif kind in ("value_float", "value_floats", "value_int", "value_ints") and value is not None:
                self._constants[name] = np.asarray(value, np.float32 if "float" in kind else np.int64)

    @property
    def size(self) -> int:
        """Upper bound of the values in its constants; files shared by several count once."""
        tensors = self._tensors.values()
        files = dict(_external.size(tensor, self._folder) for tensor in tensors if _is_external(tensor))
        return int(sum(tensor.ByteSize() for tensor in tensors)) + sum(files.values())

    def source(self, name: str) -> str:
        """The origin of a value, back across nodes that pass it through."""
        return self._origin(name)[0]

    def _origin(self, name: str) -> tuple[str, int | None]:
        """The same, with the type that the last of these nodes converts to, if any."""
        place, passed = name, []
        while place not in self._origins:
            node = self.nodes.get(place)
            if node is None or not _passes(node):
                self._origins[place] = place, None
                break
            passed.append((place, node))
            if len(passed) > len(self.nodes):
                raise ValueError(f"{name!r} is computed from itself")
            place = node.inputs[0]
        for later, node in reversed(passed):
            source, to = self._origins[place]
            self._origins[later] = source, node.attributes["to"] if node.operator == "Cast" else to
            place = later
        return self._origins[name]

    def constant(self, name: str) -> NDArray[Any] | None:
        """The values of a constant, or None if it is not a constant."""
        source, to = self._origin(name)
        if source not in self._constants and source in self._tensors:
            self._constants[source] = _numbers(self._tensors[source], self._folder)
        values = self._constants.get(source)
        if values is None or to is None or values.dtype.kind == "f":
            return values  # as the precision is the model's
        if (source, to) not in self._converted:
            self._converted[source, to] = self.converted(name, values)
        return self._converted[source, to]

    def converted(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
        """Integers or truths at the origin of a value, as the floating-point numbers that it is."""
        to = self._origin(name)[1]
        sizes = values.dtype.kind == "O" and not all(
            isinstance(one, (int, np.integer)) for one in values.ravel().tolist()
        )
        return values if to is None or sizes else values.astype(helper.tensor_dtype_to_np_dtype(to))

    def match(self, expression: Expression, name: str, found: Found) -> Iterator[Found]:
        """Values for the names of an expression, if a value is computed by that expression."""
        if isinstance(expression, Operation):
            yield from self._match_operation(expression, self.source(name), found)
        elif isinstance(expression, str):
            constant = self.constant(name)
            value = self.source(name) if expression == "x" else constant
            known = found.get(expression)
            if (expression == "x") != (constant is None) or value is None:
                return
            if known is None or (known is value if expression != "x" else known == value):
                yield {**found, expression: value}
        else:
            constant = self.constant(name)
            if constant is None or constant.size != 1 or constant.ndim > 1:
                return  # one of more axes might give the data more
            if _is_close(constant.item(), expression):
                yield found

    def _match_operation(self, wanted: Operation, name: str, found: Found) -> Iterator[Found]:
        node = self.nodes.get(name)
        if node is None or node.operator != wanted.operator or node.outputs[0] != name:
            return
        inputs = list(node.inputs)
        while inputs and not inputs[-1]:
            inputs.pop()
        captured = self._match_attributes(wanted, node)
        if captured is None or len(inputs) != len(wanted.arguments) or not all(inputs):
            return
        found = {**found, **captured}
        orders = [inputs, inputs[::-1]] if node.operator in _COMMUTATIVE and len(inputs) == 2 else [inputs]
        for order in orders:
            candidates = [found]
            for argument, value in zip(wanted.arguments, order, strict=True):
                candidates = [more for one in candidates for more in self.match(argument, value, one)]
            yield from candidates

    def attributes(self, node: Node) -> dict[str, Any]:
        """The attributes of a node, with the defaults of its operator's version."""
        return {**self._defaults(node.operator), **node.attributes}

    def _match_attributes(self, wanted: Operation, node: Node) -> Found | None:
        """The values of the settings among the attributes; None if other attributes do not match."""
        given = {name: value for name, value in node.attributes.items() if name not in _IGNORED}
        defaults = self._defaults(node.operator)
        found: Found = {}
        for name in {*given, *wanted.attributes, *defaults}:
            value = given.get(name, defaults.get(name))
            expected = wanted.attributes.get(name, defaults.get(name))
            if isinstance(expected, Setting):
                found[expected.name] = value
            elif name in wanted.attributes or name in given:
                if value is None or expected is None or not _is_close(value, expected):
                    return None
        return found

    def _defaults(self, operator: str) -> dict[str, Any]:
        domain, _, name = operator.rpartition(".")
        try:
            schema = onnx.defs.get_schema(name, int(self._versions.get(domain, 1)), domain)
        except onnx.defs.SchemaError:
            return {}
        defaults = ((name, entry.default_value) for name, entry in schema.attributes.items())
        return {name: _attribute(value) for name, value in defaults if value.type}


def _node(proto: onnx.NodeProto) -> Node:
    domain = "" if proto.domain in ("", "ai.onnx") else f"{proto.domain}."
    attributes = {entry.name: _attribute(entry) for entry in proto.attribute}
    return Node(f"{domain}{proto.op_type}", proto.name, list(proto.input), list(proto.output), attributes)


def _attribute(entry: AttributeProto) -> Any:
    """A number, a string, a list of them, or a tensor; None for other attributes."""
    if entry.type == AttributeProto.FLOAT:
        return float(entry.f)
    if entry.type == AttributeProto.INT:
        return int(entry.i)
    if entry.type == AttributeProto.STRING:
        return entry.s.decode(errors="replace")
    if entry.type == AttributeProto.FLOATS:
        return list(entry.floats)
    if entry.type == AttributeProto.INTS:
        return list(entry.ints)
    if entry.type == AttributeProto.STRINGS:
        return [text.decode(errors="replace") for text in entry.strings]
    return entry.t if entry.type == AttributeProto.TENSOR else None


def _passes(node: Node) -> bool:
    """Whether a node passes its input through; conversions count, since the model has one precision."""
    if len(node.inputs) != 1:
        return False
    if node.operator == "Cast":
        return node.attributes.get("to") in _FLOATS
    return node.operator in ("Identity", "ai.onnx.ml.ZipMap")


def _is_close(value: Any, expected: Any) -> bool:
    if isinstance(value, (int, float)) and isinstance(expected, (int, float)):
        return math.isclose(value, expected, rel_tol=_CLOSE)
    return bool(value == expected)


def _is_external(tensor: TensorProto) -> bool:
    return bool(tensor.data_location == TensorProto.EXTERNAL or tensor.external_data)


def _numbers(tensor: TensorProto, folder: str | None) -> NDArray[Any]:
    """The values of a tensor; their number must match its shape."""
    try:
        kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{tensor.name!r} is of the unknown type {tensor.data_type}") from error
    if kind.kind not in "fiub" or kind.names:
        raise ValueError(f"{tensor.name!r} is of type {kind}, not numbers")
    if any(size < 0 for size in tensor.dims):
        raise ValueError(f"{tensor.name!r} has the shape {tuple(tensor.dims)}")
    if _is_external(tensor):
        content = _external.read(tensor, folder)
        return np.frombuffer(content, kind.newbyteorder("<")).reshape(tuple(tensor.dims)).astype(kind)
    if math.prod(tensor.dims) > tensor.ByteSize():
        raise ValueError(f"{tensor.name!r} has fewer numbers than its shape {tuple(tensor.dims)} needs")
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{tensor.name!r} is damaged: {error}") from error
