"""The key of the object cache: a digest of all that compiled code depends on."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path

# Settings of Numba that change no code of ours. joblib sets the second in each of its processes.
_NO_MATTER = {"NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER"}


def _settings_file() -> list[bytes]:
    """Content of the file of settings that Numba reads from the current folder, if there is one."""
    try:
        return [Path(".numba_config.yaml").read_bytes()]
    except OSError:
        return []


@functools.cache
def key() -> str:
    """Digest of the code of `kernels/`, the versions of Numba and llvmlite, Numba's settings, and the CPU."""
    from importlib.metadata import version

    from llvmlite import binding

    from .kernels import __file__ as kernels_file

    digest = hashlib.sha256()
    for path in sorted(Path(kernels_file).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    numba_settings = sorted(
        (name, value)
        for name, value in os.environ.items()
        if name.startswith("NUMBA_") and name not in _NO_MATTER
    )
    for fact in (
        *_settings_file(),
        version("numba"),
        version("llvmlite"),
        numba_settings,
        binding.get_host_cpu_name(),
        sorted(binding.get_host_cpu_features().items()),
    ):
        digest.update(repr(fact).encode())
    return digest.hexdigest()[:32]
