"""Multiply-accumulates of a forward pass: those of matrix products and convolutions, exactly.

Windows count in full where they reach into padding, as fvcore and torchinfo count them. What is done number
by number, as an activation, a normalization or a bias, does not count, as in fvcore. `Op.multiplications` is
another number: an estimate of the time, by which threads are planned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .ops import Op


def _product(op: Op) -> int:
    """Of a product with weights: each number that comes in, for each unit."""
    return op.n_in * op.output.shape[-1]


def _convolution(small: int, op: Op) -> int:
    """Of a window at each number of the smaller image, with the channels of the larger one."""
    channels, (height, width), groups = op.settings[1], op.settings[2:4], op.settings[-1]
    return int(small * height * width * channels // groups)


def _depthwise(op: Op) -> int:
    height, width = op.settings[2:4]
    return int(op.n_out * height * width)


def _attention(op: Op) -> int:
    """Of each query with each key that it sees, and of the weights with the values."""
    heads, key_dim, length, causal, _ = op.settings
    seen = length * (length + 1) // 2 if causal else length * length
    return int(seen * (heads * key_dim + op.output.shape[-1]))


# By kernel. All others have none: a look-up, a pool or a sum is no product.
_TABLE: dict[str, Callable[[Op], int]] = {
    "layers.dense": _product,
    "layers.derivatives.dense": _product,
    "layers.recurrent.simple_rnn": _product,  # of the gates' numbers, each of which has `units` weights
    "layers.recurrent.gru": _product,
    "layers.recurrent.lstm": _product,
    "layers.convolution.convolution": lambda op: _convolution(op.n_out, op),
    "layers.convolution.transposed": lambda op: _convolution(op.n_in, op),
    "layers.depthwise": _depthwise,
    "layers.attention": _attention,
}


def mult_adds(ops: Iterable[Op]) -> int:
    """Of a sample, in these ops."""
    return sum(_TABLE[op.kernel](op) for op in ops if op.kernel in _TABLE)
