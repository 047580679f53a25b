"""The key of the object cache changes with all that compiled code depends on."""

import os
import shutil
from pathlib import Path

import pytest
from llvmlite import binding

import fastnn.kernels
from fastnn import _cache

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path.relative_to(ROOT / "kernels") for path in (ROOT / "kernels").rglob("*.py"))


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A copy of the kernels' sources, of which the key is taken."""
    copied = shutil.copytree(ROOT / "kernels", tmp_path / "kernels")
    monkeypatch.setattr(fastnn.kernels, "__file__", str(copied / "__init__.py"))
    return copied


def key():
    return _cache.key.__wrapped__()


def test_the_key_depends_on_the_content_only(tree):
    for path in tree.glob("*.py"):
        os.utime(path, (0, 0))
    assert key() == key() == _cache.key()


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
    (tree / "dense.py").rename(tree / "dense2.py")
    keys.append(key())
    (tree / "dense2.py").unlink()
    keys.append(key())
    (tree / "new.py").write_bytes(b"")
    keys.append(key())
    loss, metric = (tree / name for name in ("loss.py", "metric.py"))
    first, second = loss.read_bytes(), metric.read_bytes()
    loss.write_bytes(second)
    metric.write_bytes(first)
    keys.append(key())
    assert len(set(keys)) == len(keys)


ELSEWHERE = {
    "a setting of Numba": lambda patch: patch.setenv("NUMBA_BOUNDSCHECK", "1"),
    "another setting": lambda patch: patch.setenv("NUMBA_OPT", "1"),
    "a setting's value": lambda patch: patch.setenv("NUMBA_OPT", "2"),
    "versions": lambda patch: patch.setattr("importlib.metadata.version", lambda name: f"{name} 99"),
    "the CPU's name": lambda patch: patch.setattr(binding, "get_host_cpu_name", lambda: "i386"),
    "the CPU's features": lambda patch: patch.setattr(
        binding, "get_host_cpu_features", lambda: {"mmx": True}
    ),
}


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
    monkeypatch.setenv("UNRELATED", "1")
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")  # set by joblib in each of its processes
    assert key() == keys[0]
