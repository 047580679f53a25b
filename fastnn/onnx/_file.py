"""An ONNX model from a file or from bytes that are not trusted.

Nothing is parsed before the structure is known to be small: a message of a few bytes takes a hundred times
its length in memory.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from ..io import files, signatures

_LARGEST = 2**31 - 1  # bytes of a file: a limit of protocol buffers
_STRUCTURE = 1 << 20  # bytes of all but the weights: thousands of layers


class Source(NamedTuple):
    """A model, the folder for its external weights, and its name in messages."""

    model: ModelProto
    folder: str | None
    name: str


def read(source: str | os.PathLike[str] | bytes | bytearray | memoryview | ModelProto) -> Source:
    """The model from a path, from bytes, or the given model itself.

    Raises
    ------
    OSError
        If a file cannot be read.
    TypeError
        If it is none of these.
    ValueError
        If it is not an ONNX file, or its structure is too large for a sequence of layers.
    """
    if isinstance(source, ModelProto):
        return Source(_with_graph(source, "the model"), None, "the model")
    if isinstance(source, (bytes, bytearray, memoryview)):
        content = bytes(source)
        signatures.refuse_others("the model", content[: signatures.HEAD], signatures.ONNX)
        return Source(_parsed(content, "the model"), None, "the model")
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"source must be a path, bytes or an onnx.ModelProto, got {source!r}")
    path = os.fspath(source)
    signatures.refuse_others(path, files.head(path), signatures.ONNX)
    if os.path.getsize(path) > _LARGEST:
        raise ValueError(f"{path} is not an ONNX file: it has more than {_LARGEST} bytes")
    with open(path, "rb") as file:
        content = file.read()
    return Source(_parsed(content, path), os.path.dirname(os.path.abspath(path)), path)


def _parsed(content: bytes, name: str) -> ModelProto:
    try:
        _structure(memoryview(content), _WAY)
    except (IndexError, ValueError) as error:
        raise ValueError(f"{name} is not an ONNX file of a row of layers, or damaged: {error}") from error
    try:
        model = onnx.ModelProto.FromString(content)
    except Exception as error:  # the error's class depends on the implementation of protocol buffers
        raise ValueError(f"{name} is not an ONNX file, or damaged: {error}") from error
    return _with_graph(model, name)


def _with_graph(model: ModelProto, name: str) -> ModelProto:
    if not model.HasField("graph"):
        raise ValueError(f"{name} is not an ONNX file: it has no graph")
    return model


def _fields(message: Any, **ways: Any) -> dict[int, Any]:
    """The fields of a message, by their protocol buffer numbers."""
    return {message.DESCRIPTOR.fields_by_name[field].number: way for field, way in ways.items()}


# The way to the numbers of weights, which are initializers or attributes of Constant nodes.
_TENSOR = _fields(TensorProto, raw_data={}, float_data={}, double_data={})
_NODE = _fields(NodeProto, attribute=_fields(AttributeProto, t=_TENSOR))
_WAY = _fields(ModelProto, graph=_fields(GraphProto, initializer=_TENSOR, node=_NODE))


def _structure(message: memoryview, way: dict[int, Any], counted: int = 0) -> int:
    """Bytes of a message but for the fields that `way` leads to, added to `counted`.

    Raises a ValueError as soon as they are too many, and a ValueError or IndexError if it is damaged.
    """
    at = 0
    while at < len(message):
        start = at
        tag, at = _varint(message, at)
        kind, field = tag & 7, tag >> 3
        length = {1: 8, 2: 0, 5: 4}.get(kind)
        if kind == 0:
            _, at = _varint(message, at)
        elif length is None:
            raise ValueError(f"fields of kind {kind} are unknown")
        if kind == 2:
            length, at = _varint(message, at)
        end = at + (length or 0)
        if end > len(message):
            raise ValueError("it ends within a field")
        if kind == 2 and field in way:
            counted += at - start
            if way[field]:
                counted = _structure(message[at:end], way[field], counted)
        else:
            counted += end - start
        if counted > _STRUCTURE:
            raise ValueError(f"more than {_STRUCTURE} bytes of it are not weights")
        at = end
    return counted


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A varint, with seven bits per byte, and its end."""
    value = 0
    for shift in range(0, 64, 7):
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number has more than 64 bits")
