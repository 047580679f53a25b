"""Document 000, "How to build feedforward neural networks": layers used one by one, and a stack of them.

Its program has two slips, put right here: `Linear.__call__` reads `self.input` where it means `x`, and the
softmax divides by the sum over the whole array, so that the rows of a batch share one distribution. fastnn's
softmax makes each row a distribution of its own, as the document's text has it ("all the values in the output
sum to 1", for an input vector). For a batch of one row the two are the same, and so are the networks.

The figures printed there come from weights that were not recorded. The tests draw weights as the document
does, from a standard normal, and compare with its program.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
from tests.helpers.tolerances import PRODUCT

X = np.array([[0, 1], [0, 0], [1, 1], [0, 1]])
UNITS = [32, 16, 8, 4]


def softmax_of_whole_array(x):
    return np.exp(x) / np.sum(np.exp(x))


def softmax_of_rows(x):
    return np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True)


def draw_weights(seed):
    """Draw as the document's layers do, on their first call and so in their order."""
    np.random.seed(seed)
    return [
        (np.random.randn(n_in, n_out), np.random.randn(n_out))
        for n_in, n_out in zip([2, *UNITS[:-1]], UNITS, strict=True)
    ]


def program(x, weights, softmax):
    """Run the document's network: Sigmoid, Softmax, Tanh and Relu, each after a Linear."""
    activations = [lambda x: 1 / (1 + np.exp(-x)), softmax, np.tanh, lambda x: np.maximum(0, x)]
    for (w, b), activation in zip(weights, activations, strict=True):
        x = activation(x @ w + b)
    return x


def network(weights):
    model = fn.Model(
        [
            fn.Dense(32),
            fn.Activation("sigmoid"),
            fn.Dense(16),
            fn.Activation("softmax"),
            fn.Dense(8),
            fn.Activation("tanh"),
            fn.Dense(4),
            fn.Activation("relu"),
        ],
        loss="mse",
        dtype="float64",
    )
    model.build(2)
    for layer, (w, b) in zip(model.layers[::2], weights, strict=True):
        layer.weights, layer.bias = w, b
    return model


def test_relu_of_the_printed_example():
    y = fn.Activation("relu")(np.array([[-5.0, 10.0], [15.0, -10.0]]))
    assert y.tolist() == [[0, 10], [15, 0]]


@pytest.mark.parametrize(
    "name, function",
    [
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
        ("relu", lambda x: np.maximum(0, x)),
        ("tanh", np.tanh),
        ("softmax", softmax_of_rows),
    ],
)
def test_activation_alone(name, function):
    x = np.array([[-5.0, 10.0, 0.5], [1.5, -1.0, 0.0]])
    y = fn.Activation(name)(x)
    assert_allclose(y, function(x), **PRODUCT[y.dtype.name])


def test_linear_layer_alone_builds_itself_on_its_first_call():
    x = np.array([[0.0, 1.0]])
    layer = fn.Dense(5)
    y = layer(x)
    assert y.shape == (1, 5)
    assert layer.weights.shape == (2, 5)
    assert layer.bias.shape == (5,)
    assert np.any(y)
    assert_allclose(y, x @ layer.weights + layer.bias, **PRODUCT[y.dtype.name])
    assert np.array_equal(layer(x), y)


@pytest.mark.parametrize("seed", range(5))
def test_network_is_the_program_with_a_softmax_of_each_row(seed):
    weights = draw_weights(seed)
    expected = program(X, weights, softmax_of_rows)
    assert expected.any()
    assert_allclose(network(weights)(X), expected, **PRODUCT["float64"])


@pytest.mark.parametrize("seed", range(5))
def test_network_on_one_row_is_the_program_as_printed(seed):
    weights = draw_weights(seed)
    model = network(weights)
    for i in range(len(X)):
        row = X[i : i + 1]
        assert_allclose(model(row), program(row, weights, softmax_of_whole_array), **PRODUCT["float64"])


def test_softmax_of_a_row_does_not_depend_on_the_other_rows():
    x = np.array([[1.0, 2.0, 3.0], [30.0, 10.0, 20.0]])
    y = fn.Activation("softmax")(x)
    tolerance = PRODUCT[y.dtype.name]
    assert_allclose(y.sum(axis=1), [1, 1], **tolerance)
    assert_allclose(y[:1], softmax_of_whole_array(x[:1]), **tolerance)
    # in the document's softmax the second row leaves the first next to nothing
    assert softmax_of_whole_array(x)[0].sum() < 1e-11


def test_layers_one_by_one_give_what_the_model_gives():
    model = network(draw_weights(0))
    output = X
    for layer in model.layers:
        output = layer(output)
    assert_allclose(output, model(X), **PRODUCT["float64"])


def test_output_has_the_form_of_the_printed_one():
    output = network(draw_weights(1))(X)
    assert output.shape == (4, 4)
    assert np.array_equal(output[0], output[3])  # the same inputs, [0, 1]
    assert (output >= 0).all()  # relu comes last
