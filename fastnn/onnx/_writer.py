"""Writes ONNX graphs, node by node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .._version import __version__
from ..data import array_checks
from ._expressions import Expression, Operation, Setting, parse

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Writer:
    """Writes a sequence of nodes: each gets the output of the one before.

    Parameters
    ----------
    dtype : {"float32", "float64"}
    opset : int
        Version of the operators.

    Attributes
    ----------
    name : str
        Of the layer being written; its nodes and constants are named after it.
    parameters : mapping of str to array
        Those of the layer being written.
    folds : bool
        Whether batch normalization becomes part of the layer before it where it can.
    """

    def __init__(self, dtype: str, opset: int) -> None:
        self.dtype, self.opset = np.dtype(dtype), opset
        self.name = ""
        self.parameters: Mapping[str, NDArray[Any]] = {}
        self.folds = False
        self._last, self._waiting = "X", 0
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._scalars: dict[float, str] = {}
        self._outputs: list[onnx.ValueInfoProto] = []

    def constant(self, name: str, values: ArrayLike, dtype: Any = None) -> str:
        """Name of a new constant of the layer, of the graph's dtype if none is given."""
        return self._constant(f"{self.name}.{name}", values, dtype or self.dtype)

    def scalar(self, value: float) -> str:
        """Name of a scalar constant."""
        if value not in self._scalars:
            self._scalars[value] = self._constant(f"constant.{len(self._scalars)}", value, self.dtype)
        return self._scalars[value]

    def classes(self, name: str, values: NDArray[Any]) -> str:
        """Name of a new constant of integers or strings."""
        kind = TensorProto.STRING if values.dtype.kind == "O" else TensorProto.INT64
        items = [str(value).encode() for value in values] if values.dtype.kind == "O" else values.tolist()
        self._constants[name] = helper.make_tensor(name, kind, values.shape, items)
        return name

    def _constant(self, name: str, values: ArrayLike, dtype: Any) -> str:
        with np.errstate(over="ignore"):
            array = np.array(values, dtype)
        array_checks.finite(name, np.atleast_1d(array))
        self._constants[name] = numpy_helper.from_array(array, name)
        return name

    def node(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        """Name of the output at a place of a new node, which becomes the input of the next one."""
        name = f"{self.name}.{operator}.{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        self.output = name
        return name

    def second(self) -> str:
        """Let the last node give its second output in place of its first."""
        self._nodes[-1].output.insert(0, "")
        return self.output

    @property
    def output(self) -> str:
        """Name of the output of the last node, channels last."""
        if self._waiting:
            ndim, self._waiting = self._waiting, 0
            self.node("Transpose", [self._last], perm=[0, *range(2, ndim + 1), 1])
        return self._last

    @output.setter
    def output(self, name: str) -> None:
        self._last, self._waiting = name, 0

    def channels_first(self, ndim: int) -> str:
        """Move the last of a sample's `ndim` axes to where ONNX expects channels, before the others."""
        if self._waiting == ndim:  # where they are already
            self._waiting = 0
            return self._last
        return self.node("Transpose", [self.output], perm=[0, ndim, *range(1, ndim)])

    def channels_last(self, ndim: int) -> None:
        """Undo `channels_first`, once what follows needs it."""
        self._waiting = ndim

    def mean(self, x: str) -> str:
        """Name of the mean of a tensor over its last axis, which is kept."""
        return self.reduce("ReduceMean", x, [-1])

    def reduce(self, operator: str, x: str, axes: Iterable[int], keepdims: bool = True) -> str:
        """Name of the mean, or what else the operator gives, of a tensor over some of its axes."""
        axes = list(axes)
        if self.opset < 18:  # the first in which the axes are an input
            return self.node(operator, [x], axes=axes, keepdims=int(keepdims))
        name = f"axes {axes}"
        if name not in self._constants:
            self._constant(name, axes, np.int64)
        return self.node(operator, [x, name], keepdims=int(keepdims))

    def write(self, text: str, settings: Mapping[str, float], *, elementwise: bool = False) -> None:
        """Add the nodes of an expression of the current output; in any order of axes if it is elementwise."""
        x = self._last if elementwise else self.output
        waiting = self._waiting

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
        self._waiting = waiting

    def finish(self, name: str, kind: int, *row: int) -> None:
        """Make what was written last an output of the graph: a row of so many numbers for each sample."""
        old, self.output = self.output, name
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [name if one == old else one for one in names]
        self._outputs.append(helper.make_tensor_value_info(name, kind, ["batch", *row]))

    def model(self, shape: Sequence[int], ir_version: int) -> onnx.ModelProto:
        """The graph of one input, X."""
        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        x = helper.make_tensor_value_info("X", kind, ["batch", *shape])
        constants = list(self._constants.values())
        graph = helper.make_graph(self._nodes, "fastnn", [x], self._outputs, constants)
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self.opset)],
            ir_version=ir_version,
            producer_name="fastnn",
            producer_version=__version__,
        )
