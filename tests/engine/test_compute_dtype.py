"""Models whose products are computed in bfloat16, and the refusal where the CPU cannot."""

import contextlib
import copy
import pickle

import numpy as np
import pytest
from numba import njit

import fastnn as fn
from fastnn.engine import compute_dtype, required_kernels
from tests.helpers.bfloat16 import ROUNDING, needed, rounded, without
from tests.helpers.interrupted import stopped_after

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 40)).astype(np.float32)
Y = np.tanh(X @ RNG.normal(size=(40, 5)) / 6).astype(np.float32)


def network(products="bfloat16", seed=0, units=70, loss="mse", **options):
    layers = [fn.Dense(units, "relu"), fn.Dropout(0.2), fn.Dense(units, "tanh"), fn.Dense(Y.shape[1])]
    return fn.Model(layers, loss, fn.Adam(0.01), seed=seed, compute_dtype=products, **options)


# ---- what is computed --------------------------------------------------------------------------


@needed
def test_forward_and_gradient_are_those_of_rounded_factors():
    """Beside NumPy in float64, where factors are rounded; sums and the rest are float32."""
    model = fn.Model([fn.Dense(70, "tanh"), fn.Dense(5)], "mse", seed=0, compute_dtype="bfloat16").build(40)
    for layer in model.layers:
        layer.bias = RNG.normal(size=layer.bias.shape)
    w1, b1, w2, b2 = (x.astype(np.float64) for layer in model.layers for x in (layer.weights, layer.bias))

    def times(a, b):
        return rounded(a).astype(np.float64) @ rounded(b)

    h = np.tanh(times(X, w1) + b1)
    y = times(h, w2) + b2
    np.testing.assert_allclose(model.predict(X), y, rtol=1e-3, atol=1e-3)
    loss, gradient = model.loss_and_gradient(X, Y)
    np.testing.assert_allclose(loss, ((y - Y) ** 2).mean(), rtol=1e-4)
    dy = 2 * (y - Y) / Y.size
    dz = times(dy, w2.T) * (1 - h**2)
    expected = [times(X.T, dz), dz.sum(0), times(h.T, dy), dy.sum(0)]
    found = np.split(gradient, np.cumsum([x.size for x in expected])[:-1])
    for own, wanted in zip(found, expected, strict=True):
        # A value that falls on the other side of a tie is rounded to the next number.
        np.testing.assert_allclose(
            own.reshape(wanted.shape), wanted, rtol=0, atol=2e-3 * np.abs(wanted).max()
        )
    assert not np.array_equal(model.predict(X), network(None).build(40).predict(X))


@needed
def test_the_output_is_as_near_to_float64_as_the_rounding_of_its_factors_allows():
    model = fn.Model([fn.Dense(90)], seed=0, compute_dtype="bfloat16").build(40)
    w = model.layers[0].weights.astype(np.float64)
    error = np.abs(model.predict(X) - X.astype(np.float64) @ w)
    bound = 2.01 * ROUNDING * (np.abs(X) @ np.abs(w))
    assert (error <= bound).all()
    assert error.max() > 0.01 * bound.max()  # it is not float32


@needed
@pytest.mark.parametrize(
    "layers",
    [
        lambda: [fn.GRU(20, return_sequences=True), fn.LSTM(12), fn.Dense(5)],
        lambda: [fn.Bidirectional(fn.SimpleRNN(9)), fn.Dense(5)],
        lambda: [fn.Residual([fn.MultiHeadAttention(2, 8)]), fn.Flatten(), fn.Dense(5)],
        lambda: [fn.Conv1D(6, 3), fn.Flatten(), fn.Dense(5)],
    ],
    ids=["recurrent", "bidirectional", "attention", "convolution"],
)
def test_layers_of_sequences(layers):
    """Close to float32, but not equal; a row alone has the same bits; two models of one seed as well."""
    x = X.reshape(-1, 10, 4)
    plain = fn.Model(layers(), "mse", seed=0).build((10, 4))
    model, other = (
        fn.Model(layers(), "mse", seed=0, compute_dtype="bfloat16").build((10, 4)) for _ in range(2)
    )
    found, wanted = model.predict(x), plain.predict(x)
    assert 1e-5 < np.abs(found - wanted).max() < 0.05
    for i in (0, 17, 299):
        assert np.array_equal(model.predict(x[i : i + 1])[0], found[i])
    model.fit(x, Y, epochs=2, threads=1)
    other.fit(x, Y, epochs=2, threads=3)
    assert np.array_equal(model.parameters, other.parameters)


