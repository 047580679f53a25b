"""Micro-kernels of the matrix product: sums that stay in registers while the loop walks over k.

`tile` computes a part of C that is some rows high and some vector registers wide: each step of its
loop loads the tile's part of one row of B once and multiplies it with one number of each row of A
(K. Goto and R. van de Geijn, *Anatomy of High-Performance Matrix Multiplication*, ACM TOMS 34(3), 2008).
All shapes of tiles come from one generator. `dots` is for few columns: tiles would leave most lanes empty.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..lowlevel._jit import force_inline
from ..lowlevel.vector_ir import CACHE_LINE, I64, VECTOR_BYTES, Vectors

#: Most rows of a tile of 1, 2, ... vectors. The sums fill the registers, of which AVX2 has 16 and
#: AVX-512 and ARM 32, but for those that hold the row of B and the number of A. They are eight at
#: least, where m allows: an addition takes four cycles, and a CPU starts two in each.
ROWS = (8, 6) if VECTOR_BYTES == 32 else (8, 8, 8)
#: Most vectors of a tile.
VECTORS = len(ROWS)
#: Most vectors of a tile that is one row high: B is read the faster the longer the parts of its rows.
ROW_VECTORS = 8

# So many steps ahead the largest tiles have the CPU fetch the row of B into the first cache: they often read
# their panel of B from the second one, again for each row of tiles. Smaller tiles have no time for it.
_STEPS_AHEAD = 4

_SHAPES = [(rows, vectors) for vectors in range(1, VECTORS + 1) for rows in range(1, ROWS[vectors - 1] + 1)]
_SHAPES += [(1, vectors) for vectors in range(VECTORS + 1, ROW_VECTORS + 1)]
#: Whether there are tiles of half a vector, whose `vectors` is 0. A CPU may load as many bytes a cycle
#: in whole vectors of AVX-512 as in two halves, so that a narrow C takes half the time with halves.
HAS_HALVES = VECTOR_BYTES == 64
if HAS_HALVES:
    _SHAPES += [(rows, 0) for rows in range(1, ROWS[0] + 1)]


def emit_function(context, builder, name, args, dtype, append):
    """Call a function whose code `append` appends: it is there once, not merged into each caller."""
    number = context.get_data_type(dtype)
    itemsize = context.get_abi_sizeof(number)
    name = f"fastnn_{name}_{8 * itemsize}"
    function = builder.module.globals.get(name)
    if function is None:
        signature = ir.FunctionType(ir.VoidType(), [I64] * len(args))
        function = ir.Function(builder.module, signature, name)
        function.linkage = "linkonce_odr"  # modules that are linked share it
        function.attributes.add("noinline")
        function.attributes.add("nounwind")
        append(ir.IRBuilder(function.append_basic_block()), number, itemsize, *function.args)
    builder.call(function, args)
    return context.get_dummy_value()


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
        return emit_function(context, builder, "tile", args[:-1], dtype.dtype, _append_tiles)

    numbers = (rows, vectors, k, a, a_row, a_step, b, b_row, start, start_row, c, c_row, end, last)
    return types.void(*numbers, dtype), codegen


def _append_tiles(builder, number, itemsize, rows, vectors, *rest):
    """Append the code of all shapes of tiles, which return."""
    blocks = [builder.append_basic_block("tile") for _ in _SHAPES]
    switch = builder.switch(builder.add(builder.mul(vectors, I64(16)), rows), blocks[0])
    for shape, block in zip(_SHAPES, blocks, strict=True):
        switch.add_case(I64(16 * shape[1] + shape[0]), block)
        builder.position_at_end(block)
        width = VECTOR_BYTES if shape[1] > 0 else VECTOR_BYTES // 2
        _tile(Vectors(builder, number, itemsize, width), (shape[0], max(shape[1], 1)), *rest)
        builder.ret_void()


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
    sums = v.sums_from(starts, entry, with_start)
    for block in (entry, with_start):
        for value, first in ((left, k), (along, I64(0)), (b_at, b)):
            value.add_incoming(first, block)
    builder.cbranch(builder.icmp_signed(">", left, I64(0)), body, store)

    builder.position_at_end(body)
    if vectors == VECTORS and 2 * rows > ROWS[-1]:
        ahead = builder.gep(b_at, [builder.mul(b_row, I64(_STEPS_AHEAD))])
        for line in range(0, vectors * VECTOR_BYTES, CACHE_LINE):
            v.prefetch(builder.gep(ahead, [I64(line // v.itemsize)]), write=False)
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


@intrinsic
def dots(typingctx, rows, columns, k, a, a_row, b, b_row, start, c, dtype):
    """Write ``C = start + A B'``, of at most `dot_rows` rows and `dot_columns` columns, as dot products.

    Row r of A is the k numbers at ``a[r * a_row]``, column j of B' those at ``b[j * b_row]``; element
    j of `start` is added to column j, unless `start` is the address 0. The rows of C lie one after the
    other. A sum is that of its lanes' sums, each of every `lanes`-th number, in the order of a tree.
    """

    def codegen(context, builder, sig, args):
        return emit_function(context, builder, "dots", args[:-1], dtype.dtype, _append_dots)

    return types.void(rows, columns, k, a, a_row, b, b_row, start, c, dtype), codegen


@force_inline
def dot_columns(lanes):
    """Most columns of `dots`: with more the lanes of a tile are as busy."""
    return max(1, lanes // 4)


@force_inline
def dot_rows(columns, lanes):
    """How many rows `dots` takes at once: each of its sums becomes a lane of a single vector."""
    return min(8, lanes // columns) if columns < 3 else lanes // 4


def _append_dots(builder, number, itemsize, rows, columns, *rest):
    """Append the code for all numbers of columns, which returns."""
    v = Vectors(builder, number, itemsize)
    counts = range(1, dot_columns.py_func(v.lanes) + 1)
    blocks = [builder.append_basic_block("dots") for _ in counts]
    switch = builder.switch(columns, blocks[0])
    for count, block in zip(counts, blocks, strict=True):
        switch.add_case(I64(count), block)
        builder.position_at_end(block)
        _dots(v, count, rows, *rest)
        builder.ret_void()


def _dots(v, columns, rows, k, a, a_row, b, b_row, start, c):
    """Append the code of `dots` for so many columns."""
    builder, lanes = v.builder, v.lanes
    height = dot_rows.py_func(columns, lanes)
    has_start = builder.icmp_signed("!=", start, I64(0))
    a, b, start, c = (v.pointer(x) for x in (a, b, start, c))
    last = builder.sub(rows, I64(1))  # rows that do not exist are the last again
    numbers = [builder.select(builder.icmp_signed("<", I64(r), rows), I64(r), last) for r in range(height)]
    a_rows = [builder.gep(a, [v.hidden(builder.mul(a_row, r))]) for r in numbers]
    b_rows = [builder.gep(b, [builder.mul(b_row, I64(j))]) for j in range(columns)]

    def add(sums, i, mask):
        b_vectors = [v.load(v.at(row, i), mask) for row in b_rows]
        added = []
        for row, totals in zip(a_rows, sums, strict=True):
            a_vector = v.load(v.at(row, i), mask)
            added.append([v.fma(a_vector, x, total) for x, total in zip(b_vectors, totals, strict=True)])
        return added

    entry = builder.block
    head, body, rest, part, over = (
        builder.append_basic_block(x) for x in ("head", "body", "rest", "part", "over")
    )
    builder.branch(head)
    builder.position_at_end(head)
    i = builder.phi(I64)
    i.add_incoming(I64(0), entry)
    sums = [[builder.phi(v.type) for _ in b_rows] for _ in a_rows]
    after = builder.add(i, I64(lanes))
    builder.cbranch(builder.icmp_signed("<=", after, k), body, rest)

    builder.position_at_end(body)
    for totals, added in zip(sums, add(sums, i, None), strict=True):
        for total, value in zip(totals, added, strict=True):
            total.add_incoming(v.zero, entry)
            total.add_incoming(value, body)
    i.add_incoming(after, body)
    v.repeat(head)

    builder.position_at_end(rest)
    builder.cbranch(builder.icmp_signed("<", i, k), part, over)
    builder.position_at_end(part)
    more = add(sums, i, v.first_lanes(builder.sub(k, i)))
    builder.branch(over)

    builder.position_at_end(over)
    each = [v.zero] * lanes
    place = lanes // height  # lanes for each row, of which `columns` are used
    for r, row in enumerate(zip(sums, more, strict=True)):
        for j, (whole, with_part) in enumerate(zip(*row, strict=True)):
            each[r * place + j] = builder.phi(v.type)
            each[r * place + j].add_incoming(whole, rest)
            each[r * place + j].add_incoming(with_part, part)
    lane_row = [(x // columns * place + x % columns) if x < height * columns else 0 for x in range(lanes)]
    total = v.shuffle(v.sums(each), v.zero, lane_row)
    with builder.if_then(has_start):
        first = v.load(v.at(start, I64(0)), v.first_lanes(I64(columns)))
        with_start = builder.fadd(total, v.shuffle(first, v.zero, [x % columns for x in range(lanes)]))
        started = builder.block
    result = builder.phi(v.type)
    result.add_incoming(total, over)
    result.add_incoming(with_start, started)
    v.store(result, v.at(c, I64(0)), v.first_lanes(builder.mul(rows, I64(columns))))
