"""The object cache: never stale, never executed if damaged, and never in the way."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

import fastnn as fn
from fastnn.compiler import cache_key, object_cache, object_file, trust
from tests.helpers.fresh_process import CLASSIFIER, NOTICE, PROBE, ROOT, objects, run_script

pytestmark = pytest.mark.slow

RIGHT = "[[0.0, 2.0]]"
DAMAGED = [
    f"fastnn.{kernel}" for kernel in ("layers.activation.relu.forward.float32", "driver.batch.check.float32")
]


def probe(cache, script=PROBE, kept="once on this machine", **environment):
    """Compilations of a process with this cache, whose output must be right."""
    result = run_script(script, FASTNN_CACHE_DIR=cache, **environment)
    value, count, numba = result.stdout.rsplit(maxsplit=2)
    assert value == RIGHT
    assert numba == str(int(count) > 0)
    if result.stderr:
        assert NOTICE.fullmatch(result.stderr) and kept in result.stderr and int(count) > 0, result.stderr
    return int(count)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache folder that a process has filled; not to be changed."""
    cache = tmp_path_factory.mktemp("filled") / "cache"
    assert probe(cache) > 0
    return cache


@pytest.fixture
def cache(filled, tmp_path):
    return shutil.copytree(filled, tmp_path / "cache")


@pytest.fixture
def in_process(monkeypatch):
    """Makes a folder the cache of this process."""

    def use(path):
        monkeypatch.setenv("FASTNN_CACHE_DIR", str(path))
        object_cache._own.cache_clear()
        object_cache._shared.cache_clear()
        return path

    yield use
    object_cache._own.cache_clear()
    object_cache._shared.cache_clear()


def test_a_second_process_loads_what_the_first_compiled(filled):
    before = {path: path.stat().st_mtime_ns for path in filled.rglob("*")}
    assert set(DAMAGED) <= set(objects(filled))
    assert probe(filled) == 0
    assert {path: path.stat().st_mtime_ns for path in filled.rglob("*")} == before


def test_code_of_another_key_is_not_read(cache, in_process, monkeypatch):
    in_process(cache)
    assert all(object_cache.read(symbol) for symbol in DAMAGED)
    (old,) = cache.iterdir()
    monkeypatch.setattr(cache_key, "key", lambda: "0" * 32)
    old.rename(cache / cache_key.key())
    object_cache._own.cache_clear()
    assert [object_cache.read(symbol) for symbol in DAMAGED] == [None, None]


# ---- damaged files -----------------------------------------------------------------------------


HEADER = object_file._START


def flipped(content, at):
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


#: From the content of the file and that of another symbol's.
DAMAGES = {
    "empty": lambda own, other: b"",
    "cut to half": lambda own, other: own[: len(own) // 2],
    "last byte gone": lambda own, other: own[:-1],
    "header only": lambda own, other: own[:HEADER],
    "magic only": lambda own, other: own[: len(object_file._MAGIC)],
    "a byte more": lambda own, other: own + b"\0",
    "bit of the magic": lambda own, other: flipped(own, 0),
    "bit of the digest": lambda own, other: flipped(own, len(object_file._MAGIC) + 3),
    "bit of the code": lambda own, other: flipped(own, len(own) // 2),
    "last bit": lambda own, other: own[:-1] + bytes([own[-1] ^ 1]),
    "another symbol's": lambda own, other: other,
    "another symbol's code": lambda own, other: own[:HEADER] + other[HEADER:],
    "bare code": lambda own, other: own[HEADER:],
    "text": lambda own, other: b"not an object file\n" * 100,
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_not_read(name, cache, in_process):
    in_process(cache)
    symbol, other = DAMAGED
    path, content = objects(cache)[symbol], objects(cache)[other].read_bytes()
    code = object_cache.read(symbol)
    assert code
    path.write_bytes(DAMAGES[name](path.read_bytes(), content))
    assert object_cache.read(symbol) is None
    object_cache.write(symbol, code)
    assert object_cache.read(symbol) == code


def test_damaged_files_are_rebuilt(cache, in_process):
    found = objects(cache)
    predict = "fastnn.driver.loop.predict.float64"
    good = {symbol: found[symbol].read_bytes() for symbol in (*DAMAGED, predict)}
    first, second = (found[symbol] for symbol in DAMAGED)
    first.write_bytes(flipped(good[DAMAGED[0]], 1000))
    second.write_bytes(good[DAMAGED[1]][:500])
    shutil.copy(first, found[predict])
    assert probe(cache) == 3
    in_process(cache)
    assert all(object_cache.read(symbol) for symbol in good)
    assert probe(cache) == 0


def test_a_folder_in_a_files_place_does_not_matter(cache):
    path = objects(cache)[DAMAGED[0]]
    path.unlink()
    path.mkdir()
    assert probe(cache) == 1
    assert [p.name for p in path.parent.iterdir() if p.suffix != ".o"] == []  # no temporary file is left


# ---- places ------------------------------------------------------------------------------------


def test_a_place_that_cannot_be_written_to(tmp_path, filled):
    """Below a regular file nothing can be made, not even by the superuser."""
    (tmp_path / "file").write_text("")
    assert probe(tmp_path / "file" / "cache", kept="file cannot be used") == len(objects(filled))
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o720, 0o702])
@pytest.mark.parametrize("whose", ["cache", "key"])
@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions are those of POSIX")
def test_a_folder_that_others_can_write_to_is_refused(mode, whose, cache, in_process, monkeypatch):
    monkeypatch.setattr(trust, "_is_private_group", lambda path, gid: False)
    in_process(cache)
    (inner,) = cache.iterdir()
    code = object_cache.read(DAMAGED[0])
    assert code
    (cache if whose == "cache" else inner).chmod(mode)
    object_cache._own.cache_clear()
    assert object_cache.read(DAMAGED[0]) is None
    before = objects(cache)[DAMAGED[1]].read_bytes()
    object_cache.write(DAMAGED[1], b"anything")
    assert objects(cache)[DAMAGED[1]].read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="root alone can give a folder away")
