"""Cholesky factors against NumPy's: sizes around a block's edges, guards, what is not positive definite."""

import numpy as np
import pytest
from numba import njit

from fastnn.compiler import loader
from fastnn.kernels.abi.least_squares import FACTOR_BLOCK
from fastnn.kernels.abi.oprow import PACK_SIZE
from fastnn.kernels.linalg import cholesky
from fastnn.kernels.lowlevel._jit import INTERPRETED

if INTERPRETED:
    pytest.skip("addresses are of compiled code only", allow_module_level=True)

GUARD = 1e300
PRODUCT = loader.address("linalg.gemm.product", "float64")
SIZES = [1, 2, 7, FACTOR_BLOCK - 1, FACTOR_BLOCK, FACTOR_BLOCK + 1, 2 * FACTOR_BLOCK, 200]


def factored(matrix):
    """Whether it is positive definite, and what `factor` leaves."""
    n = len(matrix)
    found = np.array(matrix, order="C")
    block, inverse = np.full(n * FACTOR_BLOCK + 1, GUARD), np.full(FACTOR_BLOCK**2 + 1, GUARD)
    right = cholesky.factor(PRODUCT, found, block, inverse, np.empty(PACK_SIZE))
    assert block[-1] == inverse[-1] == GUARD
    return right, found


@njit
def run_normal_block(product, rows, first, block, pack):
    cholesky.normal_block(product, rows, first, block, pack)


def positive_definite(n):
    rows = np.random.default_rng(n).standard_normal((n + 3, n))
    return rows.T @ rows + 1e-3 * np.eye(n)


@pytest.mark.parametrize("n", SIZES)
def test_factor_is_numpys(n):
    matrix = positive_definite(n)
    right, found = factored(np.where(np.tri(n, dtype=bool), matrix, GUARD))
    assert right
    np.testing.assert_allclose(np.tril(found), np.linalg.cholesky(matrix), rtol=1e-9, atol=1e-9)
    assert (found[np.triu_indices(n, 1)] == GUARD).all()


@pytest.mark.parametrize("n", SIZES)
def test_solve(n):
    matrix, x = positive_definite(n), np.random.default_rng(1).standard_normal(n)
    _, found = factored(matrix)
    solution = matrix @ x
    cholesky.solve(found, solution)
    condition = np.linalg.cond(matrix)
    np.testing.assert_allclose(solution, x, rtol=0, atol=10 * n * condition * np.finfo(float).eps)


@pytest.mark.parametrize("place", [0, 63, 64, 100])
@pytest.mark.parametrize("value", [-1.0, 0.0, np.nan])
def test_what_is_not_positive_definite(place, value):
    matrix = positive_definite(101)
    matrix[place] = matrix[:, place] = 0.0
    matrix[place, place] = value
    assert not factored(matrix)[0]


SHAPES = [(1, 1, 0, 1), (30, 70, 0, 64), (30, 70, 64, 6), (300, 65, 1, 64)]


@pytest.mark.parametrize("m, n, first, width", SHAPES)
def test_normal_block(m, n, first, width):
    rows = np.random.default_rng(0).standard_normal((m, n))
    block = np.full((n - first, width), GUARD)
    run_normal_block(PRODUCT, rows, first, block, np.empty(PACK_SIZE))
    expected = rows[:, first:].T @ rows[:, first : first + width]
    np.testing.assert_allclose(block, expected, rtol=1e-12, atol=1e-12)
