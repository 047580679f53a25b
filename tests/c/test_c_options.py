"""What `Model.to_c` writes on request: separate weights, probabilities, derivatives, weights of 8 bits."""

import numpy as np
import pytest

import fastnn as fn
from fastnn.c import quantize as int8
from fastnn.c.calibration import calibrated, windows
from fastnn.c.export import TOLERANCE
from tests.helpers.c_files import agrees, call_with, compiled, dense_model, difference, predict, selftest
from tests.helpers.networks import ACTIVATION_CASES, activation
from tests.helpers.sweeps import sampled

DTYPES = ["float32", "float64"]


@pytest.mark.parametrize("dtype", sampled(DTYPES, 2))
def test_separate_weights(dtype, tmp_path):
    model = dense_model(dtype)
    written = model.to_c(tmp_path / "net.h", weights="separate", check=True)
    assert written.paths == [str(tmp_path / "net.h"), str(tmp_path / "net.bin")]
    assert (tmp_path / "net.bin").stat().st_size == written.weights
    weights = np.fromfile(tmp_path / "net.bin", dtype)
    library = compiled(tmp_path, [written])
    x = np.random.default_rng(0).normal(size=(20, 4))
    agrees(predict(library, written, model, x, weights), model.predict(x), dtype)
    assert (
        selftest(library, written, model, weights)
        <= TOLERANCE[dtype]
        < selftest(library, written, model, -weights)
    )


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "nll"])
def test_probabilities(loss, tmp_path):
    layers = [fn.Dense(5, "log_softmax" if loss == "nll" else None)]
    model = fn.Model(layers, loss, seed=0).build(4)
    written = model.to_c(tmp_path / "net.h", probabilities=True)
    library, x = compiled(tmp_path, [written]), np.random.default_rng(0).normal(size=(20, 4))
    agrees(predict(library, written, model, x), model.predict_proba(x), "float32")
    assert selftest(library, written, model) <= TOLERANCE["float32"]
    with pytest.raises(ValueError, match="probabilities need a model with one of the losses"):
        fn.Model([fn.Dense(2)], "mse").build(3).to_c(tmp_path / "other.h", probabilities=True)


