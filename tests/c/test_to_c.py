"""Models as C files: they compile without warnings, and compute what `predict` does."""

import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn as fn
from fastnn.__main__ import main
from fastnn.c import quantize as int8
from fastnn.c.compiler import WARNINGS
from fastnn.c.export import TOLERANCE
from fastnn.c.layers import WRITERS
from fastnn.c.names import KEYWORDS, checked_prefix
from fastnn.layers import registry
from fastnn.layers.containers import Container
from tests.helpers.c_files import C, call_with, compiled, predict, require, selftest, steps
from tests.helpers.check_layer import LayerCase
from tests.helpers.doc_blocks import blocks
from tests.helpers.layer_rows import LAYERS
from tests.helpers.networks import ACTIVATION_CASES, activation
from tests.helpers.random_networks import drawn_network
from tests.helpers.sweeps import sampled

DTYPES = ["float32", "float64"]


def difference(y, expected):
    """The largest one, relative to the largest number, or to 1e-3 where all nearly cancel."""
    return np.abs(np.float64(y) - np.float64(expected)).max() / max(np.abs(expected).max(), 1e-3)


def agrees(y, expected, dtype, exact=None):
    """To the tolerance; where a network amplifies rounding errors, as `predict` agrees with `exact`."""
    limit = TOLERANCE[dtype] if exact is None else max(TOLERANCE[dtype], 4 * difference(expected, exact))
    assert difference(y, expected) <= limit


def double(make, model, x):
    """What float64 makes of the weights of a float32 model."""
    other = make("float64")
    other.parameters[...] = model.parameters
    other.state.statistics[...] = model.state.statistics
    return other.predict(x)


def dense_model(dtype="float32", **options):
    layers = [fn.Dense(32, "relu"), fn.Dense(16, "tanh"), fn.Dense(3)]
    return fn.Model(layers, "cross_entropy", dtype=dtype, seed=0, **options).build(4)


def case_of(name):
    layer, input_shape, reference, *options = LAYERS[name]
    return LayerCase(layer, input_shape, reference, **dict(*options))


# --- every layer


REFUSED = (fn.Derivatives,)  # by name
ROWS = [name for name, (layer, *_) in LAYERS.items() if not isinstance(layer(), REFUSED)]


def check_rows(folder, names, compilers, options=("-O2",)):
    """Each layer alone and between others, in both dtypes; all in one call of each compiler."""
    found = []
    for number, name in enumerate(names):
        for dtype in DTYPES:
            case = case_of(name)
            for kind, model in (("alone", case.alone(dtype)), ("between", case.network(dtype))):
                prefix = f"net{number}_{kind}_{dtype}"
                written = model.to_c(folder / f"{prefix}.h")
                found.append((name, model, case.samples(9, dtype), written))
    for compiler in compilers:
        library = compiled(folder, [written for *_, written in found], compiler=compiler, options=options)
        for name, model, x, written in found:
            try:
                agrees(predict(library, written, model, x), model.predict(x), model.dtype)
                assert selftest(library, written, model) <= TOLERANCE[model.dtype]
            except AssertionError as error:
                error.add_note(f"{name}, {written.prefix}, {compiler}")
                raise


def test_every_layer_has_a_writer():
    known = (*WRITERS, Container, *REFUSED)
    assert [kind.__name__ for kind in registry.TABLE.values() if not issubclass(kind, known)] == []


def test_layers(tmp_path):
    check_rows(tmp_path, ROWS[::13], ["gcc"], ("-O0",))


@pytest.mark.sweep
@pytest.mark.parametrize("compiler", C)
@pytest.mark.parametrize("part", range(4))
def test_every_layer(part, compiler, tmp_path):
    require(compiler)
    check_rows(tmp_path, ROWS[part::4], [compiler])


