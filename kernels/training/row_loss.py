"""Losses that look at a row as a whole, where outputs and targets do not stand for each other one by one.

Such a loss is one function, ``row_loss(y, t, p, dy) -> loss of the row``:

- y: the outputs, array (n_out,);
- t: the targets, array (n_targets,), or (1,) with the number of a class;
- p: the settings, a float64 array;
- dy: array (n_out,), **written**: the derivatives with respect to y. It may hold what is computed on the way.

Where there are several targets, the outputs are blocks, each with a number for every target: all means, then
all logarithms of the variances.
"""

import numpy as np

from ..abi.entries import entry
from ..abi.oprow import LOSS
from ..abi.tensors import row_weights, target_address, tensor_address
from ..lowlevel._jit import force_inline, kernel
from ..lowlevel.simd import view
from ..math.elementary import exp, expm1, log, sigmoid, softplus
from .loss import Loss

_LOG_2_PI = 1.8378770664093453


def rowwise(row_loss):
    """Loss of such a function, with its entry. It writes the gradient and `loss_value`."""

    @kernel
    def loss(prediction, target, weight, scale, p, gradient):
        """Write `gradient`; return the sum of the weighted losses of the rows."""
        one = prediction.dtype.type(1)
        total = 0.0
        for i in range(prediction.shape[0]):
            w = weight[i] if weight.size > 0 else one
            total += np.float64(w * row_loss(prediction[i], target[i], p, gradient[i]))
            factor = w * scale
            for j in range(gradient.shape[1]):
                gradient[i, j] *= factor
        return total

    @entry(LOSS)
    def forward_entry(row, net, T):
        rows, n_out, n_targets = net.rows, row.n_out, row.n_targets
        prediction = view(tensor_address(net, row.prediction, n_out, T), (rows, n_out), T)
        gradient = view(tensor_address(net, row.gradient, n_out, T), (rows, n_out), T)
        target = view(target_address(net, n_targets, T), (rows, n_targets), T)
        scale = T(row.factor * net.scale)
        total = loss(prediction, target, row_weights(net, T), scale, row.settings, gradient)
        net.loss_value = row.factor * total

    return Loss(loss, forward_entry)


@force_inline
def gaussian_row(y, t, p, dy):
    """Mean over the targets of ``(log(v) + (t - m)**2 / v) / 2``; y holds all m, then all log(v).

    D. A. Nix, A. S. Weigend, *Estimating the mean and variance of the target probability distribution*, ICNN
    1994. A variance below p[0] counts as p[0], and its derivative then only makes it larger. With p[1], the
    constant log(2 pi) / 2 is added. Writes `dy`.
    """
    T = y.dtype.type
    half, zero, n = T(0.5), T(0), t.size
    least, share = T(p[0]), T(1) / T(n)
    constant = T(_LOG_2_PI) if p[1] != 0.0 else zero
    total = zero
    for j in range(n):
        s = y[n + j]
        variance = exp(s)
        is_small = variance < least
        variance = least if is_small else variance
        error = y[j] - t[j]
        ratio = error / variance
        total += half * (constant + (log(least) if is_small else s) + error * ratio)
        slope = half * (T(1) - error * ratio)
        dy[j] = share * ratio
        dy[n + j] = zero if is_small and slope > zero else share * slope
    return share * total


@force_inline
def quantiles_row(y, t, p, dy):
    """Mean over targets and levels of the pinball loss; y holds the first quantile of all targets, ....

    p holds whether quantiles cannot cross, and the levels. R. Koenker, G. Bassett, *Regression quantiles*,
    Econometrica 46 (1978). If they cannot, a quantile is the one below plus softplus of its output. Writes
    `dy`.
    """
    T = y.dtype.type
    zero, n = T(0), t.size
    levels = y.size // n
    apart, share = p[0] != 0.0, T(1) / T(y.size)
    total = zero
    for j in range(n):
        quantile = zero
        for i in range(levels):
            at, level = i * n + j, T(p[1 + i])
            quantile = quantile + softplus(y[at]) if apart and i > 0 else y[at]
            error = t[j] - quantile
            total += level * error if error >= zero else (level - T(1)) * error
            slope = T(1) - level if error < zero else (-level if error > zero else error * level)
            dy[at] = share * slope
        if apart:
            above = zero
            for k in range(levels):
                at = (levels - 1 - k) * n + j
                above += dy[at]
                dy[at] = above * sigmoid(y[at]) if k < levels - 1 else above
    return share * total


@force_inline
def mixture_row(y, t, p, dy):
    """Negative log-likelihood of a mixture of p[0] Gaussians, each with one variance for all targets.

    y holds the logits of their weights, the logarithms of their variances, then for each target their means.
    C. M. Bishop, *Mixture density networks*, 1994. A variance below p[1] counts as p[1]. Writes `dy`.
    """
    T = y.dtype.type
    zero, half, n = T(0), T(0.5), t.size
    count, least = np.int64(p[0]), T(p[1])
    dimension = T(n)
    # In place of derivatives, first the logarithm of each density times its weight.
    largest_logit, largest = y[0], zero
    for i in range(1, count):
        largest_logit = y[i] if y[i] > largest_logit else largest_logit
    logits = zero
    for i in range(count):
        logits += exp(y[i] - largest_logit)
        variance = exp(y[count + i])
        is_small = variance < least
        variance = least if is_small else variance
        squares = zero
        for j in range(n):
            error = y[(2 + j) * count + i] - t[j]
            squares += error * error
        log_variance = log(least) if is_small else y[count + i]
        density = y[i] - half * (dimension * (log_variance + T(_LOG_2_PI)) + squares / variance)
        dy[i] = density
        largest = density if i == 0 or density > largest else largest
    total = zero
    for i in range(count):
        dy[i] = exp(dy[i] - largest)
        total += dy[i]
    for i in range(count):
        share = dy[i] / total  # of the component in the density of the targets
        variance = exp(y[count + i])
        is_small = variance < least
        variance = least if is_small else variance
        squares = zero
        for j in range(n):
            error = y[(2 + j) * count + i] - t[j]
            squares += error * error
            dy[(2 + j) * count + i] = share * error / variance
        slope = half * share * (dimension - squares / variance)
        dy[count + i] = zero if is_small and slope > zero else slope
        dy[i] = exp(y[i] - largest_logit) / logits - share
    return log(logits) + largest_logit - log(total) - largest


