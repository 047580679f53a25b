"""Recurrent layers as nodes: ONNX has time first, another order of the gates, and an axis for directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..layers.recurrent import GRU, LSTM, SimpleRNN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..engine.ops import Shape
    from ..layers.bidirectional import Bidirectional
    from ..layers.recurrent import Recurrent
    from ._writer import Writer

# Of each layer the operator, the order of its gates among ours, and its activations.
_OPERATORS = {
    SimpleRNN: ("RNN", [0], "{0}"),
    GRU: ("GRU", [0, 1, 2], "Sigmoid {0}"),
    LSTM: ("LSTM", [0, 3, 1, 2], "Sigmoid {0} {0}"),
}
_SMALLEST = np.iinfo(np.int64).min


def write_recurrent(graph: Writer, layer: Recurrent, shape: Shape) -> None:
    """Write a recurrent layer."""
    _write(graph, [layer], "reverse" if layer.go_backwards else "forward")
    axis = graph.constant("direction", [int(layer.return_sequences)], np.int64)
    graph.node("Squeeze", [graph.output, axis])
    if not layer.return_sequences:
        return
    graph.node("Transpose", [graph.output], perm=[1, 0, 2])
    if layer.go_backwards and not layer.in_time_order:
        pieces = {"start": -1, "end": _SMALLEST, "axis": 1, "step": -1}
        graph.node(
            "Slice",
            [
                graph.output,
                *(graph.constant(name, [value], np.int64) for name, value in pieces.items()),
            ],
        )


def write_both_directions(graph: Writer, layer: Bidirectional, shape: Shape) -> None:
    """Write a layer that concatenates the outputs of both directions, which are an axis of their own."""
    parts = [layer.forward_layer, layer.backward_layer]
    _write(graph, parts, "bidirectional")
    graph.node("Transpose", [graph.output], perm=[2, 0, 1, 3] if layer.layer.return_sequences else [1, 0, 2])
    sizes = [0, *layer.output_shape(shape)]
    graph.node("Reshape", [graph.output, graph.constant("shape", sizes, np.int64)])


def _write(graph: Writer, layers: Sequence[Recurrent], direction: str) -> None:
    """Write the operator of layers of the same settings, for all times or for the last state."""
    layer = layers[0]
    operator, order, activations = _OPERATORS[type(layer)]

    def gates(values: NDArray[np.floating]) -> NDArray[np.floating]:
        """The last axis in the order of ONNX's gates."""
        parts = np.split(values, layer.gates, axis=-1)
        return np.concatenate([parts[k] for k in order], axis=-1)

    names = [graph.node("Transpose", [graph.output], perm=[1, 0, 2])]
    for name in ("weights", "recurrent_weights"):
        names.append(graph.constant(name, [gates(getattr(one, name)).T for one in layers]))
    if layer.use_bias:
        biases = np.zeros((len(layers), 2, layer.gates * layer.units))
        for own, one in zip(biases, layers, strict=True):
            own[: layer.biases] = one.bias
        names.append(graph.constant("bias", gates(biases).reshape(len(layers), -1)))
    options = {"linear_before_reset": 1} if operator == "GRU" else {}
    graph.node(
        operator,
        names,
        hidden_size=layer.units,
        direction=direction,
        activations=activations.format(layer.activation.name.capitalize()).split() * len(layers),
        **options,
    )
    if not layer.return_sequences:
        graph.second()  # the last state, whatever the direction
