"""Dropout: what the mask holds, that it does not depend on how a batch is divided, and the product."""

import numpy as np
import pytest

from fastnn.kernels.layers.dropout import dropout_mask, multiply
from fastnn.kernels.math.random import LAYERS, number
from tests.kernels.checks import assert_gradient

SIZES = [1, 2, 3, 7, 15, 17, 33, 100]
RATES = [0.1, 0.2, 0.5, 0.75, 0.99]


def mask_of(dtype, n, rate, seed=1, stream=LAYERS, step=0, first=0):
    mask = np.full(n, np.nan, dtype)
    dropout_mask(rate, seed, stream, step, first, mask)
    return mask


@pytest.mark.parametrize("rate", RATES)
def test_mask_holds_zero_and_one_over_the_share_that_is_kept(rate, dtype):
    mask = mask_of(dtype, 2000, rate)
    assert set(mask.tolist()) == {0.0, float(dtype(1 / (1 - rate)))}


@pytest.mark.parametrize("n", SIZES)
def test_an_element_is_dropped_where_its_number_is_below_the_rate(n, dtype):
    seed, stream, step, first, rate = 2**33 + 5, 4, 12, 1001, 0.3
    mask = mask_of(dtype, n, rate, seed, stream, step, first)
    where = [np.uint64(value) for value in (seed, stream, step)]
    drawn = [int(number(*where, np.uint64(first + i))) / 2**32 for i in range(n)]
    np.testing.assert_array_equal(mask == 0, np.array(drawn) < rate)


@pytest.mark.parametrize("rate", RATES)
def test_share_that_is_dropped(rate, dtype):
    n = 4000
    dropped = np.count_nonzero(mask_of(dtype, n, rate) == 0)
    assert abs(dropped - n * rate) < 5 * np.sqrt(n * rate * (1 - rate))


def test_rate_zero_drops_nothing(dtype):
    assert (mask_of(dtype, 1000, 0.0) == 1).all()


@pytest.mark.parametrize("cuts", [[50], [1], [99], [3, 10, 11, 64]])
def test_mask_does_not_depend_on_how_a_batch_is_divided(cuts, dtype):
    borders = [0, *cuts, 100]
    batches = zip(borders, borders[1:], strict=False)
    parts = [mask_of(dtype, end - first, 0.5, first=first) for first, end in batches]
    assert np.concatenate(parts).tobytes() == mask_of(dtype, 100, 0.5).tobytes()


def test_both_dtypes_drop_the_same():
    single, double = mask_of(np.float32, 200, 0.4), mask_of(np.float64, 200, 0.4)
    np.testing.assert_array_equal(single == 0, double == 0)


@pytest.mark.parametrize("other", [{"seed": 2}, {"stream": LAYERS + 1}, {"step": 1}, {"first": 1}])
def test_masks_of_other_places_are_others(other, dtype):
    mask = mask_of(dtype, 200, 0.5)
    assert mask_of(dtype, 200, 0.5).tobytes() == mask.tobytes()
    differing = np.count_nonzero(mask_of(dtype, 200, 0.5, **other) != mask)
    assert 65 < differing < 135  # of independent masks about half


@pytest.mark.parametrize("n", SIZES)
def test_multiply(n, dtype, rng):
    x, mask = rng.standard_normal(n).astype(dtype), mask_of(dtype, n, 0.5)
    y = np.full_like(x, np.nan)
    multiply(x, mask, y)
    np.testing.assert_array_equal(y, x * mask)
    multiply(x, mask, x)
    assert x.tobytes() == y.tobytes()


def test_gradient_is_that_of_central_differences(rng):
    x, dy, mask = rng.standard_normal(33), rng.standard_normal(33), mask_of(np.float64, 33, 0.5)

    def value(moved):
        y = np.empty_like(moved)
        multiply(moved, mask, y)
        return (dy * y).sum()

    dx = np.empty_like(x)
    multiply(dy, mask, dx)
    assert 0 < np.count_nonzero(dx) < dx.size
    assert_gradient(dx, value, x)


def test_nan_stays_visible_where_it_is_dropped(dtype):
    y, mask = np.array([np.nan], dtype), np.zeros(1, dtype)
    multiply(y, mask, y)
    assert np.isnan(y[0])
