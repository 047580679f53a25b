"""Recurrent operators, as layers that begin with a state of zeros."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..layers.recurrent import GRU, LSTM, SimpleRNN
from ._layout import BATCH, unsqueezed
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
    """The states of all times, or the last one."""
    kind, options, x = KINDS[operator], call.attributes, call.x
    # By default they are there for both directions.
    found = tuple(options.get("activations") or kind.activations)[: len(kind.activations)]
    direction = options.get("direction", "forward")
    if found != kind.activations and not (operator == "RNN" and found == ("Relu",)):
        raise ValueError(f"its activations are {', '.join(found)}")
    if direction not in ("forward", "reverse") or options.get("layout") or options.get("input_forget"):
        raise ValueError(f"its direction is {direction}, its layout {options.get('layout', 0)}")
    if operator == "GRU" and not options.get("linear_before_reset"):
        raise ValueError("it resets its state before the product, which a fn.GRU does after it")
    if call.part > 1 or call.input(4) is not None:
        raise ValueError("the state of its cells, or lengths of sequences, are asked for")
    for place in (5, 6):
        if call.input(place) is not None and call.constant(place).any():
            raise ValueError("it begins with a state that is not 0")
    if call.input(7) is not None and call.constant(7).any():
        raise ValueError("it has peepholes")
    if len(x.sizes) != 3 or x.sizes[1] != BATCH:
        raise ValueError(f"it takes sequences from {list(x.sizes)}")
    arrays = _arrays(call, kind, x.sizes[2])
    units, steps, sequences = arrays["recurrent_weights"].shape[0], x.sizes[0], call.part == 0
    backwards = direction == "reverse"

    def make() -> Layer:
        layer: Layer = kind.layer(
            units,
            **({"activation": found[0].lower()} if operator == "RNN" else {}),
            use_bias="bias" in arrays,
            return_sequences=sequences,
            go_backwards=backwards,
        )
        return layer

    made = Step(
        units * (steps if sequences else 1),
        make=make,
        arrays=arrays,
        takes=(steps, x.sizes[2]),
        gives=(steps, units) if sequences else (units,),
        trained=True,
    )
    call.assembly.use(made.size)
    step = replace(made, before=call.assembly.ordered(x, [0, 2]))
    if not sequences:
        y = call.assembly.spread(step, [1], [BATCH, units], x.samples)
        return call.assembly.moved(y, lambda own: unsqueezed(own, [0]))
    y = call.assembly.spread(step, [0, 2], [steps, BATCH, units], x.samples)
    if backwards:  # the layer gives the last time first
        y = call.assembly.moved(y, lambda own: own.moved(own.array[::-1]))
    return call.assembly.moved(y, lambda own: unsqueezed(own, [1]))


def _arrays(call: Call, kind: _Kind, features: int) -> dict[str, NDArray[np.float64]]:
    """The parameters of the layer."""
    gates = len(kind.gates)
    weights, states = (call.assembly.numbers("weights", call.constant(place)) for place in (1, 2))
    units = states.shape[-1]
    if weights.shape != (1, gates * units, features) or states.shape != (1, gates * units, units):
        raise ValueError(f"its weights have the shapes {weights.shape} and {states.shape}")

    def ordered(values: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = np.split(values, gates)
        return np.concatenate([parts[gate] for gate in kind.gates])

    arrays = {"weights": ordered(weights[0]).T, "recurrent_weights": ordered(states[0]).T}
    if call.input(3) is not None:
        bias = call.assembly.numbers("bias", call.constant(3))
        if bias.shape != (1, 2 * gates * units):
            raise ValueError(f"its bias has the shape {bias.shape}")
        both = [ordered(half) for half in np.split(bias[0], 2)]
        arrays["bias"] = np.stack(both) if kind.layer is GRU else both[0] + both[1]
    return arrays
