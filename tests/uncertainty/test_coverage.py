"""Coverage: how often intervals hold the target, on data whose noise is known."""

import numpy as np
import pytest

import fastnn as fn

Z = 1.6449  # of a normal distribution, 90 % lie within so many standard deviations


def draw(n, seed):
    """A sine with noise, whose deviation is 0.1 on the left and 0.3 on the right, and that deviation."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (n, 1))
    noise = 0.1 + 0.2 * (x > 0)
    return x, np.sin(3 * x) + noise * rng.normal(size=x.shape), noise[:, 0]


X, Y, _ = draw(2000, 0)
NEW, TARGET, NOISE = draw(5000, 1)


def inside(mean, std):
    return float((abs(TARGET[:, 0] - mean) <= Z * std).mean())


def test_a_deep_ensemble_knows_the_noise():
    steps = 100 * -(-len(X) // 64)

    def model(seed):
        layers = [fn.Dense(32, "tanh"), fn.Dense(32, "tanh"), fn.Dense(2)]
        return fn.Model(layers, "gaussian_nll", fn.Adam(fn.schedules.cosine(0.01, steps)), seed=seed)

    models = [model(seed) for seed in range(5)]
    fn.fit_many(models, X, Y, epochs=100, batch_size=64)
    ensemble = fn.Ensemble(models)
    found = ensemble.predict_distribution(NEW)
    assert 0.885 < inside(found["mean"], found["std"]) < 0.915
    right = NEW[:, 0] > 0.1
    assert found["aleatoric_std"][right].mean() == pytest.approx(0.3, rel=0.1)
    assert found["aleatoric_std"][NEW[:, 0] < -0.1].mean() == pytest.approx(0.1, rel=0.1)
    # Where there were no samples the models disagree.
    far = ensemble.predict_distribution(np.linspace(3, 5, 20).reshape(-1, 1))
    assert far["epistemic_std"].mean() > 5 * found["epistemic_std"].mean()


def test_dropout_makes_up_for_what_the_network_does_not_know():
    steps = 100 * -(-len(X) // 64)
    layers = [fn.Dense(128, "relu", kernel_initializer="he_normal"), fn.Dropout(0.05)]
    layers += [fn.Dense(128, "relu", kernel_initializer="he_normal"), fn.Dropout(0.05), fn.Dense(1)]
    model = fn.Model(layers, "mse", fn.Adam(fn.schedules.cosine(3e-3, steps)), seed=0)
    model.fit(X, Y, epochs=100, batch_size=64)
    found = model.predict_distribution(NEW, samples=100, seed=1)
    with_samples = inside(found["mean"], np.sqrt(found["std"] ** 2 + NOISE**2))
    alone = inside(model.predict(NEW)[:, 0], NOISE)
    assert 0.88 < with_samples < 0.94
    assert alone < with_samples - 0.03


def test_laplace_knows_the_noise_and_where_no_sample_was():
    """Of a noise that is the same everywhere, which the likelihood of mse takes for granted."""
    rng = np.random.default_rng(2)
    y, target = (np.sin(3 * x) + 0.2 * rng.normal(size=x.shape) for x in (X[:300], NEW))
    layers = [fn.Dense(32, "tanh"), fn.Dense(32, "tanh"), fn.Dense(1)]
    model = fn.Model(layers, "mse", fn.Adam(fn.schedules.cosine(0.01, 2500)), seed=0)
    model.fit(X[:300], y, epochs=250, batch_size=32)
    laplace = fn.uncertainty.LastLayerLaplace(model).fit(X[:300], y)
    found = laplace.predict_distribution(NEW)
    assert 0.88 < (abs(target[:, 0] - found["mean"]) <= Z * found["std"]).mean() < 0.93
    assert laplace.noise_std_ == pytest.approx([0.2], rel=0.15)
    far = laplace.predict_distribution([[4.0]])
    assert far["epistemic_std"][0] > 4 * found["epistemic_std"].mean()


def test_laplace_makes_up_for_too_much_confidence_in_classes():
    """Few samples of two classes that overlap: probabilities of the model are too near to 0 and 1."""
    rng = np.random.default_rng(0)

    def sample(n):
        y = rng.integers(0, 2, n)
        return rng.normal(size=(n, 2)) + 0.75 * (2 * y[:, np.newaxis] - 1), y

    (x, y), (new, target) = sample(100), sample(4000)
    layers = [fn.Dense(32, "relu"), fn.Dense(32, "relu"), fn.Dense(2)]
    model = fn.Model(layers, "cross_entropy", fn.Adam(0.01), seed=0)
    model.fit(x, y, epochs=200, batch_size=16)
    laplace = fn.uncertainty.LastLayerLaplace(model).fit(x, y)
    p, q = model.predict_proba(new), laplace.predict_distribution(new)["probabilities"]
    right = p.argmax(axis=1) == target
    assert np.array_equal(q.argmax(axis=1), p.argmax(axis=1))
    assert p.max(axis=1).mean() > right.mean() + 0.1
    assert abs(q.max(axis=1).mean() - right.mean()) < 0.06
    log_losses = [-np.log(each[np.arange(4000), target]).mean() for each in (p, q)]
    assert log_losses[1] < 0.6 * log_losses[0]
