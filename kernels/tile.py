"""Micro-kernels of the matrix product: sums that stay in registers while the loop walks over k.

`tile` computes a part of C that is some rows high and some vector registers wide: each step of its
loop loads the tile's part of one row of B once and multiplies it with one number of each row of A
(K. Goto and R. van de Geijn, *Anatomy of High-Performance Matrix Multiplication*, ACM TOMS 34(3), 2008).
All shapes of tiles come from one generator. `columns` multiplies one row with a matrix whose columns
lie in memory one after the other.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .vector_ir import I64, VECTOR_BYTES, Vectors

#: Most rows of a tile of 1, 2, ... vectors. The sums fill the registers, of which AVX2 has 16 and
#: AVX-512 and ARM 32, but for those that hold the row of B and the number of A. They are eight at
#: least, where m allows: an addition takes four cycles, and a CPU starts two in each.
ROWS = (8, 6) if VECTOR_BYTES == 32 else (8, 8, 8)
#: Most vectors of a tile.
VECTORS = len(ROWS)
#: Most vectors of a tile that is one row high: B is read the faster the longer the parts of its rows.
ROW_VECTORS = 8

_SHAPES = [(rows, vectors) for vectors in range(1, VECTORS + 1) for rows in range(1, ROWS[vectors - 1] + 1)]
_SHAPES += [(1, vectors) for vectors in range(VECTORS + 1, ROW_VECTORS + 1)]
#: Whether there are tiles of half a vector, whose `vectors` is 0. A CPU may load as many bytes a cycle
#: in whole vectors of AVX-512 as in two halves, so that a narrow C takes half the time with halves.
HAS_HALVES = VECTOR_BYTES == 64
if HAS_HALVES:
    _SHAPES += [(rows, 0) for rows in range(1, ROWS[0] + 1)]


@intrinsic
def tile(
    typingctx, rows, vectors, k, a, a_row, a_step, b, b_row, start, start_row, c, c_row, end, last, dtype
):
    """Write a tile of ``C = start + A B`` of one of the shapes above.

    `a`, `b`, `start` and `c` are addresses of the tile's first elements, and the steps count elements:
    that of A in row r at position i of k is ``a[r * a_row + i * a_step]``. `start` is what the sum
    begins with, or the address 0 for zeros.

    The last vector begins `end` elements behind the tile's first column. The first `last` of its lanes
    are written. Of tiles of one row or one vector only so much of B is read, of others whole vectors.
    """

    def codegen(context, builder, sig, args):
        rows, vectors, *rest, _ = args
        number = context.get_data_type(dtype.dtype)
        itemsize = context.get_abi_sizeof(number)
        blocks = [builder.append_basic_block("tile") for _ in _SHAPES]
        over = builder.append_basic_block("over")
        switch = builder.switch(builder.add(builder.mul(vectors, I64(16)), rows), blocks[0])
        for shape, block in zip(_SHAPES, blocks, strict=True):
            switch.add_case(I64(16 * shape[1] + shape[0]), block)
            builder.position_at_end(block)
            width = VECTOR_BYTES if shape[1] > 0 else VECTOR_BYTES // 2
            _tile(Vectors(builder, number, itemsize, width), (shape[0], max(shape[1], 1)), *rest)
            builder.branch(over)
        builder.position_at_end(over)
        return context.get_dummy_value()

    numbers = (rows, vectors, k, a, a_row, a_step, b, b_row, start, start_row, c, c_row, end, last)
    return types.void(*numbers, dtype), codegen


def _tile(v, shape, k, a, a_row, a_step, b, b_row, start, start_row, c, c_row, end, last):
    """Append the code of a tile of this shape."""
    (rows, vectors), builder = shape, v.builder
    offsets = [*(I64(i * v.lanes) for i in range(vectors - 1)), end]
    mask, is_whole = v.first_lanes(last), builder.icmp_signed("==", last, I64(v.lanes))
    has_start = builder.icmp_signed("!=", start, I64(0))
    a, b, start, c = (v.pointer(x) for x in (a, b, start, c))
    # Otherwise LLVM finds each row's address from that of the row before, one waiting for the other.
    a_rows = [builder.gep(a, [v.hidden(builder.mul(a_row, I64(r)))]) for r in range(rows)]
    start_rows = [builder.gep(start, [builder.mul(start_row, I64(r))]) for r in range(rows)]
    c_rows = [builder.gep(c, [builder.mul(c_row, I64(r))]) for r in range(rows)]

    def load_row(row, mask):
        masks = [None] * (vectors - 1) + [mask]
        return [v.load(v.at(row, offset), m) for offset, m in zip(offsets, masks, strict=True)]

    def store_row(sums, row, mask):
        masks = [None] * (vectors - 1) + [mask]
        for total, offset, m in zip(sums, offsets, masks, strict=True):
            v.store(total, v.at(row, offset), m)

    for c_at in c_rows:  # what the next tile to the right begins with arrives while the loop runs
        v.prefetch(builder.gep(c_at, [I64(vectors * v.lanes)]), write=True)
    entry = builder.block
    with_start, head, body, store = (
        builder.append_basic_block(x) for x in ("start", "head", "body", "store")
    )
    builder.cbranch(has_start, with_start, head)

    builder.position_at_end(with_start)
    starts = [load_row(row, mask) for row in start_rows]
    builder.branch(head)

    builder.position_at_end(head)
    left, along, b_at = builder.phi(I64), builder.phi(I64), builder.phi(b.type)
    sums = [[builder.phi(v.type) for _ in range(vectors)] for _ in range(rows)]
    for block in (entry, with_start):
        for value, first in ((left, k), (along, I64(0)), (b_at, b)):
            value.add_incoming(first, block)
    for row, firsts in zip(sums, starts, strict=True):
        for total, first in zip(row, firsts, strict=True):
            total.add_incoming(v.zero, entry)
            total.add_incoming(first, with_start)
    builder.cbranch(builder.icmp_signed(">", left, I64(0)), body, store)

    builder.position_at_end(body)
    b_vectors = load_row(b_at, mask if rows == 1 or vectors == 1 else None)
    for a_at, row in zip(a_rows, sums, strict=True):
        factor = v.splat(builder.load(builder.gep(a_at, [along])))
        for total, b_vector in zip(row, b_vectors, strict=True):
            total.add_incoming(v.fma(factor, b_vector, total), body)
    left.add_incoming(builder.sub(left, I64(1)), body)
    along.add_incoming(builder.add(along, a_step), body)
    b_at.add_incoming(builder.gep(b_at, [b_row]), body)
    v.repeat(head)

    builder.position_at_end(store)
    with builder.if_else(is_whole) as (whole, part):
        for branch, m in ((whole, None), (part, mask)):
            with branch:
                for row, c_at in zip(sums, c_rows, strict=True):
                    store_row(row, c_at, m)


def _columns(groups):
    """Intrinsic for one row times `groups` vectors of columns, whose sums do not wait for one another."""

    @intrinsic
    def columns(typingctx, k, a, b, b_step, n, start, start_step, c, dtype):
        """Write ``c = start + a B`` for one row `a` of k numbers, and `n` columns.

        Column j of B lies at ``b[j * b_step]`` and on, element j of the start at ``start[j * start_step]``,
        or is zero where `start` is the address 0. Squares of B are transposed in registers, so that each
        element is summed over k in order.
        """

        def codegen(context, builder, sig, args):
            *numbers, _ = args
            number = context.get_data_type(dtype.dtype)
            v = Vectors(builder, number, context.get_abi_sizeof(number))
            _sum_columns(v, groups, *numbers)
            return context.get_dummy_value()

        return types.void(k, a, b, b_step, n, start, start_step, c, dtype), codegen

    return columns


one_column_vector, two_column_vectors = _columns(1), _columns(2)


def _sum_columns(v, groups, k, a, b, b_step, n, start, start_step, c):
    """Append the code of `columns`."""
    builder, lanes = v.builder, v.lanes
    has_start = builder.icmp_signed("!=", start, I64(0))
    a, b, start, c = (v.pointer(x) for x in (a, b, start, c))
    last = builder.sub(n, I64(1))
    # The lanes of columns that do not exist, in a single group, are those of the last again.
    exist = [builder.icmp_signed("<", I64(lane), n) for lane in range(lanes)]
    lane_columns = [builder.select(e, I64(lane), last) for lane, e in enumerate(exist)]
    offsets = [v.hidden(builder.mul(column, b_step)) for column in lane_columns]
    group_step = builder.mul(b_step, I64(lanes))
    groups_b = [builder.gep(b, [v.hidden(builder.mul(group_step, I64(g)))]) for g in range(groups)]

    def gather(base, offsets):
        row = ir.Constant(v.type, ir.Undefined)
        for lane, offset in enumerate(offsets):
            row = builder.insert_element(row, builder.load(builder.gep(base, [offset])), ir.IntType(32)(lane))
        return row

    entry = builder.block
    with builder.if_then(has_start):
        starts = []
        for g in range(groups):
            base = builder.gep(start, [builder.mul(start_step, I64(g * lanes))])
            starts.append(gather(base, [builder.mul(column, start_step) for column in lane_columns]))
        with_start = builder.block
    sums = [builder.phi(v.type) for _ in range(groups)]
    for total, first in zip(sums, starts, strict=True):
        total.add_incoming(v.zero, entry)
        total.add_incoming(first, with_start)

    def loop(first, stop, width, sums):
        """Add up `width` numbers of each column at a time, from number `first` on and before `stop`."""
        before = builder.block
        head, body, after = (builder.append_basic_block(x) for x in ("head", "body", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        i = builder.phi(I64)
        i.add_incoming(first, before)
        totals = [builder.phi(v.type) for _ in sums]
        for total, value in zip(totals, sums, strict=True):
            total.add_incoming(value, before)
        builder.cbranch(builder.icmp_signed("<", i, stop), body, after)
        builder.position_at_end(body)
        a_at = builder.gep(a, [i])
        for total, group in zip(totals, groups_b, strict=True):
            value = total
            for r in range(width):
                if r % lanes == 0:  # one square at a time, which fits the registers
                    block = v.after_all_before(builder.gep(group, [builder.add(i, I64(r))]))
                    if width == 1:
                        square = [gather(block, offsets)]
                    else:
                        square = v.transpose([v.load(v.at(block, offset)) for offset in offsets])
                factor = v.splat(builder.load(builder.gep(a_at, [I64(r)])))
                value = v.fma(factor, square[r % lanes], value)
            total.add_incoming(value, body)
        i.add_incoming(builder.add(i, I64(width)), body)
        v.repeat(head)
        builder.position_at_end(after)
        return i, totals

    # Whole cache lines at a time: columns that are a power of two apart drive each other out.
    line = max(64 // v.itemsize, lanes)
    reached, sums = loop(I64(0), builder.sub(k, I64(line - 1)), line, sums)
    _, sums = loop(reached, k, 1, sums)
    for g, total in enumerate(sums):
        v.store(total, v.at(c, I64(g * lanes)), v.first_lanes(n) if groups == 1 else None)
