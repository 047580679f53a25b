"""Numbers that are given to a preprocessing layer of a built model: taken over, or refused."""

import numpy as np
import pytest

import fastnn as fn


def test_numbers_of_a_built_model_are_taken_over():
    X = np.random.default_rng(0).normal(size=(20, 3))
    layer = fn.Standardize()
    model = fn.Model([layer, fn.Dense(2)], "mse", dtype="float64", seed=0)
    model.adapt(X).build(3)
    net, out = model.network(), np.empty((20, 2))
    model.predict(X)
    layer.set_statistics({"mean": [1.0, 2.0, 3.0], "scale": [2.0, 4.0, 8.0]})
    dense = model.layers[1]
    expected = (X - [1, 2, 3]) / [2, 4, 8] @ dense.weights + dense.bias
    fn.forward(net, X, out)
    for given in (model.predict(X), model.predict(X[0])[None], out, model(X)):
        np.testing.assert_allclose(given, expected[: len(given)], rtol=1e-12)


def test_categories_of_a_built_model_are_taken_over():
    layer = fn.OneHot([0, 1], categories=[[1, 2, 3], [4, 5]])
    model = fn.Model([layer, fn.Dense(2, use_bias=False)], "mse", dtype="float64", seed=0).build(2)
    model.predict([[1, 4]])
    layer.set_statistics({"counts": [2, 3], "categories": [1, 9, 4, 5, 6]})
    weights = model.layers[1].weights
    np.testing.assert_allclose(model.predict([[9, 6]]), [weights[1] + weights[4]], rtol=1e-12)
    with pytest.raises(ValueError, match="unknown category"):
        model.predict([[3, 4]])


@pytest.mark.parametrize(
    ("layer", "numbers"),
    [
        (lambda: fn.OneHot(0, categories=[[1, 2]]), {"counts": [3], "categories": [1, 2, 3]}),
        (lambda: fn.OneHot(0, categories=[[1, 2, 3]]), {"counts": [1], "categories": [1]}),
        (lambda: fn.OneHot(0, categories=[[1, 2]]), {"counts": [1, 1], "categories": [1, 2]}),
        (fn.Standardize, {"mean": [1.0], "scale": [1.0]}),
        (fn.MinMax, {"data_min": np.zeros(5), "data_max": np.ones(5)}),
    ],
    ids=["more categories", "fewer", "more columns", "fewer columns", "more columns of all"],
)
def test_numbers_that_a_built_model_has_no_place_for(layer, numbers):
    X = np.array([[1.0, 0.5], [2.0, 0.1]])
    layer = layer()
    model = fn.Model([layer, fn.Dense(40), fn.Dense(2)], "mse", dtype="float64", seed=0)
    model.fit(X, X, verbose=0)
    before, kept = model.predict(X), {name: values.copy() for name, values in layer.statistics.items()}
    with pytest.raises(ValueError, match="another number of categories|but its input has|but codes"):
        layer.set_statistics(numbers)
    assert all(np.array_equal(layer.statistics[name], values) for name, values in kept.items())
    assert np.array_equal(model.predict(np.tile(X, (2000, 1)))[:2], before)
    model.fit(X, X, verbose=0)
    net, out = model.network(), np.empty((2, 2))
    assert fn.forward_checked(net, X, out) is fn.Status.OK and np.array_equal(out, model.predict(X))
