"""A network as C functions, for callers that know neither Python nor Numba: see `Model.c_function`.

`batch_x` and `batch_y` of such a network are memory for a sample in the model's dtype, and its output.
"""

import math

import numpy as np
from numba import types

from ..abi.descriptor import DESCRIPTOR, OK
from ..lowlevel._jit import kernel
from ..lowlevel.simd import call, record, view


@kernel
def _write_nan(out):
    """Write NaN into all of `out`, of shape (n,)."""
    for i in range(out.size):
        out[i] = math.nan


@kernel
def _convert(source, target):
    """Write `target`, of the shape (n,) of `source`, in its own dtype."""
    for i in range(target.size):
        target[i] = target.dtype.type(source[i])


def forward_entry(T):
    """``void forward(int64_t n, const T *x, T *out, void *net)``: `out` of n samples; NaN if one is wrong."""

    def forward(n, x, out, net_address):
        net = record(net_address, DESCRIPTOR)
        net.x, net.output, net.n_samples, net.pass_rows = x, out, n, 0
        call(net.predict, 0, net_address)
        if net.status != OK:
            _write_nan(view(out, n * net.n_outputs, T))

    forward.signature = types.void(types.int64, types.int64, types.int64, types.int64)
    return forward


def integrand_entry(T):
    """``double integrand(int n, double *x, void *net)``: the output of a sample; NaN if it is wrong."""

    def integrand(n, x, net_address):
        net = record(net_address, DESCRIPTOR)
        size, result = net.n_features, math.nan
        if n == size:
            _convert(view(x, size, np.float64), view(net.batch_x, size, T))
            net.x, net.output, net.n_samples, net.pass_rows = net.batch_x, net.batch_y, 1, 0
            call(net.predict, 0, net_address)
            if net.status == OK:
                result = np.float64(view(net.batch_y, 1, T)[0])
        return result

    integrand.signature = types.float64(types.int32, types.int64, types.int64)
    return integrand
