"""Fully connected layer: y = x w + b, for each position of a sample of several axes.

The positions of all samples are rows of one product.
"""

import numpy as np

from ..abi import descriptor, oprow
from ..abi.entries import Op, entry
from ..abi.tensors import tensor_address
from ..linalg.gemm import matmul, matmul_transposed_a, matmul_transposed_b
from ..lowlevel._jit import inline_ir, kernel
from ..lowlevel.simd import element, view


@inline_ir
def dense_forward(product, x, w, b, y, pack):
    """Write ``y = x w + b``, and `pack`.

    Parameters
    ----------
    product : int64 or None
        Address of the compiled product, or None to compile it in: see `gemm`.
    x, w, y : arrays of shape (rows, n_in), (n_in, n_out) and (rows, n_out)
    b : array of shape (n_out,), or (0,) for none
    pack : array of shape (PACK_SIZE,)
        Memory for the product: see `gemm`.
    """
    matmul(product, x, w, b, y, pack)


@inline_ir
def dense_backward_input(product, w, dy, dx, pack):
    """Write ``dx = dy w'``, and `pack`.

    Parameters
    ----------
    product : int64 or None
        Address of the compiled product, or None to compile it in: see `gemm`.
    w, dy, dx : arrays of shape (n_in, n_out), (rows, n_out) and (rows, n_in)
    pack : array of shape (PACK_SIZE,)
        Memory for the product: see `gemm`.
    """
    matmul_transposed_b(product, dy, w, dx, pack)


@inline_ir
def dense_backward_weights(product, x, first, dy, dw, db, pack):
    """Write ``dw = x' dy``, ``db = sum of dy over rows``, and `pack`; of W some rows, of all columns.

    Parameters
    ----------
    product : int64 or None
        Address of the compiled product, or None to compile it in: see `gemm`.
    x, dy : arrays of shape (rows, n_in) and (rows, n_out)
    first : int
        The row of W that `dw` begins with.
    dw : array of shape (n, n_out)
    db : array of shape (n_out,), or (0,) for no bias
    pack : array of shape (PACK_SIZE,)
        Memory for the product: see `gemm`.
    """
    matmul_transposed_a(product, x, first, dy, dw, pack)
    if db.size > 0:
        _sum_rows(dy, db)


@kernel
def _sum_rows(x, y):
    """Write ``y = sum of x over rows``."""
    if x.size <= 64:  # otherwise a loop over vectors takes longer to begin than to end
        for j in range(x.shape[1]):
            total = x.dtype.type(0)
            for i in range(x.shape[0]):
                total += x[i, j]
            y[j] = total
        return
    for j in range(x.shape[1]):
        y[j] = x.dtype.type(0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[j] += x[i, j]


_op = Op(
    tensors={
        "x": "rows * positions, channels",
        "y": "rows * positions, units",
        "dx": "rows * positions, channels",
        "dy": "rows * positions, units",
    },
    parameters={"w": "channels, units", "b": "units"},
    settings={"positions": np.int64},
    numbers={"channels": "op[oprow.W_ROWS]", "units": "op[oprow.W_COLUMNS]"},
    scratch={"pack": str(oprow.PACK_SIZE)},
    optional=("b",),
)
forward_entry = _op.entry(dense_forward, writes="y pack")
backward_input_entry = _op.entry(dense_backward_input, writes="dx pack")


@entry
def backward_weights_entry(op, setting, net, real, T):
    """Op: X, DY -> the gradients of N_WEIGHTS rows of W from FIRST_WEIGHT on, and with the last of B."""
    channels, units = op[oprow.W_ROWS], op[oprow.W_COLUMNS]
    positions = np.int64(setting[oprow.SETTINGS])
    rows = net[descriptor.ROWS] * positions
    first = net[descriptor.FIRST_WEIGHT]
    count = min(net[descriptor.N_WEIGHTS], channels - first)
    vector = net[descriptor.ROWS_GRADIENT]
    x = view(tensor_address(net, op[oprow.X], positions * channels, T), (rows, channels), T)
    dy = view(tensor_address(net, op[oprow.DY], positions * units, T), (rows, units), T)
    dw = view(element(vector, op[oprow.W] + first * units, T), (count, units), T)
    has_bias = first + count == channels and op[oprow.B] != oprow.NONE
    db = view(element(vector, op[oprow.B], T), units if has_bias else 0, T)
    pack = view(net[descriptor.SCRATCH], oprow.PACK_SIZE, T)
    dense_backward_weights(op[oprow.PRODUCT], x, first, dy, dw, db, pack)
