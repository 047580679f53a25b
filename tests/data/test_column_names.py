"""Columns of tables by name: another order or other names are refused, names on one side are warned of."""

import copy
import json
import pickle

import numpy as np
import pandas as pd
import pytest

import fastnn as fn
import fastnn.scipy

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
Y = X @ [3.0, -1.0]
TABLE = pd.DataFrame({"a": X[:, 0], "b": X[:, 1]})
TURNED = TABLE[["b", "a"]]
OTHER = TABLE.rename(columns={"b": "c"})
CALLS = {
    "fit": lambda m, x: m.fit(x, Y),
    "fit, validation": lambda m, x: m.fit(TABLE, Y, validation_data=(x, Y)),
    "partial_fit": lambda m, x: m.partial_fit(x, Y),
    "evaluate": lambda m, x: m.evaluate(x, Y),
    "loss_and_gradient": lambda m, x: m.loss_and_gradient(x, Y),
    "predict": lambda m, x: m.predict(x),
    "predict once more": lambda m, x: (m.predict(TABLE), m.predict(x)),
    "call": lambda m, x: m(x),
    "adapt": lambda m, x: m.adapt(x),
    "adapt the first layer": lambda m, x: m.layers[0].adapt(x),
    "call the first layer": lambda m, x: m.layers[0](x),
    "fit_many": lambda m, x: fn.fit_many([m], x, Y),
    "fit_many, validation": lambda m, x: fn.fit_many([m], TABLE, Y, validation_data=(x, Y)),
    "Ensemble.predict": lambda m, x: fn.Ensemble([m, m.__copy__()]).predict(x),
    "Ensemble.evaluate": lambda m, x: fn.Ensemble([m]).evaluate(x, Y),
    "minimize": lambda m, x: fn.scipy.minimize(m, x, Y, options={"maxiter": 1}),
    "least_squares": lambda m, x: fn.scipy.least_squares(m, x, Y, max_nfev=1),
    "check_gradient": lambda m, x: fn.check_gradient(m, x, Y),
    "plot.decision_boundary": lambda m, x: fn.plot.decision_boundary(m, x, Y, resolution=3),
}


def network():
    layers = [fn.Standardize(), fn.Dense(1)]
    return fn.Model(layers, "mse", fn.Adam(0.1), dtype="float64", metrics=["r2"], seed=0)


def fitted(x=TABLE):
    model = network()
    model.fit(x, Y, epochs=20)
    return model


@pytest.mark.parametrize("name", CALLS)
def test_another_order_or_other_names_are_refused(name):
    model = fitted()
    before = model.parameters.copy()
    order = r"in the order.*'a', 'b', got 'b', 'a'; use X\[model.feature_names_in_\]"
    with pytest.raises(ValueError, match=order):
        CALLS[name](model, TURNED)
    with pytest.raises(ValueError, match="must have the columns.*unknown: 'c'; missing: 'b'"):
        CALLS[name](model, OTHER)
    with pytest.raises(ValueError, match="unknown: 'c'$"):
        CALLS[name](model, pd.concat([TABLE, OTHER[["c"]]], axis=1))
    assert np.array_equal(model.parameters, before)
    CALLS[name](model, TURNED[model.feature_names_in_])


@pytest.mark.parametrize("name", CALLS)
def test_names_on_one_side_only_are_warned_of(name):
    with pytest.warns(UserWarning, match="has no column names, but the model was.*'a', 'b'") as record:
        CALLS[name](fitted(), X)
    if not name.startswith("Ensemble"):
        assert len(record) == 1
    with pytest.warns(UserWarning, match="but the model was fitted without names: 'a', 'b'"):
        CALLS[name](fitted(X), TABLE)


@pytest.mark.parametrize("name", [name for name in CALLS if "validation" not in name and "layer" not in name])
def test_what_trains_first_is_remembered(name):
    model = network()
    if name.startswith(("Ensemble", "plot")):
        model.build(2).adapt(TABLE)
    elif name in ("loss_and_gradient", "evaluate", "predict", "call", "predict once more", "check_gradient"):
        model.build(2).layers[0].adapt(X)
        CALLS[name](model, TABLE)
        assert model.feature_names_in_ is None
        return
    elif name in ("minimize", "least_squares"):
        model.build(2).layers[0].adapt(X)
    CALLS[name](model, TABLE)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    assert model.feature_names_in_.dtype == object
    with pytest.raises(ValueError, match="in the order"):
        model.predict(TURNED)


