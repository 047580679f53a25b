"""What outputs mean: means, deviations, quantiles, probabilities."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
from tests.helpers.row_losses import (
    CASES,
    LABELS,
    RNG,
    SIGNS,
    TWO,
    N,
    X,
    log_softmax,
    model_of,
    ranked,
    softplus,
)


def test_distributions():
    def predicted(name, x=X):
        loss, n_out, *_ = CASES[name]
        model = model_of(loss, n_out)
        return model.predict(x), model.predict_distribution(x)

    y, found = predicted("gaussian_nll")
    assert list(found) == ["mean", "std"] and found["mean"].shape == (N,)
    assert_allclose(found["mean"], y[:, 0])
    assert_allclose(found["std"], np.exp(y[:, 1] / 2))
    y, found = predicted("gaussian_nll of two")
    assert_allclose(np.hstack([found["mean"], 2 * np.log(found["std"])]), y, atol=1e-12)
    y, found = predicted("gaussian_nll of two", X[0])
    assert found["mean"].shape == (2,)

    y, found = predicted("quantiles")
    assert list(found) == ["quantiles"] and np.array_equal(found["quantiles"], y)
    y, found = predicted("quantiles of two")
    assert found["quantiles"].shape == (N, 2, 2)
    assert_allclose(found["quantiles"][:, 1], y[:, :2] + softplus(y[:, 2:]))
    y, found = predicted("noncrossing", X[0])
    assert found["quantiles"].shape == (3,) and (np.diff(found["quantiles"]) > 0).all()

    y, found = predicted("mixture_density of two")
    shapes = {name: values.shape for name, values in found.items()}
    assert shapes == {
        "mean": (N, 2),
        "std": (N, 2),
        "weights": (N, 2),
        "means": (N, 2, 2),
        "stds": (N, 2),
    }
    drawn = RNG.normal(size=(400_000, 2))
    component = (RNG.uniform(size=len(drawn)) > found["weights"][0, 0]).astype(int)
    drawn = found["means"][0, component] + found["stds"][0, component, np.newaxis] * drawn
    assert_allclose(drawn.mean(axis=0), found["mean"][0], atol=0.05)
    assert_allclose(drawn.std(axis=0), found["std"][0], rtol=0.02)

    y, found = predicted("corn")
    rows = -np.log(found["probabilities"][np.arange(N), LABELS])
    assert_allclose(found["probabilities"].sum(axis=1), 1)
    assert_allclose(rows, ranked(y, LABELS))
    model = model_of("corn", 3)
    assert np.array_equal(model.predict_proba(X), found["probabilities"])
    above = 1 - np.cumsum(found["probabilities"], axis=1)[:, :-1]
    assert np.array_equal(model.predict_class(X), (above > 0.5).sum(axis=1))
    assert model.predict_class(X[0]) == model.predict_class(X)[0]

    for name in ("focal", "kl_divergence"):
        y, found = predicted(name)
        assert_allclose(np.log(found["probabilities"]), log_softmax(y))
    model = model_of("poisson", 1)
    assert_allclose(model.predict_distribution(X)["std"] ** 2, np.exp(model.predict(X))[:, 0])
    model = model_of(fn.losses.quantile(0.9), 1)
    assert_allclose(model.predict_distribution(X)["quantiles"], model.predict(X))
    for loss in ("mse", "hinge", "cosine_similarity", None):
        with pytest.raises(ValueError, match="predict_distribution needs a model with one of the losses"):
            model_of(loss, 2).predict_distribution(X)


def test_hinge_tells_classes_but_no_probabilities():
    model = model_of("hinge", 1)
    assert np.array_equal(model.predict_class(X), (model.predict(X)[:, 0] > 0).astype(int))
    both = [model.evaluate(X, y) for y in (SIGNS[:, 0], (SIGNS[:, 0] > 0).astype(int))]
    assert both[0] == both[1] and "accuracy" in both[0]
    with pytest.raises(ValueError, match="'hinge' gives scores, not probabilities"):
        model.predict_proba(X)


@pytest.mark.slow
def test_noise_that_is_known_is_found():
    """The standard deviation, and the share of targets below each quantile."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (4000, 1))
    y = np.sin(3 * x) + rng.normal(size=x.shape) * (0.1 + 0.3 * (x > 0))
    layers = lambda n: [fn.Dense(32, "tanh"), fn.Dense(32, "tanh"), fn.Dense(n)]  # noqa: E731
    model = fn.Model(layers(2), "gaussian_nll", fn.Adam(0.01), seed=0)
    model.fit(x, y, epochs=40, batch_size=128)
    std = model.predict_distribution([[-0.5], [0.5]])["std"]
    assert_allclose(std, [0.1, 0.4], rtol=0.2)
    levels = [0.1, 0.5, 0.9]
    optimizer = fn.Adam(fn.schedules.cosine(0.01, steps=1280))
    model = fn.Model(layers(3), fn.losses.quantiles(levels, noncrossing=True), optimizer, seed=0)
    model.fit(x, y, epochs=40, batch_size=128)
    found = model.predict_distribution(x)["quantiles"]
    assert_allclose((y <= found).mean(axis=0), levels, atol=0.03)
    assert (np.diff(found, axis=1) >= 0).all()


def test_missing_targets_and_weights_of_classes():
    y = TWO.copy()
    y[3, 1], y[5] = np.nan, np.nan  # a row of which one target is missing does not count
    model = model_of("gaussian_nll", 4, missing_targets="ignore")
    there = np.delete(np.arange(N), [3, 5])
    assert_allclose(model.evaluate(X, y)["loss"], model.evaluate(X[there], y[there])["loss"], rtol=1e-12)
    weighted, twin = (model_of("corn", 3) for _ in range(2))
    weighted.fit(X, LABELS, class_weight={3: 5.0}, shuffle=False, epochs=2)
    twin.fit(X, LABELS, sample_weight=np.where(LABELS == 3, 5.0, 1.0), shuffle=False, epochs=2)
    assert np.array_equal(weighted.parameters, twin.parameters)
