"""Weight penalties against the oracle and central differences."""

import numpy as np
import pytest

from fastnn.kernels.training.penalty import penalty_gradient, penalty_value
from tests.helpers.reference import l1_l2
from tests.helpers.tolerances import PRODUCT
from tests.kernels.checks import assert_close, assert_gradient

SIZES = [1, 2, 3, 7, 15, 17, 33, 100]
STRENGTHS = [(0.0, 0.0), (0.1, 0.0), (0.0, 0.02), (0.3, 0.7)]
strengths = pytest.mark.parametrize("l1, l2", STRENGTHS)


@strengths
@pytest.mark.parametrize("n", SIZES)
def test_value_and_gradient(n, l1, l2, dtype, rng):
    w, before = (rng.standard_normal(n).astype(dtype) for _ in range(2))
    value, gradient = l1_l2(w, l1, l2)
    np.testing.assert_allclose(penalty_value(w, l1, l2), value, **PRODUCT["float64"])
    dw = before.copy()
    penalty_gradient(w, dtype(l1), dtype(l2), dw)
    assert_close(dw, before + gradient, PRODUCT)


@strengths
def test_gradient_is_that_of_central_differences(l1, l2, rng):
    w, dw = rng.standard_normal(17), np.zeros(17)
    penalty_gradient(w, l1, l2, dw)
    assert_gradient(dw, lambda moved: penalty_value(moved, l1, l2), w)


def test_a_wrong_gradient_is_caught(rng):
    w, dw = rng.standard_normal(17), np.zeros(17)
    penalty_gradient(w, 0.3, 0.7, dw)
    with pytest.raises(AssertionError):
        assert_gradient(dw * (1 + 1e-5), lambda moved: penalty_value(moved, 0.3, 0.7), w)


def test_a_weight_of_zero_is_not_moved(dtype):
    w = np.array([0.0, -0.0], dtype)
    dw = np.zeros(2, dtype)
    penalty_gradient(w, dtype(0.5), dtype(0.5), dw)
    assert not dw.any()


def test_nan_stays_visible(dtype):
    w, dw = np.array([1.0, np.nan], dtype), np.zeros(2, dtype)
    assert np.isnan(penalty_value(w, 0.1, 0.1))
    penalty_gradient(w, dtype(0.1), dtype(0.1), dw)
    assert np.isfinite(dw[0]) and np.isnan(dw[1])
