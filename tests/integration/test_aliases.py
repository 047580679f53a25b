"""Names that other libraries have for losses and activations."""

import numpy as np
import pytest

import fastnn as fn
from fastnn import activations, losses
from fastnn.sklearn import MLPRegressor

X = np.random.default_rng(0).normal(size=(9, 2))
LOSSES = {
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "sparse_categorical_crossentropy": "cross_entropy",
    "categorical_crossentropy": "cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
    "categorical_focal_crossentropy": "focal",
    "kullback_leibler_divergence": "kl_divergence",
}
ACTIVATIONS = {"linear": "identity", "swish": "silu", "logistic": "sigmoid"}


@pytest.mark.parametrize("alias", LOSSES)
def test_losses(alias, tmp_path):
    model = fn.Model([fn.Dense(2)], alias).build(3)
    assert model.loss == losses.get(LOSSES[alias])
    assert [metric.name for metric in model.metrics] == [
        metric.name for metric in fn.Model([fn.Dense(2)], LOSSES[alias]).metrics
    ]
    model.save(tmp_path / "m.safetensors")
    assert fn.load(tmp_path / "m.safetensors").loss == model.loss


@pytest.mark.parametrize("alias", ACTIVATIONS)
def test_activations(alias):
    assert fn.Dense(2, alias).activation == activations.get(ACTIVATIONS[alias])
    assert np.array_equal(fn.Activation(alias)(X), fn.Activation(ACTIVATIONS[alias])(X))
    settings = {"hidden_layer_sizes": (3,), "solver": "lbfgs", "random_state": 0}
    regressors = [MLPRegressor(activation=name, **settings) for name in (alias, ACTIVATIONS[alias])]
    first, second = (regressor.fit(X, X[:, 0]).predict(X) for regressor in regressors)
    assert np.array_equal(first, second)


def test_every_alias_is_of_a_name_that_there_is():
    assert LOSSES == losses.ALIASES and set(LOSSES.values()) <= set(losses.TABLE)
    assert ACTIVATIONS == activations.ALIASES and set(ACTIVATIONS.values()) <= set(activations.TABLE)


def test_one_of_ones_own_goes_first(tmp_path):
    """Also in files: without it, its name is unknown there, and not that of another function."""
    own = fn.register_activation(lambda x: 3 * x, lambda x: 3.0, "swish", replace=True)
    try:
        model = fn.Model([fn.Dense(2, "swish")]).build(3)
        assert model.layers[0].activation is own
        model.save(tmp_path / "m.safetensors")
    finally:
        del activations.TABLE["swish"]
    with pytest.raises(ValueError, match="unknown activation 'swish'"):
        fn.load(tmp_path / "m.safetensors")
