"""ONNX export of fitted estimators, with labels, and of other versions of operators and of the format."""

import warnings

import numpy as np
import onnx
import pytest
from sklearn import neural_network
from sklearn.preprocessing import StandardScaler

import fastnn as fn
from fastnn.sklearn import MLPClassifier, MLPRegressor
from tests.helpers.networks import ACTIVATION_CASES, activation, randomize
from tests.helpers.onnx_models import session
from tests.helpers.tolerances import PRODUCT

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
CODES = RNG.integers(0, 3, 60)
TARGETS = {
    "two classes": CODES > 0,
    "two numbers": np.where(CODES > 0, 7, -2),
    "three numbers": CODES * 10,
    "whole floats": CODES.astype(float),
    "text": np.array(["a", "bb", "ccc"])[CODES],
    "text of two": np.array(["no", "yes"], object)[(CODES > 0).astype(int)],
    "several labels": np.column_stack([CODES > 0, CODES > 1, CODES == 1]).astype(int),
}


def fitted(estimator, y, x=X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged yet
        return estimator.fit(x, y)


def written(estimator, path, **options):
    fn.onnx.export(estimator, path, **options)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    return session(path)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)
def test_classifiers(y, dtype, tmp_path):
    estimator = fitted(MLPClassifier((5,), activation="tanh", max_iter=30, random_state=0, dtype=dtype), y)
    running = written(estimator, tmp_path / "m.onnx")
    assert [end.name for end in running.get_outputs()] == ["probabilities", "label"]
    for rows in (1, 60):
        x = X[:rows].astype(dtype)
        label, probabilities = running.run(["label", "probabilities"], {"X": x})
        assert label.tolist() == estimator.predict(x).tolist()
        np.testing.assert_allclose(probabilities, estimator.predict_proba(x), **PRODUCT[dtype])
    model = fn.onnx.load(tmp_path / "m.onnx")  # takes the probabilities
    np.testing.assert_allclose(model.predict(x), probabilities, **PRODUCT["float32"])


REGRESSORS = {
    "one value": (X[:, 0], "squared_error"),
    "two values": (X[:, :2], "squared_error"),
    "counts": (CODES, "poisson"),
}


@pytest.mark.parametrize(("y", "loss"), REGRESSORS.values(), ids=REGRESSORS)
def test_regressors(y, loss, tmp_path):
    estimator = fitted(MLPRegressor(loss, (5,), max_iter=30, random_state=0), y)
    [given] = written(estimator, tmp_path / "m.onnx").run(None, {"X": X})
    wanted = estimator.predict(X)
    np.testing.assert_allclose(given, wanted.reshape(given.shape), **PRODUCT["float64"])
    with pytest.raises(ValueError, match="this is a regressor"):
        fn.onnx.export(estimator, tmp_path / "m.onnx", probabilities=True)


def test_with_a_scaler_and_coefficients_that_were_assigned(tmp_path):
    scaler = StandardScaler().fit(X)
    estimator = fitted(MLPClassifier((5,), max_iter=5, random_state=0), CODES, scaler.transform(X))
    estimator.coefs_[0] = estimator.coefs_[0] * 2
    running = written(estimator, tmp_path / "m.onnx", scaler=scaler, dtype="float32")
    _, probabilities = running.run(["label", "probabilities"], {"X": X.astype(np.float32)})
    wanted = estimator.predict_proba(scaler.transform(X))
    np.testing.assert_allclose(probabilities, wanted, **PRODUCT["float32"])


REFUSED = {
    "not fitted": (lambda: MLPClassifier(), ValueError, "not fitted yet"),
    "another library's": (
        lambda: fitted(neural_network.MLPClassifier((2,), max_iter=2), CODES),
        TypeError,
        "an estimator of fastnn.sklearn, not of another library",
    ),
    "another kind": (lambda: StandardScaler().fit(X), TypeError, "an estimator of fastnn.sklearn, got"),
    "a single class": (
        lambda: fitted(MLPClassifier((2,), max_iter=2), CODES * 0),
        ValueError,
        "single class",
    ),
}


@pytest.mark.parametrize(("make", "error", "piece"), REFUSED.values(), ids=REFUSED)
def test_refused(make, error, piece, tmp_path):
    with pytest.raises(error, match=piece):
        fn.onnx.export(make(), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


# ---- versions


def every_activation(dtype):
    rows = [fn.Dense(4, activation(case)) for case in ACTIVATION_CASES]
    model = fn.Model([fn.Standardize(), fn.Dropout(0.2), *rows, fn.Dense(2)], dtype=dtype, seed=0)
    model.adapt(X).build(4)
    randomize(model, RNG)
    return model


@pytest.mark.parametrize("opset", [13, 14, 17, 19, 20, 22])
def test_versions_of_operators(opset, tmp_path):
    model = every_activation("float32")
    running = written(model, tmp_path / "m.onnx", opset=opset)
    assert onnx.load(tmp_path / "m.onnx").opset_import[0].version == opset
    x = X.astype(np.float32)
    np.testing.assert_allclose(running.run(None, {"X": x})[0], model.predict(x), **PRODUCT["float32"])
    again = fn.onnx.load(tmp_path / "m.onnx")
    names = [
        [layer.activation and layer.activation.name for layer in each.layers[2:]] for each in (again, model)
    ]
    assert names[0] == [None if name == "identity" else name for name in names[1]]


def test_every_version_is_valid(tmp_path):
    model = every_activation("float64")
    for opset in range(13, onnx.defs.onnx_opset_version() + 1):
        fn.onnx.export(model, tmp_path / "m.onnx", opset=opset)  # checks the graph itself
        proto = onnx.load(tmp_path / "m.onnx")
        first = proto.ir_version
        fn.onnx.export(model, tmp_path / "m.onnx", opset=opset, ir_version=first + 1 if opset < 20 else None)
        assert onnx.load(tmp_path / "m.onnx").ir_version == first + (opset < 20)


def test_without_versions_they_are_those_of_before(tmp_path):
    fn.onnx.export(every_activation("float32"), tmp_path / "m.onnx")
    proto = onnx.load(tmp_path / "m.onnx")
    assert proto.opset_import[0].version == 20 and proto.ir_version == 9


@pytest.mark.parametrize(
    ("options", "error", "piece"),
    [
        ({"opset": 12}, ValueError, "opset must be one of 13 ... .*, got 12"),
        ({"opset": 999}, ValueError, "got 999"),
        ({"opset": 17.0}, TypeError, "opset must be an integer"),
        (
            {"opset": 20, "ir_version": 8},
            ValueError,
            "ir_version must be one of 9 ... .* for opset 20, got 8",
        ),
        ({"ir_version": 99}, ValueError, "got 99"),
        ({"ir_version": "9"}, TypeError, "ir_version must be an integer"),
    ],
)
def test_versions_that_are_refused(options, error, piece, tmp_path):
    with pytest.raises(error, match=piece):
        fn.onnx.export(fn.Model([fn.Dense(2)]).build(3), tmp_path / "m.onnx", **options)
