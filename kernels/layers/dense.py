"""Fully connected layer: y = x w + b, for each position of a sample of several axes.

The positions of all samples are rows of one product.
"""

import numpy as np

from ..abi.entries import Op, entry
from ..abi.oprow import NONE, OP, PACK_SIZE
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
    numbers={"channels": "op.matrix_rows", "units": "op.matrix_columns"},
    scratch={"pack": str(PACK_SIZE)},
    optional=("b",),
)
forward_entry = _op.entry(dense_forward, writes="y pack")
backward_input_entry = _op.entry(dense_backward_input, writes="dx pack")


@entry(OP)
def backward_weights_entry(op, net, T):
    """The gradient of `n_weights` rows of w from `first_weight` on, and with the last row that of b."""
    channels, units = op.matrix_rows, op.matrix_columns
    positions = np.int64(op.settings[0])
    rows = net.rows * positions
    first = net.first_weight
    count = min(net.n_weights, channels - first)
    vector, w, b = net.rows_gradient, op.parameters[0], op.parameters[1]
    x = view(tensor_address(net, op.x, positions * channels, T), (rows, channels), T)
    dy = view(tensor_address(net, op.dy, positions * units, T), (rows, units), T)
    dw = view(element(vector, w + first * units, T), (count, units), T)
    db = view(element(vector, b, T), units if first + count == channels and b != NONE else 0, T)
    pack = view(net.scratch, PACK_SIZE, T)
    dense_backward_weights(op.product, x, first, dy, dw, db, pack)
