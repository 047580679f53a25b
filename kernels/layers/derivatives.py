"""Values together with their first and second derivatives with respect to inputs, from layer to layer.

A tensor holds for each row `terms` arrays of n numbers: the values, their first derivatives along `firsts`
directions, and the second ones along the first `seconds` of these. A product is linear, so that it takes them
all for rows of one; an activation f follows the chain rule (Taylor coefficients in forward mode: A. Griewank,
A. Walther, *Evaluating Derivatives*, 2008, chapter 13)::

    y = f(x),  y' = f'(x) x',  y'' = f''(x) x'^2 + f'(x) x''

Its gradient takes f''' as well. The functions of an activation here are ``(x, y, p)``, as its derivative is.
"""

import math
from collections import namedtuple

import numpy as np

from ..abi.entries import Op
from ..abi.oprow import PACK_SIZE
from ..linalg.gemm import matmul, matmul_transposed_a, matmul_transposed_b
from ..lowlevel._jit import force_inline, inline_ir, kernel
from ..math.elementary import sigmoid as logistic
from ..math.error_function import gaussian
from . import activation

Both = namedtuple("Both", "forward_entry backward_input_entry")
All = namedtuple("All", "forward_entry backward_input_entry backward_weights_entry")


# --- the input


@kernel
def seed_forward(x, inputs, y):
    """Write `y`, (rows, terms, n): the rows of `x`, and unit vectors in the directions of `inputs`."""
    zero, one = y.dtype.type(0), y.dtype.type(1)
    for i in range(y.shape[0]):
        for j in range(y.shape[2]):
            y[i, 0, j] = x[i, j]
        for k in range(1, y.shape[1]):
            for j in range(y.shape[2]):
                y[i, k, j] = zero
        for k in range(inputs.size):
            y[i, 1 + k, int(inputs[k])] = one


@kernel
def seed_backward(dy, dx):
    """Write ``dx``, of shape (rows, n): the first of the `terms` of `dy`."""
    for i in range(dx.shape[0]):
        for j in range(dx.shape[1]):
            dx[i, j] = dy[i, 0, j]


_terms = "n_out // n_in"
_seed = Op(
    tensors={
        "x": "rows, n_in",
        "y": f"rows, {_terms}, n_in",
        "dx": "rows, n_in",
        "dy": f"rows, {_terms}, n_in",
    },
    constants={"inputs": "firsts"},
    settings={"firsts": np.int64},
)
seed = Both(_seed.entry(seed_forward, writes="y"), _seed.entry(seed_backward, writes="dx"))


# --- linear layers


@inline_ir
def dense_forward(product, x, w, b, positions, places, y, pack):
    """Write ``y = x w`` of all terms and ``+ b`` of the values, and `pack`.

    Parameters
    ----------
    product, w, b, pack
        As in `kernels.layers.dense.dense_forward`.
    x, y : arrays of shape (rows * places, n_in) and (rows * places, n_out)
    positions, places : int
        Positions that a sample has, and those of all terms.
    """
    matmul(product, x, w, b[:0], y, pack)
    if b.size > 0:
        _add_bias(b, positions, places, y)


@kernel
def _add_bias(b, positions, places, y):
    """Add `b` to the first `positions` of each `places` rows of `y`."""
    for start in range(0, y.shape[0], places):
        for i in range(start, start + positions):
            for j in range(b.size):
                y[i, j] += b[j]


@inline_ir
def dense_backward_input(product, w, dy, dx, pack):
    """Write ``dx = dy w'``, and `pack`, as for a layer without derivatives."""
    matmul_transposed_b(product, dy, w, dx, pack)


@inline_ir
def dense_backward_weights(product, x, dy, positions, places, dw, db, pack):
    """Write ``dw = x' dy``, `db`, the sum over the rows of the values, and `pack`."""
    matmul_transposed_a(product, x, 0, dy, dw, pack)
    if db.size > 0:
        _sum_values(dy, positions, places, db)


@kernel
def _sum_values(dy, positions, places, db):
    """Write `db`: the sum of the first `positions` of each `places` rows of `dy`."""
    for j in range(db.size):
        db[j] = db.dtype.type(0)
    for start in range(0, dy.shape[0], places):
        for i in range(start, start + positions):
            for j in range(db.size):
                db[j] += dy[i, j]


