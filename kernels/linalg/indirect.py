"""Indirect products: matrix products whose first factor is read through tables of places.

C = start + A B, where element (r, i) of A is the number at ``a[rows[r] + steps[i]]``; or, by channels,
element (r, j) of C is the sum of ``a[rows[r] + steps[i] + j] * b[i, j]``, as of a depthwise convolution. Of a
convolution the rows are the positions of the output and the steps those of the kernel's taps within the
input, or the other way round for the gradient of the weights, so that no matrix of patches is made. (M.
Dukhan, *The Indirect Convolution Algorithm*, 2019; E. Georganas et al., *Anatomy of High-Performance Deep
Learning Convolutions on SIMD Architectures*, SC 2018, for sums that stay in registers over all taps.)

The routine is compiled once: the layers' entries call it by its address. Every element of C is summed over i
in the same order by fused multiply-adds, whatever tile it falls into.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..lowlevel._jit import kernel
from ..lowlevel.simd import view
from ..lowlevel.vector_ir import I64, VECTOR_BYTES, Vectors
from .tile import HAS_HALVES, emit_function

#: Most rows of a tile of 1, 2, ... vectors: see `tile.ROWS`. Odd ones are computed with the last row twice.
ROWS = (8, 6) if VECTOR_BYTES == 32 else (8, 8, 8)
VECTORS = len(ROWS)
#: Rows and vectors of tiles; 0 is half a vector. By channels tiles are one vector wide.
_SHAPES = [(rows, n) for n in range(1, VECTORS + 1) for rows in range(2, ROWS[n - 1] + 1, 2)]
if HAS_HALVES:
    _SHAPES += [(rows, 0) for rows in range(2, ROWS[0] + 1, 2)]
_CHANNEL_SHAPES = [shape for shape in _SHAPES if shape[1] < 2]
# Most steps at a time: their part of B stays in the first cache.
_DEPTH = 320

_I32 = ir.IntType(32)
# Of `product_entry`: m, n, k, a, rows, steps, b, b_row, start, start_row, c, c_row.
_ARGUMENTS = 12


def _tile(by_channel):
    """The function that writes a tile of C, of one of the shapes above.

    `rows` is the address of the places of `count` rows of A, int32 numbers; `height` is `count`, or one more.
    The tile begins with `start`, unless that is the address 0. Of the last vector `last` lanes are used.
    """
    shapes, name = (_CHANNEL_SHAPES, "channel_tile") if by_channel else (_SHAPES, "indirect_tile")

    def append(builder, number, itemsize, height, vectors, *rest):
        blocks = [builder.append_basic_block("tile") for _ in shapes]
        switch = builder.switch(builder.add(builder.mul(vectors, I64(16)), height), blocks[0])
        for shape, block in zip(shapes, blocks, strict=True):
            switch.add_case(I64(16 * shape[1] + shape[0]), block)
            builder.position_at_end(block)
            v = Vectors(builder, number, itemsize, VECTOR_BYTES if shape[1] > 0 else VECTOR_BYTES // 2)
            _append_tile(v, (shape[0], max(shape[1], 1)), by_channel, *rest)
            builder.ret_void()

    @intrinsic
    def tile(
        typingctx,
        height,
        vectors,
        k,
        a,
        rows,
        count,
        steps,
        b,
        b_row,
        start,
        start_row,
        c,
        c_row,
        last,
        dtype,
    ):
        def codegen(context, builder, sig, args):
            return emit_function(context, builder, name, args[:-1], dtype.dtype, append)

        return types.void(*[types.int64] * 14, dtype), codegen

    return tile


def _append_tile(v, shape, by_channel, k, a, rows, count, steps, b, b_row, start, start_row, c, c_row, last):
    """Append the code of a tile of this shape."""
    (height, vectors), builder = shape, v.builder
    offsets, mask = [I64(i * v.lanes) for i in range(vectors)], v.first_lanes(last)
    masks = [None] * (vectors - 1) + [mask]
    numbers = [I64(r) for r in range(height - 1)]
    numbers.append(
        builder.select(builder.icmp_signed("==", count, I64(height)), I64(height - 1), I64(height - 2))
    )
    has_start = builder.icmp_signed("!=", start, I64(0))
    a, b, start, c = (v.pointer(x) for x in (a, b, start, c))
    rows, steps = (builder.inttoptr(x, _I32.as_pointer()) for x in (rows, steps))
    places = [builder.sext(builder.load(builder.gep(rows, [r])), I64) for r in numbers]
    a_rows = [builder.gep(a, [v.hidden(place)]) for place in places]
    start_rows = [builder.gep(start, [builder.mul(start_row, r)]) for r in numbers]
    c_rows = [builder.gep(c, [builder.mul(c_row, r)]) for r in numbers]

    def load_row(row):
        return [v.load(v.at(row, offset), m) for offset, m in zip(offsets, masks, strict=True)]

    entry = builder.block
    with_start, head, body, store = (
        builder.append_basic_block(x) for x in ("start", "head", "body", "store")
    )
    builder.cbranch(has_start, with_start, head)

    builder.position_at_end(with_start)
    starts = [load_row(row) for row in start_rows]
    builder.branch(head)

    builder.position_at_end(head)
    left, steps_at, b_at = builder.phi(I64), builder.phi(steps.type), builder.phi(b.type)
    sums = v.sums_from(starts, entry, with_start)
    for block in (entry, with_start):
        for value, first in ((left, k), (steps_at, steps), (b_at, b)):
            value.add_incoming(first, block)
    builder.cbranch(builder.icmp_signed(">", left, I64(0)), body, store)

    builder.position_at_end(body)
    step = builder.sext(builder.load(steps_at), I64)
    b_vectors = load_row(b_at)
    for a_at, row in zip(a_rows, sums, strict=True):
        place = builder.gep(a_at, [step])
        factor = v.load(v.at(place, I64(0)), mask) if by_channel else v.splat(builder.load(place))
        for total, b_vector in zip(row, b_vectors, strict=True):
            total.add_incoming(v.fma(factor, b_vector, total), body)
    left.add_incoming(builder.sub(left, I64(1)), body)
    steps_at.add_incoming(builder.gep(steps_at, [I64(1)]), body)
    b_at.add_incoming(builder.gep(b_at, [b_row]), body)
    v.repeat(head)

    builder.position_at_end(store)
    for row, c_at in zip(sums, c_rows, strict=True):
        for total, offset, m in zip(row, offsets, masks, strict=True):
            v.store(total, v.at(c_at, offset), m)


def _product_entry(by_channel):
    """Factory of the entry of the product."""
    tile, widest = _tile(by_channel), 1 if by_channel else VECTORS

    @kernel
    def product(m, n, k, a, rows, steps, b, b_row, start, start_row, c, c_row, dtype, itemsize):
        # Writes C.
        lanes = VECTOR_BYTES // itemsize
        vectors = (n + lanes - 1) // lanes
        panels = (vectors + widest - 1) // widest
        first = 0
        for p in range(panels):  # about as wide as one another
            end = (p + 1) * vectors // panels
            wide, last = end - first, min(n - (end - 1) * lanes, lanes)
            highest = ROWS[wide - 1]
            if HAS_HALVES and 2 * n <= lanes:
                wide = 0
            tiles = (m + highest - 1) // highest
            skip = first * lanes * itemsize
            a_panel = a + skip if by_channel else a
            parts, i = max((k + _DEPTH - 1) // _DEPTH, 1), 0
            for part in range(parts):
                after = (part + 1) * k // parts
                depth = after - i
                begin, begin_row = start + skip if start != 0 else 0, start_row
                if i > 0:
                    begin, begin_row = c + skip, c_row
                row = 0
                for t in range(tiles):
                    stop = (t + 1) * m // tiles
                    count = stop - row
                    to_start = begin + row * begin_row * itemsize if begin != 0 else 0
                    tile(
                        (count + 1) // 2 * 2, wide, depth, a_panel, rows + 4 * row, count, steps + 4 * i,
                        b + i * b_row * itemsize + skip, b_row, to_start, begin_row,
                        c + row * c_row * itemsize + skip, c_row, last, dtype
                    )  # fmt: skip
                    row = stop
                i = after
            first = end

    def product_entry(T):
        """Op: the arguments of `product` up to `c_row`, an int64 array at the first address -> C."""
        itemsize = np.dtype(T).itemsize

        def product_op(arguments, _):
            x = view(arguments, _ARGUMENTS, np.int64)
            product(
                x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9], x[10], x[11], T, itemsize
            )  # fmt: skip

        return product_op

    return product_entry


product_entry, channel_product_entry = _product_entry(False), _product_entry(True)


@intrinsic
def indirect_product(typingctx, product, m, n, k, a, rows, steps, b, b_row, start, start_row, c, c_row):
    """Write ``C = start + A B``, of shape (m, n), by the compiled `product_entry` at the address `product`.

    `a`, `b`, `start` and `c` are addresses of the first elements, `rows` and `steps` those of int32 tables of
    m and k numbers. Rows of B, `start` and C lie `b_row`, `start_row` and `c_row` elements apart; a `start`
    of 0 stands for zeros.
    """

    def codegen(context, builder, sig, args):
        array = cgutils.alloca_once(builder, I64, _ARGUMENTS)
        for i, arg in enumerate(args[1:]):
            builder.store(arg, builder.gep(array, [I64(i)]))
        function = builder.inttoptr(args[0], ir.FunctionType(ir.VoidType(), [I64, I64]).as_pointer())
        builder.call(function, [builder.ptrtoint(array, I64), I64(0)])
        return context.get_dummy_value()

    return types.void(*[types.int64] * (1 + _ARGUMENTS)), codegen
