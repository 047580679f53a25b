"""Categories are checked before the data is converted: text, and integers of any size."""

import copy
import json
import pickle

import numpy as np
import pandas as pd
import pytest

import fastnn as fn
import fastnn.scipy

RNG = np.random.default_rng(0)
N = 60
COLOURS = np.array(["red", "green", "blue"], object)[RNG.integers(0, 3, N)]
#: Neighbours that float32, and some that float64, does not tell apart; the last is beyond int64.
IDS = {
    "2**24": [2**24, 2**24 + 1, 2**24 + 2],
    "negative": [-(2**24) - 1, -(2**24), 5],
    "2**53": [2**53, 2**53 + 1, 7],
    "uint64": [2**64 - 1, 2**64 - 2, 1],
    "2**70": [2**70, 2**70 + 1, 3],
}
SIZE = RNG.normal(size=N)
NUMBER = RNG.integers(0, 3, N)
CODES = (COLOURS == "green") + 2 * (COLOURS == "red")  # in the order of the sorted names
LABELS = (CODES + NUMBER) % 3


def ids(kind):
    values = np.array(IDS[kind], object)[NUMBER]
    return values if kind == "2**70" else values.astype("uint64" if kind == "uint64" else "int64")


def table(colours=COLOURS, own=NUMBER):
    return pd.DataFrame({"size": SIZE, "colour": colours, "own": own})


def network(**options):
    layers = [fn.Standardize(0), fn.OneHot([1, 2]), fn.Dense(8, "tanh"), fn.Dense(3)]
    dtype = options.pop("dtype", "float32")
    return fn.Model(layers, "cross_entropy", fn.Adam(0.05), dtype=dtype, seed=0, **options)


def by_codes(**options):
    """The same network trained on codes that stand for the categories."""
    model = network(**options)
    x = np.column_stack([SIZE, CODES, np.argsort(np.argsort([0, 1, 2]))[NUMBER]])
    return model, x, model.fit(x, LABELS, epochs=3)


