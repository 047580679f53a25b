"""Networks of a model: its layers, with an input of a known size, laid out for each purpose."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import array_checks
from ..memory import buffers
from . import network
from .plan import constants, frozen_ranges, parameters, plan, views, widths
from .threads import shards

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..metrics import Metric
    from .head import Head
    from .network import Network
    from .plan import Layer
    from .state import State

# Prediction and evaluation go through so many rows at a time that a layer's output has about this
# many numbers: it then stays in the CPU's second cache.
_CHUNK = 32768


class NetworkBuilder:
    """Layers with an input of `n_in` numbers, and all that follows from these.

    Attributes
    ----------
    layers : sequence of Layer
    dtype : str
    sizes : list of int
        Numbers that a row of the input and of each layer's output has.
    places : list of Parameter
        Where weights and biases lie in the flat vector.
    chunk : int
        How many rows prediction goes through at a time.
    """

    def __init__(self, layers: Sequence[Layer], n_in: int, dtype: str) -> None:
        self.layers, self.dtype = layers, dtype
        self.sizes = widths(layers, n_in)
        self.places = parameters(layers, n_in)
        self.chunk = min(max(_CHUNK // max(self.sizes), 16), 1024)

    @property
    def n_in(self) -> int:
        """Numbers that a row of the input has."""
        return self.sizes[0]

    def new_vector(self) -> tuple[NDArray[Any], list[dict[str, NDArray[Any]]]]:
        """A vector for all parameters, and for each layer views into it."""
        vector = buffers.allocate(sum(p.size for p in self.places), self.dtype, buffers.PARAMETERS)
        return vector, views(vector, self.places, len(self.layers))

    def draw(self, arrays: list[dict[str, NDArray[Any]]], seed: int) -> None:
        """Fill the layers' parameters by their initializers; each layer has a generator of its own.

        A layer that has weights already keeps them.
        """
        for index, (layer, own) in enumerate(zip(self.layers, arrays, strict=True)):
            generator = np.random.default_rng([seed, index])
            for name, view in own.items():
                if name in layer.views:
                    continue
                drawn = layer.initializer(name).draw(view.shape, generator)
                view[...] = array_checks.array(name, drawn, self.dtype, (1, 2))

    def constants(self) -> NDArray[Any]:
        """What preprocessing layers measured, as one vector; a ValueError if sizes do not fit any more."""
        numbers = constants(self.layers, self.n_in, self.dtype)
        if widths(self.layers, self.n_in) != self.sizes:
            raise ValueError("the model is built for another number of categories; make a new model")
        return numbers

    def frozen_ranges(self) -> list[tuple[int, int]]:
        """The ranges of the flat vector that are not trained."""
        return frozen_ranges(self.layers, self.places)

    def for_training(
        self, state: State, head: Head, metrics: Sequence[Metric], rows: int, purpose: str
    ) -> Network:
        """A network for `rows` samples: to "train", to "evaluate", for the "gradient", or "embedded"."""
        count = 2 if purpose == "evaluate" else 3  # without alpha, or with
        penalties = [
            (p.offset, p.size, factors)
            for p in self.places
            if p.name == "weights" and any(factors := self.layers[p.layer].penalties()[:count])
        ]
        loss = head.loss
        if loss is not None and purpose in ("train", "evaluate"):
            loss = loss.as_reported()
        count = shards(rows, state.parameters.size)
        lay_out = functools.partial(plan, self.layers, self.n_in, -(-rows // count), self.dtype)
        embedded = purpose == "embedded"
        measured = () if embedded else metrics
        shown = any(metric.of_output for metric in measured)
        return network.network(
            lay_out(training=True, head=head.ops, with_output=shown),
            state.parameters,
            constants=state.constants,
            batch_size=rows,
            n_shards=count,
            loss=loss,
            penalties=penalties,
            metrics=measured,
            predict=lay_out(training=False) if embedded else None,
            inputs=lay_out(training=True, input_gradient=True) if embedded else None,
            scales_targets=loss is not None and self.layers[-1].of_targets,
        )

    def for_prediction(self, state: State) -> Network:
        """A network that predicts `chunk` rows at a time."""
        layout = plan(self.layers, self.n_in, self.chunk, self.dtype, training=False)
        return network.network(layout, state.parameters, constants=state.constants, batch_size=layout.rows)

    def for_one_layer(self, index: int, state: State, rows: int) -> Network:
        """A network that predicts by one of the layers alone."""
        at = next((p.offset for p in self.places if p.layer == index), 0)
        first = constants(self.layers[:index], self.n_in, self.dtype).size
        layout = plan(
            [self.layers[index]],
            self.sizes[index],
            rows,
            self.dtype,
            training=False,
            at=at,
            constants_at=first,
        )
        return network.network(layout, state.parameters, constants=state.constants, batch_size=rows)


def output_size(layers: Sequence[Layer], n_in: int) -> int:
    """Numbers that a row of the output has for an input of `n_in`; 0 if that is not known yet."""
    return widths(layers, n_in)[-1]


def parameter_count(layers: Sequence[Layer], n_in: int) -> int:
    """How many parameters the layers have for an input of `n_in`."""
    return sum(p.size for p in parameters(layers, n_in))


def without_weights(layers: Sequence[Layer], n_in: int, rows: int, dtype: str) -> tuple[Network, int]:
    """A network of adapted layers that have no weights, for so many rows at a time; and its output's size."""
    layout = plan(layers, n_in, rows, dtype, training=False)
    numbers = constants(layers, n_in, dtype)
    return network.network(layout, np.zeros(0, dtype), constants=numbers, batch_size=rows), layout.n_out
