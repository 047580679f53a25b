"""Batch normalization while it trains: moments of the batch, and moving averages of them."""

import copy
import itertools
import pickle

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose

import fastnn as fn
from tests.helpers.reference import central_difference

RNG = np.random.default_rng(0)
X, Y = RNG.normal(3, 2, size=(70, 5)), RNG.normal(size=(70, 2))


def normalized(x, p, i, moments=None, epsilon=1e-3):
    """Layer i in plain NumPy, by the moments of the batch or by given ones; and these."""
    axes = tuple(range(x.ndim - 1))
    mean, variance = (x.mean(axis=axes), x.var(axis=axes)) if moments is None else moments
    y = (x - mean) / np.sqrt(variance + epsilon)
    return y * p.get(f"{i}.gamma", 1) + p.get(f"{i}.beta", 0), (mean, variance)


class Reference:
    """Training by `SGD` of a model that ends with `Dense(2)`, in plain NumPy, with central differences."""

    def __init__(self, model, forward):
        self.model, self.forward = model, forward
        self.parameters = model.parameters.copy()
        self.moving = model.state.statistics.copy()

    def named(self, parameters):
        places = self.model.executor.graph.parameters
        return {p.key: parameters[p.offset : p.offset + p.size].reshape(p.shape) for p in places}

    def loss(self, parameters, x, y):
        output, _ = self.forward(x, self.named(parameters))
        return np.mean((output - y) ** 2)

    def step(self, x, y, rate, momentum=0.99):
        gradient = central_difference(lambda p: self.loss(p, x, y), self.parameters)
        _, moments = self.forward(x, self.named(self.parameters))
        self.parameters = self.parameters - rate * gradient
        self.moving = momentum * self.moving + (1 - momentum) * np.concatenate([np.ravel(m) for m in moments])


def hidden(x, p):
    z, moments = normalized(x @ p["0.weights"], p, 1)
    return np.tanh(z) @ p["3.weights"] + p["3.bias"], moments


def first(x, p):
    z, moments = normalized(x, p, 0)
    return z @ p["1.weights"] + p["1.bias"], moments


def after_dense(**options):
    layers = [
        fn.Dense(6, use_bias=False),
        fn.BatchNormalization(**options),
        fn.Activation("tanh"),
        fn.Dense(2),
    ]
    return fn.Model(layers, "mse", fn.SGD(0.1), dtype="float64", seed=0).build(5)


