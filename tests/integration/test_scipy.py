"""Second-order training: `fastnn.scipy` against SciPy called by hand, its endings, what it refuses."""

import sys

import numpy as np
import pytest

import fastnn as fn

optimize = pytest.importorskip("scipy.optimize", reason="the extra scipy is not installed")
import fastnn.scipy  # noqa: E402
from fastnn.engine import launch  # noqa: E402

RNG = np.random.default_rng(0)
X = np.linspace(-1, 1, 60).reshape(-1, 1)
Y = np.hstack([np.sin(3 * X), X**2])
WEIGHT = RNG.random(60)


def network(loss="mse", dtype="float64", l2=0.0, **settings):
    layers = [fn.Dense(6, "tanh", l2=l2), fn.Dense(2)]
    return fn.Model(layers, loss=loss, dtype=dtype, seed=0, **settings)


@pytest.mark.parametrize("method", ["L-BFGS-B", "BFGS", "CG", "TNC", "Newton-CG"])
def test_minimize_is_scipys(method):
    model, by_hand = network(l2=1e-3), network(l2=1e-3).build(1)

    def objective(w):
        by_hand.parameters[...] = w
        return by_hand.loss_and_gradient(X, Y, WEIGHT)

    def product(w, vector):
        by_hand.parameters[...] = w
        return by_hand.hessian_vector_product(X, Y, vector, WEIGHT)

    options = {"options": {"maxfun" if method == "TNC" else "maxiter": 20}, "tol": 1e-10}
    start, own = by_hand.parameters.copy(), {"hessp": product} if method == "Newton-CG" else {}
    expected = optimize.minimize(objective, start, jac=True, method=method, **options, **own)
    result = fn.scipy.minimize(model, X, Y, method, sample_weight=WEIGHT, **options)
    assert np.array_equal(result.x, expected.x)
    assert (result.fun, result.nit) == (expected.fun, expected.nit)
    assert np.array_equal(model.parameters, result.x)
    assert model.evaluate(X, Y, WEIGHT)["loss"] == pytest.approx(result.fun, rel=1e-12)
    assert (model.state.step, model.state.epoch, model.history) == (0, 0, None)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["cross_entropy", "huber", "mae", "poisson", "binary_cross_entropy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_minimize_takes_any_loss_and_dtype(loss, dtype):
    model = network(loss, dtype).build(1)
    y = (Y[:, 0] > 0) if loss == "cross_entropy" else abs(Y)
    before = model.evaluate(X, y)["loss"]
    result = fn.scipy.minimize(model, X, y, options={"maxiter": 100})
    assert result.x.dtype == np.float64
    assert np.array_equal(model.parameters, result.x.astype(dtype))
    after = model.evaluate(X, y)["loss"]
    assert after == pytest.approx(result.fun, rel=1e-5)
    assert after < 0.8 * before


def test_bounds_are_kept():
    model = network()
    result = fn.scipy.minimize(model, X, Y, bounds=optimize.Bounds(-0.5, 0.5))
    assert abs(result.x).max() == abs(model.parameters).max() == 0.5


def losses_seen(model, monkeypatch):
    """A list that fills with the losses that the model is asked for, and their parameters."""
    seen, ask = [], model.executor.loss_and_gradient

    def ask_and_note(*arguments):
        loss, gradient = ask(*arguments)
        seen.append((loss, model.parameters.copy()))
        return loss, gradient

    monkeypatch.setattr(model.executor, "loss_and_gradient", ask_and_note)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("method", ["L-BFGS-B", "BFGS", "TNC"])
def test_interrupted_minimize_keeps_the_best(error, method, monkeypatch):
    model = network().build(1)
    seen, start = losses_seen(model, monkeypatch), model.parameters.copy()

    def stop(_):
        if len(seen) > 6:
            raise error

    with pytest.raises(error):
        fn.scipy.minimize(model, X, Y, method, callback=stop)
    loss, parameters = min(seen, key=lambda pair: pair[0])
    assert np.array_equal(model.parameters, parameters)
    assert model.evaluate(X, Y)["loss"] == pytest.approx(loss, rel=1e-12)
    assert not np.array_equal(parameters, start)
    assert fn.scipy.minimize(model, X, Y).fun < loss


@pytest.mark.parametrize("dtype, large", [("float32", 1e30), ("float64", 1e200)])
def test_a_loss_that_is_not_finite_leaves_the_model_as_it_was(dtype, large):
    model = network(dtype=dtype).build(1)
    model.layers[1].weights = np.full((6, 2), large)
    before = model.parameters.copy()
    with np.errstate(all="ignore"):
        result = fn.scipy.minimize(model, X, Y)
    assert not np.isfinite(result.fun)
    assert np.array_equal(model.parameters, before)


REFUSED = {
    "no loss": (dict(loss=None), dict(X=X, y=Y), ValueError, "the model has no loss"),
    "NaN": ({}, dict(X=X * np.nan, y=Y), ValueError, "X must be finite"),
    "rows": ({}, dict(X=X, y=Y[:5]), ValueError, "y must have 60 rows"),
    "method": ({}, dict(X=X, y=Y, method="adam"), ValueError, "Unknown solver adam"),
    "option": ({}, dict(X=X, y=Y, epochs=3), TypeError, "unexpected keyword argument 'epochs'"),
    "threads": ({}, dict(X=X, y=Y, threads=0), ValueError, "threads must be >= 1, got 0"),
}


@pytest.mark.parametrize(("settings", "call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_minimize_refuses(settings, call, error, message):
    model = network(**settings).build(1)
    before = model.parameters.copy()
    with pytest.raises(error, match=message):
        fn.scipy.minimize(model, **call)
    assert np.array_equal(model.parameters, before)


def test_without_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ImportError, match="the extra 'scipy'"):
        fn.scipy.minimize(network(), X, Y)


# ---- least squares ---------------------------------------------------------------------------------------


def residuals(model, x, y, weight=None):
    return (np.sqrt(1 if weight is None else weight.reshape(-1, 1)) * (model.predict(x) - y)).ravel()


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("dtype, step, rtol", [("float64", 1e-6, 1e-6), ("float32", 1e-2, 2e-2)])
def test_jacobian_against_central_differences(weight, dtype, step, rtol):
    model = network(dtype=dtype).build(1)
    result = fn.scipy.least_squares(model, X, Y, "trf", sample_weight=weight, max_nfev=1)
    w = model.parameters
    expected = np.empty((Y.size, w.size))
    for i, value in enumerate(w.copy()):
        w[i] = value + step
        above = residuals(model, X, Y, weight)
        w[i] = value - step
        expected[:, i] = (above - residuals(model, X, Y, weight)) / (2 * step)
        w[i] = value
    assert result.jac.shape == expected.shape
    np.testing.assert_allclose(result.jac, expected, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(result.fun, residuals(model, X, Y, weight), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("loss", ["mse", "sse"])
@pytest.mark.parametrize("method", ["lm", "trf"])
def test_least_squares_fits_better_than_adam(method, loss):
    model, adam = network(loss), network("mse", optimizer=fn.Adam(0.01))
    result = fn.scipy.least_squares(model, X, Y, method, max_nfev=200)
    assert np.array_equal(model.parameters, result.x)
    assert result.cost == pytest.approx(0.5 * np.sum(residuals(model, X, Y) ** 2), rel=1e-9)
    mse = np.mean((model.predict(X) - Y) ** 2)
    assert mse < 1e-5
    adam.fit(X, Y, epochs=2000)
    assert adam.evaluate(X, Y)["loss"] > 2 * mse


def test_least_squares_in_float32_ends_where_its_digits_do():
    model = network(dtype="float32")
    result = fn.scipy.least_squares(model, X, Y, max_nfev=100)
    assert result.x.dtype == result.jac.dtype == np.float64
    assert np.array_equal(model.parameters, result.x.astype(np.float32))
    assert model.evaluate(X, Y)["loss"] < 1e-5


def test_options_are_scipys():
    bounded = fn.scipy.least_squares(network(), X, Y, "dogbox", bounds=(-1.5, 1.5), max_nfev=20)
    assert 1 < abs(bounded.x).max() <= 1.5
    outlier = Y.copy()
    outlier[7] = 100
    model = network()
    fn.scipy.least_squares(model, X, outlier, "trf", loss="soft_l1", f_scale=0.1, max_nfev=50)
    assert np.median(abs(model.predict(X) - Y)) < 0.05


@pytest.mark.parametrize("call", [2, 5])
def test_interrupted_least_squares_keeps_the_best(call, monkeypatch):
    model, jacobian, costs = network().build(1), launch.derivatives, []

    def count_and_stop(*arguments):
        costs.append((np.sum(residuals(model, X, Y) ** 2), model.parameters.copy()))
        if len(costs) == call:
            raise KeyboardInterrupt
        jacobian(*arguments)

    monkeypatch.setattr(launch, "derivatives", count_and_stop)
    with pytest.raises(KeyboardInterrupt):
        fn.scipy.least_squares(model, X, Y, "trf")
    _, best = min(costs, key=lambda pair: pair[0])
    assert np.array_equal(model.parameters, best)


LEAST_SQUARES_REFUSED = {
    "cross entropy": (dict(loss="cross_entropy"), {}, ValueError, "'mse' and 'sse', not 'cross_entropy'"),
    "huber": (dict(loss="huber"), {}, ValueError, "'mse' and 'sse', not 'huber'"),
    "no loss": (dict(loss=None), {}, ValueError, "the model has no loss"),
    "penalty": (dict(l2=0.1), {}, ValueError, r"does not support the penalties of Dense\(6"),
    "method": (
        {},
        dict(method="L-BFGS-B"),
        ValueError,
        "method must be 'lm', 'trf' or 'dogbox', got 'L-BFGS-B'",
    ),
    "few residuals": ({}, dict(X=X[:9], y=Y[:9]), ValueError, "got 18 and 26; use 'trf'"),
    "memory": (
        {},
        dict(memory_limit=100_000),
        MemoryError,
        r"120 residuals and 26 parameters needs about 1.25e\+05",
    ),
    "rows": ({}, dict(y=Y[:5]), ValueError, "y must have 60 rows"),
    "option": ({}, dict(epochs=3), TypeError, "unexpected keyword argument 'epochs'"),
}


@pytest.mark.parametrize(
    ("settings", "call", "error", "message"), LEAST_SQUARES_REFUSED.values(), ids=LEAST_SQUARES_REFUSED
)
def test_least_squares_refuses(settings, call, error, message):
    model = network(**settings).build(1)
    before = model.parameters.copy()
    with pytest.raises(error, match=message):
        fn.scipy.least_squares(model, **{"X": X, "y": Y, **call})
    assert np.array_equal(model.parameters, before)


def test_no_memory_is_taken_for_what_does_not_fit():
    """A Jacobian of 8 TB is refused at once."""
    model = fn.Model([fn.Dense(1000, "tanh"), fn.Dense(1)], "mse", dtype="float64", seed=0)
    with pytest.raises(MemoryError, match=r"1000000 residuals and 1002001 parameters|memory_limit"):
        fn.scipy.least_squares(model, np.zeros((5000, 1000)), np.zeros(5000), "trf")
    assert model.n_in is None
