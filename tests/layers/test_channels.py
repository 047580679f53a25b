"""Preprocessing layers on samples of several axes: their columns are the channels of the last axis."""

import numpy as np
import pytest

import fastnn as fn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4, 3, 2)) * [3, 70] + [1, 100]
Y = RNG.normal(size=(60, 4, 3, 5)) * [1, 1e-3, 1e3, 1, 1] + [0, 0, 500, 1, 2]
WEIGHT = RNG.integers(0, 3, 60)
AXES = (0, 1, 2)

ADAPTED = {
    "alone": lambda layer, **options: layer.adapt(X, **options),
    "in a model": lambda layer, **options: fn.Model([layer]).adapt(X, **options).layers[0],
    "in a built model": lambda layer, **options: (
        fn.Model([layer.adapt(X + 1)]).build(X.shape[1:]).adapt(X, **options).layers[0]
    ),
    "alone in a built model": lambda layer, **options: (
        fn.Model([layer.adapt(X + 1)]).build(X.shape[1:]).layers[0].adapt(X, **options)
    ),
    "second": lambda layer, **options: (
        fn.Model([fn.Activation("linear"), layer]).adapt(X, **options).layers[1]
    ),
}


@pytest.mark.parametrize("how", ADAPTED)
def test_numbers_of_channels(how):
    adapted = ADAPTED[how]
    layer = adapted(fn.Standardize())
    np.testing.assert_allclose(layer.mean, X.mean(axis=AXES), rtol=1e-5)
    np.testing.assert_allclose(layer.scale, X.std(axis=AXES), rtol=1e-5)
    repeated = np.repeat(X, WEIGHT, axis=0)
    weighted = adapted(fn.Standardize(-1), sample_weight=WEIGHT)
    np.testing.assert_allclose(weighted.mean, [0, repeated[..., 1].mean()], rtol=1e-5)
    np.testing.assert_allclose(weighted.scale, [1, repeated[..., 1].std()], rtol=1e-5)
    layer = adapted(fn.MinMax(), sample_weight=np.arange(60) % 2)
    np.testing.assert_allclose(layer.data_min, X[1::2].min(axis=AXES), rtol=1e-5)
    np.testing.assert_allclose(layer.data_max, X[1::2].max(axis=AXES), rtol=1e-5)


def test_fit_adapts_to_the_channels_of_samples_and_targets():
    layers = [fn.Standardize(), fn.Dense(8, "tanh"), fn.Dense(5), fn.Unscale()]
    model = fn.Model(layers, "mse", seed=0, missing_targets="ignore")
    y = Y.copy()
    y[3], y[5:9, 1:, 0, 2] = np.nan, np.nan
    model.fit(X, y)
    np.testing.assert_allclose(layers[0].mean, X.mean(axis=AXES), rtol=1e-5)
    np.testing.assert_allclose(layers[-1].mean, np.nanmean(y, axis=AXES), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layers[-1].scale, np.nanstd(y, axis=AXES), rtol=1e-4)
    assert np.allclose(fn.Unscale().adapt(Y).mean, Y.mean(axis=AXES))
    assert model.predict(X).shape == Y.shape


def test_other_shapes_are_refused():
    model = fn.Model([fn.Standardize().adapt(X)])
    with pytest.raises(ValueError, match=r"Standardize\(\) is adapted to 2 columns, but its input has 3"):
        model.build((4, 2, 3))
    with pytest.raises(ValueError, match="column 2 is not among the 2 columns"):
        fn.Standardize(2).adapt(X)
    built = fn.Model([fn.MinMax().adapt(X)]).build((4, 3, 2))
    with pytest.raises(ValueError, match=r"X must have shape \(n, 4, 3, 2\), as in the model, got shape"):
        built.layers[0].adapt(X[:, 0])
