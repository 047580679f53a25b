"""Loss, gradient and metrics of a model beside plain NumPy, for every loss, activation and metric."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
from tests import naive
from tests.tolerances import CENTRAL_DIFFERENCE, PRODUCT

RNG = np.random.default_rng(0)
N, N_IN, N_OUT = 33, 5, 3
X = RNG.normal(size=(N, N_IN))
LABELS = RNG.integers(0, N_OUT, N)
SHARES = RNG.dirichlet(np.ones(N_OUT), N)
BITS = RNG.integers(0, 2, (N, N_OUT))
COUNTS = RNG.poisson(2.0, (N, N_OUT))
VALUES = RNG.normal(size=(N, N_OUT))
WEIGHT = RNG.uniform(0, 2, N)
WEIGHT[::5] = 0

LOSSES = [
    ("mse", VALUES),
    ("sse", VALUES),
    ("mae", VALUES),
    ("huber", VALUES),
    (fn.losses.huber(delta=0.3), VALUES),
    ("quantile", VALUES),
    (fn.losses.quantile(q=0.2), VALUES),
    ("poisson", COUNTS),
    ("binary_cross_entropy", BITS),
    ("cross_entropy", LABELS),
    ("cross_entropy", np.eye(N_OUT)[LABELS]),
    ("cross_entropy", SHARES),
    (fn.losses.cross_entropy(label_smoothing=0.1), LABELS),
    ("nll", LABELS),
    ("nll", SHARES),
]


def label(value):
    """A short name of a parameter of a test."""
    return value if isinstance(value, str) else getattr(value, "name", "")


def network(loss=None, last=None, dtype="float64", **options):
    layers = [fn.Dense(7, "tanh"), fn.Dropout(0.5), fn.Dense(N_OUT, last)]
    return fn.Model(layers, loss=loss, dtype=dtype, seed=1, **options)


def forward(model, x):
    """The model in plain NumPy; in prediction dropout does nothing."""
    for layer in model.layers:
        if isinstance(layer, fn.Dense):
            x = naive.dense_forward(x, layer.weights, layer.bias if layer.use_bias else None)
        activation = getattr(layer, "activation", None)
        if activation is not None:
            x = naive.ACTIVATIONS[activation.name][0](x, **activation.settings)
    return x


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(("loss", "y"), LOSSES, ids=label)
def test_loss_and_its_gradient(loss, y, weight, dtype):
    model = network(loss, "log_softmax" if loss == "nll" else None, dtype)
    figures = model.evaluate(X, y, weight)
    value, gradient = model.loss_and_gradient(X, y, weight)
    oracle = naive.LOSSES[model.loss.name]
    expected, by_output = oracle(forward(model, X), y, weight, **model.loss.settings)
    assert_allclose([figures["loss"], value], expected, **PRODUCT[dtype])
    if loss == "nll":
        logits = naive.dense_forward(model.layers[0](X), model.layers[2].weights, model.layers[2].bias)
        by_output = naive.ACTIVATIONS["log_softmax"][1](logits, by_output)
    assert (gradient.shape, gradient.dtype) == (model.parameters.shape, np.dtype(dtype))
    assert_allclose(gradient[-N_OUT:], by_output.sum(axis=0), **PRODUCT[dtype])


@pytest.mark.parametrize("name", naive.ACTIVATIONS)
def test_gradient_beside_central_differences(name):
    layers = [fn.Dense(4, name, l1=0.01, l2=0.02), fn.Activation(name), fn.Dense(N_OUT, l2=0.1)]
    model = fn.Model(layers, loss="mse", dtype="float64", seed=3).build(N_IN)
    gradient = model.loss_and_gradient(X, VALUES, WEIGHT)[1]
    start = model.parameters.copy()

    def loss_at(parameters):
        model.parameters[...] = parameters
        penalty = naive.l1_l2(layers[0].weights, 0.01, 0.02)[0] + naive.l1_l2(layers[2].weights, 0.0, 0.1)[0]
        return naive.LOSSES["mse"](forward(model, X), VALUES, WEIGHT)[0] + penalty

    assert_allclose(model.loss_and_gradient(X, VALUES, WEIGHT)[0], loss_at(start), **PRODUCT["float64"])
    assert_allclose(gradient, naive.central_difference(loss_at, start), **CENTRAL_DIFFERENCE["float64"])


def r2(p, t, w):
    mean = np.average(t, axis=0, weights=w)
    return (1 - w @ (t - p) ** 2 / (w @ (t - mean) ** 2)).mean()


def right(threshold):
    """The accuracy of outputs that stand alone."""
    return lambda p, t, w: np.average(((p > threshold) == t).mean(axis=1), weights=w)


METRICS = [
    ("mse", VALUES, "mse", lambda p, t, w: np.average(((p - t) ** 2).mean(axis=1), weights=w)),
    ("mse", VALUES, "mae", lambda p, t, w: np.average(abs(p - t).mean(axis=1), weights=w)),
    ("huber", VALUES, "r2", r2),
    ("mse", BITS, "accuracy", right(0.5)),
    ("binary_cross_entropy", BITS, "accuracy", right(0)),
    ("cross_entropy", LABELS, "accuracy", lambda p, t, w: np.average(p.argmax(axis=1) == t, weights=w)),
    ("nll", SHARES, "accuracy", lambda p, t, w: np.average(p.argmax(axis=1) == t.argmax(axis=1), weights=w)),
]


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(("loss", "y", "metric", "formula"), METRICS, ids=label)
def test_metrics(loss, y, metric, formula, weight):
    model = network(loss, metrics=[metric])
    figures = model.evaluate(X, y, weight)
    assert list(figures) == ["loss", metric]
    expected = formula(model.predict(X), y, np.ones(N) if weight is None else weight)
    assert_allclose(figures[metric], expected, **PRODUCT["float64"])


@pytest.mark.parametrize(("loss", "y"), LOSSES, ids=label)
def test_automatic_metrics(loss, y):
    model = network(loss)
    classes = model.loss.name in ("cross_entropy", "nll", "binary_cross_entropy")
    assert list(model.evaluate(X, y)) == (["loss", "accuracy"] if classes else ["loss"])
