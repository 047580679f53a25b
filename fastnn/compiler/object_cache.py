"""The object cache: compiled kernels on disk.

A cached file is code, so it is only read from a folder that none but trusted users can change (`_trust`),
and only if its digest fits. The folder's name covers everything the code depends on (`_key`). So an
object is never stale; what is missing or damaged is compiled again.

There are up to two folders: the user's own, and one that was filled before and is only read. What neither has
may lie in the package: see `prebuilt`.
"""

from __future__ import annotations

import contextlib
import functools
import os
from pathlib import Path

from . import cache_key, object_file, prebuilt, trust

# Code is not secret: other users may have to read it.
_FOLDER_MODE, _FILE_MODE = 0o755, 0o644


def folder() -> Path:
    """Folder of all cached code: ``FASTNN_CACHE_DIR``, or the user's cache folder of the platform.

    Raises
    ------
    RuntimeError
        If the user has no home folder.
    """
    chosen = os.environ.get("FASTNN_CACHE_DIR")
    if chosen:
        return Path(chosen)
    import platformdirs

    # Without a home folder, older versions of platformdirs leave the "~" in.
    return Path(platformdirs.user_cache_dir("fastnn", appauthor=False)).expanduser()


def shared_folder() -> Path | None:
    """A second, read-only folder of code: ``FASTNN_SHARED_CACHE_DIR``."""
    chosen = os.environ.get("FASTNN_SHARED_CACHE_DIR")
    return Path(chosen) if chosen else None


def fault() -> str | None:
    """Why code compiled by this process is not cached; None if it is."""
    return _own()[1]


def shared_fault() -> str | None:
    """Why the shared folder is not read; None if it is, or if there is none."""
    return _shared()[1]


def read(symbol: str, for_host: bool = False) -> bytes | None:
    """Cached code of a symbol; None if there is none, or it cannot be trusted.

    `for_host` leaves out what was compiled for a level of CPUs rather than for this one.
    """
    for place in (_own()[0], _shared()[0]):
        if place is not None:
            code = object_file.unpack(cache_key.key(), symbol, _content(place / f"{symbol}.o"))
            if code is not None:
                return code
    return None if for_host else prebuilt.read(symbol)


def write(symbol: str, code: bytes) -> None:
    """Cache the code of a symbol, if possible."""
    place, unkept = _own()
    if place is None or unkept:
        return
    temporary = place / f"{symbol}.{os.urandom(8).hex()}"
    with contextlib.suppress(OSError):
        try:
            with open(temporary, "xb", opener=_new_file) as file:
                file.write(object_file.pack(cache_key.key(), symbol, code))
            os.replace(temporary, place / f"{symbol}.o")
        except OSError:
            os.unlink(temporary)


def _content(path: Path) -> bytes:
    """Content of a file, if only trusted users can have written it; else empty."""
    try:
        with open(path, "rb", opener=_no_link) as file:
            return b"" if trust.file_fault(path, os.fstat(file.fileno())) else file.read()
    except OSError:
        return b""


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def _new_file(path: str, flags: int) -> int:
    return os.open(path, flags, _FILE_MODE)


@functools.cache
def _own() -> tuple[Path | None, str | None]:
    """The user's folder for this key if it can be read, made if need be; why nothing is written to it."""
    try:
        place = folder() / cache_key.key()
        fault = cache_key.fault() or _made(place)
    except OSError as error:
        return None, f"{error.filename} cannot be used: {error.strerror}"
    except RuntimeError:
        return None, "there is no home folder"
    if fault:
        return None, fault
    return place, None if os.access(place, os.W_OK) else f"{place} cannot be written to"


@functools.cache
def _shared() -> tuple[Path | None, str | None]:
    """The shared folder for this key, if it can be read; if there is one and it cannot, why."""
    base = shared_folder()
    if base is None:
        return None, None
    if not base.is_absolute():
        return None, f"{base} is a relative path"
    try:
        fault = trust.folder_fault(base / cache_key.key())
    except FileNotFoundError:
        fault = f"{base} has no kernels for these versions and this CPU"
    except OSError as error:
        fault = f"{error.filename} cannot be used: {error.strerror}"
    return (None, fault) if fault else (base / cache_key.key(), None)


def _made(place: Path) -> str | None:
    """Make a folder that is not there; why what is in it cannot be trusted, if so."""
    if not place.is_absolute():
        return f"{place.parent} is a relative path"
    for each in (*reversed(place.parents), place):
        if not each.is_dir():
            each.mkdir(_FOLDER_MODE, exist_ok=True)
    return trust.folder_fault(place)
