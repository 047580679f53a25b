"""Recurrent operators, as layers that begin with a state of zeros."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..layers.bidirectional import Bidirectional
from ..layers.recurrent import GRU, LSTM, SimpleRNN
from ._layout import BATCH
from ._steps import Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..layers.base import Layer
    from ._call import Call
    from ._rows import Rows


class _Kind(NamedTuple):
    """A recurrent operator: its layer, its activations, and its gates in the layer's order."""

    layer: Any
    activations: tuple[str, ...]
    gates: tuple[int, ...]


KINDS = {
    "RNN": _Kind(SimpleRNN, ("Tanh",), (0,)),
    "GRU": _Kind(GRU, ("Sigmoid", "Tanh"), (0, 1, 2)),
    "LSTM": _Kind(LSTM, ("Sigmoid", "Tanh", "Tanh"), (0, 2, 3, 1)),
}


def recurrent(call: Call, operator: str) -> Rows:
    """The states of all times, or the last one, of one direction or of both."""
    kind, options, x = KINDS[operator], call.attributes, call.x
    found, direction = _activations(call, kind), options.get("direction", "forward")
    if found != kind.activations and not (operator == "RNN" and found == ("Relu",)):
        raise ValueError(f"its activations are {', '.join(found)}")
    if options.get("layout") or options.get("input_forget"):
        raise ValueError(f"its layout is {options.get('layout', 0)}, or it has no gate of its own to forget")
    if operator == "GRU" and not options.get("linear_before_reset"):
        raise ValueError("it resets its state before the product, which a fn.GRU does after it")
    if call.part > 1:
        raise ValueError("the state of its cells is asked for")
    if len(x.sizes) != 3 or x.sizes[1] != BATCH:
        raise ValueError(f"it takes sequences from {list(x.sizes)}")
    if call.input(4) is not None and (call.constant(4) != x.sizes[0]).any():
        raise ValueError("the lengths of its sequences are given")
    for place in (5, 6):
        if call.input(place) is not None and call.constant(place).any():
            raise ValueError("it begins with a state that is not 0")
    if call.input(7) is not None and call.constant(7).any():
        raise ValueError("it has peepholes")
    both = direction == "bidirectional"
    parts = [_arrays(call, kind, x.sizes[2], number, 1 + both) for number in range(1 + both)]
    units, steps, sequences = parts[0]["recurrent_weights"].shape[0], x.sizes[0], call.part == 0
    backwards = direction == "reverse"

    def make() -> Layer:
        layer = kind.layer(
            units,
            **({"activation": found[0].lower()} if operator == "RNN" else {}),
            use_bias="bias" in parts[0],
            return_sequences=sequences,
            go_backwards=backwards,
        )
        return Bidirectional(layer) if both else layer

    names = ("forward_layer.", "backward_layer.") if both else ("",)
    width = units * len(parts)
    made = Step(
        width * (steps if sequences else 1),
        make=make,
        arrays={
            prefix + name: own
            for prefix, part in zip(names, parts, strict=True)
            for name, own in part.items()
        },
        takes=(steps, x.sizes[2]),
        gives=(steps, width) if sequences else (width,),
        trained=True,
    )
    call.assembly.use(made.size)
    step = replace(made, before=call.assembly.ordered(x, [0, 2]))
    if not sequences:
        return call.assembly.spread(step, [0, 2], [len(parts), BATCH, units], x.samples)
    y = call.assembly.spread(step, [0, 1, 3], [steps, len(parts), BATCH, units], x.samples)
    if backwards:  # the layer gives the last time first
        y = call.assembly.moved(y, lambda own: own.moved(own.array[::-1]))
    return y


def _activations(call: Call, kind: _Kind) -> tuple[str, ...]:
    """Those of one direction, which may be there for both."""
    given = tuple(call.attributes.get("activations") or kind.activations)
    n = len(kind.activations)
    if len(given) > n and given[n:] != given[:n]:
        raise ValueError(f"its activations are {', '.join(given)}")
    return given[:n]


def _arrays(
    call: Call, kind: _Kind, features: int, number: int, directions: int
) -> dict[str, NDArray[np.float64]]:
    """The parameters of the layer of one direction."""
    gates = len(kind.gates)
    weights, states = (call.assembly.numbers("weights", call.constant(place)) for place in (1, 2))
    units = states.shape[-1]
    shape = (directions, gates * units)
    if weights.shape != (*shape, features) or states.shape != (*shape, units):
        raise ValueError(f"its weights have the shapes {weights.shape} and {states.shape}")

    def ordered(values: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = np.split(values, gates)
        return np.concatenate([parts[gate] for gate in kind.gates])

    arrays = {"weights": ordered(weights[number]).T, "recurrent_weights": ordered(states[number]).T}
    if call.input(3) is not None:
        bias = call.assembly.numbers("bias", call.constant(3))
        if bias.shape != (directions, 2 * gates * units):
            raise ValueError(f"its bias has the shape {bias.shape}")
        both = [ordered(half) for half in np.split(bias[number], 2)]
        arrays["bias"] = np.stack(both) if kind.layer is GRU else both[0] + both[1]
    return arrays
