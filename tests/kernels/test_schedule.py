"""Learning-rate schedules against other ways to write them, and their ends."""

import math

import numpy as np
import pytest

from fastnn.kernels.training import schedule as kernels
from tests.helpers.tolerances import ELEMENTWISE

EXACT = ELEMENTWISE["float64"]
STEPS = np.arange(120.0)


def half_cosine(fraction, start, end):
    """From start to end, by the square of a cosine of half the angle."""
    return end + (start - end) * np.cos(np.pi / 2 * np.clip(fraction, 0, 1)) ** 2


def cosine(step, rate, steps, warmup, final):
    up = rate * (step + 1) / (warmup + 1)
    return np.where(step < warmup, up, half_cosine((step - warmup) / (steps - warmup), rate, final))


def one_cycle(step, rate, steps, warmup, initial, final):
    up = half_cosine(step / max(warmup, 1), initial, rate)
    return np.where(step < warmup, up, half_cosine((step - warmup) / (steps - 1 - warmup), rate, final))


# name -> (oracle of an array of steps, settings in the kernel's order)
ORACLES = {
    "constant": (lambda step, rate: np.full_like(step, rate), [(0.1,), (0.0,)]),
    "step": (
        lambda step, rate, every, factor: rate * factor ** (step // every),
        [(0.1, 10, 0.5), (1.0, 7, 0.9)],
    ),
    "exponential": (
        lambda step, rate, every, factor: rate * np.exp(step / every * np.log(factor)),
        [(0.1, 10, 0.5), (1.0, 7, 1.1)],
    ),
    "cosine": (cosine, [(0.1, 100, 0, 0.0), (0.1, 100, 10, 0.01), (2.0, 7, 3, 0.5), (1.0, 1, 0, 0.0)]),
    "one_cycle": (one_cycle, [(0.1, 100, 30, 0.004, 4e-7), (1.0, 7, 1, 0.5, 0.25), (1.0, 3, 1, 0.0, 0.0)]),
}
CASES = [(name, settings) for name, (_, every) in ORACLES.items() for settings in every]


def rate_at(name, step, settings):
    padded = [float(setting) for setting in settings] + [0.0] * (5 - len(settings))
    return getattr(kernels, name).kernel(np.float64(step), *padded)


def rates(name, settings):
    return np.array([rate_at(name, step, settings) for step in STEPS])


def test_every_kernel_has_an_oracle():
    own = {name for name, value in vars(kernels).items() if isinstance(value, kernels.Schedule)}
    assert own == set(ORACLES)


@pytest.mark.parametrize("name, settings", CASES)
def test_rate(name, settings):
    np.testing.assert_allclose(rates(name, settings), ORACLES[name][0](STEPS, *settings), **EXACT)


@pytest.mark.parametrize(
    "name, settings, step, rate",
    [
        ("step", (0.8, 10, 0.5), 9, 0.8),
        ("step", (0.8, 10, 0.5), 10, 0.4),
        ("step", (0.8, 10, 0.5), 20, 0.2),
        ("exponential", (0.8, 10, 0.25), 5, 0.4),
        ("cosine", (0.8, 100, 0, 0.0), 0, 0.8),
        ("cosine", (0.8, 100, 0, 0.0), 50, 0.4),
        ("cosine", (0.8, 100, 3, 0.0), 0, 0.2),
        ("cosine", (0.8, 100, 3, 0.0), 3, 0.8),
        ("cosine", (0.8, 100, 3, 0.2), 100, 0.2),
        ("cosine", (0.8, 100, 3, 0.2), 10**9, 0.2),
        ("one_cycle", (0.8, 101, 20, 0.1, 0.01), 0, 0.1),
        ("one_cycle", (0.8, 101, 20, 0.1, 0.01), 10, 0.45),
        ("one_cycle", (0.8, 101, 20, 0.1, 0.01), 20, 0.8),
        ("one_cycle", (0.8, 101, 20, 0.1, 0.01), 100, 0.01),
        ("one_cycle", (0.8, 101, 20, 0.1, 0.01), 10**9, 0.01),
    ],
)
def test_known_values(name, settings, step, rate):
    assert rate_at(name, step, settings) == pytest.approx(rate, rel=1e-13)


@pytest.mark.parametrize("name, peak", [("cosine", 10), ("one_cycle", 30)])
def test_up_to_the_peak_and_down_after_it(name, peak):
    settings = {"cosine": (0.1, 100, 10, 0.01), "one_cycle": (0.1, 100, 30, 0.004, 4e-7)}[name]
    change = np.diff(rates(name, settings))
    assert (change[:peak] > 0).all() and (change[peak : settings[1] - 1] < 0).all()
    assert np.allclose(change[settings[1] :], 0) and rates(name, settings).argmax() == peak


def test_an_exponential_schedule_after_many_steps_is_not_negative_and_not_nan():
    assert rate_at("exponential", 10**9, (0.1, 1, 0.5)) == 0.0
    assert rate_at("step", 10**9, (0.1, 1, 0.5)) == 0.0
    assert math.isclose(rate_at("step", 10**9, (0.1, 1, 1.0)), 0.1)
