"""Losses: their value, and their gradient with respect to the prediction, in one pass.

Every kernel has the signature
``loss(prediction, target, weight, scale, p, gradient) -> sum of weight * loss of a row``:

- prediction: array (rows, n_out);
- target: array (rows, n_out) of the same dtype; (rows, 1) of class numbers for `cross_entropy` and
  `nll`;
- weight: array (rows,), or (0,) where all are one;
- scale: factor of a row's loss in the batch's loss, a number of the arrays' dtype;
- p: the loss's setting, if it has one, a number of the arrays' dtype;
- gradient: array (rows, n_out), **written**: the derivative of ``scale * sum`` with respect to the
  prediction.

An elementwise loss is two functions of numbers, ``value(prediction, target, p)`` and
``derivative(prediction, target, p)``; a row's loss is their mean over the outputs, or their sum.
"""

from collections import namedtuple

import numpy as np

from ..abi.entries import entry
from ..abi.oprow import LOSS
from ..abi.tensors import outputs_have_weights, row_weights, target_address, tensor_address
from ..layers.softmax import row_sum, shift_rows
from ..lowlevel._jit import force_inline, reduction
from ..lowlevel.simd import flat, view
from ..math.elementary import exp, log, log1p, sigmoid

Loss = namedtuple("Loss", "kernel forward_entry")


def make_loss(kernel, mean=True):
    """A loss with its entry. It writes the gradient and `loss_value`.

    Where each output has a weight of its own, each is a row of its own to the kernel, which an elementwise
    loss does not mind; `mean` tells whether it is the mean over the outputs, or their sum.
    """

    @entry(LOSS)
    def forward_entry(row, net, T):
        rows, n_out, n_targets = net.rows, row.n_out, row.n_targets
        x, dx = tensor_address(net, row.prediction, n_out, T), tensor_address(net, row.gradient, n_out, T)
        t, factor = target_address(net, n_targets, T), row.factor
        if outputs_have_weights(net):
            if mean:
                factor /= np.float64(n_out)
            rows, n_out, n_targets = rows * n_out, 1, 1
        prediction, gradient = view(x, (rows, n_out), T), view(dx, (rows, n_out), T)
        target = view(t, (rows, n_targets), T)
        p, scale = T(row.settings[0]), T(factor * net.scale)
        total = kernel(prediction, target, row_weights(net, T), scale, p, gradient)
        net.loss_value = factor * total

    return Loss(kernel, forward_entry)


def elementwise(value, derivative, mean=True):
    """Loss of an elementwise pair of functions."""

    @reduction
    def loss(prediction, target, weight, scale, p, gradient):
        """Write `gradient`; return the sum of the weighted losses of the rows."""
        number = prediction.dtype.type
        rows, n_out = prediction.shape
        share = number(1) / number(n_out) if mean else number(1)
        total = 0.0
        for i in range(rows):
            w = weight[i] * share if weight.size > 0 else share
            factor = w * scale
            row = number(0)
            for j in range(n_out):
                row += value(prediction[i, j], target[i, j], p)
                gradient[i, j] = factor * derivative(prediction[i, j], target[i, j], p)
            total += np.float64(w * row)
        return total

    return make_loss(loss, mean)


@force_inline
def _squared_error(y, t, p):
    return (y - t) * (y - t)


@force_inline
def _squared_error_derivative(y, t, p):
    return type(y)(2) * (y - t)


@force_inline
def _absolute_error(y, t, p):
    return abs(y - t)


@force_inline
def _absolute_error_derivative(y, t, p):
    zero, one = type(y)(0), type(y)(1)
    return one if y > t else (-one if y < t else (y - t) * zero)


@force_inline
def _huber(y, t, p):
    error = abs(y - t)
    half = type(y)(0.5)
    return half * error * error if error <= p else p * (error - half * p)


@force_inline
def _huber_derivative(y, t, p):
    error = y - t
    low = -p if error < -p else error
    return p if low > p else low


@force_inline
def _binary_cross_entropy(z, t, p):
    # max(z, 0) - t z + log(1 + exp(-|z|)): no overflow for any z
    zero = type(z)(0)
    return (zero if z < zero else z) - t * z + log1p(exp(-abs(z)))


@force_inline
def _binary_cross_entropy_derivative(z, t, p):
    return sigmoid(z) - t


@force_inline
def _weighted_binary_cross_entropy(z, t, p):
    # t log(sigmoid(z)) counts p times: what it is more than once, t (p - 1) log(1 + exp(-z)), is added.
    zero = type(z)(0)
    rest = log1p(exp(-abs(z)))
    once = (zero if z < zero else z) - t * z + rest
    return once + (p - type(z)(1)) * t * ((-z if z < zero else zero) + rest)


@force_inline
def _weighted_binary_cross_entropy_derivative(z, t, p):
    # sigmoid(-z) is 1 - sigmoid(z), and keeps its digits where that is near 1
    return sigmoid(z) - t - (p - type(z)(1)) * t * sigmoid(-z)


@force_inline
def _poisson(z, t, p):
    return exp(z) - t * z


@force_inline
def _poisson_derivative(z, t, p):
    return exp(z) - t


