"""Losses whose value is that which scikit-learn's networks report, and stop by.

The gradient is that of the loss that is trained for. The value is not quite its integral: logarithms are
taken of probabilities that are kept away from 0 and 1 by the dtype's epsilon, so that a row's loss is
bounded; the squared error is half the mean over the outputs, not half their sum; the Poisson deviance has its
term of the targets alone. Signatures are those of `loss`.
"""

import numpy as np

from ..layers.softmax import row_sum, shift_rows
from ..lowlevel._jit import force_inline, reduction
from ..lowlevel.simd import flat
from ..math.elementary import exp, log, sigmoid
from ..math.formats import both
from .loss import class_number, elementwise, make_loss


@both
def clip_probability(kind):
    """Bring `x` into epsilon ... 1 - epsilon; a NaN stays one."""
    low = kind(np.finfo(kind).eps)
    high = kind(1) - low

    @force_inline
    def clip_probability(x):
        x = low if x < low else x
        return high if x > high else x

    return clip_probability


@reduction
def log_loss_kernel(prediction, target, weight, scale, p, gradient):
    """Cross-entropy of softmax(prediction), of clipped probabilities. Writes `gradient`; `p` is not used."""
    number = prediction.dtype.type
    one, zero = number(1), number(0)
    rows, n_out = prediction.shape
    has_shares = target.shape[1] > 1
    total = 0.0
    shift_rows(prediction, gradient)
    exponentials = flat(gradient)
    for i in range(exponentials.size):
        exponentials[i] = exp(exponentials[i])
    for i in range(rows):
        w = weight[i] if weight.size > 0 else one
        factor = w * scale
        normalize = one / row_sum(gradient, i)
        row = zero
        if has_shares:
            shares = row_sum(target, i)
            for j in range(n_out):
                probability = gradient[i, j] * normalize
                row -= target[i, j] * log(clip_probability(probability))
                gradient[i, j] = factor * (shares * probability - target[i, j])
        else:
            c = class_number(target, i, n_out)
            if c >= 0:
                row = -log(clip_probability(gradient[i, c] * normalize))
            for j in range(n_out):
                gradient[i, j] *= factor * normalize
            if c >= 0:
                gradient[i, c] -= factor
        total += np.float64(w * row)
    return total


@force_inline
def _binary_log_loss(z, t, p):
    one = type(z)(1)
    q = clip_probability(sigmoid(z))
    return -t * log(q) - (one - t) * log(one - q)


@force_inline
def _binary_log_loss_derivative(z, t, p):
    return sigmoid(z) - t


@force_inline
def _poisson_deviance(z, t, p):
    zero, one = type(z)(0), type(z)(1)
    return exp(z) - t * z + t * log(t if t > zero else one) - t


@force_inline
def _poisson_deviance_derivative(z, t, p):
    return exp(z) - t


@reduction
def squared_error_kernel(prediction, target, weight, scale, p, gradient):
    """Mean of the squared errors over the outputs; the gradient is that of `loss.mse`.

    For a loss that is multiplied with the number of outputs, for the gradient of their sum: hence the value
    is divided by it once more. Writes `gradient`; `p` is not used.
    """
    number = prediction.dtype.type
    rows, n_out = prediction.shape
    share = number(1) / number(n_out)
    total = 0.0
    for i in range(rows):
        w = weight[i] * share if weight.size > 0 else share
        factor = w * scale
        row = number(0)
        for j in range(n_out):
            error = prediction[i, j] - target[i, j]
            row += error * error
            gradient[i, j] = factor * (number(2) * error)
        total += np.float64(w * share * row)
    return total


log_loss = make_loss(log_loss_kernel)
binary_log_loss = elementwise(_binary_log_loss, _binary_log_loss_derivative)
poisson_deviance = elementwise(_poisson_deviance, _poisson_deviance_derivative)
squared_error = make_loss(squared_error_kernel)
