"""`Unscale`: a network that trains on the scaled target, and answers in the target's units."""

import copy

import numpy as np
import pytest
from numba import njit

import fastnn as fn
import fastnn.onnx
import fastnn.scipy
from fastnn.compiler import loader

RNG = np.random.default_rng(0)
N = 300
X = RNG.normal(size=(N, 3))
Y = np.column_stack([250_000 + 40_000 * np.sin(X[:, 0]), 1e-3 * X[:, 1] * X[:, 2] - 0.01])
WEIGHT = RNG.uniform(0.5, 2, N)
LOSSES = ["mse", "sse", "mae", fn.losses.huber(0.5), fn.losses.quantile(0.8)]


def network(*last, loss="mse", dtype="float64", n_out=2, **options):
    layers = [fn.Dense(8, "tanh"), fn.Dense(n_out), *last]
    options = {"metrics": ["mae", "mse", "r2"], **options}
    return fn.Model(layers, loss, options.pop("optimizer", "adam"), dtype=dtype, seed=0, **options)


def scaled(y=Y, weight=None):
    mean = np.average(y, axis=0, weights=weight)
    scale = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weight))
    return (y - mean) / scale, mean, scale


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_it_becomes_what_the_scaled_target_makes_of_the_network(loss, weight):
    target, mean, scale = scaled(weight=weight)
    options = {"epochs": 5, "batch_size": 32, "sample_weight": weight}
    model, other = network(fn.Unscale(), loss=loss), network(loss=loss)
    record = model.fit(X, Y, validation_data=(X, Y, WEIGHT), **options).history
    expected = other.fit(X, target, validation_data=(X, target, WEIGHT), **options).history
    np.testing.assert_allclose(model.layers[-1].mean, mean, rtol=1e-12)
    np.testing.assert_allclose(model.layers[-1].scale, scale, rtol=1e-12)
    np.testing.assert_allclose(model.parameters, other.parameters, rtol=0, atol=1e-9)
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(record[name], expected[name], rtol=1e-8)
    np.testing.assert_allclose(model.predict(X), other.predict(X) * scale + mean, rtol=1e-9)
    figures = model.evaluate(X, Y, WEIGHT)
    outputs = model.predict(X)
    errors = np.average((outputs - Y) ** 2, axis=0, weights=WEIGHT)
    assert figures["mse"] == pytest.approx(errors.mean())
    assert figures["mae"] == pytest.approx(np.average(abs(outputs - Y), axis=0, weights=WEIGHT).mean())
    around = np.average((Y - np.average(Y, axis=0, weights=WEIGHT)) ** 2, axis=0, weights=WEIGHT)
    assert figures["r2"] == pytest.approx((1 - errors / around).mean())
    assert figures["loss"] == pytest.approx(other.evaluate(X, target, WEIGHT)["loss"])
    assert record["val_mae"][-1] == pytest.approx(figures["mae"])


def test_float32_learns_a_large_target_that_it_would_not_learn_otherwise():
    price = Y[:, :1]
    options = {"n_out": 1, "dtype": "float32", "optimizer": fn.Adam(0.02)}
    model, plain = network(fn.Unscale(), **options), network(**options)
    model.fit(X, price, epochs=40)
    plain.fit(X, price, epochs=40)
    assert model.evaluate(X, price)["r2"] > 0.95 and plain.evaluate(X, price)["r2"] < 0
    assert model.predict(X).dtype == np.float32


@pytest.mark.parametrize("loss", [*LOSSES, fn.losses.mse().scaled(3)], ids=repr)
def test_gradients(loss):
    model = network(fn.Unscale(), loss=loss)
    model.fit(X, Y, epochs=2)
    assert fn.check_gradient(model, X[:20], Y[:20], WEIGHT[:20]) < 1e-6


def test_compiled_code():
    model = network(fn.Unscale())
    model.fit(X, Y, epochs=1)
    other = copy.deepcopy(model)
    net, state, out = model.network(), model.optimizer_state(), np.empty((N, 2))
    fn.forward(net, X, out)
    assert np.array_equal(out, model.predict(X))

    @njit
    def train(net, state, x, y):
        fn.loss_and_gradient(net, x, y)
        first = net.loss[0]
        fn.train_step(net, state, x, y)
        return first

    assert train(net, state, X[:20], Y[:20]) == pytest.approx(other.evaluate(X[:20], Y[:20])["loss"])
    other.partial_fit(X[:20], Y[:20])
    assert np.array_equal(model.parameters, other.parameters)
    assert fn.train_step_checked(net, state, X[:20], Y[:20]) == fn.Status.OK


def test_nothing_is_compiled_late():
    model = network(fn.Unscale())
    model.executor.load_kernels(training=True)
    compiled = loader.compilations
    model.fit(X, Y, validation_split=0.2)
    assert loader.compilations == compiled


