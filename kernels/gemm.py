"""Matrix product: C = start + A B and C = A' B, by a register-blocked micro-kernel.

The micro-kernel keeps a tile of C, some rows high and some vector registers wide, in registers while
it walks over k. Each step loads the tile's part of one row of B once and multiplies it with one
number of each row of A. `_tile` writes that loop for a given number of rows and vectors; all shapes
come from it, and what is left over at the right edge is masked off (K. Goto and R. van de Geijn,
*Anatomy of High-Performance Matrix Multiplication*, ACM TOMS 34(3), 2008).

Every element of C is summed over k in the same order by fused multiply-adds, whatever tile it falls
into, so that a row's result does not depend on the rows around it.
"""

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

from ._jit import INTERPRETED, kernel
from .simd import address

_I1, _I32, _I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)


def _vector_bytes():
    """Width of the host's vector registers in bytes."""
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx2") and features.get("fma") else 16


VECTOR_BYTES = _vector_bytes()
# A tile of 8 x 3 needs 24 registers of the 32 that AVX-512 and ARM have; 4 x 3 fits into 16.
TILE_ROWS = 4 if VECTOR_BYTES == 32 else 8
TILE_VECTORS = 3


def _tile(rows, vectors):
    """Micro-kernel for a tile of `rows` rows and `vectors` vectors, as an intrinsic.

    ``tile(k, a, a_row, a_step, b, start, c, n, last, dtype)``: `a`, `b`, `start` and `c` are
    addresses of the tile's first elements; the element of A in row r and at position i of k is
    ``a[r * a_row + i * a_step]``; rows of B and C are `n` elements long; `start` is a row of n
    numbers or the address 0 for zeros; the last vector has `last` valid lanes. Writes C.
    """

    @intrinsic
    def tile(typingctx, k, a, a_row, a_step, b, start, c, n, last, dtype):
        def codegen(context, builder, sig, args):
            k, a, a_row, a_step, b, start, c, n, last, _ = args
            number = context.get_data_type(dtype.dtype)
            itemsize = context.get_abi_sizeof(number)
            lanes = VECTOR_BYTES // itemsize
            vector = ir.VectorType(number, lanes)
            zero = ir.Constant(vector, [0.0] * lanes)
            lane = ir.Constant(ir.VectorType(_I64, lanes), list(range(lanes)))
            mask = builder.icmp_signed("<", lane, _splat(builder, last, lanes))
            a, b, start, c = (builder.inttoptr(x, number.as_pointer()) for x in (a, b, start, c))

            def vectors_at(base, offset):
                """Pointers to a row's vectors; the last of them is the masked one."""
                offsets = [builder.add(offset, _I64(v * lanes)) for v in range(vectors)]
                return [builder.bitcast(builder.gep(base, [o]), vector.as_pointer()) for o in offsets]

            def load_row(base, offset):
                *full, edge = vectors_at(base, offset)
                row = [builder.load(pointer, align=itemsize) for pointer in full]
                return [*row, _masked_load(builder, edge, itemsize, mask, zero)]

            def store_row(base, offset, row):
                *full, edge = vectors_at(base, offset)
                for pointer, value in zip(full, row[:-1], strict=True):
                    builder.store(value, pointer, align=itemsize)
                _masked_store(builder, row[-1], edge, itemsize, mask)

            entry = builder.block
            load_start, head, body, done = (
                builder.append_basic_block(name) for name in ("start", "head", "body", "done")
            )
            is_zero = builder.icmp_signed("==", args[5], _I64(0))
            builder.cbranch(is_zero, head, load_start)

            builder.position_at_end(load_start)
            start_row = load_row(start, _I64(0))
            builder.branch(head)

            builder.position_at_end(head)
            i = builder.phi(_I64)
            i.add_incoming(_I64(0), entry)
            i.add_incoming(_I64(0), load_start)
            sums = [[builder.phi(vector) for _ in range(vectors)] for _ in range(rows)]
            for row in sums:
                for total, first in zip(row, start_row, strict=True):
                    total.add_incoming(zero, entry)
                    total.add_incoming(first, load_start)
            builder.cbranch(builder.icmp_signed("<", i, k), body, done)

            builder.position_at_end(body)
            b_row = load_row(b, builder.mul(i, n))
            along = builder.mul(i, a_step)
            for r, row in enumerate(sums):
                offset = builder.add(builder.mul(a_row, _I64(r)), along)
                factor = _splat(builder, builder.load(builder.gep(a, [offset])), lanes)
                for total, b_vector in zip(row, b_row, strict=True):
                    total.add_incoming(_fma(builder, factor, b_vector, total), body)
            i.add_incoming(builder.add(i, _I64(1)), body)
            builder.branch(head)

            builder.position_at_end(done)
            for r, row in enumerate(sums):
                store_row(c, builder.mul(n, _I64(r)), row)
            return context.get_dummy_value()

        return types.void(k, a, a_row, a_step, b, start, c, n, last, dtype), codegen

    return tile


