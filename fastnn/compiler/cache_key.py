"""The key of the object cache: a digest of all that compiled code depends on."""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Settings of Numba that change code. The others control output, checks or measurements, or concern features
#: that no kernel uses, such as CUDA and threads; with NUMBA_DISABLE_JIT nothing is compiled.
SETTINGS = (
    "NUMBA_BOUNDSCHECK",
    "NUMBA_CPU_FEATURES",
    "NUMBA_CPU_NAME",
    "NUMBA_DEBUGINFO",
    "NUMBA_DEBUG_NRT",
    "NUMBA_DISABLE_INTEL_SVML",
    "NUMBA_ENABLE_AVX",
    "NUMBA_ENABLE_PROFILING",
    "NUMBA_EXTEND_VARIABLE_LIFETIMES",
    "NUMBA_LLVM_REFPRUNE_FLAGS",
    "NUMBA_LLVM_REFPRUNE_PASS",
    "NUMBA_LOOP_VECTORIZE",
    "NUMBA_NRT_STATS",
    "NUMBA_OPT",
    "NUMBA_SLP_VECTORIZE",
    "NUMBA_USE_LEGACY_TYPE_SYSTEM",
    "NUMBA_USE_RVSDG_FRONTEND",
)
_COMPILERS = ("numba", "llvmlite")


def key() -> str:
    """Digest of the code of `kernels/`, the versions of Numba and llvmlite, Numba's settings, and the CPU.

    If that cannot be determined, the key is unique to this process.
    """
    return _found().key


def fault() -> str | None:
    """Why the key is unique to this process; None if it is not."""
    return _found().fault


def of_level(level: str) -> str:
    """Digest of the same for a level of CPUs instead of this one, and no settings: see `prebuilt`."""
    return _digest(_found().sources, _found().versions, level)


def versions() -> dict[str, str]:
    """Versions of what compiles, if they can be determined."""
    return dict(zip(_COMPILERS, _found().versions, strict=False))


def settings() -> list[str]:
    """Names of the settings of Numba that are in force and change code."""
    chosen = [name for name in SETTINGS if name in os.environ]
    return chosen if _settings_file() is None else [*chosen, ".numba_config.yaml"]


class _Found(NamedTuple):
    key: str
    fault: str | None
    #: Digest of the code of `kernels/`.
    sources: bytes = b""
    versions: tuple[str, ...] = ()


@functools.cache
def _found() -> _Found:
    from importlib.metadata import PackageNotFoundError, version

    from llvmlite import binding

    own = os.urandom(16).hex()
    code = _code()
    if not {"lowlevel/_jit.py", "lowlevel/_jit.pyc"} & code.keys():
        return _Found(own, "the code of fastnn.kernels cannot be read")
    try:
        versions = tuple(version(name) for name in _COMPILERS)
    except PackageNotFoundError as error:
        return _Found(own, f"the version of {error.name} is not known, since its metadata is not installed")
    sources = hashlib.sha256()
    for path, content in sorted(code.items()):
        sources.update(f"{path}\0{len(content)}\0".encode() + content)
    key = _digest(
        sources.digest(),
        versions,
        [(name, os.environ.get(name)) for name in SETTINGS],
        _settings_file(),
        binding.get_host_cpu_name(),
        sorted(binding.get_host_cpu_features().items()),
    )
    return _Found(key, None, sources.digest(), versions)


def _digest(*facts: object) -> str:
    return hashlib.sha256("\0".join(map(repr, facts)).encode()).hexdigest()[:32]


def _settings_file() -> bytes | None:
    """Content of the file of settings that Numba reads from the current folder, if there is one."""
    try:
        return Path(".numba_config.yaml").read_bytes()
    except OSError:
        return None


def _code() -> dict[str, bytes]:
    """Files of `kernels/` and the folders in it: sources, and compiled files without sources."""
    try:
        return dict(_files(_folder(), ""))
    except (AttributeError, ImportError, OSError, TypeError, ValueError):  # a loader without access to files
        return {}


def _folder() -> Any:
    kernels = importlib.import_module("fastnn.kernels")
    folder = Path(str(kernels.__file__)).parent
    if folder.is_absolute() and folder.is_dir():
        return folder
    from importlib.resources import files

    return files(kernels)  # in an archive


def _files(folder: Any, before: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            if entry.name != "__pycache__":  # made from the sources
                yield from _files(entry, f"{before}{entry.name}/")
        elif entry.name.endswith((".py", ".pyc")):
            yield before + entry.name, entry.read_bytes()
