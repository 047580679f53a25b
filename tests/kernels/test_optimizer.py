"""Optimizers against the textbook recurrences, over several steps, and by convergence."""

import math

import numpy as np
import pytest

from fastnn.kernels.driver.batch import squares
from fastnn.kernels.training import optimizer as kernels
from tests.helpers import reference
from tests.helpers.tolerances import PRODUCT
from tests.kernels.checks import assert_close

SIZES = [1, 2, 3, 7, 15, 17, 33]
STEPS = 7
CASES = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("RMSprop", {}),
    ("RMSprop", {"rho": 0.5, "epsilon": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"initial_accumulator_value": 0.1, "epsilon": 0.1}),
    ("Adam", {}),
    ("Adam", {"beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.1}),
    ("AdamW", {}),
]
all_cases = pytest.mark.parametrize("name, settings", CASES)


class Runner:
    """An optimizer's kernel with the memory it needs; what its entry works out is worked out here."""

    def __init__(self, name, w, settings):
        self.name, self.settings, self.t = name, settings, 0
        self.dtype = w.dtype.type
        self.first = np.full_like(w, settings.get("initial_accumulator_value", 0.0))
        self.second = np.zeros_like(w)

    def step(self, w, g, learning_rate, weight_decay=0.0, global_clipnorm=None, clipvalue=None):
        self.t += 1
        norm = math.sqrt(squares(g))
        factor = global_clipnorm / norm if global_clipnorm is not None and norm > global_clipnorm else 1.0
        limit = np.inf if clipvalue is None else clipvalue
        shared = [self.dtype(x) for x in (learning_rate * weight_decay, factor, limit)]
        getattr(self, self.name)(w, g, learning_rate, shared)

    def get(self, name, default):
        return self.dtype(self.settings.get(name, default))

    def share(self, name, default):
        """What is kept of a running mean, and what is new."""
        value = self.settings.get(name, default)
        return self.dtype(value), self.dtype(1 - value)

    def SGD(self, w, g, rate, shared):
        momentum = self.get("momentum", 0.0)
        velocity = self.first if momentum else self.first[:0]
        nesterov = self.settings.get("nesterov", False)
        kernels.sgd.kernel(w, g, velocity, self.dtype(rate), *shared, momentum, nesterov)

    def RMSprop(self, w, g, rate, shared):
        momentum = self.get("momentum", 0.0)
        velocity = self.second if momentum else self.second[:0]
        own = *self.share("rho", 0.9), self.get("epsilon", 1e-8), momentum
        kernels.rmsprop.kernel(w, g, self.first, velocity, self.dtype(rate), *shared, *own)

    def Adagrad(self, w, g, rate, shared):
        kernels.adagrad.kernel(w, g, self.first, self.dtype(rate), *shared, self.get("epsilon", 1e-8))

    def Adam(self, w, g, rate, shared):
        beta_1, beta_2 = self.settings.get("beta_1", 0.9), self.settings.get("beta_2", 0.999)
        rate = self.dtype(rate / (1 - beta_1**self.t))
        root = self.dtype(1 / math.sqrt(1 - beta_2**self.t))
        betas = *self.share("beta_1", 0.9), *self.share("beta_2", 0.999)
        own = *betas, root, self.get("epsilon", 1e-8)
        kernels.adam.kernel(w, g, self.first, self.second, rate, *shared, *own)

    AdamW = Adam


def run(name, settings, gradients, learning_rate=0.01, **shared):
    """Weights after a step for each gradient, from weights of one."""
    w = np.ones_like(gradients[0])
    runner = Runner(name, w, settings)
    for g in gradients:
        before = g.copy()
        runner.step(w, g, learning_rate, **shared)
        assert g.tobytes() == before.tobytes()
    return w


def oracle(name, settings, gradients, learning_rate=0.01, **shared):
    w, state = np.ones(gradients[0].size), {}
    for g in gradients:
        w = reference.train_step(name, w, g, state, learning_rate, **shared, **settings)
    return w


def test_every_kernel_and_every_oracle_is_run():
    own = {name for name, value in vars(kernels).items() if isinstance(value, kernels.Optimizer)}
    assert {name for name, _ in CASES} == set(reference.OPTIMIZERS)
    assert own | {"adamw"} == {name.lower() for name in reference.OPTIMIZERS}


@all_cases
@pytest.mark.parametrize("n", SIZES)
def test_steps_are_those_of_the_textbook(name, settings, n, dtype, rng):
    gradients = list(rng.standard_normal((STEPS, n)).astype(dtype))
    assert_close(run(name, settings, gradients), oracle(name, settings, gradients), PRODUCT)


@all_cases
@pytest.mark.parametrize(
    "shared",
    [{"weight_decay": 0.3}, {"global_clipnorm": 0.5}, {"clipvalue": 0.4}, {"global_clipnorm": 100.0}],
)
def test_decay_and_clipping(name, settings, shared, dtype, rng):
    gradients = list(rng.standard_normal((STEPS, 17)).astype(dtype))
    expected = oracle(name, settings, gradients, **shared)
    assert_close(run(name, settings, gradients, **shared), expected, PRODUCT)


def test_the_norm_is_clipped_before_the_value(dtype):
    g = np.array([3.0, -4.0], dtype)  # of norm 5: scaled to 0.6 and -0.8, then limited to 0.7
    w = run("SGD", {}, [g], learning_rate=1.0, global_clipnorm=1.0, clipvalue=0.7)
    assert_close(w, np.array([1 - 0.6, 1 + 0.7]), PRODUCT)


def test_rmsprop_with_momentum(dtype, rng):
    gradients = rng.standard_normal((STEPS, 17)).astype(dtype)
    w, square, velocity = np.ones(17), np.zeros(17), np.zeros(17)
    for g in gradients.astype(np.float64):
        square = 0.9 * square + 0.1 * g**2
        velocity = 0.8 * velocity + g / (np.sqrt(square) + 1e-8)
        w -= 0.01 * velocity
    assert_close(run("RMSprop", {"momentum": 0.8}, list(gradients)), w, PRODUCT)


@pytest.mark.parametrize("name", reference.OPTIMIZERS)
def test_converges_on_a_quadratic(name, dtype):
    curvature, target = np.array([1, 5, 0.5], dtype), np.array([1, -2, 0.5], dtype)
    w = np.zeros(3, dtype)
    runner = Runner(name, w, {})
    for step in range(1, 1501):
        # Adagrad's steps shrink by themselves.
        rate = 0.2 if name == "Adagrad" else 0.2 / math.sqrt(step)
        runner.step(w, curvature * (w - target), rate)
    np.testing.assert_allclose(w, target, rtol=0, atol=0.01)


@all_cases
@pytest.mark.parametrize("cuts", [[16], [1, 5, 30]])
def test_a_vector_that_is_updated_in_parts_has_the_same_bits(name, settings, cuts, dtype, rng):
    gradients = list(rng.standard_normal((STEPS, 33)).astype(dtype))
    borders = [0, *cuts, 33]
    parts = [
        run(name, settings, [g[first:end] for g in gradients], weight_decay=0.1, clipvalue=1.0)
        for first, end in zip(borders, borders[1:], strict=False)
    ]
    whole = run(name, settings, gradients, weight_decay=0.1, clipvalue=1.0)
    assert np.concatenate(parts).tobytes() == whole.tobytes()


@all_cases
@pytest.mark.parametrize("shared", [{}, {"global_clipnorm": 1.0}, {"clipvalue": 1.0}])
def test_nan_stays_visible(name, settings, shared, dtype):
    w = run(name, settings, [np.array([1.0, np.nan, 1.0], dtype)], **shared)
    assert np.isnan(w).tolist() == [False, True, False]


@all_cases
def test_a_gradient_of_zero_moves_nothing(name, settings, dtype):
    assert (run(name, settings, [np.zeros(7, dtype)] * 3) == 1).all()
