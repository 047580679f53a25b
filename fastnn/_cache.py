"""The object cache: where compiled kernels are kept between processes.

A cached file is code, so it is only read from a folder that belongs to the user and that nobody else
can write to, and only if its digest fits. The folder's name covers everything the code depends on:
the sources of all of `kernels/`, the versions of Numba and llvmlite, Numba's settings and the CPU.
So an object is never stale; what is missing or damaged is compiled anew.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path

_DIGEST = hashlib.sha256
_MAGIC = b"fastnn object 1\n"


def folder() -> Path:
    """Folder of all cached code: ``FASTNN_CACHE_DIR``, or the user's cache folder of the platform."""
    chosen = os.environ.get("FASTNN_CACHE_DIR")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "fastnn" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "fastnn"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastnn"


def is_writable() -> bool:
    """Whether what this process compiles is kept."""
    place = _private_folder()
    return place is not None and os.access(place, os.W_OK)


def read(symbol: str) -> bytes | None:
    """Cached code of a symbol, or None if there is none that can be trusted."""
    path = _path(symbol)
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + _DIGEST().digest_size
    code = content[start:]
    return code if content[:start] == _header(symbol, code) else None


def write(symbol: str, code: bytes) -> None:
    """Keep the code of a symbol; where no folder is writable, do nothing."""
    path = _path(symbol)
    if path is None:
        return
    with contextlib.suppress(OSError):
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_header(symbol, code) + code)
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)


def _header(symbol: str, code: bytes) -> bytes:
    return _MAGIC + _DIGEST(f"{key()} {symbol} ".encode() + code).digest()


def _path(symbol: str) -> Path | None:
    place = _private_folder()
    return None if place is None else place / f"{symbol}.o"


@functools.cache
def _private_folder() -> Path | None:
    """The folder for this key, made if need be; None if it is not ours alone."""
    try:
        place = folder() / key()
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        trusted = all(_is_private(path) for path in (place.parent, place))
    except (OSError, RuntimeError):  # RuntimeError: the user has no home folder
        return None
    return place if trusted else None


def _is_private(path: Path) -> bool:
    """Whether a folder is the user's own, and nobody else can write to it."""
    status = path.stat()
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


# Settings of Numba that change no code of ours. joblib sets the second in each of its processes.
_NO_MATTER = {"NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER"}


def _settings_file() -> list[bytes]:
    """Content of the file of settings that Numba reads from the current folder, if there is one."""
    try:
        return [Path(".numba_config.yaml").read_bytes()]
    except OSError:
        return []


@functools.cache
def key() -> str:
    """Digest of all that compiled code depends on."""
    from importlib.metadata import version

    from llvmlite import binding

    from .kernels import __file__ as kernels_file

    digest = _DIGEST()
    for path in sorted(Path(kernels_file).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    numba_settings = sorted(
        (name, value)
        for name, value in os.environ.items()
        if name.startswith("NUMBA_") and name not in _NO_MATTER
    )
    for fact in (
        *_settings_file(),
        version("numba"),
        version("llvmlite"),
        numba_settings,
        binding.get_host_cpu_name(),
        sorted(binding.get_host_cpu_features().items()),
    ):
        digest.update(repr(fact).encode())
    return digest.hexdigest()[:32]