def _splat(builder, number, lanes):
    """Vector with `number` in every lane."""
    undefined = ir.Constant(ir.VectorType(number.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, number, _I32(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes))


def _masked_load(builder, pointer, align, mask, otherwise):
    return _call(builder, "llvm.masked.load.{}.p0", otherwise.type, [pointer, _I32(align), mask, otherwise])


def _masked_store(builder, value, pointer, align, mask):
    _call(builder, "llvm.masked.store.{}.p0", ir.VoidType(), [value, pointer, _I32(align), mask])


def _fma(builder, a, b, c):
    return _call(builder, "llvm.fma.{}", c.type, [a, b, c])


def _call(builder, name, result, args):
    """Call an LLVM intrinsic whose name ends in the type of its vector argument."""
    vector = args[0].type if isinstance(args[0].type, ir.VectorType) else args[-1].type
    element = "f32" if vector.element == ir.FloatType() else "f64"
    name = name.format(f"v{vector.count}{element}")
    signature = ir.FunctionType(result, [arg.type for arg in args])
    function = builder.module.globals.get(name) or ir.Function(builder.module, signature, name)
    return builder.call(function, args)


def _panel(vectors):
    """Kernel for all rows of a panel of C that is `vectors` vectors wide."""
    largest, four, two, one = (_tile(rows, vectors) for rows in (TILE_ROWS, 4, 2, 1))

    @kernel
    def panel(m, k, a, a_row, a_step, b, start, c, n, last, dtype, itemsize):
        # Writes C.
        i = 0
        a_bytes, c_bytes = a_row * itemsize, n * itemsize
        while i + TILE_ROWS <= m:
            largest(k, a + i * a_bytes, a_row, a_step, b, start, c + i * c_bytes, n, last, dtype)
            i += TILE_ROWS
        if TILE_ROWS > 4 and i + 4 <= m:
            four(k, a + i * a_bytes, a_row, a_step, b, start, c + i * c_bytes, n, last, dtype)
            i += 4
        if i + 2 <= m:
            two(k, a + i * a_bytes, a_row, a_step, b, start, c + i * c_bytes, n, last, dtype)
            i += 2
        if i < m:
            one(k, a + i * a_bytes, a_row, a_step, b, start, c + i * c_bytes, n, last, dtype)

    return panel


_one, _two, _three = (_panel(vectors) for vectors in range(1, TILE_VECTORS + 1))


@kernel
def _product(m, n, k, a, a_row, a_step, b, start, c, dtype, itemsize):
    # Writes C, panel by panel; the panels' widths differ by one vector at most.
    lanes = VECTOR_BYTES // itemsize
    total = (n + lanes - 1) // lanes
    panels = (total + TILE_VECTORS - 1) // TILE_VECTORS
    for p in range(panels):
        first, end = p * total // panels, (p + 1) * total // panels
        last = min(lanes, n - (end - 1) * lanes)
        skip = first * VECTOR_BYTES
        row = start + skip if start != 0 else 0
        if end - first == 3:
            _three(m, k, a, a_row, a_step, b + skip, row, c + skip, n, last, dtype, itemsize)
        elif end - first == 2:
            _two(m, k, a, a_row, a_step, b + skip, row, c + skip, n, last, dtype, itemsize)
        else:
            _one(m, k, a, a_row, a_step, b + skip, row, c + skip, n, last, dtype, itemsize)


@kernel
def matmul(a, b, start, c):
    """Write ``c = start + a b``.

    Parameters
    ----------
    a, b, c : arrays of shape (m, k), (k, n) and (m, n), C order
    start : array of shape (n,), added to every row, or (0,)
    """
    first = address(start) if start.size > 0 else 0
    m, k, n = a.shape[0], a.shape[1], b.shape[1]
    _product(m, n, k, address(a), k, 1, address(b), first, address(c), a.dtype, a.itemsize)


@kernel
def matmul_transposed(a, b, c):
    """Write ``c = a' b``.

    Parameters
    ----------
    a, b, c : arrays of shape (k, m), (k, n) and (m, n), C order
    """
    k, m, n = a.shape[0], a.shape[1], b.shape[1]
    _product(m, n, k, address(a), 1, m, address(b), 0, address(c), a.dtype, a.itemsize)


if INTERPRETED:

    def matmul(a, b, start, c):  # noqa: F811
        """Write ``c = start + a b`` in plain NumPy."""
        c[...] = a @ b + (start if start.size else 0)

    def matmul_transposed(a, b, c):  # noqa: F811
        """Write ``c = a' b`` in plain NumPy."""
        c[...] = a.T @ b
