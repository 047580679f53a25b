"""`fastnn.explain`: attributions, inputs that excite a unit, adversarial samples, importance."""

import numpy as np
import pytest

import fastnn as fn
from fastnn import explain

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4))


def linear(weights, loss="mse", dtype="float64"):
    """A model whose outputs are X times these weights."""
    layer = fn.Dense(np.shape(weights)[1], use_bias=False)
    model = fn.Model([layer], loss, dtype=dtype, seed=0).build(len(weights))
    layer.weights = weights
    return model


def trained(loss="mse", outputs=1, dtype="float64"):
    model = fn.Model([fn.Dense(8, "tanh"), fn.Dense(outputs)], loss, fn.Adam(0.01), dtype=dtype, seed=0)
    y = np.sin(2 * X[:, 0]) + X[:, 1] if outputs == 1 else (X[:, 0] > 0).astype(int)
    model.fit(X, y, epochs=200)
    return model, y


WEIGHTS = np.array([[2.0, -1.0], [0.0, 3.0], [-1.0, 0.5], [0.5, 0.0]])


def test_saliency_of_a_linear_model_is_its_weights():
    model = linear(WEIGHTS)
    assert np.allclose(explain.saliency(model, X, 1), np.abs(WEIGHTS[:, 1]))
    largest = model.predict(X).argmax(axis=1)
    np.testing.assert_allclose(explain.saliency(model, X), np.abs(WEIGHTS.T[largest]))
    np.testing.assert_allclose(explain.saliency(model, X, largest), explain.saliency(model, X))
    assert explain.saliency(model, X[0], -1).shape == (4,)


def test_saliency_is_the_derivative():
    model, _ = trained()
    expected = np.abs(model.jacobian(X)[:, 0])
    np.testing.assert_allclose(explain.saliency(model, X), expected, rtol=1e-12)


def test_integrated_gradients_sum_up_to_the_difference_of_the_outputs():
    model, _ = trained()
    baseline = X.mean(axis=0)
    values = explain.integrated_gradients(model, X, baseline=baseline, steps=400)
    difference = model.predict(X)[:, 0] - model.predict(baseline)[0]
    np.testing.assert_allclose(values.sum(axis=1), difference, atol=1e-5)


def test_integrated_gradients_of_a_linear_model_are_exact():
    model = linear(WEIGHTS)
    values = explain.integrated_gradients(model, X, 0, baseline=X[::-1], steps=1)
    np.testing.assert_allclose(values, (X - X[::-1]) * WEIGHTS[:, 0], rtol=1e-10, atol=1e-14)


def test_occlusion_of_a_linear_model_is_what_each_input_adds():
    model = linear(WEIGHTS)
    np.testing.assert_allclose(explain.occlusion(model, X, 0), X * WEIGHTS[:, 0], atol=1e-12)
    values = explain.occlusion(model, X[2], 1, window=2, strides=2)
    added = X[2] * WEIGHTS[:, 1]
    np.testing.assert_allclose(values, np.repeat(added.reshape(2, 2).sum(axis=1), 2), atol=1e-12)


def test_occlusion_of_images_covers_all_channels():
    model = fn.Model([fn.Flatten(), fn.Dense(1, use_bias=False)], dtype="float64", seed=0).build((3, 4, 2))
    image = RNG.normal(size=(3, 4, 2))
    added = (image.ravel() * model.layers[1].weights[:, 0]).reshape(3, 4, 2).sum(axis=-1)
    np.testing.assert_allclose(explain.occlusion(model, image), added, atol=1e-12)
    # Windows of two by three, of which the last ends where the image ends.
    total, count = np.zeros((3, 4)), np.zeros((3, 4))
    for i in (0, 1):
        for j in (0, 1):
            total[i : i + 2, j : j + 3] += added[i : i + 2, j : j + 3].sum()
            count[i : i + 2, j : j + 3] += 1
    found = explain.occlusion(model, image, window=(2, 3), strides=(1, 2))
    np.testing.assert_allclose(found, total / count, atol=1e-12)


