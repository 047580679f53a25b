"""`Ensemble.predict_distribution`, and what samples of a network with dropout say, against plain NumPy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
from fastnn.kernels.layers.dropout import dropout_mask

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
WEIGHTS = np.array([1.0, 0.0, 3.0]) / 4


def models(loss, n_out, last="identity"):
    layers = ([fn.Dense(6, "tanh"), fn.Dropout(0.3), fn.Dense(n_out, last)] for _ in range(3))
    made = [fn.Model(own, loss, dtype="float64", seed=i) for i, own in enumerate(layers)]
    for model in made:
        model.build(3).parameters[...] *= 3
    return made


def mean(values):
    return np.einsum("m,m...->...", WEIGHTS, np.array(values))


def entropy(p):
    return -(p * np.log(p)).sum(axis=-1)


def both(loss, n_out, last="identity", x=X):
    made = models(loss, n_out, last)
    return [model.predict(x) for model in made], fn.Ensemble(made, weights=WEIGHTS).predict_distribution(x)


@pytest.mark.parametrize("targets", [1, 2])
def test_means_and_variances_are_those_of_the_mixture(targets):
    outputs, found = both("gaussian_nll", 2 * targets)
    means = [y[:, :targets].reshape(found["mean"].shape) for y in outputs]
    variances = [np.exp(y[:, targets:]).reshape(found["mean"].shape) for y in outputs]
    assert list(found) == ["mean", "std", "aleatoric_std", "epistemic_std"]
    assert found["mean"].shape == ((40,) if targets == 1 else (40, 2))
    assert_allclose(found["mean"], mean(means))
    second_moment = mean([v + m**2 for m, v in zip(means, variances, strict=True)])
    assert_allclose(found["std"] ** 2, second_moment - found["mean"] ** 2)
    assert_allclose(found["aleatoric_std"] ** 2, mean(variances))
    assert_allclose(found["epistemic_std"] ** 2, mean(np.square(means)) - found["mean"] ** 2, atol=1e-12)


def test_a_gaussian_mixture_is_sampled():
    """Draws of a member, then of its distribution, have the mean and the deviation that are told."""
    made = models("gaussian_nll", 2)
    ensemble = fn.Ensemble(made, weights=WEIGHTS)
    which = RNG.choice(3, 200_000, p=ensemble.weights)
    parts = np.array([list(model.predict_distribution(X[0]).values()) for model in made])
    draws = RNG.normal(*parts[which].T)
    found = ensemble.predict_distribution(X[0])
    assert found["mean"].shape == ()
    assert draws.mean() == pytest.approx(found["mean"], abs=4 * found["std"] / np.sqrt(draws.size))
    assert draws.std() == pytest.approx(found["std"], rel=0.01)


@pytest.mark.parametrize("loss", ["poisson", fn.losses.mixture_density(2)], ids=["poisson", "mixture"])
def test_other_losses_with_a_deviation(loss):
    made = models(loss, 1 if loss == "poisson" else 6)
    own = [model.predict_distribution(X) for model in made]
    found = fn.Ensemble(made, weights=WEIGHTS).predict_distribution(X)
    assert_allclose(found["mean"], mean([each["mean"] for each in own]))
    second_moment = mean([each["std"] ** 2 + each["mean"] ** 2 for each in own])
    assert_allclose(found["std"] ** 2, second_moment - found["mean"] ** 2)


def test_quantiles_are_averaged():
    outputs, found = both(fn.losses.quantiles([0.1, 0.9]), 2)
    assert_allclose(found["quantiles"], mean(outputs))
    assert_allclose(found["epistemic_std"] ** 2, mean(np.square(outputs)) - mean(outputs) ** 2, atol=1e-12)


@pytest.mark.parametrize("loss", ["mse", "huber", "hinge", None])
@pytest.mark.parametrize("n_out", [1, 3])
def test_other_outputs_have_a_mean_and_a_deviation(loss, n_out):
    outputs, found = both(loss, n_out)
    shape = (40,) if n_out == 1 else (40, 3)
    assert list(found) == ["mean", "std"]
    assert_allclose(found["mean"], mean(outputs).reshape(shape))
    assert_allclose(
        found["std"] ** 2, (mean(np.square(outputs)) - mean(outputs) ** 2).reshape(shape), atol=1e-9
    )


@pytest.mark.parametrize("last", ["identity", "softmax"])
def test_classes(last):
    made = models("cross_entropy", 4, last)
    own = [model.predict_proba(X) for model in made]
    found = fn.Ensemble(made, weights=WEIGHTS).predict_distribution(X)
    assert_allclose(found["probabilities"], mean(own))
    assert_allclose(found["entropy"], entropy(mean(own)))
    expected = entropy(mean(own)) - mean([entropy(p) for p in own])
    assert_allclose(found["mutual_information"], expected, atol=1e-12)
    assert (found["mutual_information"] >= 0).all()
    assert (found["mutual_information"] <= found["entropy"]).all()


@pytest.mark.parametrize("n_out", [1, 3])
def test_labels(n_out):
    made = models("binary_cross_entropy", n_out)
    own = [1 / (1 + np.exp(-model.predict(X))) for model in made]
    found = fn.Ensemble(made, weights=WEIGHTS).predict_distribution(X)
    shape = (40,) if n_out == 1 else (40, 3)
    pairs = np.stack([1 - np.array(own), np.array(own)], axis=-1)
    assert_allclose(found["probabilities"], mean(pairs)[:, 0] if n_out == 1 else mean(own))
    assert_allclose(found["entropy"], entropy(mean(pairs)).reshape(shape))
    expected = (entropy(mean(pairs)) - mean(entropy(pairs))).reshape(shape)
    assert_allclose(found["mutual_information"], expected, atol=1e-12)


def test_certain_probabilities_have_no_entropy():
    layer = fn.Dense(2)
    model = fn.Model([layer], "cross_entropy").build(1)
    layer.weights, layer.bias = [[0.0, 0.0]], [1e6, -1e6]
    found = fn.Ensemble([model]).predict_distribution([[0.0]])
    assert found["probabilities"].tolist() == [[1, 0]]
    assert found["entropy"].tolist() == found["mutual_information"].tolist() == [0]


def test_members_of_one_model_agree():
    model = models("gaussian_nll", 2)[0]
    found, own = fn.Ensemble([model]).predict_distribution(X), model.predict_distribution(X)
    assert not found["epistemic_std"].any()
    assert_allclose(found["std"], own["std"])
    assert_allclose(found["mean"], own["mean"])


def test_images_keep_their_axes():
    made = [fn.Model([fn.Conv2D(2, 3)], "mse", seed=i).build((5, 4, 1)) for i in range(2)]
    x = RNG.normal(size=(3, 5, 4, 1))
    outputs, found = [model.predict(x) for model in made], fn.Ensemble(made).predict_distribution(x)
    assert_allclose(found["mean"], np.mean(outputs, axis=0), rtol=1e-5, atol=1e-6)
    assert found["std"].shape == (3, 3, 2, 2)
    assert fn.Ensemble(made).predict_distribution(x[0])["std"].shape == (3, 2, 2)


CASES = [("gaussian_nll", 4), ("mse", 1), ("cross_entropy", 3), ("binary_cross_entropy", 2), ("corn", 2)]


@pytest.mark.parametrize(("loss", "n_out"), CASES)
@pytest.mark.parametrize("x", [X, X[0]], ids=["rows", "one"])
def test_samples_are_taken_for_members(loss, n_out, x):
    """The networks that dropout draws are built, and make an ensemble that says the same."""
    model, drawn = models(loss, n_out)[0], []
    first, _, last = model.layers
    masks = model.outputs(np.zeros((1, 3)), [0])[0].size
    for k in range(3):
        mask = np.empty(masks)
        dropout_mask(0.3, 7, 2, k, 0, mask)
        other = fn.Model([fn.Dense(6, "tanh"), fn.Dense(n_out)], loss, dtype="float64").build(3)
        other.layers[0].weights, other.layers[0].bias = first.weights, first.bias
        other.layers[1].weights, other.layers[1].bias = mask[:, np.newaxis] * last.weights, last.bias
        drawn.append(other)
    expected = fn.Ensemble(drawn).predict_distribution(x)
    found = model.predict_distribution(x, samples=3, seed=7)
    assert list(found) == list(expected)
    for name, values in found.items():
        assert values.shape == expected[name].shape
        assert_allclose(values, expected[name], rtol=1e-6, atol=1e-9)


def test_float64_if_one_of_the_models_is():
    made = [fn.Model([fn.Dense(1)], "mse", dtype=d, seed=0).build(3) for d in ("float32", "float64")]
    assert {values.dtype.name for values in fn.Ensemble(made).predict_distribution(X).values()} == {"float64"}


def test_models_that_say_other_things_are_refused():
    made = [*models("gaussian_nll", 2)[:1], *models("mse", 2)[:1]]
    message = "model 1, with loss 'mse', predicts values, and the first mean, std; predict_distribution needs"
    with pytest.raises(ValueError, match=message):
        fn.Ensemble(made).predict_distribution(X)
