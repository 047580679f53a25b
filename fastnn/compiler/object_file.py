"""The form of a file of object code: a digest, which covers key, symbol and code, and the code."""

from __future__ import annotations

import hashlib

_DIGEST = hashlib.sha256
_MAGIC = b"fastnn object 1\n"
_START = len(_MAGIC) + _DIGEST().digest_size


def symbol_of(kernel: str, dtype: str) -> str:
    """Name of the C function of a kernel's entry, and of its file."""
    return f"fastnn.{kernel}.{dtype}"


def pack(key: str, symbol: str, code: bytes) -> bytes:
    """Content of the file of a symbol."""
    return _MAGIC + _DIGEST(f"{key} {symbol} ".encode() + code).digest() + code


def unpack(key: str, symbol: str, content: bytes) -> bytes | None:
    """Code in the content of a file; None if it is not that of this symbol and key, or damaged."""
    code = content[_START:]
    return code if content[:_START] == pack(key, symbol, code)[:_START] else None