def test_missing_values_are_explained_where_they_are_predicted():
    x = np.array([[1.0, np.nan, 2.0], [3.0, 1.0, 0.5], [2.0, np.nan, 4.0]])
    layers = [fn.Impute(add_indicator=True), fn.Dense(4, "tanh"), fn.Dense(2)]
    model = fn.Model(layers, "mse", dtype="float64", seed=0)
    model.fit(x, np.ones((3, 2)))
    filled = np.where(np.isnan(x), model.layers[0].fill_values, x)
    given = explain.saliency(model, x, 0)
    assert (given[np.isnan(x)] == 0).all() and (given[~np.isnan(x)] > 0).all()
    assert np.array_equal(given[1], explain.saliency(model, filled[1], 0))
    np.testing.assert_array_equal(np.abs(model.jacobian(x)[:, 0]), given)
    np.testing.assert_array_equal(model.outputs(x)[-1], model.predict(x))
    covered = x.copy()
    covered[:, 1] = 7.0
    falls = explain.occlusion(model, x, 0, baseline=7.0)
    np.testing.assert_allclose(falls[:, 1], (model.predict(x) - model.predict(covered))[:, 0], atol=1e-12)
    assert np.isfinite(explain.permutation_importance(model, x, np.ones((3, 2))).mean).all()
    with pytest.raises(ValueError, match=r"X has missing values.* use fn.explain.occlusion"):
        explain.integrated_gradients(model, x)
    with pytest.raises(ValueError, match="got nan at .*fn.Impute replaces missing values in columns 1 only"):
        explain.saliency(
            fn.Model([fn.Impute(columns=1), fn.Dense(1)], "mse").adapt(x).build(3), np.roll(x, 1, axis=1)
        )


def test_an_input_that_excites_a_unit_is_at_the_bounds():
    model = linear(WEIGHTS)
    found = explain.activation_maximization(model, -1, [0, 1], low=-1, high=1)
    assert found.shape == (2, 4)
    assert found[0, [0, 2, 3]].tolist() == [1, -1, 1] and found[1, :3].tolist() == [-1, 1, 1]


def test_squares_hold_an_input_near_zero():
    model = linear(WEIGHTS)
    found = explain.activation_maximization(
        model, 0, 0, steps=4000, learning_rate=1e-3, l2=0.5, start=np.zeros(4)
    )
    np.testing.assert_allclose(found, WEIGHTS[:, 0], atol=5e-3)


def test_a_channel_and_a_place_are_excited():
    model = fn.Model([fn.Dense(2, use_bias=False)], dtype="float64", seed=0).build((3, 2))
    model.layers[0].weights = [[1.0, 0.0], [0.0, -1.0]]
    channel = explain.activation_maximization(model, 0, 1, low=0, high=1, start=np.full((3, 2), 0.5))
    assert channel.tolist() == [[0.5, 0]] * 3
    place = explain.activation_maximization(model, 0, (1, 0), low=0, high=1, start=np.full((3, 2), 0.5))
    assert place.tolist() == [[0.5, 0.5], [1, 0.5], [0.5, 0.5]]


def test_total_variation_smooths():
    model = fn.Model([fn.Flatten(), fn.Dense(1, use_bias=False)], dtype="float64", seed=0).build((8, 8, 1))
    rough, smooth = (
        explain.activation_maximization(model, total_variation=weight, jitter=1) for weight in (0.0, 0.1)
    )

    def roughness(image):
        return (np.diff(image, axis=0) ** 2).sum() / (image**2).sum()

    assert roughness(smooth) < 0.5 * roughness(rough)


def test_a_dream_raises_what_the_layer_responds_with():
    layers = [fn.Flatten(), fn.Dense(6, "relu"), fn.Dense(2)]
    model = fn.Model(layers, dtype="float64", seed=0).build((8, 8, 1))
    image = RNG.uniform(size=(8, 8, 1))
    found = explain.dream(model, image, 1, octaves=3, low=0, high=1)
    before, after = ((model.outputs(each, [1])[0] ** 2).sum() for each in (image, found))
    assert after > 2 * before and found.shape == (8, 8, 1) and found.min() >= 0 and found.max() <= 1
    one = explain.dream(model, image, 1, channel=2)
    assert model.outputs(one, [1])[0][2] > model.outputs(image, [1])[0][2]


@pytest.mark.parametrize("method", ["fgsm", "pgd"])
def test_adversarial_samples_are_close_and_raise_the_loss(method):
    model, y = trained("cross_entropy", outputs=2)
    before = model.evaluate(X, y)
    changed = explain.adversarial(model, X, y, 0.3, method=method, low=-1.5, high=1.5)
    assert np.abs(changed - np.clip(X, -1.5, 1.5)).max() <= 0.3 + 1e-12
    assert changed.min() >= -1.5 and changed.max() <= 1.5
    after = model.evaluate(changed, y)
    assert after["loss"] > 2 * before["loss"] and after["accuracy"] < before["accuracy"]


