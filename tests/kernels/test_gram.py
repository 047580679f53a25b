"""Sums of weighted outer products and quadratic forms, against NumPy."""

import numpy as np
import pytest

from fastnn.kernels.abi.gram import GRAM_ROWS
from fastnn.kernels.lowlevel._jit import INTERPRETED
from fastnn.uncertainty._gram import add_sums, forms

if INTERPRETED:
    pytest.skip("addresses are of compiled code only", allow_module_level=True)

SIZES = [(1, 1, 1), (5, 3, 2), (GRAM_ROWS, 8, 1), (GRAM_ROWS + 1, 33, 3), (3 * GRAM_ROWS - 1, 65, 2)]


@pytest.mark.parametrize(("n", "width", "count"), SIZES)
def test_sums_are_added(n, width, count, dtype):
    rng = np.random.default_rng(n)
    x, factors = rng.normal(size=(n, width)).astype(dtype), rng.normal(size=(n, count))
    found = np.ones((count, width, width))
    add_sums(x, factors, found)
    expected = 1 + np.einsum("np,ni,nj->pij", factors, x.astype(float), x.astype(float))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize(("n", "width", "count"), SIZES)
def test_forms_and_their_rows(n, width, count, dtype):
    rng = np.random.default_rng(n)
    x, matrices = rng.normal(size=(n, width)).astype(dtype), rng.normal(size=(count, width, width))
    found = forms(x, matrices)
    np.testing.assert_allclose(
        found, np.einsum("ni,pij,nj->np", x, matrices, x.astype(float)), rtol=1e-9, atol=1e-9
    )
    for i in {0, n // 2, n - 1}:
        assert np.array_equal(forms(x[i : i + 1], matrices), found[i : i + 1])
