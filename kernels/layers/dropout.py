"""Inverted dropout: N. Srivastava et al., *Dropout*, JMLR 15 (2014), section 10.

Spatial dropout drops a channel at all positions of a sample: J. Tompson et al., *Efficient Object
Localization Using Convolutional Networks*, CVPR 2015.
"""

from collections import namedtuple

import numpy as np

from ..abi.entries import BY_ELEMENT, Op
from ..lowlevel._jit import inline_ir, kernel
from ..lowlevel.simd import flat
from ..math.random import number

Spatial = namedtuple("Spatial", "forward_entry backward_input_entry")


@kernel
def dropout_mask(rate, seed, stream, step, first, mask):
    """Write `mask`: 0 with probability `rate`, 1 / (1 - rate) otherwise.

    Parameters
    ----------
    rate : float64, 0 <= rate < 1
    seed, stream, step, first : int64
        Where in the random numbers the mask starts: element i takes number ``first + i``.
    mask : array of shape (n,)
    """
    threshold = np.uint64(rate * 4294967296.0)
    keep, drop = mask.dtype.type(1.0 / (1.0 - rate)), mask.dtype.type(0)
    seed, stream, step = np.uint64(seed), np.uint64(stream), np.uint64(step)
    for i in range(mask.size):
        drawn = number(seed, stream, step, np.uint64(first + i))
        mask[i] = keep if drawn >= threshold else drop


@inline_ir
def multiply(x, mask, y):
    """Write ``y = x * mask``; arrays of shape (n,); x and y may be the same array."""
    for i in range(x.size):
        y[i] = x[i] * mask[i]


@inline_ir
def _copy(x, y):
    """Write ``y = x``; arrays of shape (n,)."""
    for i in range(x.size):
        y[i] = x[i]


@inline_ir
def dropout_forward(x, rate, seed, stream, step, first_row, n_in, training, y_is_x, mask, y):
    """Write ``y = x * mask`` and, before, `mask`; if not `training`, only ``y = x``.

    Arrays of shape (n,); y may be x, which `y_is_x` says. `first_row` is the number of the first sample in
    its batch, each of `n_in` numbers; the others as for `dropout_mask`.
    """
    if training:
        dropout_mask(rate, seed, stream, step, first_row * n_in, mask)
        if y_is_x:
            multiply(y, mask, y)
        else:
            multiply(x, mask, y)
    elif not y_is_x:
        _copy(x, y)


@inline_ir
def dropout_backward(dy, mask, training, dx_is_dy, dx):
    """Write ``dx = dy * mask``; if not `training`, ``dx = dy``; dx may be dy, which `dx_is_dy` says."""
    if training:
        if dx_is_dy:
            multiply(dx, mask, dx)
        else:
            multiply(dy, mask, dx)
    elif not dx_is_dy:
        _copy(dy, dx)


_op = Op(tensors=BY_ELEMENT, scratch={"mask": "rows * n_in"}, settings={"rate": np.float64})
forward_entry = _op.entry(dropout_forward, writes="y mask")
backward_input_entry = _op.entry(dropout_backward, writes="dx")


@inline_ir
def _multiply_channels(x, mask, y):
    """Write ``y[i, k, c] = x[i, k, c] * mask[i, c]``; x and y may be the same array."""
    for i in range(x.shape[0]):
        for k in range(x.shape[1]):
            for c in range(x.shape[2]):
                y[i, k, c] = x[i, k, c] * mask[i, c]


@inline_ir
def spatial_dropout_forward(x, rate, seed, stream, step, first_row, channels, training, y_is_x, mask, y):
    """Write ``y = x * mask`` and, before, `mask`; if not `training`, only ``y = x``.

    Arrays of shape (rows, positions, channels), the mask of shape (rows, channels). The others are those of
    `dropout_forward`.
    """
    if training:
        dropout_mask(rate, seed, stream, step, first_row * channels, flat(mask))
        if y_is_x:
            _multiply_channels(y, mask, y)
        else:
            _multiply_channels(x, mask, y)
    elif not y_is_x:
        _copy(flat(x), flat(y))


@inline_ir
def spatial_dropout_backward(dy, mask, training, dx_is_dy, dx):
    """Write ``dx = dy * mask``; if not `training`, ``dx = dy``."""
    if training:
        if dx_is_dy:
            _multiply_channels(dx, mask, dx)
        else:
            _multiply_channels(dy, mask, dx)
    elif not dx_is_dy:
        _copy(flat(dy), flat(dx))


_spatial = Op(
    tensors=dict.fromkeys(("x", "y", "dx", "dy"), "rows, positions, channels"),
    scratch={"mask": "rows, channels"},
    settings={"rate": np.float64, "positions": np.int64, "channels": np.int64},
)
spatial = Spatial(
    _spatial.entry(spatial_dropout_forward, writes="y mask"),
    _spatial.entry(spatial_dropout_backward, writes="dx"),
)
