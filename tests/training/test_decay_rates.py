"""Adam and RMSprop with decay rates near 1, against the recurrences with more digits than float64."""

import numpy as np
import pytest

import fastnn as fn

LONG = np.longdouble
STEPS, RATE, EPSILON = 50, LONG(1e-3), LONG(1e-8)


def adam(gradients, beta_1=0.9, beta_2=0.999):
    beta_1, beta_2 = LONG(beta_1), LONG(beta_2)
    moved = m = v = np.zeros(gradients.shape[1], LONG)
    for t, g in enumerate(gradients, 1):
        m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
        moved = moved - RATE * m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + EPSILON)
    return moved


def rmsprop(gradients, rho):
    rho = LONG(rho)
    moved = s = np.zeros(gradients.shape[1], LONG)
    for g in gradients:
        s = rho * s + (1 - rho) * g**2
        moved = moved - RATE * g / (np.sqrt(s) + EPSILON)
    return moved


@pytest.mark.parametrize("dtype, most", [("float32", 3e-5), ("float64", 1e-9)])
@pytest.mark.parametrize("rate", [0.99999, 1 - 1e-8])
@pytest.mark.parametrize(
    "kind, name, recurrence",
    [(fn.Adam, "beta_2", adam), (fn.Adam, "beta_1", adam), (fn.RMSprop, "rho", rmsprop)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_fifty_steps_move(kind, name, recurrence, rate, dtype, most):
    optimizer, rng = kind(float(RATE), **{name: rate}), np.random.default_rng(0)
    model = fn.Model([fn.Dense(20, use_bias=False)], "mse", optimizer, dtype=dtype, seed=0).build(1)
    model.parameters[...] = 0
    net, state = model.network(1), model.optimizer_state()
    x, gradients = np.ones((1, 1), dtype), np.empty((STEPS, 20), dtype)
    for i in range(STEPS):
        fn.train_step(net, state, x, rng.normal(size=(1, 20)).astype(dtype))
        gradients[i] = net.gradient
    expected = recurrence(gradients.astype(LONG), **{name: rate})
    assert np.abs(model.parameters - expected).max() < most * np.abs(expected).max()
