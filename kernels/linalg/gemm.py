"""Matrix products C = start + A B, A' B and A B', out of the micro-kernels in `tile`.

Where B is transposed, or large and its rows lie far apart, panels of it, one as wide as a tile and so high
that a tile's rows of A fit into the first cache, are copied together first (`pack`), and so are the tiles of
an A that is transposed and whose rows lie far apart. C takes up where the last panels left it (K. Goto and
R. van de Geijn, *Anatomy of High-Performance Matrix Multiplication*, ACM TOMS 34(3), 2008).

The routine is large, so that it is compiled once: the layers' entries call it by its address.

Every element of C is summed over k in the same order by fused multiply-adds, whatever tile it falls
into and packed or not, so that a row of A B does not depend on the rows around it: few columns are
computed as dot products, in an order of their own, by what k and n are. Of A B' a single row is, too.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from ..lowlevel._jit import FORCE_INLINE_OPTIONS, INTERPRETED, force_inline, inline_ir, kernel
from ..lowlevel.simd import address, fma, view
from ..lowlevel.vector_ir import I64, VECTOR_BYTES
from .pack import pack_columns, pack_rows
from .tile import HAS_HALVES, ROW_VECTORS, ROWS, VECTORS, dot_columns, dot_rows, dots, tile

# Most bytes of a row of A that meet a packed panel: a tile's rows of them, which each panel reads again, stay
# in the first cache. The more they are, the less often C is read and written.
_DEPTH_BYTES = 2048
# So much of B is packed at a time, and behind it so much of A: both stay in the second cache.
PACK_ROWS, PACK_COLUMNS, PACK_A_COLUMNS = 256, 192, 256
# Below so many rows of A the copy costs more than it saves. A matrix is read where it lies if its rows are
# less than so many bytes apart: many of them fit into the first cache side by side.
_PACK_FROM_ROWS, _FAR = 24, 2048
# A B of up to so many bytes stays in the first cache, or in the second one.
_FIRST_CACHE, _SECOND_CACHE = 16384, 1 << 19
# From so many bytes on B is read from end to end for a single row of A.
_ADD_ROWS_FROM_BYTES = 1 << 17

# Four such rows fit into `pack`; no more are copied there as the columns of B, or as C'.
_LONGEST = PACK_ROWS * PACK_COLUMNS // 4
# A C' is copied to C, which is worth it from so many steps of k on.
_TURN_FROM = 8

# Of `product_entry`: m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack.
_ARGUMENTS = 12


@kernel
def _add_rows(k, a, a_step, n, b, b_row, start, c, dtype, itemsize):
    """Write C, of one row, at the address `c`: the rows of B are read from end to end, four at a time."""
    a, c = view(a, (k - 1) * a_step + 1, dtype), view(c, n, dtype)
    if start != 0:
        first = view(start, n, dtype)
        for j in range(n):
            c[j] = first[j]
    else:
        for j in range(n):
            c[j] = c.dtype.type(0)
    row_bytes = b_row * itemsize
    i = 0
    while i + 4 <= k:
        a0, a1, a2, a3 = a[i * a_step], a[(i + 1) * a_step], a[(i + 2) * a_step], a[(i + 3) * a_step]
        b0, b1 = view(b, n, dtype), view(b + row_bytes, n, dtype)
        b2, b3 = view(b + 2 * row_bytes, n, dtype), view(b + 3 * row_bytes, n, dtype)
        for j in range(n):
            c[j] = fma(a3, b3[j], fma(a2, b2[j], fma(a1, b1[j], fma(a0, b0[j], c[j]))))
        i += 4
        b += 4 * row_bytes
    while i < k:
        a0, b0 = a[i * a_step], view(b, n, dtype)
        for j in range(n):
            c[j] = fma(a0, b0[j], c[j])
        i += 1
        b += row_bytes


@inline_ir
def _row_product(k, a, a_step, n, b, b_row, start, c, dtype, itemsize):
    # Writes C, of one row.
    lanes = VECTOR_BYTES // itemsize
    width = ROW_VECTORS * lanes
    if n > width and k * n * itemsize > _ADD_ROWS_FROM_BYTES:
        _add_rows(k, a, a_step, n, b, b_row, start, c, dtype, itemsize)
    else:
        for j in range(0, n, width):
            count, skip = min(width, n - j), j * itemsize
            vectors = (count + lanes - 1) // lanes
            begin, end = start + skip if start != 0 else 0, (vectors - 1) * lanes
            tile(1, vectors, k, a, 0, a_step, b + skip, b_row, begin, 0, c + skip, 0, end, count - end, dtype)


@force_inline
def _vectors(n, lanes):
    # Of a tile of so many columns; 0 is half a vector: see `tile`.
    return 0 if HAS_HALVES and 2 * n <= lanes else (n + lanes - 1) // lanes


@kernel
def _transpose(rows, columns, source, target, dtype):
    # Writes the matrix at the target, of `columns` rows. The inner loop is the longer one.
    x, y = view(source, (rows, columns), dtype), view(target, (columns, rows), dtype)
    if rows < columns:
        for i in range(rows):
            for j in range(columns):
                y[j, i] = x[i, j]
    else:
        for j in range(columns):
            for i in range(rows):
                y[j, i] = x[i, j]


@kernel
def _dot_product(m, n, k, a, a_row, b, b_row, start, c, dtype, itemsize):
    # Writes C, of few columns; `b_row` is from column to column of B.
    lanes = VECTOR_BYTES // itemsize
    height = dot_rows(n, lanes)
    for row in range(0, m, height):
        rows = min(height, m - row)
        dots(rows, n, k, a + row * a_row * itemsize, a_row, b, b_row, start, c + row * n * itemsize, dtype)


@force_inline
def _first(number, size, larger):
    # Row of a tile, or vector of a panel: so many of them are larger by one.
    return number * size + min(number, larger)


@kernel
def _pack_tiles(
    first, end, pair, height, higher, a, a_row, a_step, rows, target, width, depth, dtype, itemsize
):
    # Writes the tiles of A from one to another at the target, `pair` of them side by side.
    for t in range(first, end, pair):
        row, last = _first(t, height, higher), _first(min(t + pair, end), height, higher)
        pack_rows(a + row * a_row * itemsize, a_step, rows, last - row, target, width, depth, dtype, itemsize)
        target += width * depth * itemsize


@kernel
def _pack_panels(
    first, end, breadth, broader, b, b_row, b_step, rows, n, target, depth, dtype, itemsize
):  # fmt: skip
    # Writes the panels of B from one to another at the target, one behind the other.
    lanes = VECTOR_BYTES // itemsize
    for p in range(first, end):
        column = _first(p, breadth, broader) * lanes
        width = (breadth + 1 if p < broader else breadth) * lanes
        count, source = min(width, n - column), b + column * b_step * itemsize
        if b_step == 1:
            pack_rows(source, b_row, rows, count, target, width, depth, dtype, itemsize)
        else:
            pack_columns(source, b_step, rows, count, target, width, depth, dtype, itemsize)
        target += width * depth * itemsize


@inline_ir
def _tiled_product(m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack, dtype, itemsize):
    # Writes C, of two rows at least, and `pack` if A or B is packed.
    lanes = VECTOR_BYTES // itemsize
    # A matrix whose rows lie close together is read where it lies.
    many, far = m >= _PACK_FROM_ROWS, b_row * itemsize >= _FAR or (a_step != 1 and k > PACK_ROWS)
    size = k * n * itemsize
    packed = b_step != 1 or (many and size > _FIRST_CACHE and (far or size > _SECOND_CACHE))
    pack_a = many and n >= 64 and a_step * itemsize >= _FAR
    # Tiles are about as high as one another, and panels as wide: small ones are less fast.
    highest = ROWS[min((n + lanes - 1) // lanes, VECTORS) - 1]
    tiles, height, higher = 1, m, 0
    if m > highest:  # otherwise without divisions, which small products would feel
        tiles = (m + highest - 1) // highest
        height, higher = m // tiles, m % tiles  # so many tiles are one row higher
    vectors = (n + lanes - 1) // lanes
    panels, breadth, broader = 1, vectors, 0
    if vectors > VECTORS:
        panels = (vectors + VECTORS - 1) // VECTORS
        breadth, broader = vectors // panels, vectors % panels  # so many panels are one vector wider
    group, depth, is_half = panels, max(k, 1), HAS_HALVES and 2 * n <= lanes
    if packed:  # the fewer rows, the more panels at a time; whole squares are packed
        longest = _DEPTH_BYTES // itemsize
        parts = max((k + longest - 1) // longest, 1)
        depth = max((k + parts * lanes - 1) // (parts * lanes), 1) * lanes
        group = PACK_ROWS * PACK_COLUMNS // (depth * VECTORS * lanes)
    block, pair, a_width = tiles, 1, 1
    if pack_a:  # so many tiles are copied together, two by two if a vector holds them
        a_width, pair = max(lanes, 8), 2 if lanes >= 2 * highest else 1
        block = pair if panels <= group else PACK_A_COLUMNS * PACK_ROWS // (a_width * depth) * pair
    a_pack = pack + PACK_COLUMNS * PACK_ROWS * itemsize
    for i in range(0, max(k, 1), depth):  # an empty sum still writes its start
        rows, b_rows = min(depth, k - i), b + i * b_row * itemsize
        for first_tile in range(0, tiles, block):
            end_tile = min(first_tile + block, tiles)
            if pack_a:
                source = a + i * a_step * itemsize
                _pack_tiles(
                    first_tile, end_tile, pair, height, higher, source, a_row, a_step, rows,
                    a_pack, a_width, depth, dtype, itemsize
                )  # fmt: skip
            for first_panel in range(0, panels, group):
                end_panel = min(first_panel + group, panels)
                column = _first(first_panel, breadth, broader) * lanes
                if packed and (first_tile == 0 or panels > group):
                    _pack_panels(
                        first_panel, end_panel, breadth, broader, b_rows, b_row, b_step,
                        rows, n, pack, depth, dtype, itemsize
                    )  # fmt: skip
                for t in range(first_tile, end_tile):
                    row, tall = _first(t, height, higher), height + 1 if t < higher else height
                    a_tile, a_tile_row, a_tile_step = a + (row * a_row + i * a_step) * itemsize, a_row, a_step
                    if pack_a:
                        number, second = (t - first_tile) // pair, (t - first_tile) % pair
                        skip = row - _first(t - second, height, higher)
                        a_tile = a_pack + (number * a_width * depth + skip) * itemsize
                        a_tile_row, a_tile_step = 1, a_width
                    to_c, left = c + (row * n + column) * itemsize, n - column
                    begin, begin_row = start + column * itemsize if start != 0 else 0, 0
                    if i > 0:
                        begin, begin_row = to_c, n
                    panel = pack if packed else b_rows + column * itemsize
                    for p in range(first_panel, end_panel):
                        wide = breadth + 1 if p < broader else breadth
                        size, end = wide * VECTOR_BYTES, (wide - 1) * lanes
                        if left < end + lanes and not packed and n > lanes:
                            # The last vector ends where the row does: some columns are computed twice.
                            end = left - lanes
                        tile(
                            tall, 0 if is_half else wide, rows, a_tile, a_tile_row, a_tile_step,
                            panel, wide * lanes if packed else b_row, begin, begin_row, to_c, n,
                            end, min(lanes, left - end), dtype
                        )  # fmt: skip
                        left -= wide * lanes
                        to_c += size
                        begin = begin + size if begin != 0 else 0
                        panel += size * depth if packed else size


@kernel
def _product(m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack, dtype, itemsize):
    # Writes C, and `pack` if B is packed or C' computed.
    lanes = VECTOR_BYTES // itemsize
    narrow = n <= dot_columns(lanes)
    dots_of_rows = narrow and a_step == 1 and (n == 1 or n * lanes <= k <= _LONGEST)
    if dots_of_rows and n > 1 and b_row != 1:  # the columns of B are copied together
        _transpose(k, n, b, pack, dtype)
        b, b_step = pack, k
    elif not dots_of_rows and m == 1 and b_step != 1:  # C' = B' A'; there is no start
        m, n, a, a_row, b, b_step, start, dots_of_rows = n, 1, b, b_step, a, 0, 0, True
    if dots_of_rows:
        _dot_product(m, n, k, a, a_row, b, b_step, start, c, dtype, itemsize)
        return
    if m <= ROWS[0] and n <= lanes and b_step == 1:  # a single tile
        tile(m, _vectors(n, lanes), k, a, a_row, a_step, b, b_row, start, 0, c, n, 0, n, dtype)
        return
    # With A transposed and C narrow, C' = B' A' is wide and A' at hand as rows.
    to_narrow = c
    turned = (
        narrow and a_row == 1 and start == 0 and n < m and (n == 1 or (k >= _TURN_FROM and m <= _LONGEST))
    )
    if turned:
        m, n, a, a_row, a_step, b, b_row, b_step = n, m, b, b_step, b_row, a, a_step, a_row
        c = pack if m > 1 else c
    if m == 1:
        _row_product(k, a, a_step, n, b, b_row, start, c, dtype, itemsize)
        return
    _tiled_product(m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack, dtype, itemsize)
    if turned:
        _transpose(m, n, pack, to_narrow, dtype)


def product_entry(T):
    """Op: the arguments of `_product` up to `pack`, an int64 array at the first address -> C, `pack`."""
    itemsize = np.dtype(T).itemsize

    def product_op(arguments, _):
        x = view(arguments, _ARGUMENTS, np.int64)
        _product(
            x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9], x[10], x[11], T, itemsize
        )  # fmt: skip

    return product_op


@intrinsic
def _call_product(typingctx, product, m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack):
    """Call the compiled `product_entry` at the address `product`."""

    def codegen(context, builder, sig, args):
        array = cgutils.alloca_once(builder, I64, _ARGUMENTS)
        for i, arg in enumerate(args[1:]):
            builder.store(arg, builder.gep(array, [I64(i)]))
        function = builder.inttoptr(args[0], ir.FunctionType(ir.VoidType(), [I64, I64]).as_pointer())
        builder.call(function, [builder.ptrtoint(array, I64), I64(0)])
        return context.get_dummy_value()

    return types.void(*[types.int64] * (1 + _ARGUMENTS)), codegen


def multiply(product, m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack, dtype, itemsize):
    """Write C = start + A B, of shape (m, n) and contiguous, and the memory at `pack`; in compiled code only.

    Matrices are addresses, with the elements from row to row and from column to column; A or B is transposed
    where the latter are not 1. `product`, `start` and `pack` are as in `matmul`, the last two as addresses.
    """
    raise TypeError("compiled code only")


@overload(multiply, jit_options=FORCE_INLINE_OPTIONS)
def _choose_multiply(product, m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack, dtype, itemsize):
    if isinstance(product, types.NoneType):

        def multiply(product, m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack, dtype, itemsize):
            _product(m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack, dtype, itemsize)

    else:

        def multiply(product, m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack, dtype, itemsize):
            _call_product(product, m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack)

    return multiply


@inline_ir
def matmul(product, a, b, start, c, pack):
    """Write ``c = start + a b``, and `pack`.

    Parameters
    ----------
    product : int64 or None
        Address of the compiled `product_entry` of the arrays' dtype; None to compile it in.
    a, b, c : arrays of shape (m, k), (k, n) and (m, n), C order
    start : array of shape (n,), added to every row, or (0,)
    pack : array of shape (PACK_SIZE,)
    """
    begin, copy = address(start) if start.size > 0 else 0, address(pack)
    m, k, n = a.shape[0], a.shape[1], b.shape[1]
    multiply(
        product, m, n, k, address(a), k, 1, address(b), n, 1, begin, address(c), copy, a.dtype, a.itemsize
    )  # fmt: skip


@inline_ir
def matmul_transposed_a(product, a, first, b, c, pack):
    """Write ``c = a[:, first : first + m]' b``, and `pack`.

    Parameters
    ----------
    product, pack
        As in `matmul`.
    a, b, c : arrays of shape (k, columns), (k, n) and (m, n), C order
    first : int
    """
    copy, columns = address(pack), address(a) + first * a.itemsize
    k, m, n, step = a.shape[0], c.shape[0], b.shape[1], a.shape[1]
    multiply(product, m, n, k, columns, 1, step, address(b), n, 1, 0, address(c), copy, a.dtype, a.itemsize)


@inline_ir
def matmul_transposed_b(product, a, b, c, pack):
    """Write ``c = a b'``, and `pack`.

    Parameters
    ----------
    product
        As in `matmul`.
    a, b, c : arrays of shape (m, k), (n, k) and (m, n), C order
    pack : array of shape (PACK_SIZE,)
    """
    copy = address(pack)
    m, k, n = a.shape[0], a.shape[1], b.shape[0]
    multiply(
        product, m, n, k, address(a), k, 1, address(b), 1, k, 0, address(c), copy, a.dtype, a.itemsize
    )  # fmt: skip


if INTERPRETED:

    def matmul(product, a, b, start, c, pack):  # noqa: F811
        """Write ``c = start + a b`` in plain NumPy."""
        c[...] = a @ b + (start if start.size else 0)

    def matmul_transposed_a(product, a, first, b, c, pack):  # noqa: F811
        """Write ``c = a[:, first : first + m]' b`` in plain NumPy."""
        c[...] = a[:, first : first + len(c)].T @ b

    def matmul_transposed_b(product, a, b, c, pack):  # noqa: F811
        """Write ``c = a b'`` in plain NumPy."""
        c[...] = a @ b.T
