"""The common scale of the weights of samples: free where the loss is a mean, kept or refused elsewhere."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import fastnn as fn
import fastnn.scipy
import fastnn.sklearn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
VALUES = X @ [1.0, 2.0, 3.0] + 0.1
LABELS = np.arange(60) % 3
WEIGHT = RNG.uniform(0.5, 2.0, 60).astype(np.float32).astype(float)
#: Powers of two from where float32 holds no digit, and float64 hardly one, to where sums overflow.
POWERS = [-1060, -145, -127, -40, 40, 121, 127, 1000]


def network(loss="mse", **options):
    layers = [fn.Standardize(), fn.Dense(8, "tanh"), fn.Dense(1 if loss == "mse" else 3)]
    return fn.Model(layers, loss, "sgd", dtype=options.pop("dtype", "float32"), seed=0, **options)


def trained(weight, dtype, validation_weight=WEIGHT):
    model = network(dtype=dtype, metrics=["mse", "mae", "r2"])
    data = (X, VALUES, validation_weight)
    history = model.fit(X, VALUES, epochs=3, batch_size=20, sample_weight=weight, validation_data=data)
    return history.history, model.parameters.tobytes(), model.layers[0].mean.tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("power", POWERS)
def test_a_power_of_two_in_all_weights_changes_no_bit(power, dtype):
    if power == -1060:
        weight = np.ones(60)  # of others float64 would lose digits
        assert trained(weight * 2.0**power, dtype) == trained(weight, dtype)
        return
    scaled = WEIGHT * 2.0**power
    assert trained(scaled, dtype, scaled) == trained(WEIGHT, dtype)


@pytest.mark.parametrize("scale", [1e-42, 3e36, 1e37, 1e200])
@pytest.mark.parametrize("call", ["evaluate", "loss_and_gradient", "adapt", "partial_fit"])
def test_any_scale_of_all_weights_trains_the_same(call, scale):
    def result(weight):
        model = network("cross_entropy").build(3)
        if call != "adapt":
            model.adapt(X)
        got = getattr(model, call)(*((X,) if call == "adapt" else (X, LABELS)), weight)
        figures = list(got.values()) if isinstance(got, dict) else []
        if call == "loss_and_gradient":
            figures = [got[0], *got[1]]
        return np.array([*figures, *model.parameters, *model.layers[0].mean])

    assert np.abs(result(WEIGHT * scale) - result(WEIGHT)).max() < 1e-6


def test_the_samples_left_by_a_split_have_a_scale_of_their_own():
    weight = np.where(np.arange(60) < 45, 2.0**-150, 1.0)
    model, other = network(), network()
    history = model.fit(X, VALUES, sample_weight=weight, validation_split=0.25, epochs=3).history
    assert history == other.fit(X, VALUES, validation_split=0.25, epochs=3).history


@pytest.mark.parametrize("scale", [1e-50, 1e40])
def test_class_weights_too(scale):
    table = {0: 1.0, 1: 2.0, 2: 0.5}
    far = {label: weight * scale for label, weight in table.items()}
    models = [network("cross_entropy") for _ in range(3)]
    models[0].fit(X, LABELS, class_weight=table, sample_weight=WEIGHT)
    models[1].fit(X, LABELS, class_weight=far, sample_weight=WEIGHT)
    models[2].fit(X, LABELS, class_weight=far, sample_weight=WEIGHT * scale)
    for model in models[1:]:
        np.testing.assert_allclose(model.parameters, models[0].parameters, rtol=0, atol=1e-6)


def test_fit_many_too():
    models = [network(), network(dtype="float64"), network()]
    fn.fit_many(models[:2], X, VALUES, sample_weight=WEIGHT * 2.0**125, validation_data=(X, VALUES, WEIGHT))
    models[2].fit(X, VALUES, sample_weight=WEIGHT)
    assert np.array_equal(models[0].parameters, models[2].parameters)


def test_scipy_reports_the_residuals_with_the_weights_as_given():
    small = X[:20], VALUES[:20]
    results = []
    for power in (0, -140):
        model = fn.Model([fn.Dense(1)], "mse", seed=0, dtype="float64")
        weight = WEIGHT[:20] * 2.0**power
        results.append(fn.scipy.least_squares(model, *small, "trf", sample_weight=weight, max_nfev=1))
        scale = np.sqrt(weight)[:, np.newaxis]
        residuals = scale * (model.predict(small[0]) - small[1][:, np.newaxis])
        np.testing.assert_allclose(results[-1].fun, residuals.ravel(), rtol=1e-6)
    assert results[1].cost == pytest.approx(results[0].cost * 2.0**-140)


@pytest.mark.parametrize("scale", [1e-42, 1e33, 1e37])
@pytest.mark.parametrize("name", ["evaluate", "loss_and_gradient", "fit", "partial_fit"])
def test_a_loss_that_is_a_sum_keeps_the_scale_or_refuses_it(name, scale):
    model = fn.Model([fn.Dense(1)], "sse", seed=0).build(3)
    before = model.parameters.copy()
    with pytest.raises(ValueError, match=r"sample_weight.*float32.*'sse', a sum.*float64"):
        getattr(model, name)(X, VALUES, sample_weight=WEIGHT * scale)
    assert np.array_equal(model.parameters, before)
    double = fn.Model([fn.Dense(1)], "sse", dtype="float64", seed=0).build(3)
    loss = double.evaluate(X, VALUES, WEIGHT)["loss"]
    assert double.evaluate(X, VALUES, WEIGHT * scale)["loss"] == pytest.approx(loss * scale)


def test_the_penalty_alpha_keeps_the_scale_or_refuses_it():
    model = fn.Model([fn.Dense(1, alpha=0.1)], "mse", seed=0).build(3)
    value = model.evaluate(X, VALUES, WEIGHT)["loss"]
    assert model.evaluate(X, VALUES, WEIGHT * 2.0**125)["loss"] == value  # alpha has no part in it
    for name in ("fit", "loss_and_gradient"):
        with pytest.raises(ValueError, match=r"sample_weight.*the penalty alpha.*got 1\.\d+e\+37"):
            getattr(model, name)(X, VALUES, sample_weight=WEIGHT * 1e37)
    with pytest.raises(ValueError, match=r"class_weight times sample_weight.*the penalty alpha"):
        labels = fn.Model([fn.Dense(3, alpha=0.1)], "cross_entropy", seed=0)
        labels.fit(X, LABELS, sample_weight=WEIGHT * 1e20, class_weight={0: 1e20})


@pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_estimators_too(kind):
    make = fn.sklearn.MLPClassifier if kind == "classifier" else fn.sklearn.MLPRegressor
    y = LABELS if kind == "classifier" else VALUES
    x = X.astype(np.float32)
    fitted = [make(hidden_layer_sizes=4, alpha=0.0, max_iter=5, random_state=0) for _ in range(2)]
    fitted[0].fit(x, y, sample_weight=WEIGHT)
    fitted[1].fit(x, y, sample_weight=WEIGHT * 2.0**125)
    assert fitted[0].loss_curve_ == fitted[1].loss_curve_
    with pytest.raises(ValueError, match=r"sample_weight.*the penalty alpha"):
        make(hidden_layer_sizes=4, max_iter=5).fit(x, y, sample_weight=WEIGHT * 2.0**125)


@pytest.mark.parametrize("name", ["validation_data", "validation_split"])
def test_validation_weights_of_zero_are_named(name):
    weight = np.where(np.arange(60) < 45, 1.0, 0.0)
    options = {"validation_data": (X, VALUES, np.zeros(60))}
    if name == "validation_split":
        options = {"validation_split": 0.25, "sample_weight": weight}
    with pytest.raises(ValueError, match="validation sample_weight must be > 0 for at least one sample"):
        network().fit(X, VALUES, **options)
    with pytest.raises(ValueError, match="^sample_weight must be > 0 for at least one sample.*all 45"):
        network().fit(X, VALUES, validation_split=0.25, sample_weight=1 - weight)
    with pytest.raises(ValueError, match="class_weight must be > 0 for at least one sample"):
        network("cross_entropy").fit(X, LABELS, class_weight={0: 0, 1: 0, 2: 0})
