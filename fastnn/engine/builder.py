"""Networks of a model: its layers, with an input of a known shape, laid out for each purpose."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import array_checks
from ..memory import buffers
from . import network
from .compute_dtype import products
from .graph import lower
from .index_limits import index_limits
from .lengths import lower_with_lengths
from .network_sizes import NetworkSizes, network_sizes
from .plan import lay_out, plan
from .threads import parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..metrics import Metric
    from .graph import Graph, Layer, Node
    from .head import Head
    from .network import Network
    from .ops import Shape
    from .plan import Plan
    from .state import State

    #: A layer, and its parameters by name.
    Arrays = tuple[Node, dict[str, NDArray[Any]]]

# Prediction and evaluation go through so many rows at a time that a layer's output has about this
# many numbers: it then stays in the CPU's second cache.
_CHUNK = 32768
# Kernels of ops that do not know the number of a row in its batch, as those that drop numbers at random do.
_BY_ROW = tuple(
    f"layers.{name}"
    for name in ("dense", "activation", "softmax", "derivatives", "combine", "scaling", "unscale")
)


class NetworkBuilder:
    """Layers with an input of a known shape, and all that follows from these.

    Attributes
    ----------
    layers : sequence of Layer
    dtype : str
    products : Products
    graph : Graph
    chunk : int
        How many rows prediction goes through at a time.
    """

    def __init__(self, layers: Sequence[Layer], shape: Shape, dtype: str, compute_dtype: str) -> None:
        self.layers, self.dtype, self.products = layers, dtype, products(compute_dtype)
        self.graph = lower(layers, shape, self.products)
        self._with_lengths: Graph | None = None
        self._take_limits()
        widest = max([self.graph.input.size, *[op.n_out for op in self.graph.ops]])
        self.chunk = min(max(_CHUNK // widest, 16), 1024)

    def _take_limits(self) -> None:
        limits = index_limits(self.layers, self.graph.input.shape)
        self._limits = np.zeros(0, self.dtype) if limits is None else limits.values.astype(self.dtype)

    @functools.cached_property
    def _own_layers(self) -> list[Layer]:
        return [node.layer for node in self.graph.nodes if node.own_parameters or node.own_statistics]

    def trained(self) -> list[bool]:
        """Of each layer that has parameters or running statistics, whether it is trained."""
        return [layer.trainable for layer in self._own_layers]

    def new_vectors(self) -> tuple[NDArray[Any], NDArray[Any], list[Arrays]]:
        """Vectors for all parameters and all running statistics, and the views that layers have."""
        vector = buffers.allocate(self.graph.n_parameters, self.dtype, buffers.PARAMETERS)
        statistics = buffers.allocate(self.graph.n_statistics, self.dtype, buffers.STATISTICS)
        arrays: list[Arrays] = []
        for node in self.graph.nodes:
            places = [(vector, place) for place in node.own_parameters]
            places += [(statistics, place) for place in node.own_statistics]
            if places:
                views = {p.name: of[p.offset : p.offset + p.size].reshape(p.shape) for of, p in places}
                arrays.append((node, views))
        return vector, statistics, arrays

    def draw(self, arrays: list[Arrays], seed: int) -> None:
        """Fill the layers' parameters by their initializers; each layer has a generator of its own.

        A layer that has parameters already keeps them.
        """
        for node, views in arrays:
            generator = np.random.default_rng([seed, *node.place])
            for _, _, spec, _ in (*node.own_parameters, *node.own_statistics):
                if spec.name not in node.layer.views:
                    values = spec.initializer.draw(spec.shape, generator, spec.fan)
                    if not spec.initializer.is_safe:
                        values = array_checks.array(spec.name, values, self.dtype, (len(spec.shape),))
                    views[spec.name][...] = values

    def bind(self, arrays: Sequence[Arrays]) -> None:
        """Make these the layers' parameters; what a layer has already, from use alone, is kept."""
        for node, own in arrays:
            for name, view in own.items():
                if name in node.layer.views:
                    old = node.layer.views[name]
                    if old.shape != view.shape:
                        raise ValueError(f"{node.layer!r} has {name} of shape {old.shape}, not {view.shape}")
                    view[...] = old
        for node, own in arrays:
            node.layer.bind(own)

    def refresh(self) -> NDArray[Any]:
        """Take over what layers are adapted to, and give their numbers, as one vector.

        Raises
        ------
        ValueError
            If shapes do not fit any more.
        """
        graph = lower(self.layers, self.graph.input.shape, self.products)
        if graph.sizes() != self.graph.sizes():
            raise ValueError("the model is built for another number of categories; make a new model")
        numbers = graph.constants(self.dtype)
        self.graph, self._with_lengths = graph, None
        self._take_limits()
        return numbers

    def graph_of(self, lengths: bool) -> Graph:
        """The graph, or that for samples of which the lengths are given."""
        if not lengths:
            return self.graph
        if self._with_lengths is None:
            self._with_lengths = lower_with_lengths(self.layers, self.graph.input.shape, self.products)
        return self._with_lengths

    def for_training(
        self,
        state: State,
        head: Head,
        metrics: Sequence[Metric],
        rows: int,
        purpose: str,
        lengths: bool = False,
    ) -> Network:
        """A network for `rows` samples: to "train", to "evaluate", for the "gradient", or "embedded".

        Or for "input": as "gradient", but gradients go back to the input, to DX of the first row; or for the
        "passes" forward and back without a loss. With `lengths`, it reads those of the samples.
        """
        if purpose == "passes":
            return self._for_passes(state, rows, lengths)
        loss = head.loss
        if loss is not None and purpose in ("train", "evaluate"):
            loss = loss.as_reported()
        lay_out = functools.partial(plan, self.graph_of(lengths), rows, self.dtype)
        embedded = purpose == "embedded"
        measured = () if embedded else metrics
        shown = any(metric.of_output for metric in measured)
        result = network.network(
            lay_out(training=True, head=head.ops, with_output=shown, input_gradient=purpose == "input"),
            state.parameters,
            statistics=state.statistics,
            constants=state.constants,
            batch_size=rows,
            cut=parts(rows, state.parameters.size, self.graph.multiplications, self.graph.splits),
            n_workers=1 if embedded else None,
            loss=loss,
            penalties=self._penalties(2 if purpose == "evaluate" else 3),
            metrics=measured,
            predict=lay_out(training=False) if embedded else None,
            inputs=lay_out(training=True, input_gradient=True) if embedded else None,
            passes=self._n_places if embedded else None,
            step=self._of_one_step(rows) if embedded else None,
            scales_targets=loss is not None and self.layers[-1].of_targets,
            limits=self._limits,
        )
        # Nothing reads what the ops of a part left, once it has its gradient.
        if result.fields.part_gradients and purpose in ("train", "gradient") and not metrics:
            result.fields.reuses_rows = all(
                op.kernel.startswith(_BY_ROW) for op in self.graph_of(lengths).ops
            )
        return result

    def training_sizes(self, head: Head, metrics: Sequence[Metric], rows: int) -> NetworkSizes:
        """What a network to train with batches of `rows` samples allocates; loads no kernels."""
        shown = any(metric.of_output for metric in metrics)
        return network_sizes(
            lay_out(self.graph, rows, self.dtype, training=True, head=head.ops, with_output=shown),
            cut=parts(rows, self.graph.n_parameters, self.graph.multiplications, self.graph.splits),
            loss=head.loss,
            n_penalties=len(self._penalties(3)),
            metrics=metrics,
            scales_targets=head.loss is not None and self.layers[-1].of_targets,
        )

    def prediction_sizes(self) -> NetworkSizes:
        """The same of a network that predicts `chunk` rows at a time."""
        return network_sizes(lay_out(self.graph, self.chunk, self.dtype, training=False))

    def _for_passes(self, state: State, rows: int, lengths: bool) -> Network:
        layout = plan(self.graph_of(lengths), rows, self.dtype, training=True, input_gradient=True)
        return network.network(
            layout,
            state.parameters,
            statistics=state.statistics,
            constants=state.constants,
            batch_size=rows,
            cut=parts(rows, state.parameters.size, self.graph.multiplications, self.graph.splits),
            penalties=self._penalties(3),
            inputs=layout,
            passes=self._n_places,
            limits=self._limits,
        )

    @property
    def _n_places(self) -> int:
        """How many arrays of parameters and running statistics there are."""
        return len(self.graph.parameters) + len(self.graph.statistics)

    def _penalties(self, count: int) -> list[tuple[int, int, tuple[float, ...]]]:
        """What is penalised: offset, size, and as many of the factors: without alpha, or with."""
        penalised = [(p, p.spec.penalty[:count]) for p in self.graph.parameters]
        return [(p.offset, p.size, factors) for p, factors in penalised if any(factors)]

    def one_step_graph(self) -> Graph | None:
        """The graph of one time step; None if there is no recurrent layer, or one needs all time steps."""
        shape = self.graph.input.shape
        if len(shape) > 2 or not any(op.state_per_row for op in self.graph.ops):
            return None
        for i, layer in enumerate(self.layers):
            if len(shape) == 1 and i:  # the last state: what comes after takes all of it
                break
            given, shape = shape, layer.output_shape(shape)
            if not layer.runs_by_step or (len(given) == 1 and len(shape) != 2):  # not of integers, in time
                return None
        return lower(self.layers, (1, *self.graph.input.shape[1:]), self.products)

    def _of_one_step(self, rows: int) -> Plan | None:
        """The layout for one time step, if there is one."""
        step = self.one_step_graph()
        if step is None:
            return None
        layout = plan(step, rows, self.dtype, training=False)
        # The constants are those of the whole sequence, each layer's of one time step in the middle of them.
        numbers = layout.ops["constants"].copy()
        for whole, one in zip(self.graph.nodes, step.nodes, strict=True):
            sizes = [node.layer.constants(*node.inputs).size for node in (whole, one)]
            if sizes[1]:
                middle = whole.constants + (sizes[0] - sizes[1]) // 2
                layout.ops["constants"][numbers == one.constants] = middle
        return layout

    def for_prediction(self, state: State, lengths: bool = False) -> Network:
        """A network that predicts `chunk` rows at a time."""
        layout = plan(self.graph_of(lengths), self.chunk, self.dtype, training=False)
        all_finite = np.where(np.isnan(self._limits), self._limits.dtype.type(np.inf), self._limits)
        return self._predictor(layout, state, all_finite)

    @property
    def drops(self) -> bool:
        """Whether any of the layers drops something in training."""
        return any(op.drops for op in self.graph.ops)

    def for_sampling(self, state: State, lengths: bool = False) -> Network:
        """The same, where dropout drops: see `kernels.driver.sample`."""
        layout = plan(self.graph_of(lengths), self.chunk, self.dtype, training=False, sampling=True)
        net = self._predictor(layout, state)
        net.fields.common_ops = layout.common
        return net

    def for_derivatives(self, state: State, node: Node | None, rows: int, lengths: bool = False) -> Network:
        """A network up to a layer, or all, that predicts and has gradients with respect to its input."""
        graph = self.graph_of(lengths)
        if node is not None:
            graph = graph.until(next(own for own in graph.nodes if own.path == node.path))
        lay_out = functools.partial(plan, graph, rows, self.dtype)
        both_ways = lay_out(training=True, input_gradient=True)
        return network.network(
            both_ways,
            state.parameters,
            statistics=state.statistics,
            constants=state.constants,
            batch_size=rows,
            n_workers=1,
            predict=lay_out(training=False),
            inputs=both_ways,
        )

    def for_one_layer(self, node: Node, state: State, rows: int) -> Network:
        """A network that predicts by one of the layers alone."""
        layout = plan(self.graph.part(node), rows, self.dtype, training=False)
        return self._predictor(layout, state)

    def _predictor(self, layout: Plan, state: State, limits: NDArray[Any] | None = None) -> Network:
        return network.network(
            layout,
            state.parameters,
            statistics=state.statistics,
            constants=state.constants,
            batch_size=layout.rows,
            limits=limits,
        )


def without_weights(layers: Sequence[Layer], shape: Shape, rows: int, dtype: str) -> tuple[Network, int]:
    """A network of adapted layers that have no weights, for so many rows at a time; and its output's size."""
    graph = lower(layers, shape)
    layout = plan(graph, rows, dtype, training=False)
    empty, numbers = np.zeros(0, dtype), graph.constants(dtype)
    net = network.network(layout, empty, statistics=empty, constants=numbers, batch_size=rows)
    return net, layout.n_out