_x, _y = "rows * places, channels", "rows * places, units"
_dense = Op(
    tensors={"x": _x, "y": _y, "dx": _x, "dy": _y},
    parameters={"w": "channels, units", "b": "units"},
    settings={"positions": np.int64, "places": np.int64},
    numbers={"channels": "n_in // places", "units": "n_out // places"},
    scratch={"pack": str(PACK_SIZE)},
    optional=("b",),
)
dense = All(
    _dense.entry(dense_forward, writes="y pack"),
    _dense.entry(dense_backward_input, writes="dx pack"),
    _dense.entry(dense_backward_weights, writes="dw db pack"),
)


@kernel
def scaling_forward(x, shift, scale, y):
    """Write ``y = (x - shift) / scale`` of the values, ``x / scale`` of the other terms."""
    for i in range(y.shape[0]):
        for j in range(y.shape[2]):
            y[i, 0, j] = (x[i, 0, j] - shift[j]) / scale[j]
        for k in range(1, y.shape[1]):
            for j in range(y.shape[2]):
                y[i, k, j] = x[i, k, j] / scale[j]


@kernel
def scaling_backward(scale, dy, dx):
    """Write ``dx = dy / scale``; arrays of shape (rows, terms, n)."""
    for i in range(dx.shape[0]):
        for k in range(dx.shape[1]):
            for j in range(dx.shape[2]):
                dx[i, k, j] = dy[i, k, j] / scale[j]


_scaling = Op(
    tensors=dict.fromkeys(("x", "y", "dx", "dy"), "rows, terms, n"),
    constants={"shift": "n", "scale": "n"},
    settings={"terms": np.int64},
    numbers={"n": "n_in // terms"},
)
scaling = Both(_scaling.entry(scaling_forward, writes="y"), _scaling.entry(scaling_backward, writes="dx"))


# --- activations

_op = Op(
    tensors=dict.fromkeys(("x", "y", "dx", "dy"), "rows, terms, n"),
    settings={"terms": np.int64, "firsts": np.int64, "chunk": np.int64, "p": None},
    numbers={"n": "n_in // terms"},
    scratch={"work": "4, chunk * n"},
)


def with_derivatives(known, second, third):
    """Kernels of an activation that is known, for values and derivatives; f'' and f''' of ``(x, y, p)``."""
    value, first = known.value, known.derivative

    @kernel
    def forward(x, firsts, chunk, p, y, work):
        """Write `y`, of shape (rows, terms, n) as x, which it may be, and `work`, of shape (4, chunk * n).

        A chunk is as many rows as are computed at a time.
        """
        n, seconds = x.shape[2], x.shape[1] - 1 - firsts
        f, f1, f2 = work[0], work[1], work[2]
        for start in range(0, x.shape[0], chunk):
            rows = min(chunk, x.shape[0] - start)
            for i in range(rows):
                for j in range(n):
                    f[i * n + j] = x[start + i, 0, j]
            for k in range(rows * n):
                z = f[k]
                f[k] = value(z, p)
                f1[k] = first(z, f[k], p)
                f2[k] = second(z, f[k], p)
            for i in range(rows):
                r, at = start + i, i * n
                for j in range(n):
                    y[r, 0, j] = f[at + j]
                for d in range(1, 1 + seconds):
                    for j in range(n):
                        z = x[r, d, j]
                        y[r, firsts + d, j] = f2[at + j] * z * z + f1[at + j] * x[r, firsts + d, j]
                for d in range(1, 1 + firsts):
                    for j in range(n):
                        y[r, d, j] = f1[at + j] * x[r, d, j]

    @kernel
    def backward(x, y, dy, firsts, chunk, p, dx, work):
        """Write `dx`, of shape (rows, terms, n) as the others, which may be dy; and `work`."""
        n, seconds, two = x.shape[2], x.shape[1] - 1 - firsts, x.dtype.type(2)
        f, f1, f2, f3 = work[0], work[1], work[2], work[3]
        for start in range(0, x.shape[0], chunk):
            rows = min(chunk, x.shape[0] - start)
            for i in range(rows):
                for j in range(n):
                    f[i * n + j] = x[start + i, 0, j]
                    f1[i * n + j] = y[start + i, 0, j]
            for k in range(rows * n):
                z, u = f[k], f1[k]
                f1[k] = first(z, u, p)
                f2[k] = second(z, u, p)
                f3[k] = third(z, u, p)
            for i in range(rows):
                r, at = start + i, i * n
                for j in range(n):
                    f[at + j] = f1[at + j] * dy[r, 0, j]
                for d in range(1, 1 + firsts):
                    for j in range(n):
                        f[at + j] += f2[at + j] * x[r, d, j] * dy[r, d, j]
                        dx[r, d, j] = f1[at + j] * dy[r, d, j]
                for d in range(1, 1 + seconds):
                    for j in range(n):
                        z, g = x[r, d, j], dy[r, firsts + d, j]
                        curved = f2[at + j] * g
                        f[at + j] += f3[at + j] * z * z * g + curved * x[r, firsts + d, j]
                        dx[r, d, j] += two * curved * z
                        dx[r, firsts + d, j] = f1[at + j] * g
                for j in range(n):
                    dx[r, 0, j] = f[at + j]

    backward_input_entry = _op.entry(backward, writes="dx work", over=("dy",))
    return Both(_op.entry(forward, writes="y work", over=("x",)), backward_input_entry)


