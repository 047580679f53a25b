"""One-hot coding: a column of categories becomes a column of zeros and ones for each category."""

import numpy as np

from ..abi.entries import Op
from ..lowlevel._jit import kernel


@kernel
def one_hot_forward(x, counts, categories, y):
    """Write `y`, in which the coded columns of `x` stand as 1 at their category and 0 elsewhere.

    Parameters
    ----------
    x : array of shape (rows, n_in)
    counts : array of shape (n_in,)
        How many categories a column has; 0 for a column that is copied as it is.
    categories : array of shape (sum of counts,)
        Column by column. A value that is none of them becomes zeros only.
    y : array of shape (rows, n_out)
    """
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(x.shape[0]):
        out = first = 0
        for j in range(x.shape[1]):
            count = int(counts[j])
            if count == 0:
                y[i, out] = x[i, j]
                out += 1
            else:
                for c in range(count):
                    y[i, out + c] = one if x[i, j] == categories[first + c] else zero
                out += count
                first += count


@kernel
def one_hot_backward(counts, dy, dx):
    """Write `dx`: `dy` at columns that were copied, 0 at those that were coded."""
    for i in range(dx.shape[0]):
        out = 0
        for j in range(dx.shape[1]):
            count = int(counts[j])
            dx[i, j] = dy[i, out] if count == 0 else dy.dtype.type(0)
            out += count if count > 0 else 1


_before, _after = "rows * positions, columns", "rows * positions, width"
_op = Op(
    tensors={"x": _before, "y": _after, "dx": _before, "dy": _after},
    constants={"counts": "columns", "categories": "n_categories"},
    settings={"n_categories": np.int64, "positions": np.int64, "columns": np.int64},
    numbers={"width": "n_out // positions"},
)
forward_entry = _op.entry(one_hot_forward, writes="y")
backward_input_entry = _op.entry(one_hot_backward, writes="dx")
