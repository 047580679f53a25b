"""The key of the object cache changes with all that compiled code depends on, however fastnn is installed."""

import compileall
import importlib
import importlib.metadata
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import types
import zipfile
from pathlib import Path

import numba.core.config
import pytest
from llvmlite import binding

import fastnn.kernels
from fastnn.compiler import cache_key, object_cache

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path.relative_to(ROOT / "kernels") for path in (ROOT / "kernels").rglob("*.py"))


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A copy of the kernels' sources, of which the key is taken."""
    copied = shutil.copytree(ROOT / "kernels", tmp_path / "kernels")
    monkeypatch.setattr(fastnn.kernels, "__file__", str(copied / "__init__.py"))
    return copied


def key():
    found = cache_key._found.__wrapped__()
    assert found.fault is None
    return found.key


def test_the_key_depends_on_the_content_only(tree):
    for path in tree.rglob("*.py"):
        os.utime(path, (0, 0))
    shutil.rmtree(tree / "__pycache__", ignore_errors=True)
    assert key() == key() == cache_key.key()


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_an_edit_of_a_kernel_file_changes_the_key(path, tree):
    text = (tree / path).read_bytes()
    keys = [key()]
    for edited in (text + b"\n", text.replace(b" ", b"  ", 1), text[:-1], b""):
        (tree / path).write_bytes(edited)
        keys.append(key())
    assert len(set(keys)) == len(keys)


def test_files_that_come_go_or_change_names_change_the_key(tree):
    keys = [key()]
    (tree / "layers" / "dense.py").rename(tree / "layers" / "dense2.py")
    keys.append(key())
    (tree / "layers" / "dense2.py").unlink()
    keys.append(key())
    (tree / "new.py").write_bytes(b"")
    keys.append(key())
    loss, metric = (tree / "training" / name for name in ("loss.py", "metric.py"))
    first, second = loss.read_bytes(), metric.read_bytes()
    loss.write_bytes(second)
    metric.write_bytes(first)
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_folders_in_the_folder_count(tree):
    keys = [key()]
    (tree / "convolution" / "direct").mkdir(parents=True)
    assert key() == keys[0]
    for path, text in {
        "convolution/plan.py": "a = 1",
        "convolution/direct/plan.py": "a = 1",
        "convolution/direct/tile.py": "a = 2",
    }.items():
        (tree / path).write_text(text)
        keys.append(key())
    (tree / "convolution" / "direct" / "tile.py").rename(tree / "convolution" / "tile.py")
    keys.append(key())
    assert len(set(keys)) == len(keys)


# ---- what code depends on besides --------------------------------------------------------------

ELSEWHERE = {
    **{name: lambda patch, name=name: patch.setenv(name, "1") for name in cache_key.SETTINGS},
    "a setting's value": lambda patch: patch.setenv("NUMBA_OPT", "2"),
    "versions": lambda patch: patch.setattr("importlib.metadata.version", lambda name: f"{name} 99"),
    "the CPU's name": lambda patch: patch.setattr(binding, "get_host_cpu_name", lambda: "i386"),
    "the CPU's features": lambda patch: patch.setattr(
        binding, "get_host_cpu_features", lambda: {"mmx": True}
    ),
}

# What Numba shows, logs, measures or keeps; what it does for CUDA, threads, and arrays that it allocates.
NO_MATTER = re.compile(
    "NUMBA_(CUDA_.*|.*_CUDA|.*_CUDASIM|FORCE_CUDA_CC|DUMP_.*|DEBUG|DEBUG_.*|DIFF_IR|.*CACHE.*|.*THREAD.*|.*_WARN.*"
    "|PARFOR_.*|PARALLEL_.*|HIGHLIGHT_DUMPS|COLOR_SCHEME|SHOW_HELP|FULL_TRACEBACKS|DEVELOPER_MODE|TRACE"
    "|CHROME_TRACE|LLVM_PASS_TIMINGS|JIT_COVERAGE|GDB_BINARY|DISABLE_JIT|ENABLE_SYS_MONITORING"
    "|USE_LLVMLITE_MEMORY_MANAGER|CAPTURED_ERRORS|DISABLE_PERFORMANCE_WARNINGS)"
)


def test_the_file_of_settings_that_numba_reads_changes_the_key(tmp_path, monkeypatch):
    keys = [key()]
    monkeypatch.chdir(tmp_path)
    assert key() == keys[0]
    for text in ("boundscheck: 1", "boundscheck: 0"):
        (tmp_path / ".numba_config.yaml").write_text(text)
        keys.append(key())
    assert len(set(keys)) == len(keys)


def test_what_else_code_depends_on_changes_the_key(monkeypatch):
    for name in [name for name in os.environ if name.startswith("NUMBA_")]:
        monkeypatch.delenv(name)
    keys = [key()]
    for change in ELSEWHERE.values():
        with monkeypatch.context() as patch:
            change(patch)
            keys.append(key())
    assert len(set(keys)) == len(keys)
    for name in ("NEW", "COLOR_SCHEME", "NUM_THREADS", "DISABLE_JIT"):
        monkeypatch.setenv(f"NUMBA_{name}", "1")
    assert key() == keys[0]


def test_every_setting_of_numba_is_known_to_change_code_or_not():
    source = Path(numba.core.config.__file__).read_text(encoding="utf-8")
    names = set(re.findall(r"_readenv\(\s*[\"'](NUMBA_\w+)", source))
    assert len(names) > 60 and {"NUMBA_OPT", "NUMBA_BOUNDSCHECK"} <= names
    matter = {name for name in names if not NO_MATTER.fullmatch(name) or name in cache_key.SETTINGS}
    assert matter - set(cache_key.SETTINGS) == set()


