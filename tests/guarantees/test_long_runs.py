"""Promise 9: memory stays flat over a million steps and thousands of calls; long trainings do not drift."""

import sys

import numpy as np
import pytest

import fastnn as fn
from tests.guarantees import soak
from tests.guarantees.programs import run
from tests.helpers.sweeps import sampled

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).normal(size=(20, 2))
Y = X[:, 0] * X[:, 1]

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads memory in use from Linux's /proc")

RESIDENT = """
import numpy as np, fastnn as fn
from tests.guarantees.soak import resident
X, y = fn.datasets.xor()
model = fn.Model([fn.Dense(4, "tanh"), fn.Dropout(0.1), fn.Dense(1)], loss="mse", metrics=["mae"], seed=0)
"""

GROWTHS = {
    # A million steps: 250 epochs of 4000 batches, shuffled
    "steps": """
X, y = np.tile(X, (4000, 1)), np.tile(y, (4000, 1))
model.fit(X, y, epochs=2, batch_size=4)
before, step = resident(), model.state.step
model.fit(X, y, epochs=250, batch_size=4)
assert model.state.step == step + 1_000_000
""",
    # 100 times 10,000 epochs of one step; only the last history is kept
    "epochs": """
for i in range(102):
    if i == 2:
        before, step = resident(), model.state.step
    model.fit(X, y, epochs=10_000, batch_size=None)
assert model.state.step == step + 1_000_000
""",
    "predictions": """
model.build(2)
many = np.tile(X, (1000, 1))
for i in range(20_200):
    if i == 200:
        before = resident()
    model.predict(X)
    if i % 20 == 0:
        model.predict(many)
""",
    "calls": """
for i in range(2_200):
    if i == 200:
        before = resident()
    model.partial_fit(X, y)
    model.evaluate(X, y)
    model.loss_and_gradient(X, y)
    model.layers[0](X)
""",
    # Batches of other sizes: a network is kept for one only
    "sizes": """
many, targets = np.tile(X, (100, 1)), np.tile(y, (100, 1))
for i in range(600):
    if i == 400:
        before = resident()
    model.fit(many[: i % 300 + 1], targets[: i % 300 + 1], batch_size=None)
""",
    "models": """
def use():
    model = fn.Model([fn.Dense(40, "relu"), fn.Dense(1)], loss="mse", seed=0)
    model.fit(X, y, epochs=3)
    model.predict(X)

for i in range(400):
    if i == 100:
        before = resident()
    use()
""",
}


@linux
@pytest.mark.parametrize("name", sampled(GROWTHS, every=3))
def test_memory_stays_flat(name):
    assert int(run("-c", RESIDENT + GROWTHS[name] + "print(resident() - before)")) < 1_000_000


@linux
def test_a_growth_is_seen():
    leak = "before, kept = resident(), []\nfor i in range(20_000):\n    kept.append(model.predict(X))\n"
    assert int(run("-c", RESIDENT + leak + "print(resident() - before)")) > 1_000_000


@linux
def test_a_long_training_is_the_same_bits_again():
    """10 million steps in `make soak`."""
    steps, _, same = soak.growth_and_drift(200_000)
    assert steps == 200_000 and same


@pytest.mark.parametrize("dtype, limit", [("float64", 1e-12), ("float32", 1e-4)])
def test_a_long_training_stays_near_the_reference(dtype, limit):
    """10 million steps in `make soak`."""
    assert soak.drift_from_reference(20_000, dtype) < limit


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("step", [2**24 + 1, 2**31 - 3, 2**32 + 1, 2**40 + 1])
def test_more_steps_than_small_numbers_can_count(step, dtype):
    """Schedules, Adam's corrections, dropout and shuffling go on where 2**24 or 2**32 is passed."""

    def train(optimizer, step, epoch=0):
        layers = [fn.Dense(8, "tanh"), fn.Dropout(0.5), fn.Dense(1)]
        model = fn.Model(layers, loss="mse", optimizer=optimizer, dtype=dtype, seed=0).build(2)
        model.state.step, model.state.epoch = step, epoch
        history = model.fit(X, Y, epochs=3, batch_size=4)
        assert (model.state.step, model.state.epoch) == (step + 15, epoch + 3)
        return model.parameters.tobytes(), history.learning_rate

    rate = fn.schedules.exponential(0.1, every=step, factor=0.5)
    _, rates = train(fn.SGD(rate), step)
    expected = [0.1 * 0.5 ** ((step + last) / step) for last in (4, 9, 14)]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    _, rates = train(fn.SGD(fn.schedules.step(0.1, every=step + 7, factor=0.5)), step)
    assert rates == [0.1, 0.05, 0.05]
    results = {train("adam", step + i * 2**32)[0] for i in range(2)}
    results |= {train("adam", step, epoch=2**32 * i)[0] for i in range(1, 3)}
    assert len(results) == 4 and all(np.isfinite(np.frombuffer(each, dtype)).all() for each in results)
