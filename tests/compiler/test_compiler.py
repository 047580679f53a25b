"""Kernels compiled side by side, by processes of their own, and what depends on that: commands, lists."""

import importlib
import os
import pkgutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn
import fastnn.kernels
from fastnn import warmup
from fastnn.__main__ import main
from fastnn.compiler import build, cache_key, loader, object_cache, workers
from fastnn.engine import required_kernels
from tests.helpers.fresh_process import CLASSIFIER, NOTICE, ROOT, objects, run_script
from tests.helpers.sweeps import sampled

pytestmark = pytest.mark.slow

SMALL = [("training.schedule.constant.forward", "float64"), ("layers.activation.relu.forward", "float32")]
REQUESTS = [(*entry, f"symbol {i}") for i, entry in enumerate(SMALL)]


@pytest.mark.sweep
def test_the_first_fit_of_all_is_compiled_by_other_processes(tmp_path):
    first = run_script(CLASSIFIER, FASTNN_CACHE_DIR=tmp_path)
    second = run_script(CLASSIFIER, FASTNN_CACHE_DIR=tmp_path)
    assert NOTICE.fullmatch(first.stderr) and "once" in first.stderr
    assert second.stderr == "" and second.stdout.split()[:-1] == first.stdout.split()[:-1]
    names = set(objects(tmp_path))
    assert {"fastnn.driver.loop.train.float64", "fastnn.linalg.gemm.product.float32"} <= names
    assert not any(name.endswith("float64") and "driver" not in name for name in names - SCHEDULES)


SCHEDULES = {"fastnn.training.schedule.constant.forward.float64"}


def test_objects_of_other_processes_are_right():
    codes = workers.compile_together(REQUESTS, 2)
    assert set(codes) == {"symbol 0", "symbol 1"}
    assert all(loader._load(codes[symbol], symbol) for symbol in codes)


FAILING = {
    "it ends": "",
    "it raises": "raise ValueError",
    "it answers nonsense": "import sys; sys.stdout.buffer.write(b'x' * 100)",
    "it announces more than it gives": "import sys; sys.stdout.buffer.write(bytes(6) + b'xxyyy')",
    "it hangs": "import time; time.sleep(1000)",
}


@pytest.mark.parametrize("program", FAILING.values(), ids=FAILING)
def test_processes_that_fail(program, monkeypatch):
    """What they do not give is compiled by the caller."""
    monkeypatch.setattr(workers, "_START", program)
    monkeypatch.setattr(workers, "_PATIENCE", 1)
    monkeypatch.setattr(workers, "_PATIENCE_EACH", 0)
    start = time.monotonic()
    assert workers.compile_together(REQUESTS, 2) == {}
    assert time.monotonic() - start < 60


@pytest.mark.parametrize("executable", ["", None, "/usr/bin/uwsgi", "/nowhere/python", "python3"])
def test_without_a_python_to_start(executable, monkeypatch):
    monkeypatch.setattr("sys.executable", executable)
    assert workers.compile_together(REQUESTS, 2) == {}


# Modules that Python, Numba and fastnn import, in the current folder; run, they leave a mark.
STRANGE = ("json", "sitecustomize", "usercustomize", "numbers", "numba", "llvmlite", "numpy", "fastnn")
MARK = """
import os
if os.environ.get("FASTNN_OBJECTS_ONLY"):
    open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "ran"), "w").close()
"""
COMPILES = f"""
import json, os, sys
from pathlib import PosixPath
from llvmlite import binding
import fastnn as fn
from fastnn.compiler import loader
os.chdir(os.environ["STRANGE"])
sys.path[:0] = eval(os.environ["PATHS"])
assert loader.prepare({SMALL!r}) == 2
assert "numba" not in sys.modules, "compiled by the process itself"
"""


@pytest.mark.parametrize(
    ("flags", "paths", "variables"),
    sampled(
        [
            ([], ["", ".", "strange"], {"PYTHONPATH": ":"}),
            (["-I"], [], {"PYTHONPATH": ".", "PYTHONHOME": "."}),
            (["-P"], [], {}),
            ([], [Path("strange")], {"PYTHONWARNINGS": "error"}),
        ],
        every=4,
    ),
    ids=["relative names", "isolated", "safe path", "a path that is no text"],
)
def test_nothing_of_the_current_folder_is_run(flags, paths, variables, tmp_path):
    """By the processes that compile; what the process itself runs is not theirs to say."""
    strange = tmp_path / "strange"
    for folder in (strange, strange / "strange"):
        folder.mkdir()
        for name in STRANGE:
            (folder / f"{name}.py").write_text(MARK)
    done = subprocess.run(
        [sys.executable, *flags, "-c", COMPILES],
        env={
            **os.environ,
            "FASTNN_CACHE_DIR": str(tmp_path / "cache"),
            "STRANGE": str(strange),
            "PATHS": repr(paths),
            **variables,
        },
        cwd=strange if flags else ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("ran")) == []


