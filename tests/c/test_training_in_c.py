"""`Model.to_c` with ``train=True``: steps in C beside those of the model, on the same batches."""

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn
from fastnn.c.compiler import WARNINGS
from fastnn.c.export import TOLERANCE
from tests.helpers.c_files import REAL, C, agrees, call_with, compiled, predict, require, selftest
from tests.helpers.doc_blocks import blocks
from tests.helpers.networks import ACTIVATION_CASES, activation
from tests.helpers.sweeps import sampled

STEPS, ROWS = 60, 8
#: How far losses of 60 steps may be from those of the model, relative to the loss.
LOSS_TOLERANCE = {"float32": 1e-4, "float64": 1e-11}


def sizes(written):
    text = Path(written.paths[0]).read_text(encoding="ascii")
    found = re.findall(r"#define \w+?_(PARAMETERS|TRAIN_STATE|TRAIN_SCRATCH) (\d+) ", text)
    return {name: int(value) for name, value in found}


class Learner:
    """The memory of a training in C, beside NaN that must stay as it is."""

    def __init__(self, library, written, model, weights=None):
        self.library, self.prefix, self.dtype = library, written.prefix, np.dtype(model.dtype)
        self.weights = [] if weights is None else [weights]
        size, self.n_out = sizes(written), model.n_out
        self.memory = [np.full(size[name] + 2, np.nan, self.dtype) for name in size]
        self.parameters, self.state, self.scratch = (each[1:-1] for each in self.memory)
        call_with(library, f"{self.prefix}_train_init", self.parameters, self.state, *self.weights)

    def step(self, x, y, rate):
        shares = (
            "_shares" if y.ndim == 2 and hasattr(self.library, f"{self.prefix}_train_step_shares") else ""
        )
        function, real = getattr(self.library, f"{self.prefix}_train_step{shares}"), REAL[self.dtype.name]
        function.restype = real
        x = np.ascontiguousarray(x, self.dtype)
        y = np.ascontiguousarray(y, np.int32 if y.dtype.kind == "i" else self.dtype)
        kept = [self.parameters, self.state, self.scratch, *self.weights]
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (x, y, *kept)]
        return function(*pointers[:2], ctypes.c_int(len(x)), real(rate), *pointers[2:])

    def predict(self, x):
        out = np.empty((len(x), self.n_out), self.dtype)
        for row, y in zip(np.ascontiguousarray(x, self.dtype), out, strict=True):
            kept = [self.parameters, self.scratch, *self.weights]
            call_with(self.library, f"{self.prefix}_train_predict", row, y, *kept)
        assert all(np.isnan(each[[0, -1]]).all() for each in self.memory)  # nothing beyond is written
        return out