@pytest.mark.parametrize("whose", ["cache", "key"])
def test_a_folder_of_another_user_is_refused(whose, cache, in_process):
    in_process(cache)
    (inner,) = cache.iterdir()
    os.chown(cache if whose == "cache" else inner, 12345, -1)
    assert object_cache.read(DAMAGED[0]) is None


# What is loaded later may lie where the other user may not look.
ANOTHER_USER = PROBE.replace(
    "print",
    """
import os
import numpy, tqdm.auto
from fastnn.compiler import cache_key
cache_key.key(), loader._engine()
os.setgid(12345)
os.setuid(12345)
print""",
)


@pytest.fixture(scope="module")
def image(filled):
    """The filled cache where other users can look."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(shutil.copytree(filled, Path(folder) / "cache"))


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="root alone becomes another")
def test_what_root_compiled_is_loaded_by_other_users(image, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in image.parent.rglob("*")}
    assert probe(image, ANOTHER_USER) == 0
    assert probe(tmp_path / "not to be reached", ANOTHER_USER, FASTNN_SHARED_CACHE_DIR=image) == 0
    assert {path: path.stat().st_mtime_ns for path in image.parent.rglob("*")} == before


def test_a_shared_folder_is_only_read(filled, cache, tmp_path):
    """What it lacks is compiled and kept in the user's own."""
    objects(cache)[DAMAGED[0]].unlink()
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    own = tmp_path / "own"
    assert probe(own, FASTNN_SHARED_CACHE_DIR=cache) == 1
    assert set(objects(own)) == {DAMAGED[0]}
    assert probe(own, FASTNN_SHARED_CACHE_DIR=cache) == 0
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before
    relative = os.path.relpath(filled, ROOT)
    kept = f"FASTNN_SHARED_CACHE_DIR is not read: {relative} is a relative path"
    assert probe(tmp_path / "second", kept=kept, FASTNN_SHARED_CACHE_DIR=relative) > 1


@pytest.mark.parametrize("mode", [0o777, 0o1777])
@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions are those of POSIX")
def test_a_shared_folder_that_others_can_write_to_is_refused(mode, cache, in_process, monkeypatch, tmp_path):
    in_process(tmp_path / "own")
    monkeypatch.setenv("FASTNN_SHARED_CACHE_DIR", str(cache))
    assert object_cache.read(DAMAGED[0])
    object_cache._shared.cache_clear()
    (inner,) = cache.iterdir()
    inner.chmod(mode)
    assert object_cache.read(DAMAGED[0]) is None
    assert object_cache.shared_fault() == f"others may write to {inner}"
    inner.rename(cache / "another key")
    object_cache._shared.cache_clear()
    assert object_cache.shared_fault() == f"{cache} has no kernels for these versions and this CPU"


@pytest.mark.skipif(sys.platform != "linux", reason="each platform has a folder of its own")
def test_the_default_folder(in_process, monkeypatch, tmp_path):
    in_process("")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert object_cache.folder() == tmp_path / ".cache" / "fastnn"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert object_cache.folder() == tmp_path / "caches" / "fastnn"


def test_no_home_folder(in_process, monkeypatch):
    in_process("")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert object_cache.fault() == "there is no home folder"
    assert object_cache.read("symbol") is None
    object_cache.write("symbol", b"code")


# ---- processes ---------------------------------------------------------------------------------


def test_without_the_compiler_the_error_says_so(tmp_path):
    result = run_script(check=False, NUMBA_DISABLE_JIT=1, FASTNN_CACHE_DIR=tmp_path)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("RuntimeError: fastnn needs Numba's compiler")
    assert "NUMBA_DISABLE_JIT" in result.stderr.splitlines()[-1]
    assert "warmup" in result.stderr.splitlines()[-1]
    assert list(tmp_path.rglob("*.o")) == []
    run_script("import fastnn as fn; fn.Model([fn.Dense(3)]).build(2).parameters", NUMBA_DISABLE_JIT=1)


def test_without_the_compiler_what_is_cached_serves(filled):
    assert probe(filled, NUMBA_DISABLE_JIT=1, NUMBA_COLOR_SCHEME="dark_bg") == 0


def test_a_warm_process_trains_without_numba():
    first = run_script(CLASSIFIER)  # which fills the user's cache, should it be empty
    second = run_script(CLASSIFIER)
    assert second.stderr == ""
    *figures, numba = second.stdout.split()
    assert numba == "False"
    assert figures == first.stdout.split()[:-1]


def test_one_process_loads_a_kernel_once():
    fn.Activation("relu")([[1.0]])
    before = dict(fn.compiler.loader._ADDRESSES)
    fn.Activation("relu")([[1.0, 2.0]])
    assert before == fn.compiler.loader._ADDRESSES
