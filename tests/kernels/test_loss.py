"""Losses: value and gradient against the oracles and central differences, in every form of a target."""

import numpy as np
import pytest

from fastnn.kernels.training import loss as kernels
from tests.helpers import reference
from tests.helpers.tolerances import PRODUCT
from tests.kernels.checks import assert_close, assert_gradient

SHAPES = [(1, 1), (1, 3), (2, 7), (3, 2), (7, 1), (15, 17), (17, 5), (33, 3)]
SUMS = {"sse"}  # the others are means over the rows


def real(rng, rows, n_out):
    return rng.standard_normal((rows, n_out))


def labels(rng, rows, n_out):
    return rng.integers(0, n_out, rows)


def one_hot(rng, rows, n_out):
    return np.eye(n_out)[labels(rng, rows, n_out)]


def soft(rng, rows, n_out):
    return rng.dirichlet(np.ones(n_out), rows)


def unnormalized(rng, rows, n_out):
    return rng.uniform(0, 2, (rows, n_out))


def shares(rng, rows, n_out):
    return rng.uniform(0, 1, (rows, n_out))


def signs(rng, rows, n_out):
    return rng.choice([-1.0, 0.0, 1.0], (rows, n_out))


def counts(rng, rows, n_out):
    return rng.poisson(2.0, (rows, n_out)).astype(np.float64)


# name -> how targets are drawn; settings of the oracle, of which a kernel takes at most one, called p.
# A loss that is not listed is one of real numbers without settings.
TARGETS = {
    "cross_entropy": [labels, one_hot, soft, unnormalized],
    "nll": [labels, one_hot, soft],
    "binary_cross_entropy": [shares],
    "weighted_binary_cross_entropy": [shares],
    "poisson": [counts],
    "hinge": [signs],
    "squared_hinge": [signs],
}
SETTINGS = {
    "huber": [{"delta": 1.0}, {"delta": 0.3}],
    "quantile": [{"q": 0.5}, {"q": 0.9}],
    "cross_entropy": [{"label_smoothing": 0.0}, {"label_smoothing": 0.1}],
    "weighted_binary_cross_entropy": [{"pos_weight": 1.0}, {"pos_weight": 3.0}, {"pos_weight": 0.2}],
}
CASES = [
    (name, draw, settings)
    for name in reference.LOSSES
    for draw in TARGETS.get(name, [real])
    for settings in SETTINGS.get(name, [{}])
]
all_cases = pytest.mark.parametrize("name, draw, settings", CASES)
weighted = pytest.mark.parametrize("is_weighted", [False, True], ids=["plain", "weighted"])


def run(name, prediction, target, weight, settings):
    """Loss and gradient of the whole batch, as the oracle gives them."""
    dtype = prediction.dtype.type
    rows = len(prediction)
    row_weights = np.zeros(0, dtype) if weight is None else weight
    scale = 1.0 if name in SUMS else 1.0 / (rows if weight is None else weight.sum(dtype=np.float64))
    # The kernels take class numbers as a column of the predictions' dtype.
    column = target.reshape(rows, -1).astype(dtype)
    gradient = np.full_like(prediction, np.nan)
    p = dtype(next(iter(settings.values()), 0.0))
    kernel = getattr(kernels, name).kernel
    # Without JIT NumPy's scalars warn where exp overflows on the way to a limit.
    with np.errstate(over="ignore"):
        total = kernel(prediction, column, row_weights, dtype(scale), p, gradient)
    return total * scale, gradient


def draw_weights(rng, rows, dtype, is_weighted):
    if not is_weighted:
        return None
    weight = rng.uniform(0.5, 2, rows).astype(dtype)
    weight[1::3] = 0
    return weight


def shape_of(draw, shape):
    """One output cannot hold shares of several classes: it would be read as a class number."""
    return (shape[0], max(shape[1], 2)) if draw in (one_hot, soft, unnormalized) else shape


def assert_as_oracle(name, prediction, target, weight, settings):
    value, gradient = run(name, prediction, target, weight, settings)
    expected, expected_gradient = reference.LOSSES[name](prediction, target, weight, **settings)
    np.testing.assert_allclose(value, expected, **PRODUCT[prediction.dtype.name])
    assert_close(gradient, expected_gradient, PRODUCT)


def test_every_kernel_has_an_oracle():
    own = {name for name, value in vars(kernels).items() if isinstance(value, kernels.Loss)}
    assert own == set(reference.LOSSES)


@all_cases
@weighted
@pytest.mark.parametrize("shape", SHAPES)
def test_value_and_gradient(name, draw, settings, is_weighted, shape, dtype, rng):
    rows, n_out = shape_of(draw, shape)
    target = draw(rng, rows, n_out)
    if target.ndim == 2:
        target = target.astype(dtype)
    prediction = rng.standard_normal((rows, n_out)).astype(dtype)
    weight = draw_weights(rng, rows, dtype, is_weighted)
    assert_as_oracle(name, prediction, target, weight, settings)


@all_cases
@weighted
def test_gradient_is_that_of_central_differences(name, draw, settings, is_weighted, rng):
    target, prediction = draw(rng, 7, 3), rng.standard_normal((7, 3))
    weight = draw_weights(rng, 7, np.float64, is_weighted)
    _, gradient = run(name, prediction, target, weight, settings)

    def value(moved):
        return run(name, moved, target, weight, settings)[0]

    assert_gradient(gradient, value, prediction)
    with pytest.raises(AssertionError):
        assert_gradient(gradient * (1 + 1e-5), value, prediction)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("draw", [labels, one_hot, soft])
