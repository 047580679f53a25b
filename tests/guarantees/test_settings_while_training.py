"""Settings, memory and counters that others change while a model trains: what a step goes by is its own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn
from fastnn.engine.state import InterruptedEpoch
from fastnn.kernels.abi.oprow import OPTIMIZER

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(64, 5)), RNG.normal(size=(64, 2))

# Ran into signal 11 or a corrupted heap within seconds when a step went by memory that others could replace.
# In a process of its own, where that is seen.
STRESS = """
import threading, time
import numpy as np
import fastnn as fn

rng = np.random.default_rng(0)
X, y = rng.normal(size=(2000, 20)), rng.normal(size=(2000, 2))
layers = [fn.Dense(40, "tanh"), fn.Dense(30, "tanh"), fn.Dense(2)]
model = fn.Model(layers, "mse", fn.SGD(1e-4), dtype="float64", seed=0).build(20)
end, errors = time.monotonic() + 5.0, []


def change(i):
    model.optimizer.momentum = 0.9 * (i % 2)
    model.optimizer.global_clipnorm = (None, 1e-3)[i // 2 % 2]
    model.layers[i % 3].trainable = i // 3 % 2 == 0
    model.optimizer_state()
    garbage = [np.full(k, np.nan) for k in (1, 48, 96, 2132, 4264)]  # in memory that was freed


def keep_changing():
    i = 0
    while time.monotonic() < end:
        try:
            change(i)
        except Exception as error:
            errors.append(error)
            return
        i += 1


def give_order(epoch):
    for i in range(epoch % 5):
        change(epoch + i)
    return rng.permutation(2000)


others = [threading.Thread(target=keep_changing) for _ in range(2)]
for other in others:
    other.start()
while time.monotonic() < end:
    model.fit(X, y, epochs=30, batch_size=20, shuffle=give_order, verbose=0, threads=2)
for other in others:
    other.join()
assert not errors, errors
print(np.isfinite(model.parameters).all(), model.state.optimizer.size in (0, model.parameters.size))
"""


@pytest.mark.sweep
def test_settings_that_others_change_all_the_time(tmp_path):
    program = tmp_path / "stress.py"
    program.write_text(STRESS, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "True True\n"), done.stderr


def test_settings_of_one_moment(monkeypatch):
    """What says how much memory there is, and what is written of it: another thread may come between."""
    model, count = built(), fn.SGD.state_vectors

    def counted(optimizer):
        vectors = count(optimizer)
        model.optimizer.momentum = 0.9
        return vectors

    monkeypatch.setattr(fn.SGD, "state_vectors", counted)
    for expected in (0, 1):
        state = model.optimizer_state()
        row = state.rows[0].view(OPTIMIZER)[0]
        momentum = row["settings"][0]
        assert (momentum != 0) == expected and state.vectors.size == expected * model.parameters.size
        assert row["n_vectors"] == expected


def built(**options):
    layers = [fn.Dense(4, "tanh"), fn.Dense(2)]
    return fn.Model(layers, "mse", fn.SGD(0.05), dtype="float64", seed=0, **options).build(5)


def ordered(epoch):
    return np.random.default_rng(epoch).permutation(64)


def fitted(change, at, inside):
    """A model that is changed before epoch `at`, by the function that gives orders or by a callback."""
    model = built()

    def give_order(epoch):
        if inside and epoch == at:
            change(model)
        return ordered(epoch)

    def after(epoch, logs):
        if not inside and epoch + 1 == at:
            change(model)

    # A callback, so that the orders are asked for epoch by epoch.
    model.fit(X, Y, epochs=6, batch_size=8, shuffle=give_order, callbacks=[after], verbose=0)
    return model


def momentum(model):
    model.optimizer.momentum = 0.9


def momentum_and_state(model):
    momentum(model)
    assert model.optimizer_state().vectors.size == model.parameters.size


def another(model):
    model.optimizer = fn.Adam(0.05)


def another_and_state(model):
    another(model)
    model.optimizer_state()


@pytest.mark.parametrize("change", [momentum, momentum_and_state, another, another_and_state])
def test_what_the_function_of_orders_changes_is_of_its_epoch(change):
    one, two = fitted(change, 3, inside=True), fitted(change, 3, inside=False)
    assert np.array_equal(one.parameters, two.parameters)
    assert np.array_equal(one.state.optimizer, two.state.optimizer) and one.state.optimizer.size > 0
    assert one.state.step == two.state.step
    assert not np.array_equal(one.parameters, fitted(lambda model: None, 3, inside=True).parameters)


def test_a_new_optimizer_does_not_get_the_memory_of_the_one_before():
    """Not even where training diverges at once, and the last finite weights are put back."""
    model = fn.Model([fn.Dense(2)], "mse", fn.SGD(0.01, momentum=0.9), seed=0)
    model.fit(X, Y, epochs=3)
    assert model.state.optimizer.min() < 0

    def change(epoch, logs):
        model.optimizer = fn.RMSprop(3e38)

    with pytest.raises(fn.DivergenceError):
        model.fit(X, Y, epochs=9, callbacks=[change])
    assert model.state.step == 0 and not model.state.optimizer.any()
    model.optimizer.learning_rate = 0.01
    twin = fn.Model([fn.Dense(2)], "mse", fn.RMSprop(0.01), seed=0).build(5)
    twin.parameters[...] = model.parameters
    for each in (model, twin):
        each.fit(X, Y, epochs=3, shuffle=False)
    assert np.array_equal(model.parameters, twin.parameters)


@pytest.mark.parametrize("epoch", [-1000, 0, 10**12])
@pytest.mark.parametrize("position", [-8, 0, 10**12])
def test_counters_that_others_write(epoch, position):
    """Only that of the steps is asked: others say where in whose memory a fit writes."""

    def change(model):
        model.state.counters[1:] = epoch, position

    model, expected = fitted(change, 3, inside=True), fitted(lambda model: None, 3, inside=True)
    assert np.array_equal(model.parameters, expected.parameters)
    assert model.state.epoch == 6 and len(model.history.epoch) == 6


@pytest.mark.parametrize("position", [-8, 7, 64, 10**12])
def test_a_position_that_is_none(position):
    model = built()
    model.fit(X, Y, epochs=1, batch_size=8, verbose=0)
    model.state.interrupted_epoch = InterruptedEpoch(64, 8, True, np.zeros(3))
    model.state.position = position
    with pytest.raises(ValueError, match=f"cannot be resumed from sample {position} of 64 in batches of 8"):
        model.fit(X, Y, epochs=1, batch_size=8, resume=True, verbose=0)


@pytest.mark.parametrize("name", ["parameters", "optimizer", "constants", "counters"])
def test_arrays_of_the_state_stay(name):
    model = built()
    model.fit(X, Y, verbose=0)
    before = getattr(model.state, name)
    with pytest.raises(AttributeError, match=rf"{name} of a model's state cannot be replaced.*write into it"):
        setattr(model.state, name, np.zeros(5))
    assert getattr(model.state, name) is before
    model.state.optimizer *= 2  # writes into it
    model.fit(X, Y, verbose=0)


@pytest.mark.parametrize(
    "name", ["n_in", "n_out", "layers", "loss", "metrics", "dtype", "parameters", "state"]
)
def test_what_plans_depend_on_stays(name):
    model = built()
    before = getattr(model, name)
    with pytest.raises(AttributeError, match=name):
        setattr(model, name, 40)
    assert getattr(model, name) is before
    model.fit(X, Y, verbose=0)


def test_sizes_before_it_is_built():
    model = fn.Model([fn.Dense(2)])
    assert (model.n_in, model.n_out) == (None, None)
    with pytest.raises(AttributeError, match="n_in"):
        model.n_in = 40
    model.build(3)
    assert (model.n_in, model.n_out) == (3, 2)


@pytest.mark.parametrize("momentum", ["much", 2.0])
def test_a_setting_that_is_refused_changes_nothing(momentum):
    model = built()
    state = model.optimizer_state()
    model.optimizer.momentum = momentum
    with pytest.raises((TypeError, ValueError), match="momentum"):
        model.optimizer_state()
    assert model.state.optimizer is state.vectors
