"""Levenberg and Marquardt's method: step by step as in NumPy, how it ends, what it refuses."""

import subprocess
import sys

import numpy as np
import pytest

import fastnn as fn
from fastnn.training import least_squares

RNG = np.random.default_rng(0)
X = np.linspace(-1, 1, 60).reshape(-1, 1)
Y = np.hstack([np.sin(3 * X), X**2])
WEIGHT = RNG.random(60)
EACH = RNG.random((60, 2))


def network(loss="mse", dtype="float64", l2=0.0, **settings):
    layers = [fn.Dense(6, "tanh", l2=l2), fn.Dense(2)]
    return fn.Model(layers, loss=loss, dtype=dtype, seed=0, **settings)


def derivatives(model, x):
    """Of all outputs of all samples by the parameters, by central differences."""
    columns, step = [], 1e-5
    for i in range(model.parameters.size):
        kept = model.parameters[i]
        found = []
        for sign in (1, -1):
            model.parameters[i] = kept + sign * step
            found.append(model.predict(x).ravel())
        model.parameters[i] = kept
        columns.append((found[0] - found[1]) / (2 * step))
    return np.stack(columns, axis=1)


def in_numpy(model, x, y, weight=None, evaluations=12, damping=1e-3):
    """The cost after each evaluation."""
    weights = (
        np.ones(y.shape) if weight is None else np.broadcast_to(np.reshape(weight, (len(y), -1)), y.shape)
    )
    root = np.sqrt(weights).ravel()

    def residuals():
        return root * (model.predict(x) - y).ravel()

    r, growth, scale = residuals(), 2.0, 0.0
    costs, jacobian = [0.5 * r @ r], None
    while len(costs) < evaluations:
        if jacobian is None:
            jacobian = derivatives(model, x) * np.reshape(root, (-1, 1))
            scale = np.maximum(scale, np.linalg.norm(jacobian, axis=0))
        gradient = jacobian.T @ r
        p = -np.linalg.solve(jacobian.T @ jacobian + damping * np.diag(scale**2), gradient)
        kept = model.parameters.copy()
        model.parameters[...] = kept + p
        trial = residuals()
        expected = 0.5 * (damping * np.sum((scale * p) ** 2) - gradient @ p)
        ratio = (costs[-1] - 0.5 * trial @ trial) / expected
        if ratio > 0:
            r, jacobian, growth = trial, None, 2.0
            damping *= max(1 / 3, 1 - (2 * ratio - 1) ** 3)
        else:
            model.parameters[...] = kept
            damping, growth = damping * growth, growth * 2
        costs.append(0.5 * r @ r)
    return costs


@pytest.mark.parametrize("rows", [1000, 7, 1], ids=["at once", "7 rows", "a row"])
@pytest.mark.parametrize("weight", [None, WEIGHT, EACH], ids=["plain", "weighted", "each output"])
def test_every_step_is_numpys(rows, weight, monkeypatch):
    model, by_hand = network(), network().build(1)
    monkeypatch.setattr(least_squares, "_JACOBIAN_BYTES", 8 * rows * 26)
    result = fn.levenberg_marquardt(model, X, Y, sample_weight=weight, max_evaluations=12)
    np.testing.assert_allclose(result.history, in_numpy(by_hand, X, Y, weight), rtol=1e-5)
    np.testing.assert_allclose(model.parameters, by_hand.parameters, rtol=1e-4, atol=1e-5)
    assert (result.evaluations, result.cost) == (12, result.history[-1])
    assert not result.success
    assert result.message == "max_evaluations is reached"


def test_worse_steps_are_taken_back():
    model, by_hand = network(), network().build(1)
    settings = {"damping": 1e-12}
    result = fn.levenberg_marquardt(model, X, 100 * Y, max_evaluations=15, **settings)
    np.testing.assert_allclose(result.history, in_numpy(by_hand, X, 100 * Y, None, 15, **settings), rtol=1e-3)
    assert result.steps < 14
    assert (np.diff(result.history) <= 0).all()


def test_missing_targets_count_nothing():
    y = Y.copy()
    y[::3, 0] = np.nan
    model, by_hand = network(missing_targets="ignore"), network().build(1)
    result = fn.levenberg_marquardt(model, X, y, max_evaluations=8)
    expected = in_numpy(by_hand, X, np.nan_to_num(y), (~np.isnan(y)).astype(float), 8)
    np.testing.assert_allclose(result.history, expected, rtol=1e-5)


