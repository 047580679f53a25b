"""The build backend: setuptools's, and wheels that bring compiled kernels along where they are asked for.

    python -m build -C kernels=prebuilt

compiles all kernels of the library for the levels of `fastnn.compiler.cpu_levels`, which takes minutes.
Without that setting, as when pip installs from the sources, nothing is compiled, and the wheel is one for all
platforms.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403  the hooks that are not changed here

_REQUIRED = ["wheel>=0.43", "numpy", "numba", "platformdirs", "tqdm", "safetensors"]
# What llvmlite's own wheels need at least.
_PLATFORM = {"x86_64": "manylinux2014_x86_64", "aarch64": "manylinux2014_aarch64"}


def _is_asked_for(config_settings):
    chosen = (config_settings or {}).get("kernels")
    if chosen not in (None, "prebuilt"):
        raise SystemExit(f"the setting kernels must be 'prebuilt', got {chosen!r}")
    return chosen is not None


def get_requires_for_build_wheel(config_settings=None):
    """What is needed to build a wheel."""
    needed = build_meta.get_requires_for_build_wheel(config_settings)
    return needed + (_REQUIRED if _is_asked_for(config_settings) else [])


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Build a wheel, with kernels in it if they are asked for."""
    asked_for = _is_asked_for(config_settings)
    name = build_meta.build_wheel(wheel_directory, None, metadata_directory)
    return _with_kernels(Path(wheel_directory) / name) if asked_for else name


def _with_kernels(wheel):
    """Compile the kernels of a wheel and add them to it; the new wheel's name."""
    platform = _PLATFORM[os.uname().machine]
    with tempfile.TemporaryDirectory() as folder:
        _run("-m", "wheel", "unpack", "--dest", folder, wheel)
        (unpacked,) = Path(folder).iterdir()
        prebuild = Path(__file__).with_name("prebuild.py")
        _run(prebuild, unpacked / "fastnn" / "prebuilt", cwd=unpacked, PYTHONPATH=str(unpacked))
        for cache in unpacked.rglob("__pycache__"):
            shutil.rmtree(cache)
        wheel.unlink()
        _run("-m", "wheel", "pack", "--dest-dir", wheel.parent, unpacked)
    _run("-m", "wheel", "tags", "--remove", "--platform-tag", platform, wheel)
    return wheel.name.replace("-any.whl", f"-{platform}.whl")


def _run(*command, cwd=None, **environment):
    """Run Python with a command, which must succeed."""
    command = [sys.executable, *map(str, command)]
    subprocess.run(command, check=True, cwd=cwd, env=os.environ | environment)
