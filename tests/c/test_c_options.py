"""What `Model.to_c` writes on request: separate weights, probabilities, derivatives, weights of 8 bits."""

import numpy as np
import pytest

import fastnn as fn
from fastnn.c import quantize as int8
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