@pytest.mark.parametrize("dtype, error", [("float32", 1e-7), ("float64", 1e-8)])
def test_precision(dtype, error):
    model = fn.Model([fn.Dense(8, "tanh"), fn.Dense(1)], "mse", dtype=dtype, seed=0)
    fn.levenberg_marquardt(model, X, Y[:, 0], max_evaluations=3000, ftol=0)
    assert model.evaluate(X, Y[:, 0])["loss"] < error


def test_weights_are_of_the_models_dtype():
    half = np.arange(60) % 2
    model, of_these = network(dtype="float32"), network(dtype="float32")
    weighted = fn.levenberg_marquardt(model, X, Y, sample_weight=half, max_evaluations=5)
    result = fn.levenberg_marquardt(of_these, X[1::2], Y[1::2], max_evaluations=5)
    np.testing.assert_allclose(weighted.history, result.history, rtol=1e-4)


NETWORKS = {
    "two hidden layers": (lambda: [fn.Dense(5, "tanh"), fn.Dense(4, "sigmoid"), fn.Dense(1)], (3,)),
    "residual": (
        lambda: [fn.Residual([fn.LayerNormalization(), fn.Dense(4, "tanh")]), fn.Dense(1)],
        (4,),
    ),
    "recurrent": (lambda: [fn.GRU(3), fn.Dense(1)], (5, 2)),
    "convolution": (
        lambda: [fn.Conv1D(3, 3, activation="tanh"), fn.GlobalAveragePooling1D(), fn.Dense(1)],
        (6, 2),
    ),
    "dropout": (lambda: [fn.Dense(5, "tanh"), fn.Dropout(0.5), fn.Dense(1)], (3,)),
    "no parameters": (lambda: [fn.Activation("tanh")], (2,)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_kinds_of_networks(name):
    make, shape = NETWORKS[name]
    x = RNG.normal(size=(80, *shape))
    y = fn.Model(make(), dtype="float64", seed=1).build(shape).predict(x)
    model = fn.Model(make(), "mse", dtype="float64", seed=2).build(shape)
    start = model.evaluate(x, y)["loss"]
    result = fn.levenberg_marquardt(model, x, y, max_evaluations=60)
    assert model.evaluate(x, y)["loss"] <= 1e-3 * start
    assert result.cost == pytest.approx(40 * model.evaluate(x, y)["loss"], rel=1e-9)


def test_values_in_the_targets_units():
    prices = 1e5 + 1e4 * Y
    model = fn.Model(
        [fn.Dense(6, "tanh"), fn.Dense(2), fn.Unscale().adapt(prices)], "mse", dtype="float64", seed=0
    )
    fn.levenberg_marquardt(model, X, prices, ftol=1e-12)
    assert abs(model.predict(X) - prices).max() < 1.0


def test_frozen_layers_stay():
    model = network().build(1)
    model.layers[0].trainable = False
    kept, before = model.layers[0].weights.copy(), model.layers[1].weights.copy()
    result = fn.levenberg_marquardt(model, X, Y)
    assert np.array_equal(model.layers[0].weights, kept)
    assert not np.array_equal(model.layers[1].weights, before)
    hidden = np.hstack([model.outputs(X, [0])[0], np.ones((60, 1))])
    best = sum(np.linalg.lstsq(hidden, y, rcond=None)[1][0] for y in Y.T)  # it is linear in the rest
    assert result.cost == pytest.approx(0.5 * best, rel=1e-6)


ENDS = {
    "cost": ({"ftol": 1e-2, "xtol": 0, "gtol": 0}, "the cost changes by less than ftol"),
    "parameters": ({"ftol": 0, "xtol": 1e-1, "gtol": 0}, "the parameters change by less than xtol"),
    "gradient": ({"ftol": 0, "xtol": 0, "gtol": 0.5}, "the residuals are orthogonal"),
}


@pytest.mark.parametrize("tolerances, message", ENDS.values(), ids=ENDS)
def test_tolerances(tolerances, message):
    result = fn.levenberg_marquardt(network(), X, Y, **tolerances)
    assert result.success
    assert result.message.startswith(message)
    assert result.evaluations == len(result.history) < 200


def test_what_is_learned_perfectly_is_the_end():
    model = network().build(1)
    y = model.predict(X)
    before = model.parameters.copy()
    result = fn.levenberg_marquardt(model, X, y)
    assert (result.cost, result.optimality, result.evaluations, result.steps) == (0, 0, 1, 0)
    assert np.array_equal(model.parameters, before)


def test_where_no_step_is_better():
    model = network(dtype="float32")
    result = fn.levenberg_marquardt(model, X, Y, max_evaluations=5000, ftol=0, xtol=0, gtol=0)
    assert not result.success
    assert result.message == "no step makes the cost smaller, however short"


def test_optimizer_and_counters_are_left_alone():
    model = network(optimizer="adam")
    model.fit(X, Y, epochs=2)
    step, memory = model.state.step, [vector.copy() for vector in model.state.optimizer]
    fn.levenberg_marquardt(model, X, Y, max_evaluations=5)
    assert model.state.step == step
    assert all(map(np.array_equal, model.state.optimizer, memory))


def test_interrupted_it_keeps_the_best(monkeypatch):
    model, whole = network(), network()
    expected = fn.levenberg_marquardt(whole, X, Y, max_evaluations=6)
    calls, step = [], least_squares._Search.step

    def stop_after_six(search):
        if len(calls) == 6:
            raise KeyboardInterrupt
        calls.append(step(search))

    monkeypatch.setattr(least_squares._Search, "step", stop_after_six)
    with pytest.raises(KeyboardInterrupt):
        fn.levenberg_marquardt(model, X, Y)
    assert np.array_equal(model.parameters, whole.parameters)
    monkeypatch.undo()
    assert fn.levenberg_marquardt(model, X, Y).cost < expected.cost


REFUSED = {
    "loss": (
        dict(loss="huber"),
        {},
        ValueError,
        "for the losses 'mse' and 'sse', not 'huber'; use fastnn.scipy",
    ),
    "no loss": (dict(loss=None), {}, ValueError, "the model has no loss"),
    "penalties": (dict(l2=0.1), {}, ValueError, "does not support the penalties of Dense"),
    "NaN": ({}, dict(X=X * np.nan), ValueError, "X must be finite"),
    "rows": ({}, dict(y=Y[:5]), ValueError, "y must have 60 rows"),
    "weights": ({}, dict(sample_weight=-WEIGHT), ValueError, "sample_weight"),
    "evaluations": ({}, dict(max_evaluations=0), ValueError, "max_evaluations must be >= 1, got 0"),
    "ftol": ({}, dict(ftol=-1), ValueError, "ftol must be >= 0, got -1"),
    "xtol": ({}, dict(xtol=np.nan), ValueError, "xtol must be finite, got nan"),
    "gtol": ({}, dict(gtol="0"), TypeError, "gtol must be a number, got '0'"),
    "damping": ({}, dict(damping=0), ValueError, "damping must be > 0, got 0"),
    "memory": (
        {},
        dict(memory_limit=100),
        MemoryError,
        r"of 26 parameters needs about 1.08e\+04 bytes, more than",
    ),
}


@pytest.mark.parametrize("settings, call, error, message", REFUSED.values(), ids=REFUSED)
def test_refused(settings, call, error, message):
    model = network(**settings).build(1)
    before = model.parameters.copy()
    with pytest.raises(error, match=message):
        fn.levenberg_marquardt(model, **{"X": X, "y": Y, **call})
    assert np.array_equal(model.parameters, before)


@pytest.mark.parametrize("dtype, large", [("float32", 1e30), ("float64", 1e200)])
def test_outputs_that_cannot_be_squared(dtype, large):
    model = network(dtype=dtype).build(1)
    model.layers[1].weights = np.full((6, 2), large)
    before = model.parameters.copy()
    if dtype == "float64":
        with pytest.raises(ValueError, match="too large to be squared, at the initial weights"):
            fn.levenberg_marquardt(model, X, Y)
        assert np.array_equal(model.parameters, before)
    else:  # the squares are of float64
        assert np.isfinite(fn.levenberg_marquardt(model, X, Y).cost)


def test_it_does_not_import_numba():
    code = "import sys, fastnn as fn; fn.levenberg_marquardt; print('numba' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
