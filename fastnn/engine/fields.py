"""The descriptor of a network as Python sees it: the same fields as in compiled code."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, ClassVar

from ..kernels.abi.descriptor import DESCRIPTOR

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_KINDS: dict[str, Any] = {"i": ctypes.c_int64, "f": ctypes.c_double}


class _Fields(ctypes.Structure):
    # An attribute of this is written in a quarter of the time that a field of NumPy's record takes.
    __slots__ = ()  # so that a name that is none of the fields is refused
    _fields_: ClassVar = [(name, _KINDS[kind.kind]) for name, (kind, _) in DESCRIPTOR.fields.items()]


def fields_of(descriptor: NDArray[np.int64]) -> Any:
    """What reads and writes a descriptor, an array of int64, by the names of its fields: ``fields.n_ops``."""
    return _Fields.from_buffer(descriptor)  # type: ignore[arg-type]


def fields_at(address: int) -> Any:
    """The same of the descriptor at an address, which somebody keeps alive."""
    return _Fields.from_address(address)
