"""Model outside of training: building, layers, weights, prediction, and how it looks."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
from tests.helpers import reference
from tests.helpers.networks import inputs
from tests.helpers.tolerances import PRODUCT

RNG = np.random.default_rng(0)
N, N_IN, N_OUT = 33, 5, 3
X = RNG.normal(size=(N, N_IN))
Y = X[:, :N_OUT] ** 2
SETTINGS = {"leaky_relu": {"negative_slope": 0.3}, "elu": {"alpha": 0.7}}


def network(loss=None, last=None, dtype="float64", **options):
    layers = [fn.Dense(7, "tanh"), fn.Dropout(0.5), fn.Dense(N_OUT, last)]
    return fn.Model(layers, loss=loss, dtype=dtype, seed=1, **options)


def forward(model, x):
    return inputs(model, x)[-1]


def flat(layers):
    return np.concatenate([part for layer in layers for part in (layer.weights.ravel(), layer.bias)])


# --- building


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model.build(N_IN),
        lambda model: model(X),
        lambda model: model.predict(X[0]),
        lambda model: model.evaluate(X, Y),
        lambda model: model.loss_and_gradient(X, Y),
        lambda model: model.fit(X, Y, epochs=0),
    ],
    ids=["build", "call", "predict", "evaluate", "loss_and_gradient", "fit"],
)
def test_model_is_built_on_first_use(use):
    model = network("mse")
    assert (model.n_in, model.n_out) == (None, None)
    use(model)
    assert (model.n_in, model.n_out) == (N_IN, N_OUT)
    first, _, last = model.layers
    assert (first.weights.shape, first.bias.shape) == ((N_IN, 7), (7,))
    assert (last.weights.shape, last.bias.shape) == ((7, N_OUT), (N_OUT,))
    assert np.array_equal(model.parameters, network().build(N_IN).parameters)
    assert not first.bias.any()


def test_building_again_changes_nothing():
    model = network().build(N_IN)
    before = model.parameters.copy()
    assert model.build(N_IN) is model
    assert np.array_equal(model.parameters, before)


def test_seeds_decide_the_weights():
    def parameters(seed):
        return fn.Model([fn.Dense(4)], seed=seed).build(3).parameters

    assert np.array_equal(parameters(7), parameters(7))
    assert not np.array_equal(parameters(7), parameters(8))
    assert not np.array_equal(parameters(None), parameters(None))


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32, float, np.dtype("f8")])
def test_dtype(dtype):
    model = fn.Model([fn.Dense(2)], dtype=dtype)
    assert model.predict(X).dtype == model.parameters.dtype == np.dtype(dtype)


# --- layers and their weights


def test_layers_work_alone_and_take_their_weights_along():
    hidden, last = fn.Dense(7, "tanh"), fn.Dense(N_OUT, bias_initializer="lecun_normal")
    alone = last(hidden(X))
    assert (alone.shape, alone.dtype) == ((N, N_OUT), np.float32)
    weights, bias = last.weights.copy(), last.bias.copy()
    model = fn.Model([hidden, fn.Dropout(0.5), last]).build(N_IN)
    assert np.array_equal(last.weights, weights) and np.array_equal(last.bias, bias)
    assert np.array_equal(model.predict(X), alone)
    assert np.array_equal(last(hidden(X)), alone)
    model.parameters[...] = 0
    assert not last(hidden(X[0])).any()


@pytest.mark.parametrize("layer", [fn.Activation("relu"), fn.Dropout(0.5), fn.Dense(2)], ids=repr)
def test_a_layer_alone_takes_lists_and_single_samples(layer):
    rows = layer([[-5, 10], [15, -10]])
    assert (rows.shape, rows.dtype) == ((2, 2), np.float32)
    assert np.array_equal(layer([15, -10]), rows[1])


def test_weights_are_live_views_in_the_order_of_the_vector():
    model = network().build(N_IN)
    first, _, last = model.layers
    assert np.array_equal(model.parameters, flat([first, last]))
    for view in (first.weights, first.bias, last.weights, last.bias):
        assert np.shares_memory(view, model.parameters)
    first.weights = np.arange(35).reshape(5, 7)
    last.bias = [1, 2, 3]
    last.weights *= 2
    first.bias[3] = 9
    assert np.array_equal(model.parameters, flat([first, last]))
    assert model.parameters[34] == 34 and model.parameters[38] == 9 and model.parameters[-1] == 3
    assert_allclose(model.predict(X), forward(model, X), **PRODUCT["float64"])
    model.parameters[...] = 0
    assert not first.weights.any() and not model.predict(X).any()


@pytest.mark.parametrize("name", reference.ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_by_name_and_with_settings(name, dtype):
    settings = SETTINGS.get(name, {})
    layers = [fn.Dense(4, name), fn.Activation(getattr(fn.activations, name)(**settings)), fn.Dense(2, name)]
    model = fn.Model(layers, dtype=dtype, seed=0).build(N_IN)
    assert_allclose(model.predict(X), forward(model, X), **PRODUCT[dtype])


LIMITS = {"glorot": 6 / 500, "he": 6 / 300, "lecun": 3 / 300}  # square of the uniform one, for (300, 200)


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("as_name", [True, False])
def test_initializers_scaled_by_size(kind, as_name):
    limit = np.sqrt(LIMITS[kind])
    for distribution in ("uniform", "normal"):
        name = f"{kind}_{distribution}"
        given = name if as_name else getattr(fn.initializers, name)()
        layer = fn.Dense(200, kernel_initializer=given)
        fn.Model([layer], dtype="float64", seed=0).build(300)
        assert_allclose(layer.weights.std(), limit / np.sqrt(3), rtol=0.02)
        assert abs(layer.weights.mean()) < limit / 50
        assert (abs(layer.weights).max() <= limit) == (distribution == "uniform")


@pytest.mark.parametrize(
    ("initializer", "fits"),
    [
        ("zeros", lambda w: not w.any()),
        (fn.initializers.constant(0.5), lambda w: (w == 0.5).all()),
        ("normal", lambda w: abs(w.std() - 0.05) < 0.002),
        (fn.initializers.normal(std=2.0), lambda w: abs(w.std() - 2) < 0.1),
        ("uniform", lambda w: 0.049 < abs(w).max() <= 0.05),
        (fn.initializers.uniform(1, 3), lambda w: 1 <= w.min() < 1.1 and 2.9 < w.max() <= 3),
        ("orthogonal", lambda w: np.allclose(w.T @ w, np.eye(40))),
        (fn.initializers.orthogonal(gain=3.0), lambda w: np.allclose(w.T @ w, 9 * np.eye(40))),
    ],
)
def test_initializers(initializer, fits):
    layer = fn.Dense(40, kernel_initializer=initializer, bias_initializer=fn.initializers.constant(7))
    fn.Model([layer], dtype="float64", seed=0).build(60)
    assert fits(layer.weights)
    assert (layer.bias == 7).all()


# --- prediction


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, 2, 7, 1023, 1025])
def test_a_row_does_not_depend_on_its_neighbours(rows, dtype):
    model = network(dtype=dtype)
    x = np.random.default_rng(2).normal(size=(rows, N_IN))
    whole = model.predict(x)
    assert whole.dtype == dtype
    assert_allclose(whole, forward(model, x), **PRODUCT[dtype])
    assert np.array_equal(model(x), whole)
    for i in {0, rows // 2, rows - 1}:
        assert np.array_equal(model.predict(x[i : i + 1])[0], whole[i])
        assert np.array_equal(model.predict(x[i]), whole[i])
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(model.predict, [x] * 8):
            assert np.array_equal(result, whole)


# --- what it is called and how it looks


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adagrad", "Adam", "AdamW"])
def test_optimizers_by_name(name):
    kind = getattr(fn, name)
    for given in (name, name.lower(), kind(), {"name": name}):
        model = fn.Model([fn.Dense(1)], optimizer=given)
        assert type(model.optimizer) is kind and model.optimizer == kind()
    model.optimizer = kind(0.5)
    assert model.optimizer.learning_rate == 0.5


def test_representations():
    layers = [fn.Dense(10, "relu"), fn.Dense(3), fn.Activation("tanh"), fn.Dropout(0.25)]
    text = "[Dense(10, 'relu'), Dense(3), Activation('tanh'), Dropout(0.25)]"
    assert repr(layers) == text
    assert repr(fn.Model(layers, loss="mse")) == f"Model({text}, loss='mse')"
    assert repr(fn.SGD(0.5)).startswith("SGD(learning_rate=0.5, momentum=0.0")


def test_summary(capsys):
    model = fn.Model([fn.Dense(128, "relu"), fn.Dropout(0.2), fn.Dense(10)])
    model.summary()
    assert capsys.readouterr().out.splitlines() == [
        "layer               output shape  parameters  mult-adds",
        "-------------------------------------------------------",
        "Dense(128, 'relu')  (n, ?)                 ?          ?",
        "Dropout(0.2)        (n, ?)                 ?          ?",
        "Dense(10)           (n, ?)                 ?          ?",
        "-------------------------------------------------------",
        "not built yet: build(n_in) or fit makes the parameters, float32",
    ]
    model.build(784).summary()
    assert capsys.readouterr().out.splitlines()[2:-3] == [
        "Dense(128, 'relu')  (n, 128)         100,480    100,352",
        "Dropout(0.2)        (n, 128)               0          0",
        "Dense(10)           (n, 10)            1,290      1,280",
        "-------------------------------------------------------",
        "Total parameters: 101,770 (397.54 KB), float32",
        "Trainable parameters: 101,770 (397.54 KB)",
        "Non-trainable parameters: 0 (0 bytes)",
        "Total mult-adds of a sample: 101,632",
    ]


def test_the_memory_of_a_model_is_free_at_once():
    model = fn.Model([fn.Dense(4, "tanh"), fn.Dense(1)], loss="mse", seed=0)
    X, y = fn.datasets.xor()
    model.fit(X, y, epochs=2)
    model.predict(X)
    model.evaluate(X, y)
    gone, layer = weakref.ref(model), model.layers[0]
    weights = layer.weights.copy()
    gc.disable()
    try:
        del model
        assert gone() is None
    finally:
        gc.enable()
    # What is left of it is a layer with weights, which may become part of another.
    assert np.array_equal(fn.Model([layer, fn.Dense(2)]).build(2).layers[0].weights, weights)