# ---- where the code cannot be read -------------------------------------------------------------


def missing(patch):
    """As in a program that has no files of its modules."""
    patch.setattr(fastnn.kernels, "__file__", "/nowhere/kernels/__init__.pyc")
    patch.setattr("importlib.resources.files", lambda package: Path("/nowhere/kernels"))


def without_a_file(patch):
    patch.delattr(fastnn.kernels, "__file__")
    patch.setattr("importlib.resources.files", lambda package: ROOT / "docs")


def without_resources(patch):
    def files(package):
        raise TypeError("no resources")

    patch.setattr(fastnn.kernels, "__file__", None)
    patch.setattr("importlib.resources.files", files)


def unknown_version(patch):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    patch.setattr("importlib.metadata.version", version)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (missing, "fastnn.kernels"),
        (without_a_file, "fastnn.kernels"),
        (without_resources, "fastnn.kernels"),
        (unknown_version, "version of numba"),
    ],
)
def test_what_cannot_be_found_out_is_the_key_of_one_process(change, word, monkeypatch, tmp_path):
    """Nothing is kept under it."""
    change(monkeypatch)
    first, second = cache_key._found.__wrapped__(), cache_key._found.__wrapped__()
    assert first[0] != second[0] and len(first[0]) == 32
    assert word in first[1] and first[1] == second[1]
    monkeypatch.setattr(cache_key, "_found", lambda: first)
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path))
    assert object_cache._own.__wrapped__() == (None, first[1])
    assert list(tmp_path.iterdir()) == []


# ---- other ways to install it ------------------------------------------------------------------

ANSWER = """
import sys
import fastnn as fn
from fastnn.compiler import cache_key, loader
assert fn.__file__.startswith(sys.path[0]), fn.__file__
if len(sys.argv) > 1:
    print(*fn.Activation("relu")([[1.0]])[0], loader.compilations > 0, end=" ")
print(cache_key.key(), cache_key.fault())
"""


def sources(folder):
    """The package as it is installed, below a folder."""
    shutil.copytree(ROOT / "fastnn", folder / "fastnn", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(
        ROOT / "kernels", folder / "fastnn" / "kernels", ignore=shutil.ignore_patterns("__pycache__")
    )
    return folder


def compiled(folder):
    sources(folder)
    compileall.compile_dir(folder, quiet=1, legacy=True)
    for path in folder.rglob("*.py"):
        path.unlink()
    return folder


def zipped(folder):
    return archive(sources(folder))


def zipped_and_compiled(folder):
    return archive(compiled(folder))


def archive(folder):
    with zipfile.ZipFile(f"{folder}.zip", "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder))
    shutil.rmtree(folder)
    return Path(f"{folder}.zip")


def ask(place, *arguments, **environment):
    program = f"import sys; sys.path.insert(0, {str(place)!r})\n{ANSWER}"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(" ", maxsplit=3) if arguments else done.stdout.split(" ", maxsplit=1)


@pytest.mark.slow
@pytest.mark.parametrize("install", [sources, compiled, zipped, zipped_and_compiled])
def test_an_upgrade_changes_the_key(install, tmp_path, monkeypatch):
    """However the code is kept, the same code has the same key, and another has another."""
    place = install(tmp_path / "place")
    first = ask(place)
    assert first[1] == "None\n" and ask(place) == first
    monkeypatch.setattr(sys.modules[__name__], "ROOT", edited(tmp_path / "edited"))
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    second = ask(install(tmp_path / "place"))
    assert second[1] == "None\n" and second[0] != first[0]


def edited(folder):
    """The sources with another relu."""
    for name in ("fastnn", "kernels"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "kernels" / "layers" / "activation.py"
    text = path.read_text(encoding="utf-8")
    relu = "def _relu(x, p):\n"
    assert relu in text
    path.write_text(text.replace(relu, f"{relu}    return x + x\n"), encoding="utf-8")
    return folder


@pytest.mark.slow
def test_an_upgrade_within_an_archive_runs_the_new_kernels(tmp_path, monkeypatch):
    cache = {"FASTNN_CACHE_DIR": str(tmp_path / "cache")}
    place = zipped_and_compiled(tmp_path / "place")
    assert ask(place, "run", **cache)[:2] == ["1.0", "True"]
    assert ask(place, "run", **cache)[:2] == ["1.0", "False"]
    monkeypatch.setattr(sys.modules[__name__], "ROOT", edited(tmp_path / "edited"))
    zipped_and_compiled(tmp_path / "place")
    assert ask(place, "run", **cache)[:2] == ["2.0", "True"]


# ---- frozen programs ---------------------------------------------------------------------------


def test_the_hook_of_pyinstaller(monkeypatch):
    """It names all kernels, leaves their sources as files, and takes along what the key asks for."""
    hooks = types.ModuleType("PyInstaller.utils.hooks")
    hooks.collect_submodules = lambda name: [f"all of {name}"]
    hooks.collect_data_files = lambda name: [f"data of {name}"]
    hooks.copy_metadata = lambda name: [f"metadata of {name}"]
    for name in ("PyInstaller", "PyInstaller.utils"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, hooks.__name__, hooks)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    module, function = project["project"]["entry-points"]["pyinstaller40"]["hook-dirs"].split(":")
    (folder,) = getattr(importlib.import_module(module), function)()
    assert module in project["tool"]["setuptools"]["packages"]
    said = runpy.run_path(str(Path(folder) / "hook-fastnn.py"))
    assert said["hiddenimports"] == ["all of fastnn.kernels"]
    assert said["module_collection_mode"] == {"fastnn.kernels": "py"}
    assert said["datas"] == ["data of fastnn", "metadata of numba", "metadata of llvmlite"]