@force_inline
def _quantile(y, t, p):
    error = t - y
    return p * error if error >= type(y)(0) else (p - type(y)(1)) * error


@force_inline
def _quantile_derivative(y, t, p):
    one = type(y)(1)
    return one - p if y > t else (-p if y < t else (y - t) * p)


@force_inline
def _hinge(y, t, p):
    # The class is -1 or 1, or 0 or 1
    zero, one = type(y)(0), type(y)(1)
    margin = one - (y if t > zero else -y)
    return zero if margin < zero else margin


@force_inline
def _hinge_derivative(y, t, p):
    zero, one = type(y)(0), type(y)(1)
    side = one if t > zero else -one
    margin = one - side * y
    return -side if margin > zero else (zero if margin <= zero else margin)  # NaN, if it is


@force_inline
def _squared_hinge(y, t, p):
    margin = _hinge(y, t, p)
    return margin * margin


@force_inline
def _squared_hinge_derivative(y, t, p):
    margin = type(y)(2) * _hinge(y, t, p)
    return -margin if t > type(y)(0) else margin


mse = elementwise(_squared_error, _squared_error_derivative)
hinge = elementwise(_hinge, _hinge_derivative)
squared_hinge = elementwise(_squared_hinge, _squared_hinge_derivative)
sse = elementwise(_squared_error, _squared_error_derivative, mean=False)
mae = elementwise(_absolute_error, _absolute_error_derivative)
huber = elementwise(_huber, _huber_derivative)
binary_cross_entropy = elementwise(_binary_cross_entropy, _binary_cross_entropy_derivative)
weighted_binary_cross_entropy = elementwise(
    _weighted_binary_cross_entropy, _weighted_binary_cross_entropy_derivative
)
poisson = elementwise(_poisson, _poisson_derivative)
quantile = elementwise(_quantile, _quantile_derivative)


@force_inline
def class_number(target, i, n_out):
    """Number of row i's class, or -1 if the target holds shares of all classes, or no class there is."""
    if target.shape[1] > 1:
        return np.int64(-1)
    number = np.int64(target[i, 0])
    return number if number < n_out else np.int64(-1)


@reduction
def cross_entropy_kernel(prediction, target, weight, scale, p, gradient):
    """Cross-entropy of softmax(prediction); `p` is the label smoothing. Writes `gradient`.

    Smoothing moves the targets towards 1 / n_out: C. Szegedy et al., *Rethinking the Inception
    Architecture for Computer Vision*, CVPR 2016, section 7.
    """
    number = prediction.dtype.type
    rows, n_out = prediction.shape
    has_shares = target.shape[1] > 1
    keep, spread = number(1) - p, p / number(n_out)
    total = 0.0
    # The loss of a row is sum(q) log(sum(exp(s))) - sum(q s), with q the smoothed target and s the
    # shifted logits: both terms are positive, and neither overflows.
    shift_rows(prediction, gradient)
    for i in range(rows):
        inner = number(0)
        c = class_number(target, i, n_out)
        if has_shares:
            for j in range(n_out):
                inner += target[i, j] * gradient[i, j]
        elif c >= 0:
            inner = gradient[i, c]
        if p > number(0):
            inner = keep * inner + spread * row_sum(gradient, i)
        total -= np.float64(weight[i] * inner if weight.size > 0 else inner)
    # All exponentials in one loop, not one a row: rows are often shorter than a vector.
    exponentials = flat(gradient)
    for i in range(exponentials.size):
        exponentials[i] = exp(exponentials[i])
    for i in range(rows):
        w = weight[i] if weight.size > 0 else number(1)
        shares = keep * row_sum(target, i) + p if has_shares else number(1)
        exponential_sum = row_sum(gradient, i)
        total += np.float64(w * shares * log(exponential_sum))
        factor = w * scale
        normalize = shares / exponential_sum
        if has_shares:
            for j in range(n_out):
                share = keep * target[i, j] + spread
                gradient[i, j] = factor * (gradient[i, j] * normalize - share)
        else:
            for j in range(n_out):
                gradient[i, j] = factor * (gradient[i, j] * normalize - spread)
            c = class_number(target, i, n_out)
            if c >= 0:
                gradient[i, c] -= factor * keep
    return total


@reduction
def nll_kernel(prediction, target, weight, scale, p, gradient):
    """Negative log-likelihood; the prediction is log-probabilities. Writes `gradient`."""
    number = prediction.dtype.type
    rows, n_out = prediction.shape
    total = 0.0
    for i in range(rows):
        w = weight[i] if weight.size > 0 else number(1)
        row = number(0)
        c = class_number(target, i, n_out)
        for j in range(n_out):
            share = target[i, j] if target.shape[1] > 1 else (number(1) if j == c else number(0))
            # A class that is impossible (log 0) and does not occur adds nothing: not 0 * infinity.
            row -= share * prediction[i, j] if share != number(0) else number(0)
            gradient[i, j] = -w * scale * share
        total += np.float64(w * row)
    return total


cross_entropy = make_loss(cross_entropy_kernel)
nll = make_loss(nll_kernel)