MODELS = {
    "behind a dense layer": (after_dense, hidden),
    "without parameters": (lambda: after_dense(center=False, scale=False), hidden),
    "with gamma": (lambda: after_dense(center=False), hidden),
    "with beta": (lambda: after_dense(scale=False), hidden),
    "first": (
        lambda: fn.Model(
            [fn.BatchNormalization(), fn.Dense(2)], "mse", fn.SGD(0.1), dtype="float64", seed=0
        ).build(5),
        first,
    ),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("batch_size", [70, 69])
def test_steps_are_those_of_the_formula(name, batch_size):
    """The last batch is short: of one row where 69 are a batch."""
    make, forward = MODELS[name]
    model = make()
    reference = Reference(model, forward)
    for _ in range(3):
        model.fit(X, Y, batch_size=batch_size, shuffle=False, verbose=0)
        for start in range(0, 70, batch_size):
            reference.step(X[start : start + batch_size], Y[start : start + batch_size], 0.1)
        assert_allclose(model.parameters, reference.parameters, rtol=1e-6, atol=1e-8)
        assert_allclose(model.state.statistics, reference.moving, rtol=1e-6)


def test_channels_are_normalized_over_all_other_axes():
    layers = [
        fn.Reshape((5, 1)),
        fn.Concatenate([None, None, None]),
        fn.BatchNormalization(0.5),
        fn.Flatten(),
    ]
    model = fn.Model([*layers, fn.Dense(2)], "mse", fn.SGD(0.1), dtype="float64", seed=0).build(5)

    def forward(x, p):
        z, moments = normalized(x.reshape(-1, 5, 1) * np.ones(3), p, 2)
        return z.reshape(len(x), 15) @ p["4.weights"] + p["4.bias"], moments

    reference = Reference(model, forward)
    for _ in range(2):
        model.partial_fit(X, Y)
        reference.step(X, Y, 0.1, 0.5)
    assert_allclose(model.parameters, reference.parameters, rtol=1e-6, atol=1e-8)
    assert_allclose(model.state.statistics, reference.moving, rtol=1e-6)


def test_large_means_do_not_spoil_the_variance():
    """In float32, of numbers whose squares would cancel."""
    model = fn.Model([fn.BatchNormalization(0.0), fn.Dense(1)], "mse", fn.SGD(0.0), seed=0).build(3)
    x = RNG.normal([0, 1e4, -3e5], [1, 1, 4], size=(3000, 3)).astype("float32")
    model.partial_fit(x, np.zeros((3000, 1)))
    layer = model.layers[0]
    assert_allclose(layer.moving_mean, x.mean(axis=0, dtype="float64"), rtol=1e-6, atol=1e-6)
    assert_allclose(layer.moving_variance, x.var(axis=0, dtype="float64"), rtol=1e-4)


def test_moments_of_parts_that_differ():
    """Of a sorted batch, whose parts have other means."""
    layers = [fn.BatchNormalization(0.0), fn.Dense(256), fn.Dense(1)]
    model = fn.Model(layers, "mse", fn.SGD(0.0), dtype="float64", seed=0).build(3)
    x = np.sort(RNG.normal([0, 5, 1], [1, 2, 3], size=(3000, 3)), axis=0)
    model.partial_fit(x, np.zeros((3000, 1)))
    assert_allclose(model.layers[0].moving_mean, x.mean(axis=0), rtol=1e-12, atol=1e-14)
    assert_allclose(model.layers[0].moving_variance, x.var(axis=0), rtol=1e-12)


def wide(dtype="float32"):
    layers = [fn.Dense(48), fn.BatchNormalization(0.8), fn.Activation("relu"), fn.Dense(40, use_bias=False)]
    layers += [fn.BatchNormalization(scale=False), fn.Activation("gelu"), fn.Dense(2)]
    return fn.Model(layers, "mse", fn.Adam(0.01), dtype=dtype, seed=0).build(5)


LONG = RNG.normal(size=(2600, 5)), RNG.normal(size=(2600, 2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [190, 2300])
def test_the_same_bits_at_any_number_of_threads(dtype, batch_size):
    found = []
    for threads in (1, 2, 3, 5):
        model = wide(dtype)
        history = model.fit(*LONG, epochs=2, batch_size=batch_size, threads=threads, verbose=0).history
        found.append((history, model.state.weights().tobytes()))
    assert found[1:] == found[:1] * 3


@pytest.mark.slow
def test_compiled_code_trains_and_predicts_by_the_same_numbers():
    model, other = wide(), wide()
    x, y = X.astype("float32"), Y.astype("float32")
    net, state = other.network(len(x)), other.optimizer_state()

    @njit
    def train(net, state, x, y, out):
        for _ in range(3):
            fn.train_step(net, state, x, y)
        fn.forward(net, x, out)

    out = np.empty((70, 2), np.float32)
    train(net, state, x, y, out)
    for _ in range(3):
        model.partial_fit(x, y)
    assert model.state.weights().tobytes() == other.state.weights().tobytes()
    assert out.tobytes() == model.predict(x).tobytes()
    assert fn.train_step_checked(net, state, x, y) == fn.Status.OK


def test_a_frozen_layer_is_that_of_prediction():
    """No moments of the batch, no moving averages, and a gradient as that of an affine layer."""
    model, reference = after_dense(), after_dense()
    for each in (model, reference):
        each.fit(X, Y, epochs=3, verbose=0)
    model.layers[1].trainable = False
    before = model.state.statistics.copy()

    gradient = reference.loss_and_gradient(X, Y)[1]
    places = {p.key: slice(p.offset, p.offset + p.size) for p in model.executor.graph.parameters}
    for name in ("1.gamma", "1.beta"):
        gradient[places[name]] = 0
    expected = model.parameters - 0.1 * gradient
    model.partial_fit(X, Y)
    assert_allclose(model.parameters, expected, rtol=1e-12)
    assert np.array_equal(model.state.statistics, before)

    x, y = X[:9], Y[:9]
    net, state = model.network(9), model.optimizer_state()
    fn.train_step(net, state, x, y)
    assert np.array_equal(model.state.statistics, before)
    model.layers[1].trainable = True
    fn.train_step(net, model.optimizer_state(), x, y)
    assert not np.equal(model.state.statistics, before).any()


def test_one_of_two_layers_is_frozen_while_training():
    model = wide()
    parts = [layer for layer in model.layers if isinstance(layer, fn.BatchNormalization)]
    parts[1].trainable = False
    seen = []

    def freeze(epoch, logs):
        seen.append([layer.moving_mean.copy() for layer in parts])
        if epoch == 1:
            parts[0].trainable, parts[1].trainable = False, True

    model.fit(X, Y, epochs=4, callbacks=[freeze], verbose=0)
    changes = [[not np.array_equal(two[0][k], two[1][k]) for k in (0, 1)] for two in itertools.pairwise(seen)]
    assert changes == [[True, False], [False, True], [False, True]]


def test_a_step_that_diverges_leaves_the_moving_moments():
    model = wide()
    model.fit(X, Y, epochs=2, verbose=0)
    before = model.state.weights()
    with pytest.raises(fn.DivergenceError):
        model.partial_fit(X, np.full((70, 2), 1e38))
    assert model.state.weights().tobytes() == before.tobytes()


def test_moving_moments_that_become_infinite_are_restored():
    model = wide()
    model.fit(X, Y, epochs=2, verbose=0)
    before = model.state.weights()
    with pytest.raises(fn.DivergenceError):
        model.partial_fit(np.where(X > 3, 3e38, -3e38), Y)
    assert model.state.weights().tobytes() == before.tobytes()


def test_early_stopping_restores_them():
    model = wide()
    seen = []

    def note(epoch, logs):
        seen.append((logs["val_loss"], model.state.weights()))

    stop = fn.EarlyStopping(patience=3, restore_best_weights=True)
    model.fit(X, Y, epochs=60, validation_data=LONG, callbacks=[note, stop], verbose=0)
    best = min(range(len(seen)), key=lambda i: seen[i][0])
    assert best < len(seen) - 1
    assert model.state.weights().tobytes() == seen[best][1].tobytes()


def test_they_are_in_files_pickles_and_copies(tmp_path):
    body = [fn.Dense(5), fn.BatchNormalization()]
    model = fn.Model([fn.BatchNormalization(), fn.Residual(body), fn.Dense(2)], "mse", seed=0)
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "model")
    with fn.io.tensor_files.open_tensors(str(tmp_path / "model")) as file:
        names = set(file.keys())
    assert {"0.moving_mean", "0.moving_variance", "1.body.1.moving_mean"} <= names
    for again in (fn.load(tmp_path / "model"), pickle.loads(pickle.dumps(model)), copy.copy(model)):
        assert again.state.weights().tobytes() == model.state.weights().tobytes()
        assert again.layers[1].body.layers[1].moving_mean.tobytes() == body[1].moving_mean.tobytes()
        again.partial_fit(X, Y)
        assert not np.array_equal(again.state.statistics, model.state.statistics)
    alone = copy.copy(body[1])
    assert np.array_equal(alone(X), body[1](X))
    assert alone(X).shape == (70, 5)


def test_hidden_outputs_and_derivatives_are_by_the_moving_moments():
    model = wide("float64")
    model.fit(X, Y, epochs=2, verbose=0)
    layer = model.layers[1]
    expected, _ = normalized(
        X @ model.layers[0].weights + model.layers[0].bias,
        {"1.gamma": layer.gamma, "1.beta": layer.beta},
        1,
        (layer.moving_mean, layer.moving_variance),
    )
    assert_allclose(model.outputs(X, layers=[1])[0], expected, rtol=1e-10, atol=1e-12)
    dy = RNG.normal(size=(70, 2))
    dx = central_difference(lambda x: np.sum(dy * model.predict(x)), X)
    assert_allclose(model.input_gradient(X, dy), dx, rtol=1e-5, atol=1e-8)


def test_many_models_and_their_ensemble():
    models = [wide(), wide()]
    fn.fit_many(models, X, Y, epochs=2, verbose=0)
    alone = wide()
    alone.fit(X, Y, epochs=2, verbose=0)
    assert models[0].state.weights().tobytes() == alone.state.weights().tobytes()
    mean = (models[0].predict(X) + models[1].predict(X)) / 2
    assert_allclose(fn.Ensemble(models).predict(X), mean, rtol=1e-6)


def test_the_summary_counts_them(capsys):
    fn.Model([fn.Dense(4), fn.BatchNormalization(), fn.Dense(1)], seed=0).build(3).summary()
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].split() == ["BatchNormalization()", "(n,", "4)", "16", "0"]
    assert "Total parameters: 37 (148 bytes), float32" in lines
    assert "Non-trainable parameters: 8 (32 bytes): 8 running statistics" in lines


