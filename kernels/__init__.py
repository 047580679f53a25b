"""Numba kernels of fastnn, installed as ``fastnn.kernels``.

Every public kernel is an ``@njit`` function over preallocated arrays: it never allocates, raises or
prints, and its docstring names the arrays it writes. Beside it stands its *entry*: a factory that,
given a dtype, returns the function which cuts those arrays out of the flat buffers of a network.

The folder imports numpy, numba and llvmlite and nothing else, and this file imports none of them:
what is loaded from the object cache needs no numba.
"""

if __name__ != "fastnn.kernels":
    raise ImportError(
        f"this folder is the package 'fastnn.kernels' and cannot be imported as {__name__!r}; "
        "use 'import fastnn.kernels'"
    )
