"""ONNX export: each layer and activation computes in ONNX Runtime, in any batch, what it does in fastnn."""

import importlib
import os
import sys
import warnings

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from sklearn import preprocessing
from sklearn.pipeline import make_pipeline

import fastnn as fn
from fastnn.layers import registry as layer_table
from fastnn.layers.base import walk
from fastnn.sklearn import MLPClassifier
from tests.helpers import layer_rows
from tests.helpers.networks import ACTIVATION_CASES, ACTIVATION_IDS, STACKS, activation, outputs_for
from tests.helpers.onnx_models import (
    CATEGORIES,
    CONVOLUTIONS,
    LAYERS,
    PART_OF_OTHERS,
    RNG,
    X,
    made,
    run,
    session,
)
from tests.helpers.tolerances import PRODUCT


def exported(model, path, **options):
    """Write the model, and look that the file is valid and says what it should."""
    fn.onnx.export(model, path, **options)
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    shapes = [end.type.tensor_type.shape.dim for end in (*proto.graph.input, *proto.graph.output)]
    assert [[dim.dim_param or dim.dim_value for dim in shape] for shape in shapes] == [
        ["batch", model.n_in],
        ["batch", model.n_out],
    ]
    assert [end.name for end in (*proto.graph.input, *proto.graph.output)] == ["X", "Y"]
    return proto


WRITTEN = LAYERS | PART_OF_OTHERS


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", WRITTEN.values(), ids=WRITTEN)
def test_layers(layers, dtype, tmp_path):
    model = made(layers(), dtype)
    exported(model, tmp_path / "m.onnx")
    runtime = session(tmp_path / "m.onnx")
    for rows in (1, 7, 20):
        x = CATEGORIES[:rows].astype(dtype)
        np.testing.assert_allclose(runtime.run(None, {"X": x})[0], model.predict(x), **PRODUCT[dtype])


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name, tmp_path):
    """The axes are transposed only where their order changes; batch normalization is folded."""
    layers, shape, operators = CONVOLUTIONS[name]
    model = fn.Model(layers(), "mse", seed=0).build(shape)
    model.parameters[...] = RNG.normal(0, 0.5, model.parameters.size)
    fn.onnx.export(model, tmp_path / "m.onnx", fold=True)
    assert [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node] == operators.split()
    x = RNG.normal(size=(7, *shape)).astype("float32")
    for rows in (1, 7):
        y = model.predict(x[:rows])
        scale = max(1.0, np.abs(y).max())
        found = run(tmp_path / "m.onnx", x[:rows])
        np.testing.assert_allclose(found, y, rtol=1e-5, atol=1e-5 * scale)


def test_every_kind_of_layer_is_exported():
    made = [make() for make in WRITTEN.values()] + [make() for make, *_ in CONVOLUTIONS.values()]
    rows = [row for row in layer_rows.LAYERS.values() if dict(*row[3:]).get("onnx", True)]
    made += [[make()] for make, *_ in rows]
    kinds = {layer.kind for layers in made for _, layer in walk(layers)}
    # ONNX has lengths of sequences, but no values that mark what is left out, and no derivatives.
    assert kinds == set(layer_table.TABLE) - {"masking", "derivatives"}


@pytest.mark.parametrize("opset", [13, 17, 18])
def test_layer_normalization_in_older_versions(opset, tmp_path):
    model = made(LAYERS["normalized residuals"](), "float32")
    exported(model, tmp_path / "m.onnx", opset=opset)
    x = CATEGORIES.astype("float32")
    np.testing.assert_allclose(run(tmp_path / "m.onnx", x), model.predict(x), **PRODUCT["float32"])
    again = fn.onnx.load(tmp_path / "m.onnx")
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in model.layers]
    assert np.array_equal(again.parameters, model.parameters)


def test_samples_of_several_axes(tmp_path):
    layers = [fn.LayerNormalization(), fn.Select([2, 0]), fn.Add([None, fn.Activation("tanh")])]
    model = fn.Model(layers, seed=0).build((5, 3))
    fn.onnx.export(model, tmp_path / "m.onnx")
    x = RNG.normal(size=(4, 5, 3)).astype("float32")
    y = run(tmp_path / "m.onnx", x)
    assert y.shape == (4, 5, 2)
    np.testing.assert_allclose(y, model.predict(x), **PRODUCT["float32"])
    images = fn.Model([fn.Flatten(), fn.Dense(3)], loss="cross_entropy", seed=0).build((2, 2, 1))
    fn.onnx.export(images, tmp_path / "m.onnx", probabilities=True)
    x = RNG.normal(size=(4, 2, 2, 1)).astype("float32")
    expected = images.predict_proba(x)
    np.testing.assert_allclose(run(tmp_path / "m.onnx", x), expected, **PRODUCT["float32"])
    flat = fn.onnx.load(tmp_path / "m.onnx")  # whose input is flat
    np.testing.assert_allclose(flat.predict(x.reshape(4, 4)), expected, **PRODUCT["float32"])


