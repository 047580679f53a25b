"""Every gradient against central differences, and against the same network in plain NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import fastnn as fn
from fastnn.compiler import loader
from fastnn.kernels.abi import oprow
from tests.helpers.networks import (
    ACTIVATION_CASES,
    ACTIVATION_IDS,
    STACKS,
    activation,
    draw_point,
    inputs,
    plain_loss_and_gradient,
)
from tests.helpers.random_stacks import LAYERS
from tests.helpers.reference import central_difference
from tests.helpers.rows import op_rows
from tests.helpers.tolerances import CENTRAL_DIFFERENCE, PRODUCT

SIZES = [1, 2, 3, 7, 15, 17, 33]
ROWS = [1, 2, 3, 7, 17, 33]


def model_of(layers, loss="mse", dtype="float64", **options):
    return fn.Model(layers, loss=loss, dtype=dtype, seed=0, **options)


def assert_central_difference(model, X, y, sample_weight=None, gradient=None):
    """Compare the model's gradient, or the given one, with differences of the model's own loss."""
    start = model.parameters.copy()
    loss, own = model.loss_and_gradient(X, y, sample_weight)

    def loss_at(parameters):
        model.parameters[...] = parameters
        return model.loss_and_gradient(X, y, sample_weight)[0]

    expected = central_difference(loss_at, start)
    model.parameters[...] = start
    tolerance = CENTRAL_DIFFERENCE["float64"]
    # The rounding of a difference grows with the numbers that are subtracted.
    atol = tolerance["atol"] * max(1.0, abs(loss))
    assert_allclose(own if gradient is None else gradient, expected, rtol=tolerance["rtol"], atol=atol)


def assert_plain(model, X, y, sample_weight=None):
    loss, gradient = model.loss_and_gradient(X, y, sample_weight)
    expected_loss, expected = plain_loss_and_gradient(model, X, y, sample_weight)
    tolerance = PRODUCT[model.dtype]
    scale = max(1.0, abs(expected_loss), np.abs(expected).max(initial=0.0))
    assert_allclose(loss, expected_loss, rtol=tolerance["rtol"], atol=tolerance["atol"] * scale)
    assert_allclose(gradient, expected, rtol=tolerance["rtol"], atol=tolerance["atol"] * scale)
    assert_allclose(
        model.predict(X), inputs(model, X)[-1], rtol=tolerance["rtol"], atol=tolerance["atol"] * scale
    )


@pytest.mark.filterwarnings("ignore:the last activation does not fit")
@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize("case", ACTIVATION_CASES, ids=ACTIVATION_IDS)
def test_activation(case, loss):
    """Between layers, at the output, and in both places, with another layer before it."""
    rng = np.random.default_rng(1)
    for layers in (
        [fn.Dense(7, activation(case)), fn.Dense(3)],
        [fn.Dense(5, activation(case))],
        [fn.Dense(3, "tanh"), fn.Dense(7, activation(case)), fn.Dense(3, activation(case))],
    ):
        model = model_of(layers, loss)
        X, y = draw_point(model, 3, 5, rng)
        assert_plain(model, X, y)
        assert_central_difference(model, X, y)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("width", SIZES)
def test_sizes(rows, width):
    rng = np.random.default_rng(2)
    n_in = SIZES[(SIZES.index(width) + 3) % len(SIZES)]
    model = model_of([fn.Dense(width, "sigmoid"), fn.Dense(3, "softplus"), fn.Dense(width, use_bias=False)])
    X, y = draw_point(model, rows, n_in, rng)
    assert_plain(model, X, y)
    assert_central_difference(model, X, y)


CLASS_TARGETS = ["labels", "one_hot", "soft"]
LOSS_CASES = [
    ("mse", {}, "values"),
    ("sse", {}, "values"),
    ("mae", {}, "values"),
    ("huber", {"delta": 1.0}, "values"),
    ("huber", {"delta": 0.3}, "values"),
    ("quantile", {"q": 0.5}, "values"),
    ("quantile", {"q": 0.9}, "values"),
    ("poisson", {}, "values"),
    ("binary_cross_entropy", {}, "values"),
    *(("cross_entropy", {"label_smoothing": s}, kind) for s in (0.0, 0.2) for kind in CLASS_TARGETS),
    *(("nll", {}, kind) for kind in CLASS_TARGETS),
]


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("name, options, kind", LOSS_CASES)
def test_loss(name, options, kind, weighted):
    rng = np.random.default_rng(3)
    for rows, n_out in ((1, 2), (7, 3), (17, 15)):
        last = "log_softmax" if name == "nll" else None
        model = model_of([fn.Dense(4, "tanh"), fn.Dense(n_out, last)], getattr(fn.losses, name)(**options))
        X, y = draw_point(model, rows, 3, rng, kind)
        weight = rng.uniform(0.1, 3, rows) if weighted else None
        if weighted and rows > 1:
            weight[1] = 0.0
        assert_plain(model, X, y, weight)
        assert_central_difference(model, X, y, weight)


@pytest.mark.parametrize("loss", ["mse", "sse", "mae", "binary_cross_entropy", "poisson"])
def test_loss_of_one_output(loss):
    rng = np.random.default_rng(4)
    model = model_of([fn.Dense(5, "tanh"), fn.Dense(1)], loss)
    X, y = draw_point(model, 17, 3, rng)
    assert_central_difference(model, X, y)
    as_column = model.loss_and_gradient(X, y)
    as_vector = model.loss_and_gradient(X, y[:, 0])
    assert as_column[0] == as_vector[0]
    assert np.array_equal(as_column[1], as_vector[1])


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("l1, l2", [(0.1, 0.0), (0.0, 0.1), (0.05, 0.2)])
@pytest.mark.parametrize("penalised", [(0,), (1,), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("loss", ["mse", "sse"])
def test_penalty(l1, l2, penalised, use_bias, loss):
    rng = np.random.default_rng(5)
    factors = [{"l1": l1, "l2": l2} if i in penalised else {} for i in range(3)]
    layers = [fn.Dense(u, "tanh", use_bias, **f) for u, f in zip((7, 3, 2), factors, strict=True)]
    model = model_of(layers, loss)
    X, y = draw_point(model, 3, 5, rng)
    assert_plain(model, X, y, rng.uniform(0.5, 2, 3))
    assert_central_difference(model, X, y)


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("n_in, rows", [(5, 3), (33, 17)])
def test_stack(name, n_in, rows):
    rng = np.random.default_rng(6)
    model = model_of(STACKS[name]())
    X, y = draw_point(model, rows, n_in, rng)
    assert_plain(model, X, y)
    assert_central_difference(model, X, y)


def test_a_model_without_weights_has_an_empty_gradient():
    model = model_of([fn.Dropout(0.5), fn.Activation("sigmoid")])
    X, y = draw_point(model, 3, 5, np.random.default_rng(7))
    assert_plain(model, X, y)
    assert model.loss_and_gradient(X, y)[1].shape == (0,)


def masks_of(model):
    """Factors that the Dropout layers used in the last step of training, read from the workspace."""
    _, net = model.executor._networks["train"]
    rows = net.fields.batch_rows
    result = {}
    for index, layer in enumerate(model.layers):
        if isinstance(layer, fn.Dropout):
            ops = op_rows(net.ops)
            (op,) = ops[ops["stream"] == index + 1]
            start, width = op["scratch"], op["n_in"]
            result[layer] = net.workspace[start : start + rows * width].reshape(rows, width).copy()
    return result


def assert_training_step(model, X, y):
    """A step of gradient descent with rate 1 shows the gradient, the dropped numbers taken into account."""
    start = model.parameters.copy()
    model.partial_fit(X, y)
    step, masks = start - model.parameters, masks_of(model)
    model.parameters[...] = start
    for layer, mask in masks.items():
        assert np.isin(mask, [0.0, 1 / (1 - layer.rate)]).all()
    _, expected = plain_loss_and_gradient(model, X, y, masks=masks)
    tolerance = PRODUCT["float64"]
    scale = max(1.0, np.abs(start).max(initial=0.0), np.abs(expected).max(initial=0.0))
    assert_allclose(step, expected, rtol=tolerance["rtol"], atol=10 * tolerance["atol"] * scale)
    return masks


@pytest.mark.parametrize("name", [name for name in STACKS if "dropout" in name])
def test_gradient_while_dropout_drops(name):
    model = model_of(STACKS[name](), optimizer=fn.SGD(1.0))
    X, y = draw_point(model, 7, 5, np.random.default_rng(8))
    masks = assert_training_step(model, X, y)
    assert all(0 in mask and mask.any() for mask in masks.values())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    LAYERS, st.sampled_from(["mse", "sse", "huber"]), st.sampled_from(ROWS), st.sampled_from(SIZES), st.data()
)
def test_random_stacks(makers, loss, rows, n_in, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    model = model_of([make() for make in makers], loss, optimizer=fn.SGD(1.0))
    X, y = draw_point(model, rows, n_in, rng)
    assert_plain(model, X, y, rng.uniform(0.1, 2, rows))
    assert_training_step(model, X, y)


@pytest.mark.parametrize("name", STACKS)
def test_float32_agrees_with_float64(name):
    rng = np.random.default_rng(9)
    single, double = model_of(STACKS[name](), dtype="float32"), model_of(STACKS[name]())
    X, y = draw_point(double, 17, 7, rng)
    X, y = X.astype("float32"), y.astype("float32")
    single.build(7).parameters[...] = double.parameters
    double.parameters[...] = single.parameters
    (loss, gradient), (expected_loss, expected) = (m.loss_and_gradient(X, y) for m in (single, double))
    assert gradient.dtype == np.float32
    scale = max(1.0, np.abs(expected).max())
    tolerance = PRODUCT["float32"]
    assert_allclose(loss, expected_loss, **tolerance)
    assert_allclose(gradient, expected, rtol=tolerance["rtol"], atol=tolerance["atol"] * scale)


def a_small_model():
    layers = [fn.Dense(7, "tanh", l2=0.1), fn.Activation("sigmoid"), fn.Dense(3, "softmax")]
    model = model_of(layers)
    return model, *draw_point(model, 3, 5, np.random.default_rng(10))


def test_a_wrong_number_in_a_gradient_is_caught():
    model, X, y = a_small_model()
    _, gradient = model.loss_and_gradient(X, y)
    assert_central_difference(model, X, y, gradient=gradient)
    by_size = np.argsort(np.abs(gradient))
    for i in by_size[len(by_size) // 2 :]:
        wrong = gradient.copy()
        wrong[i] *= 1 + 1e-4
        with pytest.raises(AssertionError):
            assert_central_difference(model, X, y, gradient=wrong)


# What is written into a table of the network: kind of row, name of the table, row, field, kernel
WRONG_ROWS = {
    "tanh as sigmoid": (oprow.OP, "ops", 1, "backward_input", "layers.activation.sigmoid.backward_input"),
    "tanh as identity": (oprow.OP, "ops", 1, "backward_input", "layers.activation.identity.backward_input"),
    "tanh skipped": (oprow.OP, "ops", 1, "backward_input", None),
    "sigmoid as tanh": (oprow.OP, "ops", 2, "backward_input", "layers.activation.tanh.backward_input"),
    "softmax as log_softmax": (
        oprow.OP,
        "ops",
        4,
        "backward_input",
        "layers.softmax.log_softmax.backward_input",
    ),
    "loss huber": (oprow.LOSS, "extra", 0, "forward", "training.loss.huber.forward"),
    "no penalty in the gradient": (oprow.PENALTY, "extra", 1, "gradient", None),
}


@pytest.mark.parametrize("name", WRONG_ROWS)
def test_a_wrong_row_of_a_table_is_caught(name):
    kind, table, row, column, kernel = WRONG_ROWS[name]
    model, X, y = a_small_model()
    assert_plain(model, X, y)
    _, net = model.executor._networks["gradient"]
    getattr(net, table)[row].view(kind)[column] = loader.address(kernel, "float64") if kernel else 0
    with pytest.raises(AssertionError):
        assert_plain(model, X, y)
    if "loss" not in name:  # another loss with its own gradient is consistent in itself
        with pytest.raises(AssertionError):
            assert_central_difference(model, X, y)


@pytest.mark.parametrize("case", ACTIVATION_CASES, ids=ACTIVATION_IDS)
def test_the_gradient_of_another_activation_is_caught(case):
    other = "tanh" if case[0] != "tanh" else "identity"
    model = model_of([fn.Dense(7), fn.Activation(activation(case)), fn.Dense(3)])
    X, y = draw_point(model, 3, 5, np.random.default_rng(11))
    model.loss_and_gradient(X, y)
    _, net = model.executor._networks["gradient"]
    address = loader.address(f"layers.activation.{other}.backward_input", "float64")
    op_rows(net.ops)["backward_input"][1] = address
    with pytest.raises(AssertionError):
        assert_central_difference(model, X, y)