def test_the_figures_of_another_order_were_wrong_without_a_word():
    model = fitted()
    assert model.evaluate(TABLE, Y)["r2"] > 0.9
    with pytest.raises(ValueError, match="in the order"):
        model.evaluate(TURNED, Y)


def test_a_row_of_an_array_is_warned_of_once_and_then_goes_the_short_way():
    model = fitted()
    model.predict(TABLE)
    with pytest.warns(UserWarning, match="has no column names"):
        first = model.predict(X[0])
    assert np.array_equal(model.predict(X[0]), first)  # warnings are errors


def test_a_refused_fit_remembers_nothing():
    model = network()
    with pytest.raises(ValueError, match="y must have"):
        model.fit(TABLE, Y[:5])
    assert model.feature_names_in_ is None
    model.fit(TURNED, Y)
    assert model.feature_names_in_.tolist() == ["b", "a"]


@pytest.mark.parametrize("columns", [[0, 1], ["a", 1], [("a", 1), ("a", 2)]])
def test_names_that_are_not_all_text_are_none(columns):
    table = TABLE.set_axis(pd.Index(columns, tupleize_cols=False), axis=1)
    model = fitted(table)
    assert model.feature_names_in_ is None
    model.predict(table.iloc[:, ::-1])


def test_names_that_stand_there_twice():
    table = TABLE.set_axis(["a", "a"], axis=1)
    model = fitted(table)
    model.predict(table)
    with pytest.raises(ValueError, match="missing: 'a', 'a'|unknown"):
        model.predict(TABLE.set_axis(["c", "c"], axis=1))
    wide = pd.DataFrame(np.zeros((3, 3)), columns=["a", "a", "b"])
    model = fn.Model([fn.Dense(1)], "mse", seed=0)
    model.fit(wide, np.zeros(3))
    with pytest.raises(ValueError, match="got 'a', 'b', 'b', expected 'a', 'a', 'b'"):
        model.predict(wide.set_axis(["a", "b", "b"], axis=1))


def pickled(model):
    return pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled, "file"])
def test_names_are_kept_in_copies_pickles_and_files(copied, tmp_path):
    model = fitted()
    if copied == "file":
        model.save(tmp_path / "m.safetensors")
        again = fn.load(tmp_path / "m.safetensors")
    else:
        again = copied(model)
    assert again.feature_names_in_.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="in the order"):
        again.predict(TURNED)
    with pytest.warns(UserWarning, match="no column names"):
        again.predict(X)
    assert np.array_equal(again.predict(TABLE), model.predict(TABLE))


@pytest.mark.parametrize("wrong", [["a"], ["a", 1], "ab", None, {"a": 1, "b": 2}])
def test_wrong_names_in_a_file_are_refused(wrong, tmp_path):
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "m.safetensors"
    fitted().save(path)
    size = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + size])
    config = json.loads(header["__metadata__"]["fastnn"])
    assert config["feature_names_in_"] == ["a", "b"]
    config["feature_names_in_"] = wrong
    save_file(load_file(path), path, {"fastnn": json.dumps(config)})
    with pytest.raises(ValueError, match="feature_names_in_"):
        fn.load(path)


class OtherTable:
    """A table as other libraries than pandas have them."""

    def __init__(self, values, **names):
        self.shape, self.values = values.shape, values
        vars(self).update(names)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


def test_tables_of_other_libraries():
    model = fitted(OtherTable(X, columns=["a", "b"]))
    assert model.feature_names_in_.tolist() == ["a", "b"]
    chunks = OtherTable(X[:, ::-1], columns=list(X.T), column_names=["b", "a"])
    with pytest.raises(ValueError, match="in the order"):
        model.predict(chunks)
