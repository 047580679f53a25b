"""Preprocessing layers refuse settings, data and files that do not fit, and are as before."""

import copy
import re

import numpy as np
import pytest

import fastnn as fn
from tests.helpers.coded_data import CODED, NUMBERS, X, Y, network
from tests.helpers.rejections import refused

SETTINGS = {
    "no columns": (lambda: fn.Standardize([]), ValueError, "empty"),
    "columns twice": (lambda: fn.MinMax(columns=[1, 1]), ValueError, "[1, 1]"),
    "columns of text": (lambda: fn.OneHot("ab"), TypeError, "'ab'"),
    "a column of text": (lambda: fn.OneHot(["a"]), TypeError, "'a'"),
    "half a column": (lambda: fn.Standardize(1.5), TypeError, "1.5"),
    "low": (lambda: fn.MinMax(2, 2), ValueError, "low=2"),
    "unknown": (lambda: fn.OneHot(0, handle_unknown="drop"), ValueError, "'drop'"),
    "categories of text": (lambda: fn.OneHot(0, "all"), TypeError, "'all'"),
    "categories flat": (lambda: fn.OneHot(0, [1, 2]), ValueError, "dimensions"),
    "no categories": (lambda: fn.OneHot(0, []), ValueError, "empty"),
    "none for a column": (lambda: fn.OneHot(0, [[]]), ValueError, "must not be empty"),
    "categories twice": (lambda: fn.OneHot(0, [[1, 1]]), ValueError, "differ"),
    "half a category": (lambda: fn.OneHot(0, [[1, 2.5]]), ValueError, "integers"),
    "a category of bytes": (lambda: fn.OneHot(0, [[b"a", b"b"]]), TypeError, "got dtype |S1"),
    "categories of both kinds": (lambda: fn.OneHot(0, [["a", 1]]), TypeError, "at 0 beside 1 (int) at 1"),
    "no category": (lambda: fn.OneHot(0, [["a", None]]), TypeError, "beside None (NoneType) at 1"),
    "text twice": (lambda: fn.OneHot(0, [["a", "b", "a"]]), ValueError, "differ"),
    "a large category twice": (lambda: fn.OneHot(0, [[2**70, 2**70]]), ValueError, "differ"),
    "a float that is rounded": (lambda: fn.OneHot(0, [[2.0**54]]), ValueError, "float64 rounds them"),
    "after weights": (lambda: fn.Model([fn.Dense(2), fn.Standardize()]), ValueError, "before"),
}


@pytest.mark.parametrize(("make", "error", "piece"), SETTINGS.values(), ids=SETTINGS)
def test_settings(make, error, piece):
    with pytest.raises(error, match=re.escape(piece)):
        make()


