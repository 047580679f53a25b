"""Document 003, a tutorial: the networks of its sections 4.2 to 4.6.

Its programs add `X.T @ ((y - p) * p * (1 - p))` to the weights, which is downhill by half the gradient of the
sum of squared errors: in fastnn "sse" with a learning rate of 0.5, without biases. They print the forward
pass before the last update, so that the figures of 10,000 epochs belong to the weights after 9,999.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
from tests.helpers.reference import ACTIVATIONS, dense_backward, dense_forward
from tests.helpers.tolerances import PRINTED, PRODUCT, TRAINING

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])


def sigmoid_network(weights):
    """Build a network of sigmoid layers without biases from their weights, as the document trains them."""
    model = fn.Model(
        [fn.Dense(w.shape[1], "sigmoid", use_bias=False) for w in weights],
        loss="sse",
        optimizer=fn.SGD(0.5),
        dtype="float64",
    )
    model.build(len(weights[0]))
    for layer, w in zip(model.layers, weights, strict=True):
        layer.weights = w
    return model


def train(model, X, y, epochs):
    model.fit(X, y, epochs=epochs, batch_size=None, shuffle=False)


def test_4_2_one_layer():
    np.random.seed(1)
    model = sigmoid_network([2 * np.random.random((3, 1)) - 1])
    train(model, X, np.array([[0, 0, 1, 1]]).T, epochs=9_999)
    printed = [[0.00966449], [0.00786506], [0.99358898], [0.99211957]]
    assert_allclose(model.predict(X), printed, **PRINTED["float64"])


@pytest.mark.parametrize("inputs, printed", [([2, 3], 32)])
def test_4_3_relu(inputs, printed):
    model = fn.Model(
        [fn.Dense(2, "relu", use_bias=False), fn.Dense(1, use_bias=False)], loss="mse", dtype="float64"
    )
    model.build(2)
    model.layers[0].weights = np.array([[2, 4], [4, -5]]).T  # the document has a row for each node
    model.layers[1].weights = np.array([[2, 7]]).T
    assert model.predict(np.array([inputs])).tolist() == [[printed]]
    # relu is at work: the second node would give -7
    assert model.layers[0](np.array([inputs])).tolist() == [[16, 0]]


def test_4_4_two_layers():
    """Reproduce the printed figures, which are those of the inputs of 4.2 with targets 0, 1, 1, 0.

    The inputs printed beside them, [[1, 1, 1], [3, 3, 3], [2, 2, 2], [2, 2, 2]], cannot give them: the last
    two are the same, and so would be their outputs.
    """
    y = np.array([[0], [1], [1], [0]])
    np.random.seed(1)
    model = sigmoid_network([2 * np.random.random((3, 4)) - 1, 2 * np.random.random((4, 1)) - 1])
    errors = []
    for _ in range(6):
        errors.append(np.mean(np.abs(y - model.predict(X))))
        # the last update comes after what is printed
        train(model, X, y, epochs=10_000 if len(errors) < 6 else 9_999)
    printed_errors = [
        0.49641003190272537,
        0.008584525653247153,
        0.005789459862507809,
        0.004629176776769984,
        0.003958765280273649,
        0.003510122567861676,
    ]
    assert_allclose(errors, printed_errors, **TRAINING["float64"])
    printed = [[0.00260572], [0.99672209], [0.99701711], [0.00386759]]
    assert_allclose(model.predict(X), printed, **PRINTED["float64"])


ZERO = [0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0]
ONE = [0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0]
TWO = [0, 1, 1, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 1, 1, 1]
THREE = [1, 1, 1, 1, 0, 0, 0, 1, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1]


def train_on_bitmaps(X, y, W1, W2, epochs):
    """Run the document's program of 4.5; return its prediction after the last update."""

    def sigmoid(s):
        return 1 / (1 + np.exp(-s))

    for _ in range(epochs):
        z2 = sigmoid(X @ W1)
        o = sigmoid(z2 @ W2)
        o_delta = (y - o) * o * (1 - o)
        z2_delta = o_delta @ W2.T * z2 * (1 - z2)
        W1 = W1 + X.T @ z2_delta
        W2 = W2 + z2.T @ o_delta
    return sigmoid(sigmoid(X @ W1) @ W2)


@pytest.mark.parametrize("seed", range(5))
def test_4_5_recognises_the_bitmaps_zero_to_three(seed):
    bitmaps = np.array([ZERO, ONE, TWO, THREE], dtype=float)
    y = np.array([[0], [1], [2], [3]]) / 3
    np.random.seed(seed)
    W1, W2 = np.random.randn(20, 20), np.random.randn(20, 1)
    model = sigmoid_network([W1, W2])
    train(model, bitmaps, y, epochs=100)
    predicted = model.predict(bitmaps)
    assert np.round(3 * predicted).tolist() == [[0], [1], [2], [3]]
    assert_allclose(predicted, train_on_bitmaps(bitmaps, y, W1, W2, epochs=100), **TRAINING["float64"])
    # the document asks for a two
    assert np.round(3 * model.predict(np.array([TWO], dtype=float))).item() == 2


@pytest.mark.parametrize("depth", [1, 2, 3, 5, 10, 40])
def test_4_6_any_depth(depth):
    rng = np.random.default_rng(depth)
    widths = [3, *rng.integers(1, 9, depth - 1), 1]
    weights = [
        rng.standard_normal((n_in, n_out)) for n_in, n_out in zip(widths[:-1], widths[1:], strict=True)
    ]
    y = np.array([[0], [1], [1], [0]])
    model = sigmoid_network(weights)

    forward, vector_jacobian = ACTIVATIONS["sigmoid"]
    inputs, sums, output = [], [], X
    for w in weights:
        inputs.append(output)
        sums.append(dense_forward(output, w))
        output = forward(sums[-1])
    gradients, delta = [], 2 * (output - y)
    for x, z, w in zip(inputs[::-1], sums[::-1], weights[::-1], strict=True):
        delta, dw, _ = dense_backward(x, w, vector_jacobian(z, delta))
        gradients.insert(0, dw.ravel())

    loss, gradient = model.loss_and_gradient(X, y)
    assert_allclose(model.predict(X), output, **PRODUCT["float64"])
    assert_allclose(loss, np.sum((output - y) ** 2), **PRODUCT["float64"])
    assert_allclose(gradient, np.concatenate(gradients), **PRODUCT["float64"])
    train(model, X, y, epochs=100)
    assert model.loss_and_gradient(X, y)[0] < loss
