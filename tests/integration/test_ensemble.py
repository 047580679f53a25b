"""`Ensemble` against plain NumPy: means, probabilities, votes, their losses and metrics."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4))
LABELS, VALUES, MANY = RNG.integers(0, 3, 50), RNG.normal(size=(50, 3)), RNG.random((50, 3)) > 0.5


def models(loss="cross_entropy", dtypes=("float32",) * 3, n_out=3):
    last = "log_softmax" if loss == "nll" else "identity"
    layers = ([fn.Dense(5 + i, "tanh"), fn.Dense(n_out, last)] for i in range(len(dtypes)))
    made = [
        fn.Model(own, loss, dtype=t, seed=i) for i, (own, t) in enumerate(zip(layers, dtypes, strict=True))
    ]
    for model in made:
        model.build(4).parameters[...] *= 3
    return made


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


PROBABILITIES = {
    "cross_entropy": softmax,
    "nll": np.exp,
    "binary_cross_entropy": lambda z: 1 / (1 + np.exp(-z)),
}


def votes(loss, z):
    if loss == "binary_cross_entropy":
        return z > 0
    return np.eye(3)[z.argmax(axis=1)]


@pytest.mark.parametrize("weights", [None, [1, 0, 3]])
@pytest.mark.parametrize("combine", ["mean", "probabilities", "vote"])
@pytest.mark.parametrize("loss", PROBABILITIES)
def test_predict(loss, combine, weights):
    made = models(loss)
    ensemble = fn.Ensemble(made, combine, weights)
    change = {"mean": lambda z: z, "probabilities": PROBABILITIES[loss], "vote": lambda z: votes(loss, z)}
    opinions = [change[combine](model.predict(X).astype(np.float64)) for model in made]
    expected = np.average(opinions, axis=0, weights=weights)
    assert_allclose(ensemble.predict(X), expected, rtol=1e-5, atol=1e-6)
    assert_allclose(ensemble(X[3]), expected[3], rtol=1e-5, atol=1e-6)
    assert ensemble.predict(X).dtype == np.float32
    assert ensemble.weights == pytest.approx(np.divide(weights or [1] * 3, sum(weights or [1] * 3)))


@pytest.mark.parametrize("loss", PROBABILITIES)
def test_evaluate(loss):
    made = models(loss, ("float64",) * 3)
    y = MANY.astype(float) if loss == "binary_cross_entropy" else LABELS
    weight = RNG.random(50)
    p = fn.Ensemble(made, "probabilities").predict(X)
    if loss == "binary_cross_entropy":
        rows, right = -np.where(MANY, np.log(p), np.log(1 - p)).mean(axis=1), (p > 0.5) == MANY
        voted = np.mean([model(X) > 0 for model in made], axis=0) > 0.5
        vote_right = (voted == MANY).mean(axis=1)
    else:
        rows, right = -np.log(p[np.arange(50), LABELS]), (p.argmax(axis=1) == LABELS)[:, np.newaxis]
        counts = np.sum([np.eye(3)[model(X).argmax(axis=1)] for model in made], axis=0)
        vote_right = counts.argmax(axis=1) == LABELS
    figures = fn.Ensemble(made, "probabilities").evaluate(X, y, weight)
    assert figures["loss"] == pytest.approx(np.average(rows, weights=weight), rel=1e-9)
    assert figures["accuracy"] == pytest.approx(np.average(right.mean(axis=1), weights=weight))
    assert fn.Ensemble(made, "vote").evaluate(X, y, weight) == {
        "accuracy": pytest.approx(np.average(vote_right, weights=weight))
    }


def test_values():
    made = models("mse", ("float32", "float64"))
    ensemble = fn.Ensemble(made)
    mean = np.mean([model.predict(X) for model in made], axis=0)
    assert ensemble.predict(X).dtype == np.float64
    assert_allclose(ensemble.predict(X), mean, rtol=1e-6)
    assert ensemble.evaluate(X, VALUES) == {"loss": pytest.approx(np.mean((mean - VALUES) ** 2), rel=1e-6)}


@pytest.mark.parametrize("loss", PROBABILITIES)
@pytest.mark.parametrize("combine", ["mean", "probabilities"])
def test_one_model_alone(loss, combine):
    """The link from probabilities back to outputs changes neither loss nor accuracy."""
    [model] = models(loss, ("float64",))
    y = MANY.astype(float) if loss == "binary_cross_entropy" else LABELS
    assert fn.Ensemble([model], combine).evaluate(X, y) == pytest.approx(model.evaluate(X, y), rel=1e-9)


@pytest.mark.parametrize("loss", PROBABILITIES)
def test_probabilities_of_zero_have_a_finite_loss(loss):
    [model] = models(loss, ("float32",))
    model.layers[1].weights[...] = 0
    model.layers[1].bias = [-500, 500, -500]
    y = np.tile([1.0, 0, 1], (50, 1)) if loss == "binary_cross_entropy" else np.zeros(50, int)
    figures = fn.Ensemble([model], "probabilities").evaluate(X, y)
    assert (np.isfinite(figures["loss"]), figures["accuracy"]) == (True, 0)


def test_further_training_is_seen_and_copies_are_their_own():
    made = models()
    ensemble = fn.Ensemble(made, "vote")
    again = pickle.loads(pickle.dumps(ensemble))
    before = ensemble.predict(X)
    fn.fit_many(made, X, LABELS, epochs=50)
    assert not np.array_equal(ensemble.predict(X), before)
    assert np.array_equal(again.predict(X), before)
    assert repr(again) == "Ensemble of 3 models, combine='vote'"


REFUSED = {
    "a model": (lambda: [models()[0]][0], {}, TypeError, "must be a sequence of models"),
    "none": (lambda: [], {}, ValueError, "must not be empty"),
    "not built": (lambda: [fn.Model([fn.Dense(3)])], {}, ValueError, "model 0 is not built"),
    "sizes": (lambda: models()[:1] + models(n_out=2), {}, ValueError, "model 1 has 4 inputs and 2 outputs"),
    "combine": (models, {"combine": "median"}, ValueError, "combine must be .*, got 'median'"),
    "values": (lambda: models("mse"), {"combine": "vote"}, ValueError, "'vote' needs .* model 0 has 'mse'"),
    "no loss": (lambda: models(None), {"combine": "vote"}, ValueError, "model 0 has None"),
    "weights": (models, {"weights": [1, 2]}, ValueError, r"got shape \(2,\)"),
    "negative": (models, {"weights": [1, -2, 0]}, ValueError, "weights must be >= 0, got -2"),
    "zero": (models, {"weights": [0, 0, 0]}, ValueError, "weights are all zero"),
}


@pytest.mark.parametrize(("made", "settings", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(made, settings, error, message):
    with pytest.raises(error, match=message):
        fn.Ensemble(made(), **settings)


def test_bad_data_is_refused():
    ensemble = fn.Ensemble(models(None))
    with pytest.raises(ValueError, match="X must have 4 columns|X must have shape"):
        ensemble.predict(X[:, :2])
    with pytest.raises(ValueError, match="the first model has no loss"):
        ensemble.evaluate(X, LABELS)
