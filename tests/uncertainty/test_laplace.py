"""`LastLayerLaplace` against Bayesian linear regression in closed form, draws of weights, and known noise."""

import copy
import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnn as fn
from fastnn.uncertainty import LastLayerLaplace

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4))
VALUES = X @ RNG.normal(size=(4, 2)) + 0.5 + [0.3, 1.0] * RNG.normal(size=(300, 2))
NEW = 3 * RNG.normal(size=(20, 4))


def trained(y, loss="mse", last=None, dtype="float64", after=(), epochs=40, **settings):
    n_out = int(y.max()) + 1 if loss in ("cross_entropy", "nll") else y.reshape(len(y), -1).shape[1]
    layers = [fn.Dense(8, "tanh"), fn.Dense(n_out, last, **settings), *after]
    model = fn.Model(layers, loss, fn.Adam(0.02), dtype=dtype, seed=1)
    model.fit(X, y, epochs=epochs)
    return model


def features(model, x, bias=True):
    (hidden,) = model.outputs(x, [0])
    return np.hstack([hidden, np.ones((len(hidden), 1))]) if bias else hidden


def log_evidence(phi, w, y, precision, noise):
    """Of targets for given weights, by the determinants of covariances: P. Bishop, 2006, equation 3.86."""
    total, (n, d) = 0.0, phi.shape
    for k in range(y.shape[1]):
        hessian = phi.T @ phi / noise[k] ** 2 + precision * np.eye(d)
        total -= n / 2 * math.log(2 * math.pi * noise[k] ** 2)
        total -= ((y[:, k] - phi @ w[:, k]) ** 2).sum() / (2 * noise[k] ** 2)
        total += d / 2 * math.log(precision) - precision / 2 * (w[:, k] ** 2).sum()
        total -= np.linalg.slogdet(hessian)[1] / 2
    return total


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("targets", [1, 2])
def test_values_are_those_of_bayesian_linear_regression(targets, bias):
    model = trained(VALUES[:, :targets], use_bias=bias)
    found = LastLayerLaplace(model, prior_precision=0.7, noise_std=0.4).fit(X, VALUES[:, :targets])
    phi, new = features(model, X, bias), features(model, NEW, bias)
    covariance = np.linalg.inv(phi.T @ phi / 0.4**2 + 0.7 * np.eye(phi.shape[1]))
    variance = np.einsum("ni,ij,nj->n", new, covariance, new)
    told = found.predict_distribution(NEW)
    shape = (20,) if targets == 1 else (20, 2)
    assert list(told) == ["mean", "std", "aleatoric_std", "epistemic_std"]
    assert_allclose(
        told["epistemic_std"].reshape(20, -1), np.sqrt(variance)[:, np.newaxis].repeat(targets, 1)
    )
    assert_allclose(told["std"] ** 2, told["epistemic_std"] ** 2 + 0.4**2)
    assert_array_equal(told["aleatoric_std"], np.full(shape, 0.4))
    assert_array_equal(told["mean"], model.predict(NEW).reshape(shape))
    dense = model.layers[1]
    w = np.vstack([dense.weights, dense.bias]) if bias else dense.weights
    expected = log_evidence(phi, w, VALUES[:, :targets], 0.7, [0.4] * targets)
    assert found.log_marginal_likelihood_ == pytest.approx(expected, rel=1e-9)
    assert found.prior_precision_ == 0.7
    assert found.noise_std_.tolist() == [0.4] * targets


def test_prior_and_noise_have_the_largest_marginal_likelihood():
    model = trained(VALUES)
    found = LastLayerLaplace(model).fit(X, VALUES)
    best, w = found.log_marginal_likelihood_, np.vstack([model.layers[1].weights, model.layers[1].bias])
    settings = found.prior_precision_, *found.noise_std_
    assert log_evidence(features(model, X), w, VALUES, settings[0], settings[1:]) == pytest.approx(best)
    for i in range(3):
        for factor in (0.997, 1.003):
            other = [value * factor if i == j else value for j, value in enumerate(settings)]
            assert log_evidence(features(model, X), w, VALUES, other[0], other[1:]) < best
    fixed = LastLayerLaplace(model, prior_precision=found.prior_precision_).fit(X, VALUES)
    assert_allclose(fixed.noise_std_, found.noise_std_, rtol=1e-6)


