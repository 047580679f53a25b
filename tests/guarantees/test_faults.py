"""Promise 6: how a training ends before its time, by divergence and Ctrl-C; the model can be used then."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
from fastnn.engine import launch as engine
from fastnn.training import loop
from tests.helpers.interrupted import assert_interrupt_stops

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(23, 3))
Y = X @ [[1.0, 0.0], [-2.0, 1.0], [0.5, 1.0]]

OPTIMIZERS = {
    "SGD": fn.SGD,
    "momentum": lambda **settings: fn.SGD(momentum=0.9, **settings),
    "clipped": lambda **settings: fn.SGD(global_clipnorm=0.1, **settings),
    "RMSprop": fn.RMSprop,
    "Adagrad": fn.Adagrad,
    "Adam": fn.Adam,
    "AdamW": fn.AdamW,
}


def network(optimizer="adam", dropout=0.0):
    layers = [fn.Dense(5, "tanh"), fn.Dropout(dropout), fn.Dense(2)]
    return fn.Model(layers, loss="mse", optimizer=optimizer, seed=0)


@pytest.mark.parametrize("exponent", [200, 40, 30])
def test_divergence_names_epoch_and_step(exponent):
    x, y, rate = np.ones((6, 1)), np.full((6, 1), 2.0), np.float64(10.0**exponent)
    w = [np.float64(0)]  # of y = w x, after each step
    with np.errstate(over="ignore"):
        while np.isfinite(2 * (w[-1] - 2) ** 2):
            w.append(w[-1] - rate * 2 * (w[-1] - 2))
    epoch, step = divmod(len(w) - 1, 3)
    layer = fn.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = fn.Model([layer], loss="mse", optimizer=fn.SGD(rate), dtype="float64")
    with pytest.raises(fn.DivergenceError, match=f"epoch {epoch}, step {step}") as caught:
        model.fit(x, y, epochs=10, batch_size=2, shuffle=False)
    assert (caught.value.epoch, caught.value.step) == (epoch, step)
    assert_allclose(model.parameters, w[-1], rtol=1e-9)
    assert model.history.epoch == list(range(epoch))
    model.parameters[...] = 0
    model.optimizer.learning_rate = 0.1
    assert model.fit(x, y, epochs=50).history["loss"][-1] < 0.01


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("epochs_before", [0, 2])
def test_divergence_keeps_finite_weights(optimizer, epochs_before):
    """A rate near the largest float32 makes a weight infinite before the loss is."""
    model = network(optimizer()).build(3)
    model.fit(X, Y, epochs=epochs_before)
    model.optimizer.learning_rate, model.optimizer.weight_decay = 3e38, 10.0
    before, memory = model.parameters.copy(), model.state.optimizer.copy()
    counts = model.state.step, model.state.epoch
    with pytest.raises(fn.DivergenceError):
        model.fit(X, Y, epochs=5, validation_split=0.5)
    assert np.array_equal(model.parameters, before)
    assert (model.state.step, model.state.epoch) == counts
    expected = memory if epochs_before else np.zeros_like(model.state.optimizer)
    assert np.array_equal(model.state.optimizer, expected)
    assert len({len(values) for values in (model.history.epoch, *model.history.history.values())}) == 1
    model.optimizer = fn.Adam()
    assert np.isfinite(model.fit(X, Y, epochs=2).history["loss"]).all()


def step_by_step(model, X, Y, steps):
    """The model after so many steps of four samples each, in their order."""
    for step in range(steps):
        first = 4 * step % len(X)
        model.partial_fit(X[first : first + 4], Y[first : first + 4])
    return model


@pytest.mark.parametrize("step", range(5))
def test_a_loss_that_is_infinite_at_a_step(step):
    """That step is named and not made, whatever the steps before it in the same compiled call."""
    x, y = X[:20].astype(np.float32), Y[:20]

    def make():
        layer = fn.Dense(2, kernel_initializer=fn.initializers.constant(1))
        return fn.Model([layer], loss="mse", optimizer="sgd").build(3)

    model, bad = make(), x.copy()
    bad[4 * step] = 3e38
    with pytest.raises(fn.DivergenceError, match=f"epoch 0, step {step}"):
        model.fit(bad, y, batch_size=4, shuffle=False, epochs=3)
    assert (model.state.step, model.history.epoch) == (step, [])
    assert np.array_equal(model.parameters, step_by_step(make(), x, y, step).parameters)
    assert np.isfinite(model.fit(x, y, epochs=2).history["loss"]).all()


@pytest.mark.parametrize("looks", ["after each step", "as always"])
@pytest.mark.parametrize("step", [1, 2, 4, 5, 13])
def test_weights_that_are_infinite_after_a_step(step, looks, monkeypatch):
    """Found at the next look at the weights, or by the next loss; the last finite ones are put back."""
    if looks == "after each step":
        monkeypatch.setattr(loop, "SLICE", 0.0)
    x, y = X[:20], Y[:20]

    def make():
        optimizer = fn.SGD(fn.schedules.step(1e-3, every=step, factor=1e42), momentum=0.5)
        return fn.Model([fn.Dense(5, "tanh"), fn.Dense(2)], loss="mse", optimizer=optimizer, seed=0).build(3)

    model = make()
    with pytest.raises(fn.DivergenceError) as caught:
        model.fit(x, y, batch_size=4, shuffle=False, epochs=20)
    found = 5 * caught.value.epoch + caught.value.step
    assert found in (step, step + 1)
    assert model.state.step == step if looks == "after each step" else model.state.step <= step
    assert np.array_equal(model.parameters, step_by_step(make(), x, y, model.state.step).parameters)
    model.optimizer = "adam"
    assert np.isfinite(model.fit(x, y, epochs=2).history["loss"]).all()


@pytest.mark.parametrize("call", range(1, 9))
def test_interrupted_between_two_calls(call, monkeypatch):
    """Ctrl-C during a compiled call is raised when that has returned; here it is, by turns, in each."""
    model = network(dropout=0.2).build(3)
    left, run = [call], engine.run

    def run_and_interrupt(*arguments):
        run(*arguments)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(engine, "run", run_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=1000, batch_size=10, validation_split=0.3)
    record = model.history
    assert {len(values) for values in record.history.values()} <= {len(record.epoch)}
    assert record.epoch == list(range(len(record.epoch)))
    assert len(record.epoch) <= model.state.epoch <= len(record.epoch) + 1
    assert np.isfinite(model.parameters).all()
    assert model.fit(X, Y, epochs=2).epoch == [0, 1]
    assert (model.state.position, model.state.interrupted_epoch) == (0, None)


INTERRUPTED = """
import threading, time
import numpy as np, fastnn as fn
rng = np.random.default_rng(0)
X, y = rng.random(({rows}, 8), np.float32), rng.random(({rows}, 1), np.float32)
model = fn.Model([fn.Dense(16, "tanh"), fn.Dropout(0.1), fn.Dense(1)], loss="mse", seed=0)
model.fit(X[:64], y[:64], validation_split=0.5)
before, step = model.state.epoch, model.state.step

