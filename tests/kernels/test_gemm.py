"""Matrix products against NumPy's in float64: sizes around every edge of a tile, guards, bits, NaN."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn.kernels.abi.oprow import PACK_SIZE
from fastnn.kernels.linalg import gemm
from fastnn.kernels.lowlevel import vector_ir
from fastnn.kernels.lowlevel._jit import INTERPRETED

SIZES = (1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 49, 65, 100)
GUARD = 64
UNTOUCHED = -12345.0
NO_START = slice(0, 0)
# Deeper than a panel that is packed, wider than several, and with remainders in all three.
PACKED_SHAPES = [(24, 3, 521), (25, 300, 530), (33, 513, 1029), (49, 257, 66), (27, 1040, 130)]


class Pool:
    """One stretch of memory; arrays are cut out of it at odd places, with guards around them."""

    def __init__(self, rng, dtype):
        self.rng = rng
        self.memory = np.empty(2 * GUARD + 40_000, dtype)
        self.pack = np.full(PACK_SIZE + 2 * GUARD, UNTOUCHED, dtype)

    def random(self, *shape):
        # One element off, so that no row is aligned to a vector register.
        size = int(np.prod(shape))
        array = self.rng.standard_normal(size + 1).astype(self.memory.dtype)[1:]
        return array.reshape(shape)

    def guarded(self, *shape):
        self.memory.fill(UNTOUCHED)
        size = int(np.prod(shape))
        return self.memory[GUARD + 1 : GUARD + 1 + size].reshape(shape)

    def assert_guards_untouched(self, size):
        assert (self.memory[: GUARD + 1] == UNTOUCHED).all()
        assert (self.memory[GUARD + 1 + size :] == UNTOUCHED).all()
        assert (self.pack[:GUARD] == UNTOUCHED).all()
        assert (self.pack[-GUARD:] == UNTOUCHED).all()


def assert_product(c, a, b, start):
    """Every element within k + 2 roundings of sums as large as its terms'."""
    a, b, start = (array.astype(np.float64) for array in (a, b, start))
    shift = start if start.size else 0.0
    bound = (a.shape[1] + 2) * np.finfo(c.dtype).eps * (np.abs(a) @ np.abs(b) + np.abs(shift))
    error = np.abs(c - (a @ b + shift))
    assert (error <= bound).all(), f"error {error.max()} for m, k, n = {a.shape, b.shape}"


def run_matmul(a, b, start):
    c = np.empty((a.shape[0], b.shape[1]), a.dtype)
    gemm.matmul(None, a, b, start, c, np.empty(PACK_SIZE, a.dtype))
    return c


def run_transposed_a(a, b):
    """The same product, from a matrix whose transpose is the first factor."""
    c = np.empty((a.shape[0], b.shape[1]), a.dtype)
    gemm.matmul_transposed_a(None, np.ascontiguousarray(a.T), 0, b, c, np.empty(PACK_SIZE, a.dtype))
    return c


def run_transposed_b(a, b):
    """The same product, from a matrix whose transpose is the second factor."""
    c = np.empty((a.shape[0], b.shape[1]), a.dtype)
    gemm.matmul_transposed_b(None, a, np.ascontiguousarray(b.T), c, np.empty(PACK_SIZE, a.dtype))
    return c


def check_products(pool, m, k, n):
    """All three products, with and without what the sum starts with; nothing around C is written."""
    pack = pool.pack[GUARD:-GUARD]
    a, b, start = pool.random(m, k), pool.random(k, n), pool.random(n)
    for first in (start, start[NO_START]):
        c = pool.guarded(m, n)
        gemm.matmul(None, a, b, first, c, pack)
        assert_product(c, a, b, first)
        pool.assert_guards_untouched(c.size)
    transposed = pool.random(k, m)
    c = pool.guarded(m, n)
    gemm.matmul_transposed_a(None, transposed, 0, b, c, pack)
    assert_product(c, transposed.T, b, start[NO_START])
    pool.assert_guards_untouched(c.size)
    transposed = pool.random(n, k)
    c = pool.guarded(m, n)
    gemm.matmul_transposed_b(None, a, transposed, c, pack)
    assert_product(c, a, transposed.T, start[NO_START])
    pool.assert_guards_untouched(c.size)


@pytest.mark.parametrize("m", SIZES)
def test_products(m, dtype, rng):
    pool = Pool(rng, dtype)
    for k in SIZES:
        for n in SIZES:
            check_products(pool, m, k, n)


@pytest.mark.parametrize("m, k, n", PACKED_SHAPES)
def test_products_that_are_packed(m, k, n, dtype, rng):
    check_products(Pool(rng, dtype), m, k, n)


def test_an_empty_sum_is_what_it_starts_with(dtype, rng):
    pool = Pool(rng, dtype)
    check_products(pool, 3, 0, 5)
    check_products(pool, 17, 0, 1029)


def test_a_wrong_product_is_caught(dtype, rng):
    a, b, start = (rng.standard_normal(shape).astype(dtype) for shape in [(7, 9), (9, 17), (17,)])
    c = run_matmul(a, b, start)
    c[6, 16] += 40 * np.finfo(dtype).eps * np.abs(a[6]) @ np.abs(b[:, 16])
    with pytest.raises(AssertionError, match="error"):
        assert_product(c, a, b, start)


SAME_BITS = pytest.mark.skipif(
    INTERPRETED, reason="without JIT the product is that of NumPy, which promises no bits"
)


