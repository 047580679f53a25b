"""Names in the file: the prefix of all that it defines."""

from __future__ import annotations

import os
import re
from typing import Any

_LONGEST = 40  # with what follows a prefix, names stay below the 63 characters that C and Fortran know

#: Words of C99 and of C++20.
KEYWORDS = frozenset(
    """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t
    class co_await co_return co_yield compl concept const const_cast consteval constexpr constinit continue
    decltype default delete do double dynamic_cast else enum explicit export extern false float for friend
    goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private
    protected public register reinterpret_cast requires restrict return short signed sizeof static
    static_assert static_cast struct switch template this thread_local throw true try typedef typeid
    typename union unsigned using virtual void volatile wchar_t while xor xor_eq
    """.split()
)


def checked_prefix(prefix: Any, path: str | os.PathLike[str]) -> str:
    """The prefix of all names: the one that is given, or the name of the file without its ending."""
    if prefix is None:
        stem = os.path.splitext(os.path.basename(os.fspath(path)))[0]
        fault = _fault(stem)
        if fault is not None:
            raise ValueError(f"the file's name, {stem!r}, {fault}; give prefix=")
        return stem
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a string, got {prefix!r}")
    fault = _fault(prefix)
    if fault is not None:
        raise ValueError(f"prefix {prefix!r} {fault}; use letters, digits and single underscores")
    return prefix


def _fault(name: str) -> str | None:
    """Why names cannot begin with this one, or None."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII):
        return "is not an identifier of C"
    if name in KEYWORDS:
        return "is a word of C or C++"
    if name.startswith("_") or name.endswith("_") or "__" in name:
        return "begins or ends with an underscore, or has two in a row, which C++ reserves"
    if len(name) > _LONGEST:
        return f"has {len(name)} characters, at most {_LONGEST} are taken"
    return None


def identifier(path: str) -> str:
    """Part of a name for a layer's path."""
    return re.sub(r"[^A-Za-z0-9]+", "_", path)


def in_comment(text: str) -> str:
    """A text as it may stand in a comment."""
    shown = text.encode("ascii", "backslashreplace").decode().replace("*/", "* /").replace("/*", "/ *")
    return " ".join(shown.split()).replace("??", "? ?").rstrip("\\")
