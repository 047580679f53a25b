"""Impute: missing values, which it takes and every other layer refuses."""

import pickle

import numpy as np
import pytest
from sklearn.impute import SimpleImputer

import fastnn as fn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(101, 4)).round(1) + [0, 10, 20, 30]
X[RNG.random(X.shape) < 0.2] = np.nan
X[:, 3] = RNG.integers(0, 3, 101)  # none is missing
Y = RNG.normal(size=(101, 2))
NEW = np.array([[np.nan, np.nan, 1.0, 2.0], [1.0, 2.0, np.nan, np.nan]])


def network(*first, **options):
    layers = [*(first or [fn.Impute(add_indicator=True)]), fn.Dense(8, "tanh"), fn.Dense(2)]
    return fn.Model(layers, "mse", seed=0, **options)


@pytest.mark.parametrize("add_indicator", [False, True])
@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent", "constant"])
def test_as_scikit_learn(strategy, add_indicator):
    options = {"fill_value": -7.5} if strategy == "constant" else {}
    layer = fn.Impute(strategy, add_indicator=add_indicator, **options).adapt(X)
    other = SimpleImputer(strategy=strategy, add_indicator=add_indicator, **options).fit(X)
    np.testing.assert_allclose(layer.fill_values, other.statistics_.astype(float), rtol=1e-12)
    for x in (X, NEW):
        np.testing.assert_allclose(layer(x), other.transform(x), rtol=1e-6)
    assert layer.indicated == ([0, 1, 2] if add_indicator else [])


def test_weights_and_columns():
    weight = RNG.integers(0, 3, 101)
    x = np.column_stack([np.nan_to_num(X[:, 0]), X[:, 1], np.nan_to_num(X[:, 2]), X[:, 3]])
    repeated = np.repeat(x, weight, axis=0)
    layer = fn.Impute(columns=[1, -1]).adapt(x, weight)
    expected = [0, np.nanmean(repeated[:, 1]), 0, repeated[:, 3].mean()]
    np.testing.assert_allclose(layer.fill_values, expected, rtol=1e-12)
    median = fn.Impute("median", columns=1).adapt(x, weight > 0)
    assert median.fill_values[1] == np.nanmedian(x[weight > 0, 1])
    with pytest.raises(ValueError, match=r"must be finite numbers .* got nan at \(0, 0\)"):
        layer(NEW)
    two = fn.Model([fn.Impute("constant", -1, columns=[0]), fn.Impute(columns=[1, 2, 3])]).adapt(X)
    first = two.predict(NEW)[0]
    assert first[0] == -1 and np.isclose(first[1], np.nanmean(X[:, 1]))


