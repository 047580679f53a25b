"""The oracles of `tests.helpers.reference` may be trusted: known values, identities, differences."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.helpers.reference import (
    ACTIVATIONS,
    LOSSES,
    OPTIMIZERS,
    central_difference,
    clip_by_global_norm,
    dense_backward,
    dense_forward,
    l1_l2,
    train_step,
)
from tests.helpers.tolerances import CENTRAL_DIFFERENCE, ELEMENTWISE

EXACT = ELEMENTWISE["float64"]
CLOSE = CENTRAL_DIFFERENCE["float64"]

ACTIVATION_CASES = [(name, {}) for name in ACTIVATIONS] + [
    ("leaky_relu", {"negative_slope": 0.3}),
    ("elu", {"alpha": 0.5}),
]

# (activation, settings, x, its value there), from closed forms
KNOWN_ACTIVATIONS = [
    ("identity", {}, -2.5, -2.5),
    ("sigmoid", {}, 0.0, 0.5),
    ("sigmoid", {}, math.log(3), 0.75),
    ("relu", {}, -5.0, 0.0),
    ("relu", {}, 10.0, 10.0),
    ("leaky_relu", {}, -2.0, -0.02),
    ("leaky_relu", {"negative_slope": 0.3}, -2.0, -0.6),
    ("elu", {}, -math.log(2), -0.5),
    ("elu", {"alpha": 3.0}, -math.log(2), -1.5),
    ("selu", {}, 1.0, 1.0507009873554805),
    ("selu", {}, -math.log(2), -1.0507009873554805 * 1.6732632423543773 / 2),
    ("gelu", {}, 1.0, 0.5 * (1 + math.erf(math.sqrt(0.5)))),
    ("gelu", {}, -1.0, -0.5 * (1 - math.erf(math.sqrt(0.5)))),
    ("gelu_tanh", {}, 1.0, 0.5 * (1 + math.tanh(math.sqrt(2 / math.pi) * 1.044715))),
    ("silu", {}, math.log(3), 0.75 * math.log(3)),
    ("softplus", {}, 0.0, math.log(2)),
    ("tanh", {}, math.log(2), 0.6),
    ("hard_tanh", {}, -3.0, -1.0),
    ("hard_tanh", {}, 0.25, 0.25),
]


@pytest.mark.parametrize("name, settings, x, value", KNOWN_ACTIVATIONS)
def test_activation_has_known_value(name, settings, x, value):
    forward, _ = ACTIVATIONS[name]
    assert_allclose(forward(np.array([[x]]), **settings), [[value]], **EXACT)


def test_softmax_has_known_value_in_each_row():
    x = [[0.0, math.log(3)], [math.log(4), 0.0]]
    expected = np.array([[0.25, 0.75], [0.8, 0.2]])
    assert_allclose(ACTIVATIONS["softmax"][0](x), expected, **EXACT)
    assert_allclose(ACTIVATIONS["log_softmax"][0](x), np.log(expected), **EXACT)


@pytest.mark.parametrize("name, settings", ACTIVATION_CASES)
def test_activation_gradient_is_that_of_central_differences(name, settings):
    forward, vector_jacobian = ACTIVATIONS[name]
    rng = np.random.default_rng(0)
    x, dy = 2 * rng.standard_normal((3, 7)), rng.standard_normal((3, 7))
    expected = central_difference(lambda x: (dy * forward(x, **settings)).sum(), x)
    assert_allclose(vector_jacobian(x, dy, **settings), expected, **CLOSE)


SMOOTH_AT_ZERO = ["identity", "sigmoid", "gelu", "gelu_tanh", "silu", "softplus", "tanh", "elu", "hard_tanh"]


@pytest.mark.parametrize("name", SMOOTH_AT_ZERO)
def test_smooth_activation_gradient_holds_at_zero(name):
    forward, vector_jacobian = ACTIVATIONS[name]
    x, dy = np.zeros((1, 1)), np.ones((1, 1))
    expected = central_difference(lambda x: forward(x).sum(), x)
    assert_allclose(vector_jacobian(x, dy), expected, **CLOSE)


@pytest.mark.parametrize(
    "name, x, slope",
    [("relu", 0.0, 0.0), ("leaky_relu", 0.0, 0.01), ("hard_tanh", 1.0, 0.0), ("hard_tanh", -1.0, 0.0)],
)
def test_activation_gradient_at_a_kink(name, x, slope):
    assert ACTIVATIONS[name][1](np.array([x]), np.array([2.0])).item() == 2 * slope


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_is_finite_at_1e4(name):
    forward, vector_jacobian = ACTIVATIONS[name]
    x = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, 1e4]])
    assert np.isfinite(forward(x)).all()
    assert np.isfinite(vector_jacobian(x, np.ones_like(x))).all()


def test_selu_keeps_mean_zero_and_variance_one():
    # its constants are defined by this; the integral over a standard normal by the trapezoidal rule
    x = np.linspace(-12, 12, 200_001)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi) * (x[1] - x[0])
    y = ACTIVATIONS["selu"][0](x)
    assert_allclose([(density * y).sum(), (density * y**2).sum()], [0, 1], rtol=0, atol=1e-8)


def test_arrays_given_are_left_alone_and_computed_in_float64():
    x = np.array([[1.0, 2.0]], dtype=np.float32)
    for forward, vector_jacobian in ACTIVATIONS.values():
        assert forward(x).dtype == vector_jacobian(x, x).dtype == np.float64
    assert x.tolist() == [[1.0, 2.0]]


def test_dense_has_known_value():
    x, weights, bias = [[1.0, 2.0]], [[1.0, 0.0, -1.0], [2.0, 1.0, 0.5]], [10.0, 20.0, 30.0]
    assert dense_forward(x, weights).tolist() == [[5, 2, 0]]
    assert dense_forward(x, weights, bias).tolist() == [[15, 22, 30]]


def test_dense_gradients_are_those_of_central_differences():
    rng = np.random.default_rng(1)
    x, weights, bias, dy = (rng.standard_normal(shape) for shape in [(5, 3), (3, 4), (4,), (5, 4)])

    def scalar(x, weights, bias):
        return (dy * dense_forward(x, weights, bias)).sum()

    dx, dw, db = dense_backward(x, weights, dy)
    assert_allclose(dx, central_difference(lambda moved: scalar(moved, weights, bias), x), **CLOSE)
    assert_allclose(dw, central_difference(lambda moved: scalar(x, moved, bias), weights), **CLOSE)
    assert_allclose(db, central_difference(lambda moved: scalar(x, weights, moved), bias), **CLOSE)


def test_penalty():
    assert l1_l2([[1.0, -2.0]], l1=0.1)[0] == pytest.approx(0.3)
    assert l1_l2([[1.0, -2.0]], l2=0.1)[0] == pytest.approx(0.5)
    weights = np.array([[1.0, -2.0], [0.3, 4.0]])
    expected = central_difference(lambda w: l1_l2(w, l1=0.1, l2=0.2)[0], weights)
    assert_allclose(l1_l2(weights, l1=0.1, l2=0.2)[1], expected, **CLOSE)


ROWS, OUTPUTS = 6, 4
_rng = np.random.default_rng(2)
REAL = _rng.standard_normal((ROWS, OUTPUTS))
LABELS = np.array([3, 0, 2, 2, 1, 0])
SOFT = _rng.dirichlet(np.ones(OUTPUTS), ROWS)
PARTS = _rng.uniform(0, 1, (ROWS, OUTPUTS))
COUNTS = _rng.poisson(2.0, (ROWS, OUTPUTS)).astype(float)
WEIGHTS = np.array([1.0, 0.0, 2.5, 0.3, 4.0, 1.0])

SIGNS = np.where(REAL > 0, 1.0, -1.0)
LOSS_CASES = [
    ("mse", REAL, {}),
    ("sse", REAL, {}),
    ("mae", REAL, {}),
    ("huber", REAL, {}),
    ("huber", REAL, {"delta": 0.4}),
    ("cross_entropy", LABELS, {}),
    ("cross_entropy", LABELS, {"label_smoothing": 0.1}),
    ("cross_entropy", SOFT, {}),
    ("cross_entropy", SOFT, {"label_smoothing": 0.3}),
    ("binary_cross_entropy", PARTS, {}),
    ("weighted_binary_cross_entropy", PARTS, {"pos_weight": 3.0}),
    ("nll", LABELS, {}),
    ("nll", SOFT, {}),
    ("poisson", COUNTS, {}),
    ("quantile", REAL, {}),
    ("quantile", REAL, {"q": 0.9}),
    ("hinge", SIGNS, {}),
    ("squared_hinge", SIGNS, {}),
]


@pytest.mark.parametrize("sample_weight", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("name, target, settings", LOSS_CASES)
def test_loss_gradient_is_that_of_central_differences(name, target, settings, sample_weight):
    prediction = np.random.default_rng(3).standard_normal((ROWS, OUTPUTS))
    loss = LOSSES[name]
    _, gradient = loss(prediction, target, sample_weight, **settings)
    expected = central_difference(lambda p: loss(p, target, sample_weight, **settings)[0], prediction)
    assert_allclose(gradient, expected, **CLOSE)


@pytest.mark.parametrize("name, target, settings", LOSS_CASES)
def test_whole_weights_count_like_repeated_rows(name, target, settings):
    prediction = np.random.default_rng(4).standard_normal((ROWS, OUTPUTS))
    times = np.array([1, 0, 2, 3, 1, 4])
    weighted, _ = LOSSES[name](prediction, target, times, **settings)
    repeated, _ = LOSSES[name](prediction.repeat(times, axis=0), target.repeat(times, axis=0), **settings)
    assert weighted == pytest.approx(repeated, rel=1e-13)


def test_losses_cover_every_case():
    assert {name for name, *_ in LOSS_CASES} == set(LOSSES)


# two rows of two outputs, worked out by hand
P, T = np.array([[1.0, 2.0], [0.0, -1.0]]), np.array([[0.0, 2.0], [3.0, 1.0]])
LN2, LN3 = math.log(2), math.log(3)


@pytest.mark.parametrize(
    "name, prediction, target, weight, settings, value",
    [
        ("mse", P, T, None, {}, (1 + 0 + 9 + 4) / 4),
        ("mse", P, T, [3, 1], {}, (3 * 0.5 + 6.5) / 4),
        ("sse", P, T, None, {}, 14),
        ("sse", P, T, [3, 1], {}, 3 * 1 + 13),
        ("mae", P, T, None, {}, 6 / 4),
        ("huber", P, T, None, {}, (0.5 + 0 + 2.5 + 1.5) / 4),
        ("huber", P, T, None, {"delta": 2.0}, (0.5 + 0 + 4 + 2) / 4),
        ("quantile", P, T, None, {"q": 0.9}, (0.1 + 0 + 2.7 + 1.8) / 4),
        ("cross_entropy", [[0.0, LN3]], [1], None, {}, -math.log(0.75)),
        ("cross_entropy", [[0.0, LN3]], [[0.5, 0.5]], None, {}, -(math.log(0.25) + math.log(0.75)) / 2),
        ("cross_entropy", [[0.0, LN3]], [1], None, {"label_smoothing": 0.2},
         -0.1 * math.log(0.25) - 0.9 * math.log(0.75)),
        ("nll", [[-1.0, -2.0], [-3.0, -4.0]], [1, 0], None, {}, 2.5),
        ("nll", [[-1.0, -2.0], [-3.0, -4.0]], [1, 0], [1, 3], {}, (2 + 9) / 4),
        ("binary_cross_entropy", [[0.0, LN3]], [[1.0, 0.0]], None, {}, (LN2 - math.log(0.25)) / 2),
        ("weighted_binary_cross_entropy", [[0.0, LN3]], [[1.0, 0.0]], None, {"pos_weight": 5.0},
         (5 * LN2 - math.log(0.25)) / 2),
        ("poisson", [[LN2, 0.0]], [[3.0, 0.0]], None, {}, (2 - 3 * LN2 + 1) / 2),
    ],
)  # fmt: skip
def test_loss_has_known_value(name, prediction, target, weight, settings, value):
    assert LOSSES[name](prediction, target, weight, **settings)[0] == pytest.approx(value, rel=1e-13)


@pytest.mark.parametrize("name", ["mae", "quantile", "huber", "mse", "sse"])
def test_loss_gradient_is_zero_at_equality(name):
    value, gradient = LOSSES[name](P, P)
    assert value == 0 and not gradient.any()


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
def test_loss_of_logits_is_exact_at_1e4(name):
    value, gradient = LOSSES[name](np.array([[1e4, -1e4]]), np.array([[0.0, 1.0]]))
    assert value == {"cross_entropy": 2e4, "binary_cross_entropy": 1e4}[name]
    assert_allclose(np.abs(gradient), {"cross_entropy": 1, "binary_cross_entropy": 0.5}[name], rtol=0)


def test_minimum_of_the_quantile_loss_is_the_quantile():
    sample = np.arange(1.0, 100.0)[:, np.newaxis]
    losses = [LOSSES["quantile"](np.full_like(sample, value), sample, q=0.8)[0] for value in sample[:, 0]]
    assert sample[np.argmin(losses), 0] == 80


def test_momentum_by_hand():
    p, state = np.array([1.0]), {}
    p = train_step("SGD", p, [2.0], state, learning_rate=0.1, momentum=0.5)
    assert p.item() == pytest.approx(1 - 0.1 * 2)
    p = train_step("SGD", p, [1.0], state, learning_rate=0.1, momentum=0.5)
    assert p.item() == pytest.approx(0.8 - 0.1 * (0.5 * 2 + 1))


def test_nesterov_is_the_look_ahead_of_sutskever():
    """v = mu v - lr g(x + mu v), x = x + v: its x + mu v is where the form of naive.py stands."""
    curvature, rate, momentum = np.array([1.0, 4.0, 0.1]), 0.1, 0.9
    x, v = np.array([1.0, -2.0, 3.0]), np.zeros(3)
    p, state = x.copy(), {}
    for _ in range(20):
        v = momentum * v - rate * curvature * (x + momentum * v)
        x = x + v
        p = train_step("SGD", p, curvature * p, state, learning_rate=rate, momentum=momentum, nesterov=True)
        assert_allclose(p, x + momentum * v, **EXACT)


def test_rmsprop_by_hand():
    p, state = np.array([1.0]), {}
    p = train_step("RMSprop", p, [3.0], state, learning_rate=0.1, rho=0.75, epsilon=0.5)
    assert p.item() == pytest.approx(1 - 0.1 * 3 / (1.5 + 0.5))
    p = train_step("RMSprop", p, [1.0], state, learning_rate=0.1, rho=0.75, epsilon=0.5)
    assert p.item() == pytest.approx(0.85 - 0.1 / (math.sqrt(0.75 * 2.25 + 0.25) + 0.5))


def test_adagrad_by_hand():
    p, state = np.array([1.0]), {}
    p = train_step("Adagrad", p, [3.0], state, learning_rate=0.1, initial_accumulator_value=7.0, epsilon=1.0)
    assert p.item() == pytest.approx(1 - 0.1 * 3 / (4 + 1))
    p = train_step("Adagrad", p, [3.0], state, learning_rate=0.1, initial_accumulator_value=7.0, epsilon=1.0)
    assert p.item() == pytest.approx(0.94 - 0.1 * 3 / (5 + 1))


def test_adam_by_hand():
    p, state = np.array([1.0]), {}
    p = train_step("Adam", p, [2.0], state, learning_rate=0.1, beta_1=0.5, beta_2=0.75, epsilon=0.5)
    assert p.item() == pytest.approx(1 - 0.1 * 2 / (2 + 0.5))
    p = train_step("Adam", p, [4.0], state, learning_rate=0.1, beta_1=0.5, beta_2=0.75, epsilon=0.5)
    m_hat, v_hat = (0.5 * 1 + 0.5 * 4) / 0.75, (0.75 * 1 + 0.25 * 16) / (1 - 0.75**2)
    assert p.item() == pytest.approx(0.92 - 0.1 * m_hat / (math.sqrt(v_hat) + 0.5))


def test_adam_takes_steps_of_the_learning_rate_while_the_gradient_is_constant():
    p, g, state = np.zeros(3), np.array([1e-3, -1.0, 1e3]), {}
    for step in range(1, 6):
        p = train_step("Adam", p, g, state, learning_rate=0.1, epsilon=0.0)
        assert_allclose(p, -0.1 * step * np.sign(g), rtol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_is_decoupled(name):
    p, g = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    plain = train_step(name, p, g, {}, learning_rate=0.1)
    decayed = train_step(name, p, g, {}, learning_rate=0.1, weight_decay=0.2)
    assert_allclose(plain - decayed, 0.1 * 0.2 * p, **EXACT)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_converges_on_a_quadratic(name):
    curvature, target = np.array([1.0, 5.0, 0.5]), np.array([1.0, -2.0, 0.5])
    p, state = np.zeros(3), {}
    for step in range(1, 3001):
        # Adagrad's steps shrink by themselves
        rate = 0.2 if name == "Adagrad" else 0.2 / math.sqrt(step)
        p = train_step(name, p, curvature * (p - target), state, learning_rate=rate)
    assert_allclose(p, target, rtol=0, atol=0.01)


def test_clipping():
    g = np.array([3.0, -4.0])
    assert_allclose(clip_by_global_norm(g, 1.0), [0.6, -0.8], **EXACT)
    assert clip_by_global_norm(g, 5.0).tolist() == [3, -4]
    assert clip_by_global_norm(np.zeros(2), 1.0).tolist() == [0, 0]
    assert_allclose(train_step("SGD", [1.0, 1.0], g, {}, 0.5, global_clipnorm=1.0), [0.7, 1.4], **EXACT)
    assert_allclose(train_step("SGD", [1.0, 1.0], g, {}, 0.5, clipvalue=2.0), [0.0, 2.0], **EXACT)


def test_central_difference_of_a_cubic():
    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    assert_allclose(central_difference(lambda x: (x**3).sum(), x), 3 * x**2, **CLOSE)


@pytest.mark.parametrize("name", ["sigmoid", "softmax", "gelu"])
def test_a_wrong_gradient_is_caught(name):
    forward, vector_jacobian = ACTIVATIONS[name]
    x, dy = np.array([[0.3, -0.7, 1.1]]), np.array([[1.0, -2.0, 0.5]])
    numeric = central_difference(lambda x: (dy * forward(x)).sum(), x)
    wrong = vector_jacobian(x, dy) * (1 + 1e-5)
    with pytest.raises(AssertionError):
        assert_allclose(wrong, numeric, **CLOSE)