@pytest.mark.parametrize("first", sampled([*range(0, 210, 10)], 21))
def test_random_networks(first, tmp_path):
    """Ten networks a time, in both dtypes, with each compiler that there is."""
    found = []
    for seed in range(first, first + (10 if first else 4)):  # the sample of `make test` is smaller
        for dtype in DTYPES if first else ["float32"]:
            model = drawn_network(seed, dtype)
            found.append((seed, model, model.to_c(tmp_path / f"net{seed}_{dtype}.h")))
    for compiler in C if first else ["gcc"]:
        if shutil.which(compiler) is None:
            continue
        library = compiled(
            tmp_path,
            [written for *_, written in found],
            compiler=compiler,
            options=["-O2" if first else "-O0"],
        )
        for seed, model, written in found:
            x = np.random.default_rng(seed).normal(size=(5, *model.input_shape)).astype(model.dtype)

            def make(dtype, seed=seed):
                return drawn_network(seed, dtype)

            exact = double(make, model, x) if model.dtype == "float32" else None
            try:
                agrees(predict(library, written, model, x), model.predict(x), model.dtype, exact)
            except AssertionError as error:
                error.add_note(f"network {seed}, {model.layers}, {model.dtype}, {compiler}")
                raise


def test_time_steps(tmp_path):
    """One time step at a time, a recurrent network gives what it does for the sequence so far."""
    stacks = {
        "rnn": [fn.SimpleRNN(3, "relu"), fn.Dense(2)],
        "gru": [fn.Standardize(), fn.GRU(9, return_sequences=True), fn.Dense(4, "tanh"), fn.LSTM(5)],
        "lstm": [fn.Masking(), fn.LSTM(4, return_sequences=True), fn.Activation("softmax")],
    }
    x = np.random.default_rng(0).normal(size=(6, 7, 3))
    x[:, 2] = 0
    written, models = [], []
    for name, layers in stacks.items():
        models.append(fn.Model(layers, seed=0).adapt(x).build((7, 3)))
        written.append(models[-1].to_c(tmp_path / f"{name}.h"))
    library = compiled(tmp_path, written)
    for model, each in zip(models, written, strict=True):
        y = steps(library, each, model, x[0])
        state, net, out = model.network().new_state(1), model.network(), np.empty((1, y.shape[1]), "float32")
        for t in range(7):
            fn.step(net, state, x[:1, t].astype("float32"), out)
            agrees(y[t], out[0], "float32")
        agrees(y[-1], model.predict(x[0]).reshape(-1, y.shape[1])[-1], "float32")
        assert selftest(library, each, model) <= TOLERANCE["float32"]
    fn.Model([fn.GRU(2, go_backwards=True)], seed=0).build((4, 2)).to_c(tmp_path / "back.h")
    assert "back_step" not in (tmp_path / "back.h").read_text()


@pytest.mark.parametrize("libm", sampled([False, True], 2))
def test_activations(libm, tmp_path):
    written, models = [], []
    for number, case in enumerate(ACTIVATION_CASES):
        for dtype in DTYPES:
            model = fn.Model([fn.Activation(activation(case))], dtype=dtype).build(40)
            written.append(model.to_c(tmp_path / f"activation{number}_{dtype}.h"))
            models.append(model)
    options = ["-O2", *([f"-D{each.prefix.upper()}_USE_LIBM" for each in written] if libm else [])]
    library = compiled(tmp_path, written, options=options)
    x = np.concatenate(
        [np.linspace(-12, 12, 159), [-200.0, -90.0, -1e-6, -0.0, 1e-6, 90.0, 200.0, 1e4, -1e4]]
    )
    x = np.resize(x, 200).reshape(5, 40)
    for model, each in zip(models, written, strict=True):
        y, expected = predict(library, each, model, x), model.predict(x)
        scale = 1.0 if model.dtype == "float32" else 2.0**-29
        np.testing.assert_allclose(
            y, expected, rtol=4e-6 * scale, atol=1e-6 * scale, err_msg=repr(model.layers)
        )


# --- what is in the file


