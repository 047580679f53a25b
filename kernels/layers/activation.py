"""Activation functions and their derivatives.

An elementwise activation is two functions of numbers: ``value(x, p)`` and ``derivative(x, y, p)``,
where ``y = value(x, p)`` and `p` is the activation's setting, if it has one. `elementwise` makes
the kernels and entries of a pair. (Softmax and log-softmax work on rows: `softmax.py`.)

The fields of each activation here, say of ``relu``:

- ``relu.forward(x, y, p)`` and ``relu.backward(x, y, dy, dx, p)``, kernels;
- ``relu.forward_entry(T)`` and ``relu.backward_input_entry(T)``, their entries;
- ``relu.value`` and ``relu.derivative``, the functions.
"""

import math
from collections import namedtuple

from ..abi.entries import BY_ELEMENT, Op
from ..lowlevel._jit import force_inline, inline_ir
from ..math.elementary import expm1
from ..math.elementary import sigmoid as logistic
from ..math.elementary import softplus as smooth_relu
from ..math.elementary import tanh as hyperbolic_tangent
from ..math.error_function import gaussian, normal_cdf

Activation = namedtuple(
    "Activation",
    "forward backward forward_entry backward_input_entry value derivative",
    defaults=(None, None),  # of activations of rows
)

_op = Op(tensors=BY_ELEMENT, settings={"p": None})


def elementwise(value, derivative):
    """Kernels and entries of an elementwise activation."""

    @inline_ir
    def forward(x, y, p):
        """Write ``y = value(x, p)``; x and y, of shape (n,), may be the same array."""
        for i in range(x.size):
            y[i] = value(x[i], p)

    @inline_ir
    def backward(x, y, dy, dx, p):
        """Write ``dx = dy * derivative(x, y, p)``; dx and dy, of shape (n,), may be the same array."""
        for i in range(x.size):
            dx[i] = dy[i] * derivative(x[i], y[i], p)

    forward_entry = _op.entry(forward, writes="y", over=("x",))
    backward_input_entry = _op.entry(backward, writes="dx", over=("dy",))
    return Activation(forward, backward, forward_entry, backward_input_entry, value, derivative)


@force_inline
def _identity(x, p):
    return x


@force_inline
def _identity_derivative(x, y, p):
    return type(x)(1)


@force_inline
def _sigmoid(x, p):
    return logistic(x)


@force_inline
def _sigmoid_derivative(x, y, p):
    return y * (type(x)(1) - y)


@force_inline
def _tanh(x, p):
    return hyperbolic_tangent(x)


@force_inline
def _tanh_derivative(x, y, p):
    return type(x)(1) - y * y


@force_inline
def _relu(x, p):
    # Written so that a NaN passes through.
    zero = type(x)(0)
    return zero if x < zero else x


@force_inline
def _relu_derivative(x, y, p):
    zero = type(x)(0)
    return type(x)(1) if y > zero else zero


@force_inline
def _leaky_relu(x, p):
    return p * x if x < type(x)(0) else x


@force_inline
def _leaky_relu_derivative(x, y, p):
    return type(x)(1) if x > type(x)(0) else p


@force_inline
def _elu(x, p):
    return p * expm1(x) if x < type(x)(0) else x


@force_inline
def _elu_derivative(x, y, p):
    return type(x)(1) if y > type(x)(0) else y + p


_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


@force_inline
def _selu(x, p):
    alpha, scale = type(x)(_SELU_ALPHA), type(x)(_SELU_SCALE)
    return scale * (alpha * expm1(x) if x < type(x)(0) else x)


@force_inline
def _selu_derivative(x, y, p):
    scale = type(x)(_SELU_SCALE)
    return scale if y > type(x)(0) else y + scale * type(x)(_SELU_ALPHA)


@force_inline
def _gelu(x, p):
    return x * normal_cdf(x)


@force_inline
def _gelu_derivative(x, y, p):
    return normal_cdf(x) + x * (gaussian(x) * type(x)(1 / math.sqrt(2 * math.pi)))


_GELU_SCALE = math.sqrt(2 / math.pi)
_GELU_CUBIC = 0.044715


@force_inline
def _gelu_tanh_gate(x):
    # (1 + tanh(u)) / 2 is sigmoid(2 u), which keeps its digits where it is near 0.
    scale, cubic = type(x)(2 * _GELU_SCALE), type(x)(_GELU_CUBIC)
    return logistic(scale * x * (type(x)(1) + cubic * x * x))


@force_inline
def _gelu_tanh(x, p):
    return x * _gelu_tanh_gate(x)


@force_inline
def _gelu_tanh_derivative(x, y, p):
    one, scale, cubic = type(x)(1), type(x)(2 * _GELU_SCALE), type(x)(3 * _GELU_CUBIC)
    gate = _gelu_tanh_gate(x)
    return gate + y * (one - gate) * scale * (one + cubic * x * x)


@force_inline
def _silu(x, p):
    return x * logistic(x)


@force_inline
def _silu_derivative(x, y, p):
    s = logistic(x)
    return s + y * (type(x)(1) - s)


@force_inline
def _softplus(x, p):
    return smooth_relu(x)


@force_inline
def _softplus_derivative(x, y, p):
    return -expm1(-y)


@force_inline
def _hard_tanh(x, p):
    one = type(x)(1)
    low = -one if x < -one else x
    return one if low > one else low


@force_inline
def _hard_tanh_derivative(x, y, p):
    one = type(x)(1)
    return one if -one < y < one else type(x)(0)


identity = elementwise(_identity, _identity_derivative)
sigmoid = elementwise(_sigmoid, _sigmoid_derivative)
tanh = elementwise(_tanh, _tanh_derivative)
relu = elementwise(_relu, _relu_derivative)
leaky_relu = elementwise(_leaky_relu, _leaky_relu_derivative)
elu = elementwise(_elu, _elu_derivative)
selu = elementwise(_selu, _selu_derivative)
gelu = elementwise(_gelu, _gelu_derivative)
gelu_tanh = elementwise(_gelu_tanh, _gelu_tanh_derivative)
silu = elementwise(_silu, _silu_derivative)
softplus = elementwise(_softplus, _softplus_derivative)
hard_tanh = elementwise(_hard_tanh, _hard_tanh_derivative)