USES = {
    "predict": lambda model: model.predict(X),
    "evaluate": lambda model: model.evaluate(X, Y),
    "loss_and_gradient": lambda model: model.loss_and_gradient(X, Y),
    "layer": lambda model: model.layers[0](X),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("kind", [fn.Standardize, fn.MinMax, fn.OneHot])
def test_not_adapted(use, kind):
    model = network([kind()])
    refused(model, lambda: use(model), ValueError, f"{model.layers[0]!r} is not adapted")


def test_numbers_that_are_not_there_yet():
    for layer, name in ((fn.Standardize(), "mean"), (fn.MinMax(), "data_min"), (fn.OneHot(), "categories")):
        with pytest.raises(ValueError, match="adapt"):
            getattr(layer, name)
    with pytest.raises(ValueError, match="not adapted"):
        network([fn.OneHot()]).build(3)
    with pytest.raises(ValueError, match="not adapted"):
        network([fn.Standardize()]).build(3).network()


REFUSED = {
    "a column that is not there": ([fn.OneHot(5)], X, "column 5"),
    "the same column": ([fn.Standardize([0, -5])], X, "twice"),
    "no integers": ([fn.OneHot([0])], X, "column 0 must hold integers"),
    "large integers": ([fn.OneHot([0])], X + [[2.0**25, 0, 0, 0, 0]], "column 0 must hold integers"),
    "many columns": ([fn.OneHot(CODED, [[2, 3, 4, 5]])], X, "categories of 1 columns"),
    "too far": ([fn.MinMax()], np.sign(NUMBERS) * 3e38, "too far"),
}
LARGE = (X + [[0, 0, 0, 2.0**25, 0]]).astype(np.float32)
REFUSED["large integers that are rounded"] = ([fn.OneHot([3])], LARGE, "as float32 rounds them, got")


@pytest.mark.parametrize(("layers", "x", "piece"), REFUSED.values(), ids=REFUSED)
def test_data_that_a_layer_cannot_adapt_to(layers, x, piece):
    model = network(copy.deepcopy(layers))
    before = [layer.statistics for layer in model.layers[:-2]]
    refused(model, lambda: model.fit(x, Y), ValueError, piece)
    assert [layer.statistics for layer in model.layers[:-2]] == before


def test_unknown_categories():
    strange = X.copy()
    strange[200, 4] = 6
    model = network([fn.Standardize([0]), fn.OneHot(CODED)])
    piece = "unknown category 6 at (200, 4); known are 2, 3, 4, 5"
    refused(
        model,
        lambda: model.fit(X, Y, validation_data=(strange, Y)),
        ValueError,
        f"validation X has the {piece}",
    )
    assert not model.layers[0].adapted
    model.fit(X, Y)
    for use in (model.predict, lambda x: model.evaluate(x, Y), lambda x: model.fit(x, Y)):
        refused(model, lambda use=use: use(strange), ValueError, piece)
    with pytest.raises(ValueError, match=re.escape("x has the unknown category 6 at (0, 4)")):
        model.layers[1](strange[200])
    tolerant = network([fn.OneHot(CODED, handle_unknown="ignore")])
    tolerant.fit(X, Y)
    assert tolerant.layers[0](strange[200])[-4:].tolist() == [0, 0, 0, 0]


def test_other_sizes_of_a_built_model():
    model = network([fn.OneHot(3), fn.Standardize()])
    model.fit(X, Y)
    output = model(X)
    few = X[X[:, 3] > 2]
    refused(model, lambda: model.adapt(few), ValueError, "another number of categories")
    refused(model, lambda: model.layers[0].adapt(few), ValueError, "another number of categories")
    refused(model, lambda: model.layers[1].adapt(X), ValueError, "adapted to 5 columns, but its input has 8")
    refused(model, lambda: model.adapt(X[:, :4]), ValueError, "(240, 4)")
    assert np.array_equal(model(X), output)
    model.adapt(X[:, [0, 1, 2, 4, 3]] + [0, 0, 0, 1, 0])
    assert model.layers[0].categories[0].tolist() == [3, 4, 5, 6]


DAMAGE = {
    "no second": ({"mean": [1.0]}, KeyError),
    "sizes": ({"mean": [1.0], "scale": [1.0, 2.0]}, ValueError),
    "nothing": ({"mean": [], "scale": []}, ValueError),
    "zero": ({"mean": [1.0], "scale": [0.0]}, ValueError),
    "negative": ({"mean": [1.0], "scale": [-1.0]}, ValueError),
    "NaN": ({"mean": [np.nan], "scale": [1.0]}, ValueError),
    "shape": ({"mean": [[1.0]], "scale": [[1.0]]}, ValueError),
    "order": ({"data_min": [1.0], "data_max": [0.0]}, ValueError),
    "counts": ({"counts": [2.0], "categories": [0.0]}, ValueError),
    "negative counts": ({"counts": [-1.0, 2.0], "categories": [0.0]}, ValueError),
    "half counts": ({"counts": [0.5, 0.5], "categories": [0.0]}, ValueError),
    "equal": ({"counts": [2.0], "categories": [0.0, 0.0]}, ValueError),
}


@pytest.mark.parametrize(("numbers", "error"), DAMAGE.values(), ids=DAMAGE)
def test_numbers_that_were_not_measured(numbers, error):
    """As a damaged or hostile file would bring them."""
    layer = {"mean": fn.Standardize, "data_min": fn.MinMax, "counts": fn.OneHot}[next(iter(numbers))]()
    with pytest.raises(error):
        layer.set_statistics(numbers)
    assert not layer.adapted


FILES = {
    "zero": (fn.Standardize, {"0.scale": np.array([1.0, 0.0, 1.0, 1.0, 1.0])}, "scale must be >="),
    "few": (fn.Standardize, {"0.mean": np.zeros(4)}, "one shape"),
    "of another input": (fn.Standardize, {"0.mean": np.zeros(4), "0.scale": np.ones(4)}, "input has 5"),
    "one is gone": (fn.Standardize, {"0.scale": None}, "0.scale"),
    "NaN": (fn.MinMax, {"0.data_max": np.full(5, np.nan)}, "finite"),
    "a table": (fn.MinMax, {"0.data_max": np.ones((5, 1))}, "dimensions"),
    "counts": (fn.OneHot, {"0.counts": np.array([1e9, 4.0])}, "counts"),
    "few categories": (fn.OneHot, {"0.counts": np.ones(2), "0.categories": np.ones(2)}, "shape"),
}


@pytest.mark.parametrize(("kind", "tensors", "piece"), FILES.values(), ids=FILES)
def test_damaged_files(kind, tensors, piece, tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    model = network([kind(columns=CODED)])
    model.fit(X, Y)
    path = tmp_path / "model.safetensors"
    model.save(path)
    with safe_open(path, framework="numpy") as file:
        kept = {name: file.get_tensor(name) for name in file.keys()}
        metadata = file.metadata()
    kept = {name: values for name, values in {**kept, **tensors}.items() if values is not None}
    save_file(kept, path, metadata)
    with pytest.raises(ValueError, match=re.escape(piece)):
        fn.load(path)
