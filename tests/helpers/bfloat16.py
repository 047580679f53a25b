"""bfloat16 in plain NumPy, and which of its products this CPU has."""

import numpy as np
import pytest

from fastnn.engine import compute_dtype
from fastnn.kernels.lowlevel._jit import INTERPRETED

#: Half of the distance from 1 to the next number.
ROUNDING = 2.0**-8

_missing = "kernels are not compiled here" if INTERPRETED else compute_dtype.missing()
needed = pytest.mark.skipif(bool(_missing), reason=f"no products in bfloat16: {_missing}")
without = pytest.mark.skipif(not _missing, reason="the CPU has products in bfloat16")
ENTRIES = [] if _missing else ["pairs", "tiles"] if compute_dtype.has_tiles() else ["pairs"]


def rounded(x):
    """The nearest bfloat16 numbers, ties to even, as float32; denormal numbers are zeros, NaN stays NaN."""
    x = np.asarray(x, np.float32)
    bits = x.view(np.uint32).astype(np.uint64)
    nearest = ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    nearest = np.where(np.abs(x) < np.finfo(np.float32).tiny, np.copysign(np.float32(0), x), nearest)
    return np.where(np.isnan(x), x, nearest)
