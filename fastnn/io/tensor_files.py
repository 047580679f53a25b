"""Safetensors files, checked before their content is used."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..data import array_checks
from . import files, signatures

#: Largest header, in bytes: thousands of layers. JSON takes up to fifty times its length in memory.
LARGEST_HEADER = 4 << 20
_DTYPES = ("F32", "F64")


def open_tensors(path: str) -> Any:
    """A safetensors file, its header checked: the sizes fill the file, and nothing overlaps.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is not such a file, or its header is too long for a model.
    """
    from safetensors import SafetensorError, safe_open

    head = files.head(path)
    signatures.refuse_others(path, head, signatures.SAFETENSORS)
    size = int.from_bytes(head[:8], "little")
    if size > LARGEST_HEADER:
        raise ValueError(f"{path} is not a safetensors file of a model: its header would have {size} bytes")
    try:
        return safe_open(path, framework="numpy")
    except (SafetensorError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a safetensors file, or damaged: {error}") from error


class TensorsInMemory:
    """The content of a safetensors file, read as an open one."""

    def __init__(self, content: bytes) -> None:
        from safetensors import deserialize

        self._tensors: dict[str, Any] = dict(deserialize(content))  # type: ignore[no-untyped-call]
        size = int.from_bytes(content[:8], "little")
        self._metadata: dict[str, str] = json.loads(content[8 : 8 + size]).get("__metadata__", {})

    def metadata(self) -> dict[str, str]:
        """Texts by name."""
        return self._metadata

    def keys(self) -> list[str]:
        """Names of the tensors."""
        return list(self._tensors)

    def get_slice(self, name: str) -> _Slice:
        """What is known of a tensor without reading it."""
        return _Slice(self._tensors[name])

    def get_tensor(self, name: str) -> Any:
        """A tensor as an array, which may only be read."""
        found = self._tensors[name]
        dtype = {"F32": np.float32, "F64": np.float64}[found["dtype"]]
        return np.frombuffer(found["data"], dtype).reshape(found["shape"])


class _Slice:
    def __init__(self, found: dict[str, Any]) -> None:
        self._found = found

    def get_shape(self) -> list[int]:
        return list(self._found["shape"])

    def get_dtype(self) -> str:
        return str(self._found["dtype"])


def check_shapes(file: Any, shapes: dict[str, tuple[int, ...]]) -> None:
    """Raise a ValueError if the file's tensors are not these."""
    names = set(file.keys())
    if lacking := sorted(set(shapes) - names):
        raise ValueError(f"it lacks the tensors {lacking[:5]}")
    if unknown := sorted(names - set(shapes)):
        raise ValueError(f"unknown tensors {unknown[:5]}")
    for name, shape in shapes.items():
        found = file.get_slice(name)
        if tuple(found.get_shape()) != shape:
            raise ValueError(f"{name} has shape {tuple(found.get_shape())}, not {shape}")
        if found.get_dtype() not in _DTYPES:
            raise ValueError(f"{name} is of {found.get_dtype()}, not of {' or '.join(_DTYPES)}")


def tensor(file: Any, name: str, dtype: str) -> Any:
    """A tensor of the file as an array; a ValueError if it holds NaN or infinity."""
    given = file.get_tensor(name)
    values = array_checks.array(name, given, dtype, (given.ndim,))
    array_checks.finite(name, values)
    return values
