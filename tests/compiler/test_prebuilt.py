"""Kernels that the package brings along: used where they fit, and only there."""

import json
import shutil
import subprocess
import sys

import pytest
from llvmlite import binding

import fastnn as fn
from fastnn.__main__ import main
from fastnn.compiler import build, cache_key, cpu_levels, notice, object_cache, object_file, prebuilt
from tests.helpers.fresh_process import PROBE, ROOT, run_script

LEVEL = cpu_levels.of_host()
pytestmark = pytest.mark.skipif(LEVEL is None, reason="wheels hold no kernels for this CPU")

RELU = ("layers.activation.relu.forward", "float32")
SYMBOL = object_file.symbol_of(*RELU)
# Numba cannot be imported: what runs was not compiled here.
WITHOUT_NUMBA = "import pathlib, sys\nsys.modules['numba'] = None\n"
FOLDER = "from fastnn.compiler import prebuilt\nprebuilt.FOLDER = pathlib.Path({!r})\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """What a wheel brings along, with one kernel for each level; not to be changed."""
    folder = tmp_path_factory.mktemp("built") / "prebuilt"
    command = [sys.executable, ROOT / "packaging" / "prebuild.py", folder, "--kernel", RELU[0]]
    subprocess.run(command, check=True, cwd=ROOT)
    return folder


@pytest.fixture
def folder(built, tmp_path, monkeypatch):
    """The same, of this process."""
    copied = shutil.copytree(built, tmp_path / "prebuilt")
    monkeypatch.setattr(prebuilt, "FOLDER", copied)
    monkeypatch.setattr(prebuilt, "_damaged", [])
    monkeypatch.setattr(notice, "_said", set())
    for name in cache_key.SETTINGS:
        monkeypatch.delenv(name, raising=False)
    _forget()
    yield copied
    _forget()


def _forget():
    prebuilt._found.cache_clear()
    prebuilt._key.cache_clear()


@pytest.mark.slow
def test_objects_of_each_level_are_there_and_differ(built):
    codes = {level: (built / level / f"{SYMBOL}.o").read_bytes() for level in cpu_levels.by_machine()}
    assert len(set(codes.values())) == len(codes)
    for level, content in codes.items():
        assert object_file.unpack(cache_key.of_level(level), SYMBOL, content)
        others = [other for other in codes if other != level]
        assert not any(object_file.unpack(cache_key.of_level(other), SYMBOL, content) for other in others)


@pytest.mark.slow
def test_they_are_used_and_numba_is_not_imported(folder, tmp_path):
    for kernel, dtype in [("driver.batch.check", "float32"), ("driver.loop.predict", "float64"), RELU]:
        symbol = object_file.symbol_of(kernel, dtype)
        code = object_cache.read(symbol, for_host=True) or build.compile_kernel(kernel, dtype, symbol)
        prebuilt.write(LEVEL, symbol, code, folder)
    script = WITHOUT_NUMBA + FOLDER.format(str(folder)) + PROBE
    done = run_script(script, FASTNN_CACHE_DIR=tmp_path / "empty")
    assert done.stdout.split() == "[[0.0, 2.0]] 0 True".split() and done.stderr == ""  # it is None in there
    assert list((tmp_path / "empty").rglob("*.o")) == []


def test_the_cache_comes_first_and_hosts_are_compiled_for_besides(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path / "cache"))
    object_cache._own.cache_clear()
    try:
        assert object_cache.read(SYMBOL, for_host=True) is None
        own = object_cache.read(SYMBOL)
        assert own and prebuilt.fault() is None
        object_cache.write(SYMBOL, b"compiled for the host")
        assert (
            object_cache.read(SYMBOL) == object_cache.read(SYMBOL, for_host=True) == b"compiled for the host"
        )
    finally:
        object_cache._own.cache_clear()


def test_a_package_without_kernels_has_no_fault(folder):
    shutil.rmtree(folder)
    assert prebuilt.read(SYMBOL) is None and prebuilt.fault() is None


def test_a_kernel_that_it_lacks_is_no_fault(folder):
    assert prebuilt.read("fastnn.layers.dense.nothing.float32") is None and prebuilt.fault() is None


@pytest.mark.parametrize("damage", ["cut", "changed", "another symbol's", "empty"])
def test_a_damaged_object_is_not_run_and_named(folder, damage, capsys):
    path = folder / LEVEL / f"{SYMBOL}.o"
    content = path.read_bytes()
    other = object_file.pack(cache_key.of_level(LEVEL), "fastnn.other", content)
    path.write_bytes(
        {"cut": content[:-1], "changed": content[:-1] + b"?", "another symbol's": other, "empty": b""}[damage]
    )
    assert prebuilt.read(SYMBOL) is None
    notice.compiling(1, 0.1)
    assert f"{SYMBOL}.o is damaged; install fastnn again" in capsys.readouterr().err


def _without_avx512(monkeypatch):
    features = dict(binding.get_host_cpu_features()) | {"avx512f": False}
    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: features)


def _with_a_part_of_avx512(monkeypatch):
    features = dict(binding.get_host_cpu_features()) | {"avx512f": True, "avx512bw": False}
    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: features)


def _with_nothing(monkeypatch):
    monkeypatch.setattr(binding, "get_host_cpu_features", dict)


def test_the_level_is_the_best_that_the_cpu_has(folder, monkeypatch):
    if "x86-64-v3" not in cpu_levels.by_machine():
        pytest.skip("for x86-64")
    _without_avx512(monkeypatch)
    assert prebuilt.level() == "x86-64-v3" and prebuilt.read(SYMBOL)


@pytest.mark.parametrize("cpu", [_with_a_part_of_avx512, _with_nothing])
def test_another_cpu_is_named(folder, monkeypatch, cpu):
    cpu(monkeypatch)
    assert prebuilt.read(SYMBOL) is None
    assert prebuilt.fault().endswith("and this CPU is of another kind")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda about: about["versions"].update(numba="0.1"), "compiled by numba 0.1, and "),
        (lambda about: about["keys"].update({LEVEL: "0" * 32}), "sources of the kernels were changed"),
        (lambda about: about.pop("keys"), "about.json is damaged; install fastnn again"),
        (lambda about: about.update(keys=3), "about.json is damaged"),
        (lambda about: about.update(versions=[]), "about.json is damaged"),
    ],
)
def test_what_they_were_compiled_for_is_checked(folder, change, words):
    path = folder / prebuilt.ABOUT
    about = json.loads(path.read_text())
    change(about)
    path.write_text(json.dumps(about))
    assert prebuilt.read(SYMBOL) is None
    assert words in prebuilt.fault()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("FASTNN_PREBUILT", "0", "FASTNN_PREBUILT is 0"),
        ("NUMBA_BOUNDSCHECK", "1", "NUMBA_BOUNDSCHECK is set"),
    ],
)
def test_settings_switch_them_off(folder, monkeypatch, name, value, words):
    monkeypatch.setenv(name, value)
    assert prebuilt.read(SYMBOL) is None
    assert words in prebuilt.fault()


def test_info_says_what_runs(folder, capsys, monkeypatch):
    assert main(["info"]) == 0
    assert f"used are those for {LEVEL}" in capsys.readouterr().out
    monkeypatch.setenv("FASTNN_PREBUILT", "0")
    _forget()
    assert main(["info"]) == 0
    assert "not used: FASTNN_PREBUILT is 0" in capsys.readouterr().out
    shutil.rmtree(folder)
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    assert "no kernels in this installation" in shown and f"fastnn    {fn.__version__}" in shown
