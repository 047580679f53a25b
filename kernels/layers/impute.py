"""Missing values: NaN in some columns becomes another number; columns that say where it was."""

import numpy as np

from ..abi.entries import Op
from ..lowlevel._jit import kernel


@kernel
def impute_forward(x, fill, imputed, indicated, y):
    """Write `y`: the columns of `x` with numbers in place of NaN, and behind them 1 where one was missing.

    Parameters
    ----------
    x : array of shape (rows, n)
    fill : array of shape (n,)
    imputed : array of shape (n,)
        Not 0 for columns in which NaN is replaced; in others it stays.
    indicated : array of shape (k,)
        Numbers of the columns whose missing values are told by a column of their own.
    y : array of shape (rows, n + k)
    """
    n, zero, one = x.shape[1], x.dtype.type(0), x.dtype.type(1)
    for i in range(x.shape[0]):
        for j in range(n):
            value = x[i, j]
            y[i, j] = fill[j] if (value != value) & (imputed[j] != zero) else value
        for k in range(indicated.size):
            value = x[i, int(indicated[k])]
            y[i, n + k] = one if value != value else zero


@kernel
def impute_backward(x, dy, dx):
    """Write `dx`: `dy` where there was a number in `x`, 0 where it was missing."""
    for i in range(dx.shape[0]):
        for j in range(dx.shape[1]):
            dx[i, j] = dx.dtype.type(0) if x[i, j] != x[i, j] else dy[i, j]


_before, _after = "rows * positions, columns", "rows * positions, columns + n_indicated"
_op = Op(
    tensors={"x": _before, "y": _after, "dx": _before, "dy": _after},
    constants={"fill": "columns", "imputed": "columns", "indicated": "n_indicated"},
    settings={"positions": np.int64, "columns": np.int64, "n_indicated": np.int64},
)
forward_entry = _op.entry(impute_forward, writes="y")
backward_input_entry = _op.entry(impute_backward, writes="dx")
