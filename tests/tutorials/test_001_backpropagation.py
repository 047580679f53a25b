"""Document 001: error terms by the chain rule, one sigmoid neuron, and a network for images with dropout.

The error is half the sum of squared errors; fastnn's "sse" is the sum itself, so its gradient is twice as
large and its learning rate half.

The last network gives probabilities (softmax) to NLLLoss, which expects their logarithms: it then minimises
-p, whose gradient with respect to the logits has the factor p and so vanishes just where the network is most
wrong. Here the network ends in log_softmax instead, which makes the loss what its name says.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
from tests.helpers.reference import ACTIVATIONS, LOSSES
from tests.helpers.tolerances import PRODUCT, TRAINING

RECORDS, FEATURES, HIDDEN = 9, 3, 2


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def error_terms(X, y, weights_input_hidden, weights_hidden_output):
    """Run the document's forward and backward pass over all records; return half the squared error too."""
    del_w_input_hidden = np.zeros_like(weights_input_hidden)
    del_w_hidden_output = np.zeros_like(weights_hidden_output)
    half_squared_error = 0.0
    for x, target in zip(X, y, strict=True):
        hidden_output = sigmoid(np.dot(x, weights_input_hidden))
        output = sigmoid(np.dot(hidden_output, weights_hidden_output))
        error = target - output
        half_squared_error += 0.5 * error**2
        output_error_term = error * output * (1 - output)
        hidden_error = np.dot(output_error_term, weights_hidden_output)
        hidden_error_term = hidden_error * hidden_output * (1 - hidden_output)
        del_w_hidden_output += output_error_term * hidden_output
        del_w_input_hidden += hidden_error_term * x[:, None]
    return half_squared_error, del_w_input_hidden, del_w_hidden_output


def problem():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((RECORDS, FEATURES))
    y = (X[:, 0] * X[:, 1] > 0).astype(float)
    return X, y, rng.standard_normal((FEATURES, HIDDEN)), rng.standard_normal(HIDDEN)


def network(weights_input_hidden, weights_hidden_output, learning_rate):
    model = fn.Model(
        [fn.Dense(HIDDEN, "sigmoid", use_bias=False), fn.Dense(1, "sigmoid", use_bias=False)],
        loss="sse",
        optimizer=fn.SGD(learning_rate),
        dtype="float64",
    )
    model.build(FEATURES)
    model.layers[0].weights = weights_input_hidden
    model.layers[1].weights = weights_hidden_output[:, None]
    return model


def test_gradient_is_made_of_the_error_terms_of_the_text():
    X, y, first, second = problem()
    half_squared_error, del_first, del_second = error_terms(X, y, first, second)
    loss, gradient = network(first, second, 0.1).loss_and_gradient(X, y[:, None])
    assert_allclose(loss / 2, half_squared_error, **PRODUCT["float64"])
    downhill = np.concatenate([del_first.ravel(), del_second])
    assert_allclose(-gradient / 2, downhill, **PRODUCT["float64"])


def test_gradient_descent_takes_the_steps_of_the_text():
    X, y, first, second = problem()
    learning_rate, epochs = 0.5, 300
    model = network(first, second, learning_rate / 2 / RECORDS)
    losses = model.fit(X, y[:, None], epochs=epochs, batch_size=None, shuffle=False).history["loss"]
    half_squared_errors = []
    for _ in range(epochs):
        half_squared_error, del_first, del_second = error_terms(X, y, first, second)
        half_squared_errors.append(half_squared_error)
        first = first + learning_rate * del_first / RECORDS
        second = second + learning_rate * del_second / RECORDS
    assert half_squared_errors[-1] < 0.9 * half_squared_errors[0]
    assert_allclose(np.array(losses) / 2, half_squared_errors, **TRAINING["float64"])
    assert_allclose(model.layers[0].weights, first, **TRAINING["float64"])
    assert_allclose(model.layers[1].weights[:, 0], second, **TRAINING["float64"])


@pytest.mark.parametrize("seed", range(7, 10))
def test_one_sigmoid_neuron_on_five_features(seed):
    rng = np.random.default_rng(seed)
    features, weights = rng.standard_normal((1, 5)), rng.standard_normal((1, 5))
    bias = rng.standard_normal((1, 1))
    model = fn.Model([fn.Dense(1, "sigmoid")], loss="mse", dtype="float64")
    model.build(5)
    model.layers[0].weights = weights.reshape(-1, 1)
    model.layers[0].bias = bias[0]
    y = model(features)
    assert y.shape == (1, 1)
    assert_allclose(y, sigmoid(np.dot(features, weights.reshape(-1, 1)) + bias), **PRODUCT["float64"])


def images_of_digits():
    """Enlarge the 8 x 8 digits three times and frame them, which gives images of 28 x 28."""
    X, y = fn.datasets.digits()
    small = X.reshape(-1, 8, 8) / 16
    large = np.kron(small, np.ones((3, 3)))
    return np.pad(large, ((0, 0), (2, 2), (2, 2))).reshape(-1, 28 * 28), y


def test_network_for_images_learns():
    X, y = images_of_digits()
    order = np.random.default_rng(0).permutation(len(X))
    test, train = order[:450], order[450:]
    model = fn.Model(
        [
            fn.Dense(128, "relu"),
            fn.Dropout(0.2),
            fn.Dense(64, "relu"),
            fn.Dropout(0.2),
            fn.Dense(10, "log_softmax"),
        ],
        loss="nll",
        optimizer=fn.SGD(0.003),
        dtype="float64",
        seed=0,
    )
    losses = model.fit(X[train], y[train], epochs=20, batch_size=16).history["loss"]
    assert len(losses) == 20
    assert losses[-1] < 0.5 * losses[0]
    assert model.evaluate(X[test], y[test])["accuracy"] >= 0.9
    probabilities = np.exp(model.predict(X[test]))
    assert_allclose(probabilities.sum(axis=1), np.ones(len(test)), **PRODUCT["float64"])


def test_why_the_loss_gets_log_probabilities():
    """Give the loss each of the two, for a network that is sure of the first class when it is the second."""
    logits, label = np.array([[20.0, 0.0]]), np.array([1])

    def gradient(activation):
        forward, vector_jacobian = ACTIVATIONS[activation]
        _, dy = LOSSES["nll"](forward(logits), label)
        return vector_jacobian(logits, dy)

    assert np.abs(gradient("softmax")).max() < 1e-8
    assert_allclose(gradient("log_softmax"), [[1, -1]], rtol=1e-8)

    model = fn.Model([fn.Dense(2, "log_softmax")], loss="nll", dtype="float64")
    model.build(1)
    model.layers[0].weights = np.zeros((1, 2))
    model.layers[0].bias = logits[0]
    loss, with_respect_to_parameters = model.loss_and_gradient(np.zeros((1, 1)), label)
    assert_allclose(loss, 20, rtol=1e-8)
    assert_allclose(with_respect_to_parameters, [0, 0, 1, -1], rtol=1e-8)
