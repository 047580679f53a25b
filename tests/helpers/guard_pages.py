"""Buffers between pages that nobody may touch: a read or a write outside of one ends the process.

Each buffer ends at the first byte of such a page, and so does each tensor in a workspace. The CPU itself
checks every instruction, vector loads with masks among them, at full speed. What Numba's bounds checks do
not see, memory that intrinsics reach by address, is seen here.
"""

import ctypes
import math
import mmap
import sys
from contextlib import ExitStack, contextmanager
from unittest import mock

import numpy as np

# All modules that allocate are loaded before anything is patched.
import fastnn.scipy  # noqa: F401
from fastnn.engine import plan
from fastnn.memory import buffers, guard

PAGE = mmap.PAGESIZE
NO_ACCESS = 0  # PROT_NONE


def forbid(address, size):
    """Let any access to these pages be a segmentation fault."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), NO_ACCESS):
        raise OSError(ctypes.get_errno(), "mprotect")


def allocate(size, dtype, name=""):
    """Zeros of shape (size,) that end at a forbidden page, with another before them."""
    dtype = np.dtype(dtype)
    pages = -(-size * dtype.itemsize // PAGE)
    memory = mmap.mmap(-1, (pages + 2) * PAGE)
    everything = np.frombuffer(memory, np.uint8)
    forbid(everything.ctypes.data, PAGE)
    forbid(everything.ctypes.data + (pages + 1) * PAGE, PAGE)
    return np.frombuffer(memory, dtype, size, (pages + 1) * PAGE - size * dtype.itemsize)


def empty(shape, dtype, name):
    return allocate(math.prod(shape), dtype).reshape(shape)


def copy_of(array):
    fenced = allocate(array.size, array.dtype).reshape(array.shape)
    fenced[...] = array
    return fenced


def allocate_tensor(layout, per_row, in_all=0):
    """In place of `Plan.allocate`: the tensor ends with a page, and the next page is nobody's."""
    unit = PAGE // layout.itemsize
    size = layout.rows * per_row + in_all
    end = layout.workspace + -(-size // unit) * unit
    layout.workspace = end + unit
    layout.gaps.append((end, layout.workspace))
    return end - size


def forbid_gaps(workspace, gaps):
    """In place of `guard.add_zones`."""
    for first, last in gaps:
        address = workspace.ctypes.data + first * workspace.itemsize
        forbid(address, (last - first) * workspace.itemsize)


@contextmanager
def fences():
    """Everything that is allocated here lies between fences."""
    with ExitStack() as patches:
        for name, own in (("allocate", allocate), ("empty", empty)):
            original = getattr(buffers, name)
            for module in [sys.modules[path] for path in sys.modules if path.startswith("fastnn.")]:
                if vars(module).get(name) is original:
                    patches.enter_context(mock.patch.object(module, name, own))
        patches.enter_context(mock.patch.object(plan.Plan, "allocate", allocate_tensor))
        patches.enter_context(mock.patch.object(guard, "add_zones", forbid_gaps))
        patches.enter_context(mock.patch.object(guard, "ON", False))
        yield