def test_a_step_goes_along_the_sign_of_the_gradient_of_the_loss():
    model, y = trained()
    error = model.predict(X)[:, 0] - y
    expected = X + 0.1 * np.sign(error[:, np.newaxis] * model.jacobian(X)[:, 0])
    np.testing.assert_allclose(explain.adversarial(model, X, y, 0.1, method="fgsm"), expected, atol=1e-12)
    single = explain.adversarial(model, X[3], y[3], 0.1, method="fgsm")
    assert single.shape == (4,) and np.allclose(single, expected[3])


@pytest.mark.parametrize("last", ["softmax", None])
def test_the_gradient_of_the_loss_goes_through_a_last_activation(last):
    model = fn.Model([fn.Dense(3, last)], "cross_entropy", dtype="float64", seed=0).build(4)
    y = np.arange(30) % 3
    logits = X @ model.layers[0].weights
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gradient = (shares - np.eye(3)[y]) @ model.layers[0].weights.T
    expected = X + 0.2 * np.sign(gradient)
    np.testing.assert_allclose(explain.adversarial(model, X, y, 0.2, method="fgsm"), expected, atol=1e-12)


def test_importance_is_the_increase_of_the_error():
    weights = np.array([[2.0], [0.0], [-1.0], [0.0]])
    x = np.random.default_rng(1).normal(size=(20_000, 4))
    result = explain.permutation_importance(linear(weights), x, x @ weights, repeats=3)
    # For a linear model 2 w**2 times the variance of the column.
    np.testing.assert_allclose(result.mean, [8, 0, 2, 0], atol=0.2)
    assert result.values.shape == (4, 3) and result.names == ()
    np.testing.assert_allclose(result.std, result.values.std(axis=1))


def test_importance_by_a_metric_of_which_more_is_better():
    model, y = trained("cross_entropy", outputs=2)
    result = explain.permutation_importance(model, X, y, metric="accuracy")
    assert result.mean.argmax() == 0 and result.mean[0] > 0.3


def test_importance_of_columns_with_names_and_categories():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"size": X[:, 0], "colour": np.where(X[:, 1] > 0, "red", "blue")})
    y = (X[:, 1] > 0).astype(float)
    model = fn.Model([fn.OneHot([1]), fn.Dense(1)], "mse", fn.Adam(0.05), seed=0)
    model.fit(table, y, epochs=200)
    result = explain.permutation_importance(model, table, y)
    assert result.names == ("size", "colour") and result.mean[1] > 10 * abs(result.mean[0])
    assert table["size"].tolist() == X[:, 0].tolist()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda m: explain.saliency(m, X, 2),
            ValueError,
            "output must be the number of one of 2 outputs, got 2",
        ),
        (lambda m: explain.saliency(m, X, 0.5), TypeError, "output must be an integer"),
        (lambda m: explain.saliency(m, X, [0, 1]), ValueError, "output must be an integer, or 30 of them"),
        (lambda m: explain.integrated_gradients(m, X, steps=0), ValueError, "steps must be >= 1, got 0"),
        (
            lambda m: explain.integrated_gradients(m, X, baseline=[1, 2]),
            ValueError,
            "baseline must be a number or",
        ),
        (lambda m: explain.occlusion(m, X, window=5), ValueError, "window must not be larger than the input"),
        (
            lambda m: explain.occlusion(m, X, strides=2),
            ValueError,
            "strides must not be larger than the window",
        ),
        (
            lambda m: explain.occlusion(m, X, window=(1, 1)),
            ValueError,
            "window must be an integer or 1 of them",
        ),
        (lambda m: explain.activation_maximization(m, 0, 2), ValueError, "number of one of 2 units, got 2"),
        (lambda m: explain.activation_maximization(m, 1), ValueError, "layer must be the number"),
        (
            lambda m: explain.activation_maximization(m, low=1, high=0),
            ValueError,
            "low must be less than high",
        ),
        (lambda m: explain.activation_maximization(m, unit=[]), ValueError, "unit must not be an empty list"),
        (lambda m: explain.dream(m, X, 0), ValueError, "needs a model of images"),
        (lambda m: explain.adversarial(m, X, X, -1.0), ValueError, "epsilon must be > 0, got -1.0"),
        (
            lambda m: explain.adversarial(m, X, X[:, :2], 1, method="x"),
            ValueError,
            "method must be 'pgd' or 'fgsm'",
        ),
        (lambda m: explain.adversarial(m, X, X, 1.0), ValueError, r"y must have shape \(30, 2\)"),
        (
            lambda m: explain.permutation_importance(m, X, X[:, :2], metric="los"),
            ValueError,
            "did you mean 'loss'",
        ),
        (lambda m: explain.permutation_importance(m, X[:1], X[:1, :2]), ValueError, "at least two samples"),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(linear(WEIGHTS))
