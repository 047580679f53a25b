"""Arrays in files: used where they lie, converted row by row, and never loaded as a whole."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import fastnn as fn
from fastnn.data import array_checks, sample_checks
from tests.helpers.rejections import refused
from tests.helpers.sweeps import sampled

KINDS = [
    "float32",
    "float64",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "bool",
]
N = 300
Y = np.arange(N) % 3


@pytest.fixture
def mapped(tmp_path):
    def make(kind, shape=(N, 5), order="C"):
        values = np.random.default_rng(0).uniform(0, 2 if kind == "bool" else 100, shape).astype(kind)
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.dat"
        file = np.memmap(path, kind, "w+", shape=shape, order=order)
        file[...] = values
        file.flush()
        return np.memmap(path, kind, "r", shape=shape, order=order), values

    return make


def network(dtype="float32", layers=()):
    return fn.Model([*layers, fn.Dense(7, "tanh"), fn.Dense(3)], loss="cross_entropy", dtype=dtype, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_as_good_as_an_array(kind, dtype, mapped):
    X, values = mapped(kind)
    weight = np.linspace(0, 2, N)
    results = []
    for data in (X, values):
        model = network(dtype, [fn.Standardize()])
        history = model.fit(data, Y, epochs=2, sample_weight=weight, validation_split=0.2, threads=2)
        history = [history.history, model.fit(data, Y, shuffle=False, batch_size=50).history]
        history.append(model.fit(data[:128], Y[:128], batch_size=None).history)
        loss, gradient = model.loss_and_gradient(data, Y)
        output = model.predict(data)
        results.append((history, loss, gradient.tolist(), output.tolist(), model.evaluate(data, Y, weight)))
        assert np.array_equal(model.predict(data[3]), output[3])
    assert results[0] == results[1]


def test_one_hot_and_many_models(mapped):
    X, values = mapped("uint8")
    layers = [fn.OneHot([0, 2]), fn.MinMax(columns=1)]
    models = [network(kind, [fn.OneHot([0, 2]), fn.MinMax(columns=1)]) for kind in ("float32", "float64")]
    fn.fit_many(models, X, Y, epochs=2)
    for model in models:
        alone = network(model.dtype, [fn.OneHot([0, 2]), fn.MinMax(columns=1)])
        alone.fit(values, Y, epochs=2)
        assert np.array_equal(model.parameters, alone.parameters)
    assert [c.tolist() for c in layers[0].adapt(X).categories] == [
        np.unique(values[:, j]).tolist() for j in (0, 2)
    ]


def test_nothing_is_copied(mapped):
    for kind in KINDS:
        X, _ = mapped(kind)
        for given in (X, X[10:20], np.asarray(X), X.reshape(-1, 1)):
            kept = array_checks.array("X", given, "float32", (2,), keep_mapped=True)
            assert type(kept) is np.ndarray and np.shares_memory(kept, X)
    X, _ = mapped("float32")
    assert np.shares_memory(sample_checks.features(X, "float32", 5), X)


def test_what_must_be_copied_is(mapped):
    for X, values in (mapped("float64", order="F"), mapped("<f4"), mapped(">f4"), mapped("float16")):
        for given, expected in ((X, values), (X[:, ::2], values[:, ::2])):
            kept = array_checks.array("X", given, "float32", (2,), keep_mapped=True)
            np.testing.assert_array_equal(kept, expected.astype("float32"))


@pytest.mark.parametrize("value, piece", [(np.nan, "nan"), (np.inf, "inf"), (1e300, "1e+300")])
def test_numbers_that_are_not_finite(value, piece, mapped, monkeypatch):
    X, _ = mapped("float64")
    X = np.memmap(X.filename, "float64", "r+", shape=X.shape)
    X[250, 3] = value
    monkeypatch.setattr(array_checks, "_BLOCK", 64)
    model = network()
    refused(model, lambda: model.fit(X, Y), ValueError, f"got {piece} at (250, 3)")


# What a run may add to its memory, and rows whose numbers in float32 are several times as many.
ALLOWED = 40 << 20
ROWS, COLUMNS = 320_000, 128
PROGRAM = """
import json, resource, sys, threading
import numpy as np
import fastnn as fn

threading.stack_size(1 << 20)  # the limit counts stacks, also those of threads that have just ended
path, kind, allowed, rows, columns = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])

def memory(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(name + ":"))

def run(X, y):
    model = fn.Model([fn.Standardize(), fn.Dense(8, "relu"), fn.Dense(3)], loss="cross_entropy", seed=0)
    model.fit(X, y, batch_size=128, validation_split=0.1, verbose=0)
    return model.evaluate(X, y), model.predict(X).shape

X = np.memmap(path, kind, "r", shape=(rows, columns))
y = (np.arange(rows) % 3).astype(np.float32)
run(X[:20_000], y[:20_000])  # what is compiled or loaded, and a second thread, take memory of their own
before = {name: memory(name) for name in ("VmData", "RssAnon")}
resource.setrlimit(resource.RLIMIT_DATA, 2 * (before["VmData"] + allowed,))
if len(sys.argv) > 6:
    X = np.array(X)
_, shape = run(X, y)
print(json.dumps({"grown": memory("RssAnon") - before["RssAnon"], "peak": memory("VmHWM"), "shape": shape}))
"""


@pytest.fixture(scope="module")
def big_file(tmp_path_factory):
    """A file of zeros with some numbers in it, which takes no room on most file systems."""

    def make(kind):
        path = tmp_path_factory.mktemp("big") / "X.dat"
        file = np.memmap(path, kind, "w+", shape=(ROWS, COLUMNS))
        file[::1000] = 1
        return path

    return make


def run_limited(path, kind, *more):
    command = [sys.executable, "-c", PROGRAM, path, kind, str(ALLOWED), str(ROWS), str(COLUMNS), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and limits memory as Linux does")
@pytest.mark.slow
@pytest.mark.parametrize("kind", sampled(["float32", "uint8", "float64"], every=3))
def test_memory_does_not_grow_with_the_file(kind, big_file):
    assert 4 * ROWS * COLUMNS > 3 * ALLOWED
    done = run_limited(big_file(kind), kind)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["shape"] == [ROWS, 3]
    # Beside this, pages of the file are counted in the peak, as far as there is room for them.
    assert report["grown"] < ALLOWED


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and limits memory as Linux does")
def test_the_limit_would_stop_a_copy(big_file):
    done = run_limited(big_file("float32"), "float32", "copy")
    assert done.returncode != 0 and "MemoryError" in done.stderr
