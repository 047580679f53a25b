"""Products and what follows them: dense layers, activations, scaling and normalization."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.folding import affine
from . import quantize, vector
from .writer import data, indented

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..activations import Activation as ActivationSpec
    from ..engine.ops import Shape
    from ..layers.activation import Activation
    from ..layers.batch_normalization import BatchNormalization
    from ..layers.dense import Dense
    from ..layers.normalization import GroupNormalization, LayerNormalization, RMSNormalization
    from ..layers.scaling import Scaling
    from ..layers.unscale import Unscale
    from .writer import Value, Writer

#: Activations of a row, whose functions take the number of positions.
_OF_ROWS = ("softmax", "log_softmax")
_KNOWN = (
    "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "silu", "softplus",
    "hard_tanh",
)  # fmt: skip


def write_product(
    c: Writer, x: Value, positions: int, weights: NDArray[Any], bias: NDArray[Any] | None, what: str = "dense"
) -> Value:
    """``x @ weights + bias`` at each position."""
    rows, columns = weights.shape
    y = c.new(positions * columns)
    start = np.zeros(columns) if bias is None else bias
    if c.quantizes:
        integers, factors = quantize.codes(weights)
        arguments = data(x, c.weights(start, factors), y)
        arguments.append(("const int8_t *$P_RESTRICT q", c.integers(vector.laid_out(integers))))
        lines, helpers = vector.product(rows, columns, w="q", codes=True)
        each = f"for (int j = 0; j < {columns}; j++)"
        body = [each, "    y[j] = 0.0r;", *lines, each, f"    y[j] = y[j] * w[{columns} + j] + w[j];"]
    else:
        arguments = data(x, c.weights(start, vector.laid_out(np.asarray(weights))), y)
        lines, helpers = vector.product(rows, columns, w=f"w + {columns}")
        body = [f"for (int j = 0; j < {columns}; j++)", "    y[j] = w[j];", *lines]
    for helper in helpers:
        c.helper(helper)
    if positions > 1:
        loop = f"for (int p = 0; p < {positions}; p++, x += {rows}, y += {columns}) {{"
        body = [loop, *indented(body), "}"]
    c.function(what, arguments, body)
    y.mask = x.mask
    c.read(x)
    return y


def write_dense(c: Writer, layer: Dense, shape: Shape, x: Value) -> Value:
    """The product, and the activation."""
    own = c.parameters
    y = write_product(c, x, math.prod(shape[:-1]), own["weights"], own.get("bias"))
    return y if layer.activation is None else activate(c, layer.activation, y, layer.units)


def activate(c: Writer, activation: ActivationSpec, x: Value, columns: int) -> Value:
    """An activation of a tensor whose last axis has so many columns."""
    name = activation.name
    if name == "identity":
        return x
    if name in _OF_ROWS:
        y = c.over(x)
        c.call(name, x.name, str(x.size // columns), str(columns), y.name)
    elif name in _KNOWN:
        y = c.over(x)
        settings = [c.number(value) for value in activation.settings.values()]
        c.call(f"{name}_all", x.name, str(x.size), *settings, y.name)
    else:
        raise ValueError(
            f"layer {c.name}: the activation {name!r} is user-defined, and there is no C text of it; use one "
            "of fastnn.activations"
        )
    return y


def write_activation(c: Writer, layer: Activation, shape: Shape, x: Value) -> Value:
    """An activation as a layer of its own."""
    return activate(c, layer.activation, x, shape[-1])


def write_scaling(c: Writer, layer: Scaling, shape: Shape, x: Value) -> Value:
    """``(x - shift) / scale``."""
    return by_channel(c, "scale", shape, x, *layer.shift_and_scale())


def write_unscale(c: Writer, layer: Unscale, shape: Shape, x: Value) -> Value:
    """``x * scale + mean``."""
    return by_channel(c, "affine", shape, x, layer.scale, layer.mean)


def write_batch_normalization(c: Writer, layer: BatchNormalization, shape: Shape, x: Value) -> Value:
    """A factor and an offset for each channel."""
    factor, offset = affine(layer)
    return by_channel(c, "affine", shape, x, np.broadcast_to(factor, offset.shape), offset)


def by_channel(
    c: Writer, helper: str, shape: Shape, x: Value, first: NDArray[Any], second: NDArray[Any]
) -> Value:
    """A function of two numbers for each column, at each position."""
    y = c.over(x)
    c.call(helper, x.name, str(math.prod(shape[:-1])), str(shape[-1]), c.weights(first, second), y.name)
    return y


def write_layer_normalization(
    c: Writer, layer: LayerNormalization | RMSNormalization, shape: Shape, x: Value, *, centred: bool = True
) -> Value:
    """Of the last axis at each position; then gamma and beta."""
    y = c.over(x)
    positions, columns = str(math.prod(shape[:-1])), str(shape[-1])
    c.call("normalize", x.name, positions, columns, str(int(centred)), c.number(layer.epsilon), y.name)
    return _gamma_and_beta(c, shape, y)


def write_rms_normalization(c: Writer, layer: RMSNormalization, shape: Shape, x: Value) -> Value:
    """The same without the mean."""
    return write_layer_normalization(c, layer, shape, x, centred=False)


def _gamma_and_beta(c: Writer, shape: Shape, y: Value) -> Value:
    own = c.parameters
    if "gamma" not in own and "beta" not in own:
        return y
    gamma, beta = own.get("gamma", np.ones(shape[-1])), own.get("beta", np.zeros(shape[-1]))
    return by_channel(c, "affine", shape, y, gamma, beta)


def write_group_normalization(c: Writer, layer: GroupNormalization, shape: Shape, x: Value) -> Value:
    """Of adjacent channels at all positions."""
    channels, positions = shape[-1], math.prod(shape[:-1])
    groups = channels if layer.groups == -1 else layer.groups
    y, width = c.over(x), channels // groups
    c.helper("rsqrt")
    count = c.number(positions * width)
    c.function(
        "normalize",
        [("const $real *x", x.name), ("$real *y", y.name)],
        [
            f"for (int g = 0; g < {channels}; g += {width}) {{",
            "    $real mean = 0.0r, squares = 0.0r;",
            f"    for (int p = g; p < g + {positions * channels}; p += {channels})",
            f"        for (int i = p; i < p + {width}; i++)",
            "            mean += x[i];",
            f"    mean /= {count};",
            f"    for (int p = g; p < g + {positions * channels}; p += {channels})",
            f"        for (int i = p; i < p + {width}; i++)",
            "            squares += (x[i] - mean) * (x[i] - mean);",
            f"    const $real factor = $p_rsqrt(squares / {count} + {c.number(layer.epsilon)});",
            f"    for (int p = g; p < g + {positions * channels}; p += {channels})",
            f"        for (int i = p; i < p + {width}; i++)",
            "            y[i] = (x[i] - mean) * factor;",
            "}",
        ],
    )
    return _gamma_and_beta(c, shape, y)
