"""Weights in another file beside the model, as PyTorch writes them: ``model.onnx.data``.

The model, which may come from a stranger, names this file: it must be in the folder of the model or below,
also after links are followed, and only the bytes that the model refers to are read.
"""

from __future__ import annotations

import math
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from onnx import helper

if TYPE_CHECKING:
    from onnx import TensorProto

_LARGEST = 2**31 - 1  # bytes of a tensor, as of a model's own file


class _Place(NamedTuple):
    """Place of the data of a tensor."""

    path: str
    offset: int
    length: int


def size(tensor: TensorProto, folder: str | None) -> tuple[str, int]:
    """The file that holds the data of a tensor, and its length; empty and 0 if there is none."""
    try:
        path = _place(tensor, folder).path
        return path, min(os.stat(path).st_size, _LARGEST)
    except (KeyError, OSError, TypeError, ValueError):
        return "", 0


def read(tensor: TensorProto, folder: str | None) -> bytes:
    """The data of a tensor, little-endian.

    Raises
    ------
    ValueError
        If the file cannot be read, is not below the folder, or is shorter than the tensor.
    """
    place = _place(tensor, folder)
    try:
        # Neither a pipe nor, where the system can detect it, a link that has just replaced the file.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(place.path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError(f"{_named(tensor)} are in {place.path}, which is not a regular file")
            if place.offset + place.length > status.st_size:
                raise ValueError(
                    f"{_named(tensor)} are bytes {place.offset} ... {place.offset + place.length} of "
                    f"{place.path}, which has {status.st_size}"
                )
            file.seek(place.offset)
            content = file.read(place.length)
    except OSError as error:
        raise ValueError(f"{_named(tensor)} cannot be read: {error}") from error
    if len(content) != place.length:
        raise ValueError(f"{_named(tensor)} end before they should in {place.path}")
    return content


def _named(tensor: TensorProto) -> str:
    return f"the numbers of {tensor.name!r}"


def _place(tensor: TensorProto, folder: str | None) -> _Place:
    given = {entry.key: entry.value for entry in tensor.external_data}
    if folder is None:
        raise ValueError(f"{_named(tensor)} are in another file, and only a path tells its folder")
    location = given.get("location", "")
    parts = location.replace("\\", "/").split("/")
    absolute = os.path.isabs(location) or os.path.splitdrive(location)[0] or parts[0] == ""
    if not location or absolute or ".." in parts or "\0" in location:
        raise ValueError(f"{_named(tensor)} are in {location!r}, which is not the name of a file beside it")
    whole = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(whole, *parts))
    if os.path.commonpath([whole, path]) != whole:
        raise ValueError(f"{_named(tensor)} are in {location!r}, a link that leaves the folder {whole}")
    wanted = math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    try:
        offset, length = int(given.get("offset", 0)), int(given.get("length", wanted))
    except ValueError:
        raise ValueError(f"{_named(tensor)} are at {given}, which are not numbers") from None
    if offset < 0 or length != wanted or not 0 <= wanted <= _LARGEST:
        raise ValueError(
            f"{_named(tensor)} are {length} bytes at {offset} of {location!r}; its shape "
            f"{tuple(tensor.dims)} needs {wanted}"
        )
    return _Place(path, offset, length)
