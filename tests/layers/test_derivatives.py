"""Outputs together with their derivatives with respect to the input, and gradients of losses of these."""

import copy
import pickle

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose

import fastnn as fn
import fastnn.scipy
from fastnn.compiler import loader
from tests.helpers.check_layer import PROMISES, LayerCase, check_onnx

RNG = np.random.default_rng(0)
X = RNG.normal(size=(9, 3))
SMOOTH = ("tanh", "sigmoid", "softplus", "silu", "gelu", "gelu_tanh")
BENT = ("relu", fn.activations.leaky_relu(0.2))


def built(layers, *, first=(0, 2), second=(2,), n_in=3, dtype="float64", loss="mse"):
    model = fn.Model([*layers, fn.Derivatives(first, second)], loss, dtype=dtype, seed=0)
    if not all(layer.adapted for layer in layers):
        model.adapt(5 + 3 * RNG.normal(size=(40, n_in)))
    model.build(n_in)
    model.parameters[...] = np.random.default_rng(1).normal(0, 0.6, model.parameters.size)
    return model


def expected(model, x):
    """What the model predicts, by central differences of the outputs alone: values, first, second ones."""

    def outputs(x):
        if len(model.layers) == 1:
            return x
        return model.outputs(x, layers=[len(model.layers) - 2])[0].reshape(len(x), -1)

    layer, units = model.layers[-1], np.eye(x.shape[1])
    first = [(outputs(x + 1e-5 * units[i]) - outputs(x - 1e-5 * units[i])) / 2e-5 for i in layer.first]
    second = [
        (outputs(x + 1e-4 * units[i]) - 2 * outputs(x) + outputs(x - 1e-4 * units[i])) / 1e-8
        for i in layer.second
    ]
    return np.hstack([outputs(x), *first, *second])


def check(model, x=X):
    found = model.predict(x)
    assert_allclose(found, expected(model, x), rtol=1e-5, atol=3e-6)
    target = np.random.default_rng(2).normal(size=found.shape)
    assert fn.check_gradient(model, x, target) < 1e-6
    return found


@pytest.mark.parametrize("activation", SMOOTH)
def test_activations(activation):
    check(built([fn.Dense(5, activation), fn.Dense(4, activation, use_bias=False), fn.Dense(2)]))


@pytest.mark.parametrize("activation", BENT)
def test_activations_that_have_first_derivatives_only(activation):
    check(built([fn.Dense(5, activation), fn.Dense(2)], second=()))


