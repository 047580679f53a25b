"""Document 004, on adding layers: two layers with given weights, a layer's first weights, and the spiral.

It writes a row of weights for each neuron and multiplies by the transpose; fastnn's weights have a column for
each neuron, of shape (n_in, n_out).
"""

import numpy as np
from numpy.testing import assert_allclose

import fastnn as fn
from tests.helpers.tolerances import PRINTED, PRODUCT

WEIGHTS = np.array([[0.2, 0.8, -0.5, 1], [0.5, -0.91, 0.26, -0.5], [-0.26, -0.27, 0.17, 0.87]])
BIASES = np.array([2.0, 3.0, 0.5])
WEIGHTS_2 = np.array([[0.1, -0.14, 0.5], [-0.5, 0.12, -0.33], [-0.44, 0.73, -0.13]])
BIASES_2 = np.array([-1, 2, -0.5])

# The document shows the first sample only; the other two are those of the book it follows.
INPUTS = np.array([[1.0, 2.0, 3.0, 2.5], [2.0, 5.0, -1.0, 2.0], [-1.5, 2.7, 3.3, -0.8]])
OUTPUTS = np.array([[0.5031, -1.04185, -2.03875], [0.2434, -2.7332, -5.7633], [-0.99314, 1.41254, -0.35655]])


def test_two_layers_with_given_weights():
    model = fn.Model([fn.Dense(3), fn.Dense(3)], loss="mse", dtype="float64")
    model.build(4)
    first, second = model.layers
    first.weights, first.bias = WEIGHTS.T, BIASES
    second.weights, second.bias = WEIGHTS_2.T, BIASES_2
    assert_allclose(model.predict(INPUTS), OUTPUTS, **PRINTED["float64"])
    for sample, output in zip(INPUTS, OUTPUTS, strict=True):
        assert_allclose(model.predict(sample[np.newaxis]), output[np.newaxis], **PRINTED["float64"])
    hidden = np.dot(INPUTS, WEIGHTS.T) + BIASES
    assert_allclose(first(INPUTS), hidden, **PRODUCT["float64"])
    assert_allclose(second(hidden), np.dot(hidden, WEIGHTS_2.T) + BIASES_2, **PRODUCT["float64"])


def test_layer_with_the_printed_first_weights():
    """They are 0.01 * np.random.randn(2, 4) under seed 0; the rows of the identity bring them out."""
    np.random.seed(0)
    model = fn.Model([fn.Dense(4)], loss="mse", dtype="float64")
    model.build(2)
    model.layers[0].weights = 0.01 * np.random.randn(2, 4)
    printed = [
        [0.01764052, 0.00400157, 0.00978738, 0.02240893],
        [0.01867558, -0.00977278, 0.00950088, -0.00151357],
    ]
    assert model.layers[0].bias.tolist() == [0, 0, 0, 0]
    assert_allclose(model.predict(np.eye(2)), printed, **PRINTED["float64"])


def test_spiral_is_learnt():
    X, y = fn.datasets.spiral(samples=100, classes=3, seed=0)
    assert X.shape == (300, 2)
    assert np.bincount(y).tolist() == [100, 100, 100]
    model = fn.Model(
        [fn.Dense(64, "relu"), fn.Dense(64, "relu"), fn.Dense(3)],
        loss="cross_entropy",
        optimizer=fn.Adam(0.01),
        dtype="float64",
        seed=0,
    )
    model.build(2)
    assert model.evaluate(X, y)["accuracy"] < 0.8
    model.fit(X, y, epochs=100, batch_size=32)
    assert model.evaluate(X, y)["accuracy"] >= 0.95
