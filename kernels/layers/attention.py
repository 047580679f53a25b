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
from ..lowlevel._jit import kernel, reduction
from ..math.elementary import exp
from .dropout import dropout_mask


@kernel
def _transpose(x, i, first, memory, n):
    """Write ``memory[:n]``: columns `first` to ``first + n`` of sample i of x, one behind the other."""
    for t in range(x.shape[1]):
        row = x[i, t, first : first + n]
        for d in range(n):
            memory[d, t] = row[d]


@reduction
def _products(row, memory, out, count):
    """Write ``out[:count]``: products of `row` with the columns in `memory`."""
    for s in range(count):
        out[s] = row.dtype.type(0)
    for d in range(row.size):
        factor = row[d]
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
def _add_rows(factors, count, x, i, first, out):
    """Add columns of x from `first` on, at times s < `count`, each times ``factors[s]``, to `out`."""
    for s in range(count):
        factor, row = factors[s], x[i, s, first : first + out.size]
        for d in range(out.size):
            out[d] += factor * row[d]


@reduction
def _add_to_rows(factors, count, row, dx, i, first):
    """Add `row` times ``factors[s]`` to columns of dx from `first` on, at times s < `count`."""
    for s in range(count):
        factor, out = factors[s], dx[i, s, first : first + row.size]
        for d in range(row.size):
            out[d] += factor * row[d]


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
    length, last = x.shape[1], memory.shape[0] - 3
    scale = x.dtype.type(1.0 / math.sqrt(key_dim))
    own, mask = memory[last], memory[last + 1]
    for i in range(x.shape[0]):
        for h in range(heads):
            _transpose(x, i, (heads + h) * key_dim, memory, key_dim)
            for t in range(length):
                count = t + 1 if causal else length
                _products(x[i, t, h * key_dim : (h + 1) * key_dim], memory, own, count)
                _softmax(own, count, scale)
                if weights.shape[0] > 0:
                    for s in range(length):
                        weights[i, h, t, s] = own[s]
                if training and rate > 0.0:
                    place = (((first_row + i) * heads + h) * length + t) * length
                    dropout_mask(rate, seed, stream, step, place, mask)
                    for s in range(count):
                        own[s] *= mask[s]
                out = y[i, t, h * value_dim : (h + 1) * value_dim]
                for d in range(value_dim):
                    out[d] = x.dtype.type(0)
                _add_rows(own, count, x, i, 2 * heads * key_dim + h * value_dim, out)


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
    length, last = x.shape[1], memory.shape[0] - 3
    scale = T(1.0 / math.sqrt(key_dim))
    own, mask, kept = memory[last], memory[last + 1], memory[last + 2]
    drops = training and rate > 0.0
    for i in range(x.shape[0]):
        for t in range(length):
            for j in range(x.shape[2]):
                dx[i, t, j] = T(0)
        for h in range(heads):
            keys, values = (heads + h) * key_dim, 2 * heads * key_dim + h * value_dim
            _transpose(x, i, values, memory, value_dim)
            for t in range(length):
                count = t + 1 if causal else length
                gradient = dy[i, t, h * value_dim : (h + 1) * value_dim]
                _products(gradient, memory, own, count)
                for s in range(count):
                    kept[s] = weights[i, h, t, s]
                if drops:
                    place = (((first_row + i) * heads + h) * length + t) * length
                    dropout_mask(rate, seed, stream, step, place, mask)
                    for s in range(count):
                        kept[s] *= mask[s]
                        own[s] *= mask[s]
                _add_to_rows(kept, count, gradient, dx, i, values)
                mean = _inner(weights[i, h, t], own, count)
                for s in range(count):
                    own[s] = weights[i, h, t, s] * (own[s] - mean) * scale
                _add_rows(own, count, x, i, keys, dx[i, t, h * key_dim : (h + 1) * key_dim])
                _add_to_rows(own, count, x[i, t, h * key_dim : (h + 1) * key_dim], dx, i, keys)


@kernel
def attention_sample(x, heads, key_dim, value_dim, causal, rate, seed, stream, step, memory, weights, y):
    """Write `y` and `memory`: weights are dropped, those of the same pairs of times in all rows.

    `weights` are of no rows; `step` is the number of the sample: see `kernels.layers.dropout`.
    """
    for i in range(x.shape[0]):
        attention_forward(
            x[i : i + 1], heads, key_dim, value_dim, causal, rate, seed, stream, step, 0, True, memory,
            weights[:0], y[i : i + 1]
        )  # fmt: skip


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
sample_entry = _op.entry(attention_sample, writes="y memory")
