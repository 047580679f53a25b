"""How an entry cuts its arrays out of the flat buffers."""

from ..lowlevel._jit import force_inline, inline_ir
from ..lowlevel.simd import element, view
from . import oprow


@force_inline
def row_address(net, offset, row, width, dtype):
    """Address of a row of `width` numbers of the tensor at `offset`, as an op row gives it."""
    if offset >= 0:
        return element(net.workspace, offset + row * width, dtype)
    start = net.input if offset == oprow.INPUT else net.output
    return element(start, row * width, dtype)


@force_inline
def tensor_address(net, offset, width, dtype):
    """Address of the first of the rows at hand of the tensor at `offset`."""
    return row_address(net, offset, net.first_row, width, dtype)


@inline_ir
def tensor(net, offset, width, dtype):
    """Array (rows, width) of the rows at hand; with no rows if `offset` is NONE."""
    rows = 0 if offset == oprow.NONE else net.rows
    return view(tensor_address(net, offset, width, dtype), (rows, width), dtype)


@force_inline
def target_address(net, width, dtype):
    """Address of the targets, `width` numbers each, of the rows at hand."""
    return element(net.target, net.first_row * width, dtype)


@inline_ir
def constants(net, op, skip, size, dtype):
    """Array (size,) of an op's constants, from number `skip` of them on."""
    return view(element(net.constants, op.constants + skip, dtype), size, dtype)


@inline_ir
def row_weights(net, dtype):
    """Array (rows,) of the weights of the rows at hand, or (0,) where all are one.

    Where each output has a weight of its own, (rows * n_out,).
    """
    width = net.weight_width
    size = 0 if net.weight == 0 else net.rows * width
    return view(element(net.weight, net.first_row * width, dtype), size, dtype)


@force_inline
def outputs_have_weights(net):
    """Whether each output of a row at hand has a weight of its own, not the row as a whole."""
    return net.weight != 0 and net.weight_width > 1
