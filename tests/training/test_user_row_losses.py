"""User-defined losses over a row."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
from tests.helpers.row_losses import RNG, TWO, N, X, model_of


def distance(y, t):
    return np.sqrt((y[0] - t[0]) ** 2 + (y[1] - t[1]) ** 2)


def away(y, t, out):
    length = np.sqrt((y[0] - t[0]) ** 2 + (y[1] - t[1]) ** 2)
    for j in range(2):
        out[j] = (y[j] - t[j]) / length


def towards(y, t, out):
    length = np.sqrt((y[0] - t[0]) ** 2 + (y[1] - t[1]) ** 2)
    for j in range(2):
        out[j] = (t[j] - y[j]) / length


def registered(value, derivative, **options):
    return fn.register_loss(value, derivative, "row_loss_of_tests", rowwise=True, replace=True, **options)


def test_user_defined(tmp_path):
    loss = registered(distance, away)
    for dtype in ("float32", "float64"):
        model = model_of(loss, 2, dtype)
        expected = np.linalg.norm(model.predict(X) - TWO, axis=1).mean()
        assert_allclose(model.evaluate(X, TWO)["loss"], expected, rtol=1e-5)
    assert fn.check_gradient(model, X, TWO) < 1e-6
    again = pickle.loads(pickle.dumps(model))
    assert again.loss.rowwise and again.evaluate(X, TWO) == model.evaluate(X, TWO)
    model.save(tmp_path / "m.safetensors")
    assert fn.load(tmp_path / "m.safetensors").loss is loss
    model.fit(X, TWO, epochs=50)
    assert model.evaluate(X, TWO)["loss"] < expected
    wrong = registered(distance, towards)
    with pytest.raises(fn.GradientError):
        fn.check_gradient(model_of(wrong, 2), X, TWO)


def censored(y, t):
    """Of a time: whether it was observed, and when."""
    return np.exp(y[0]) * t[1] - t[0] * y[0]


def censored_slope(y, t, out):
    out[0] = np.exp(y[0]) * t[1] - t[0]


@pytest.mark.parametrize("shuffle", [True, False])
def test_targets_of_another_width(shuffle):
    """More targets than outputs: there is memory for them in batches that are gathered, too."""
    y = np.column_stack([RNG.integers(0, 2, N), RNG.uniform(0.1, 3, N)])
    model = model_of(registered(censored, censored_slope, n_targets=2), 1)
    assert fn.check_gradient(model, X, y) < 1e-6
    first = model.evaluate(X, y)["loss"]
    model.fit(X, y, epochs=30, shuffle=shuffle)
    assert model.evaluate(X, y)["loss"] < first
    with pytest.raises(ValueError, match=r"must have shape \(90, 2\), for 'row_loss_of_tests' of 1 outputs"):
        model.fit(X, y[:, :1])


@pytest.mark.slow
def test_functions_that_do_not_fit_are_refused():
    def beyond(y, t):
        return y[2] - t[0]

    def not_all(y, t, out):
        out[0] = 1.0

    def writes(y, t):
        y[0] = 1.0
        return y[0]

    def allocates(y, t):
        return (y - t).sum()

    def raises(y, t):
        if y[0] > 1:
            raise ValueError
        return y[0]

    with pytest.raises(ValueError, match="value of the loss .* does not fit rows of 2 outputs and 2 targets"):
        model_of(registered(beyond, away), 2)
    with pytest.raises(ValueError, match=r"must write all of out, .* it does not write out\[1\]"):
        model_of(registered(distance, not_all), 2)
    for value in (writes, allocates, raises):
        with pytest.raises(fn.CompilationError, match="cannot run in the compiled loop"):
            model_of(registered(value, away), 2).evaluate(X, TWO)
    with pytest.raises(TypeError, match="derivative must be a function of 3 numbers"):
        registered(distance, distance)
    with pytest.raises(ValueError, match="n_targets is for losses with rowwise=True"):
        fn.register_loss(lambda y, t: y, lambda y, t: 1.0, "row_loss_of_tests", n_targets=2)
