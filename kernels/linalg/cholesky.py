"""Cholesky factors of symmetric positive definite matrices, in float64, and the equations that they solve.

G. Golub, C. Van Loan, *Matrix Computations* (2013), section 4.2. A block of columns takes what the columns
before it contribute as one matrix product. All matrices are of shape (n, n) in C order; only the lower
triangle is read and written.
"""

import math

import numpy as np

from ..abi.least_squares import FACTOR_BLOCK
from ..lowlevel._jit import inline_ir, kernel, reduction
from ..lowlevel.simd import address, view
from .gemm import multiply


@reduction
def dot(x, y):
    """Sum of ``x * y``, arrays of shape (n,). Writes nothing."""
    total = 0.0
    for i in range(x.size):
        total += x[i] * y[i]
    return total


@kernel
def _add_row(factor, x, y):
    """Write ``y += factor * x``, arrays of shape (n,)."""
    for i in range(x.size):
        y[i] += factor * x[i]


@inline_ir
def _part(matrix, i, first, count):
    # So many numbers of row i.
    return view(address(matrix) + 8 * (i * matrix.shape[1] + first), count, np.float64)


@inline_ir
def normal_block(product, rows, first, block, pack):
    """Write ``block = rows[:, first:]' rows[:, first : first + width]``, and `pack`.

    Parameters
    ----------
    product : int64 or None
        Address of the compiled `gemm.product_entry` of float64; None to compile it in.
    rows : array of shape (m, n)
    first : int
    block : array of shape (n - first, width)
    pack : array of shape (PACK_SIZE,)
    """
    m, n = rows.shape
    start = address(rows) + 8 * first
    multiply(
        product, block.shape[0], block.shape[1], m, start, 1, n, start, n, 1, 0, address(block),
        address(pack), rows.dtype, 8
    )  # fmt: skip


@kernel
def _subtract(block, first, matrix):
    """Subtract `block` from the part of `matrix` below row `first` that begins in column `first`."""
    for i in range(block.shape[0]):
        row = _part(matrix, first + i, first, block.shape[1])
        for j in range(row.size):
            row[j] -= block[i, j]


@kernel
def _factor_diagonal(matrix, first, width, inverse):
    """Write the factor of a diagonal block over it, and its inverse; False if it is not positive definite."""
    for i in range(width):
        row = _part(matrix, first + i, first, width)
        for j in range(i):
            known = dot(_part(matrix, first + i, first, j), _part(matrix, first + j, first, j))
            row[j] = (row[j] - known) / matrix[first + j, first + j]
        known = _part(matrix, first + i, first, i)
        rest = row[i] - dot(known, known)
        if not rest > 0.0:  # false for NaN, too
            return False
        row[i] = math.sqrt(rest)
    for i in range(width):
        row, result = _part(matrix, first + i, first, width), _part(inverse, i, 0, width)
        for j in range(width):
            result[j] = 0.0
        for j in range(i):
            _add_row(-row[j], _part(inverse, j, 0, j + 1), _part(inverse, i, 0, j + 1))
        result[i] = 1.0
        for j in range(i + 1):
            result[j] /= row[i]
    return True


@kernel
def factor(product, matrix, block, inverse, pack):
    """Write L, of ``matrix = L L'``, over the lower triangle of `matrix`; `block`, `inverse` and `pack`.

    Parameters
    ----------
    product, pack
        As for `normal_block`.
    matrix : array of shape (n, n)
    block : array of shape (n * FACTOR_BLOCK,)
    inverse : array of shape (FACTOR_BLOCK * FACTOR_BLOCK,)

    Returns
    -------
    bool
        False if the matrix is not positive definite; it then holds nothing useful.
    """
    n = matrix.shape[0]
    for first in range(0, n, FACTOR_BLOCK):
        width, height = min(FACTOR_BLOCK, n - first), n - first
        below = address(matrix) + 8 * first * n
        if first > 0:
            multiply(
                product, height, width, first, below, n, 1, below, 1, n, 0, address(block), address(pack),
                matrix.dtype, 8
            )  # fmt: skip
            _subtract(view(address(block), (height, width), np.float64), first, matrix)
        square = view(address(inverse), (width, width), np.float64)
        if not _factor_diagonal(matrix, first, width, square):
            return False
        rest = height - width
        if rest > 0:
            below += 8 * (width * n + first)
            multiply(
                product, rest, width, width, below, n, 1, address(inverse), 1, width, 0, address(block),
                address(pack), matrix.dtype, 8
            )  # fmt: skip
            _copy_below(view(address(block), (rest, width), np.float64), first, width, matrix)
    return True


@kernel
def _copy_below(block, first, width, matrix):
    """Write `block` below the diagonal block that begins in row and column `first`."""
    for i in range(block.shape[0]):
        row = _part(matrix, first + width + i, first, width)
        for j in range(width):
            row[j] = block[i, j]


@kernel
def solve(matrix, x):
    """Write the solution of ``L L' x = b`` over b.

    Parameters
    ----------
    matrix : array of shape (n, n)
        L in its lower triangle, as of `factor`.
    x : array of shape (n,)
        The right-hand side b.
    """
    n = x.size
    for i in range(n):
        x[i] = (x[i] - dot(_part(matrix, i, 0, i), view(address(x), i, np.float64))) / matrix[i, i]
    for i in range(n - 1, -1, -1):
        x[i] /= matrix[i, i]
        _add_row(-x[i], _part(matrix, i, 0, i), view(address(x), i, np.float64))
