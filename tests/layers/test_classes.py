"""`Model.predict_proba` and `Model.predict_class`, for every loss and last activation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, softmax

import fastnn as fn
from tests.helpers.tolerances import PRODUCT

X = np.random.default_rng(0).normal(size=(20, 4))
OF_CLASSES = [
    ("cross_entropy", None),
    ("cross_entropy", "softmax"),
    ("cross_entropy", "log_softmax"),
    ("nll", "softmax"),
    ("nll", "log_softmax"),
    (None, "softmax"),
    (None, "log_softmax"),
]
OF_LABELS = [("binary_cross_entropy", None), ("binary_cross_entropy", "sigmoid"), (None, "sigmoid")]


def network(loss, last, n_out, dtype="float64"):
    """A model, and its logits for `X`."""
    model = fn.Model([fn.Dense(n_out, last)], loss, dtype=dtype, seed=0).build(4)
    return model, X @ model.layers[0].weights.astype(float)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("loss", "last"), OF_CLASSES)
def test_classes(loss, last, dtype):
    model, logits = network(loss, last, 3, dtype)
    p = model.predict_proba(X)
    assert p.dtype == dtype
    assert_allclose(p, softmax(logits, axis=1), **PRODUCT[dtype])
    found = model.predict_class(X)
    assert found.dtype == np.int64
    assert np.array_equal(found, logits.argmax(axis=1))
    assert_allclose(model.predict_proba(X[3]), p[3], **PRODUCT[dtype])
    assert model.predict_class(X[3]) == found[3]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize(("loss", "last"), OF_LABELS)
def test_labels(loss, last, n_out, dtype):
    model, logits = network(loss, last, n_out, dtype)
    p, found = model.predict_proba(X), model.predict_class(X)
    assert (p.dtype, found.dtype) == (dtype, np.int64)
    expected = expit(logits)
    if n_out == 1:
        assert_allclose(p, np.hstack([1 - expected, expected]), **PRODUCT[dtype])
        assert np.array_equal(found, logits[:, 0] > 0)
        assert (p.shape, found.shape) == ((20, 2), (20,))
    else:
        assert_allclose(p, expected, **PRODUCT[dtype])
        assert np.array_equal(found, logits > 0)
    assert_allclose(model.predict_proba(X[3]), p[3], **PRODUCT[dtype])
    assert np.array_equal(model.predict_class(X[3]), found[3])


def test_accuracy_is_that_of_the_classes():
    y = np.arange(20) % 3
    model, _ = network("cross_entropy", "softmax", 3)
    assert model.evaluate(X, y)["accuracy"] == pytest.approx((model.predict_class(X) == y).mean())


@pytest.mark.parametrize("method", ["predict_proba", "predict_class"])
@pytest.mark.parametrize(
    ("loss", "last"), [("mse", None), ("mse", "sigmoid"), (None, None), ("poisson", None)]
)
def test_values_are_no_classes(loss, last, method):
    model, _ = network(loss, last, 2)
    message = f"{method} needs a model with one of the losses cross_entropy, .*, not {loss}; use predict"
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(X)
