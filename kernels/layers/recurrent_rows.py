"""Blocks of rows, copied and added up by whole vectors and one in part.

A block is the address of its first element, and the elements from row to row.
"""

from numba import types
from numba.extending import intrinsic

from ..lowlevel._jit import kernel
from ..lowlevel.vector_ir import I64, VECTOR_BYTES, Vectors


@intrinsic
def _copy(typingctx, source, target, count, dtype):
    """Write the vector at an address at another, or its first `count` lanes; None stands for all."""
    whole = isinstance(count, types.NoneType)

    def codegen(context, builder, sig, args):
        source, target, count, _ = args
        number = context.get_data_type(dtype.dtype)
        v = Vectors(builder, number, context.get_abi_sizeof(number))
        mask = None if whole else v.first_lanes(count)
        source, target = (v.at(v.pointer(x), I64(0)) for x in (source, target))
        v.store(v.load(source, mask), target, mask)
        return context.get_dummy_value()

    return types.void(source, target, count, dtype), codegen


@intrinsic
def _add(typingctx, source, other, target, count, dtype):
    """The same of the sum of two vectors."""
    whole = isinstance(count, types.NoneType)

    def codegen(context, builder, sig, args):
        source, other, target, count, _ = args
        number = context.get_data_type(dtype.dtype)
        v = Vectors(builder, number, context.get_abi_sizeof(number))
        mask = None if whole else v.first_lanes(count)
        source, other, target = (v.at(v.pointer(x), I64(0)) for x in (source, other, target))
        v.store(builder.fadd(v.load(source, mask), v.load(other, mask)), target, mask)
        return context.get_dummy_value()

    return types.void(source, other, target, count, dtype), codegen


@kernel
def copy_rows(source, source_row, target, target_row, rows, columns, dtype, itemsize):
    """Write a block of this shape at `target`: that at `source`."""
    lanes = VECTOR_BYTES // itemsize
    whole = columns // lanes * lanes
    for _ in range(rows):
        for j in range(0, whole * itemsize, VECTOR_BYTES):
            _copy(source + j, target + j, None, dtype)
        if whole < columns:
            _copy(source + whole * itemsize, target + whole * itemsize, columns - whole, dtype)
        source += source_row * itemsize
        target += target_row * itemsize


@kernel
def add_rows(source, source_row, other, other_row, target, target_row, rows, columns, dtype, itemsize):
    """Write a block of this shape at `target`: the sum of those at `source` and `other`."""
    lanes = VECTOR_BYTES // itemsize
    whole = columns // lanes * lanes
    for _ in range(rows):
        for j in range(0, whole * itemsize, VECTOR_BYTES):
            _add(source + j, other + j, target + j, None, dtype)
        if whole < columns:
            j = whole * itemsize
            _add(source + j, other + j, target + j, columns - whole, dtype)
        source += source_row * itemsize
        other += other_row * itemsize
        target += target_row * itemsize
