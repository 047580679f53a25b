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