@force_inline
def corn_row(y, t, p, dy):
    """Negative log-likelihood of a rank: ``sigmoid(y[j])`` is the probability of more than j, if not of less.

    X. Shi, W. Cao, S. Raschka, *Deep neural networks for rank-consistent ordinal regression based on
    conditional probabilities*, 2021; there, the mean is over all comparisons of a batch. Writes `dy`.
    """
    T = y.dtype.type
    rank, total = np.int64(t[0]), T(0)
    for j in range(y.size):
        if j < rank:
            total += softplus(-y[j])
            dy[j] = -sigmoid(-y[j])
        elif j == rank:
            total += softplus(y[j])
            dy[j] = sigmoid(y[j])
        else:
            dy[j] = T(0) * y[j]
    return total


@force_inline
def _log_softmax(y, out):
    """Write ``out = log(softmax(y))``, without overflow."""
    T = y.dtype.type
    largest = y[0]
    for j in range(1, y.size):
        largest = y[j] if y[j] > largest else largest
    total = T(0)
    for j in range(y.size):
        total += exp(y[j] - largest)
    shift = largest + log(total)
    for j in range(y.size):
        out[j] = y[j] - shift


@force_inline
def _share(t, j):
    """What class j has of the target: shares, or the number of a class."""
    T = t.dtype.type
    if t.size > 1:
        return t[j]
    return T(1) if np.int64(t[0]) == j else T(0)


@force_inline
def focal_row(y, t, p, dy):
    """``-alpha sum(t (1 - q)**gamma log(q))`` for q = softmax(y); p holds gamma and alpha.

    T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollar, *Focal loss for dense object detection*, ICCV 2017.
    Writes `dy`.
    """
    T = y.dtype.type
    zero = T(0)
    gamma, alpha = T(p[0]), T(p[1])
    _log_softmax(y, dy)
    total = pull = zero
    for j in range(y.size):
        share = _share(t, j)
        if share != zero:
            total -= share * _focus(dy[j], gamma) * dy[j]
            pull += share * _focal_slope(dy[j], gamma)
    for j in range(y.size):
        share = _share(t, j)
        own = share * _focal_slope(dy[j], gamma) if share != zero else zero
        dy[j] = alpha * (own - exp(dy[j]) * pull)
    return alpha * total


@force_inline
def _focus(log_q, gamma):
    """``(1 - q)**gamma``, exact for q near 1."""
    T = type(log_q)
    rest = -expm1(log_q)
    if gamma == T(0):
        return T(1) + rest * T(0)
    return T(0) if rest <= T(0) else exp(gamma * log(rest))


@force_inline
def _focal_slope(log_q, gamma):
    """``q`` times the derivative of ``-(1 - q)**gamma log(q)`` with respect to q."""
    T = type(log_q)
    rest, focus = -expm1(log_q), _focus(log_q, gamma)
    inner = T(0) if rest <= T(0) else gamma * focus / rest * exp(log_q) * log_q
    return inner - focus


@force_inline
def kl_divergence_row(y, t, p, dy):
    """``sum(t log(t / q))`` for q = softmax(y). Writes `dy`."""
    T = y.dtype.type
    zero = T(0)
    _log_softmax(y, dy)
    total = shares = zero
    for j in range(y.size):
        share = _share(t, j)
        shares += share
        if share > zero:  # 0 log(0) is 0
            total += share * (log(share) - dy[j])
    for j in range(y.size):
        dy[j] = shares * exp(dy[j]) - _share(t, j)
    return total


@force_inline
def _length(x):
    """The largest number of x by size, and the length of x divided by it; 0 and 1 if all are zero."""
    T = x.dtype.type
    largest = T(0)
    for j in range(x.size):
        largest = largest if abs(x[j]) <= largest else abs(x[j])
    if largest == T(0):
        return largest, T(1)
    total = T(0)
    for j in range(x.size):
        total += (x[j] / largest) * (x[j] / largest)
    return largest, total ** T(0.5)


@force_inline
def cosine_similarity_row(y, t, p, dy):
    """Minus the cosine of the angle between y and t; 0 where one of them is all zeros. Writes `dy`."""
    T = y.dtype.type
    zero = T(0)
    y_largest, y_length = _length(y)
    t_largest, t_length = _length(t)
    if y_largest == zero or t_largest == zero:
        for j in range(y.size):
            dy[j] = zero
        return zero
    cosine = zero
    for j in range(y.size):
        cosine += (y[j] / y_largest / y_length) * (t[j] / t_largest / t_length)
    for j in range(y.size):
        away = cosine * (y[j] / y_largest / y_length) - t[j] / t_largest / t_length
        dy[j] = away / y_length / y_largest
    return -cosine


gaussian_nll = rowwise(gaussian_row)
quantiles = rowwise(quantiles_row)
mixture_density = rowwise(mixture_row)
corn = rowwise(corn_row)
focal = rowwise(focal_row)
kl_divergence = rowwise(kl_divergence_row)
cosine_similarity = rowwise(cosine_similarity_row)