def test_file_needs_nothing(tmp_path):
    """No library, no variables that change, no functions beside those that it promises."""
    written = dense_model().to_c(tmp_path / "net.h")
    text = (tmp_path / "net.h").read_text()
    assert set(re.findall(r"#include (\S+)", text)) == {
        "<limits.h>", "<stddef.h>", "<stdint.h>", "<string.h>", "<math.h>",
    }  # fmt: skip
    assert "MIT License" in text and f"fastnn {fn.__version__}" in text
    require("gcc")
    command = [
        "gcc",
        "-std=c99",
        "-O2",
        "-DNET_API=",
        "-c",
        "-x",
        "c",
        written.paths[0],
        "-o",
        str(tmp_path / "o"),
    ]
    subprocess.run(command, check=True)
    symbols = subprocess.run(["nm", str(tmp_path / "o")], check=True, capture_output=True, text=True).stdout
    kinds = {line.split()[-1]: line.split()[-2] for line in symbols.splitlines()}
    assert {name for name, kind in kinds.items() if kind == "T"} == {"net_predict", "net_selftest"}
    assert {name for name, kind in kinds.items() if kind == "U"} <= {"memcpy", "memset"}
    assert not {kind for kind in kinds.values()} & set("BbDdC")


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_are_exact(dtype, tmp_path):
    model = fn.Model([fn.Dense(1, use_bias=False)], dtype=dtype, seed=0).build(5)
    model.parameters[...] = np.array([np.pi, -1e-40, 3e38, 0.1, -np.finfo(dtype).smallest_subnormal], dtype)
    model.to_c(tmp_path / "net.h", samples=np.zeros((1, 5)))
    text = (tmp_path / "net.h").read_text()
    [body] = re.findall(r"net_weights\[\d+\] NET_ALIGNED = \{(.*?)\}", text, re.DOTALL)
    numbers = [float.fromhex(word.strip().rstrip("f")) for word in body.split(",") if word.strip()]
    assert np.array(numbers, dtype)[1:6].tobytes() == model.parameters.tobytes()  # behind the bias
    assert ("f," in body) == (dtype == "float32")


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


def test_preprocessing(tmp_path):
    """Missing values, categories known and not, scaling, and back to the units of the target."""
    rng = np.random.default_rng(0)
    X = rng.normal(3, 2, size=(60, 5))
    X[:, 1], X[:, 3], X[::7, 0] = np.arange(60) % 5, np.arange(60) % 3, np.nan
    layers = [
        fn.Impute(add_indicator=True, columns=[0]), fn.MinMax(-1, 1, columns=[4]),
        fn.Standardize(columns=[0, 2]), fn.OneHot([1], handle_unknown="ignore"),
        fn.EntityEmbedding(2, columns=[-3], handle_unknown="ignore"),
        fn.Dense(9, "gelu"), fn.Dense(1), fn.Unscale(),
    ]  # fmt: skip
    for dtype in DTYPES:
        model = fn.Model(layers, "mse", dtype=dtype, seed=0)
        model.fit(X, 1e3 * X[:, 2], epochs=2, verbose=0)
        written = model.to_c(tmp_path / "net.h", check=dtype == "float32")
        assert written.error is None or written.error <= TOLERANCE[dtype]
        X[5:9, 1] = 77  # unknown
        y = predict(compiled(tmp_path, [written]), written, model, X)
        agrees(y, model.predict(X), dtype)
        layers = [type(layer)(**{k: v for k, v in layer.config().items() if k != "name"}) for layer in layers]


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


def test_batch_normalization_is_folded(tmp_path):
    layers = [fn.Dense(8, use_bias=False), fn.BatchNormalization(), fn.Activation("relu"), fn.Dense(2)]
    model = fn.Model(layers, "mse", seed=0).build(3)
    model.state.statistics[...] = np.random.default_rng(0).uniform(0.5, 2, model.state.statistics.size)
    written = model.to_c(tmp_path / "net.h", check=True)
    assert written.error <= TOLERANCE["float32"]
    assert "net_affine" not in (tmp_path / "net.h").read_text()


@pytest.mark.parametrize("width", [1, 2])
def test_deep_and_narrow(width, tmp_path):
    def make(dtype):
        layers = [fn.Residual([fn.Dense(width, "tanh")]) for _ in range(50)]
        return fn.Model(layers, seed=width, dtype=dtype).build(width)

    model = make("float32")
    written = model.to_c(tmp_path / "deep.h")
    x = np.repeat(np.linspace(-2, 2, 10, dtype="float32")[:, np.newaxis], width, axis=1)
    y = predict(compiled(tmp_path, [written]), written, model, x)
    agrees(y, model.predict(x), "float32", double(make, model, x))
    assert written.scratch <= 4 * 3 * 16  # memory is shared