@SAME_BITS
@pytest.mark.parametrize("n", [1, 3, 16, 33, 49, 100])
def test_a_row_has_the_same_bits_wherever_it_stands(n, dtype, rng):
    k, rows = 37, 33
    a, b, start = (rng.standard_normal(shape).astype(dtype) for shape in [(rows, k), (k, n), (n,)])
    for first in (start, start[NO_START]):
        whole = run_matmul(a, b, first)
        for m in range(1, rows + 1):
            for row in {0, 1, 5, rows - m}:
                part, expected = a[row : row + m], whole[row : row + m]
                assert run_matmul(part, b, first).tobytes() == expected.tobytes()


@SAME_BITS
@pytest.mark.parametrize("n", [5, 16, 33, 49, 100])
def test_all_products_give_the_same_bits(n, dtype, rng):
    for m in SIZES[1:12]:
        check_same_bits(m, 37, n, dtype, rng)


@SAME_BITS
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_narrow_product_with_a_transposed_gives_the_bits_of_a_wide_one(n, dtype, rng):
    for m in SIZES[1:]:
        a, b = rng.standard_normal((m, 37)).astype(dtype), rng.standard_normal((37, 16)).astype(dtype)
        expected = np.ascontiguousarray(run_transposed_a(a, b)[:, :n])
        assert run_transposed_a(a, np.ascontiguousarray(b[:, :n])).tobytes() == expected.tobytes()


@pytest.mark.parametrize("k", [1, 15, 16, 17, 47, 48, 64, 65, 131])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_few_columns(n, k, dtype, rng):
    pool = Pool(rng, dtype)
    for m in (1, 2, 5, 7, 8, 9, 12, 31):
        check_products(pool, m, k, n)


def check_same_bits(m, k, n, dtype, rng):
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    nothing = b[0, NO_START]
    # Row by row, which is another way through the product, and never packs B.
    expected = np.concatenate([run_matmul(a[i : i + 1], b, nothing) for i in range(m)]).tobytes()
    assert run_matmul(a, b, nothing).tobytes() == expected
    assert run_transposed_a(a, b).tobytes() == expected
    assert run_transposed_b(a, b).tobytes() == expected


@SAME_BITS
@pytest.mark.parametrize("m, k, n", PACKED_SHAPES)
def test_packing_changes_no_bit(m, k, n, dtype, rng):
    check_same_bits(m, k, n, dtype, rng)


@SAME_BITS
def test_a_column_has_the_same_bits_wherever_it_stands(dtype, rng):
    a, b = rng.standard_normal((9, 37)).astype(dtype), rng.standard_normal((37, 100)).astype(dtype)
    whole = run_matmul(a, b, a[0, NO_START])
    for n in (5, 7, *SIZES[5:]):  # fewer may be computed as dot products, in another order
        part = np.ascontiguousarray(b[:, 100 - n :])
        expected = np.ascontiguousarray(whole[:, 100 - n :])
        assert run_matmul(a, part, a[0, NO_START]).tobytes() == expected.tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("m, k, n", [(1, 1, 1), (9, 3, 17), (17, 33, 49)])
def test_what_is_not_finite_propagates(m, k, n, value, dtype, rng):
    row, column, at = m // 2, n // 2, k - 1
    clean_a, clean_b = rng.uniform(1, 2, (m, k)).astype(dtype), rng.uniform(1, 2, (k, n)).astype(dtype)
    nothing = clean_b[0, NO_START]

    def expect(c, rows, columns):
        touched = np.zeros((m, n), bool)
        touched[rows, columns] = True
        np.testing.assert_array_equal(c[touched], np.full(touched.sum(), value, dtype))
        assert np.isfinite(c[~touched]).all()

    with np.errstate(invalid="ignore"):  # NumPy warns of it where it stands in for the kernel
        a = clean_a.copy()
        a[row, at] = value
        expect(run_matmul(a, clean_b, nothing), row, slice(None))
        expect(run_transposed_a(a, clean_b), row, slice(None))
        expect(run_transposed_b(a, clean_b), row, slice(None))
        b = clean_b.copy()
        b[at, column] = value
        expect(run_matmul(clean_a, b, nothing), slice(None), column)
        start = np.zeros(n, dtype)
        start[column] = value
        expect(run_matmul(clean_a, clean_b, start), slice(None), column)
        # Zero times what is not finite is NaN: no factor is skipped for being zero.
        a[:] = 0
        assert np.isnan(run_matmul(a, np.full((k, n), value, dtype), nothing)).all()


OTHER_WIDTH = """
import numpy as np
from fastnn.kernels.lowlevel import vector_ir
vector_ir.VECTOR_BYTES = {width}
from tests.kernels import test_gemm
rng = np.random.default_rng(0)
pool = test_gemm.Pool(rng, np.float32)
shapes = [(1, 37, 100), (2, 5, 1), (9, 37, 3), (21, 65, 1), (21, 65, 2), (2, 65, 4), (13, 40, 17)]
shapes += [(33, 7, 65), (31, 300, 100)]
for m, k, n in shapes + test_gemm.PACKED_SHAPES:
    test_gemm.check_products(pool, m, k, n)
    if m > 1 and n > 4:
        test_gemm.check_same_bits(m, k, n, np.float32, rng)
print("right")
"""


@pytest.mark.sweep
@SAME_BITS
@pytest.mark.parametrize("width", {16, 32, 64} - {vector_ir.VECTOR_BYTES})
def test_products_with_vectors_of_other_cpus(width):
    """LLVM makes do with the registers that there are."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", OTHER_WIDTH.format(width=width)],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "right\n", done.stderr