@needed
@pytest.mark.parametrize("data", ["spiral", pytest.param("digits", marks=pytest.mark.sweep)])
def test_training_comes_to_the_same_loss(data):
    if data == "spiral":
        x, y = fn.datasets.spiral(100, 3, seed=0)
    else:
        digits = pytest.importorskip("sklearn.datasets").load_digits()
        x, y = digits.data / 16, digits.target
    losses = []
    for products in (None, "bfloat16"):
        layers = [fn.Dense(64, "relu"), fn.Dense(64, "relu"), fn.Dense(int(y.max()) + 1)]
        model = fn.Model(layers, "cross_entropy", fn.Adam(0.003), seed=1, compute_dtype=products)
        model.fit(x, y, epochs=150 if data == "spiral" else 8)
        losses.append(model.evaluate(x, y))
    plain, found = losses
    assert found["accuracy"] > plain["accuracy"] - 0.02
    assert found["accuracy"] > 0.97
    assert abs(found["loss"] - plain["loss"]) < 0.05


# ---- promises ----------------------------------------------------------------------------------


@needed
def test_the_same_bits_with_any_number_of_threads():
    models = [network(units=200) for _ in range(3)]
    for threads, model in zip((1, 2, 3), models, strict=True):
        model.fit(X, Y, epochs=3, batch_size=128, threads=threads)
    first, *others = models
    for model in others:
        assert model.parameters.tobytes() == first.parameters.tobytes()
        assert model.predict(X).tobytes() == first.predict(X).tobytes()
    assert (
        network(units=200, seed=1).fit(X, Y, epochs=3, batch_size=128).history["loss"]
        != first.history.history["loss"]
    )


@needed
def test_rows_stand_alone():
    model = network().build(40)
    whole = model.predict(X)
    for first, count in ((0, 1), (299, 1), (5, 17), (100, 64)):
        assert np.array_equal(model.predict(X[first : first + count]), whole[first : first + count])
    assert np.array_equal(model.layers[0](X[:3]), model.outputs(X, [0])[0][:3])


@needed
def test_saved_pickled_and_copied(tmp_path):
    """And resumed to the bit, from within an epoch."""
    whole, stopped = network(), network()
    whole.fit(X, Y, epochs=4, batch_size=32)
    with stopped_after(13), contextlib.suppress(KeyboardInterrupt):  # in the second of ten steps each
        stopped.fit(X, Y, epochs=4, batch_size=32)
    path = tmp_path / "model.safetensors"
    stopped.save(path, training=True)
    for again in (fn.load(path), pickle.loads(pickle.dumps(stopped)), copy.deepcopy(stopped)):
        assert again.compute_dtype == "bfloat16"
        assert again.dtype == "float32"
        assert np.array_equal(again.predict(X), stopped.predict(X))
        again.fit(X, Y, epochs=3, batch_size=32, resume=True)
        assert again.parameters.tobytes() == whole.parameters.tobytes()
    plain = fn.load(path, compute_dtype="float32")
    assert plain.compute_dtype == "float32"
    assert np.array_equal(plain.parameters, stopped.parameters)
    assert not np.array_equal(plain.predict(X), stopped.predict(X))
    plain.save(path)
    assert fn.load(path).compute_dtype == "float32"
    assert fn.load(path, compute_dtype="bfloat16").compute_dtype == "bfloat16"


@needed
@pytest.mark.slow
def test_compiled_code_has_the_bits_of_predict_and_of_fit():
    model, other = network(), network()
    for each in (model, other):
        each.build(40)
    net, state = model.network(32), model.optimizer_state()
    out = np.empty((32, 5), np.float32)

    @njit
    def run(net, state, x, y, out):
        fn.forward(net, x, out)
        fn.train_step(net, state, x, y)

    run(net, state, X[:32], Y[:32], out)
    assert np.array_equal(out, other.predict(X[:32]))
    other.partial_fit(X[:32], Y[:32])
    assert np.array_equal(model.parameters, other.parameters)