def test_the_program_of_the_page(tmp_path):
    """The C program of docs/deploy.md compiles, and runs."""
    require("gcc")
    [program] = [block.code for block in blocks("docs/deploy.md") if block.language == "c"]
    fn.Model([fn.Dense(3)], "cross_entropy", seed=0).build(4).to_c(tmp_path / "digits.h")
    (tmp_path / "main.c").write_text(program)
    command = [*C["gcc"], *WARNINGS, "-O1", "main.c", "-o", "main"]
    subprocess.run(command, check=True, cwd=tmp_path)
    out = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout
    assert re.fullmatch(r"[-\d.e]+, error [\d.e-]+\n", out)


# --- names


@settings(max_examples=100)
@given(
    st.text(max_size=12)
    | st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,50}\Z")
    | st.sampled_from(sorted(KEYWORDS))
)
def test_prefixes(text):
    """What is taken makes good names; anything else is refused with its text."""
    try:
        assert checked_prefix(text, "x.h") == text
    except ValueError as error:
        assert repr(text) in str(error)
        assert (
            text in KEYWORDS or "_" in text or len(text) > 40 or not (text.isascii() and text.isidentifier())
        )
    else:
        assert text.isascii() and text.isidentifier() and text not in KEYWORDS and len(text) <= 40


def test_names_in_one_program(tmp_path):
    """Prefixes that C has uses for, and layers whose paths are long, stand side by side."""
    model = fn.Model([fn.Sequential([fn.Residual([fn.Dense(3, "softmax"), fn.Dense(3)])])], seed=0).build(3)
    names = [
        "a",
        "exp",
        "float32",
        "main",
        "NULL",
        "net1",
        "net_1",
        "x",
        "y",
        "w",
        "scratch",
        "size",
        "printf",
    ]
    written = [model.to_c(tmp_path / f"{name}.h") for name in names]
    written.append(model.to_c(tmp_path / "my net (2).h", prefix="Other"))
    library, x = compiled(tmp_path, written), np.ones((2, 3))
    for each in written:
        agrees(predict(library, each, model, x), model.predict(x), "float32")
    assert written[-1].prefix == "Other"


@pytest.mark.parametrize(
    ("path", "prefix", "message"),
    [
        ("net.h", "2nd", "prefix '2nd' is not an identifier of C"),
        ("net.h", "while", "prefix 'while' is a word of C or C"),
        ("net.h", "_net", "begins or ends with an underscore"),
        ("net.h", "n" * 41, "has 41 characters, at most 40"),
        ("my-net.h", None, "the file's name, 'my-net', is not an identifier of C; give prefix="),
        ("int.h", None, "the file's name, 'int', is a word of C or C"),
    ],
)
def test_bad_prefixes(path, prefix, message, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)):
        dense_model().to_c(tmp_path / path, prefix=prefix)
    with pytest.raises(TypeError, match="prefix must be a string, got 3"):
        dense_model().to_c(tmp_path / "net.h", prefix=3)
    assert not list(tmp_path.iterdir())


# --- what is refused, and leaves no file


def unbuilt():
    return fn.Model([fn.Dense(2)])


def not_adapted():
    return fn.Model([fn.Standardize(), fn.Dense(2)]).build(3)


def of_text():
    return fn.Model([fn.OneHot(categories=[["a", "b"]]), fn.Dense(2)]).build(1)


class Twice(fn.Layer):
    kind = "twice"

    def lower(self, graph, *inputs):
        return graph.op("layers.combine.add", [inputs[0], inputs[0]], inputs[0].shape)

    def __repr__(self):
        return "Twice()"


def of_another_kind():
    return fn.Model([fn.Dense(3), fn.Residual(Twice())]).build(2)


def derivatives():
    return fn.Model([fn.Dense(3, "tanh"), fn.Derivatives([0])]).build(2)


