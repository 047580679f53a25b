"""Ops that bring tensors together or apart: sums, concatenation, selected columns."""

from collections import namedtuple

from ..abi import oprow
from ..abi.tensors import constants, flat_tensor, last_axis, op_row, slots
from ..lowlevel._jit import force_inline, inline_ir, kernel

Forward = namedtuple("Forward", "forward_entry")
Backward = namedtuple("Backward", "backward_input_entry")
Both = namedtuple("Both", "forward_entry backward_input_entry")


@inline_ir
def sum_forward(x, x2, y):
    """Write ``y = x + x2``; arrays of shape (n,); y may be x."""
    for i in range(y.size):
        y[i] = x[i] + x2[i]


def _sum_entry(first, second, total):
    """Factory of the entry that writes the sum of two tensors, all named by their columns."""

    def entry(T):
        def sum_op(op_address, net_address):
            op, _ = op_row(op_address)
            net, _ = slots(net_address)
            n = op[oprow.N_IN]
            x, x2 = flat_tensor(net, op[first], n, T), flat_tensor(net, op[second], n, T)
            y = flat_tensor(net, op[total], n, T)
            if op[first] == op[total]:
                sum_forward(y, x2, y)
            elif op[second] == op[total]:
                sum_forward(x, y, y)
            else:
                sum_forward(x, x2, y)

        return sum_op

    return entry


#: Op: X, X2 -> Y, their sum. The gradient with respect to either input is that with respect to the output.
add = Forward(_sum_entry(oprow.X, oprow.X2, oprow.Y))
#: Op: DY, DX2 -> DX: of two gradients with respect to one tensor, which two ops read, the sum.
add_gradients = Backward(_sum_entry(oprow.DY, oprow.DX2, oprow.DX))


@kernel
def place(part, whole, start):
    """Write the columns of `whole` from `start` on: `part`, of shape (rows, n)."""
    for i in range(part.shape[0]):
        for j in range(part.shape[1]):
            whole[i, start + j] = part[i, j]


@kernel
def take(whole, start, part):
    """Write `part`, of shape (rows, n): the columns of `whole` from `start` on."""
    for i in range(part.shape[0]):
        for j in range(part.shape[1]):
            part[i, j] = whole[i, start + j]


@force_inline
def _widths(op, setting):
    """Numbers that the last axis of an op's first input has, and that of its output."""
    positions = int(setting[oprow.SETTINGS])
    return op[oprow.N_IN] // positions, op[oprow.N_OUT] // positions


def _concatenate_forward_entry(T):
    def concatenate_forward_op(op_address, net_address):
        op, setting = op_row(op_address)
        net, _ = slots(net_address)
        n, n_out = _widths(op, setting)
        size, size_out = op[oprow.N_IN], op[oprow.N_OUT]
        y = last_axis(net, op[oprow.Y], size_out, n_out, T)
        place(last_axis(net, op[oprow.X], size, n, T), y, 0)
        place(last_axis(net, op[oprow.X2], size_out - size, n_out - n, T), y, n)

    return concatenate_forward_op


def _concatenate_backward_entry(T):
    def concatenate_backward_op(op_address, net_address):
        op, setting = op_row(op_address)
        net, _ = slots(net_address)
        n, n_out = _widths(op, setting)
        size, size_out = op[oprow.N_IN], op[oprow.N_OUT]
        dy = last_axis(net, op[oprow.DY], size_out, n_out, T)
        take(dy, 0, last_axis(net, op[oprow.DX], size, n, T))
        take(dy, n, last_axis(net, op[oprow.DX2], size_out - size, n_out - n, T))

    return concatenate_backward_op


#: Op: X, X2 -> Y, one behind the other along the last axis; the first setting is how many positions a sample
#: has on the other axes. DY -> DX, DX2.
concatenate = Both(_concatenate_forward_entry, _concatenate_backward_entry)


@kernel
def select_forward(x, columns, y):
    """Write ``y[:, j] = x[:, columns[j]]``; x and y of two dimensions, columns of whole numbers."""
    for i in range(y.shape[0]):
        for j in range(columns.size):
            y[i, j] = x[i, int(columns[j])]


@kernel
def select_backward(columns, dy, dx):
    """Write ``dx``: the sum of the columns of `dy` for which a column was selected, 0 where it was not."""
    for i in range(dy.shape[0]):
        for j in range(dx.shape[1]):
            dx[i, j] = dx.dtype.type(0)
        for j in range(columns.size):
            dx[i, int(columns[j])] += dy[i, j]


def _select_forward_entry(T):
    def select_forward_op(op_address, net_address):
        op, setting = op_row(op_address)
        net, _ = slots(net_address)
        n, n_out = _widths(op, setting)
        size, size_out = op[oprow.N_IN], op[oprow.N_OUT]
        x = last_axis(net, op[oprow.X], size, n, T)
        y = last_axis(net, op[oprow.Y], size_out, n_out, T)
        select_forward(x, constants(net, op, 0, n_out, T), y)

    return select_forward_op


def _select_backward_entry(T):
    def select_backward_op(op_address, net_address):
        op, setting = op_row(op_address)
        net, _ = slots(net_address)
        n, n_out = _widths(op, setting)
        size, size_out = op[oprow.N_IN], op[oprow.N_OUT]
        dy = last_axis(net, op[oprow.DY], size_out, n_out, T)
        dx = last_axis(net, op[oprow.DX], size, n, T)
        select_backward(constants(net, op, 0, n_out, T), dy, dx)

    return select_backward_op


#: Op: X, the numbers of the columns (constants) -> Y, these columns of the last axis; the setting as above.
select = Both(_select_forward_entry, _select_backward_entry)
