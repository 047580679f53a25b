"""Products of the Hessian matrix of the loss and a vector, beside closed forms and other differences."""

import numpy as np
import pytest

import fastnn as fn
import fastnn.scipy

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 3)), RNG.normal(size=(40, 2))


def network(dtype="float64", loss="mse", **settings):
    layers = [fn.Standardize(), fn.Dense(6, "tanh", l2=0.01), fn.Dropout(0.3), fn.Dense(2, "sigmoid")]
    return fn.Model(layers, loss, dtype=dtype, seed=0, **settings).adapt(X).build(3)


def hessian(model, *data):
    """The matrix, column by column."""
    columns = np.eye(model.parameters.size)
    return np.stack([model.hessian_vector_product(*data, column) for column in columns], axis=1)


def test_of_a_linear_model_it_is_that_of_least_squares():
    model = fn.Model([fn.Dense(1)], "mse", dtype="float64", seed=0).build(3)
    design = np.column_stack([X, np.ones(len(X))])
    expected = 2 * design.T @ design / len(X)
    np.testing.assert_allclose(hessian(model, X, Y[:, :1]), expected, rtol=1e-8, atol=1e-9)


def test_of_a_logistic_regression_it_is_the_known_matrix():
    model = fn.Model([fn.Dense(1, "sigmoid")], "binary_cross_entropy", dtype="float64", seed=0).build(3)
    y = (Y[:, :1] > 0).astype(float)
    design, p = np.column_stack([X, np.ones(len(X))]), model.predict(X)
    expected = design.T @ (p * (1 - p) * design) / len(X)
    np.testing.assert_allclose(hessian(model, X, y), expected, rtol=1e-7, atol=1e-9)


def test_it_is_symmetric_and_of_the_gradient_that_is_returned():
    model = network()
    weight = RNG.uniform(0.5, 1.5, len(X))
    found = hessian(model, X, Y)
    np.testing.assert_allclose(found, found.T, atol=1e-9)
    vector, before = RNG.normal(size=model.parameters.size), model.parameters.copy()
    product = model.hessian_vector_product(X, Y, vector, weight)
    assert np.array_equal(model.parameters, before)
    step = 1e-4  # of another order: the fourth
    gradients = []
    for times in (-2, -1, 1, 2):
        model.parameters[...] = before + times * step * vector
        gradients.append(model.loss_and_gradient(X, Y, weight)[1])
    expected = (gradients[0] - 8 * gradients[1] + 8 * gradients[2] - gradients[3]) / (12 * step)
    np.testing.assert_allclose(product, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("scale", [1e-200, 1e-6, 1.0, 1e6, 1e200])
def test_it_is_linear_in_the_vector(scale):
    model = network()
    vector = RNG.normal(size=model.parameters.size)
    expected = model.hessian_vector_product(X, Y, vector)
    found = model.hessian_vector_product(X, Y, scale * vector)
    np.testing.assert_allclose(found / scale, expected, rtol=1e-6, atol=1e-8)


def test_of_zeros_it_is_zeros():
    model = network()
    assert not model.hessian_vector_product(X, Y, np.zeros(model.parameters.size)).any()


def test_float32_is_less_exact():
    double, single = network(), network("float32")
    double.parameters[...] = single.parameters
    vector = RNG.normal(size=double.parameters.size)
    expected, found = (model.hessian_vector_product(X, Y, vector) for model in (double, single))
    assert found.dtype == np.float32
    assert np.linalg.norm(found - expected) < 5e-3 * np.linalg.norm(expected)


def test_the_weights_are_put_back_when_it_fails(monkeypatch):
    model = network()
    before = model.parameters.copy()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(model.executor), "loss_and_gradient", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.hessian_vector_product(X, Y, np.ones(model.parameters.size))
    assert np.array_equal(model.parameters, before)


@pytest.mark.parametrize(
    ("vector", "error", "words"),
    [
        (np.ones(3), ValueError, r"vector must have shape \(38,\), got shape \(3,\)"),
        (np.ones((38, 1)), ValueError, "vector must have"),
        (np.full(38, np.nan), ValueError, "vector must be finite"),
        (["a"] * 38, TypeError, "vector must"),
    ],
)
def test_bad_vectors(vector, error, words):
    model = network()
    before = model.parameters.copy()
    with pytest.raises(error, match=words):
        model.hessian_vector_product(X, Y, vector)
    assert np.array_equal(model.parameters, before)


def test_lengths_are_those_of_the_gradient():
    model = fn.Model([fn.GRU(3), fn.Dense(1)], "mse", dtype="float64", seed=0).build((4, 2))
    sequences, y, lengths = RNG.normal(size=(5, 4, 2)), RNG.normal(size=(5, 1)), np.array([1, 2, 3, 4, 4])
    vector, before = RNG.normal(size=model.parameters.size), model.parameters.copy()
    product = model.hessian_vector_product(sequences, y, vector, lengths=lengths)
    gradients = []
    for side in (-1, 1):
        model.parameters[...] = before + side * 1e-5 * vector
        gradients.append(model.loss_and_gradient(sequences, y, lengths=lengths)[1])
    np.testing.assert_allclose(product, (gradients[1] - gradients[0]) / 2e-5, rtol=1e-5, atol=1e-8)
    with pytest.raises(ValueError, match="lengths"):
        model.hessian_vector_product(sequences, y, vector, lengths=lengths + 1)


@pytest.mark.parametrize("method", ["Newton-CG", "trust-ncg", "trust-krylov"])
def test_scipy_is_given_the_products(method):
    model, other = network(), network()
    model.layers[1].trainable = False
    frozen = model.layers[1].weights.copy()
    found = fn.scipy.minimize(model, X, Y, method, options={"maxiter": 200})
    other.layers[1].trainable = False
    expected = fn.scipy.minimize(other, X, Y, "L-BFGS-B", options={"maxiter": 2000})
    assert found.fun < expected.fun + 1e-6
    assert np.array_equal(model.layers[1].weights, frozen)
    if "nhev" in found:
        assert found.nhev > 0


def test_the_users_own_product_is_used():
    calls = []

    def own(w, vector):
        calls.append(w)
        return vector

    fn.scipy.minimize(network(), X, Y, "Newton-CG", hessp=own, options={"maxiter": 3})
    assert calls