def test_everything_takes_missing_values(tmp_path):
    model = network(dtype="float64")
    history = model.fit(X, Y, epochs=3, validation_split=0.2).history
    filled = model.layers[0](X)
    rest = fn.Model([fn.Dense(8, "tanh"), fn.Dense(2)], "mse", dtype="float64").build(7)
    rest.parameters[...] = model.parameters
    expected = rest.predict(filled)
    assert np.isfinite(history["val_loss"]).all() and np.array_equal(model.predict(X), expected)
    assert np.array_equal(model.predict(X[0]), expected[0])
    assert np.array_equal(model.predict(X, out=np.empty((101, 2))), expected)
    assert model.evaluate(X, Y) == rest.evaluate(filled, Y)
    assert model.loss_and_gradient(X, Y)[0] == rest.loss_and_gradient(filled, Y)[0]
    out = np.empty((101, 2))
    fn.forward(model.network(), X, out)
    assert np.array_equal(out, expected)
    model.save(tmp_path / "model")
    for other in (fn.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(other.predict(X), expected) and repr(other.layers) == repr(model.layers)
    before = model.predict(NEW)
    model.partial_fit(NEW, Y[:2])
    assert (model.predict(NEW) != before).any()


def test_mapped_files(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    model, same = network(), network()
    model.fit(mapped, Y)
    same.fit(X, Y)
    assert np.array_equal(model.parameters, same.parameters)
    assert np.array_equal(model.predict(mapped), model.predict(X))


def test_many_models_at_once():
    models = [network(fn.Impute(strategy)) for strategy in ("mean", "median")]
    fn.fit_many(models, X, Y)
    alone = network(fn.Impute("median"))
    alone.fit(X, Y, threads=1)
    assert np.array_equal(models[1].parameters, alone.parameters)
    with pytest.raises(ValueError, match=r"got nan at .*; put fn.Impute\(\) first"):
        fn.fit_many([network(), network(fn.MinMax())], X, Y)


def test_none_and_tables():
    model = network()
    lists = [[None if np.isnan(value) else value for value in row] for row in X.tolist()]
    model.fit(lists, Y)
    same = network()
    same.fit(X, Y)
    assert np.array_equal(model.parameters, same.parameters)
    assert np.array_equal(model.predict(lists), same.predict(X))
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=list("abcd"))
    table["d"] = table["d"].astype("Int64")
    table.loc[5, "d"] = pandas.NA
    x = X.copy()
    x[5, 3] = np.nan
    assert np.array_equal(fn.Impute().adapt(table)(table), fn.Impute().adapt(x)(x))
    table["e"] = ["red", "blue"] * 50 + ["red"]
    coded = network(fn.Impute("median", columns=[0, 1, 2, 3]), fn.OneHot(4))
    coded.fit(table, Y)
    assert np.isfinite(coded.predict(table)).all()


REFUSED = {
    "infinite": (lambda: network(), np.where(np.isnan(X), np.inf, X), "must be finite numbers .* got inf at"),
    "another layer": (
        lambda: network(fn.Standardize()),
        X,
        r"got nan .*; put fn.Impute\(\) first, which replaces",
    ),
    "no first layer": (lambda: network(fn.Dense(4)), X, r"got nan at .*; put fn.Impute\(\) first"),
    "not the first": (
        lambda: network(fn.MinMax(), fn.Impute()),
        X,
        r"got nan at .*; put fn.Impute\(\) first",
    ),
    "another column": (
        lambda: network(fn.Impute(columns=[0, 1])),
        X,
        r"X must be finite .* got nan at \(\d+, 2\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    make, x, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        make().fit(x, Y)
    model = make()
    model.fit(np.nan_to_num(X), Y)
    for use in (model.predict, lambda x: model.evaluate(x, Y), model.adapt):
        with pytest.raises(ValueError, match=message):
            use(x)


def test_nothing_to_impute_from():
    x = np.array([[np.nan, 1.0], [np.nan, 2.0]])
    with pytest.raises(ValueError, match="column 0 has only missing values, which Impute.* cannot replace"):
        fn.Impute("median").adapt(x)
    assert fn.Impute("constant").adapt(x)(x).tolist() == [[0, 1], [0, 2]]
    with pytest.raises(ValueError, match="column 0 has only missing values"):
        fn.Impute().adapt(X, np.isnan(X[:, 0]))


def test_channels():
    x = X.reshape(-1, 1, 4)[:100].reshape(50, 2, 4)
    layer = fn.Impute(add_indicator=True).adapt(x)
    np.testing.assert_allclose(layer.fill_values, np.nanmean(x, axis=(0, 1)), rtol=1e-12)
    assert layer(x).shape == (50, 2, 7)
    assert np.array_equal(layer(x).reshape(100, 7), fn.Impute(add_indicator=True).adapt(X[:100])(X[:100]))
    model = network(fn.Impute(columns=[0, 1, 2]), fn.Flatten())
    model.fit(x, Y[:50])
    assert np.isfinite(model.predict(x)).all()


def test_compiled_code_keeps_what_is_missing_in_other_columns():
    model = fn.Model([fn.Impute("constant", 5.0, columns=[0])], "mse", dtype="float64")
    net = model.adapt([[1.0, 2.0]]).build(2).network()
    x, out = np.array([[np.nan, np.nan], [1.0, 2.0]]), np.empty((2, 2))
    fn.forward(net, x, out)
    np.testing.assert_array_equal(out, [[5, np.nan], [1, 2]])
    with pytest.raises(
        ValueError, match=r"got nan at \(0, 1\); fn.Impute replaces missing values in columns 0 only"
    ):
        model.predict(x)


WRONG = {
    "strategy": (lambda: fn.Impute("mode"), ValueError, "strategy must be 'mean', .* got 'mode'"),
    "fill_value": (lambda: fn.Impute("mean", 3), ValueError, "fill_value is for the strategy 'constant'"),
    "no number": (lambda: fn.Impute("constant", "x"), TypeError, "fill_value must be a number, got 'x'"),
    "nan": (lambda: fn.Impute("constant", np.nan), ValueError, "fill_value must be finite, got nan"),
    "indicator": (lambda: fn.Impute(add_indicator=1), TypeError, "add_indicator must be True or False"),
    "columns": (lambda: fn.Impute(columns=[9]).adapt(X), ValueError, "column 9 is not among the 4 columns"),
    "no samples": (lambda: network(fn.Impute(columns=[3])).fit(None, Y), TypeError, "X must be .* got None"),
    "no array": (lambda: network(fn.Impute()).predict("x"), TypeError, "X must be numbers, got str"),
    "other sizes": (
        lambda: fn.Model([fn.Impute().adapt(X)]).build(5),
        ValueError,
        "adapted to 4 columns, but its input has 5",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings(name):
    make, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        make()


def test_other_sizes_of_a_built_model():
    model = fn.Model([fn.Impute(add_indicator=True).adapt(X)]).build(4)
    with pytest.raises(ValueError, match="adapted to 3 columns, but its input has 4"):
        model.layers[0].adapt(X[:, :3])
    with pytest.raises(ValueError, match="built for another number of"):
        model.adapt(np.nan_to_num(X))
    assert model.predict(X).shape == (101, 7)
