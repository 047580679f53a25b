"""A short fit as one call: a copy of what training changes, training, and the copy back if that fails."""

import numpy as np

from ..abi.descriptor import DIVERGED, OK
from ..abi.entries import entry
from ..abi.oprow import FIT, VECTOR
from ..lowlevel._jit import force_inline, kernel
from ..lowlevel.simd import address, call, record_at, view
from .batch import is_finite


@kernel
def copy(source, target):
    """Write `source` into `target`, arrays of shape (n,)."""
    for i in range(target.size):
        target[i] = source[i]


@force_inline
def _keep(row, T):
    """Write a copy of each vector."""
    for i in range(row.n_vectors):
        vector = record_at(row.vectors, i, VECTOR)
        copy(view(vector.values, vector.size, T), view(vector.copy, vector.size, T))


@force_inline
def _bring_back(row, T):
    """Write each vector as it was copied."""
    for i in range(row.n_vectors):
        vector = record_at(row.vectors, i, VECTOR)
        copy(view(vector.copy, vector.size, T), view(vector.values, vector.size, T))


@force_inline
def _are_finite(row, T):
    """Whether all vectors are finite. Writes nothing."""
    for i in range(row.n_vectors):
        vector = record_at(row.vectors, i, VECTOR)
        if not is_finite(view(vector.values, vector.size, T)):
            return False
    return True


@entry(FIT)
def fit_entry(row, net, T):
    """Some epochs over the samples of `net` -> the vectors, the counters, `history` and `status`.

    Where the loss or a number of a vector becomes NaN or infinite, vectors and counters are as they were.
    """
    counters = view(row.counters, 3, np.int64)
    net.step, net.epoch, net.position = counters[0], counters[1], 0
    net.last_epoch = net.epoch + row.epochs
    net.max_steps = row.epochs * ((net.n_samples + net.batch_size - 1) // net.batch_size)
    net.order, net.orders, net.history, net.team = row.order, 0, row.history, 1
    _keep(row, T)
    call(row.train, 0, address(net))
    if net.status == OK and _are_finite(row, T):
        counters[0], counters[1], counters[2] = net.step, net.epoch, 0
    else:
        _bring_back(row, T)
        net.status = DIVERGED