@pytest.mark.parametrize("loss", ["cross_entropy", "nll"])
def test_classes_are_those_of_draws_of_the_weights(loss):
    y = np.digitize(VALUES[:, 0], [-1.5, 1.5])
    model = trained(y, loss, "log_softmax" if loss == "nll" else None)
    found = LastLayerLaplace(model, prior_precision=0.5).fit(X, y)
    told = found.predict_distribution(NEW)["probabilities"]
    phi, new, w = (
        features(model, X),
        features(model, NEW),
        np.vstack([model.layers[1].weights, model.layers[1].bias]),
    )
    p = softmax(phi @ w)
    hessian = 0.5 * np.eye(27)
    for row, each in zip(phi, p, strict=True):
        hessian += np.kron(np.diag(each) - np.outer(each, each), np.outer(row, row))
    draws = RNG.multivariate_normal(w.T.ravel(), np.linalg.inv(hessian), 20000).reshape(-1, 3, 9)
    expected = softmax(np.einsum("nd,skd->snk", new, draws)).mean(axis=0)
    assert_allclose(told, expected, atol=0.03)
    assert abs(told - expected).mean() < abs(softmax(new @ w) - expected).mean() / 2
    evidence = np.log(p[np.arange(300), y]).sum() - 0.25 * (w**2).sum()
    evidence += 27 / 2 * math.log(0.5) - np.linalg.slogdet(hessian)[1] / 2
    assert found.log_marginal_likelihood_ == pytest.approx(evidence)
    for precision in (0.9, 1.1):
        free = LastLayerLaplace(model).fit(X, y)
        other = LastLayerLaplace(model, precision * free.prior_precision_).fit(X, y)
        assert other.log_marginal_likelihood_ < free.log_marginal_likelihood_


@pytest.mark.parametrize("last", [None, "sigmoid"])
@pytest.mark.parametrize("n_out", [1, 2])
def test_labels_are_those_of_draws_of_the_weights(n_out, last):
    y = (VALUES[:, :n_out] > 0.5).astype(float)
    model = trained(y, "binary_cross_entropy", last)
    found = LastLayerLaplace(model, prior_precision=0.5).fit(X, y)
    told = found.predict_distribution(NEW)["probabilities"]
    phi, new, w = (
        features(model, X),
        features(model, NEW),
        np.vstack([model.layers[1].weights, model.layers[1].bias]),
    )
    p = 1 / (1 + np.exp(-phi @ w))
    expected = []
    for k in range(n_out):
        hessian = (phi * (p * (1 - p))[:, k : k + 1]).T @ phi + 0.5 * np.eye(9)
        draws = RNG.multivariate_normal(w[:, k], np.linalg.inv(hessian), 20000)
        expected.append((1 / (1 + np.exp(-new @ draws.T))).mean(axis=1))
    if n_out == 1:
        expected = [1 - expected[0], expected[0]]
    assert_allclose(told, np.transpose(expected), atol=0.02)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_two_classes_by_softmax_or_sigmoid_are_told_alike():
    """Weights of -w/2 and w/2 with half the prior's variance each are w of a single logit."""
    y = (VALUES[:, 0] > 0.5).astype(int)
    one = trained(y.astype(float), "binary_cross_entropy")
    layers = [fn.Dense(8, "tanh"), fn.Dense(2)]
    two = fn.Model(layers, "cross_entropy", dtype="float64").build(4)
    for name in ("weights", "bias"):
        setattr(layers[0], name, getattr(one.layers[0], name))
        half = getattr(one.layers[1], name) / 2
        setattr(layers[1], name, np.concatenate([-half, half], axis=-1))
    found = [
        LastLayerLaplace(model, precision).fit(X, y).predict_distribution(NEW)["probabilities"]
        for model, precision in ((one, 1.0), (two, 2.0))
    ]
    assert_allclose(*found, rtol=1e-6)


def test_targets_in_their_units():
    """`Unscale` behind the last layer: the same as for scaled targets, in the target's units."""
    y = 1000 + 50 * VALUES
    model = trained(y, after=[fn.Unscale()])
    found = LastLayerLaplace(model).fit(X, y)
    scale = model.layers[-1].scale
    bare = fn.Model([fn.Dense(8, "tanh"), fn.Dense(2)], "mse", dtype="float64").build(4)
    bare.parameters[...] = model.parameters
    scaled = LastLayerLaplace(bare).fit(X, (y - model.layers[-1].mean) / scale)
    assert found.prior_precision_ == pytest.approx(scaled.prior_precision_)
    assert_allclose(found.noise_std_, scaled.noise_std_ * scale)
    evidence = scaled.log_marginal_likelihood_ - 300 * np.log(scale).sum()
    assert found.log_marginal_likelihood_ == pytest.approx(evidence)
    told, expected = found.predict_distribution(NEW), scaled.predict_distribution(NEW)
    assert_array_equal(told["mean"], model.predict(NEW))
    assert_allclose(told["std"], expected["std"] * scale)
    given = LastLayerLaplace(model, noise_std=20).fit(X, y)
    assert given.noise_std_.tolist() == pytest.approx([20, 20])


def test_a_single_layer_and_an_activation_behind():
    y = (VALUES[:, 0] > 0.5).astype(int)
    found = []
    for layers in ([fn.Dense(2)], [fn.Dense(2, "softmax")], [fn.Dense(2), fn.Activation("softmax")]):
        model = fn.Model(layers, "cross_entropy", fn.Adam(0.05), dtype="float64", seed=0)
        model.fit(X, y, epochs=30)
        found.append(LastLayerLaplace(model).fit(X, y).predict_distribution(NEW)["probabilities"])
    assert_allclose(found[1], found[0])
    assert_allclose(found[2], found[0])