LAYERS = {
    "none": [],
    "residual": [
        fn.Dense(4),
        fn.Residual([fn.Dense(4, "tanh"), fn.Dense(4)]),
        fn.Activation("tanh"),
        fn.Dense(1),
    ],
    "shortcut": [fn.Residual([fn.Dense(4, "tanh")], shortcut=fn.Dense(4)), fn.Dense(3, "sigmoid")],
    "branches": [
        fn.Concatenate([None, fn.Select([1, 0]), [fn.Dense(4, "silu")]]),
        fn.Add([fn.Dense(3, "tanh"), fn.Sequential([fn.Dense(3, "tanh")])]),
    ],
    "standardized": [fn.Standardize(), fn.Dense(4, "tanh"), fn.Dense(2)],
    "scaled": [fn.MinMax(-1, 1, columns=[0, 1]), fn.Dense(4, "tanh"), fn.Dense(2)],
    "of several axes": [
        fn.Dense(6, "tanh"),
        fn.Reshape((3, 2)),
        fn.Dense(4, "tanh"),
        fn.Select([2, 0]),
        fn.Dense(1),
    ],
    "ends in an activation": [fn.Dense(4), fn.Activation("identity"), fn.Activation("tanh")],
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    check(built(copy.deepcopy(LAYERS[name])))


def test_more_rows_than_are_computed_at_a_time():
    check(built([fn.Dense(7, "tanh"), fn.Dense(2)]), RNG.normal(size=(200, 3)))


def test_a_closed_form():
    layer = fn.Dense(1, "tanh")
    model = built([layer], first=[0, 1, 2], second=[2, 0])
    y, *d, yy2, yy0 = model.predict(X).T
    w, b = layer.weights[:, 0], layer.bias
    t = np.tanh(X @ w + b)
    assert_allclose(y, t, rtol=1e-13)
    assert_allclose(np.array(d), np.outer(w, 1 - t**2), rtol=1e-12)
    assert_allclose([yy2, yy0], np.outer(w[[2, 0]] ** 2, -2 * t * (1 - t**2)), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    "first, second", [([2, 0], [0]), ([0, 1, 2], []), ([1], [1]), (0, ()), ([2, 1, 0], [1, 2])]
)
def test_the_order_is_that_of_the_arguments(first, second):
    model = built([fn.Dense(4, "tanh"), fn.Dense(2)], first=first, second=second)
    check(model)
    again = built([fn.Dense(4, "tanh"), fn.Dense(2)], first=[0, 1, 2], second=[0, 1, 2])
    every = again.predict(X).reshape(len(X), 7, 2)
    columns = [0, *[1 + i for i in model.layers[-1].first], *[4 + i for i in model.layers[-1].second]]
    assert_allclose(model.predict(X), every[:, columns].reshape(len(X), -1), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["tanh", "gelu"])
def test_pytorch_agrees(name):
    torch = pytest.importorskip("torch")
    model = built([fn.Dense(8, name), fn.Dense(8, name), fn.Dense(1)])
    tensors = [torch.tensor(layer.weights) for layer in model.layers[:3]]
    biases = [torch.tensor(layer.bias) for layer in model.layers[:3]]
    for tensor in (*tensors, *biases):
        tensor.requires_grad_()
    x, act = torch.tensor(X, requires_grad=True), getattr(torch.nn.functional, name)
    y = x
    for i, (w, b) in enumerate(zip(tensors, biases, strict=True)):
        y = y @ w + b if i == 2 else act(y @ w + b)
    (d,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (dd,) = torch.autograd.grad(d[:, 2].sum(), x, create_graph=True)
    terms = torch.stack([y[:, 0], d[:, 0], d[:, 2], dd[:, 2]], 1)
    assert_allclose(model.predict(X), terms.detach().numpy(), rtol=1e-10, atol=1e-12)
    dy = RNG.normal(size=(len(X), 4))
    (terms * torch.tensor(dy)).sum().backward()
    found = model.backward(X, dy)
    gradients = [each.grad.numpy().ravel() for pair in zip(tensors, biases, strict=True) for each in pair]
    assert_allclose(found, np.concatenate(gradients), rtol=1e-9, atol=1e-10)


# --- what is promised of any model


class Case(LayerCase):
    """`Derivatives` behind other layers, for the checks of what is promised."""

    def __init__(self):
        super().__init__(lambda: fn.Derivatives([1, 0], [0]), (3,), None, first=True)

    def layers(self):
        return [fn.Dense(40, "tanh"), fn.Residual([fn.Dense(40, "gelu")]), fn.Dense(2), self.layer()]

    def alone(self, dtype, **options):
        return self.build(self.layers(), dtype, **options)

    def network(self, dtype, **options):
        return self.build([*self.layers(), fn.Dense(3)], dtype, **options)


@pytest.mark.slow
@pytest.mark.parametrize("promise", [check for check in PROMISES if check is not check_onnx])
def test_promises(promise):
    promise(Case())


def test_the_same_bits_at_any_number_of_threads():
    x, y = RNG.normal(size=(300, 3)), RNG.normal(size=(300, 8))
    found = []
    for threads in (1, 2):
        model = built([fn.Dense(30, "tanh"), fn.Dense(30, "tanh"), fn.Dense(2)])
        model.fit(x, y, epochs=2, batch_size=128, threads=threads)
        found.append(model.parameters.tobytes())
    assert found[0] == found[1]


def test_parts_of_a_long_batch_take_turns_at_the_memory():
    """The same bits as with memory for all of them, by any number of threads; order and weights are kept."""
    x, y = RNG.normal(size=(3000, 3)), RNG.normal(size=(3000, 8))
    weight = RNG.uniform(0.5, 2, 3000)
    found = []
    for reuses, threads in ((0, 1), (1, 1), (1, 2), (1, 3)):
        model = built([fn.Dense(20, "tanh"), fn.Dense(2)])
        net = model.executor.network("train", 2900)
        assert (net.fields.reuses_rows, net.fields.part_gradients) == (1, 1)
        net.fields.reuses_rows = reuses
        history = model.fit(x, y, epochs=2, batch_size=2900, sample_weight=weight, threads=threads).history
        assert model.executor.network("train", 2900) is net
        found.append((history, model.parameters.tobytes()))
    assert found[1:] == found[:1] * 3


def test_a_new_architecture_compiles_nothing():
    y = np.zeros((9, 4))
    built([fn.Dense(4, "tanh"), fn.Dense(1)]).fit(X, y)
    model = built([fn.Dense(9, "tanh"), fn.Dense(5, "tanh"), fn.Dense(1)], first=[1], second=[1])
    compiled = loader.compilations
    model.fit(X, y[:, :3])
    model.predict(X)
    assert loader.compilations == compiled


def test_copies_and_files(tmp_path):
    model = built([fn.Dense(4, "tanh"), fn.Dense(1)], first=[2, 0], second=[0])
    model.save(tmp_path / "model")
    for again in (fn.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert repr(again.layers[-1]) == "Derivatives(first=[2, 0], second=[0])"
        assert np.array_equal(again.predict(X), model.predict(X))


def test_in_compiled_code():
    model = built([fn.Dense(4, "tanh"), fn.Dense(1)])
    net, state = model.network(max_batch=9), model.optimizer_state()
    out, trained, dy = np.empty((9, 4)), np.empty((9, 4)), RNG.normal(size=(9, 4))

    @njit
    def forward_and_back(net, state, x, out, trained, dy):
        fn.forward(net, x, out)
        fn.forward_train(net, state, x, trained)
        fn.backward(net, x, dy)

    forward_and_back(net, state, X, out, trained, dy)
    assert np.array_equal(out, model.predict(X))
    assert np.array_equal(trained, out)
    assert np.array_equal(net.gradient, model.backward(X, dy))


# --- losses of derivatives


def test_a_loss_of_slopes_learns_the_function():
    x = np.linspace(-1, 1, 40)[:, np.newaxis]
    y = np.hstack([np.sin(2 * x), 2 * np.cos(2 * x)])
    y[1:, 0] = np.nan  # of the values one is known, and the slopes
    layers = [fn.Dense(12, "tanh"), fn.Dense(1), fn.Derivatives(0)]
    model = fn.Model(layers, "mse", dtype="float64", seed=0)
    weight = np.ones_like(y)
    weight[np.isnan(y)] = 0
    fn.scipy.minimize(model, x, np.nan_to_num(y), sample_weight=weight, options={"maxiter": 300})
    assert np.abs(model.predict(x)[:, 0] - np.sin(2 * x[:, 0])).max() < 0.01


def test_a_differential_equation_of_a_user():
    """-y'' = y on (0, pi/2), y(0) = 0, y(pi/2) = 1: the sine."""

    def value(out, target):  # target: the value, and whether the point is on the boundary
        residual = out[2] + out[0]
        error = out[0] - target[0]
        return error * error if target[1] > 0 else residual * residual

    def derivative(out, target, dy):
        residual = 2 * (out[2] + out[0])
        inside = 1 - target[1]
        dy[0] = inside * residual + 2 * target[1] * (out[0] - target[0])
        dy[1] = 0
        dy[2] = inside * residual

    loss = fn.register_loss(value, derivative, "oscillator", rowwise=True, n_targets=2, replace=True)
    x = np.linspace(0, np.pi / 2, 30)[:, np.newaxis]
    y = np.zeros((30, 2))
    y[[0, -1]] = [[0, 1], [1, 1]]
    layers = [fn.Dense(10, "tanh"), fn.Dense(1), fn.Derivatives(0, 0)]
    model = fn.Model(layers, loss, dtype="float64", seed=0).build(1)
    assert fn.check_gradient(model, x, y) < 1e-6
    fn.scipy.minimize(model, x, y, options={"maxiter": 400})
    assert np.abs(model.predict(x)[:, 0] - np.sin(x[:, 0])).max() < 1e-3


# --- what is refused


def of_tanh(*layers):
    return [fn.Dense(4, "tanh"), *layers, fn.Derivatives([0], [0])]


REFUSED = {
    "none": (lambda: fn.Derivatives([]), ValueError, "first must name a column of X at least"),
    "text": (
        lambda: fn.Derivatives("0"),
        TypeError,
        "first must be an integer or a sequence of integers, got '0'",
    ),
    "half": (lambda: fn.Derivatives(0.5), TypeError, "first must be an integer or a sequence"),
    "negative": (lambda: fn.Derivatives(-1), ValueError, "a column of first must be >= 0, got -1"),
    "twice": (lambda: fn.Derivatives([1, 1]), ValueError, "the columns of first must differ from each other"),
    "second": (
        lambda: fn.Derivatives([0], [0, 2]),
        ValueError,
        r"second must be among first=\[0\], got 2; give first=\[0, 2\]",
    ),
    "nested": (
        lambda: fn.Sequential([fn.Dense(2), fn.Derivatives(0)]),
        ValueError,
        "must be one of the model's own layers, not in a container",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    make, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        make()


UNBUILT = {
    "column": (
        [fn.Dense(2, "tanh"), fn.Derivatives(3)],
        r"layer 1, Derivatives.*: column 3 is not among the 3",
    ),
    "relu": (
        of_tanh(fn.Residual([fn.Dense(4, "relu")])),
        r"second derivatives of 'relu', they are zero: layer 1.body.0, Dense\(4, 'relu'\); use one of tanh, ",
    ),
    "elu": (of_tanh(fn.Activation("elu")), r"cannot give derivatives through layer 1, Activation\('elu'\)"),
    "softmax": (
        of_tanh(fn.Dense(2, "softmax")),
        r"cannot give derivatives through layer 1, Dense\(2, 'softmax'\)",
    ),
    "normalization": (
        of_tanh(fn.LayerNormalization()),
        r"layer 2, Derivatives.* through layer 1, LayerNormalization\(\); it can .* fn.Dense, .* tanh, ",
    ),
    "dropout": (of_tanh(fn.Dropout(0.1)), r"through layer 1, Dropout"),
    "pooling": (
        of_tanh(fn.Reshape((4, 1)), fn.MaxPooling1D(), fn.Flatten()),
        r"through layer 2, MaxPooling1D",
    ),
    "itself": (of_tanh(fn.Derivatives([0])), r"through layer 1, Derivatives\(first=\[0\]\)"),
}


@pytest.mark.parametrize("name", UNBUILT)
def test_layers_that_have_no_derivatives(name):
    layers, message = UNBUILT[name]
    model = fn.Model(layers, "mse", seed=0)
    with pytest.raises(ValueError, match=message):
        model.build(3)
    assert model.input_shape is None


def test_samples_of_several_axes_are_refused():
    with pytest.raises(ValueError, match=r"for models of samples of one axis, not of shape \(3, 2\)"):
        fn.Model(of_tanh()).build((3, 2))


def test_a_user_defined_activation_is_refused():
    odd = fn.register_activation(lambda x: x * x * x, lambda x: 3 * x * x, "cubed_here", replace=True)
    with pytest.raises(ValueError, match="cannot give derivatives through layer 1, Dense"):
        fn.Model(of_tanh(fn.Dense(2, odd))).build(3)


def test_it_has_no_counterpart_in_onnx(tmp_path):
    model = built([fn.Dense(4, "tanh"), fn.Dense(1)])
    with pytest.raises(ValueError, match=r"Derivatives.*no counterpart in ONNX"):
        fn.onnx.export(model, tmp_path / "model.onnx")
