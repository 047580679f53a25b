"""Recurrent layers, masks and attention."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..layers.recurrent import GRU, LSTM
from . import vector
from .dense import write_product
from .writer import data, indented

if TYPE_CHECKING:
    from ..engine.ops import Shape
    from ..layers.attention import MultiHeadAttention
    from ..layers.masking import Masking
    from ..layers.recurrent import Recurrent
    from .writer import Value, Writer


def write_recurrent(c: Writer, layer: Recurrent, shape: Shape, x: Value) -> Value:
    """A step of the cell at each time; from a state of zeros, or one time step from the caller's state."""
    (steps, features), units = shape, layer.units
    step = _step_function(c, layer, features)
    place = _weights(c, layer)
    gates = c.new(layer.gates * units * layer.biases)
    y = c.new((steps if layer.return_sequences else 1) * units)
    size = layer.states * units
    arguments = [*data(x, place, y), ("$real *$P_RESTRICT gates", gates.name)]
    lines = []
    if c.keeps_state:
        arguments.append(("$real *$P_RESTRICT state", c.state(size)))
        state = None
    else:
        state = c.new(size)
        arguments.append(("$real *$P_RESTRICT state", state.name))
        lines += [f"for (int i = 0; i < {size}; i++)", "    state[i] = 0.0r;"]
    call = [f"{step}(x + t * {features}, w, gates, state);"]
    if x.mask is not None:
        arguments.append(("const $real *$P_RESTRICT mask", x.mask.name))
        call = ["if (mask[t] != 0.0r)", *indented(call)]
    time = f"{steps - 1} - k" if layer.go_backwards else "k"
    out = "t" if layer.in_time_order else "k"
    give = [f"for (int i = 0; i < {units}; i++)", f"    y[{out} * {units} + i] = state[i];"]
    lines += [
        f"for (int k = 0; k < {steps}; k++) {{",
        f"    const int t = {time};",
        *indented(call + (give if layer.return_sequences else [])),
        "}",
    ]
    if not layer.return_sequences:
        lines += [f"for (int i = 0; i < {units}; i++)", "    y[i] = state[i];"]
    c.function("recurrent", arguments, lines)
    y.mask = x.mask if layer.return_sequences else None
    for value in (x, gates, *([] if state is None else [state])):
        c.read(value)
    return y


def _weights(c: Writer, layer: Recurrent) -> str:
    """Bias, input weights and recurrent weights, as a step reads them."""
    own = c.parameters
    bias = own.get("bias", np.zeros(layer.biases * layer.gates * layer.units))
    return c.weights(
        bias, *(vector.laid_out(np.asarray(own[name])) for name in ("weights", "recurrent_weights"))
    )


def _step_function(c: Writer, layer: Recurrent, features: int) -> str:
    """Write the function of one time step, and give its name."""
    units, width = layer.units, layer.gates * layer.units
    total = layer.biases * width
    first, helpers = vector.product(features, width, w=f"w + {total}", y="gates")
    inner = "gates" if layer.biases == 1 else f"(gates + {width})"
    second, more = vector.product(units, width, x="state", w=f"w + {total + features * width}", y=inner)
    for helper in (*helpers, *more, "sigmoid", layer.activation.name):
        if helper != "relu":
            c.helper(helper)
    own = {"relu": "({0} < 0.0r ? 0.0r : {0})", "tanh": "$p_tanh({0})"}[layer.activation.name]
    lines = [
        f"for (int i = 0; i < {total}; i++)",
        "    gates[i] = w[i];",
        *first,
        *second,
        f"for (int i = 0; i < {units}; i++) {{",
        *indented(_cell(layer, units, own)),
        "}",
    ]
    arguments = [
        "const $real *$P_RESTRICT x",
        "const $real *$P_RESTRICT w",
        "$real *$P_RESTRICT gates",
        "$real *$P_RESTRICT state",
    ]
    return c.define("step", arguments, lines)


