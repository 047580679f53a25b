"""Wrong samples, targets and weights: the message shows what was given, and nothing has changed."""

import numpy as np
import pytest

from tests.refusals import BAD, INF, LABELS, NAN, VALUES, N, X, changed, network, refused, trained, used

# --- samples

SAMPLES = {
    "text": ([["a", "b", "c"]] * N, TypeError, "<U1"),
    "a string": ("abc", TypeError, "<U3"),
    "objects": ([[object(), 1, 2]] * N, TypeError, "object"),
    "a dict": ({"a": 1}, TypeError, "dict"),
    "complex": (X + 1j, ValueError, "complex128"),
    "dates": (X.astype("datetime64[s]"), TypeError, "datetime64"),
    "records": (np.zeros(N, [("a", float), ("b", float)]), TypeError, "'a'"),
    "None": (None, BAD, "None"),
    "masked": (np.ma.masked_greater(X, 0.5), TypeError, "masked"),
    "ragged": ([[1, 2], [1]], ValueError, "X"),
    "NaN": (changed(X, (2, 1), NAN), ValueError, "nan at (2, 1)"),
    "missing": ([[1.0, None, 2.0]] * N, ValueError, "nan at (0, 1)"),
    "infinity": (changed(X, (5, 0), -INF), ValueError, "-inf at (5, 0)"),
    "too large": (changed(X, (1, 1), 1e300), ValueError, "1e+300 at (1, 1)"),
    "too large an int": ([[10**400, 1, 2]] * N, BAD, "X"),
    "no rows": (X[:0], ValueError, "(0, 3)"),
    "no columns": (X[:, :0], ValueError, "(6, 0)"),
    "nothing": ([], ValueError, "0"),
    "a number": (3.0, ValueError, "()"),
    "three dimensions": (X[None], ValueError, "(1, 6, 3)"),
}
METHODS = {
    "predict": lambda model, x, y: model.predict(x),
    "call": lambda model, x, y: model(x),
    "evaluate": lambda model, x, y: model.evaluate(x, y),
    "loss_and_gradient": lambda model, x, y: model.loss_and_gradient(x, y),
    "fit": lambda model, x, y: model.fit(x, y),
    "partial_fit": lambda model, x, y: model.partial_fit(x, y),
}


@pytest.mark.parametrize("make", [network, trained, used])
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize(("x", "error", "piece"), SAMPLES.values(), ids=SAMPLES)
def test_samples(x, error, piece, method, make):
    model = make()
    refused(model, lambda: method(model, x, LABELS), error, piece)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("columns", [1, 2, 4])
def test_columns(columns, method):
    model = used()
    x = np.ones((N, columns))
    refused(model, lambda: method(model, x, LABELS), ValueError, str(x.shape))


@pytest.mark.parametrize("x", [X[0], X[0].tolist(), 3.0], ids=["row", "list", "number"])
@pytest.mark.parametrize("name", ["evaluate", "loss_and_gradient", "fit", "partial_fit"])
def test_training_needs_two_dimensions(name, x):
    model = network()
    refused(model, lambda: METHODS[name](model, x, LABELS[:1]), ValueError, f"{np.shape(x)}")


# --- targets: loss, outputs, y, error, piece of the message

