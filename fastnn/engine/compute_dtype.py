"""The numbers that products are computed in: those of the model's dtype, or bfloat16 where the CPU has it.

A product is an entry, whose address stands in the op rows. In bfloat16 it is another one, and nothing else
changes: parameters, sums, activations and the optimizer are float32 as ever.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import sys
from typing import Any

from ..checks import validate

#: The product of the model's dtype, which the ops of layers name.
PRODUCT = "linalg.gemm.product"
_NEEDED = ("avx512f", "avx512bw", "avx512bf16")
# Settings of Numba by which it compiles for another CPU than this one.
_OTHER_CPU = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_ENABLE_AVX")
# Linux lets a process use the tiles of AMX once it has asked for them.
_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18


def check(compute_dtype: Any, dtype: str) -> str:
    """Name of the dtype of products, of a model of a dtype, which None stands for.

    Raises
    ------
    TypeError, ValueError
        If it is not one of the two, or does not fit the dtype.
    RuntimeError
        If there are no such products on this CPU.
    """
    if compute_dtype is None:
        return dtype
    name = compute_dtype if isinstance(compute_dtype, str) else validate.dtype(compute_dtype, "compute_dtype")
    if name != dtype:
        validate.choice("compute_dtype", name, ("bfloat16",), also=", or None for that of dtype")
    if name == "bfloat16":
        if dtype != "float32":
            raise ValueError(f"compute_dtype='bfloat16' needs dtype='float32' for the weights, got {dtype!r}")
        if reason := missing():
            raise RuntimeError(
                "compute_dtype='bfloat16' needs a CPU with AVX512-BF16, as AMD's since Zen 4 and Intel's "
                f"Xeons since 2023; {reason}. Leave it out; a file of a model that was saved with it is "
                "loaded by fn.load(path, compute_dtype='float32')"
            )
    return name


def missing() -> str:
    """Why there are no products in bfloat16 here; empty if there are."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return f"this is a CPU of another kind, {platform.machine()}"
    if set_ := [name for name in _OTHER_CPU if os.environ.get(name)]:
        return f"{set_[0]} is set, so that Numba may compile for another one"
    if lacking := [name for name in _NEEDED if not _features().get(name)]:
        return f"this one lacks {', '.join(lacking)}"
    return ""


def products(compute_dtype: str) -> dict[str, str]:
    """The entries that take the place of others, by name, in models with such products."""
    if compute_dtype != "bfloat16":
        return {}
    return {PRODUCT: f"linalg.bfloat16.{'tiles' if has_tiles() else 'pairs'}"}


def _features() -> dict[str, bool]:
    """What the CPU has, by LLVM's names."""
    from llvmlite import binding

    return dict(binding.get_host_cpu_features())


@functools.cache
def has_tiles() -> bool:
    """Whether the CPU has AMX for bfloat16, and the operating system lets this process use it."""
    features = _features()
    if not (features.get("amx-tile") and features.get("amx-bf16") and sys.platform == "linux"):
        return False
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype, call.argtypes = ctypes.c_long, [ctypes.c_long] * 3
    return bool(call(_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA) == 0)
