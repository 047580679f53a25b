"""What ``python -m fastnn info`` prints: versions, the CPU and the compiled code, for reports of faults."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING

from .._version import __version__
from ..compiler import available_cpus, cpu_levels, object_cache, prebuilt

if TYPE_CHECKING:
    from pathlib import Path

_PACKAGES = ("numpy", "numba", "llvmlite", "safetensors", "tqdm", "platformdirs", "scikit-learn", "scipy")


def lines() -> list[str]:
    """A line a fact, its name in the first column."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    bits = 512 if features.get("avx512f") else 256 if features.get("avx2") and features.get("fma") else 128
    facts = {
        "fastnn": __version__,
        "Python": f"{platform.python_version()}, {platform.platform()}",
        "packages": ", ".join(f"{name} {found}" for name in _PACKAGES if (found := _version(name))),
        "CPU": f"{binding.get_host_cpu_name()}, {cpu_levels.of_host() or 'no level'}, {bits}-bit vectors",
        "threads": f"up to {available_cpus.cpus()}",
        "cached": _cache(object_cache.folder(), object_cache.fault()),
        "prebuilt": _prebuilt(),
    }
    if shared := object_cache.shared_folder():
        facts["shared"] = _cache(shared, object_cache.shared_fault())
    return [f"{name:10}{fact}" for name, fact in facts.items()]


def kernels(folder: Path) -> str:
    """How many kernels a folder holds, and how large they are."""
    files = list(folder.glob("*/fastnn.*.o"))
    return f"{len(files)} kernels, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cache(folder: Path, fault: str | None) -> str:
    return f"{folder}: {kernels(folder)}" + (f"; not used: {fault}" if fault else "")


def _prebuilt() -> str:
    if not prebuilt.FOLDER.is_dir():
        return "no kernels in this installation"
    held = kernels(prebuilt.FOLDER)
    return (
        f"not used: {fault}"
        if (fault := prebuilt.fault())
        else f"{held}, used are those for {prebuilt.level()}"
    )
