"""`OneHot` and `EntityEmbedding` of sequences: columns are channels, with the same categories at any time."""

import numpy as np
import pytest

import fastnn as fn

RNG = np.random.default_rng(0)
N, TIMES = 40, 5


def series(dtype="float32"):
    """Two numbers, and a category 2, 5 or 7 between them; which one decides the target."""
    x = RNG.normal(size=(N, TIMES, 3))
    x[..., 1] = RNG.choice([2, 5, 7], (N, TIMES))
    return x.astype(dtype), (x[:, -1, 1] == 5).astype(float)


LAYERS = {
    "one_hot": lambda **o: fn.OneHot(1, **o),
    "entity_embedding": lambda **o: fn.EntityEmbedding(2, 1, **o),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "object"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_fit_adapts_them(name, dtype):
    X, y = series()
    X = np.round(X).astype(dtype) if dtype in ("int64", "object") else X.astype(dtype)
    model = fn.Model([LAYERS[name](), fn.GRU(8), fn.Dense(1)], "mse", fn.Adam(0.02), seed=0)
    history = model.fit(X, y, epochs=60, batch_size=10).history
    assert [known.tolist() for known in model.layers[0].categories] == [[2, 5, 7]]
    assert model.input_shape == (TIMES, 3)
    assert history["loss"][-1] < 0.3 * history["loss"][0]
    assert np.array_equal(model.predict(X), model.predict(X.reshape(N, -1)))
    model.partial_fit(X[:4], y[:4])
    assert np.isfinite(model.evaluate(X, y)["loss"])


def test_each_position_is_coded_as_a_row_would_be():
    X, _ = series("float64")
    for make in LAYERS.values():
        layer, plain = make(), make()
        layer.adapt(X)
        plain.adapt(X.reshape(-1, 3))
        assert [a.tolist() == b.tolist() for a, b in zip(layer.categories, plain.categories, strict=True)]
        if isinstance(layer, fn.EntityEmbedding):
            fn.Model([layer], seed=0).build((TIMES, 3))
            fn.Model([plain], seed=0).build(3)
        assert layer(X).shape[:2] == (N, TIMES)
        assert np.array_equal(layer(X).reshape(N * TIMES, -1), plain(X.reshape(-1, 3)))


def test_samples_of_weight_zero_do_not_count():
    X, _ = series("float64")
    X[3, 2, 1] = 9
    weight = np.ones(N)
    weight[3] = 0
    assert fn.OneHot(1).adapt(X, weight).categories[0].tolist() == [2, 5, 7]
    assert fn.OneHot(1).adapt(X).categories[0].tolist() == [2, 5, 7, 9]


@pytest.mark.parametrize("name", LAYERS)
def test_unknown_categories_are_named_by_their_place(name):
    X, y = series()
    model = fn.Model([LAYERS[name](), fn.GRU(2), fn.Dense(1)], "mse", seed=0)
    model.fit(X, y)
    X[6, 3, 1] = 4
    for call in (lambda: model.predict(X), lambda: model.fit(X, y), lambda: model.evaluate(X, y)):
        with pytest.raises(
            ValueError, match=r"X has the unknown category 4 at \(6, 3, 1\); known are 2, 5, 7"
        ):
            call()
    with pytest.raises(ValueError, match=r"unknown category 4 at \(0, 3, 1\)"):
        model.predict(X[6])
    ignoring = fn.Model([LAYERS[name](categories=[[2, 5, 7]], handle_unknown="ignore")], seed=0)
    assert not ignoring.predict(X)[6, 3, 1:-1].any()


def test_what_comes_after_another_layer():
    X, _ = series()
    layers = [fn.Standardize([0]), fn.OneHot(1), fn.Standardize([-1]), fn.GRU(3)]
    model = fn.Model(layers, seed=0).adapt(X).build((TIMES, 3))
    X[1, 2, 1] = 3
    with pytest.raises(ValueError, match=r"unknown category 3 at \(1, 2, 1\)"):
        model.predict(X)
    assert model.layers[1].output_shape((TIMES, 3)) == (TIMES, 5)


@pytest.mark.parametrize("name", LAYERS)
def test_text_and_fractions_are_refused(name):
    X, y = series()
    model = fn.Model([LAYERS[name](), fn.GRU(2), fn.Dense(1)], "mse", seed=0)
    X[0, 0, 1] = 2.5
    with pytest.raises(ValueError, match="column 1 must hold integers, as .* codes them, got 2.5"):
        model.fit(X, y)
    text = X.astype(object)
    text[..., 1] = "red"
    with pytest.raises((TypeError, ValueError), match="X must"):
        model.fit(text, y)
    with pytest.raises(ValueError, match="at most 16777216 in size"):
        model.fit(np.where(X == 2.5, 2**26, X), y)
    assert not model.layers[0].adapted
