"""Document 002, "Neural networks with Python": 3-4-1 sigmoid on exclusive or, 1000 epochs.

Its text minimises the sum of squared errors by backpropagation; the update it prints,
`weights = d_weights + 1`, throws the weights away. Here they move along the derivatives of the text
(`weights += d_weights`), which is gradient descent with a learning rate of 1. What it prints at the end,
`nn.output`, is the forward pass before the last update.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
from tests.helpers.tolerances import PRODUCT, TRAINING

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
Y = np.array([[0], [1], [1], [0]])
EPOCHS = 1000


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def sigmoid_derivative(x):
    return x * (1 - x)


def draw_weights(seed):
    np.random.seed(seed)
    return np.random.rand(3, 4), np.random.rand(4, 1)


def program(weights1, weights2):
    """Run the document's program; return the loss of each epoch and the output of the last forward pass."""
    losses = []
    for _ in range(EPOCHS):
        layer1 = sigmoid(np.dot(X, weights1))
        output = sigmoid(np.dot(layer1, weights2))
        losses.append(np.sum((Y - output) ** 2))
        delta = 2 * (Y - output) * sigmoid_derivative(output)
        d_weights2 = np.dot(layer1.T, delta)
        d_weights1 = np.dot(X.T, np.dot(delta, weights2.T) * sigmoid_derivative(layer1))
        weights1 = weights1 + d_weights1
        weights2 = weights2 + d_weights2
    return losses, output


def network(weights1, weights2):
    model = fn.Model(
        [fn.Dense(4, "sigmoid", use_bias=False), fn.Dense(1, "sigmoid", use_bias=False)],
        loss="sse",
        optimizer=fn.SGD(1.0),
        dtype="float64",
    )
    model.build(3)
    model.layers[0].weights = weights1
    model.layers[1].weights = weights2
    return model


@pytest.mark.parametrize("seed", range(6))
def test_network_converges_as_the_program_does(seed):
    weights = draw_weights(seed)
    losses, output = program(*weights)
    model = network(*weights)
    history = model.fit(X, Y, epochs=EPOCHS - 1, batch_size=None, shuffle=False).history["loss"]
    assert len(history) == EPOCHS - 1
    assert_allclose(history, losses[:-1], **TRAINING["float64"])
    assert_allclose(model.predict(X), output, **TRAINING["float64"])
    assert np.array_equal(np.round(output), Y)
    assert losses[-1] < 0.01 < 1 < losses[0]


def test_loss_and_gradient_are_those_of_the_text():
    weights1, weights2 = draw_weights(0)
    loss, gradient = network(weights1, weights2).loss_and_gradient(X, Y)
    layer1 = sigmoid(X @ weights1)
    output = sigmoid(layer1 @ weights2)
    delta = 2 * (Y - output) * sigmoid_derivative(output)
    d_weights2 = layer1.T @ delta
    d_weights1 = X.T @ (delta @ weights2.T * sigmoid_derivative(layer1))
    assert_allclose(loss, np.sum((Y - output) ** 2), **PRODUCT["float64"])
    downhill = np.concatenate([d_weights1.ravel(), d_weights2.ravel()])
    assert_allclose(-gradient, downhill, **PRODUCT["float64"])
