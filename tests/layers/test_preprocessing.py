"""Standardize, MinMax and OneHot: what they compute, when they adapt, and how they are kept."""

import numpy as np
import pytest

import fastnn as fn
from tests.helpers.coded_data import CODED, CODES, NUMBERS, RNG, N, X, Y, network
from tests.helpers.reference import central_difference
from tests.helpers.tolerances import CENTRAL_DIFFERENCE


def one_hot(X, columns, categories):
    """Plain NumPy."""
    parts = [
        np.equal.outer(X[:, j], categories[columns.index(j)]) if j in columns else X[:, j : j + 1]
        for j in range(X.shape[1])
    ]
    return np.hstack(parts).astype(float)


def standardized(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


def min_max(X, low, high):
    return low + (high - low) * (X - X.min(axis=0)) / np.ptp(X, axis=0)


CODED_X = one_hot(X, CODED, [[2, 3, 4, 5]] * 2)
# Name: layers, what they make of X.
CASES = {
    "standardize": (lambda: [fn.Standardize()], standardized(X)),
    "min_max": (lambda: [fn.MinMax()], min_max(X, 0, 1)),
    "min_max -1 1": (lambda: [fn.MinMax(-1, 1)], min_max(X, -1, 1)),
    "min_max 3 8": (lambda: [fn.MinMax(3, 8)], min_max(X, 3, 8)),
    "some columns": (
        lambda: [fn.Standardize([0, -3]), fn.MinMax(-2, 2, columns=1)],
        np.column_stack([standardized(X[:, 0]), min_max(X[:, 1], -2, 2), standardized(X[:, 2]), X[:, 3:]]),
    ),
    "one_hot": (lambda: [fn.OneHot(CODED)], CODED_X),
    "one_hot in turn": (lambda: [fn.OneHot(4), fn.OneHot(3)], CODED_X),
    "one_hot given": (
        lambda: [fn.OneHot([4, 3], [[5, 2, 3, 4], [9, 5, 4, 3, 2]])],
        one_hot(X, CODED, [[9, 5, 4, 3, 2], [5, 2, 3, 4]]),
    ),
    "coded, then standardized": (lambda: [fn.OneHot(CODED), fn.Standardize()], standardized(CODED_X)),
    "numbers, then codes": (
        lambda: [fn.Standardize([0, 1, 2]), fn.OneHot(CODED)],
        np.hstack([standardized(NUMBERS), CODED_X[:, 3:]]),
    ),
}
EACH = pytest.mark.parametrize(("make", "expected"), CASES.values(), ids=CASES)
DTYPE = pytest.mark.parametrize("dtype", ["float32", "float64"])
TOLERANCE = {"float32": {"rtol": 1e-4, "atol": 1e-4}, "float64": {"rtol": 1e-12, "atol": 1e-12}}


def prepared(model, count):
    """What the first `count` layers of a model make of X."""
    x = X
    for layer in model.layers[:count]:
        x = layer(x)
    return x


@EACH
@DTYPE
def test_fit_adapts_and_all_ways_use_it(make, expected, dtype):
    layers = make()
    model, plain = network(layers, dtype=dtype), network([], dtype=dtype)
    model.fit(X, Y, epochs=1, batch_size=32, shuffle=False)
    np.testing.assert_allclose(prepared(model, len(layers)), expected, **TOLERANCE[dtype])
    # a network without, on data prepared by the layers, is the same network with the same bits
    data = prepared(model, len(layers))
    plain.build(data.shape[1]).parameters[...] = model.parameters
    assert np.array_equal(model.predict(X), plain.predict(data))
    assert model.evaluate(X, Y) == plain.evaluate(data, Y)
    loss, gradient = model.loss_and_gradient(X, Y)
    plain_loss, plain_gradient = plain.loss_and_gradient(data, Y)
    assert loss == plain_loss and np.array_equal(gradient, plain_gradient)
    out = np.empty((N, 3), dtype)
    fn.forward(model.network(), X.astype(dtype), out)
    assert np.array_equal(out, model.predict(X))


@EACH
def test_training_is_that_of_prepared_data(make, expected):
    layers = make()
    model, plain = network(layers), network([])
    model.adapt(X).build(5)
    data = prepared(model, len(layers))
    # initial weights depend on a layer's place in the model
    plain.build(data.shape[1]).parameters[...] = model.parameters
    history = model.fit(X, Y, epochs=4, batch_size=50, threads=2).history
    assert history == plain.fit(data, Y, epochs=4, batch_size=50, threads=1).history
    assert np.array_equal(model.parameters, plain.parameters)


def test_scikit_learn_computes_the_same():
    preprocessing = pytest.importorskip("sklearn.preprocessing", reason="the other side of the comparison")
    weight = RNG.integers(0, 3, N).astype(float)
    scaler = preprocessing.StandardScaler().fit(X, sample_weight=weight)
    layer = fn.Standardize().adapt(X, weight)
    np.testing.assert_allclose(layer.mean, scaler.mean_, rtol=1e-12)
    np.testing.assert_allclose(layer.scale, scaler.scale_, rtol=1e-12)
    pairs = [
        (fn.Standardize(), preprocessing.StandardScaler(), X),
        (fn.MinMax(-2, 3), preprocessing.MinMaxScaler((-2, 3)), X),
        (fn.OneHot(), preprocessing.OneHotEncoder(sparse_output=False), CODES),
        (fn.Standardize(), preprocessing.StandardScaler(), np.full((1000, 1), 0.1)),  # does not vary
        (fn.MinMax(2, 3), preprocessing.MinMaxScaler((2, 3)), np.full((1000, 1), 0.1)),
    ]
    for layer, other, data in pairs:
        output = fn.Model([layer.adapt(data)], dtype="float64").predict(data)
        np.testing.assert_allclose(output, other.fit_transform(data), rtol=1e-12, atol=1e-12)


def test_constants_are_not_parameters():
    model = network([fn.Standardize(0), fn.OneHot(3)]).adapt(X).build(5)
    assert model.parameters.size == 8 * 7 + 7 + 7 * 3 + 3
    assert model.loss_and_gradient(X, Y)[1].size == model.parameters.size


def test_the_first_fit_adapts_to_what_it_trains_on():
    model = network([fn.Standardize()])
    model.fit(X, Y, validation_split=0.25)
    layer = model.layers[0]
    np.testing.assert_allclose(layer.mean, X[:180].mean(axis=0), rtol=1e-5)
    before = layer.mean.copy()
    model.fit(X + 1, Y)
    assert np.array_equal(layer.mean, before)
    assert model.adapt(X + 1) is model
    np.testing.assert_allclose(layer.mean, X.mean(axis=0) + 1, rtol=1e-5)
    expected = (model(X + 1), model.evaluate(X + 1, Y))
    assert layer.adapt(X) is layer
    np.testing.assert_allclose(model(X), expected[0], rtol=1e-4, atol=1e-5)
    assert model.evaluate(X, Y)["loss"] == pytest.approx(expected[1]["loss"], rel=1e-4)


def test_sample_weights():
    weight = RNG.integers(0, 3, N)
    repeated = np.repeat(X, weight, axis=0)
    model = network([fn.Standardize()], dtype="float64")
    model.fit(X, Y, sample_weight=weight, class_weight={0: 7.0})
    np.testing.assert_allclose(model.layers[0].mean, repeated.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(model.layers[0].scale, repeated.std(axis=0), rtol=1e-12)
    layer = fn.MinMax().adapt(X, weight)
    assert np.array_equal(layer.data_max, repeated.max(axis=0))
    kept = np.where(X[:, 3] == 5, 0.0, 1.0)
    assert fn.OneHot(3).adapt(X, kept).categories[0].tolist() == [2, 3, 4]


def test_columns_that_do_not_vary():
    constant = np.full((1000, 1), 0.1)
    layer = fn.Standardize().adapt(np.hstack([constant, constant * 1e9, 0 * constant]))
    assert layer.scale.tolist() == [1, 1, 1]
    assert np.abs(layer([[0.1, 1e8, 0]])).max() < 1e-7
    layer = fn.MinMax(2, 3).adapt(constant)
    assert layer([[0.1]]) == 2 and layer([[0.6]]) == 2.5
    tiny = np.array([[0.0], [1e-42]])  # flushed to zero in the compiled loop
    for layer in (fn.Standardize(), fn.MinMax()):
        assert np.isfinite(layer.adapt(tiny)(tiny)).all()


def test_adapting_is_stable_far_from_zero():
    far = 1e8 + RNG.uniform(size=(5000, 2))
    layer = fn.Standardize().adapt(far)
    np.testing.assert_allclose(layer.scale, far.std(axis=0), rtol=1e-7)


@pytest.mark.parametrize(
    "make", [lambda: [fn.Standardize()], lambda: [fn.OneHot(CODED, handle_unknown="ignore")]]
)
def test_gradient_by_the_input(make):
    """Coded columns have none: the numbers beside a category are unknown ones."""
    model = network(make(), dtype="float64").adapt(X).build(5)
    x = X[:4].copy()
    dy, dx = RNG.normal(size=(4, 3)), np.full_like(x, np.nan)
    fn.input_gradient(model.network(), x, dy, dx)
    numeric = central_difference(lambda x: float((model(x) * dy).sum()), x)
    if isinstance(model.layers[0], fn.OneHot):
        # the difference is taken from a category to none, on both sides alike
        assert np.array_equal(dx[:, CODED], np.zeros((4, 2)))
    np.testing.assert_allclose(dx, numeric, **CENTRAL_DIFFERENCE["float64"])


# ---- Files, copies, showing --------------------------------------------------------------------------------


def test_a_model_that_is_not_adapted_is_saved_so(tmp_path):
    model = network([fn.Standardize()]).build(5)
    model.save(tmp_path / "model.safetensors")
    again = fn.load(tmp_path / "model.safetensors")
    assert not again.layers[0].adapted
    again.fit(X, Y)
    assert again.layers[0].adapted


def test_an_adapted_layer_keeps_its_numbers_in_a_model():
    layer = fn.Standardize().adapt(X[:100])
    mean = layer.mean
    model = network([layer])
    model.fit(X, Y)
    assert layer.mean is mean


def test_representations():
    layers = [fn.Standardize(), fn.MinMax(-1, 1, columns=[0]), fn.OneHot([1, 2])]
    assert [repr(layer) for layer in layers] == [
        "Standardize()",
        "MinMax(-1, 1, columns=[0])",
        "OneHot([1, 2])",
    ]


def test_given_categories_behind_a_layer_that_is_not_adapted_yet():
    X = np.column_stack([RNG.normal(size=20), RNG.integers(0, 2, 20)])
    model = fn.Model([fn.Standardize(0), fn.OneHot(1, categories=[[0, 1]]), fn.Dense(1)], loss="mse", seed=0)
    with pytest.raises(ValueError, match="unknown category 5"):
        model.fit(np.vstack([X, [[0, 5]]]), np.zeros(21))
    assert not model.layers[0].adapted
    assert not model.executor.is_built
    model.fit(X, np.zeros(20))