def test_negative_variances_of_a_file_are_refused(tmp_path):
    model = fn.Model([fn.Residual([fn.BatchNormalization()])], seed=0).build(2)
    state = model.to_torch_state(as_numpy=True) | {"0.body.0.running_var": np.array([1, -2.0])}
    with pytest.raises(ValueError, match="'0.body.0.running_var' must be >= 0, got -2"):
        fn.load_torch(state, model)
    model.state.statistics[3] = -2
    model.save(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="0.body.0.moving_variance must be >= 0, got -2"):
        fn.load(tmp_path / "model.safetensors")


def test_moving_moments_are_assigned_to():
    model = fn.Model([fn.BatchNormalization()], seed=0).build(2)
    model.layers[0].moving_mean = [1, 2]
    model.layers[0].moving_variance = [4, 1]
    assert_allclose(model.predict([[3, 2]]), [[2 / np.sqrt(4.001), 0]])
    with pytest.raises(ValueError, match=r"moving_mean must have shape \(2,\), got \(3,\)"):
        model.layers[0].moving_mean = [1, 2, 3]
    with pytest.raises(ValueError, match="moving_variance must be >= 0, got -1"):
        model.layers[0].moving_variance = [1, -1]
    assert model.layers[0].moving_variance.tolist() == [4, 1]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"momentum": 1.5}, "momentum must be >= 0 and <= 1, got 1.5"),
        ({"epsilon": 0}, "epsilon must be > 0, got 0"),
        ({"center": 1}, "center must be True or False, got 1"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fn.BatchNormalization(**settings)
    with pytest.raises(ValueError, match="has no beta: it was made with center=False"):
        fn.BatchNormalization(center=False).beta  # noqa: B018


def test_it_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    layer = torch.nn.BatchNorm1d(5, eps=1e-3, momentum=0.01).double()
    model = fn.Model([fn.BatchNormalization()], "mse", fn.SGD(0.1), dtype="float64").build(5)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    target = RNG.normal(size=(70, 5))
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(layer(torch.tensor(X)), torch.tensor(target)).backward()
        optimizer.step()
        model.partial_fit(X, target)
    assert_allclose(model.layers[0].gamma, layer.weight.detach(), rtol=1e-10)
    assert_allclose(model.layers[0].beta, layer.bias.detach(), rtol=1e-10, atol=1e-12)
    assert_allclose(model.layers[0].moving_mean, layer.running_mean, rtol=1e-10)


def test_synchronized_changes_nothing_in_one_process(tmp_path):
    """It is shown, saved, and seen by `fit(comm=)` only: `tests/distributed` has what it does there."""
    models = [after_dense(synchronized=synchronized) for synchronized in (False, True)]
    for model in models:
        model.fit(X, Y, epochs=2, batch_size=23, verbose=0)
    assert np.array_equal(models[0].parameters, models[1].parameters)
    assert np.array_equal(models[0].state.statistics, models[1].state.statistics)
    models[1].save(tmp_path / "model.safetensors")
    layer = fn.load(tmp_path / "model.safetensors").layers[1]
    assert layer.synchronized and repr(layer) == "BatchNormalization(synchronized=True)"
    with pytest.raises(TypeError, match="synchronized must be True or False, got 1.5"):
        fn.BatchNormalization(synchronized=1.5)
