"""The losses that scikit-learn reports: its values, and the gradients of the losses that are trained for."""

import numpy as np
import pytest
from sklearn.neural_network import _base as theirs

from fastnn.kernels.training import loss as trained
from fastnn.kernels.training import reported_loss as kernels
from tests.helpers.tolerances import PRODUCT

LOGITS = [0.1, 3.0, 1000.0]  # how large; of the last the probabilities are 0 and 1


def run(kernel, prediction, target, weight):
    dtype = prediction.dtype.type
    gradient = np.full_like(prediction, np.nan)
    total = kernel(prediction, target.astype(dtype), weight, dtype(0.25), dtype(0), gradient)
    return total, gradient


def assert_reported(name, twin, prediction, target, weight, expected):
    total, gradient = run(getattr(kernels, name).kernel, prediction, target, weight)
    tolerance = PRODUCT[prediction.dtype.name]
    rows = weight.sum() if weight.size else len(prediction)
    np.testing.assert_allclose(total, expected * rows, **tolerance)
    np.testing.assert_allclose(gradient, run(twin.kernel, prediction, target, weight)[1], **tolerance)


def draw_weights(rng, rows, dtype, is_weighted):
    return rng.uniform(0.5, 2, rows if is_weighted else 0).astype(dtype)


weighted = pytest.mark.parametrize("is_weighted", [False, True], ids=["plain", "weighted"])


@weighted
@pytest.mark.parametrize("scale", LOGITS)
@pytest.mark.parametrize("n_out", [2, 5])
@pytest.mark.parametrize("as_shares", [False, True])
def test_log_loss(as_shares, n_out, scale, is_weighted, dtype, rng):
    prediction = (scale * rng.standard_normal((31, n_out))).astype(dtype)
    classes, weight = rng.integers(0, n_out, 31), draw_weights(rng, 31, dtype, is_weighted)
    one_hot = np.eye(n_out)[classes]
    probabilities = prediction.copy()
    theirs.inplace_softmax(probabilities)
    expected = theirs.log_loss(one_hot, probabilities, weight if is_weighted else None)
    target = one_hot if as_shares else classes[:, np.newaxis]
    assert_reported("log_loss", trained.cross_entropy, prediction, target, weight, expected)


@weighted
@pytest.mark.parametrize("scale", LOGITS)
@pytest.mark.parametrize("n_out", [1, 5])
def test_binary_log_loss(n_out, scale, is_weighted, dtype, rng):
    prediction = (scale * rng.standard_normal((31, n_out))).astype(dtype)
    target, weight = rng.integers(0, 2, (31, n_out)), draw_weights(rng, 31, dtype, is_weighted)
    probabilities = prediction.copy()
    theirs.inplace_logistic(probabilities)
    expected = theirs.binary_log_loss(target, probabilities, weight if is_weighted else None) / n_out
    assert_reported("binary_log_loss", trained.binary_cross_entropy, prediction, target, weight, expected)


@weighted
@pytest.mark.parametrize("n_out", [1, 5])
def test_squared_error_and_poisson_deviance(n_out, is_weighted, dtype, rng):
    prediction = rng.standard_normal((31, n_out)).astype(dtype)
    weight = draw_weights(rng, 31, dtype, is_weighted)
    given = weight if is_weighted else None
    target = rng.standard_normal((31, n_out)).astype(dtype)
    # Twice a half, and not the mean over the outputs but what it becomes by the factor n_out.
    expected = 2 * theirs.squared_loss(target, prediction, given) / n_out
    assert_reported("squared_error", trained.mse, prediction, target, weight, expected)
    counts = rng.poisson(1.0, (31, n_out))
    assert (counts == 0).any()
    expected = theirs.poisson_loss(counts, np.exp(prediction), given) / n_out
    assert_reported("poisson_deviance", trained.poisson, prediction, counts, weight, expected)


@pytest.mark.parametrize("name", ["log_loss", "binary_log_loss", "squared_error", "poisson_deviance"])
def test_nan_stays_visible(name, dtype, rng):
    prediction = rng.standard_normal((4, 3)).astype(dtype)
    prediction[1, 1] = np.nan
    with np.errstate(over="ignore", invalid="ignore"):  # NumPy warns of what becomes of NaN without JIT
        total, gradient = run(getattr(kernels, name).kernel, prediction, np.ones((4, 3)), np.zeros(0, dtype))
    assert np.isnan(total) and np.isnan(gradient[1, 1]) and np.isfinite(gradient[0]).all()
