"""The learning rate in training: with `mae` and a far target, a bias moves by exactly the rate each step."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn


def rates(model, epochs):
    bias = model.layers[0].bias
    path = [bias[0]]
    model.fit([[0.0]], [[1e6]], epochs=epochs, callbacks=[lambda epoch, logs: path.append(bias[0])])
    return np.diff(path)


def bias_model(learning_rate):
    model = fn.Model([fn.Dense(1)], loss="mae", optimizer=fn.SGD(learning_rate), dtype="float64")
    return model.build(1)


def cosine_from(start, end, fraction):
    return end + (start - end) * (1 + np.cos(np.pi * fraction)) / 2


SCHEDULES = [
    (fn.schedules.constant(0.5), lambda t: 0.5),
    (fn.schedules.step(0.5, every=3), lambda t: 0.5 * 0.1 ** (t // 3)),
    (fn.schedules.step(0.5, every=4, factor=0.5), lambda t: 0.5 * 0.5 ** (t // 4)),
    (fn.schedules.exponential(0.5, every=5, factor=0.3), lambda t: 0.5 * 0.3 ** (t / 5)),
    (fn.schedules.cosine(0.5, steps=8), lambda t: cosine_from(0.5, 0, min(t / 8, 1))),
    (
        fn.schedules.cosine(0.5, steps=9, warmup=3, final=0.1),
        lambda t: 0.5 * (t + 1) / 4 if t < 3 else cosine_from(0.5, 0.1, min((t - 3) / 6, 1)),
    ),
    (
        fn.schedules.one_cycle(0.5, steps=10),
        lambda t: cosine_from(0.02, 0.5, t / 3) if t < 3 else cosine_from(0.5, 2e-6, min((t - 3) / 6, 1)),
    ),
    (
        fn.schedules.one_cycle(0.5, steps=8, warmup=2, initial=0.1, final=0.2),
        lambda t: cosine_from(0.1, 0.5, t / 2) if t < 2 else cosine_from(0.5, 0.2, min((t - 2) / 5, 1)),
    ),
]


@pytest.mark.parametrize(("schedule", "formula"), SCHEDULES, ids=lambda v: getattr(v, "name", ""))
def test_schedules(schedule, formula):
    model = bias_model(schedule)
    found = np.concatenate([rates(model, 5), rates(model, 7)])  # a second fit continues where the first ended
    assert_allclose(found, [formula(t) for t in range(12)], rtol=1e-9, atol=1e-12)


def test_learning_rate_may_be_changed_between_fits():
    model = bias_model(0.5)
    for rate in (0.5, 0.125, fn.schedules.step(0.25, every=1, factor=1.0)):
        model.optimizer.learning_rate = rate
        assert_allclose(rates(model, 3), getattr(rate, "settings", {}).get("learning_rate", rate), rtol=1e-9)
