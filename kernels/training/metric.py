"""Metrics: sums over the rows of an epoch, and what they come to.

``update(prediction, target, weight, p, state)`` adds the rows at hand to `state`, a float64 array
that starts as zeros; ``result(state) -> float64``.
"""

from collections import namedtuple

import numpy as np

from ..abi.entries import entry
from ..abi.oprow import METRIC
from ..abi.tensors import outputs_have_weights, row_weights, target_address, tensor_address
from ..lowlevel._jit import force_inline, inline_ir, kernel
from ..lowlevel.simd import view

Metric = namedtuple("Metric", "update result forward_entry result_entry")


def _with_entries(update, result, by_output=True):
    """A metric with its entries.

    Where each output has a weight of its own, each is a row of its own to `update`; but if not `by_output`,
    which tells that `update` keeps the outputs apart and takes as many weights.
    """

    @inline_ir
    def state_of(row, net):
        return view(net.metric_state + 8 * row.state, row.state_size, np.float64)

    @entry(METRIC)
    def forward_entry(row, net, T):
        rows, n_out, n_targets = net.rows, row.n_out, row.n_targets
        x, t = tensor_address(net, row.prediction, n_out, T), target_address(net, n_targets, T)
        if by_output and outputs_have_weights(net):
            rows, n_out, n_targets = rows * n_out, 1, 1
        prediction, target = view(x, (rows, n_out), T), view(t, (rows, n_targets), T)
        update(prediction, target, row_weights(net, T), T(row.settings[0]), state_of(row, net))

    @entry(METRIC)
    def result_entry(row, net, T):
        figures = view(net.history, net.history_width, np.float64)
        figures[row.column] = result(state_of(row, net))

    return Metric(update, result, forward_entry, result_entry)


@force_inline
def _largest(x, i):
    best = 0
    for j in range(1, x.shape[1]):
        best = j if x[i, j] > x[i, best] else best
    return best


@kernel
def accuracy_update(prediction, target, weight, p, state):
    """Add to `state`: weight of the right rows, and of all.

    With one output, or as many targets as outputs that are not classes (`p` is not NaN), a number is
    right if it lies on the target's side of the threshold `p`.
    """
    rows, n_out = prediction.shape
    half = target.dtype.type(0.5)
    for i in range(rows):
        w = np.float64(weight[i]) if weight.size > 0 else 1.0
        if p == p:
            right = 0.0
            for j in range(n_out):
                right += 1.0 if (prediction[i, j] > p) == (target[i, j] > half) else 0.0
            right /= n_out
        elif target.shape[1] == 1:
            right = 1.0 if _largest(prediction, i) == np.int64(target[i, 0]) else 0.0
        else:
            right = 1.0 if _largest(prediction, i) == _largest(target, i) else 0.0
        state[0] += w * right
        state[1] += w


@kernel
def mse_update(prediction, target, weight, p, state):
    """Add to `state`: weighted mean of a row's squared errors, and the weight."""
    rows, n_out = prediction.shape
    for i in range(rows):
        w = np.float64(weight[i]) if weight.size > 0 else 1.0
        total = 0.0
        for j in range(n_out):
            error = np.float64(prediction[i, j]) - np.float64(target[i, j])
            total += error * error
        state[0] += w * total / n_out
        state[1] += w


@kernel
def mae_update(prediction, target, weight, p, state):
    """Add to `state`: weighted mean of a row's absolute errors, and the weight."""
    rows, n_out = prediction.shape
    for i in range(rows):
        w = np.float64(weight[i]) if weight.size > 0 else 1.0
        total = 0.0
        for j in range(n_out):
            total += abs(np.float64(prediction[i, j]) - np.float64(target[i, j]))
        state[0] += w * total / n_out
        state[1] += w


@kernel
def mean_result(state):
    """First number of `state` over the second; NaN without rows."""
    return state[0] / state[1]


@kernel
def r2_update(prediction, target, weight, p, state):
    """Add to `state`, four numbers an output: weight, mean, squares about the mean, squared errors.

    `weight` is of shape (rows,), or (rows * n_out,) where each output has one of its own.
    The running mean and squares of D. West, *Updating mean and variance estimates*, CACM 22 (1979).
    """
    rows, n_out = prediction.shape
    wide = weight.size > rows
    for i in range(rows):
        w = np.float64(weight[i]) if weight.size > 0 else 1.0
        if w == 0.0 and not wide:
            continue
        for j in range(n_out):
            if wide:
                w = np.float64(weight[i * n_out + j])
                if w == 0.0:
                    continue
            at = 4 * j
            t = np.float64(target[i, j])
            error = np.float64(prediction[i, j]) - t
            state[at] += w
            away = t - state[at + 1]
            state[at + 1] += away * (w / state[at])  # exactly `away` in the first row
            state[at + 2] += w * away * (t - state[at + 1])
            state[at + 3] += w * error * error


@kernel
def r2_result(state):
    """Coefficient of determination, its mean over the outputs that have targets; NaN without any.

    As scikit-learn's `r2_score`: of a constant target it is 1 if predicted exactly, else 0.
    """
    n_out = state.size // 4
    total, counted = 0.0, 0.0
    for j in range(n_out):
        if state[4 * j] == 0.0:
            continue
        counted += 1.0
        squares, errors = state[4 * j + 2], state[4 * j + 3]
        if squares > 0.0:
            total += 1.0 - errors / squares
        else:
            total += 1.0 if errors == 0.0 else 0.0
    return total / counted


accuracy = _with_entries(accuracy_update, mean_result)
mse = _with_entries(mse_update, mean_result)
mae = _with_entries(mae_update, mean_result)
r2 = _with_entries(r2_update, r2_result, by_output=False)
