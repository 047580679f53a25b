"""The elementary functions by name, and loops over them."""

import numpy as np
from numba import njit

from fastnn.kernels.math import elementary, error_function

ALL = {
    name: value
    for module in (elementary, error_function)
    for name, value in vars(module).items()
    if callable(value) and not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
}


def loop(function):
    """The function over all elements of an array."""

    @njit(error_model="numpy")
    def over(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    return over


LOOPS = {name: loop(function) for name, function in ALL.items()}


def apply(name, *x, dtype):
    """The function of an array, or of numbers."""
    x = np.array(x, dtype).reshape(-1)
    y = np.empty_like(x)
    # Without JIT NumPy's scalars warn where a result is infinite or NaN, as some here must be.
    with np.errstate(all="ignore"):
        LOOPS[name](x, y)
    return y
