"""Files of PyTorch weights: safetensors, and those of `torch.save` where PyTorch is installed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from . import files, signatures
from .tensor_files import open_tensors

#: Shape of a tensor, and a function that returns it as an array.
Entry = tuple[tuple[int, ...], Callable[[], Any]]

_SAFE = (2, 6)  # the first version of PyTorch whose weights_only keeps its promise (CVE-2025-32434)


def is_pickled(path: str) -> bool:
    """Whether a file was written by `torch.save`; an OSError if there is none."""
    return signatures.kind(files.head(path)) == signatures.TORCH


def unpickled(path: str) -> Mapping[Any, Any]:
    """The content of a file of `torch.save`, if it is a dict of tensors and plain values; runs no code in it.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    ValueError
        If the file holds something else or is damaged, or PyTorch is older than 2.6.
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{path} is {signatures.TORCH}: PyTorch is needed to read it. Where it is installed, "
            "safetensors.torch.save_file(torch.load(path, weights_only=True), 'weights.safetensors') "
            "writes what fn.load_torch reads without it"
        ) from error
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < _SAFE:
        raise ValueError(f"to read {path} safely PyTorch 2.6 or later is needed, found {torch.__version__}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # of pickle, of zip files, of PyTorch's own
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ValueError(
            f"{path} holds more than tensors, or is damaged; torch.save(model.state_dict(), path) writes "
            f"what can be read: {reason}"
        ) from error
    if not isinstance(content, Mapping):
        raise ValueError(
            f"{path} holds a {type(content).__name__}; torch.save(model.state_dict(), path) writes what "
            "can be read"
        )
    return content


class Tensor(NamedTuple):
    """A tensor of a safetensors file that is not read yet."""

    path: str
    key: str
    shape: tuple[int, ...]
    dtype: str


def tensors(path: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file by their names."""
    with open_tensors(path) as file:
        if "fastnn" in (file.metadata() or {}):
            raise ValueError(f"{path} is a model saved by fastnn: fn.load(path) reads it")
        found = {key: file.get_slice(key) for key in file.keys()}
        return {key: Tensor(path, key, tuple(t.get_shape()), t.get_dtype()) for key, t in found.items()}


def entry(tensor: Tensor) -> Entry:
    """Shape and values of a tensor in a safetensors file; a TypeError unless it is floating-point."""
    path, key, shape, dtype = tensor
    if dtype not in ("F64", "F32", "F16", "BF16"):
        raise TypeError(f"{key!r} must be floating-point numbers, got {dtype}")
    return shape, functools.partial(_read_bfloat16 if dtype == "BF16" else _read, path, key)


def _read(path: str, key: str) -> Any:
    with open_tensors(path) as file:
        return file.get_tensor(key)


def _read_bfloat16(path: str, key: str) -> Any:
    """A tensor whose dtype NumPy lacks: the upper halves of float32 numbers."""
    from safetensors import deserialize

    with open(path, "rb") as file:
        tensors = dict(deserialize(file.read()))  # type: ignore[no-untyped-call]
    upper = np.frombuffer(tensors[key]["data"], "<u2").astype(np.uint32)
    return (upper << 16).view(np.float32).reshape(tensors[key]["shape"])
