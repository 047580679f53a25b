"""Paths with names in braces that are filled in later, checked before training starts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from string import Formatter
from typing import Any

from .hints import nearest


def text(path: Any, name: str = "path") -> str:
    """The path of a file as text."""
    result = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(result, str):
        raise TypeError(f"{name} must be a string or a pathlib.Path, got {path!r}")
    return result


def fields(path: str, known: Iterable[str]) -> set[str]:
    """The names in braces.

    Parameters
    ----------
    path : str
    known : iterable of str
        What may be filled in; so may each name that begins with ``val_``.

    Raises
    ------
    ValueError
        If it holds anything else, or something that does not go with a number.
    """
    known = list(dict.fromkeys(known))
    what = f"path={path!r} cannot be filled in"
    try:
        found = {name for _, name, _, _ in Formatter().parse(path) if name is not None}
    except ValueError as error:
        raise ValueError(f"{what}: {error}; write literal braces twice") from error
    for name in sorted(found):
        if name not in known and not (name.startswith("val_") and name.isidentifier()):
            names = ", ".join(f"{{{each}}}" for each in known)
            raise ValueError(
                f"{what}: it may contain {names}, their val_ variants and the monitor, got "
                f"{{{name}}}{nearest(name, known)}; write literal braces twice"
            )
    try:
        path.format(**{name: 1 if name == "epoch" else 0.5 for name in found})
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ValueError(f"{what} with epoch 1 and values of 0.5: {error}") from error
    return found


def folder(path: str) -> None:
    """Raise an OSError if no file can be written there, as far as the path is known."""
    beginning, name, *_ = next(iter(Formatter().parse(path)), ("", None))
    place = os.path.dirname(beginning)
    if not os.path.isdir(place or os.curdir):
        raise FileNotFoundError(
            f"there is no folder {place!r}, needed for path={path!r}; make it first: os.makedirs({place!r})"
        )
    if name is None and os.path.isdir(beginning):
        raise IsADirectoryError(f"path={path!r} is a folder; name a file in it")
    if not os.access(place or os.curdir, os.W_OK):
        raise PermissionError(f"path={path!r} is in a folder that is not writable")
