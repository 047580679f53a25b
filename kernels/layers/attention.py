"""Attention of a sequence to itself, in several heads.

A. Vaswani et al., *Attention Is All You Need*, NeurIPS 2017, sections 3.2.1 and 3.2.2.

x is of shape (rows, length, heads * (2 * key_dim + value_dim)): at each time the queries of all heads, then
their keys, then their values. y is of shape (rows, length, heads * value_dim). `weights`, of shape
(rows, heads, length, length), are those of all pairs of times, or of shape (0, ...) where no gradient is
needed. `memory`, of shape (columns, length), holds the keys or the values of a head, column by column, and in
its last three rows what belongs to the pairs of one time with all. So loops run over numbers that lie one
behind the other.
"""

import math

import numpy as np

from ..abi.entries import Op
from ..lowlevel._jit import force_inline, kernel, reduction
from ..math.elementary import exp
from .dropout import dropout_mask


@force_inline
def _transpose(x, i, first, memory, n):
    """Write ``memory[:n]``: columns `first` to ``first + n`` of sample i of x, one behind the other."""
    for d in range(n):
        for t in range(x.shape[1]):
            memory[d, t] = x[i, t, first + d]


@reduction
def _products(x, i, t, first, memory, n, out, count):
    """Write ``out[:count]``: products of columns from `first` on of x at time t with those in `memory`."""
    for s in range(count):
        out[s] = x.dtype.type(0)
    for d in range(n):
        factor = x[i, t, first + d]
        for s in range(count):
            out[s] += factor * memory[d, s]


@reduction
def _softmax(scores, count, scale):
    """Write ``scores[:count]``: the softmax of them times `scale`, and zeros behind."""
    T = scores.dtype.type
    largest = scores[0]
    for s in range(1, count):
        largest = scores[s] if scores[s] > largest else largest
    for s in range(count):
        scores[s] = exp((scores[s] - largest) * scale)
    total = T(0)
    for s in range(count):
        total += scores[s]
    factor = T(1) / total
    for s in range(count):
        scores[s] *= factor
    for s in range(count, scores.size):
        scores[s] = T(0)


@reduction
def _add_scaled(factors, count, x, i, first, y, t, start, n):
    """Write columns of y at time t: add those of x at times s < `count`, each times ``factors[s]``."""
    for s in range(count):
        factor = factors[s]
        for d in range(n):
            y[i, t, start + d] += factor * x[i, s, first + d]


@reduction
def _inner(a, b, count):
    """The sum of products of a and b. Writes nothing."""
    total = a.dtype.type(0)
    for s in range(count):
        total += a[s] * b[s]
    return total


@kernel
def attention_forward(
    x, heads, key_dim, value_dim, causal, rate, seed, stream, step, first_row, training, memory, weights, y
):
    """Write `y`, `weights` unless they are empty, and `memory`.

    ``weights = softmax(Q K' / sqrt(key_dim))`` and ``y = weights V`` of each head. While `training` a
    fraction `rate` of the weights is dropped, which the others make up for.
    """
    length, columns = x.shape[1], memory.shape[0] - 3
    scale = x.dtype.type(1.0 / math.sqrt(key_dim))
    for i in range(x.shape[0]):
        for h in range(heads):
            _transpose(x, i, (heads + h) * key_dim, memory, key_dim)
            for t in range(length):
                count = t + 1 if causal else length
                own, mask = memory[columns], memory[columns + 1]
                _products(x, i, t, h * key_dim, memory, key_dim, own, count)
                _softmax(own, count, scale)
                if weights.shape[0] > 0:
                    for s in range(length):
                        weights[i, h, t, s] = own[s]
                if training and rate > 0.0:
                    place = (((first_row + i) * heads + h) * length + t) * length
                    dropout_mask(rate, seed, stream, step, place, mask)
                    for s in range(count):
                        own[s] *= mask[s]
                for d in range(value_dim):
                    y[i, t, h * value_dim + d] = x.dtype.type(0)
                first = 2 * heads * key_dim + h * value_dim
                _add_scaled(own, count, x, i, first, y, t, h * value_dim, value_dim)


@kernel
def attention_backward(
    x,
    heads,
    key_dim,
    value_dim,
    causal,
    rate,
    seed,
    stream,
    step,
    first_row,
    training,
    memory,
    weights,
    dy,
    dx,
):
    """Write `dx` and `memory`, by the `weights` that the forward pass left."""
    T = x.dtype.type
    length, columns = x.shape[1], memory.shape[0] - 3
    scale = T(1.0 / math.sqrt(key_dim))
    for i in range(x.shape[0]):
        for t in range(length):
            for j in range(x.shape[2]):
                dx[i, t, j] = T(0)
        for h in range(heads):
            values = 2 * heads * key_dim + h * value_dim
            _transpose(x, i, values, memory, value_dim)
            for t in range(length):
                count = t + 1 if causal else length
                own, mask, kept = memory[columns], memory[columns + 1], memory[columns + 2]
                _products(dy, i, t, h * value_dim, memory, value_dim, own, count)
                drops = training and rate > 0.0
                if drops:
                    place = (((first_row + i) * heads + h) * length + t) * length
                    dropout_mask(rate, seed, stream, step, place, mask)
                for s in range(count):
                    kept[s] = weights[i, h, t, s] * mask[s] if drops else weights[i, h, t, s]
                    own[s] = own[s] * mask[s] if drops else own[s]
                for s in range(count):
                    for d in range(value_dim):
                        dx[i, s, values + d] += kept[s] * dy[i, t, h * value_dim + d]
                mean = _inner(weights[i, h, t], own, count)
                for s in range(count):
                    own[s] = weights[i, h, t, s] * (own[s] - mean) * scale
                _add_scaled(own, count, x, i, (heads + h) * key_dim, dx, t, h * key_dim, key_dim)
                for s in range(count):
                    for d in range(key_dim):
                        dx[i, s, (heads + h) * key_dim + d] += own[s] * x[i, t, h * key_dim + d]


_input, _output = "rows, length, n_in // length", "rows, length, n_out // length"
_op = Op(
    tensors={"x": _input, "y": _output, "dx": _input, "dy": _output},
    scratch={
        "weights": "rows, heads, length, length",
        "memory": "key_dim + value_dim + 3, length",
    },
    settings={
        "heads": np.int64,
        "key_dim": np.int64,
        "length": np.int64,
        "causal": np.int64,
        "rate": np.float64,
    },
    numbers={"value_dim": "n_out // length // heads"},
    optional=("weights",),
)
forward_entry = _op.entry(attention_forward, writes="y weights memory")
backward_input_entry = _op.entry(attention_backward, writes="dx memory")