def test_a_process_that_finds_other_code_compiles_nothing(monkeypatch):
    monkeypatch.setattr(cache_key, "key", lambda: "0" * 32)
    assert workers.compile_together(REQUESTS, 2) == {}


def test_what_is_not_delivered_is_compiled_here(monkeypatch, tmp_path):
    monkeypatch.setattr(workers, "compile_together", lambda *arguments: {})
    monkeypatch.setattr(loader, "_ADDRESSES", {})
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path))
    object_cache._own.cache_clear()
    before = loader.compilations
    try:
        assert loader.prepare(SMALL) == 2
        assert loader.prepare(SMALL) == 0
    finally:
        object_cache._own.cache_clear()
    assert loader.compilations == before + 2
    assert set(loader._ADDRESSES) == set(SMALL)
    assert len(objects(tmp_path)) == 2


# ---- which kernels a model needs ---------------------------------------------------------------

X = np.random.default_rng(0).normal(size=(40, 3))
X[:, 0] = np.arange(40) % 4
LABELS, VALUES = np.arange(40) % 3, np.ones((40, 3))
MODELS = {
    "classifier": ([fn.Dense(4, "relu"), fn.Dropout(0.5), fn.Dense(3)], "cross_entropy", {}, LABELS),
    "regressor": ([fn.Dense(3, "gelu", l2=0.1)], "huber", {"metrics": ["r2", "mae"]}, VALUES),
    "optimizer": (
        [fn.Dense(4, "softmax"), fn.Dense(3)],
        "mse",
        {"optimizer": fn.SGD(fn.schedules.cosine(0.1, 10), momentum=0.9)},
        VALUES,
    ),
    "probabilities": ([fn.Dense(3, "softmax")], "nll", {}, LABELS),
    "float64": (
        [fn.Activation("tanh"), fn.Dense(3, "selu"), fn.Dense(3)],
        "poisson",
        {"dtype": "float64"},
        VALUES,
    ),
    "preprocessing": (
        [fn.OneHot(0), fn.Standardize(), fn.MinMax(), fn.Dense(3)],
        "mse",
        {"metrics": []},
        VALUES,
    ),
}


def recorded(monkeypatch):
    """The kernels that are asked for from now on."""
    asked, address = set(), loader.address

    def recording(kernel, dtype):
        asked.add((kernel, dtype))
        return address(kernel, dtype)

    monkeypatch.setattr(loader, "prepare", lambda kernels: 0)
    monkeypatch.setattr(loader, "address", recording)
    loader.function.cache_clear()
    return asked


@pytest.mark.parametrize(("layers", "loss", "options", "y"), MODELS.values(), ids=MODELS)
def test_all_that_a_model_needs_is_listed(layers, loss, options, y, monkeypatch):
    model = fn.Model(layers, loss, seed=0, **options)
    asked = recorded(monkeypatch)
    model.fit(X, y, epochs=1, batch_size=16)
    model.evaluate(X, y)
    listed = set(required_kernels.by_model(model.executor, training=True))
    assert asked <= listed
    of_later_fits = {("driver.fit.fit", "float32")}  # short ones of samples like those of a fit before
    assert len(listed - asked - of_later_fits) <= 2  # the gradients that no layer below needs
    asked.clear()
    loader.function.cache_clear()
    model.predict(X)
    assert asked <= set(required_kernels.by_model(model.executor, training=False))


def test_the_common_kernels_exist_and_those_of_models_are_among_them():
    common = set(warmup.common("float32"))
    for layers, loss, options, _ in MODELS.values():
        free = [type(layer)(**{k: v for k, v in layer.config().items() if k != "name"}) for layer in layers]
        model = fn.Model(free, loss, **{**options, "dtype": "float32"})
        assert set(required_kernels.by_model(model.executor, training=True)) <= common
    for kernel, _ in common:
        path, _, entry = kernel.rpartition(".")
        assert callable(getattr(build._place(path, "float32"), f"{entry}_entry"))


def entries():
    """All kernels that there are."""
    for info in pkgutil.walk_packages(fastnn.kernels.__path__, "fastnn.kernels."):
        module = importlib.import_module(info.name)
        place = info.name.removeprefix("fastnn.kernels.")
        public = {name: value for name, value in vars(module).items() if not name.startswith("_")}
        for name, value in public.items() if "._" not in place else ():
            if name.endswith("_entry") and value.__module__ == info.name:
                yield f"{place}.{name.removesuffix('_entry')}"
            fields = getattr(value, "_fields", ()) if not isinstance(value, type) else ()
            for field in fields:
                if field.endswith("_entry"):
                    yield f"{place}.{name}.{field.removesuffix('_entry')}"