def tell_that_it_trains():
    while model.state.step == step:
        time.sleep(0.01)
    print("ready", flush=True)

threading.Thread(target=tell_that_it_trains, daemon=True).start()
try:
    model.fit(X, y, epochs={epochs}, verbose=0, {options})
    print("went to the end", flush=True)
except KeyboardInterrupt:
    print("stopped", flush=True)
record = model.history
assert np.isfinite(model.parameters).all()
assert np.isfinite(model.predict(X[:100])).all()
lengths = {{name: len(values) for name, values in record.history.items()}}
assert set(lengths.values()) <= {{len(record.epoch)}}, (lengths, len(record.epoch))
assert len(record.epoch) <= model.state.epoch - before <= len(record.epoch) + 1, (record, model.state.epoch)
again = model.fit(X[:64], y[:64], epochs=3)
assert again.epoch == [0, 1, 2] and np.isfinite(again.history["loss"]).all()
print("fine", flush=True)
"""


@pytest.mark.parametrize(
    ("rows", "epochs", "options"),
    [
        (100, 10_000_000, ""),
        (1_000_000, 1000, "batch_size=4"),
        (2000, 1_000_000, "validation_split=0.5"),
        (100, 1_000_000, "callbacks=[lambda epoch, logs: None]"),
    ],
    ids=["many epochs", "long epochs", "validation", "callback"],
)
def test_interrupt(rows, epochs, options):
    assert_interrupt_stops(INTERRUPTED.format(rows=rows, epochs=epochs, options=options), within=1)