def test_rows_samples_and_dtypes():
    model = trained(VALUES, dtype="float32")
    found = LastLayerLaplace(model).fit(X, VALUES)
    told = found.predict_distribution(NEW)
    assert {values.dtype.name for values in told.values()} == {"float32"}
    for i in (0, 7):
        for name, values in found.predict_distribution(NEW[i]).items():
            assert_array_equal(values, told[name][i])
    single = LastLayerLaplace(trained(VALUES[:, 0])).fit(X, VALUES[:, 0])
    assert single.predict_distribution(NEW[0])["std"].shape == ()
    images = fn.Model(
        [fn.Conv2D(3, 2), fn.Activation("relu"), fn.Flatten(), fn.Dense(1)], "mse", seed=0
    ).build((2, 2, 1))
    found = LastLayerLaplace(images).fit(X.reshape(-1, 2, 2, 1), VALUES[:, 0])
    assert found.predict_distribution(NEW.reshape(-1, 2, 2, 1))["mean"].shape == (20,)


def test_later_training_and_copies_change_nothing():
    model = trained(VALUES)
    found = LastLayerLaplace(model).fit(X, VALUES)
    before = found.predict_distribution(NEW)
    others = [copy.deepcopy(found), pickle.loads(pickle.dumps(found))]
    model.fit(X, VALUES, epochs=3)
    for laplace in (found, *others):
        for name, values in laplace.predict_distribution(NEW).items():
            assert_array_equal(values, before[name])
    assert not np.array_equal(found.fit(X, VALUES).predict_distribution(NEW)["mean"], before["mean"])
    with pytest.raises(ValueError, match="y"):
        found.fit(X, VALUES[:5])
    found.predict_distribution(NEW)


MODEL = [fn.Dense(8, "tanh"), fn.Dense(2)]
BAD_MODELS = {
    "loss": (lambda: fn.Model(copy.deepcopy(MODEL), "mae"), "one of the losses mse, sse, .* not 'mae'"),
    "no loss": (lambda: fn.Model(copy.deepcopy(MODEL)), "one of the losses .* not None"),
    "setting": (
        lambda: fn.Model(copy.deepcopy(MODEL), fn.losses.cross_entropy(label_smoothing=0.1)),
        "one of the losses .* not .*label_smoothing",
    ),
    "activation": (
        lambda: fn.Model([fn.Dense(2, "tanh")], "mse"),
        r"ends in fn\.Dense without .*Dense\(2, 'tanh'\)",
    ),
    "layer": (lambda: fn.Model([fn.Dense(2), fn.LayerNormalization()], "mse"), r"not in LayerNormalization"),
    "inside": (lambda: fn.Model([fn.Sequential([fn.Dense(2)])], "mse"), r"not in Sequential"),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_models_that_do_not_suit_are_refused(name):
    make, message = BAD_MODELS[name]
    with pytest.raises(ValueError, match=message):
        LastLayerLaplace(make())


@pytest.mark.parametrize("name", ["prior_precision", "noise_std"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [(0, ValueError), (-1.0, ValueError), (np.nan, ValueError), ("1", TypeError), (True, TypeError)],
)
def test_bad_settings_are_refused(name, value, kind):
    with pytest.raises(kind, match=f"{name} must be .*{value!r}"):
        LastLayerLaplace(fn.Model(copy.deepcopy(MODEL), "mse"), **{name: value})


def test_what_does_not_fit_is_refused():
    with pytest.raises(TypeError, match=r"model must be a fn\.Model, got 3"):
        LastLayerLaplace(3)
    with pytest.raises(ValueError, match="noise_std is for models of values, not for 'cross_entropy'"):
        LastLayerLaplace(fn.Model(copy.deepcopy(MODEL), "cross_entropy"), noise_std=1)
    found = LastLayerLaplace(fn.Model(copy.deepcopy(MODEL), "mse"))
    with pytest.raises(ValueError, match="the model is not built yet"):
        found.fit(X, VALUES)
    with pytest.raises(ValueError, match=r"LastLayerLaplace is not fitted yet; use fit\(X, y\)"):
        found.predict_distribution(NEW)
    with pytest.raises(AttributeError, match="noise"):
        found.noise = 3
    steps = fn.Model([fn.Dense(2)], "mse").build((3, 4))
    with pytest.raises(ValueError, match=r"needs an output of one axis, the last layer gives \(3, 2\)"):
        LastLayerLaplace(steps).fit(np.ones((5, 3, 4)), np.ones((5, 3, 2)))
    missing = fn.Model([fn.Dense(1)], "mse", missing_targets="ignore").build(4)
    with pytest.raises(ValueError, match="missing targets"):
        LastLayerLaplace(missing).fit(X[:3], [1.0, np.nan, 2.0])
