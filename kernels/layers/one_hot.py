"""One-hot coding: a column of categories becomes a column of zeros and ones for each category."""

from ..abi import oprow
from ..abi.tensors import constants, op_row, slots, tensor
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


def forward_entry(T):
    """Op: X, the constants (counts, then categories) -> Y."""

    def one_hot_forward_op(op_address, net_address):
        op, setting = op_row(op_address)
        net, _ = slots(net_address)
        n_in, n_out = op[oprow.N_IN], op[oprow.N_OUT]
        counts = constants(net, op, 0, n_in, T)
        categories = constants(net, op, n_in, int(setting[oprow.SETTINGS]), T)
        x, y = tensor(net, op[oprow.X], n_in, T), tensor(net, op[oprow.Y], n_out, T)
        one_hot_forward(x, counts, categories, y)

    return one_hot_forward_op


def backward_input_entry(T):
    """Op: DY, the constants -> DX."""

    def one_hot_backward_op(op_address, net_address):
        op, _ = op_row(op_address)
        net, _ = slots(net_address)
        n_in, n_out = op[oprow.N_IN], op[oprow.N_OUT]
        counts = constants(net, op, 0, n_in, T)
        one_hot_backward(counts, tensor(net, op[oprow.DY], n_out, T), tensor(net, op[oprow.DX], n_in, T))

    return one_hot_backward_op
