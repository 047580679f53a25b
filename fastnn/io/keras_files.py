"""Files of Keras's, which may come from a stranger: the configuration as JSON, and arrays in HDF5.

Nothing in them is run. Of a ``.keras`` file, a zip archive, two members are read, in memory, if they are not
much larger than the file; of an HDF5 file, arrays that lie in it, of the shapes that the layers need.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from . import files, signatures

if TYPE_CHECKING:
    import h5py
    from numpy.typing import NDArray

_LARGEST = 2**31 - 1  # bytes of a file
_CONFIGURATION = 4 << 20  # bytes of it: thousands of layers
_EXPANDED = 4  # how much larger than the file its arrays may be, if they are more than
_ANYWAY = 64 << 20  # bytes
_FILTERS = (None, "gzip", "lzf")  # others would load a library that the file names
_ARCHIVED = ("config.json", "model.weights.h5")


class KerasFile:
    """A file of Keras's: its configuration, and its arrays.

    Attributes
    ----------
    config : dict or None
        Class and configuration of the model; None if the file has weights only.
    size : int
        Bytes of the file.
    """

    def __init__(self, file: h5py.File, config: dict[str, Any] | None, size: int) -> None:
        self._file, self.config, self.size = file, config, size
        self._read = 0

    def has(self, path: str) -> bool:
        """Whether there is something of this name."""
        return path in self._file

    def names(self, path: str) -> list[str]:
        """The names of the things below one."""
        return list(self._file[path]) if path in self._file else []

    @property
    def legacy_layers(self) -> list[str] | None:
        """The groups of the layers in files before Keras 3, in their order; None in later files."""
        root = "model_weights" if "model_weights" in self._file else "/"
        names = self._file[root].attrs.get("layer_names")
        if names is None:
            return None
        return [f"{root}/{_text(name)}" for name in np.ravel(names)]

    def legacy_weights(self, group: str) -> list[str]:
        """The names of the arrays of a layer, in their order."""
        names = np.ravel(self._file[group].attrs.get("weight_names", []))
        return [f"{group}/{_text(name)}" for name in names]

    def array(self, path: str, shape: Sequence[int]) -> NDArray[Any]:
        """The values of an array, which must have this shape."""
        import h5py

        parts = path.strip("/").split("/")
        for i in range(1, len(parts) + 1):
            link = self._file.get("/".join(parts[:i]), getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise ValueError(f"it has no array {path!r} of its own")
        found = self._file[path]
        if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
            raise ValueError(f"{path!r} is no array in the file")
        if tuple(found.shape or ()) != tuple(shape):
            raise ValueError(f"its array {path!r} has shape {found.shape}, not {tuple(shape)}")
        if found.dtype.kind != "f" or found.compression not in _FILTERS:
            raise ValueError(f"its array {path!r} is of {found.dtype}, or compressed by {found.compression}")
        self._read += found.size * found.dtype.itemsize
        if self._read > max(_EXPANDED * self.size, _ANYWAY):
            raise ValueError("its arrays are far larger than the file")
        return np.asarray(found[()])


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


@contextmanager
def opened(path: str) -> Iterator[KerasFile]:
    """A ``.keras``, ``.weights.h5`` or ``.h5`` file.

    Raises
    ------
    ImportError
        If h5py is not installed.
    OSError
        If it cannot be read.
    ValueError
        If it is none of these.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "load_keras needs the package h5py; install the extra 'keras': fastnn-jit[keras]"
        ) from error
    signatures.refuse_others(path, files.head(path), signatures.KERAS)
    size = os.path.getsize(path)
    if size > _LARGEST:
        raise ValueError(f"{path} is not a model file: it has more than {_LARGEST} bytes")
    try:
        if zipfile.is_zipfile(path):
            members = _members(path, size)
            with h5py.File(io.BytesIO(members["model.weights.h5"]), "r") as file:
                yield KerasFile(file, _parsed(members["config.json"]), size)
        else:
            with h5py.File(path, "r") as file:
                text = file.attrs.get("model_config")
                yield KerasFile(file, None if text is None else _parsed(text), size)
    except (OSError, KeyError, RuntimeError, TypeError, zipfile.BadZipFile, RecursionError) as error:
        raise ValueError(f"{path} is not a file of Keras's, or damaged: {str(error)[:200]}") from error


def _members(path: str, size: int) -> dict[str, bytes]:
    """The members of the archive that are read."""
    result = {}
    with zipfile.ZipFile(path) as archive:
        for name in _ARCHIVED:
            limit = _CONFIGURATION if name.endswith(".json") else max(_EXPANDED * size, _ANYWAY)
            with archive.open(name) as member:
                result[name] = member.read(limit + 1)
            if len(result[name]) > limit:
                raise ValueError(f"{path}: its {name} has more than {limit} bytes")
    return result


def _parsed(text: Any) -> dict[str, Any]:
    """The configuration of a model."""
    if len(text) > _CONFIGURATION:
        raise ValueError(f"its configuration has more than {_CONFIGURATION} bytes")
    config = json.loads(text)
    if not isinstance(config, dict):
        raise ValueError("its configuration is not that of a model")
    return config


def group_names(classes: Sequence[str]) -> list[str]:
    """The groups of layers of these classes in a file of Keras 3: ``"dense"``, ``"dense_1"``."""
    seen: dict[str, int] = {}
    result = []
    for name in classes:
        snake = re.sub(r"\W+", "", name)
        snake = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", snake)
        snake = re.sub("([a-z])([A-Z])", r"\1_\2", snake).lower()
        count = seen[snake] = seen.get(snake, -1) + 1
        result.append(f"{snake}_{count}" if count else snake)
    return result