def batches(model, seed=0):
    """Inputs and targets of a model, for each of the steps."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(STEPS, ROWS, *model.input_shape))
    first = x.reshape(STEPS, ROWS, -1)[..., :1]
    if model.loss.target == "classes":
        return x, (3 * rng.random((STEPS, ROWS)) > 1 + first[..., 0]).astype(int)
    if model.loss.target == "shares":
        return x, rng.random((STEPS, ROWS, model.n_out)) * (first > 0)
    return x, np.repeat(np.sin(first) + 0.1 * rng.normal(size=first.shape), model.n_out, axis=2)


def dense(activation="tanh", last=None, units=3, **options):
    return [fn.Dense(9, activation, **options), fn.Dense(units, last)]


CASES = {
    "mse": lambda: (dense(), "mse", "sgd"),
    "parts": lambda: (
        [fn.Reshape((4,)), fn.Dense(5), fn.Activation("gelu"), *dense(last="tanh")],
        "mse",
        "adam",
    ),
    "momentum": lambda: (dense(last="softmax"), "cross_entropy", fn.SGD(0.1, 0.9)),
    "nesterov": lambda: (
        dense("relu", use_bias=False),
        "cross_entropy",
        fn.SGD(0.05, 0.8, True, 1e-3, 0.3, 0.01),
    ),
    "labels": lambda: (dense(last="sigmoid"), "binary_cross_entropy", fn.AdamW(0.01, global_clipnorm=0.1)),
    "logits": lambda: (
        dense(l1=1e-3, l2=1e-2, alpha=0.1),
        "binary_cross_entropy",
        fn.Adam(0.02, clipvalue=1e-3),
    ),
    "smooth": lambda: (
        [fn.Sequential(dense("selu"))],
        fn.losses.cross_entropy(0.1).scaled(2),
        fn.Adam(epsilon_hat=True),
    ),
    "nll": lambda: (dense(last="log_softmax"), "nll", fn.Adam(0.01, beta_1=0.0)),
    "sequence": lambda: ([fn.Dense(3, "silu"), fn.Flatten(), *dense("softmax")], "mse", fn.Adam(0.01)),
    **{
        f"activation {i}": lambda case=case: (dense(activation(case)), "mse", fn.SGD(0.05))
        for i, case in enumerate(ACTIVATION_CASES)
    },
}


def made(name, dtype):
    layers, loss, optimizer = CASES[name]()
    model = fn.Model(layers, loss, optimizer, dtype=dtype, seed=3)
    return model.build((5, 4) if name == "sequence" else 4)


def same_curve(learner, model, name):
    """The same losses, and then the same weights and predictions."""
    x, y = batches(model)
    curve, expected = [], []
    rate = model.optimizer.learning_rate
    for inputs, targets in zip(x, y, strict=True):
        curve.append(learner.step(inputs, targets, rate))
        model.partial_fit(inputs, targets)
        expected += model.history.history["loss"]
    np.testing.assert_allclose(curve, expected, rtol=LOSS_TOLERANCE[model.dtype], err_msg=name)
    limit = 10 * LOSS_TOLERANCE[model.dtype]
    np.testing.assert_allclose(learner.parameters, model.parameters, rtol=0, atol=limit, err_msg=name)
    assert learner.state[-1] == STEPS
    model.parameters[...] = learner.parameters
    agrees(learner.predict(x[0]), model.predict(x[0]).reshape(ROWS, -1), model.dtype)
    return curve


@pytest.mark.parametrize("dtype", sampled(["float32", "float64"], 2))
def test_loss_curves(dtype, tmp_path):
    names = [name for name in CASES if dtype == "float64" or not name.startswith("activation")]
    models = {name: made(name, dtype) for name in names}
    written = {
        name: model.to_c(tmp_path / f"net{i}.h", train=True) for i, (name, model) in enumerate(models.items())
    }
    library = compiled(tmp_path, list(written.values()))
    for name, model in models.items():
        learner = Learner(library, written[name], model)
        assert np.array_equal(learner.parameters, model.parameters)
        curve = same_curve(learner, model, name)
        assert name.startswith("activation") or np.mean(curve[-10:]) < np.mean(curve[:10]), name
        assert selftest(library, written[name], model) <= TOLERANCE[dtype]


@pytest.mark.parametrize("optimizer", sampled([fn.Adam(0.01), fn.SGD(0.1, 0.9), fn.SGD()], 3), ids=repr)
def test_a_trained_model_goes_on(optimizer, tmp_path):
    """With the optimizer's state; behind scaling, with probabilities, and weights in another file."""
    layers = [fn.Standardize(), *dense()]
    model = (
        fn.Model(layers, "cross_entropy", optimizer=optimizer, seed=0).adapt([[1.0] * 4, [5.0] * 4]).build(4)
    )
    x, y = batches(model, 1)
    model.fit(x.reshape(-1, 4), y.ravel(), epochs=1, batch_size=9, verbose=0)
    options = {"train": True, "probabilities": True, "weights": "separate"}
    written = model.to_c(tmp_path / "net.h", **options, check=shutil.which("cc") is not None)
    weights = np.fromfile(tmp_path / "net.bin", np.float32)
    learner = Learner(compiled(tmp_path, [written]), written, model, weights)
    assert learner.state[-1] == model.state.step == 54
    assert np.array_equal(learner.state[:-1], model.state.optimizer)
    np.testing.assert_allclose(learner.predict(x[0]), model.predict_proba(x[0]), atol=1e-6)
    for rows in (1, 3, ROWS):
        loss = learner.step(x[5, :rows], y[5, :rows], model.optimizer.learning_rate)
        model.partial_fit(x[5, :rows], y[5, :rows])
        np.testing.assert_allclose(loss, model.history.history["loss"], rtol=1e-5)
    np.testing.assert_allclose(learner.parameters, model.parameters, atol=1e-6)
    before = learner.parameters.copy()
    assert learner.step(x[0, :0], y[0, :0], 1.0) == 0 and np.array_equal(learner.parameters, before)


