"""Entries that few networks need: loaded, or compiled, when compiled code first calls one of them.

Until then their fields in a descriptor hold the addresses of functions of Python's that do this, enter the
right addresses into the descriptor, and continue there.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from ..compiler import loader
from .fields import fields_at

_PASSES = ("forward_train", "backward", "apply_gradient")
_KERNELS = {field: f"embedded.passes.{field}" for field in _PASSES}
_BESIDES = {field: f"driver.batch.{field}" for field in ("squares", "sum_gradients")}
_ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)


def enter(fields: Any, dtype: str) -> None:
    """Let the passes of `kernels.embedded.passes` be loaded at their first call."""
    for field in _PASSES:
        setattr(fields, field, ctypes.cast(_loads(field, dtype), ctypes.c_void_p).value)


def load(fields: Any, dtype: str) -> None:
    """Load the passes, and what they call."""
    kernels = {**_KERNELS, **_BESIDES}
    loader.prepare((kernel, dtype) for kernel in kernels.values())
    for field, kernel in kernels.items():
        setattr(fields, field, loader.address(kernel, dtype))


@functools.cache  # so that it lives as long as the process, as machine code does
def _loads(field: str, dtype: str) -> Any:
    """What stands in for an entry until it is called."""

    def first_call(thread: int, descriptor: int) -> None:
        try:
            load(fields_at(descriptor), dtype)
        finally:  # also after Ctrl-C, which nobody can be told of here
            loader.function(_KERNELS[field], dtype)(thread, descriptor)

    return _ENTRY(first_call)