# Conversions of the rows of mapped files, but from the other of the two dtypes that NumPy writes mostly; and
# what no layer uses.
UNUSUAL = {f"driver.batch.{sign}int{bits}.gather" for sign in ("", "u") for bits in (8, 16, 32, 64)}
UNUSUAL |= {"layers.activation.identity.forward", "layers.activation.identity.backward_input"}
# For float32, and one of them: what the CPU has.
BFLOAT16 = {"linalg.bfloat16.tiles", "linalg.bfloat16.pairs"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_kernel_is_forgotten_by_warmup(dtype):
    listed = {kernel for kernel, _ in warmup.common(dtype)}
    assert set(entries()) - listed - BFLOAT16 == UNUSUAL | {f"driver.batch.{dtype}.gather"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_after_warmup_nothing_is_compiled(dtype, monkeypatch, tmp_path):
    """By common first layers, input of either dtype, mapped files, and all that a model answers."""
    np.save(tmp_path / "X.npy", X)
    asked = recorded(monkeypatch)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for kinds in ([], [fn.Standardize], [fn.MinMax], [fn.OneHot, fn.Standardize]):
        for x in (X, X.astype("float32"), X.astype(int), mapped):
            first = [kind(columns=[0]) for kind in kinds]
            model = fn.Model([*first, fn.Dense(4, "relu"), fn.Dense(3)], "cross_entropy", dtype=dtype, seed=0)
            model.fit(x, LABELS, epochs=2, validation_split=0.2, callbacks=[fn.EarlyStopping()])
            model.partial_fit(x, LABELS)
            model.evaluate(x, LABELS), model.predict(x), model.predict(x[:1])
            model.loss_and_gradient(x, LABELS)
            model.network()
    assert len(asked) > 20
    assert asked - set(warmup.common(dtype)) == set()


# ---- commands ----------------------------------------------------------------------------------


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path / "cache"))
    for found in (object_cache._own, object_cache._shared):
        found.cache_clear()
    yield tmp_path / "cache"
    for found in (object_cache._own, object_cache._shared):
        found.cache_clear()


def test_warmup_then_clear(cache, capsys, monkeypatch):
    monkeypatch.setattr(warmup, "common", lambda dtype: [(SMALL[0]), (SMALL[1][0], dtype)])
    monkeypatch.setattr(loader, "_ADDRESSES", {})
    assert main(["warmup", "--dtype", "float64", "--dtype", "float32"]) == 0
    shown = capsys.readouterr().out
    assert "3 kernels compiled for float64 and float32" in shown and f"{cache}: 3 kernels" in shown
    assert len(objects(cache)) == 3
    (folder,) = cache.iterdir()
    (folder / "mine.txt").write_text("not a kernel")
    assert main(["cache"]) == 0
    assert f"{cache}: 3 kernels, 0.0 MB" in capsys.readouterr().out
    assert main(["cache", "--clear"]) == 0
    assert "3 kernels deleted" in capsys.readouterr().out
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    assert main(["cache", "--clear"]) == 0


def test_warmup_where_nothing_can_be_kept(cache, capsys, monkeypatch):
    cache.write_text("a file in the folder's place")
    monkeypatch.setattr(warmup, "common", lambda dtype: SMALL[:1])
    monkeypatch.setattr(loader, "_ADDRESSES", {})
    assert main(["warmup"]) == 1
    assert f"none could be kept: {cache}" in capsys.readouterr().err
    assert main(["warmup"]) == 0  # there is nothing left to compile


def test_the_command_shows_both_folders_and_says_what_is_wrong(cache, capsys, monkeypatch, tmp_path):
    shared = tmp_path / "shared"
    monkeypatch.setenv("FASTNN_SHARED_CACHE_DIR", str(shared))
    assert main(["cache"]) == 0
    assert capsys.readouterr() == (
        f"{cache}: 0 kernels, 0.0 MB\n{shared}: 0 kernels, 0.0 MB\n",
        f"the shared folder is not read: {shared} has no kernels for these versions and this CPU\n",
    )
    monkeypatch.setenv("FASTNN_CACHE_DIR", "relative")
    monkeypatch.delenv("FASTNN_SHARED_CACHE_DIR")
    object_cache._shared.cache_clear()
    object_cache._own.cache_clear()
    assert main(["cache"]) == 0
    assert capsys.readouterr().err == "what is compiled is not kept: relative is a relative path\n"


def test_the_command_without_a_home_folder(capsys, monkeypatch):
    for name in ("FASTNN_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert main(["cache"]) == 1
    assert "home directory" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["train"], ["warmup", "--dtype", "float16"]])
def test_a_wrong_command(argv, capsys):
    with pytest.raises(SystemExit):
        main(argv)
    assert "usage: python -m fastnn" in capsys.readouterr().err


def test_a_process_of_the_command(tmp_path):
    run = partial(
        run_script,
        "import runpy, sys; sys.argv[1:] = ['cache']; runpy.run_module('fastnn', None, '__main__')",
    )
    assert "0 kernels" in run(check=False, FASTNN_CACHE_DIR=tmp_path).stdout
