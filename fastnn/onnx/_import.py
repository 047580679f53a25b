"""A model from a sequential ONNX graph."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from . import (
    _classes,
    _import_attention,
    _import_embeddings,
    _import_missing,
    _import_normalizations,
    _merged,
    _outputs,
)
from ._arithmetic import softmax
from ._assembly import Assembly
from ._call import Call
from ._expressions import (
    ACTIVATIONS,
    FLOAT64,
    LAYER_NORMALIZATIONS,
    RMS_NORMALIZATIONS,
    Operation,
    parse,
)
from ._file import read
from ._graph import Graph
from ._layout import BATCH
from ._operators import SEVERAL_OUTPUTS, TABLE
from ._rows import OTHERS, Merged, Rows, Scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike
    from onnx import ModelProto, ValueInfoProto

    from ..losses import Loss
    from ..model import Model
    from ..optimizers import Optimizer
    from ._call import Value
    from ._graph import Node

    #: The names of tensors that a step needs, and what it makes of them.
    Plan = tuple[list[str], Callable[[list[Value]], Value]]

_FREE = (
    "the size of its input {!r} is not known: a model has a fixed one, so export it with a fixed number of "
    "time steps, or of pixels, and only that of the samples free"
)
_ROWS = "Gather(x, columns, axis=axis)"
# What several operators together are; names are arguments of the method of `Assembly`, x is the data.
_FILLED = ("Where(IsNaN(x), fill, x)", "Where(And(IsNaN(x), imputed), fill, x)")
_STEPS: dict[str, Callable[..., Value]] = {
    f"Where(coded, Equal({_ROWS}, categories), {_ROWS})": _classes.one_hot,
    f"Equal({_ROWS}, categories)": _classes.one_hot,
    f"Gather(weights, ArgMax(Equal({_ROWS}, categories), axis=last, keepdims=0))": _import_embeddings.vectors,
    **dict.fromkeys(_FILLED, _import_missing.imputed),
    **{
        f"Concat({filled}, Gather(IsNaN(x), indicated, axis=-1), axis=-1)": _import_missing.imputed
        for filled in _FILLED
    },
    **dict.fromkeys(LAYER_NORMALIZATIONS, _import_normalizations.written),
    **dict.fromkeys(RMS_NORMALIZATIONS, _import_normalizations.root_mean_square),
    # scikit-learn's classifiers of two classes
    "Concat(Sub(1, Sigmoid(x)), Sigmoid(x), axis=axis)": _classes.two_classes,
}


def _activation(name: str) -> Callable[..., Value]:
    return lambda assembly, x, **settings: assembly.activation(x, name, **settings)


def _by_operator() -> dict[str, list[tuple[Operation, str, Callable[..., Value]]]]:
    """Expressions by their last operator, with the names of the activations."""
    steps = [(text, name, _activation(name)) for name, forms in ACTIVATIONS.items() for text in forms]
    steps += [(text, name, _activation(name)) for name, text in FLOAT64.items()]
    steps += [(text, "", method) for text, method in _STEPS.items()]
    table: dict[str, list[tuple[Operation, str, Callable[..., Value]]]] = {}
    for text, name, method in steps:
        operation = parse(text)
        table.setdefault(operation.operator, []).append((operation, name, method))
    return table


_FORMS = _by_operator()


def load(
    source: str | os.PathLike[str] | bytes | ModelProto,
    *,
    output: str | None = None,
    loss: str | Loss | None = None,
    optimizer: str | Optimizer = "adam",
    metrics: str | Sequence[str] = "auto",
    dtype: DTypeLike | None = None,
    seed: int | None = None,
) -> Model:
    """A model from an ONNX graph that is a row of layers, in which branches may part and join again.

    Read are products with weights, all activations of `fastnn.activations`, shifts and scales of columns,
    normalization within samples, normalization of batches as it is in evaluation, convolutions, pooling,
    recurrent operators, attention, embeddings, sums and concatenations of branches, limits, dropout,
    operators that only move numbers, scikit-learn's linear models, and what `export` writes, in the forms
    in which PyTorch, Keras and scikit-learn's converter write them. An input of more axes than two is taken
    as flat rows of numbers, unless the first layers act on its axes. An input of one axis, and one of fixed
    sizes that the graph mixes, is a single row.

    Parameters
    ----------
    source : str or path or bytes or onnx.ModelProto
        Weights in separate files can only be read if it is a path.
    output : str, optional
        Name of the tensor that the model must return; the graph's output if not given, or if it has
        several, the only one that is computed from the input, without random numbers, and of
        floating-point numbers.
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
    TypeError
        If `source` is none of these.
    ValueError
        If it is not an ONNX file, or damaged, or has another operator: the message names it. Or if it
        asks for weights in files that do not lie in its own folder or below, links followed.

    Examples
    --------
    See `fastnn.onnx`.
    """
    options = {"loss": loss, "optimizer": optimizer, "metrics": metrics, "seed": seed}
    wanted = None if dtype is None else validate.dtype(dtype)
    proto, folder, title = read(source)
    try:
        graph = Graph(proto, folder)
        name = _without_column(graph, _outputs.output(graph, output))
        with np.errstate(all="ignore"):  # results that are not finite are rejected
            return _model(graph, name, wanted, options)
    except ValueError as error:
        raise ValueError(f"{title} is not a row of layers: {error}") from error


def _without_column(graph: Graph, name: str) -> str:
    """The tensor that an output flattens to one column, as skl2onnx does with rows."""
    node = graph.nodes.get(graph.source(name))
    if node is not None and node.operator == "Reshape" and len(node.inputs) == 2:
        shape = graph.constant(node.inputs[1])
        if shape is not None and shape.tolist() == [-1, 1]:
            return node.inputs[0]
    return name


def _model(graph: Graph, name: str, dtype: str | None, options: dict[str, Any]) -> Model:
    """The model that computes a tensor, for the first interpretation of the input axes that allows one."""
    ends = [graph.inputs[end] for end in _outputs.inputs_of(graph, name)]
    known = [_meanings(graph, end) for end in ends]
    images = [_outputs.is_image(graph, end.name) for end in ends]
    plain = [False] * len(ends)
    failed: ValueError | None = None
    for several in (True, False):  # several rows, or a single one
        chosen = [[one for one in meanings if (BATCH in one[0]) is several] for meanings in known]
        if not all(chosen):
            continue
        assembly = Assembly(graph.size, _outputs.dtype(ends))
        try:
            rows = assembly.inputs([meaning for meaning, *_ in chosen], images if several else plain)
            given = dict(zip((end.name for end in ends), rows, strict=True))
            value = _Reading(graph, assembly, given).value(name)
            if not isinstance(value, Rows):
                raise ValueError(_no_tensor(graph, name, value))
            if BATCH in value.sizes and math.prod(value.sizes[: value.sizes.index(BATCH)]) != 1:
                axis, label = value.sizes.index(BATCH), graph.nodes[graph.source(name)].label
                raise ValueError(f"the operator {label} gives the samples as axis {axis}, not the first")
            return assembly.model(value, dtype, **options)
        except ValueError as error:
            failed = failed or error
    if failed is None:
        raise ValueError(f"its inputs {[end.name for end in ends]} are rows and single rows")
    raise failed


def _no_tensor(graph: Graph, name: str, value: Value) -> str:
    """Why a model cannot have this for its output."""
    if isinstance(value, np.ndarray):
        return f"{name!r} is not computed from the input"
    return f"the operator {graph.nodes[graph.source(name)].label} gives {OTHERS}"


def _meanings(graph: Graph, end: ValueInfoProto) -> list[tuple[list[Any], int | None]]:
    """Interpretations of the input axes, likelier ones first: samples and their rows, or a single row."""
    sizes = _outputs.shape(end)
    if sizes is None:
        sizes = [None, None]
    if not sizes:
        raise ValueError("an input of 0 axes is not supported")
    if _outputs.is_series(graph, end.name):
        times, samples, *features = sizes
        if None in (times, *features):
            raise ValueError(_FREE.format(end.name))
        return [([times, BATCH, *features], samples)]
    first, *row = sizes
    if len(sizes) <= 2 and sizes[-1] is None:
        found = _outputs.width(graph, end.name)
        first, row = (found, []) if len(sizes) == 1 else (first, [found])
    if None in row or (not row and first is None):
        raise ValueError(_FREE.format(end.name))
    several = [([BATCH, *row], first)] if row else []
    return several if first is None else [*several, ([first, *row], None)]


class _Reading:
    """Evaluates the tensors of a graph: as rows, from which layers are built, or as constants."""

    def __init__(self, graph: Graph, assembly: Assembly, inputs: Mapping[str, Rows]) -> None:
        self._graph, self._assembly = graph, assembly
        self._values: dict[str, Value] = {**inputs}

    def value(self, name: str) -> Value:
        """A tensor by its name, computed after those that it depends on."""
        plans: dict[str, Plan] = {}
        waiting = [self._place(name)]
        while waiting:
            place = waiting[-1]
            if self._known(place) is not None:
                waiting.pop()
                continue
            if place not in plans:
                plans[place] = self._plan(place)
            needed, make = plans[place]
            missing = [value for value in needed if self._known(value) is None]
            if any(self._place(value) in plans for value in missing):
                raise ValueError(f"{place!r} is computed from itself")
            if missing:
                waiting += [self._place(value) for value in missing]
                continue
            self._values[place] = make([self._known(value) for value in needed])  # type: ignore[misc]
            waiting.pop()
            del plans[place]
        result = self._known(name)
        assert result is not None
        return result

    def _place(self, name: str) -> str:
        return self._graph.source(name)

    def _known(self, name: str) -> Value | None:
        """A constant, or a tensor that was computed already."""
        constant = self._graph.constant(name)
        if constant is not None:
            return constant
        value = self._values.get(self._place(name))
        if isinstance(value, np.ndarray) and value.dtype.kind != "f":
            return self._graph.converted(name, value)
        return value

    def _plan(self, name: str) -> Plan:
        """The inputs of a tensor, and the function that computes it."""
        node = self._graph.nodes.get(name)
        if node is None:
            raise ValueError(f"{name!r} is not computed from the input")
        for operation, activation, method in _FORMS.get(node.operator, []):
            for found in self._graph.match(operation, name, {}):
                return [found["x"]], self._form(node, activation, method, found)
        part = node.outputs.index(name)
        function, known = TABLE.get(node.operator, (None, ()))
        extra = set(node.attributes) - set(known)
        if function is None or extra or (part and node.operator not in SEVERAL_OUTPUTS):
            form = " in this form" if function or node.operator in _FORMS else ""
            raise ValueError(f"the operator {node.label} is not supported{form}")
        return [value for value in node.inputs if value], self._call(node, function, part)

    def _form(
        self, node: Node, activation: str, method: Callable[..., Value], found: dict[str, Any]
    ) -> Callable[[list[Value]], Value]:
        def make(values: list[Value]) -> Value:
            given, settings = values[0], {key: value for key, value in found.items() if key != "x"}
            x = _merged.apart(given)
            if isinstance(x, Scores) and activation == "softmax":
                return _import_attention.softmax(x, settings["axis"])
            if not isinstance(x, Rows) or (given is not x and not activation):
                what = "it computes constants" if isinstance(x, np.ndarray) else f"it takes {OTHERS}"
                raise ValueError(what)
            if "softmax" in activation:
                axis = settings["axis"] if given is x else -1
                y: Value = softmax(self._assembly, x, activation, axis, self._graph.opset)
            else:
                y = method(self._assembly, x, **settings)
            return _merged.together(y, [given])

        return self._safely(node, make)

    def _call(
        self, node: Node, function: Callable[[Call], Value], part: int
    ) -> Callable[[list[Value]], Value]:
        attributes = self._graph.attributes(node)

        def make(values: list[Value]) -> Value:
            given = iter(values)
            inputs = [next(given) if name else None for name in node.inputs]
            call = Call(self._assembly, inputs, attributes, self._graph.opset, part, len(node.outputs))
            merged = any(isinstance(value, Merged) for value in inputs)
            return (
                _merged.applied(call, function)
                if merged and node.operator in _merged.OPERATORS
                else function(call)
            )

        return self._safely(node, make)

    def _safely(self, node: Node, make: Callable[[list[Value]], Value]) -> Callable[[list[Value]], Value]:
        """Call a function so that errors name the node."""

        def safe(values: list[Value]) -> Value:
            try:
                return make(values)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                raise ValueError(f"the operator {node.label} is not supported here: {error}") from error

        return safe
