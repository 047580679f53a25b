"""Loss, gradient and metrics of a model beside plain NumPy, for every loss and metric."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
from tests.helpers.networks import plain_loss_and_gradient
from tests.helpers.tolerances import PRODUCT

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


def last_of(loss):
    return "log_softmax" if loss == "nll" else None


def network(loss, last=None, dtype="float64", dropout=0.5, **options):
    layers = [fn.Dense(7, "tanh", l1=0.01, l2=0.02), fn.Dropout(dropout), fn.Dense(N_OUT, last)]
    return fn.Model(layers, loss=loss, dtype=dtype, seed=1, **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(("loss", "y"), LOSSES, ids=label)
def test_loss(loss, y, weight, dtype):
    model = network(loss, last_of(loss), dtype)
    figures = model.evaluate(X, y, weight)
    value, gradient = model.loss_and_gradient(X, y, weight)
    expected_value, expected_gradient = plain_loss_and_gradient(model, X, y, weight)
    assert_allclose([figures["loss"], value], expected_value, **PRODUCT[dtype])
    assert (gradient.shape, gradient.dtype) == (model.parameters.shape, np.dtype(dtype))
    assert_allclose(gradient, expected_gradient, **PRODUCT[dtype])
    assert all(type(figure) is float for figure in (value, *figures.values()))


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
    model = network(loss, last_of(loss), metrics=[metric])
    figures = model.evaluate(X, y, weight)
    assert list(figures) == ["loss", metric]
    expected = formula(model.predict(X), y, np.ones(N) if weight is None else weight)
    assert_allclose(figures[metric], expected, **PRODUCT["float64"])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("loss", "y", "metric", "formula"), METRICS, ids=label)
def test_many_rows_and_the_figures_of_an_epoch(loss, y, metric, formula, weighted):
    """Rows that need several rounds; a training with a rate of 0 records what `evaluate` gives."""
    rows = np.random.default_rng(3).integers(0, N, 2500)
    weight = WEIGHT[rows] if weighted else None
    model = network(loss, last_of(loss), metrics=[metric], optimizer=fn.SGD(0.0), dropout=0.0)
    figures = model.evaluate(X[rows], y[rows], weight)
    expected = formula(model.predict(X[rows]), y[rows], np.ones(2500) if weight is None else weight)
    assert_allclose(figures[metric], expected, **PRODUCT["float64"])
    loss_value = plain_loss_and_gradient(model, X[rows], y[rows], weight)[0]
    assert_allclose(figures["loss"], loss_value, **PRODUCT["float64"])
    history = model.fit(X[rows], y[rows], epochs=2, batch_size=7, sample_weight=weight).history
    for name, value in figures.items():
        assert_allclose(history[name], [value, value], **PRODUCT["float64"])


@pytest.mark.parametrize(("loss", "y"), LOSSES, ids=label)
def test_automatic_metrics(loss, y):
    model = network(loss, last_of(loss))
    classes = model.loss.name in ("cross_entropy", "nll", "binary_cross_entropy")
    assert list(model.evaluate(X, y)) == (["loss", "accuracy"] if classes else ["loss"])