def test_shares_and_frozen_layers(tmp_path):
    layers = [fn.Dense(5, "relu"), fn.Dense(6, "tanh"), fn.Dense(3)]
    model = fn.Model(
        layers, fn.losses.cross_entropy(0.2), optimizer=fn.AdamW(0.05, global_clipnorm=0.5), seed=0
    )
    model.build(4)
    model.layers[1].trainable = False
    frozen = model.layers[1].weights.copy()
    written = model.to_c(tmp_path / "net.h", train=True)
    learner = Learner(compiled(tmp_path, [written]), written, model)
    x = batches(model)[0][0]
    shares = np.random.default_rng(0).dirichlet([1, 1, 1], ROWS)
    for _ in range(20):
        loss = learner.step(x, shares, 0.05)
        model.partial_fit(x, shares)
        np.testing.assert_allclose(loss, model.history.history["loss"], rtol=1e-5)
    np.testing.assert_allclose(learner.parameters, model.parameters, atol=1e-5)
    model.parameters[...] = learner.parameters
    assert np.array_equal(model.layers[1].weights, frozen)


def test_learned_weights_in_the_next_file(tmp_path):
    """What was learned in C goes back into the model, whose new file then predicts by it."""
    model = made("mse", "float32")
    written = model.to_c(tmp_path / "net.h", train=True)
    learner = Learner(compiled(tmp_path, [written]), written, model)
    x, y = batches(model)
    for inputs, targets in zip(x, y, strict=True):
        learner.step(inputs, targets, 0.05)
    model.parameters[...] = learner.parameters
    again = model.to_c(tmp_path / "again.h")
    agrees(predict(compiled(tmp_path, [again]), again, model, x[0]), learner.predict(x[0]), "float32")


@pytest.mark.sweep
@pytest.mark.parametrize("compiler", C)
@pytest.mark.parametrize("libm", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compilers(dtype, libm, compiler, tmp_path):
    require(compiler)
    models = {name: made(name, dtype) for name in CASES}
    written = [model.to_c(tmp_path / f"net{i}.h", train=True) for i, model in enumerate(models.values())]
    options = [
        "-O3",
        "-march=native",
        *([f"-D{each.prefix.upper()}_USE_LIBM" for each in written] if libm else []),
    ]
    library = compiled(tmp_path, written, compiler=compiler, options=options)
    for each, (name, model) in zip(written, models.items(), strict=True):
        same_curve(Learner(library, each, model), model, name)


def test_the_program_of_the_page(tmp_path):
    """The model and the C program of docs/deploy.md: it learns a square."""
    require("gcc")
    found = [block.code for block in blocks("docs/deploy.md") if "learner.h" in block.code]
    python, program = found
    exec(python.replace("learner.h", str(tmp_path / "learner.h")), {"fn": fn})
    (tmp_path / "main.c").write_text(program)
    command = [*C["gcc"], *WARNINGS, "-O2", "main.c", "-o", "main"]
    subprocess.run(command, check=True, cwd=tmp_path)
    out = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout
    [loss] = re.fullmatch(r"loss ([\d.e-]+), 0.5 \* 0.5 = 0.2[456]\n", out).groups()
    assert float(loss) < 1e-3


REFUSED = {
    r"layer 1, GRU\(2\): train=True is for networks of Dense, Activation": (
        lambda: fn.Model([fn.Dense(2), fn.GRU(2)], "mse").build((3, 2))
    ),
    r"layer 0.1, Dropout\(0.5\): train=True is for": (
        lambda: fn.Model([fn.Sequential([fn.Dense(2), fn.Dropout(0.5)])], "mse").build(2)
    ),
    r"layer 1, BatchNormalization\(\): train=True": (
        lambda: fn.Model([fn.Dense(2), fn.BatchNormalization()], "mse").build(2)
    ),
    r"for the losses mse, binary_cross_entropy, cross_entropy, not 'huber'": (
        lambda: fn.Model([fn.Dense(2)], "huber").build(2)
    ),
    r"for the losses .*, not binary_cross_entropy\(pos_weight": (
        lambda: fn.Model([fn.Dense(2)], fn.losses.binary_cross_entropy(2.0)).build(2)
    ),
    r"for the optimizers SGD, Adam and AdamW, not RMSprop": (
        lambda: fn.Model([fn.Dense(2)], "mse", optimizer="rmsprop").build(2)
    ),
    "needs a model with a loss": lambda: fn.Model([fn.Dense(2)]).build(2),
    "needs a layer with weights that are trained": lambda: fn.Model([fn.Activation("tanh")], "mse").build(2),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_refused(message, tmp_path):
    with pytest.raises(ValueError, match=message):
        REFUSED[message]().to_c(tmp_path / "net.h", train=True)
    with pytest.raises(ValueError, match="train=True is for weights that are not rounded"):
        made("mse", "float32").to_c(tmp_path / "net.h", train=True, quantize="int8")
    with pytest.raises(TypeError, match="train must be True or False, got 1"):
        made("mse", "float32").to_c(tmp_path / "net.h", train=1)
    assert not list(tmp_path.iterdir())
