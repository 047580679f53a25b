"""The two float formats, and functions of one number that are made for each."""

import numpy as np
from numba import types
from numba.extending import overload

from ..lowlevel._jit import FORCE_INLINE_OPTIONS

UNSIGNED = {np.float32: np.uint32, np.float64: np.uint64}
#: Binary digits after the point.
MANTISSA = {np.float32: 23, np.float64: 52}
BIAS = {np.float32: 127, np.float64: 1023}


def both(factory):
    """One function for both dtypes out of `factory`, which makes it for one."""
    single, double = factory(np.float32), factory(np.float64)

    def function(x):
        return single(x) if isinstance(x, np.float32) else double(x)

    @overload(function, jit_options=FORCE_INLINE_OPTIONS)
    def choose(x):
        return (lambda x: single(x)) if x == types.float32 else (lambda x: double(x))

    function.__name__ = factory.__name__
    function.__doc__ = factory.__doc__
    function.__module__ = factory.__module__
    return function
