"""Graph: what a network computes, as ops on tensors. Layers write it, `plan` lays it out in memory.

A layer's `lower` takes the tensors that come in, adds its ops, and returns the tensor that goes out. A
container adds its layers, each under a name of its own (`Graph.add`); the names on the way from the model
to a layer are its path, as in ``"3.body.0"``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from .ops import ADD_GRADIENTS, AS_NAMED, Op, ParameterSpec, Products, Shape, Tensor, pass_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

_IDENTITY = "layers.activation.identity"
# Number of the first stream of random numbers of layers within containers; others count from 1.
_NESTED_STREAMS = 1 << 31


class Layer(Protocol):
    """What the engine asks of a layer: see `fastnn.Layer`, which says what each of these is."""

    checks_rows: bool
    takes_missing: bool
    of_targets: bool
    codes: bool
    supports_masking: bool
    kernels: tuple[str, ...]

    @property
    def takes_indices(self) -> bool: ...  # noqa: D102
    @property
    def label(self) -> str: ...  # noqa: D102
    @property
    def runs_by_step(self) -> bool: ...  # noqa: D102
    @property
    def trainable(self) -> bool: ...  # noqa: D102
    @property
    def adapted(self) -> bool: ...  # noqa: D102
    @property
    def views(self) -> dict[str, NDArray[Any]]: ...  # noqa: D102
    def attach(self, executor: Any, path: str) -> None: ...  # noqa: D102
    def bind(self, views: dict[str, NDArray[Any]]) -> None: ...  # noqa: D102
    def check_values(self, name: str, values: NDArray[Any], label: str) -> None: ...  # noqa: D102
    def penalties(self) -> tuple[float, float, float]: ...  # noqa: D102
    def check_rows(self, x: NDArray[Any], shape: Shape, first: int, name: str) -> None: ...  # noqa: D102
    def changed_columns(self, n_in: int) -> list[int] | None: ...  # noqa: D102
    def added_columns(self) -> int | None: ...  # noqa: D102
    def missing_columns(self, n_in: int) -> list[int]: ...  # noqa: D102
    def output_shape(self, *inputs: Shape) -> Shape: ...  # noqa: D102
    def parameters(self, *inputs: Shape) -> list[ParameterSpec]: ...  # noqa: D102
    def running_statistics(self, *inputs: Shape) -> list[ParameterSpec]: ...  # noqa: D102
    def constants(self, *inputs: Shape) -> NDArray[np.float64]: ...  # noqa: D102
    def trace(self, origins: Any, limits: Any) -> Any: ...  # noqa: D102
    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor: ...  # noqa: D102


class ParameterPlace(NamedTuple):
    """Where a parameter lies in the flat vector, or a running statistic in its own."""

    path: str
    layer: Layer
    spec: ParameterSpec
    offset: int

    @property
    def name(self) -> str:
        """Its name in the layer."""
        return self.spec.name

    @property
    def key(self) -> str:
        """Its name in the model, ``"3.body.0.weights"``."""
        return f"{self.path}.{self.spec.name}"

    @property
    def shape(self) -> Shape:
        """Its shape."""
        return self.spec.shape

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.spec.shape)


class Node(NamedTuple):
    """A layer in its place.

    Attributes
    ----------
    path : str
    layer : Layer
    inputs : tuple of shapes
    output : shape
    parameters : tuple of ParameterPlace
        Its own, and those of the layers in it.
    statistics : tuple of ParameterPlace
        The same of its running statistics.
    constants : int
        Offset of its numbers, or of those of the layers in it.
    place : tuple of int
        Its number among the model's layers; in a container also its number there, counted from 1.
    value : int
        The value in the graph that its output is.
    """

    path: str
    layer: Layer
    inputs: tuple[Shape, ...]
    output: Shape
    parameters: tuple[ParameterPlace, ...]
    statistics: tuple[ParameterPlace, ...]
    constants: int
    place: tuple[int, ...]
    value: int

    @property
    def own_parameters(self) -> list[ParameterPlace]:
        """Those that are not of a layer in it."""
        return [place for place in self.parameters if place.layer is self.layer]

    @property
    def own_statistics(self) -> list[ParameterPlace]:
        """Those that are not of a layer in it."""
        return [place for place in self.statistics if place.layer is self.layer]


class Graph:
    """Ops in the order in which they are computed, and the layers that they are of.

    Parameters
    ----------
    shape : tuple of int
        Of a sample of the input.
    at : (int, int, int)
        Where parameters, running statistics and constants begin: of a part of a network, those of the
        network.
    products : Products

    Attributes
    ----------
    input, output : Tensor
    ops : list of Op
    parameters : list of ParameterPlace
        In the order in which they lie in the flat vector.
    statistics : list of ParameterPlace
        The running statistics, in the order in which they lie in theirs.
    nodes : list of Node
        Of all layers, containers before what is in them.
    """

    def __init__(
        self, shape: Shape, at: tuple[int, int, int] = (0, 0, 0), products: Products = AS_NAMED
    ) -> None:
        self.input = self.output = Tensor(0, shape)
        self.ops: list[Op] = []
        self._aside: list[Op] = []  # in whose place others were put, but for `until`
        self.parameters: list[ParameterPlace] = []
        self.statistics: list[ParameterPlace] = []
        self.nodes: list[Node] = []
        self.products = products
        self._values, self._nested_streams = 1, _NESTED_STREAMS
        self._parameters_end, self._statistics_end, self._constants_end = at
        self._constants: list[NDArray[np.float64]] = []
        self._current = _Current((), "", 0, 0)

    @property
    def n_parameters(self) -> int:
        """Numbers that are trained."""
        return sum([place.size for place in self.parameters])

    @property
    def multiplications(self) -> int:
        """About how many a sample costs in the forward pass."""
        return sum([op.multiplications for op in self.ops])

    @property
    def splits(self) -> bool:
        """Whether most of the gradients of parameters can be computed in pieces: see `Op.matrix`.

        Those of recurrent ops are not worth it: few parameters, and much that they are computed of.
        """
        whole = sum([op.multiplications for op in self.ops if op.matrix[1] == 0 or op.state_per_row > 0])
        return 2 * whole <= self.multiplications

    @property
    def n_statistics(self) -> int:
        """Numbers that are running statistics."""
        return sum([place.size for place in self.statistics])

    def add(self, name: str, layer: Layer, *inputs: Tensor) -> Tensor:
        """Lower a layer; `name` is what the layer that is being lowered calls it.

        Returns
        -------
        Tensor
            Its output.
        """
        outer = self._current
        outer.layers += 1
        if outer.place:
            place, path = (*outer.place, outer.layers), f"{outer.path}.{name}"
            stream, self._nested_streams = self._nested_streams, self._nested_streams + 1
        else:
            place, path, stream = (outer.layers - 1,), name, outer.layers
        shapes = tuple([tensor.shape for tensor in inputs])
        current = self._current = _Current(place, path, stream, self._constants_end)
        first, first_statistic, index = len(self.parameters), len(self.statistics), len(self.nodes)
        for spec in layer.parameters(*shapes):
            parameter = ParameterPlace(path, layer, spec, self._parameters_end)
            current.parameters[spec.name] = parameter
            self.parameters.append(parameter)
            self._parameters_end += parameter.size
        current.statistics = self._statistics_end
        for spec in layer.running_statistics(*shapes):
            self.statistics.append(ParameterPlace(path, layer, spec, self._statistics_end))
            self._statistics_end += math.prod(spec.shape)
        numbers = layer.constants(*shapes)
        self._constants.append(numbers)
        self._constants_end += numbers.size
        at = current.constants
        self.nodes.append(Node(path, layer, shapes, (), (), (), at, place, 0))  # before those in it
        result = pass_mask(inputs[0], layer.lower(self, *inputs), layer)
        own, statistics = tuple(self.parameters[first:]), tuple(self.statistics[first_statistic:])
        self.nodes[index] = Node(path, layer, shapes, result.shape, own, statistics, at, place, result.value)
        self._current = outer
        return result

    def add_in_a_row(self, layers: Sequence[Layer], tensor: Tensor) -> Graph:
        """Lower the layers of a model, of which the first takes a tensor; see `finish`."""
        for i, layer in enumerate(layers):
            tensor = self.add(str(i), layer, tensor)
        return self.finish(tensor)

    def op(
        self,
        kernel: str,
        inputs: Sequence[Tensor],
        shape: Shape,
        *,
        parameters: Sequence[str | None] = (),
        settings: Sequence[float] = (),
        constants: bool = False,
        statistics: bool = False,
        in_place: bool = False,
        saves: str = "",
        passes_gradient: bool = False,
        scratch_per_row: int = 0,
        scratch_per_part: int = 0,
        shared_scratch: int = 0,
        multiplications: int | None = None,
        matrix: tuple[int, int] = (1, 0),
        differentiable: bool = True,
        state_per_row: int = 0,
        couples: bool = False,
        product: str = "",
        drops: bool = False,
    ) -> Tensor:
        """Add an op of the layer that is being lowered: see `Op`.

        Parameters
        ----------
        kernel : str
            Where its kernels are; the op table gets the addresses of the entries ``forward``,
            ``backward_input`` and, of an op with parameters, ``backward_weights``, which may read the first
            input, the gradient with respect to the output and the op's scratch.
        inputs : sequence of Tensor
            One or two.
        shape : tuple of int
            Of the output.
        parameters : sequence of str or None
            Names of the parameters, in the order of the kernel.
        constants : bool
            Whether it reads the layer's constants.
        multiplications : int, optional
            If they are not as many as the numbers of its parameters.
        statistics : bool
            Whether it reads the layer's running statistics; its ``update_statistics`` runs after each step.

        Returns
        -------
        Tensor
            The output.
        """
        current = self._current
        result = Tensor(self._values, shape)
        self._values += 1
        if multiplications is None:
            multiplications = sum([current.parameters[name].size for name in parameters if name is not None])
        self.ops.append(
            Op(
                kernel,
                tuple(inputs),
                result,
                settings,
                tuple([None if name is None else current.parameters[name].offset for name in parameters]),
                current.constants if constants else None,
                current.stream,
                in_place,
                saves,
                passes_gradient,
                scratch_per_row,
                shared_scratch,
                multiplications,
                matrix,
                differentiable,
                state_per_row,
                couples,
                self.products.get(product, product),
                current.statistics if statistics else None,
                scratch_per_part,
                drops,
            )
        )
        return result

    def set_aside(self) -> list[Op]:
        """Take away all ops so far, in whose place others are put by `append`; `until` still knows them."""
        self._aside, self.ops = self.ops, []
        return self._aside

    def append(self, op: Op) -> Tensor:
        """Add an op whose output gets another number; the output."""
        output = Tensor(self._values, op.output.shape)
        self._values += 1
        self.ops.append(op.changed(output=output))
        return output

    def finish(self, output: Tensor) -> Graph:
        """Take a tensor for the output of the network, and add what gradients need.

        Returns
        -------
        Graph
            Itself.
        """
        if output.value == 0:  # nothing is computed: an op has to write what comes in where it is wanted
            output = self.op(_IDENTITY, [output], output.shape)
        self.output = output
        left: dict[int, int] = {}  # how often each value is read from here on
        for op in self.ops:
            for tensor in op.inputs if op.differentiable else ():
                left[tensor.value] = left.get(tensor.value, 0) + 1
        ops: list[Op] = []
        for op in self.ops:
            for tensor in op.inputs if op.differentiable else ():
                if left[tensor.value] > 1:
                    left[tensor.value] -= 1
                    ops.append(Op(ADD_GRADIENTS, (tensor,), tensor, (), (), None, 0, True, "", False, 0, 0))
            ops.append(op)
        self.ops = ops
        return self

    def constants(self, dtype: str) -> NDArray[Any]:
        """The numbers of all layers that are not trained, as one vector."""
        with np.errstate(over="ignore"):
            result = np.concatenate([np.zeros(0), *self._constants]).astype(dtype)
        if not np.isfinite(result).all():
            raise ValueError(f"the data spread too far for the layers that scale them, in {dtype}")
        return result

    def sizes(self) -> list[Shape]:
        """The shapes of the layers' outputs and of all parameters, by which networks are laid out."""
        return [*(node.output for node in self.nodes), *(place.shape for place in self.parameters)]

    def node(self, layer: Layer) -> Node:
        """The place of a layer."""
        return next(node for node in self.nodes if node.layer is layer)

    def part(self, node: Node) -> Graph:
        """The graph of one of its layers alone, whose parameters and constants stay where they are."""
        at = [places[0].offset if places else 0 for places in (node.parameters, node.statistics)]
        part = Graph(node.inputs[0], (at[0], at[1], node.constants), self.products)
        return part.finish(part.add(node.path, node.layer, part.input))

    def until(self, node: Node) -> Graph:
        """The graph that computes the output of one of its layers, from the same parameters and constants."""
        result = Graph(self.input.shape)
        needed = {node.value}
        for op in reversed([*self._aside, *self.ops]):
            if op.output.value in needed and not op.merges:
                needed.update(tensor.value for tensor in op.inputs)
                result.ops.insert(0, op)
        return result.finish(Tensor(node.value, node.output))


@dataclass
class _Current:
    """The layer that is being lowered, or the network as a whole."""

    place: tuple[int, ...]
    path: str
    stream: int
    constants: int
    statistics: int = 0
    parameters: dict[str, ParameterPlace] = field(default_factory=dict)  # its own
    layers: int = 0  # in it, so far


def lower(layers: Sequence[Layer], shape: Shape, products: Products = AS_NAMED) -> Graph:
    """The graph of layers in a row, for samples of this shape."""
    graph = Graph(shape, products=products)
    return graph.add_in_a_row(layers, graph.input)


def shapes(layers: Sequence[Layer], shape: Shape) -> list[Shape]:
    """Shapes of a sample of the input, and of what each of layers in a row gives; 0 where it is not known."""
    result = [shape]
    for layer in layers:
        result.append(layer.output_shape(result[-1]))
    return result