def with_batch_normalization():
    block = [
        fn.Dense(4, use_bias=False),
        fn.BatchNormalization(),
        fn.Activation("tanh"),
        fn.BatchNormalization(),
    ]
    layers = [fn.Dense(5), fn.BatchNormalization(scale=False), fn.BatchNormalization(center=False)]
    return made(
        [*layers, fn.Residual(block, fn.Dense(4)), fn.Dense(2, "relu"), fn.BatchNormalization()], "float64"
    )


@pytest.mark.parametrize("fold, count", [(False, 5), (True, 3)])
def test_batch_normalization_is_folded_into_the_layer_before(fold, count, tmp_path):
    model = with_batch_normalization()
    fn.onnx.export(model, tmp_path / "m.onnx", fold=fold)
    operators = [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node]
    assert operators.count("BatchNormalization") == count
    expected = model.predict(CATEGORIES)
    np.testing.assert_allclose(run(tmp_path / "m.onnx", CATEGORIES), expected, rtol=1e-10, atol=1e-12)
    again = fn.onnx.load(tmp_path / "m.onnx", dtype="float64")
    np.testing.assert_allclose(again.predict(CATEGORIES), expected, rtol=1e-10, atol=1e-12)


def test_channels_of_batch_normalization_are_the_last_axis(tmp_path):
    model = fn.Model([fn.BatchNormalization()], seed=0).build((4, 2, 3))
    model.state.statistics[...] = RNG.uniform(0.5, 2, 6)
    fn.onnx.export(model, tmp_path / "m.onnx")
    x = RNG.normal(size=(5, 4, 2, 3)).astype("float32")
    np.testing.assert_allclose(run(tmp_path / "m.onnx", x), model.predict(x), **PRODUCT["float32"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", ACTIVATION_CASES, ids=ACTIVATION_IDS)
def test_activations(case, dtype, tmp_path):
    model = made([fn.Dense(6, activation(case)), fn.Activation(activation(case))], dtype, X)
    model.layers[0].weights[:, 0] *= 30  # far out, too
    x = X.astype(dtype)
    exported(model, tmp_path / "m.onnx")
    tolerance = PRODUCT[dtype]
    if case == ("gelu", {}) and dtype == "float64":  # ONNX Runtime has no kernel for it
        tolerance = PRODUCT["float32"]  # of the reference's erf
        [y] = ReferenceEvaluator(str(tmp_path / "m.onnx")).run(None, {"X": x})
    else:
        y = run(tmp_path / "m.onnx", x)
    np.testing.assert_allclose(y, model.predict(x), **tolerance)


def test_every_activation_is_exported():
    """Other tests of this process may have made activations of their own."""
    known = {name for name, made in fn.activations.TABLE.items() if not hasattr(made, "kernel")}
    assert {name for name, _ in ACTIVATION_CASES} == known | {"identity"}


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
def test_stacks(layers, tmp_path):
    model = made(layers(), "float32", X)
    exported(model, tmp_path / "m.onnx")
    np.testing.assert_allclose(
        run(tmp_path / "m.onnx", X.astype(np.float32)), model.predict(X), **PRODUCT["float32"]
    )


def test_another_dtype(tmp_path):
    model = made([fn.Standardize(), fn.Dense(5, "gelu"), fn.Dense(2)], "float64", X)
    exported(model, tmp_path / "m.onnx", dtype="float32")
    y = run(tmp_path / "m.onnx", X.astype(np.float32))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, model.predict(X), **PRODUCT["float32"])


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


PROBABILITIES = {
    "cross_entropy": softmax,
    "focal": softmax,
    "kl_divergence": softmax,
    "binary_cross_entropy": lambda z: 1 / (1 + np.exp(-z)),
    "nll": np.exp,
}


@pytest.mark.parametrize("loss", fn.losses.TABLE)
def test_probabilities(loss, tmp_path):
    last = fn.Dense(outputs_for(loss, 3), "log_softmax" if loss == "nll" else None)
    model = made([fn.Dense(5, "tanh"), last], "float64", X, loss=loss)
    if loss not in PROBABILITIES:
        with pytest.raises(ValueError, match=f"not {loss}"):
            fn.onnx.export(model, tmp_path / "m.onnx", probabilities=True)
        return
    exported(model, tmp_path / "m.onnx", probabilities=True)
    wanted = PROBABILITIES[loss](model.predict(X))
    np.testing.assert_allclose(run(tmp_path / "m.onnx", X), wanted, **PRODUCT["float64"])


SCALERS = {
    "standard": preprocessing.StandardScaler(),
    "without mean": preprocessing.StandardScaler(with_mean=False),
    "without scale": preprocessing.StandardScaler(with_std=False),
    "min max": preprocessing.MinMaxScaler((-1, 3)),
    "max abs": preprocessing.MaxAbsScaler(),
    "robust": preprocessing.RobustScaler(),
    "robust, without both": preprocessing.RobustScaler(with_centering=False, with_scaling=False),
}


@pytest.mark.parametrize("scaler", SCALERS.values(), ids=SCALERS)
def test_scalers(scaler, tmp_path):
    scaler.fit(X)
    model = made([fn.Dense(5, "tanh"), fn.Dense(2)], "float64", X)
    exported(model, tmp_path / "m.onnx", scaler=scaler)
    wanted = model.predict(scaler.transform(X))
    np.testing.assert_allclose(run(tmp_path / "m.onnx", X), wanted, **PRODUCT["float64"])


@pytest.mark.parametrize("scaler", [fn.Standardize(), fn.MinMax(-1, 1, columns=[1])], ids=repr)
def test_own_scalers(scaler, tmp_path):
    scaler.adapt(X)
    model = made([fn.Dense(2)], "float64", X)
    exported(model, tmp_path / "m.onnx", scaler=scaler)
    wanted = model.predict(scaler(X))  # of float32
    np.testing.assert_allclose(run(tmp_path / "m.onnx", X), wanted, **PRODUCT["float32"])


@pytest.mark.parametrize("classes", [2, 3])
def test_pipelines_of_estimators(classes, tmp_path):
    labels = RNG.integers(0, classes, len(X))
    network = MLPClassifier((5,), max_iter=3, random_state=0)
    pipeline = make_pipeline(preprocessing.StandardScaler(), network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged yet
        pipeline.fit(X, labels)
    exported(network.model_, tmp_path / "m.onnx", probabilities=True, scaler=pipeline[0])
    y = run(tmp_path / "m.onnx", X.astype(network.model_.dtype))
    wanted = pipeline.predict_proba(X)
    np.testing.assert_allclose(y, wanted if classes > 2 else wanted[:, 1:], **PRODUCT["float32"])


def custom():
    softsign = fn.register_activation(
        lambda x: x / (1 + abs(x)), lambda x, y: (1 - abs(y)) ** 2, "softsign_of_mine", replace=True
    )
    model = fn.Model([fn.Dense(2, softsign)]).build(3)
    fn.activations.TABLE.pop("softsign_of_mine")
    return model


class Unknown(fn.Layer):
    kind = "unknown"

    def lower(self, graph, *inputs):
        return fn.Activation("relu").lower(graph, *inputs)


def built(layers=None, **options):
    return fn.Model(layers or [fn.Dense(2)], **options).build(3)


def wide():
    model = built(dtype="float64")
    model.layers[0].bias = [1e300, 0]
    return model


standard = preprocessing.StandardScaler
REFUSED = {
    "no model": (lambda: [fn.Dense(3)], {}, TypeError, "model must be"),
    "not built": (lambda: fn.Model([fn.Dense(3)]), {}, ValueError, "not built"),
    "not adapted": (lambda: built([fn.Standardize(), fn.Dense(3)]), {}, ValueError, "not adapted"),
    "own activation": (custom, {}, ValueError, "'softsign_of_mine' is user-defined"),
    "own layer": (lambda: built([Unknown()]), {}, ValueError, "Unknown.* no counterpart in ONNX"),
    "no loss": (built, {"probabilities": True}, ValueError, "not None"),
    "probabilities a number": (built, {"probabilities": 1}, TypeError, "probabilities"),
    "unknown dtype": (built, {"dtype": "float16"}, ValueError, "'float16'"),
    "beyond float32": (wide, {"dtype": "float32"}, ValueError, "0.dense.bias must be finite"),
    "no scaler": (built, {"scaler": 3}, TypeError, "got 3"),
    "scaler not fitted": (built, {"scaler": standard()}, ValueError, "not fitted"),
    "layer not adapted": (built, {"scaler": fn.MinMax()}, ValueError, "no data_m.. yet"),
    "scaler of other columns": (built, {"scaler": standard().fit(X)}, ValueError, "4 columns"),
    "scaler that clips": (
        built,
        {"scaler": preprocessing.MinMaxScaler(clip=True).fit(X[:, :3])},
        ValueError,
        "clips",
    ),
    "another transformer": (built, {"scaler": preprocessing.Normalizer()}, TypeError, "Normalizer"),
}


@pytest.mark.parametrize(("make", "options", "error", "piece"), REFUSED.values(), ids=REFUSED)
def test_refused(make, options, error, piece, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"as before")
    with pytest.raises(error, match=piece):
        fn.onnx.export(make(), path, **options)
    assert path.read_bytes() == b"as before"
    assert os.listdir(tmp_path) == ["m.onnx"]


def test_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.import_module("fastnn.onnx._export"), "_LARGEST", 100)
    with pytest.raises(ValueError, match="too large"):
        fn.onnx.export(built(), tmp_path / "m.onnx")


def test_without_the_package(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("fastnn.onnx")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(fn, "onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"fastnn-jit\[onnx\]"):
        fn.onnx  # noqa: B018