@pytest.mark.parametrize("dtype", sampled(DTYPES, 2))
def test_gradients(dtype, tmp_path):
    """With respect to the input, through every activation, beside those of the model."""
    written, models = [], []
    x = np.random.default_rng(0).normal(1, 2, size=(8, 3)).astype(dtype)
    for number, case in enumerate(ACTIVATION_CASES):
        layers = [
            fn.Standardize(), fn.Reshape((3,)), fn.Dense(9), fn.BatchNormalization(),
            fn.Activation(activation(case)), fn.Sequential([fn.Dense(11, activation(case)), fn.Dense(2)]),
            fn.Unscale(),
        ]  # fmt: skip
        model = fn.Model(layers, "mse", dtype=dtype, seed=number)
        model.fit(x, x[:, :2] * 9, epochs=1, verbose=0)
        models.append(model)
        written.append(model.to_c(tmp_path / f"slope{number}.h", gradient=True))
    library = compiled(tmp_path, written)
    for model, each in zip(models, written, strict=True):
        dx, jacobian = np.full((1, 3), np.nan, dtype), np.full((2, 3), np.nan, dtype)
        scratch, dy = np.full(each.scratch // x.itemsize, np.nan, dtype), np.array([2, -1], dtype)
        for row in x[:4]:
            for name, arrays in (
                ("input_gradient", (row, dy, dx, scratch)),
                ("jacobian", (row, jacobian, scratch)),
            ):
                call_with(library, f"{each.prefix}_{name}", *arrays)
            slopes = model.jacobian(row)
            limit = 4 * TOLERANCE[dtype] * abs(slopes).max()
            np.testing.assert_allclose(jacobian, slopes, rtol=0, atol=limit, err_msg=repr(model.layers))
            np.testing.assert_allclose(dx[0], model.input_gradient(row, dy), rtol=0, atol=4 * limit)


def test_gradients_that_are_refused(tmp_path):
    path = tmp_path / "net.h"
    with pytest.raises(ValueError, match=r"layer 0, GRU\(2\): gradient=True is for networks of Dense"):
        fn.Model([fn.GRU(2)]).build((3, 2)).to_c(path, gradient=True)
    for options, message in (
        ({"quantize": "int8"}, "leave quantize out"),
        ({"probabilities": True}, "own outputs"),
    ):
        with pytest.raises(ValueError, match=message):
            dense_model().to_c(path, gradient=True, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", sampled(DTYPES, 2))
def test_int8(dtype, tmp_path):
    """The file computes what the rounded weights give, and says what was lost and saved."""
    images = [fn.Conv2D(9, 3, padding="same"), fn.BatchNormalization(), fn.Flatten(), fn.Dense(2)]
    stacks = {
        "dense": ([fn.Dense(70, "relu"), fn.BatchNormalization(), fn.Dense(3)], (9,)),
        "conv": (images, (4, 3, 2)),
        "groups": ([fn.Conv1D(4, 2, groups=2), fn.GRU(3), fn.Dense(2)], (6, 2)),
        "parts": ([fn.SeparableConv2D(5, 2), fn.Reshape((-1, 5)), fn.MultiHeadAttention(2, 3)], (4, 3, 2)),
    }
    written, models = [], []
    for name, (layers, shape) in stacks.items():
        models.append(fn.Model(layers, dtype=dtype, seed=0).build(shape))
        written.append(models[-1].to_c(tmp_path / f"{name}.h", quantize="int8"))
    library = compiled(tmp_path, written)
    for model, each in zip(models, written, strict=True):
        assert selftest(library, each, model) <= 2 * TOLERANCE[dtype]
        x = np.random.default_rng(0).normal(size=(20, *model.input_shape)).astype(dtype)
        y, expected = predict(library, each, model, x), model.predict(x)
        assert 1e-5 < each.lost < 0.03 and 1e-5 < difference(y, expected) < 0.03
        plain = model.to_c(tmp_path / "plain.h")
        assert abs(plain.weights - each.weights - each.saved) < 1000  # but for alignment
        assert plain.lost is plain.saved is None
        assert "bytes less, outputs change by" in str(each)
    rounded, largest = int8.quantized(models[0]), abs(models[0].parameters).max()
    assert all(len(np.unique(column)) <= 255 for column in rounded.layers[0].weights.T)
    np.testing.assert_allclose(rounded.parameters, models[0].parameters, atol=largest / 250)


def digits_and_spiral():
    """Trained networks, samples for the calibration, and others."""
    X, y = fn.datasets.digits()
    dense = fn.Model([fn.MinMax(), fn.Dense(64, "relu"), fn.Dense(10)], "cross_entropy", seed=0)
    images = [
        fn.Reshape((8, 8, 1)),
        fn.Conv2D(9, 3, use_bias=False),
        fn.BatchNormalization(),
        fn.Activation("relu"),
    ]
    images += [fn.Residual([fn.Conv2D(9, 3, padding="same")]), fn.MaxPooling2D(2), fn.Flatten(), fn.Dense(10)]
    conv = fn.Model(images, "cross_entropy", seed=0)
    for model, samples in ((dense, X), (conv, X / 16)):
        model.fit(samples[:1000], y[:1000], epochs=3, verbose=0)
        yield model, samples[:1000], samples[1000:]
    X, y = fn.datasets.spiral(seed=0)
    model = fn.Model([fn.Dense(32, "tanh"), fn.Dense(32, "tanh"), fn.Dense(3)], "cross_entropy", seed=0)
    yield model.fit(X[::2], y[::2], epochs=50, verbose=0) and model, X[::2], X[1::2]


@pytest.mark.slow
def test_calibration(tmp_path):
    """It lowers the error for samples that it has not seen, and the file computes what it gives."""
    cases = list(digits_and_spiral())
    written = [
        model.to_c(tmp_path / f"net{i}.h", quantize="int8", calibration=X)
        for i, (model, X, _) in enumerate(cases)
    ]
    library = compiled(tmp_path, written)
    for each, (model, X, others) in zip(written, cases, strict=True):
        assert selftest(library, each, model) <= 2 * TOLERANCE["float32"]
        assert each.lost < each.lost_by_rounding and "without calibration" in str(each)
        exact, plain = model.predict(others), int8.quantized(model).predict(others)
        agrees(predict(library, each, model, others[:9]), calibrated(model, X).predict(others[:9]), "float32")
        errors = [
            np.square(other - exact).mean() ** 0.5 for other in (calibrated(model, X).predict(others), plain)
        ]
        assert errors[0] < 0.7 * errors[1]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (fn.Conv2D(3, (2, 3), (2, 1), "same"), (5, 6, 2)),
        (fn.Conv2D(3, 2, dilation_rate=(2, 3)), (5, 6, 2)),
        (fn.Conv2D(3, 3, 2, use_bias=False), (6, 6, 1)),
        (fn.Conv1D(4, 3, padding="causal", dilation_rate=2), (7, 2)),
        (fn.Conv1D(4, 3, 2, "same"), (7, 2)),
    ],
    ids=repr,
)
def test_windows(layer, shape):
    """What is calibrated is what the weights are multiplied with."""
    model = fn.Model([layer], dtype="float64", seed=0).build(shape)
    x = np.random.default_rng(0).normal(size=(2, *shape))
    weights = layer.weights.reshape(-1, layer.filters)
    np.testing.assert_allclose(windows(layer, x) @ weights, model.predict(x), atol=1e-12)


def test_rounded_weights_keep_their_factors():
    rng = np.random.default_rng(0)
    integers, factors = rng.integers(-100, 101, size=(50, 40)), rng.uniform(0.1, 2, 40)
    integers[:, 7] = 0
    found, other = int8.codes((integers * factors).astype("float32"))
    np.testing.assert_allclose(found * other, integers * factors, rtol=1e-6)
    weights = rng.normal(size=(50, 40))
    np.testing.assert_allclose(int8.codes(weights)[1], abs(weights).max(axis=0) / 127)


def test_calibration_that_is_refused(tmp_path):
    model, path = dense_model(), tmp_path / "net.h"
    with pytest.raises(ValueError, match="calibration is for quantize='int8'"):
        model.to_c(path, calibration=np.ones((2, 4)))
    with pytest.raises(ValueError, match="at least one sample|empty|0 samples"):
        model.to_c(path, quantize="int8", calibration=np.ones((0, 4)))
    with pytest.raises(ValueError, match="5"):
        model.to_c(path, quantize="int8", calibration=np.ones((2, 5)))
    with pytest.raises(ValueError, match="nan|NaN"):
        model.to_c(path, quantize="int8", calibration=np.full((2, 4), np.nan))
    assert not list(tmp_path.iterdir())