def user_defined():
    try:
        own = fn.register_activation(lambda x: x * x, lambda x: 2 * x, "square_in_c")
    except ValueError:  # registered by an earlier test
        own = "square_in_c"
    return fn.Model([fn.Dense(2, own)]).build(1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (of_another_kind, r"layer 1.body, Twice\(\), cannot be written as C; what can is Activation, .*"),
        (derivatives, r"layer 1, Derivatives\(.*\), cannot be written as C"),
        (unbuilt, "not built"),
        (not_adapted, r"Standardize\(\) is not adapted to data yet"),
        (of_text, "layer 0, OneHot, has categories that are text"),
        (user_defined, "layer 0: the activation 'square_in_c' is user-defined"),
    ],
)
def test_models_that_cannot_be_written(make, message, tmp_path):
    (tmp_path / "net.h").write_text("old")
    with pytest.raises(ValueError, match=message):
        make().to_c(tmp_path / "net.h")
    assert [path.name for path in tmp_path.iterdir()] == ["net.h"]
    assert (tmp_path / "net.h").read_text() == "old"


def test_bad_arguments(tmp_path):
    model, path = dense_model(), tmp_path / "net.h"
    with pytest.raises(ValueError, match="weights must be 'static' or 'separate', got 'heap'"):
        model.to_c(path, weights="heap")
    with pytest.raises(ValueError, match="quantize must be None or 'int8', got 'int4'"):
        model.to_c(path, quantize="int4")
    with pytest.raises(ValueError, match="leave weights at 'static'"):
        model.to_c(path, quantize="int8", weights="separate")
    with pytest.raises(TypeError, match="check must be True or False, got 1"):
        model.to_c(path, check=1)
    with pytest.raises(ValueError, match="4"):
        model.to_c(path, samples=np.ones((2, 5)))
    with pytest.raises(ValueError, match="nan|NaN"):
        model.to_c(path, samples=np.full((2, 4), np.nan))
    with pytest.raises(OSError, match="there is no folder"):
        model.to_c(tmp_path / "missing" / "net.h")
    assert not list(tmp_path.iterdir())


def test_no_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(RuntimeError, match=r"needs a C compiler, and none was found: CC=no-such-compiler"):
        dense_model().to_c(tmp_path / "net.h", check=True)
    assert not list(tmp_path.iterdir())


def test_a_failing_compiler_and_a_wrong_file(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", f"{sys.executable} -c raise_SystemExit(3)")
    with pytest.raises(RuntimeError, match="failed"):
        dense_model().to_c(tmp_path / "net.h", check=True)
    monkeypatch.delenv("CC")
    monkeypatch.setattr("fastnn.c.compiler.WARNINGS", ("-DNET_H",))  # the file is empty then
    with pytest.raises(RuntimeError, match="failed"):
        dense_model().to_c(tmp_path / "net.h", check=True)
    assert not list(tmp_path.iterdir())


def test_selftest_notices_another_weight(tmp_path):
    model = dense_model()
    written = model.to_c(tmp_path / "net.h")
    text = (tmp_path / "net.h").read_text()
    first = re.search(r"0x1\.[0-9a-f]+p-[34]f", text)[0]
    (tmp_path / "net.h").write_text(text.replace(first, f"2.0f * {first}", 1))
    assert selftest(compiled(tmp_path, [written]), written, model) > TOLERANCE["float32"]


# --- the command


def test_command(tmp_path, capsys, monkeypatch):
    require("gcc")
    dense_model().save(tmp_path / "model.safetensors")
    assert (
        main(["export-c", str(tmp_path / "model.safetensors"), str(tmp_path / "net.h"), "--prefix", "own"])
        == 0
    )
    out = capsys.readouterr().out
    assert re.search(r"net\.h: \d+ bytes, .*\n[\d.e-]+ us a call, error [\d.e-]+ \(.*\)\n", out), out
    assert "own_predict" in (tmp_path / "net.h").read_text()
    monkeypatch.setenv("CC", "no-such-compiler")
    assert main(["export-c", str(tmp_path / "model.safetensors"), str(tmp_path / "more.h")]) == 0
    assert "will not be checked" in capsys.readouterr().err and os.path.exists(tmp_path / "more.h")
    assert main(["export-c", str(tmp_path / "none.safetensors"), str(tmp_path / "net.h")]) == 1
    assert "none.safetensors" in capsys.readouterr().err
