"""Files that are replaced in one step: written beside the old one, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat

from . import signatures


def replace(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file in one step: whatever happens, it has either the old content or the new one.

    A temporary file in the same folder is written, brought to the disk, and renamed. The new file has
    the permissions of the old one. A symbolic link is followed, as by `open`.

    Raises
    ------
    OSError
        If that is not possible; the old file is then as it was. It names the path as it was given.
    """
    given = os.fspath(path)
    if not given:
        raise FileNotFoundError(errno.ENOENT, "a path must not be empty", given)
    try:
        _replace(os.path.realpath(given), content, given)
    except OSError as error:
        if error.errno is None:
            raise
        folder = os.path.dirname(given)
        missing = isinstance(error, FileNotFoundError) and folder
        reason = f"there is no folder {folder!r}" if missing else error.strerror
        raise OSError(error.errno, reason, given) from error


def _replace(path: str, content: bytes, given: str) -> None:
    folder = os.path.dirname(path)
    old = _status(path, given)
    temporary = os.path.join(folder, f".fastnn-{secrets.token_hex(8)}.tmp")
    # A new file gets the permissions of the umask; one that replaces another is private until then.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(temporary, flags, 0o666 if old is None else 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if old is not None:
            _take_over(temporary, old)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def check_regular(path: str, given: str = "") -> None:
    """Raise an OSError if there is no such file, or if it is a folder, a pipe or a device."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        folder = "a folder, " if stat.S_ISDIR(mode) else ""
        raise OSError(f"{given or path} is {folder}not a regular file")


def head(path: str) -> bytes:
    """The first bytes of a regular file, for `signatures`; an OSError if it cannot be read."""
    check_regular(path)
    with open(path, "rb") as file:
        return file.read(signatures.HEAD)


def _status(path: str, given: str) -> os.stat_result | None:
    """Status of the file that is to be replaced, if there is one."""
    try:
        check_regular(path, given)
    except FileNotFoundError:
        return None
    return os.stat(path)


def _take_over(path: str, old: os.stat_result) -> None:
    """Give a file the permissions of another one, and its owner as far as allowed."""
    if hasattr(os, "chown") and (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(OSError):
            os.chown(path, old.st_uid, old.st_gid)
    os.chmod(path, stat.S_IMODE(old.st_mode))


def _sync_folder(folder: str) -> None:
    """Flush a rename to disk, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
