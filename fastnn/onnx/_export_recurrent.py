"""Recurrent layers as nodes: ONNX has time first, another order of the gates, and an axis for directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..layers.recurrent import GRU, LSTM, SimpleRNN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.ops import Shape
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
    operator, order, activations = _OPERATORS[type(layer)]

    def gates(values: NDArray[np.floating]) -> NDArray[np.floating]:
        """The last axis in the order of ONNX's gates."""
        parts = np.split(values, layer.gates, axis=-1)
        return np.concatenate([parts[k] for k in order], axis=-1)

    names = [graph.node("Transpose", [graph.output], perm=[1, 0, 2])]
    for name, values in (("weights", layer.weights), ("recurrent_weights", layer.recurrent_weights)):
        names.append(graph.constant(name, gates(values).T[np.newaxis]))
    if layer.use_bias:
        bias = np.zeros((2, layer.gates * layer.units))
        bias[: layer.biases] = layer.bias
        names.append(graph.constant("bias", gates(bias).reshape(1, -1)))
    options = {"linear_before_reset": 1} if operator == "GRU" else {}
    graph.node(
        operator,
        names,
        hidden_size=layer.units,
        direction="reverse" if layer.go_backwards else "forward",
        activations=activations.format(layer.activation.name.capitalize()).split(),
        **options,
    )
    if not layer.return_sequences:  # in the order of the time steps, whatever the direction
        last = graph.constant("last", 0 if layer.go_backwards else -1, np.int64)
        graph.node("Gather", [graph.output, last], axis=0)
        graph.node("Squeeze", [graph.output, graph.constant("direction", [0], np.int64)])
        return
    graph.node("Squeeze", [graph.output, graph.constant("direction", [1], np.int64)])
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
