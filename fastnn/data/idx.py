"""Files in the IDX format, in which MNIST and its kin are published.

A file is a header of big-endian numbers (two zero bytes, the type of the elements, the number of axes, the
length of each axis) and the elements. Y. LeCun, C. Cortes, C. J. C. Burges, *The MNIST database of
handwritten digits*, 1998.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UNSIGNED_BYTE = 0x08


def find(folder: Path, name: str) -> Path | None:
    """The file of that name, with a dot or a hyphen before "idx", perhaps compressed; None without one."""
    for spelling in (name, name.replace("-idx", ".idx")):
        for suffix in ("", ".gz"):
            path = folder / f"{spelling}{suffix}"
            if path.is_file():
                return path
    return None


def read(path: Path, axes: int) -> NDArray[np.uint8]:
    """The unsigned bytes of a file, plain or compressed by gzip.

    Raises
    ------
    ValueError
        If the file is not one of unsigned bytes with so many axes, or is damaged.
    """
    try:
        with path.open("rb") as start:
            compressed = start.read(2) == b"\x1f\x8b"
        with gzip.open(path) if compressed else path.open("rb") as file:
            return _elements(path, cast(IO[bytes], file), axes)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _elements(path: Path, file: IO[bytes], axes: int) -> NDArray[np.uint8]:
    header = file.read(4)
    if len(header) < 4 or header[:2] != b"\0\0" or header[2] != _UNSIGNED_BYTE or header[3] != axes:
        raise ValueError(
            f"{path} is not an IDX file of unsigned bytes with {axes} axes: it begins with {header.hex(' ')}"
        )
    lengths = file.read(4 * axes)
    shape = tuple(np.frombuffer(lengths, ">u4").tolist()) if len(lengths) == 4 * axes else (0,)
    size = math.prod(shape)
    # Piece by piece: a damaged header must not ask for memory that the file cannot fill.
    pieces = []
    missing = size + 1
    while missing and (piece := file.read(min(missing, 1 << 24))):
        pieces.append(piece)
        missing -= len(piece)
    if missing != 1 or size == 0:
        raise ValueError(
            f"{path} is damaged: its header says {size:,} bytes of shape {shape}, and "
            f"{'more' if missing == 0 else f'{size + 1 - missing:,}'} follow"
        )
    return np.frombuffer(b"".join(pieces), np.uint8).reshape(shape)