@needed
def test_an_onnx_file_has_the_float32_weights(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    from fastnn import onnx

    model = network().build(40)
    onnx.export(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: X})
    plain = network(None).build(40)
    plain.parameters[...] = model.parameters
    np.testing.assert_allclose(found, plain.predict(X), rtol=1e-4, atol=1e-5)


# ---- settings ----------------------------------------------------------------------------------


@needed
def test_how_it_is_shown(capsys):
    model = network().build(40)
    assert repr(model).endswith("compute_dtype='bfloat16')")
    model.summary()
    assert "float32, products in bfloat16\n" in capsys.readouterr().out
    assert "products in bfloat16" in model._repr_html_()
    plain = network(None).build(40)
    assert "compute_dtype" not in repr(plain)
    assert (
        plain.compute_dtype
        == network("float32").compute_dtype
        == network(np.float32).compute_dtype
        == "float32"
    )
    plain.summary()
    assert "bfloat16" not in capsys.readouterr().out


@needed
def test_only_such_models_have_the_kernels():
    model, plain = network().build(40), network(None).build(40)
    names = [{name for name, _ in required_kernels.by_model(each.executor, True)} for each in (model, plain)]
    assert {name for name in names[0] if "bfloat16" in name} == set(
        compute_dtype.products("bfloat16").values()
    )
    assert names[1] - names[0] == {compute_dtype.PRODUCT}
    assert not any("bfloat16" in name for name in names[1])


@pytest.mark.parametrize("wrong", ["float16", "float64", "bf16", 16, np.float64])
def test_other_dtypes_are_refused(wrong):
    with pytest.raises(ValueError, match="compute_dtype must be"):
        network(wrong)


def test_the_weights_must_be_float32(monkeypatch):
    monkeypatch.setattr(compute_dtype, "missing", lambda: "")
    with pytest.raises(
        ValueError, match="compute_dtype='bfloat16' needs dtype='float32' for the weights, got 'float64'"
    ):
        network(dtype="float64")


LACKING = dict.fromkeys(["avx512f", "avx512bw", "amx-tile", "amx-bf16"], True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.setattr(compute_dtype, "_features", lambda: LACKING), "this one lacks avx512bf16"),
        (
            lambda m: m.setattr(compute_dtype.platform, "machine", lambda: "arm64"),
            "a CPU of another kind, arm64",
        ),
        (lambda m: m.setenv("NUMBA_CPU_NAME", "generic"), "NUMBA_CPU_NAME is set"),
    ],
    ids=["features", "machine", "setting"],
)
def test_a_cpu_without_the_instructions_is_refused(change, reason, monkeypatch, tmp_path):
    plain, path = network(None).build(40), tmp_path / "model.safetensors"
    if not compute_dtype.missing():
        network().build(40).save(path)
        pickled = pickle.dumps(network())
    change(monkeypatch)
    calls = [network]
    if path.exists():
        calls += [lambda: fn.load(path), lambda: pickle.loads(pickled)]
        assert np.array_equal(fn.load(path, compute_dtype="float32").parameters, plain.parameters)
    for call in calls:
        with pytest.raises(
            RuntimeError, match="compute_dtype='bfloat16' needs a CPU with AVX512-BF16"
        ) as caught:
            call()
        assert reason in str(caught.value)
    assert network(None).compute_dtype == "float32"


@without
def test_it_is_refused_here():
    with pytest.raises(RuntimeError, match="needs a CPU with AVX512-BF16"):
        network()


@needed
def test_without_permission_for_tiles_avx512_takes_their_place(monkeypatch):
    monkeypatch.setattr(compute_dtype, "has_tiles", lambda: False)
    model = network().build(40)
    assert {op.product for op in model.executor.graph.ops if op.product} == {"linalg.bfloat16.pairs"}
    np.testing.assert_allclose(model.predict(X), network(None).build(40).predict(X), atol=0.05)