TARGETS = {
    "text": ("mse", 1, ["a"] * N, TypeError, "<U1"),
    "complex": ("mse", 1, LABELS * 1j, ValueError, "complex128"),
    "None": ("mse", 1, None, BAD, "None"),
    "masked": ("mse", 1, np.ma.masked_less(LABELS, 1), TypeError, "masked"),
    "NaN": ("mse", 1, changed(LABELS, 3, NAN), ValueError, "nan at 3"),
    "infinity": ("mse", 3, changed(VALUES, (1, 2), INF), ValueError, "inf at (1, 2)"),
    "too large": ("mse", 1, changed(LABELS, 3, -1e39), ValueError, "-1e+39 at 3"),
    "empty": ("mse", 1, [], ValueError, "(0,)"),
    "few rows": ("mse", 1, LABELS[1:], ValueError, "(5,)"),
    "many rows": ("mse", 3, np.ones((7, 3)), ValueError, "(7, 3)"),
    "no columns": ("mse", 1, np.ones((N, 0)), ValueError, "(6, 0)"),
    "few columns": ("mse", 3, LABELS, ValueError, "(6,)"),
    "many columns": ("mse", 1, VALUES, ValueError, "(6, 3)"),
    "turned": ("mse", 1, np.ones((1, N)), ValueError, "(1, 6)"),
    "three dimensions": ("mse", 1, np.ones((N, 1, 1)), ValueError, "(6, 1, 1)"),
    "label too large": ("cross_entropy", 3, [0, 1, 2, 3, 0, 1], ValueError, "got 3"),
    "label negative": ("nll", 3, [0, 1, 2, -1, 0, 1], ValueError, "got -1"),
    "label fractional": ("cross_entropy", 3, [0, 1, 2, 0.5, 0, 1], ValueError, "got 0.5"),
    "label in a column": ("nll", 3, [[0], [1], [2], [7], [0], [1]], ValueError, "got 7"),
    "two of three shares": ("cross_entropy", 3, np.ones((N, 2)), ValueError, "(6, 2)"),
    "one output": ("cross_entropy", 1, LABELS * 0, ValueError, "cross_entropy"),
    "one output of nll": ("nll", 1, LABELS * 0, ValueError, "nll"),
    "share too large": ("cross_entropy", 3, changed(VALUES * 0, (1, 1), 1.25), ValueError, "1.25"),
    "share negative": ("nll", 3, changed(VALUES * 0, (1, 1), -0.25), ValueError, "-0.25"),
    "bit too large": ("binary_cross_entropy", 1, LABELS, ValueError, "got 2"),
    "bit negative": ("binary_cross_entropy", 1, LABELS / -2, ValueError, "got -1"),
    "count negative": ("poisson", 1, LABELS - 2, ValueError, "got -2"),
}


@pytest.mark.parametrize("make", [network, trained])
@pytest.mark.parametrize("name", ["evaluate", "loss_and_gradient", "fit", "partial_fit"])
@pytest.mark.parametrize(("loss", "n_out", "y", "error", "piece"), TARGETS.values(), ids=TARGETS)
def test_targets(loss, n_out, y, error, piece, name, make):
    if n_out == 1 and loss in ("cross_entropy", "nll"):
        make = network  # there is nothing it could have been trained on
    model = make(loss=loss, n_out=n_out)
    refused(model, lambda: METHODS[name](model, X, y), error, piece)


# --- weights

WEIGHTS = {
    "negative": (changed(np.ones(N), 2, -0.5), ValueError, "-0.5"),
    "zeros": (np.zeros(N), ValueError, "zero"),
    "NaN": (changed(np.ones(N), 2, NAN), ValueError, "nan at 2"),
    "infinity": (changed(np.ones(N), 2, INF), ValueError, "inf at 2"),
    "too large": (changed(np.ones(N), 2, 1e300), ValueError, "1e+300 at 2"),
    "too few": (np.ones(N - 1), ValueError, "(5,)"),
    "a column": (np.ones((N, 1)), ValueError, "(6, 1)"),
    "a number": (1.0, ValueError, "()"),
    "text": (["a"] * N, TypeError, "<U1"),
    "complex": (np.ones(N) * 1j, ValueError, "complex128"),
    "masked": (np.ma.masked_less(np.ones(N), 2), TypeError, "masked"),
}


@pytest.mark.parametrize("make", [network, trained])
@pytest.mark.parametrize("name", ["evaluate", "loss_and_gradient", "fit", "partial_fit"])
@pytest.mark.parametrize(("weight", "error", "piece"), WEIGHTS.values(), ids=WEIGHTS)
def test_sample_weights(weight, error, piece, name, make):
    model = make()
    method = getattr(model, name)
    refused(model, lambda: method(X, LABELS, sample_weight=weight), error, piece)