@force_inline
def _zero(x, y, p):
    return type(x)(0)


@force_inline
def _tanh_second(x, y, p):
    one = type(x)(1)
    return type(x)(-2) * y * (one - y * y)


@force_inline
def _tanh_third(x, y, p):
    first = type(x)(1) - y * y
    return first * (type(x)(4) - type(x)(6) * first)


@force_inline
def _sigmoid_second(x, y, p):
    one = type(x)(1)
    return y * (one - y) * (one - type(x)(2) * y)


@force_inline
def _sigmoid_third(x, y, p):
    one = type(x)(1)
    first = y * (one - y)
    return first * (one - type(x)(6) * first)


@force_inline
def _softplus_second(x, y, p):
    s = logistic(x)
    return s * (type(x)(1) - s)


@force_inline
def _softplus_third(x, y, p):
    return _sigmoid_second(x, logistic(x), p)


@force_inline
def _silu_second(x, y, p):
    one, two, s = type(x)(1), type(x)(2), logistic(x)
    return s * (one - s) * (two + x * (one - two * s))


@force_inline
def _silu_third(x, y, p):
    s = logistic(x)
    return type(x)(3) * _sigmoid_second(x, s, p) + x * _sigmoid_third(x, s, p)


_DENSITY = 1 / math.sqrt(2 * math.pi)


@force_inline
def _gelu_second(x, y, p):
    return gaussian(x) * type(x)(_DENSITY) * (type(x)(2) - x * x)


@force_inline
def _gelu_third(x, y, p):
    return gaussian(x) * type(x)(_DENSITY) * x * (x * x - type(x)(4))


_GELU_SCALE, _GELU_CUBIC = 2 * math.sqrt(2 / math.pi), 0.044715


@force_inline
def _gelu_tanh_gate(x):
    # The gate g = sigmoid(h) of ``x g``, h = scale (x + cubic x^3), and derivatives of h.
    scale, cubic = type(x)(_GELU_SCALE), type(x)(_GELU_CUBIC)
    one, three = type(x)(1), type(x)(3)
    gate = logistic(scale * x * (one + cubic * x * x))
    return gate, scale * (one + three * cubic * x * x), type(x)(6) * scale * cubic * x


@force_inline
def _gelu_tanh_second(x, y, p):
    # 2 g' + x g''
    gate, h1, h2 = _gelu_tanh_gate(x)
    s1, s2 = gate * (type(x)(1) - gate), _sigmoid_second(x, gate, p)
    return type(x)(2) * s1 * h1 + x * (s2 * h1 * h1 + s1 * h2)


@force_inline
def _gelu_tanh_third(x, y, p):
    # 3 g'' + x g'''
    gate, h1, h2 = _gelu_tanh_gate(x)
    three, h3 = type(x)(3), type(x)(6 * _GELU_SCALE * _GELU_CUBIC)
    s1, s2, s3 = gate * (type(x)(1) - gate), _sigmoid_second(x, gate, p), _sigmoid_third(x, gate, p)
    bent = s2 * h1 * h1 + s1 * h2
    return three * bent + x * (s3 * h1 * h1 * h1 + three * s2 * h1 * h2 + s1 * h3)


tanh = with_derivatives(activation.tanh, _tanh_second, _tanh_third)
sigmoid = with_derivatives(activation.sigmoid, _sigmoid_second, _sigmoid_third)
softplus = with_derivatives(activation.softplus, _softplus_second, _softplus_third)
silu = with_derivatives(activation.silu, _silu_second, _silu_third)
gelu = with_derivatives(activation.gelu, _gelu_second, _gelu_third)
gelu_tanh = with_derivatives(activation.gelu_tanh, _gelu_tanh_second, _gelu_tanh_third)
# For first derivatives only; with a slope of 0 it is relu.
leaky_relu = with_derivatives(activation.leaky_relu, _zero, _zero)
