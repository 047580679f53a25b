"""Matrix products C = start + A B, A' B and A B', by a register-blocked micro-kernel.

The micro-kernel keeps a tile of C, some rows high and some vector registers wide, in registers while
it walks over k. Each step loads the tile's part of one row of B once and multiplies it with one
number of each row of A. `_tile` writes that loop for a given number of rows and vectors; all shapes
come from it, and what is left over at the right edge is masked off (K. Goto and R. van de Geijn,
*Anatomy of High-Performance Matrix Multiplication*, ACM TOMS 34(3), 2008).

Rows of B that are far apart, or that are columns of B', are copied together first, a panel of
`PACK_ROWS` rows at a time; C then takes up where the last panel left it.

The routine is large, so that it is compiled once: the layers' entries call it by its address.

Every element of C is summed over k in the same order by fused multiply-adds, whatever tile it falls
into and packed or not, so that a row's result does not depend on the rows around it.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from ._jit import INLINE_OPTIONS, INTERPRETED, kernel, splice
from .oprow import PACK_SIZE
from .pack import pack_columns, pack_rows
from .simd import address, view
from .vector_ir import I64, VECTOR_BYTES, Vectors

# A tile of 8 x 3 needs 24 registers of the 32 that AVX-512 and ARM have; 4 x 3 fits into 16.
TILE_ROWS = 4 if VECTOR_BYTES == 32 else 8
TILE_VECTORS = 3

# So many panels of B side by side are packed at a time, which together stay in the second cache: more
# than one, because a part of a row of B is read the faster the longer it is.
PACK_PANELS = 4
PACK_ROWS = PACK_SIZE // (PACK_PANELS * TILE_VECTORS * 16)
# Below so many rows of A the copy costs more than it saves, and rows of B of up to so many bytes
# are read as fast as a copy.
_PACK_FROM_ROWS, _PACK_FROM_BYTES = 16, 2048

# Of `product_entry`: m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack.
_ARGUMENTS = 12


def _tile(rows, vectors):
    """Micro-kernel for a tile of `rows` rows and `vectors` vectors, as an intrinsic.

    ``tile(k, a, a_row, a_step, b, b_row, start, start_row, c, c_row, last, dtype)``: `a`, `b`,
    `start` and `c` are addresses of the tile's first elements, and the steps count elements: that
    of A in row r at position i of k is ``a[r * a_row + i * a_step]``. `start` is what the sum
    begins with, or the address 0 for zeros. The last vector has `last` valid lanes. Writes C.
    """

    @intrinsic
    def tile(typingctx, k, a, a_row, a_step, b, b_row, start, start_row, c, c_row, last, dtype):
        def codegen(context, builder, sig, args):
            k, a, a_row, a_step, b, b_row, start, start_row, c, c_row, last, _ = args
            number = context.get_data_type(dtype.dtype)
            v = Vectors(builder, number, context.get_abi_sizeof(number))
            masks = [None] * (vectors - 1) + [v.first_lanes(last)]
            is_zero = builder.icmp_signed("==", start, I64(0))
            a, b, start, c = (v.pointer(x) for x in (a, b, start, c))

            def pointers(base, offset):
                return [v.at(base, builder.add(offset, I64(i * v.lanes))) for i in range(vectors)]

            def load_row(base, offset):
                return [v.load(p, mask) for p, mask in zip(pointers(base, offset), masks, strict=True)]

            for r in range(rows):  # C arrives while the loop runs
                for target in pointers(c, builder.mul(c_row, I64(r))):
                    v.prefetch(target, write=True)
            entry = builder.block
            load_start, head, body, done = (
                builder.append_basic_block(name) for name in ("start", "head", "body", "done")
            )
            builder.cbranch(is_zero, head, load_start)

            builder.position_at_end(load_start)
            starts = [load_row(start, builder.mul(start_row, I64(r))) for r in range(rows)]
            builder.branch(head)

            builder.position_at_end(head)
            i = builder.phi(I64)
            i.add_incoming(I64(0), entry)
            i.add_incoming(I64(0), load_start)
            sums = [[builder.phi(v.type) for _ in range(vectors)] for _ in range(rows)]
            for row, firsts in zip(sums, starts, strict=True):
                for total, first in zip(row, firsts, strict=True):
                    total.add_incoming(v.zero, entry)
                    total.add_incoming(first, load_start)
            builder.cbranch(builder.icmp_signed("<", i, k), body, done)

            builder.position_at_end(body)
            b_vectors = load_row(b, builder.mul(i, b_row))
            along = builder.mul(i, a_step)
            for r, row in enumerate(sums):
                offset = builder.add(builder.mul(a_row, I64(r)), along)
                factor = v.splat(builder.load(builder.gep(a, [offset])))
                for total, b_vector in zip(row, b_vectors, strict=True):
                    total.add_incoming(v.fma(factor, b_vector, total), body)
            i.add_incoming(builder.add(i, I64(1)), body)
            builder.branch(head)

            builder.position_at_end(done)
            for r, row in enumerate(sums):
                targets = pointers(c, builder.mul(c_row, I64(r)))
                for total, target, mask in zip(row, targets, masks, strict=True):
                    v.store(total, target, mask)
            return context.get_dummy_value()

        signature = types.void(k, a, a_row, a_step, b, b_row, start, start_row, c, c_row, last, dtype)
        return signature, codegen

    return tile


def _panel(vectors):
    """Kernel for all rows of a panel of C that is `vectors` vectors wide."""
    largest, four, two, one = (_tile(rows, vectors) for rows in (TILE_ROWS, 4, 2, 1))

    @splice
    def panel(m, k, a, a_row, a_step, b, b_row, start, start_row, c, c_row, last, dtype, itemsize):
        # Writes C.
        i = 0
        a_bytes, start_bytes, c_bytes = a_row * itemsize, start_row * itemsize, c_row * itemsize
        while i + TILE_ROWS <= m:
            largest(k, a, a_row, a_step, b, b_row, start, start_row, c, c_row, last, dtype)
            i += TILE_ROWS
            a += TILE_ROWS * a_bytes
            start += TILE_ROWS * start_bytes
            c += TILE_ROWS * c_bytes
        if TILE_ROWS > 4 and i + 4 <= m:
            four(k, a, a_row, a_step, b, b_row, start, start_row, c, c_row, last, dtype)
            i += 4
            a += 4 * a_bytes
            start += 4 * start_bytes
            c += 4 * c_bytes
        if i + 2 <= m:
            two(k, a, a_row, a_step, b, b_row, start, start_row, c, c_row, last, dtype)
            i += 2
            a += 2 * a_bytes
            start += 2 * start_bytes
            c += 2 * c_bytes
        if i < m:
            one(k, a, a_row, a_step, b, b_row, start, start_row, c, c_row, last, dtype)

    return panel


_one, _two, _three = (_panel(vectors) for vectors in range(1, TILE_VECTORS + 1))


@splice
def _panel_of(vectors, m, k, a, a_row, a_step, b, b_row, start, start_row, c, c_row, last, dtype, itemsize):
    # Writes C.
    if vectors == 3:
        _three(m, k, a, a_row, a_step, b, b_row, start, start_row, c, c_row, last, dtype, itemsize)
    elif vectors == 2:
        _two(m, k, a, a_row, a_step, b, b_row, start, start_row, c, c_row, last, dtype, itemsize)
    else:
        _one(m, k, a, a_row, a_step, b, b_row, start, start_row, c, c_row, last, dtype, itemsize)


@kernel
def _product(m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack, dtype, itemsize):
    # Writes C, and `pack` if B is packed.
    lanes = VECTOR_BYTES // itemsize
    width = TILE_VECTORS * lanes
    wide = m >= _PACK_FROM_ROWS and n * itemsize > _PACK_FROM_BYTES
    packed = b_step != 1 or (wide and pack != 0)
    group, depth = (PACK_PANELS * width, PACK_ROWS) if packed else (n, max(k, 1))
    for j in range(0, n, group):
        columns = min(group, n - j)
        vectors = (columns + lanes - 1) // lanes
        panels = (vectors + TILE_VECTORS - 1) // TILE_VECTORS
        for i in range(0, max(k, 1), depth):  # an empty sum still writes its start
            rows = min(depth, k - i)
            source = b + (i * b_row + j * b_step) * itemsize
            if packed and b_step == 1:
                pack_rows(source, b_row, rows, columns, pack, width, PACK_ROWS, dtype, itemsize)
            elif packed:
                pack_columns(source, b_step, rows, columns, pack, width, PACK_ROWS, dtype, itemsize)
            for p in range(panels):
                if packed:
                    first, end = p * TILE_VECTORS, min((p + 1) * TILE_VECTORS, vectors)
                    panel, panel_row = pack + first * VECTOR_BYTES * PACK_ROWS, width
                else:  # panels as wide as one another: a narrow one is less fast
                    first, end = p * vectors // panels, (p + 1) * vectors // panels
                    panel, panel_row = source + first * VECTOR_BYTES, b_row
                last = min(lanes, columns - (end - 1) * lanes)
                skip = j * itemsize + first * VECTOR_BYTES
                begin, begin_row = start + skip if start != 0 else 0, 0
                if i > 0:
                    begin, begin_row = c + skip, n
                _panel_of(
                    end - first, m, rows, a + i * a_step * itemsize, a_row, a_step, panel, panel_row,
                    begin, begin_row, c + skip, n, last, dtype, itemsize,
                )  # fmt: skip


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


def _multiply(product, m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack, dtype, itemsize):
    raise TypeError("compiled code only")


@overload(_multiply, jit_options=INLINE_OPTIONS)
def _choose_multiply(
    product, m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack, dtype, itemsize
):
    if isinstance(product, types.NoneType):

        def multiply(product, m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack, dtype, itemsize):
            _product(m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack, dtype, itemsize)

    else:

        def multiply(product, m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack, dtype, itemsize):
            _call_product(product, m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack)

    return multiply


@splice
def matmul(product, a, b, start, c, pack):
    """Write ``c = start + a b``, and `pack`.

    Parameters
    ----------
    product : int64 or None
        Address of the compiled `product_entry` of the arrays' dtype; None to compile it in.
    a, b, c : arrays of shape (m, k), (k, n) and (m, n), C order
    start : array of shape (n,), added to every row, or (0,)
    pack : array of shape (PACK_SIZE,), or (0,): then wide matrices are multiplied less fast
    """
    begin = address(start) if start.size > 0 else 0
    copy = address(pack) if pack.size > 0 else 0
    m, k, n = a.shape[0], a.shape[1], b.shape[1]
    _multiply(
        product, m, n, k, address(a), k, 1, address(b), n, 1, begin, address(c), copy, a.dtype, a.itemsize
    )  # fmt: skip


@splice
def matmul_transposed_a(product, a, b, c, pack):
    """Write ``c = a' b``, and `pack`.

    Parameters
    ----------
    product, pack
        As in `matmul`.
    a, b, c : arrays of shape (k, m), (k, n) and (m, n), C order
    """
    copy = address(pack) if pack.size > 0 else 0
    k, m, n = a.shape[0], a.shape[1], b.shape[1]
    _multiply(
        product, m, n, k, address(a), 1, m, address(b), n, 1, 0, address(c), copy, a.dtype, a.itemsize
    )  # fmt: skip


@splice
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
    _multiply(
        product, m, n, k, address(a), k, 1, address(b), 1, k, 0, address(c), copy, a.dtype, a.itemsize
    )  # fmt: skip


if INTERPRETED:

    def matmul(product, a, b, start, c, pack):  # noqa: F811
        """Write ``c = start + a b`` in plain NumPy."""
        c[...] = a @ b + (start if start.size else 0)

    def matmul_transposed_a(product, a, b, c, pack):  # noqa: F811
        """Write ``c = a' b`` in plain NumPy."""
        c[...] = a.T @ b

    def matmul_transposed_b(product, a, b, c, pack):  # noqa: F811
        """Write ``c = a b'`` in plain NumPy."""
        c[...] = a @ b.T
