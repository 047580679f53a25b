"""Copying panels of a matrix together, for the matrix product.

A panel has some rows of a few vectors each, one after the other in memory. Its rows are parts of the
rows of a matrix, or of its columns. Addresses are int64, steps count elements.
"""

from numba import types
from numba.extending import intrinsic

from ..lowlevel._jit import kernel
from ..lowlevel.vector_ir import I64, VECTOR_BYTES, Vectors

_ROWS_AHEAD = 8


@intrinsic
def _copy_vectors(typingctx, source, target, count, last, ahead, dtype):
    """Copy `count` vectors, one to four, from one address to another. Writes the target.

    Of the last vector only `last` lanes are read; the others are written as zeros. The CPU is told to
    fetch the memory at the address `ahead`, which need not be valid.
    """

    def codegen(context, builder, sig, args):
        source, target, count, last, ahead, _ = args
        number = context.get_data_type(dtype.dtype)
        v = Vectors(builder, number, context.get_abi_sizeof(number))
        v.prefetch(v.pointer(ahead), write=False)
        source, target = v.pointer(source), v.pointer(target)
        for i in range(3):
            with builder.if_then(builder.icmp_signed(">", count, I64(i + 1)), likely=True):
                v.store(v.load(v.at(source, I64(i * v.lanes))), v.at(target, I64(i * v.lanes)))
        end = builder.mul(builder.sub(count, I64(1)), I64(v.lanes))
        source, target = v.at(source, end), v.at(target, end)
        with builder.if_else(builder.icmp_signed("==", last, I64(v.lanes))) as (whole, part):
            with whole:
                v.store(v.load(source), target)
            with part:
                v.store(v.load(source, v.first_lanes(last)), target)
        return context.get_dummy_value()

    return types.void(source, target, count, last, ahead, dtype), codegen


@intrinsic
def _transpose_square(typingctx, source, step, rows, valid, target, row, dtype):
    """Write the columns of a square of vectors as rows.

    Vector r of the source begins `step` elements behind vector r - 1; there are `rows` of them, with
    `valid` lanes. Those of the target are `row` elements apart. Lanes and vectors that the source
    does not have are written as anything.
    """

    def codegen(context, builder, sig, args):
        source, step, rows, valid, target, row, _ = args
        number = context.get_data_type(dtype.dtype)
        v = Vectors(builder, number, context.get_abi_sizeof(number))
        source, target, mask = v.pointer(source), v.pointer(target), v.first_lanes(valid)
        last = builder.sub(rows, I64(1))
        vectors = []
        for r in range(v.lanes):
            exists = builder.icmp_signed("<", I64(r), rows)
            offset = builder.mul(builder.select(exists, I64(r), last), step)
            vectors.append(v.load(v.at(source, offset), mask))
        for r, value in enumerate(v.transpose(vectors)):
            v.store(value, v.at(target, builder.mul(row, I64(r))))
        return context.get_dummy_value()

    return types.void(source, step, rows, valid, target, row, dtype), codegen


@kernel
def pack_rows(source, source_row, rows, columns, target, width, height, dtype, itemsize):
    """Write panels at `target`, `width` columns wide and `height` rows apart.

    Row i of them, side by side, is ``source[i * source_row : i * source_row + columns]``.
    """
    lanes = VECTOR_BYTES // itemsize
    # Rows lie in different pages of memory, across which the CPU does not fetch by itself.
    ahead = _ROWS_AHEAD * source_row * itemsize
    for panel in range(0, columns, width):
        count = (min(width, columns - panel) + lanes - 1) // lanes
        last = min(columns - panel - (count - 1) * lanes, lanes)
        row, place = source + panel * itemsize, target + panel * height * itemsize
        for _ in range(rows):
            _copy_vectors(row, place, count, last, row + ahead, dtype)
            row += source_row * itemsize
            place += width * itemsize


@kernel
def pack_columns(source, step, rows, columns, target, width, height, dtype, itemsize):
    """Write panels at `target`, `width` columns wide and `height` rows apart.

    Element (i, j) of them, side by side, is ``source[i + j * step]``. Whole squares are written: up
    to a vector's lanes of rows more than `rows`, if `height` is not a multiple of them.
    """
    lanes = VECTOR_BYTES // itemsize
    for j in range(0, columns, lanes):
        place = target + (j // width * width * height + j % width) * itemsize
        for i in range(0, rows, lanes):
            _transpose_square(
                source + (j * step + i) * itemsize,
                step,
                columns - j,
                rows - i,
                place + i * width * itemsize,
                width,
                dtype,
            )
