"""How an entry cuts its arrays out of the flat buffers: tables first, then tensors and weights."""

import numpy as np

from ..lowlevel._jit import force_inline, inline_ir
from ..lowlevel.simd import view
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
def tensor_address(net, offset):
    """Address of the tensor at `offset`, as an op row gives it."""
    if offset >= 0:
        return net[descriptor.WORKSPACE] + offset * net[descriptor.ITEMSIZE]
    return net[descriptor.INPUT] if offset == oprow.INPUT else net[descriptor.OUTPUT]


@inline_ir
def tensor(net, offset, width, dtype):
    """Array (rows, width) of the rows at hand; with no rows if `offset` is NONE."""
    rows = 0 if offset == oprow.NONE else net[descriptor.ROWS]
    return view(tensor_address(net, offset), (rows, width), dtype)


@inline_ir
def last_axis(net, offset, size, width, dtype):
    """Array (rows * positions, width) of a tensor of `size` numbers a row, whose last axis has `width`.

    With no rows if `offset` is NONE.
    """
    rows = 0 if offset == oprow.NONE else net[descriptor.ROWS] * (size // width)
    return view(tensor_address(net, offset), (rows, width), dtype)


@inline_ir
def flat_tensor(net, offset, width, dtype):
    """Array (rows * width,) of the rows at hand."""
    return view(tensor_address(net, offset), net[descriptor.ROWS] * width, dtype)


@inline_ir
def weights(net, vector, op, dtype):
    """Array (n_in, n_out) of an op's weights in the flat vector at the address `vector`."""
    address = vector + op[oprow.W] * net[descriptor.ITEMSIZE]
    return view(address, (op[oprow.N_IN], op[oprow.N_OUT]), dtype)


@inline_ir
def bias(net, vector, op, dtype):
    """Array (n_out,) of an op's bias in the flat vector at the address `vector`, or (0,)."""
    size = 0 if op[oprow.B] == oprow.NONE else op[oprow.N_OUT]
    return view(vector + op[oprow.B] * net[descriptor.ITEMSIZE], size, dtype)


@inline_ir
def constants(net, op, skip, size, dtype):
    """Array (size,) of an op's constants, from number `skip` of them on."""
    address = net[descriptor.CONSTANTS] + (op[oprow.CONSTANTS] + skip) * net[descriptor.ITEMSIZE]
    return view(address, size, dtype)


@inline_ir
def row_weights(net, dtype):
    """Array (rows,) of the weights of the rows at hand, or (0,) where all are one.

    Where each output has a weight of its own, (rows * n_out,).
    """
    size = 0 if net[descriptor.WEIGHT] == 0 else net[descriptor.ROWS] * net[descriptor.WEIGHT_WIDTH]
    return view(net[descriptor.WEIGHT], size, dtype)


@force_inline
def outputs_have_weights(net):
    """Whether each output of a row at hand has a weight of its own, not the row as a whole."""
    return net[descriptor.WEIGHT] != 0 and net[descriptor.WEIGHT_WIDTH] > 1