def _cell(layer: Recurrent, units: int, own: str) -> list[str]:
    """The arithmetic of one unit; the state begins with h."""

    def gate(k: int) -> str:
        return f"gates[{k * units} + i]" if k else "gates[i]"

    if isinstance(layer, LSTM):
        return [
            f"const $real candidate = {own.format(gate(2))};",
            f"const $real kept = $p_sigmoid({gate(1)}) * state[{units} + i];",
            f"const $real memory = kept + $p_sigmoid({gate(0)}) * candidate;",
            f"state[{units} + i] = memory;",
            f"state[i] = $p_sigmoid({gate(3)}) * {own.format('memory')};",
        ]
    if isinstance(layer, GRU):
        return [
            f"const $real z = $p_sigmoid({gate(0)} + {gate(3)});",
            f"const $real before = {gate(2)} + $p_sigmoid({gate(1)} + {gate(4)}) * {gate(5)};",
            f"state[i] = z * state[i] + (1.0r - z) * {own.format('before')};",
        ]
    return [f"state[i] = {own.format(gate(0))};"]


def write_masking(c: Writer, layer: Masking, shape: Shape, x: Value) -> Value:
    """Which time steps there are, and zeros in place of the others."""
    steps, features = shape
    y, mask = c.new(x.size), c.new(steps)
    c.function(
        "masking",
        [*data(x, None, y), ("$real *$P_RESTRICT mask", mask.name)],
        [
            f"for (int t = 0; t < {steps}; t++) {{",
            "    int found = 0;",
            f"    for (int j = t * {features}; j < (t + 1) * {features}; j++)",
            f"        found |= !(x[j] == {c.number(layer.mask_value)});",
            "    mask[t] = found ? 1.0r : 0.0r;",
            f"    for (int j = t * {features}; j < (t + 1) * {features}; j++)",
            "        y[j] = found ? x[j] : 0.0r;",
            "}",
        ],
    )
    c.read(x)
    y.mask = mask
    return y


def write_zeros_where_masked(c: Writer, x: Value, steps: int) -> Value:
    """Zeros at the time steps that are masked."""
    if x.mask is None:
        return x
    y, columns = c.over(x), x.size // steps
    c.function(
        "masked",
        [("const $real *x", x.name), ("const $real *mask", x.mask.name), ("$real *y", y.name)],
        [
            f"for (int t = 0; t < {steps}; t++)",
            f"    for (int j = t * {columns}; j < (t + 1) * {columns}; j++)",
            "        y[j] = mask[t] != 0.0r ? x[j] : 0.0r;",
        ],
    )
    return y


def write_attention(c: Writer, layer: MultiHeadAttention, shape: Shape, x: Value) -> Value:
    """Projections, then for each head and time the weights of all times, and the projection of the output."""
    own, (length, _) = c.parameters, shape
    heads, key, value = layer.num_heads, layer.key_dim, layer.value_dim
    inner, width = heads * value, heads * (2 * key + value)
    projected = write_product(
        c, x, length, own["projection_weights"], own.get("projection_bias"), "projection"
    )
    y, weights = c.new(length * inner), c.new(length)
    c.helper("dot")
    c.helper("softmax")
    times = "t + 1" if layer.use_causal_mask else str(length)
    c.function(
        "attention",
        [*data(projected, None, y), ("$real *$P_RESTRICT s", weights.name)],
        [
            f"for (int t = 0; t < {length}; t++)",
            f"    for (int h = 0; h < {heads}; h++) {{",
            f"        const $real *query = x + t * {width} + h * {key};",
            f"        const $real *key = x + {heads * key} + h * {key};",
            f"        const $real *value = x + {2 * heads * key} + h * {value};",
            f"        $real *out = y + t * {inner} + h * {value};",
            f"        const int times = {times};",
            "        for (int k = 0; k < times; k++)",
            f"            s[k] = $p_dot(query, {key}, key + k * {width}) * {c.number(1 / math.sqrt(key))};",
            "        $p_softmax(s, 1, times, s);",
            f"        for (int i = 0; i < {value}; i++)",
            "            out[i] = 0.0r;",
            "        for (int k = 0; k < times; k++)",
            f"            for (int i = 0; i < {value}; i++)",
            f"                out[i] += s[k] * value[k * {width} + i];",
            "    }",
        ],
    )
    c.read(projected)
    c.read(weights)
    return write_product(c, y, length, own["output_weights"], own.get("output_bias"), "output")