COLOUR_KINDS = {
    "objects": COLOURS,
    "str": COLOURS.astype(str),
    "categorical": pd.Categorical(COLOURS),
    "string": pd.array(COLOURS, dtype="string"),
    "str of pandas": pd.array(COLOURS, dtype="str"),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("colours", COLOUR_KINDS.values(), ids=COLOUR_KINDS)
def test_text_of_tables(colours, dtype):
    expected, x, record = by_codes(dtype=dtype)
    model = network(dtype=dtype)
    history = model.fit(table(colours), LABELS, epochs=3)
    assert history.history == record.history
    assert model.layers[1].categories[0].tolist() == ["blue", "green", "red"]
    assert model.layers[1].categories[1].tolist() == [0, 1, 2]
    assert np.array_equal(model.predict(table(colours)), expected.predict(x))
    assert model.evaluate(table(colours), LABELS) == expected.evaluate(x, LABELS)
    assert np.array_equal(model.predict(table(colours).iloc[:1]), expected.predict(x[:1]))


@pytest.mark.parametrize("form", ["array", "list", "row"])
def test_text_of_arrays_of_objects_and_of_lists(form):
    expected, x, _ = by_codes()
    rows = np.array(list(zip(SIZE, COLOURS, NUMBER, strict=True)), object)
    given = rows.tolist() if form == "list" else rows
    model = network()
    model.fit(given, LABELS, epochs=3)
    if form == "row":
        assert np.array_equal(model.predict(rows[3]), expected.predict(x[3]))
        assert np.array_equal(model.predict(rows[3].tolist()), expected.predict(x[3]))
        return
    for _ in range(2):
        assert np.array_equal(model.predict(given), expected.predict(x))
    out = np.empty((N, 3), np.float32)
    assert model.predict(given, out=out) is out and np.array_equal(out, expected.predict(x))


def test_arrays_of_text_alone():
    layer = fn.OneHot().adapt(np.array([["a", "x"], ["b", "y"], ["b", "x"]]))
    assert layer([["b", "x"]]).tolist() == [[0, 1, 1, 0]]
    with pytest.raises(TypeError, match="<U1"):
        fn.OneHot(0).adapt(np.array([["a", "1"]]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize("form", ["table", "array", "list"])
def test_integers_of_any_size_are_told_apart(kind, form, dtype):
    values = ids(kind)
    order = np.argsort(np.argsort(np.array(IDS[kind], object)))
    x = np.column_stack([SIZE, CODES, order[NUMBER]])
    expected = network(dtype=dtype)
    expected.fit(x, LABELS, epochs=3)
    given = table(CODES, values)
    if form == "array":
        given = np.array(given.astype(object))
    elif form == "list":
        given = [list(row) for row in zip(SIZE.tolist(), CODES.tolist(), values.tolist(), strict=True)]
    model = network(dtype=dtype)
    model.fit(given, LABELS, epochs=3)
    assert model.layers[1].categories[1].tolist() == sorted(IDS[kind])
    assert np.array_equal(model.predict(given), expected.predict(x))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_array_of_integers_of_any_size(dtype):
    layer = fn.OneHot(0)
    model = fn.Model([layer, fn.Dense(1)], "mse", dtype=dtype, seed=0)
    x = np.column_stack([ids("2**24"), NUMBER])
    model.fit(x, NUMBER, epochs=1)
    assert layer.categories[0].tolist() == IDS["2**24"]
    assert len(np.unique(model.predict(x), axis=0)) == 3
    floats = x.astype(float)  # which hold them
    assert np.array_equal(model.predict(floats), model.predict(x))
    with pytest.raises(ValueError, match="as float32 rounds them, got 1.67772e\\+07 at"):
        model.predict((x + [[4, 0]]).astype(np.float32))


@pytest.mark.parametrize("form", [np.int64, np.float64, object])
def test_a_large_number_is_not_taken_for_a_small_category(form):
    small = np.array([[2**24 - 1, 0], [2**24, 1]])
    large = small + [[1, 0]]
    for handle in ("error", "ignore"):
        layer = fn.OneHot(0, handle_unknown=handle)
        model = fn.Model([layer, fn.Dense(1)], "mse", seed=0)
        model.fit(small, [0, 1])
        assert layer.categories[0].tolist() == [2**24 - 1, 2**24]
        model.predict(small.astype(np.float32))
        for _ in range(2):
            if handle == "error":
                with pytest.raises(ValueError, match=r"unknown category 16777217 at \(1, 0\); known are"):
                    model.predict(large.astype(form))
            else:
                nothing = model.predict(np.array([[5.0, 1]]))
                assert np.array_equal(model.predict(large.astype(form))[1:], nothing)


def test_a_mapped_file_is_not_rounded_either(tmp_path):
    x = np.column_stack([ids("2**24"), NUMBER])
    file = np.memmap(tmp_path / "x", np.int64, "w+", shape=x.shape)
    file[...] = x
    model, other = (fn.Model([fn.OneHot(0), fn.Dense(3)], "cross_entropy", seed=0) for _ in range(2))
    model.fit(file, LABELS)
    other.fit(x, LABELS)
    assert np.array_equal(model.predict(file), other.predict(x))


def test_only_samples_that_count_are_categories():
    colours = COLOURS.copy()
    colours[-3:] = "grey"
    weight = np.where(np.arange(N) == 0, 0.0, 1.0)
    colours[0] = "pink"
    place = r"X has the unknown category 'grey' at \(57, 1\), column 'colour'"
    message = place + r"; did you mean 'green'\?; known are 'blue', 'green'"
    with pytest.raises(ValueError, match=message):
        network().fit(table(colours), LABELS, validation_split=0.05, sample_weight=np.ones(N))
    colours[0] = "red"
    model = network()
    model.fit(table(colours)[:-3], LABELS[:-3])
    with pytest.raises(ValueError, match=r"validation X has the unknown category 'grey' at \(57, 1\)"):
        model.fit(table()[:-3], LABELS[:-3], validation_data=(table(colours), LABELS))
    ignoring = fn.OneHot([1, 2], handle_unknown="ignore")
    model = fn.Model([ignoring, fn.Dense(3)], "cross_entropy", seed=0)
    model.fit(table(colours), LABELS, validation_split=0.05, sample_weight=weight)
    assert ignoring.categories[0].tolist() == ["blue", "green", "red"]
    assert model.layers[0](table(colours))[-1, 1:4].tolist() == [0, 0, 0]


def test_adapt_again_finds_others():
    model = network()
    model.fit(table(), LABELS)
    other = table(np.array(["x", "y", "z"], object)[CODES])
    model.adapt(other)
    assert model.layers[1].categories[0].tolist() == ["x", "y", "z"]
    model.predict(other)
    with pytest.raises(ValueError, match="another number of categories"):
        model.adapt(table(COLOURS.astype(object) + NUMBER.astype(str)))
    assert model.layers[1].categories[0].tolist() == ["x", "y", "z"]


def test_given_categories():
    layer = fn.OneHot(0, [["small", "large"]])
    assert layer([["large", 0.5]]).tolist() == [[0, 1, 0.5]]
    assert fn.OneHot(0, [[2**40, 1]])(np.array([[1], [2**40]])).tolist() == [[0, 1], [1, 0]]
    with pytest.raises(ValueError, match="unknown category 'huge' at .*known are 'small', 'large'"):
        layer([["huge", 0.5]])
    model = fn.Model([fn.OneHot([1, 2], [["red", "blue", "green"], [0, 1, 2]]), fn.Dense(3)], "cross_entropy")
    model.fit(table(), LABELS)
    assert model.layers[0].categories[0].tolist() == ["red", "blue", "green"]


def test_layers_in_a_row_see_the_columns_of_the_samples():
    both = fn.Model([fn.OneHot(1), fn.Standardize(0), fn.OneHot(-1), fn.Dense(3)], "cross_entropy", seed=0)
    both.fit(table(own=ids("2**53")), LABELS)
    assert both.layers[0].categories[0].tolist() == ["blue", "green", "red"]
    assert both.layers[2].categories[0].tolist() == sorted(IDS["2**53"])
    swapped = both.predict(table(own=ids("2**53")))
    one = fn.Model([fn.OneHot([1, 2]), fn.Standardize(0), fn.Dense(3)], "cross_entropy", seed=0)
    one.fit(table(own=ids("2**53")), LABELS, epochs=0)
    one.layers[-1].weights, one.layers[-1].bias = both.layers[-1].weights, both.layers[-1].bias
    assert np.array_equal(one.predict(table(own=ids("2**53"))), swapped)


@pytest.mark.parametrize(
    ("colours", "error", "piece"),
    [
        (np.array([None] * N, object), TypeError, r"None \(NoneType\) at \(0, 1\), column 'colour'"),
        (np.where(np.arange(N) == 7, 1, COLOURS), TypeError, r"beside 1 \(int\) at \(7, 1\), column"),
        (np.where(np.arange(N) == 7, None, COLOURS), TypeError, r"\(7, 1\), column 'colour'"),
        (pd.array([*[1] * (N - 1), None], dtype="Int64"), TypeError, r"<NA> at \(59, 1\), column 'colour'"),
        (np.full(N, 0.5), ValueError, r"must hold integers or text.*got 0.5 at \(0, 1\), column 'colour'"),
        (np.full(N, np.nan), ValueError, r"finite.*nan at \(0, 1\), column 'colour'"),
        (np.full(N, np.datetime64("2020-01-01", "s")), TypeError, "integers or text.*datetime64"),
    ],
)
def test_what_is_no_category_is_refused_by_row_and_column(colours, error, piece):
    model = network()
    with pytest.raises(error, match=piece):
        model.fit(table(colours), LABELS)
    assert not model.layers[1].adapted and model.n_in is None


def test_text_elsewhere_and_other_kinds_are_refused():
    model = network()
    model.fit(table(), LABELS)
    with pytest.raises(TypeError, match=r"must hold text there, .*got 1 at \(0, 1\), column 'colour'"):
        model.predict(table(np.ones(N, int)))
    with pytest.raises(TypeError, match=r"must hold numbers there.*got 'red' at \(0, 2\), column 'own'"):
        model.predict(table(own=np.full(N, "red", object)))
    with pytest.raises(TypeError, match=r"X must be numbers, got .*'a' \(str\) at \(0, 0\), column 'size'"):
        model.predict(table().assign(size="a"))
    without_names = network()
    without_names.fit(np.array(table()), LABELS)
    with pytest.raises(ValueError, match=r"X must have 3 columns, as the model's input, got shape \(60, 2\)"):
        without_names.predict(np.array(table())[:, 1:])
    with pytest.raises(ValueError, match="is not adapted"):
        network().evaluate(table(), LABELS)


def pickled(model):
    return pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled, "file"])
@pytest.mark.parametrize("kind", IDS)
def test_categories_are_kept_in_copies_pickles_and_files(kind, copied, tmp_path):
    model = network()
    model.fit(table(own=ids(kind)), LABELS, epochs=2)
    if copied == "file":
        model.save(tmp_path / "m.safetensors")
        again = fn.load(tmp_path / "m.safetensors")
    else:
        again = copied(model)
    for _ in range(2):
        assert np.array_equal(again.predict(table(own=ids(kind))), model.predict(table(own=ids(kind))))
    for own, expected in zip(again.layers[1].categories, model.layers[1].categories, strict=True):
        assert own.tolist() == expected.tolist() and own.dtype == expected.dtype
    with pytest.raises(ValueError, match="unknown category"):
        again.predict(table(own=ids(kind) + 9))


LABELS_IN_FILES = {
    "fewer": {"1": [["blue", "green"], None]},
    "twice": {"1": [["red", "red", "blue"], None]},
    "of two kinds": {"1": [["red", 1, "blue"], None]},
    "floats": {"1": [[0.5, 1.5, 2.5], None]},
    "one column": {"1": [["blue", "green", "red"]]},
    "another layer": {"0": [["blue", "green", "red"], None]},
    "no layer": {"9": [["blue", "green", "red"], None]},
    "no number": {"x": [["blue", "green", "red"], None]},
    "no list": {"1": "abc"},
    "no dictionary": [["blue"]],
}


@pytest.mark.parametrize("labels", LABELS_IN_FILES.values(), ids=LABELS_IN_FILES)
def test_wrong_labels_in_a_file_are_refused(labels, tmp_path):
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "m.safetensors"
    model = network()
    model.fit(table(), LABELS)
    model.save(path)
    size = int.from_bytes(path.read_bytes()[:8], "little")
    config = json.loads(json.loads(path.read_bytes()[8 : 8 + size])["__metadata__"]["fastnn"])
    assert config["labels"] == {"1": [["blue", "green", "red"], None]}
    config["labels"] = labels
    save_file(load_file(path), path, {"fastnn": json.dumps(config)})
    with pytest.raises(ValueError, match="does not hold a consistent fastnn model"):
        fn.load(path)


@pytest.mark.slow
def test_many_models_ensembles_and_scipy():
    models = [network(), network(dtype="float64"), network()]
    alone = network()
    data = (table(), LABELS)
    fn.fit_many(models[:2], *data, validation_data=data)
    alone.fit(*data, validation_data=data)
    assert np.array_equal(models[0].parameters, alone.parameters)
    models[2].fit(table(own=ids("2**24")), LABELS)
    ensemble = fn.Ensemble(models[:2])
    expected = (models[0].predict(table()) + models[1].predict(table())) / 2
    np.testing.assert_allclose(ensemble.predict(table()), expected, rtol=1e-6)
    assert set(ensemble.evaluate(*data)) == {"loss", "accuracy"}
    fn.scipy.minimize(models[1], *data, options={"maxiter": 2})
    fn.check_gradient(models[0], *data)
    values = fn.Model([fn.OneHot(1), fn.Dense(1)], "mse", dtype="float64", seed=0)
    values.layers[0].adapt(table())
    fn.scipy.least_squares(values, table(), SIZE)
    np.testing.assert_allclose(values.predict(table())[:, 0], SIZE, atol=1e-6)


@pytest.mark.slow
def test_compiled_code_takes_codes():
    model = network()
    model.fit(table(), LABELS)
    out = np.empty((N, 3), np.float32)
    x = np.column_stack([SIZE, CODES, NUMBER]).astype(np.float32)
    fn.forward(model.network(), x, out)
    np.testing.assert_array_equal(out, model.predict(table()))


def test_a_graph_does_not_take_text(tmp_path):
    import fastnn.onnx

    model = network()
    model.fit(table(), LABELS)
    with pytest.raises(ValueError, match="text, or integers beyond"):
        fastnn.onnx.export(model, tmp_path / "m.onnx")


@pytest.mark.parametrize("kind", [fn.OneHot, fn.EntityEmbedding])
def test_text_beside_indicators_of_missing_values(kind):
    sizes = np.where(NUMBER == 0, np.nan, SIZE)
    x = np.array([COLOURS, sizes], object).T
    layers = [fn.Impute(columns=1, add_indicator=True), kind(columns=0), fn.Dense(3)]
    model = fn.Model(layers, "cross_entropy", seed=0)
    model.fit(x, LABELS, epochs=2)
    assert model.layers[0].indicated == [1] and model.layers[1].categories[0].tolist() == [
        "blue",
        "green",
        "red",
    ]
    codes = fn.Model(
        [fn.Impute(columns=1, add_indicator=True), kind(columns=0), fn.Dense(3)], "cross_entropy", seed=0
    )
    codes.fit(np.column_stack([CODES, sizes]), LABELS, epochs=2)
    assert np.array_equal(model.predict(x), codes.predict(np.column_stack([CODES, sizes])))
    with pytest.raises(ValueError, match="unknown category 'pink' at"):
        model.predict(np.array([["pink", 1.0]], object))
    unknown = fn.Model(
        [fn.Impute(columns=1, add_indicator=True), kind(columns=-3), fn.Dense(3)], "cross_entropy"
    )
    with pytest.raises(ValueError, match=r"is behind a layer that adds columns.* columns=\[0, 2\]"):
        unknown.fit(x, LABELS)
