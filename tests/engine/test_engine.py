"""The compiled engine: what it compiles, and the memory it takes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn
from fastnn.compiler import loader

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(90, 5)), RNG.normal(size=(90, 2))


def run_script(script, **environment):
    """Output of a Python program, in which a warning is an error."""
    command = [sys.executable, "-W", "error", "-c", script]
    environment = {**os.environ, **environment}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout, result.stderr


# ---- what is compiled --------------------------------------------------------------------------


def train(widths, act="relu", batch_size=32, n=90, dtype="float32", n_in=5, **options):
    layers = [*(fn.Dense(width, act) for width in widths), fn.Dropout(0.1), fn.Dense(2)]
    model = fn.Model(layers, loss="mse", seed=0, dtype=dtype, **options)
    model.fit(np.resize(X, (n, n_in)), np.resize(Y, (n, 2)), epochs=2, batch_size=batch_size)
    model.predict(np.resize(X, (n, n_in)))
    return model


@pytest.fixture
def kernels_of(monkeypatch):
    """Kernels, with their dtype, that a call needs and no call before it did."""
    needed, address = set(), loader.address

    def recorded(kernel, dtype):
        needed.add((kernel, dtype))
        return address(kernel, dtype)

    def kernels_of(call):
        before = set(needed)
        call()
        return needed - before

    monkeypatch.setattr(loader, "address", recorded)
    loader.function.cache_clear()
    return kernels_of


ARCHITECTURES = [
    {"widths": [1]},
    {"widths": [16, 33, 7]},
    {"widths": [200], "n": 2000, "batch_size": 500},  # several parts
    {"widths": [3] * 20},
    {"widths": [], "n_in": 1},
    {"widths": [17], "batch_size": None},
    {"widths": [17], "batch_size": 1, "n": 3},
    {"widths": [17], "n_in": 300, "n": 7},
]


def test_a_second_architecture_needs_no_other_kernels(kernels_of):
    first = kernels_of(lambda: train([8]))
    assert {
        ("layers.dense.forward", "float32"),
        ("layers.activation.relu.backward_input", "float32"),
    } <= first
    for options in ARCHITECTURES:
        assert kernels_of(lambda options=options: train(**options)) == set()


NEW_KINDS = {
    "activation": (
        {"act": "tanh"},
        {"layers.activation.tanh.forward", "layers.activation.tanh.backward_input"},
    ),
    "softmax": (
        {"act": "softmax"},
        {"layers.softmax.softmax.forward", "layers.softmax.softmax.backward_input"},
    ),
    "a setting": (
        {"act": fn.activations.elu(0.5)},
        {f"layers.activation.elu.{entry}" for entry in ("forward", "backward_input")},
    ),
    "optimizer": ({"optimizer": "sgd"}, {"training.optimizer.sgd.forward"}),
    "schedule": (
        {"optimizer": fn.Adam(fn.schedules.cosine(0.01, steps=9))},
        {"training.schedule.cosine.forward"},
    ),
    "metric": ({"metrics": ["mae"]}, {"training.metric.mae.forward", "training.metric.mae.result"}),
}


@pytest.mark.parametrize("name", NEW_KINDS)
def test_a_new_kind_needs_only_its_own_entries(name, kernels_of):
    options, expected = NEW_KINDS[name]
    train([8])
    added = kernels_of(lambda: train([8, 4], **options))
    assert {kernel.removesuffix("32").removesuffix("64") for kernel, _ in added} == expected
    assert kernels_of(lambda: train([4, 9, 8], **options)) == set()


# The rooms of the kernels that layers of a kind add to those of a dense network.
OTHER_LAYERS = {
    "convolution": (
        [fn.Conv2D(2, 3, activation="relu"), fn.MaxPooling2D(), fn.Flatten()],
        (6, 6, 1),
        {"layers.convolution", "layers.pooling", "linalg.indirect"},
    ),
    "recurrent": ([fn.GRU(3)], (4, 2), {"layers.recurrent"}),
}


@pytest.mark.parametrize(("layers", "shape", "rooms"), OTHER_LAYERS.values(), ids=OTHER_LAYERS)
def test_another_kind_of_network_needs_only_the_kernels_of_its_layers(layers, shape, rooms, kernels_of):
    kernels_of(lambda: train([8]))
    x = np.resize(X, (90, *shape))

    def train_other():
        model = fn.Model([*layers, fn.Dense(4, "relu"), fn.Dense(2)], loss="mse", seed=0)
        model.fit(x, Y, epochs=1)
        model.predict(x)

    added = kernels_of(train_other)
    assert {".".join(kernel.split(".")[:2]) for kernel, _ in added} == rooms
    assert kernels_of(lambda: train([5, 6])) == set()


def test_the_driver_is_of_no_dtype(kernels_of):
    single = kernels_of(lambda: train([8]))
    double = kernels_of(lambda: train([8], dtype="float64"))
    own = {name for name, dtype in single if dtype == "float32"}
    assert double == {(name, "float64") for name in own}
    assert {"driver.loop.train", "driver.loop.predict"} <= {name for name, _ in single} - own


COLD_AND_WARM = """
import sys
import numpy as np, fastnn as fn
from fastnn.compiler import loader

def train(*widths, act="relu"):
    X, y = fn.datasets.spiral(20, 3, seed=0)
    layers = [*(fn.Dense(w, act) for w in widths), fn.Dense(3)]
    model = fn.Model(layers, loss="cross_entropy", optimizer="sgd", metrics=[], seed=0)
    model.fit(X, y, epochs=2)
    model.predict(X)
    return loader.compilations, len(loader._ADDRESSES)

print(*train(4), *train(7, 30, 2), *train(9, act="tanh"), *train(1, 2, act="tanh"), "numba" in sys.modules)

known = set(loader._ADDRESSES)
layers = [fn.Conv1D(2, 3, activation="relu"), fn.Flatten(), fn.Dense(3)]
model = fn.Model(layers, loss="cross_entropy", optimizer="sgd", metrics=[], seed=0)
model.fit(np.ones((20, 8, 1)), np.arange(20) % 3, epochs=2)
model.predict(np.ones((20, 8, 1)))
print(loader.compilations, *sorted(kernel for kernel, _ in set(loader._ADDRESSES) - known))
"""
# Before its input is known, a model with Flatten is taken to be one that may do nothing else.
OF_CONVOLUTIONS = [
    "layers.activation.identity.forward",
    "layers.convolution.convolution.backward_weights",
    "layers.convolution.convolution.forward",
    "linalg.indirect.product",
]


@pytest.mark.sweep
def test_compilations_of_a_cold_and_of_a_warm_process(tmp_path):
    cache = str(tmp_path / "cache")
    output, errors = run_script(COLD_AND_WARM, FASTNN_CACHE_DIR=cache)
    dense, convolutional = output.splitlines()
    *counts, numba = dense.split()
    first = int(counts[0])
    assert first > 10
    assert [int(count) for count in counts] == [first] * 4 + [first + 2] * 4
    assert numba == "False"  # other processes compile
    count, *added = convolutional.split()
    assert added == OF_CONVOLUTIONS
    assert int(count) == first + 2 + len(added)
    assert len(errors.splitlines()) == 1 and "compil" in errors  # what takes long
    output, errors = run_script(COLD_AND_WARM, FASTNN_CACHE_DIR=cache)
    dense, convolutional = output.splitlines()
    *counts, numba = dense.split()
    assert [int(count) for count in counts] == [0, first, 0, first, 0, first + 2, 0, first + 2]
    assert numba == "False"
    assert convolutional.split()[0] == "0"
    assert errors == ""