def test_cross_entropy_of_logits_of_1e4(draw, smoothing, dtype, rng):
    prediction = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [1e4, 1e4, -1e4], [0, 1e4, -1e4]], dtype)
    for _ in range(5):
        target = draw(rng, 4, 3)
        value, gradient = run("cross_entropy", prediction, target, None, {"label_smoothing": smoothing})
        assert np.isfinite(value) and np.isfinite(gradient).all()
        assert_as_oracle("cross_entropy", prediction, target, None, {"label_smoothing": smoothing})


def test_binary_cross_entropy_of_logits_of_1e4(dtype):
    prediction = np.array([[1e4, -1e4, 1e4, -1e4, 0, 1e4]], dtype)
    target = np.array([[1, 0, 0, 1, 1, 0.25]], dtype)
    value, gradient = run("binary_cross_entropy", prediction, target, None, {})
    assert np.isfinite(value) and np.isfinite(gradient).all()
    assert_as_oracle("binary_cross_entropy", prediction, target, None, {})


@pytest.mark.parametrize("name", ["mse", "sse", "mae", "huber", "quantile"])
def test_errors_of_1e4(name, dtype):
    settings = SETTINGS.get(name, [{}])[0]
    prediction, target = np.array([[1e4, -1e4, 0]], dtype), np.array([[-1e4, -1e4, 1]], dtype)
    assert_as_oracle(name, prediction, target, None, settings)


@pytest.mark.parametrize("name", ["binary_cross_entropy", "cross_entropy"])
def test_small_losses_keep_their_digits(name, dtype):
    """Of a prediction that is sure and right: about exp(-30), which is not lost beside 1."""
    prediction = np.array([[15.0, -15.0]], dtype)
    target = np.array([[1.0, 0.0]], dtype)
    value, _ = run(name, prediction, target, None, {})
    expected, _ = reference.LOSSES[name](prediction, target)
    if name == "binary_cross_entropy":
        np.testing.assert_allclose(value, expected, rtol=PRODUCT[dtype.__name__]["rtol"])
    else:  # log(1 + 1e-13) of a sum that starts with 1: good to a unit in the last place of 1
        np.testing.assert_allclose(value, expected, rtol=0, atol=np.finfo(dtype).eps)


@pytest.mark.parametrize("name", ["mse", "sse", "mae", "huber", "quantile"])
def test_gradient_is_zero_at_equality(name, dtype, rng):
    x = rng.standard_normal((7, 3)).astype(dtype)
    value, gradient = run(name, x, x.copy(), None, SETTINGS.get(name, [{}])[0])
    assert value == 0 and not gradient.any()


@all_cases
def test_nan_stays_visible(name, draw, settings, dtype, rng):
    prediction, target = rng.standard_normal((7, 3)).astype(dtype), draw(rng, 7, 3)
    prediction[4, 1] = np.nan
    if name == "nll" and target.ndim == 1:
        target[4] = 1  # the other log-probabilities do not enter
    if name == "nll" and draw is one_hot:
        target[4] = [0, 1, 0]
    with np.errstate(invalid="ignore"):
        value, gradient = run(name, prediction, target, None, settings)
    assert np.isnan(value)
    assert name == "nll" or np.isnan(gradient[4, 1])
    assert np.isfinite(gradient[[0, 1, 2, 3, 5, 6]]).all()


def test_nll_of_an_impossible_class_that_does_not_occur(dtype):
    prediction = np.array([[0.0, -np.inf], [-np.inf, 0.0]], dtype)
    for target in (np.array([0, 1]), np.eye(2, dtype=dtype)):
        value, gradient = run("nll", prediction, target, None, {})
        assert value == 0 and np.isfinite(gradient).all()
    value, _ = run("nll", prediction, np.array([1, 1]), None, {})
    assert value == np.inf


@all_cases
def test_prediction_target_and_weight_are_left_as_they_are(name, draw, settings, dtype, rng):
    prediction, target = rng.standard_normal((7, 3)).astype(dtype), draw(rng, 7, 3)
    column, weight = target.reshape(7, -1).astype(dtype), rng.uniform(1, 2, 7).astype(dtype)
    before = [array.copy() for array in (prediction, column, weight)]
    p = dtype(next(iter(settings.values()), 0.0))
    getattr(kernels, name).kernel(prediction, column, weight, dtype(0.5), p, np.empty_like(prediction))
    for array, copy in zip((prediction, column, weight), before, strict=True):
        assert array.tobytes() == copy.tobytes()


@all_cases
def test_a_row_without_weight_counts_nothing(name, draw, settings, dtype, rng):
    prediction, target = rng.standard_normal((7, 3)).astype(dtype), draw(rng, 7, 3)
    weight = np.array([1, 0, 1, 1, 0, 1, 1], dtype)
    value, gradient = run(name, prediction, target, weight, settings)
    kept = weight > 0
    expected, expected_gradient = run(name, prediction[kept], target[kept], None, settings)
    np.testing.assert_allclose(value, expected, **PRODUCT[dtype.__name__])
    assert_close(gradient[kept], expected_gradient.astype(np.float64), PRODUCT)
    assert not gradient[~kept].any()
