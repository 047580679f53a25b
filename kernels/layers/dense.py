"""Fully connected layer: y = x w + b."""

from ..abi import descriptor, oprow
from ..abi.tensors import bias, op_row, slots, tensor, tensor_address, weights
from ..linalg.gemm import matmul, matmul_transposed_a, matmul_transposed_b
from ..lowlevel._jit import inline_ir, kernel
from ..lowlevel.simd import view


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
def dense_backward(product, x, w, dy, dw, db, dx, pack):
    """Write ``dw = x' dy``, ``db = sum of dy over rows``, ``dx = dy w'``, and `pack`.

    Parameters
    ----------
    product : int64 or None
        Address of the compiled product, or None to compile it in: see `gemm`.
    x, w, dy : arrays of shape (rows, n_in), (n_in, n_out) and (rows, n_out)
    dw, db : arrays of the shape of w and of b; db of shape (0,) is left out
    dx : array of the shape of x; of shape (0, n_in) it is left out
    pack : array of shape (PACK_SIZE,)
        Memory for the products: see `gemm`.
    """
    matmul_transposed_a(product, x, dy, dw, pack)
    if db.size > 0:
        _sum_rows(dy, db)
    if dx.shape[0] > 0:
        matmul_transposed_b(product, dy, w, dx, pack)


@kernel
def _sum_rows(x, y):
    # Writes y.
    for j in range(x.shape[1]):
        y[j] = x.dtype.type(0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[j] += x[i, j]


def forward_entry(T):
    """Op: X, W, B -> Y."""

    def dense_forward_op(op_address, net_address):
        op, _ = op_row(op_address)
        net, _ = slots(net_address)
        vector = net[descriptor.PARAMETERS]
        x = tensor(net, op[oprow.X], op[oprow.N_IN], T)
        y = tensor(net, op[oprow.Y], op[oprow.N_OUT], T)
        pack = view(tensor_address(net, op[oprow.SCRATCH]), oprow.PACK_SIZE, T)
        product = net[descriptor.GEMM]
        dense_forward(product, x, weights(net, vector, op, T), bias(net, vector, op, T), y, pack)

    return dense_forward_op


def backward_entry(T):
    """Op: X, W, DY -> gradients of W and B, DX; with INPUT_ONLY only DX, which is there then."""

    def dense_backward_op(op_address, net_address):
        op, _ = op_row(op_address)
        net, _ = slots(net_address)
        n_in, n_out = op[oprow.N_IN], op[oprow.N_OUT]
        vector = net[descriptor.SHARD_GRADIENT]
        x = tensor(net, op[oprow.X], n_in, T)
        w = weights(net, net[descriptor.PARAMETERS], op, T)
        dy = tensor(net, op[oprow.DY], n_out, T)
        dx = tensor(net, op[oprow.DX], n_in, T)
        pack = view(tensor_address(net, op[oprow.SCRATCH]), oprow.PACK_SIZE, T)
        if net[descriptor.INPUT_ONLY] == 1:
            matmul_transposed_b(net[descriptor.GEMM], dy, w, dx, pack)
        else:
            dw, db = weights(net, vector, op, T), bias(net, vector, op, T)
            dense_backward(net[descriptor.GEMM], x, w, dy, dw, db, dx, pack)

    return dense_backward_op
