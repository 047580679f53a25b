"""Which files may be run as code: those that only trusted users can have put there.

Trusted are the user, root, and the owner of the installed package, whose code runs in any case. A file is
judged by its owner and its permissions; a folder by those of every name on the way to it as well, since
whoever may write to a parent can put another folder in its place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# As many links as Linux follows.
_MOST_LINKS = 40
# The user that represents all users unknown to a container.
_NOBODY = 65534


def folder_fault(path: Path) -> str | None:
    """Why code in a folder may come from others; None if it cannot.

    On the way to the folder there may be some that everybody can write to if they are sticky, as /tmp is:
    only its owner can then rename a file or a folder.

    Parameters
    ----------
    path : Path
        Absolute. On systems without owners and permissions of POSIX every folder is trusted.

    Raises
    ------
    OSError
        If it does not exist, or cannot be examined.
    """
    if not hasattr(os, "geteuid"):
        return None
    *way, (last, status) = _way(path)
    for parent, found in way:
        sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        fault = _owner_fault(parent, found) if sticky else file_fault(parent, found)
        if fault:
            return fault
    return file_fault(last, status)


def file_fault(path: Path, status: os.stat_result) -> str | None:
    """Why the content of a file or folder may come from others, wherever it is; None if it cannot."""
    if not hasattr(os, "geteuid"):
        return None
    mode = status.st_mode
    by_group = mode & stat.S_IWGRP and not _is_private_group(path, status.st_gid)
    if (by_group or mode & stat.S_IWOTH) and not stat.S_ISLNK(mode):  # permissions of links have no meaning
        return f"others may write to {path}"
    return _owner_fault(path, status)


def _owner_fault(path: Path, status: os.stat_result) -> str | None:
    trusted = {os.geteuid(), 0}
    with contextlib.suppress(OSError, NameError):  # the package may lie within an archive, or a program
        trusted |= {os.stat(__file__).st_uid} - {_NOBODY}
    return None if status.st_uid in trusted else f"{path} belongs to another user"


def _is_private_group(path: Path, gid: int) -> bool:
    """Whether the user is the only member of the group; many systems create such a group per user."""
    try:
        import grp
        import pwd

        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except (ImportError, KeyError):
        return False
    own = user.pw_uid != 0 and user.pw_gid == gid and user.pw_name == group.gr_name
    return own and set(group.gr_mem) <= {user.pw_name} and not _has_access_list(path)


def _has_access_list(path: Path) -> bool:
    """Whether more users may have access than the permissions show."""
    with contextlib.suppress(
        OSError, AttributeError
    ):  # a file system or operating system without access control lists
        return "system.posix_acl_access" in os.listxattr(path)
    return False


def _way(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every name by which a folder is reached, links included, from the root on; then the folder itself."""
    here, left, links = Path(path.anchor), list(reversed(path.parts[1:])), 0
    yield here, here.lstat()
    while left:
        name = left.pop()
        if name == "..":
            here = here.parent
            continue
        here /= name
        status = here.lstat()
        yield here, status
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
            target = Path(os.readlink(here))
            here = Path(target.anchor) if target.is_absolute() else here.parent
            left += reversed(target.parts[target.is_absolute() :])
    yield here, here.lstat()
