"""A step of each recurrent cell, and its gradient, for all rows and units at hand.

The arrays of a step have several parts of n numbers each, as many as rows times units: a part for each gate,
or for each vector of the state. `kept` holds the sum that each gate is computed from, and then the gates
themselves; behind them what else the gradient is computed from. A loop writes one array, which LLVM
vectorises without checking many pairs of arrays for overlap.
"""

from ..lowlevel._jit import force_inline, inline_ir, kernel
from ..lowlevel.simd import address, element, view
from ..math.elementary import sigmoid, tanh

#: Numbers that stand for the activations.
TANH, RELU = 0, 1


@inline_ir
def part(array, k, n):
    """Part number k of an array, of shape (n,)."""
    return view(element(address(array), k * n, array.dtype), n, array.dtype)


@force_inline
def _activate(x, activation):
    zero = type(x)(0)
    positive = zero if x < zero else x  # a NaN passes through
    return positive if activation == RELU else tanh(x)


@force_inline
def _derivative(y, activation):
    one, zero = type(y)(1), type(y)(0)
    step = one if y > zero else zero
    return step if activation == RELU else one - y * y


@kernel
def _to_sigmoid(x):
    """Write ``x = sigmoid(x)``."""
    for i in range(x.size):
        x[i] = sigmoid(x[i])


@kernel
def _to_activation(x, activation):
    """Write ``x = activation(x)``."""
    for i in range(x.size):
        x[i] = _activate(x[i], activation)


@kernel
def copy(source, target):
    """Write `target`."""
    for i in range(target.size):
        target[i] = source[i]


@kernel
def _clear(target):
    """Write zeros into `target`."""
    for i in range(target.size):
        target[i] = target.dtype.type(0)


@kernel
def _gate_gradient(dy, other, gate, result):
    """Write `result`, with respect to a sigmoid's argument: ``dy * other * gate * (1 - gate)``."""
    one = gate.dtype.type(1)
    for i in range(gate.size):
        result[i] = dy[i] * other[i] * (gate[i] * (one - gate[i]))


@kernel
def _multiply(x, factor):
    """Write ``x = x * factor``."""
    for i in range(x.size):
        x[i] *= factor[i]


@kernel
def simple_forward(kept, state, n, activation):
    """Write `kept`, the new state, and `state`: ``h = activation(sum)``."""
    _to_activation(kept, activation)
    copy(kept, state)


@kernel
def simple_backward(kept, before, gradient, dh, dc, activation):
    """Write `gradient`, that of the gates, and `dh`: that of the state before, without what the product adds.

    `before` is h of before; it and `dc` are not used here.
    """
    for i in range(dh.size):
        gradient[i] = dh[i] * _derivative(kept[i], activation)
    _clear(dh)


@kernel
def gru_forward(kept, state, n, activation):
    """Write `kept`, as z, r and the candidate, and `state`: ``h = z h + (1 - z) candidate``.

    Behind the gates is what the state before gives the candidate.
    """
    one = kept.dtype.type(1)
    z, r, candidate, own = part(kept, 0, n), part(kept, 1, n), part(kept, 2, n), part(kept, 3, n)
    _to_sigmoid(part(kept, 0, 2 * n))
    for i in range(n):
        candidate[i] = _activate(candidate[i] + r[i] * own[i], activation)
    for i in range(n):
        state[i] = z[i] * state[i] + (one - z[i]) * candidate[i]


@kernel
def gru_backward(kept, before, gradient, dh, dc, activation):
    """Write `gradient` and `dh` as `simple_backward` does; behind the gates that of what the state gives."""
    n, one = dh.size, dh.dtype.type(1)
    z, r, candidate, own = part(kept, 0, n), part(kept, 1, n), part(kept, 2, n), part(kept, 3, n)
    of_z, of_r = part(gradient, 0, n), part(gradient, 1, n)
    of_candidate, of_own = part(gradient, 2, n), part(gradient, 3, n)
    for i in range(n):
        of_z[i] = dh[i] * (before[i] - candidate[i]) * (z[i] * (one - z[i]))
    for i in range(n):
        of_candidate[i] = dh[i] * (one - z[i]) * _derivative(candidate[i], activation)
    _gate_gradient(of_candidate, own, r, of_r)
    for i in range(n):
        of_own[i] = of_candidate[i] * r[i]
    _multiply(dh, z)


@kernel
def lstm_forward(kept, state, n, activation):
    """Write `kept`, as i, f, the candidate, o, c of before and activation(c), and `state`, which is h and c.

    ``c = f c + i candidate``, ``h = o activation(c)``.
    """
    i_gate, f_gate, candidate, o_gate = part(kept, 0, n), part(kept, 1, n), part(kept, 2, n), part(kept, 3, n)
    before, active = part(kept, 4, n), part(kept, 5, n)
    h, c = part(state, 0, n), part(state, 1, n)
    copy(c, before)
    _to_sigmoid(part(kept, 0, 2 * n))
    _to_activation(candidate, activation)
    _to_sigmoid(o_gate)
    for i in range(n):
        c[i] = f_gate[i] * c[i] + i_gate[i] * candidate[i]
    for i in range(n):
        active[i] = _activate(c[i], activation)
    for i in range(n):
        h[i] = o_gate[i] * active[i]


@kernel
def lstm_backward(kept, before, gradient, dh, dc, activation):
    """Write `gradient` and `dh` as `simple_backward` does, and likewise `dc`."""
    n = dh.size
    i_gate, f_gate, candidate, o_gate = part(kept, 0, n), part(kept, 1, n), part(kept, 2, n), part(kept, 3, n)
    c_before, active, of_candidate = part(kept, 4, n), part(kept, 5, n), part(gradient, 2, n)
    for i in range(n):
        dc[i] += dh[i] * o_gate[i] * _derivative(active[i], activation)
    _gate_gradient(dc, candidate, i_gate, part(gradient, 0, n))
    _gate_gradient(dc, c_before, f_gate, part(gradient, 1, n))
    for i in range(n):
        of_candidate[i] = dc[i] * i_gate[i] * _derivative(candidate[i], activation)
    _gate_gradient(dh, active, o_gate, part(gradient, 3, n))
    _multiply(dc, f_gate)
    _clear(dh)
