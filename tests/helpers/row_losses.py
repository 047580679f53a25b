"""Losses over a row, in plain NumPy: formulas, targets, and models that learn by them."""

import numpy as np

import fastnn as fn

RNG = np.random.default_rng(0)
N = 90
X = RNG.normal(size=(N, 3))
LABELS = RNG.integers(0, 4, N)
SHARES = RNG.dirichlet(np.ones(4), N)
ONE, TWO = RNG.normal(size=(N, 1)), RNG.normal(size=(N, 2))
SIGNS = RNG.choice([-1.0, 1.0], (N, 2))


def log_softmax(y):
    y = y - y.max(axis=1, keepdims=True)
    return y - np.log(np.exp(y).sum(axis=1, keepdims=True))


def softplus(y):
    return np.maximum(y, 0) + np.log1p(np.exp(-abs(y)))


def gaussian(y, t, full=False):
    mean, log_variance = np.split(y, 2, axis=1)
    constant = np.log(2 * np.pi) if full else 0.0
    return ((constant + log_variance + (t - mean) ** 2 * np.exp(-log_variance)) / 2).mean(axis=1)


def pinball(y, t, levels, noncrossing=False):
    found = y.reshape(len(y), len(levels), -1)
    if noncrossing:
        found = np.cumsum(np.concatenate([found[:, :1], softplus(found[:, 1:])], axis=1), axis=1)
    q, error = np.reshape(levels, (-1, 1)), t[:, np.newaxis] - found
    return np.maximum(q * error, (q - 1) * error).mean(axis=(1, 2))


def mixture(y, t, count):
    log_weights, log_variance = log_softmax(y[:, :count]), y[:, count : 2 * count]
    means = y[:, 2 * count :].reshape(len(y), -1, count)
    squares = ((t[:, :, np.newaxis] - means) ** 2).sum(axis=1)
    n = t.shape[1]
    densities = log_weights - (n * (log_variance + np.log(2 * np.pi)) + squares / np.exp(log_variance)) / 2
    return -np.log(np.exp(densities).sum(axis=1))


def ranked(y, t):
    above = np.cumprod(1 / (1 + np.exp(-y)), axis=1)
    ones, zeros = np.ones((len(y), 1)), np.zeros((len(y), 1))
    return -np.log((np.hstack([ones, above]) - np.hstack([above, zeros]))[np.arange(len(y)), t])


def shares_of(t):
    return np.eye(4)[t] if t.ndim == 1 else t


def focal(y, t, gamma, alpha):
    log_p = log_softmax(y)
    return -alpha * (shares_of(t) * (1 - np.exp(log_p)) ** gamma * log_p).sum(axis=1)


def divergence(y, t):
    t = shares_of(t)
    return (t * (np.log(np.where(t > 0, t, 1)) - log_softmax(y))).sum(axis=1)


def cosine(y, t):
    return -(y * t).sum(axis=1) / np.linalg.norm(y, axis=1) / np.linalg.norm(t, axis=1)


LEVELS = (0.1, 0.5, 0.9)
#: Name: the loss, how many outputs, targets, and the losses of the rows.
CASES = {
    "gaussian_nll": ("gaussian_nll", 2, ONE, gaussian),
    "gaussian_nll of two": (
        fn.losses.gaussian_nll(full=True),
        4,
        TWO,
        lambda y, t: gaussian(y, t, full=True),
    ),
    "quantiles": ("quantiles", 3, ONE, lambda y, t: pinball(y, t, LEVELS)),
    "quantiles of two": (
        fn.losses.quantiles([0.2, 0.7], noncrossing=True),
        4,
        TWO,
        lambda y, t: pinball(y, t, [0.2, 0.7], noncrossing=True),
    ),
    "noncrossing": (
        fn.losses.quantiles(LEVELS, noncrossing=True),
        3,
        ONE,
        lambda y, t: pinball(y, t, LEVELS, noncrossing=True),
    ),
    "mixture_density": ("mixture_density", 9, ONE, lambda y, t: mixture(y, t, 3)),
    "mixture_density of two": (
        fn.losses.mixture_density(2),
        8,
        TWO,
        lambda y, t: mixture(y, t, 2),
    ),
    "corn": ("corn", 3, LABELS, ranked),
    "focal": ("focal", 4, LABELS, lambda y, t: focal(y, t, 2.0, 0.25)),
    "focal of shares": (fn.losses.focal(0.5, 1.5), 4, SHARES, lambda y, t: focal(y, t, 0.5, 1.5)),
    "focal as cross-entropy": (fn.losses.focal(0.0, 1.0), 4, LABELS, lambda y, t: focal(y, t, 0.0, 1.0)),
    "kl_divergence": ("kl_divergence", 4, SHARES, divergence),
    "kl_divergence of labels": ("kl_divergence", 4, LABELS, divergence),
    "cosine_similarity": ("cosine_similarity", 2, TWO, cosine),
    "hinge": ("hinge", 2, SIGNS, lambda y, t: np.maximum(0, 1 - t * y).mean(axis=1)),
    "squared_hinge": (
        "squared_hinge",
        2,
        (SIGNS + 1) / 2,
        lambda y, t: (np.maximum(0, 1 - (2 * t - 1) * y) ** 2).mean(axis=1),
    ),
}


def model_of(loss, n_out, dtype="float64", seed=0, **settings):
    model = fn.Model(
        [fn.Dense(5, "tanh"), fn.Dense(n_out)], loss, fn.Adam(0.01), dtype=dtype, seed=seed, **settings
    ).build(3)
    model.parameters[...] = np.random.default_rng(1).normal(0, 0.7, model.parameters.size)
    return model
