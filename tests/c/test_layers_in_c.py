"""Every layer as C: the file compiles without warnings, and computes what `predict` does."""

import shutil
import subprocess

import numpy as np
import pytest

import fastnn as fn
from fastnn.c.export import TOLERANCE
from fastnn.c.layers import WRITERS
from fastnn.layers import registry
from fastnn.layers.containers import Container
from tests.helpers.c_files import C, agrees, compiled, double, predict, require, selftest, steps
from tests.helpers.check_layer import LayerCase
from tests.helpers.layer_rows import LAYERS
from tests.helpers.networks import ACTIVATION_CASES, activation
from tests.helpers.random_networks import drawn_network, drawn_prefix, prepared_network
from tests.helpers.sweeps import sampled

DTYPES = ["float32", "float64"]


def case_of(name):
    layer, input_shape, reference, *options = LAYERS[name]
    return LayerCase(layer, input_shape, reference, **dict(*options))


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


def drawn(seed, dtype):
    """A network and samples: every other one begins with preprocessing, indices or masked time steps."""
    if seed % 2:
        return prepared_network(seed, dtype)
    model = drawn_network(seed, dtype)
    return model, np.random.default_rng(seed).normal(size=(5, *model.input_shape))


@pytest.mark.parametrize("first", sampled([*range(0, 210, 10)], 21))
def test_random_networks(first, tmp_path):
    """Ten networks a time, in both dtypes, under names drawn at random, with each compiler that there is."""
    found = []
    for seed in range(first, first + (10 if first else 5)):  # the sample of `make test` is smaller
        for dtype in DTYPES if first else ["float32"]:
            model, x = drawn(seed, dtype)
            prefix = drawn_prefix(np.random.default_rng(seed), f"{seed}_{dtype}")
            options = {"prefix": prefix, "samples": x[:3]}
            found.append((seed, model, x[:5], model.to_c(tmp_path / f"net{seed}_{dtype}.h", **options)))
    for compiler in C if first else ["gcc"]:
        if shutil.which(compiler) is None:
            continue
        library = compiled(
            tmp_path,
            [written for *_, written in found],
            compiler=compiler,
            options=["-O2" if first else "-O0"],
        )
        for seed, model, x, written in found:

            def make(dtype, seed=seed):
                return drawn(seed, dtype)[0]

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


@pytest.mark.sweep
@pytest.mark.parametrize("part", range(2))
def test_sanitizers(part, tmp_path):
    """No undefined behaviour and no access outside of arrays, in all layers."""
    require("gcc")
    lines, calls = [], []
    for number, name in enumerate(ROWS[part::2]):
        written = case_of(name).network("float32").to_c(tmp_path / f"net{number}.h")
        lines.append(f'#include "{written.paths[0]}"')
        calls.append(f"net{number}_selftest() < 1e-5f")
    source = "\n".join([*lines, f"int main(void) {{ return !({' && '.join(calls)}); }}"])
    (tmp_path / "main.c").write_text(source)
    checks = ["-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
    subprocess.run([*C["gcc"], "-O1", *checks, "main.c", "-o", "main"], cwd=tmp_path, check=True)
    done = subprocess.run(["./main"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:2000]
