"""Sums of weighted outer products of rows, and quadratic forms, in float64.

With them a generalised Gauss-Newton matrix is added up over samples, and a variance is computed of each: see
`fastnn.uncertainty`.
"""

import numpy as np

from ..abi.entries import entry
from ..abi.gram import GRAM, GRAM_ROWS
from ..lowlevel._jit import inline_ir, kernel
from ..lowlevel.simd import view
from .cholesky import dot
from .gemm import multiply


@kernel
def _convert(x, first, rows):
    """Write `rows`, of shape (count, width): those of x from number `first` on, in float64."""
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            rows[i, j] = np.float64(x[first + i, j])


@kernel
def _scale_rows(rows, factors, first, p, scaled):
    """Write ``scaled[i] = factors[first + i, p] * rows[i]``; rows and scaled of shape (count, width)."""
    for i in range(rows.shape[0]):
        factor = factors[first + i, p]
        for j in range(rows.shape[1]):
            scaled[i, j] = factor * rows[i, j]


@kernel
def _add(block, matrix):
    """Add `block` to `matrix`, arrays of shape (width, width)."""
    for i in range(block.shape[0]):
        for j in range(block.shape[1]):
            matrix[i, j] += block[i, j]


@inline_ir
def _rows_at(gram, first, T):
    # Some rows of x, in float64, and memory for as many.
    count = min(GRAM_ROWS, gram.n - first)
    rows = view(gram.rows, (count, gram.width), np.float64)
    _convert(view(gram.x, (gram.n, gram.width), T), first, rows)
    return rows, view(gram.scaled, (count, gram.width), np.float64)


@entry(GRAM)
def sums_entry(gram, net, T):
    """To each of the `matrices` the sum over rows of ``factor * x x'`` is added; there is no descriptor."""
    width, factors = gram.width, view(gram.factors, (gram.n, gram.count), np.float64)
    for first in range(0, gram.n, GRAM_ROWS):
        rows, scaled = _rows_at(gram, first, T)
        for p in range(gram.count):
            _scale_rows(rows, factors, first, p, scaled)
            multiply(
                gram.product, width, width, rows.shape[0], gram.scaled, 1, width, gram.rows, width, 1, 0,
                gram.block, gram.pack, np.float64, 8
            )  # fmt: skip
            block = view(gram.block, (width, width), np.float64)
            _add(block, view(gram.matrices + 8 * p * width * width, (width, width), np.float64))


@entry(GRAM)
def forms_entry(gram, net, T):
    """`forms` are written: ``x' M x`` of each row, for each of the matrices M; there is no descriptor."""
    width, forms = gram.width, view(gram.forms, (gram.n, gram.count), np.float64)
    for first in range(0, gram.n, GRAM_ROWS):
        rows, scaled = _rows_at(gram, first, T)
        for p in range(gram.count):
            multiply(
                gram.product, rows.shape[0], width, width, gram.rows, width, 1,
                gram.matrices + 8 * p * width * width, width, 1, 0, gram.scaled, gram.pack, np.float64, 8
            )  # fmt: skip
            for i in range(rows.shape[0]):
                forms[first + i, p] = dot(rows[i], scaled[i])
