"""Fully connected layer: y = x w + b."""

from . import descriptor, oprow
from ._jit import kernel
from .gemm import matmul, matmul_transposed
from .simd import view
from .tensors import bias, op_row, slots, tensor, tensor_address, weights


@kernel
def dense_forward(x, w, b, y):
    """Write ``y = x w + b``.

    Parameters
    ----------
    x, w, y : arrays of shape (rows, n_in), (n_in, n_out) and (rows, n_out)
    b : array of shape (n_out,), or (0,) for none
    """
    matmul(x, w, b, y)


@kernel
def dense_backward(x, w, dy, dw, db, dx, scratch):
    """Write ``dw = x' dy``, ``db = sum of dy over rows``, ``dx = dy w'``, and `scratch`.

    Parameters
    ----------
    x, w, dy : arrays of shape (rows, n_in), (n_in, n_out) and (rows, n_out)
    dw, db : arrays of the shape of w and of b; db of shape (0,) is left out
    dx : array of the shape of x; of shape (0, n_in) it is left out
    scratch : array of shape (n_out, n_in), for the transpose of w; not used without dx
    """
    matmul_transposed(x, dy, dw)
    if db.size > 0:
        _sum_rows(dy, db)
    if dx.shape[0] > 0:
        _transpose(w, scratch)
        matmul(dy, scratch, db[:0], dx)


@kernel
def _sum_rows(x, y):
    # Writes y.
    for j in range(x.shape[1]):
        y[j] = x.dtype.type(0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[j] += x[i, j]


@kernel
def _transpose(x, y):
    # Writes y, in blocks, so that a line of the cache is used whole before it is dropped.
    block = 16
    for first_row in range(0, x.shape[0], block):
        end_row = min(first_row + block, x.shape[0])
        for first in range(0, x.shape[1], block):
            end = min(first + block, x.shape[1])
            for j in range(first, end):
                for i in range(first_row, end_row):
                    y[j, i] = x[i, j]


def forward_entry(T):
    """Op: X, W, B -> Y."""

    def dense_forward_op(op_address, net_address):
        op, _ = op_row(op_address)
        net, _ = slots(net_address)
        vector = net[descriptor.PARAMETERS]
        x = tensor(net, op[oprow.X], op[oprow.N_IN], T)
        y = tensor(net, op[oprow.Y], op[oprow.N_OUT], T)
        dense_forward(x, weights(net, vector, op, T), bias(net, vector, op, T), y)

    return dense_forward_op


def backward_entry(T):
    """Op: X, W, DY -> gradients of W and B, DX."""

    def dense_backward_op(op_address, net_address):
        op, _ = op_row(op_address)
        net, _ = slots(net_address)
        n_in, n_out = op[oprow.N_IN], op[oprow.N_OUT]
        vector = net[descriptor.SHARD_GRADIENT]
        x = tensor(net, op[oprow.X], n_in, T)
        w = weights(net, net[descriptor.PARAMETERS], op, T)
        dy = tensor(net, op[oprow.DY], n_out, T)
        dx = tensor(net, op[oprow.DX], n_in, T)
        scratch = view(tensor_address(net, op[oprow.SCRATCH]), (n_out, n_in), T)
        dense_backward(x, w, dy, weights(net, vector, op, T), bias(net, vector, op, T), dx, scratch)

    return dense_backward_op
