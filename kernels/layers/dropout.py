"""Inverted dropout: N. Srivastava et al., *Dropout*, JMLR 15 (2014), section 10.

Spatial dropout drops a channel at all positions of a sample: J. Tompson et al., *Efficient Object
Localization Using Convolutional Networks*, CVPR 2015.

The entries ``sample`` drop in prediction, too: Y. Gal and Z. Ghahramani, *Dropout as a Bayesian
Approximation*, ICML 2016. A sample is a network drawn at random, with one mask for all rows.
"""

from collections import namedtuple

import numpy as np

from ..abi.entries import BY_ELEMENT, Op
from ..lowlevel._jit import inline_ir, kernel
from ..lowlevel.simd import flat
from ..math.random import number

Spatial = namedtuple("Spatial", "forward_entry backward_input_entry sample_entry")


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


@kernel
def dropout_sample(x, rate, seed, stream, step, y_is_x, mask, y):
    """Write `mask`, of one row, and ``y = x * mask``, which drops the same numbers of all rows.

    Arrays of shape (rows, n_in), the mask of shape (n_in,); `step` is the number of the sample. y may be x,
    which `y_is_x` says.
    """
    dropout_mask(rate, seed, stream, step, 0, mask)
    for i in range(y.shape[0]):
        if y_is_x:
            multiply(y[i], mask, y[i])
        else:
            multiply(x[i], mask, y[i])


_settings = {"rate": np.float64}
_op = Op(tensors=BY_ELEMENT, scratch={"mask": "rows * n_in"}, settings=_settings)
forward_entry = _op.entry(dropout_forward, writes="y mask")
backward_input_entry = _op.entry(dropout_backward, writes="dx")
sample_entry = Op(scratch={"mask": "n_in"}, settings=_settings).entry(dropout_sample, writes="y mask")


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


@kernel
def spatial_dropout_sample(x, rate, seed, stream, step, y_is_x, mask, y):
    """Write `mask` and ``y = x * mask``: as `dropout_sample`, of arrays of shape (rows, positions, channels).

    The mask is of shape (channels,).
    """
    dropout_mask(rate, seed, stream, step, 0, mask)
    for i in range(y.shape[0]):
        for k in range(y.shape[1]):
            if y_is_x:
                multiply(y[i, k], mask, y[i, k])
            else:
                multiply(x[i, k], mask, y[i, k])


_tensors = dict.fromkeys(("x", "y", "dx", "dy"), "rows, positions, channels")
_settings = {"rate": np.float64, "positions": np.int64, "channels": np.int64}
_spatial = Op(tensors=_tensors, scratch={"mask": "rows, channels"}, settings=_settings)
_sampled = Op(tensors=_tensors, scratch={"mask": "channels"}, settings=_settings)
spatial = Spatial(
    _spatial.entry(spatial_dropout_forward, writes="y mask"),
    _spatial.entry(spatial_dropout_backward, writes="dx"),
    _sampled.entry(spatial_dropout_sample, writes="y mask"),
)
