"""Micro-kernels of the product in bfloat16: parts of C of 32 x 32, out of squares of A and B.

A part is some rows high and some columns wide, 1 to 32 each. For each 32 steps of k it reads one square of
A, or two if it is more than 16 rows high, and of B likewise by its columns. Squares along k lie side by side,
and the second row or column of them `stride` bytes on. The sums are float32.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..lowlevel.bfloat16_ir import amx, byte_pointer, configure_tiles, dot_pairs
from ..lowlevel.vector_ir import I64, Vectors
from .bfloat16_pack import LANES, SQUARE_BYTES
from .tile import emit_function

#: Most rows and columns of a part.
PART = 2 * LANES
# The tile registers: four sums, two squares of A, two of B.
_SUMS, _A, _B = ((0, 1), (2, 3)), (4, 5), (6, 7)
# `vdpbf16ps` sums up so many rows at a time, by 16 or 32 columns.
_HEIGHTS = (8, 4, 2, 1)


@intrinsic
def configure(typingctx, rows, columns):
    """Make the tiles of AMX such that `multiply_tiles` computes parts of so many rows and columns."""

    def codegen(context, builder, sig, args):
        def halves(size):
            """The first 16 and the others; one where there is none, since a tile has to have a shape."""
            second = builder.sub(size, I64(LANES))
            exists = builder.icmp_signed(">", second, I64(0))
            return builder.select(exists, I64(LANES), size), builder.select(exists, second, I64(1))

        heights, widths = (halves(size) for size in args)
        shapes = [(height, width) for height in heights for width in widths]
        shapes += [(height, I64(LANES)) for height in heights]
        shapes += [(I64(LANES), width) for width in widths]
        memory = cgutils.alloca_once(builder, ir.ArrayType(ir.IntType(8), 64))
        configure_tiles(builder, builder.bitcast(memory, ir.IntType(8).as_pointer()), shapes)
        return context.get_dummy_value()

    return types.void(rows, columns), codegen


@intrinsic
def release(typingctx):
    """Leave the tiles of AMX empty, as other code expects them."""

    def codegen(context, builder, sig, args):
        amx(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), codegen


def _micro_kernel(name, append):
    """An intrinsic that writes a part of C, once in a module."""

    @intrinsic
    def part(typingctx, rows, columns, squares, a, b, stride, start, start_row, c, c_row):
        """Write ``C = start + A B`` of a part; `start_row` and `c_row` are the bytes from row to row.

        `squares` says how many there are along k; `start` is an address, or 0 for zeros.
        """

        def codegen(context, builder, sig, args):
            return emit_function(context, builder, name, args, types.float32, append)

        return types.void(*[types.int64] * 10), codegen

    return part


def _append_tiles(builder, number, itemsize, rows, columns, *rest):
    """Append the code of a part by AMX, for one or two squares in each direction."""
    tall, wide = (builder.icmp_signed(">", size, I64(LANES)) for size in (rows, columns))
    with builder.if_else(tall) as by_height:
        for branch, height in zip(by_height, (2, 1), strict=True):
            with branch, builder.if_else(wide) as by_width:
                for inner, width in zip(by_width, (2, 1), strict=True):
                    with inner:
                        _tiles(builder, height, width, *rest)
    builder.ret_void()


def _tiles(builder, height, width, squares, a, b, stride, start, start_row, c, c_row):
    """Append the code of a part of so many squares."""
    sums = [(i, j) for i in range(height) for j in range(width)]

    def place(matrix, row, i, j):
        rows = builder.mul(row, I64(LANES * i))
        return byte_pointer(builder, builder.add(builder.add(matrix, rows), I64(4 * LANES * j)))

    def load(registers, first):
        for i, register in enumerate(registers):
            square = byte_pointer(builder, builder.add(first, stride) if i else first)
            amx(builder, "tileloadd64", register, square, I64(4 * LANES))

    with builder.if_else(builder.icmp_signed("!=", start, I64(0))) as (with_start, without):
        with with_start:
            for i, j in sums:
                amx(builder, "tileloadd64", _SUMS[i][j], place(start, start_row, i, j), start_row)
        with without:
            for i, j in sums:
                amx(builder, "tilezero", _SUMS[i][j])
    with cgutils.for_range(builder, squares) as loop:
        along = builder.mul(loop.index, I64(SQUARE_BYTES))
        load(_A[:height], builder.add(a, along))
        load(_B[:width], builder.add(b, along))
        for i, j in sums:
            amx(builder, "tdpbf16ps", _SUMS[i][j], _A[i], _B[j])
    for i, j in sums:
        amx(builder, "tilestored64", _SUMS[i][j], place(c, c_row, i, j), c_row)


def _append_pairs(
    builder, number, itemsize, rows, columns, squares, a, b, stride, start, start_row, c, c_row
):
    """Append the code of a part by ``vdpbf16ps``: as many rows as there are of each height, then the next."""
    v = Vectors(builder, number, itemsize)
    wide = builder.icmp_signed(">", columns, I64(LANES))
    mask = v.first_lanes(builder.select(wide, builder.sub(columns, I64(LANES)), columns))
    done = cgutils.alloca_once_value(builder, I64(0))
    for height in _HEIGHTS:
        head, body, over = (builder.append_basic_block() for _ in range(3))
        builder.branch(head)
        builder.position_at_end(head)
        row = builder.load(done)
        end = builder.add(row, I64(height))
        builder.cbranch(builder.icmp_signed("<=", end, rows), body, over)
        builder.position_at_end(body)
        second = builder.select(builder.icmp_signed(">=", row, I64(LANES)), stride, I64(0))
        skip = builder.mul(builder.and_(row, I64(LANES - 1)), I64(4 * LANES))
        own = builder.add(builder.add(a, second), skip)
        begin = builder.add(start, builder.mul(start_row, row))
        begin = builder.select(builder.icmp_signed("!=", start, I64(0)), begin, I64(0))
        to = builder.add(c, builder.mul(c_row, row))
        with builder.if_else(wide) as by_width:
            for branch, width in zip(by_width, (2, 1), strict=True):
                with branch:
                    _pairs(v, height, width, mask, squares, own, b, stride, begin, start_row, to, c_row)
        builder.store(end, done)
        builder.branch(head)
        builder.position_at_end(over)
    builder.ret_void()


def _pairs(v, height, width, mask, squares, a, b, stride, start, start_row, c, c_row):
    """Append the code of some rows of a part, of one or two vectors."""
    builder = v.builder
    masks, steps = [None] * (width - 1) + [mask], builder.mul(squares, I64(LANES))

    def vectors_of(matrix, row, r):
        at = v.pointer(builder.add(matrix, builder.mul(row, I64(r))))
        return [v.at(at, I64(LANES * j)) for j in range(width)]

    entry = builder.block
    with_start, head, body, store = (builder.append_basic_block() for _ in range(4))
    builder.cbranch(builder.icmp_signed("!=", start, I64(0)), with_start, head)
    builder.position_at_end(with_start)
    starts = [
        [v.load(*x) for x in zip(vectors_of(start, start_row, r), masks, strict=True)] for r in range(height)
    ]
    builder.branch(head)

    builder.position_at_end(head)
    left, a_at, b_at = builder.phi(I64), builder.phi(I64), builder.phi(I64)
    sums = v.sums_from(starts, entry, with_start)
    for block in (entry, with_start):
        for value, first in ((left, steps), (a_at, a), (b_at, b)):
            value.add_incoming(first, block)
    builder.cbranch(builder.icmp_signed(">", left, I64(0)), body, store)

    builder.position_at_end(body)
    columns = [
        v.load(v.at(v.pointer(builder.add(b_at, stride) if j else b_at), I64(0))) for j in range(width)
    ]
    for r, row in enumerate(sums):
        pair = v.splat(builder.load(builder.gep(v.pointer(a_at), [I64(LANES * r)])))
        for total, column in zip(row, columns, strict=True):
            total.add_incoming(dot_pairs(builder, total, pair, column), body)
    after = builder.sub(left, I64(1))
    left.add_incoming(after, body)
    # The next pair of the row, which is in the next square behind the last of this one.
    in_next = builder.icmp_signed("==", builder.and_(after, I64(LANES - 1)), I64(0))
    step = builder.select(in_next, I64(SQUARE_BYTES - 4 * (LANES - 1)), I64(4))
    a_at.add_incoming(builder.add(a_at, step), body)
    b_at.add_incoming(builder.add(b_at, I64(4 * LANES)), body)
    v.repeat(head)

    builder.position_at_end(store)
    for r, row in enumerate(sums):
        for total, at, part in zip(row, vectors_of(c, c_row, r), masks, strict=True):
            v.store(total, at, part)


multiply_tiles = _micro_kernel("bfloat16_tiles", _append_tiles)
multiply_pairs = _micro_kernel("bfloat16_pairs", _append_pairs)