def test_it_is_adapted_once_to_what_is_trained_on():
    model = network(fn.Unscale())
    with pytest.raises(ValueError, match=r"Unscale\(\) is not adapted"):
        model.evaluate(X, Y)
    model.fit(X, Y, epochs=1, validation_split=0.5)
    first = model.layers[-1].mean
    np.testing.assert_allclose(first, Y[: N // 2].mean(axis=0))
    model.fit(X, Y + 1)
    model.adapt(X)
    assert np.array_equal(model.layers[-1].mean, first)
    before = model.predict(X)
    model.layers[-1].adapt(Y + [10, 0])
    np.testing.assert_allclose(model.layers[-1].mean, Y.mean(axis=0) + [10, 0])
    assert not np.array_equal(model.predict(X), before)
    with pytest.raises(ValueError, match="adapted to 1 outputs, but the model has 2"):
        model.layers[-1].adapt(Y[:, 0])
    np.testing.assert_allclose(model.layers[-1].mean, Y.mean(axis=0) + [10, 0])


def test_missing_targets_and_weights_of_outputs():
    weight = RNG.uniform(0.5, 2, Y.shape)
    holes = Y.copy()
    holes[::7, 0], holes[5] = np.nan, np.nan
    model = network(fn.Unscale(), missing_targets="ignore")
    model.fit(X, holes, sample_weight=weight, epochs=2)
    there = ~np.isnan(holes)
    for j in range(2):
        own, weights = holes[there[:, j], j], weight[there[:, j], j]
        mean = np.average(own, weights=weights)
        assert model.layers[-1].mean[j] == pytest.approx(mean)
        assert model.layers[-1].scale[j] == pytest.approx(
            np.sqrt(np.average((own - mean) ** 2, weights=weights))
        )
    target = (holes - model.layers[-1].mean) / model.layers[-1].scale
    other = network(missing_targets="ignore")
    other.fit(X, target, sample_weight=weight, epochs=2)
    np.testing.assert_allclose(model.parameters, other.parameters, rtol=0, atol=1e-9)
    holes[:, 1] = np.nan
    with pytest.raises(ValueError, match="no target of output 1 counts"):
        network(fn.Unscale(), missing_targets="ignore").fit(X, holes)


def test_a_target_that_does_not_vary():
    model = network(fn.Unscale(), n_out=1, metrics=["mae"])
    model.fit(X, np.full(N, 7.0), epochs=20)
    assert model.layers[-1].mean == 7 and model.layers[-1].scale == 1
    assert np.isfinite(model.predict(X)).all()


def test_it_scales_alone():
    layer = fn.Unscale().adapt([1.0, 3.0])
    assert layer([[0.0], [2.0]]).tolist() == [[2], [4]]


@pytest.mark.slow
def test_many_models_ensembles_and_scipy():
    models = [network(fn.Unscale()), network(fn.Unscale(), dtype="float32")]
    alone = network(fn.Unscale())
    fn.fit_many(models, X, Y, epochs=2)
    alone.fit(X, Y, epochs=2)
    assert np.array_equal(models[0].parameters, alone.parameters)
    mean = (models[0].predict(X) + models[1].predict(X)) / 2
    np.testing.assert_allclose(fn.Ensemble(models).predict(X), mean, rtol=1e-6)
    fn.scipy.minimize(alone, X, Y, options={"maxiter": 200})
    assert alone.evaluate(X, Y)["r2"] > 0.95
    small = network(fn.Unscale(), n_out=1).build(3)
    small.layers[-1].adapt(Y[:, 0])
    result = fn.scipy.least_squares(small, X, Y[:, 0])
    np.testing.assert_allclose(result.fun, small.predict(X)[:, 0] - Y[:, 0], atol=1e-6)
    assert small.evaluate(X, Y[:, 0])["r2"] > 0.99


WRONG = {
    "in the middle": (lambda: fn.Model([fn.Dense(2), fn.Unscale(), fn.Dense(1)]), "must be the last layer"),
    "first": (lambda: fn.Model([fn.Unscale(), fn.Dense(1)]), "must be the last layer"),
    "twice": (lambda: fn.Model([fn.Dense(2), fn.Unscale(), fn.Unscale()]), "must be the last layer"),
    "of classes": (
        lambda: network(fn.Unscale(), loss="cross_entropy", metrics="auto"),
        "not 'cross_entropy'",
    ),
    "of bits": (
        lambda: network(fn.Unscale(), loss="binary_cross_entropy", metrics=[]),
        "binary_cross_entropy",
    ),
    "of counts": (lambda: network(fn.Unscale(), loss="poisson"), "a loss of values in the target's units"),
    "accuracy": (lambda: network(fn.Unscale(), metrics=["accuracy"]), "no 'accuracy'"),
    "not adapted": (
        lambda: network(fn.Unscale()).adapt(X).evaluate(X, Y),
        r"use fit or model.layers\[-1\].adapt\(y\)",
    ),
    "too large": (
        lambda: network(fn.Unscale(), n_out=1).fit(X, np.sign(X[:, 0]) * 1e200),
        "y is too large to standardize: column 0 holds 1e\\+200",
    ),
}


@pytest.mark.parametrize(("call", "piece"), WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_is_refused(call, piece):
    with pytest.raises(ValueError, match=piece):
        call()
