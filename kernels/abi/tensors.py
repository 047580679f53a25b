"""How an entry cuts its arrays out of the flat buffers: tables first, then tensors and weights."""

import numpy as np

from ..lowlevel._jit import force_inline, inline_ir
from ..lowlevel.simd import element, view
from . import descriptor, oprow


@inline_ir
def op_row(address):
    """The op row at an address: (int64 view, float64 view of the same memory)."""
    return view(address, oprow.SIZE, np.int64), view(address, oprow.SIZE, np.float64)


@inline_ir
def slots(address):
    """The descriptor at an address: (int64 view, float64 view of the same memory)."""
    return view(address, descriptor.SIZE, np.int64), view(address, descriptor.SIZE, np.float64)


@force_inline
def row_address(net, offset, row, width, dtype):
    """Address of a row of `width` numbers of the tensor at `offset`, as an op row gives it."""
    if offset >= 0:
        return element(net[descriptor.WORKSPACE], offset + row * width, dtype)
    start = net[descriptor.INPUT] if offset == oprow.INPUT else net[descriptor.OUTPUT]
    return element(start, row * width, dtype)


@force_inline
def tensor_address(net, offset, width, dtype):
    """Address of the first of the rows at hand of the tensor at `offset`."""
    return row_address(net, offset, net[descriptor.FIRST_ROW], width, dtype)


@inline_ir
def tensor(net, offset, width, dtype):
    """Array (rows, width) of the rows at hand; with no rows if `offset` is NONE."""
    rows = 0 if offset == oprow.NONE else net[descriptor.ROWS]
    return view(tensor_address(net, offset, width, dtype), (rows, width), dtype)


@force_inline
def target_address(net, width, dtype):
    """Address of the targets, `width` numbers each, of the rows at hand."""
    return element(net[descriptor.TARGET], net[descriptor.FIRST_ROW] * width, dtype)


@inline_ir
def weights(net, vector, op, dtype):
    """Array (n_in, n_out) of an op's weights in the flat vector at the address `vector`."""
    return view(element(vector, op[oprow.W], dtype), (op[oprow.N_IN], op[oprow.N_OUT]), dtype)


@inline_ir
def constants(net, op, skip, size, dtype):
    """Array (size,) of an op's constants, from number `skip` of them on."""
    return view(element(net[descriptor.CONSTANTS], op[oprow.CONSTANTS] + skip, dtype), size, dtype)


@inline_ir
def row_weights(net, dtype):
    """Array (rows,) of the weights of the rows at hand, or (0,) where all are one.

    Where each output has a weight of its own, (rows * n_out,).
    """
    width = net[descriptor.WEIGHT_WIDTH]
    size = 0 if net[descriptor.WEIGHT] == 0 else net[descriptor.ROWS] * width
    return view(element(net[descriptor.WEIGHT], net[descriptor.FIRST_ROW] * width, dtype), size, dtype)


@force_inline
def outputs_have_weights(net):
    """Whether each output of a row at hand has a weight of its own, not the row as a whole."""
    return net[descriptor.WEIGHT] != 0 and net[descriptor.WEIGHT_WIDTH] > 1
