"""Hidden outputs, and derivatives with respect to the input, from Python."""

import threading

import numpy as np
import pytest

import fastnn as fn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))


@pytest.fixture(scope="module")
def model():
    layers = [
        fn.Standardize(),
        fn.Residual([fn.Dense(4, "tanh"), fn.Dense(3)]),
        fn.Dense(4, "softplus"),
        fn.Dropout(0.5),
        fn.Dense(2, "softmax"),
    ]
    result = fn.Model(layers, loss="cross_entropy", dtype="float64", seed=0)
    return result.fit(X, (X[:, 0] > 0).astype(int), epochs=3) and result


def test_outputs_of_all_layers(model):
    scaled, residual, hidden, dropped, output = model.outputs(X)
    layer, body = model.layers[0], model.layers[1].body.layers
    np.testing.assert_allclose(scaled, (X - layer.mean) / layer.scale, rtol=1e-12)
    inner = np.tanh(scaled @ body[0].weights + body[0].bias) @ body[1].weights + body[1].bias
    np.testing.assert_allclose(residual, scaled + inner, rtol=1e-12)
    expected = np.log1p(np.exp(residual @ model.layers[2].weights + model.layers[2].bias))
    np.testing.assert_allclose(hidden, expected, rtol=1e-12)
    assert np.array_equal(dropped, hidden)
    assert np.array_equal(output, model.predict(X))


def test_layers_are_found_by_number_path_and_object(model):
    by_path, by_object, last = model.outputs(X[0], ["1.body.0", model.layers[2], -1])
    assert by_path.shape == (4,) and last.shape == (2,)
    scaled = model.outputs(X[0], [0])[0]
    inner = model.layers[1].body.layers[0]
    np.testing.assert_allclose(by_path, np.tanh(scaled @ inner.weights + inner.bias), rtol=1e-12)
    assert np.array_equal(by_object, model.outputs(X[0])[2])


def test_outputs_of_samples_with_several_axes():
    model = fn.Model([fn.Reshape((6,)), fn.Dense(4, "relu"), fn.Reshape((2, 2))], seed=0).build((2, 3))
    x = RNG.normal(size=(5, 2, 3)).astype("float32")
    flat, hidden, output = model.outputs(x)
    assert np.array_equal(flat, x.reshape(5, 6)) and hidden.shape == (5, 4)
    assert np.array_equal(output, model.predict(x)) and output.shape == (5, 2, 2)
    assert model.jacobian(x).shape == (5, 2, 2, 2, 3)
    assert model.input_gradient(x[0], output[0]).shape == (2, 3)


def test_jacobian_is_that_of_small_differences(model):
    step = 1e-6
    differences = [
        (model.predict(X + step * e) - model.predict(X - step * e)) / (2 * step) for e in np.eye(3)
    ]
    np.testing.assert_allclose(model.jacobian(X), np.stack(differences, axis=-1), atol=1e-8)
    np.testing.assert_allclose(model.jacobian(X[3]), model.jacobian(X)[3], rtol=1e-12)


def test_input_gradient_is_dy_times_the_jacobian(model):
    dy = RNG.normal(size=(40, 2))
    expected = np.einsum("no,noi->ni", dy, model.jacobian(X))
    np.testing.assert_allclose(model.input_gradient(X, dy), expected, rtol=1e-10, atol=1e-12)


def test_they_are_what_compiled_code_computes(model):
    net, dy = model.network(), RNG.normal(size=(40, 2))
    dx, jac = np.empty_like(X), np.empty((40, 2, 3))
    fn.input_gradient(net, X, dy, dx)
    fn.jacobian(net, X, jac)
    assert np.array_equal(model.input_gradient(X, dy), dx)
    assert np.array_equal(model.jacobian(X), jac)


def test_categories_have_no_derivative():
    x = np.column_stack([np.arange(12) % 3, X[:12, 0]])
    model = fn.Model([fn.OneHot([0]), fn.Dense(1)], "mse", seed=0)
    model.fit(x, X[:12, 1], epochs=1)
    gradient = model.input_gradient(x, np.ones((12, 1)))
    assert (gradient[:, 0] == 0).all() and np.allclose(gradient[:, 1], model.layers[1].weights[-1])


def test_while_another_thread_trains(model):
    done = threading.Event()

    def train():
        while not done.is_set():
            model.fit(X, (X[:, 0] > 0).astype(int), epochs=20)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        for _ in range(50):
            assert np.isfinite(model.jacobian(X)).all() and np.isfinite(model.outputs(X, [2])[0]).all()
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: m.outputs(X, ["1.body.7"]),
            "one of 0, 1, 1.body, 1.body.0, .* got '1.body.7'; did you mean",
        ),
        (lambda m: m.outputs(X, [5]), "number, the path or the object of a layer .* got 5"),
        (lambda m: m.outputs(X, [True]), "got True"),
        (lambda m: m.outputs(X, [fn.Dense(3)]), "got Dense"),
        (lambda m: m.outputs(X[:, :2]), "must have 3 columns"),
        (lambda m: m.jacobian(np.full((2, 3), np.nan)), "finite"),
        (
            lambda m: m.input_gradient(X, np.ones((40, 3))),
            r"dy must have shape \(40, 2\), .* got shape \(40, 3\)",
        ),
        (lambda m: m.input_gradient(X, np.full((40, 2), np.inf)), "dy must be finite"),
        (lambda m: m.input_gradient(X[0], np.ones((1, 2))), "dy must have 1 dimensions"),
    ],
)
def test_bad_arguments_are_refused(call, message, model):
    with pytest.raises(ValueError, match=message):
        call(model)


def test_a_model_that_is_not_built_is_refused():
    with pytest.raises(ValueError, match="not built"):
        fn.Model([fn.Dense(2)]).jacobian(X)
