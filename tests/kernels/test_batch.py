"""Gathering rows, finding what is not finite, and sums."""

import numpy as np
import pytest

from fastnn.kernels.driver.batch import add, are_within, gather, is_finite, squares, weight_sum

SIZES = [1, 2, 3, 7, 15, 17, 33, 100]
AS_THEY_COME = np.zeros(0, np.int64)


@pytest.mark.parametrize("width", [1, 2, 7, 17, 33])
@pytest.mark.parametrize("rows", [1, 3, 15])
def test_gather(rows, width, dtype, rng):
    source = rng.standard_normal((20, width)).astype(dtype)
    before = source.copy()
    for order in (rng.permutation(20)[:rows], rng.integers(0, 20, rows), np.full(rows, 19)):
        target = np.full((rows, width), np.nan, dtype)
        gather(source, order, target)
        np.testing.assert_array_equal(target, source[order])
    assert source.tobytes() == before.tobytes()


@pytest.mark.parametrize("kind", ["uint8", "int16", "int64", "float32", "float64"])
def test_gather_converts(kind, dtype, rng):
    source = rng.integers(0, 100, (20, 3)).astype(kind)
    order = rng.permutation(20)[:7]
    target = np.full((7, 3), np.nan, dtype)
    gather(source, order, target)
    np.testing.assert_array_equal(target, source[order].astype(dtype))
    gather(source, order[:0], target)
    np.testing.assert_array_equal(target, source[:7].astype(dtype))


def test_gather_of_no_rows_writes_nothing(dtype):
    target = np.zeros((0, 3), dtype)
    gather(np.ones((5, 3), dtype), np.zeros(0, np.int64), target)
    assert target.size == 0


@pytest.mark.parametrize("n", SIZES)
def test_is_finite_finds_one_at_any_place(n, dtype):
    info = np.finfo(dtype)
    x = np.resize(np.array([0, -0.0, 1, info.max, info.min, info.smallest_subnormal], dtype), n)
    with np.errstate(invalid="ignore"):  # without JIT NumPy warns of infinity times zero
        assert is_finite(x)
        for place in {0, n // 2, n - 1}:
            for value in (np.nan, np.inf, -np.inf):
                broken = x.copy()
                broken[place] = value
                assert not is_finite(broken)
        both = x.copy()
        both[0], both[-1] = np.inf, -np.inf
        assert not is_finite(both)


@pytest.mark.parametrize("n", SIZES)
def test_are_within_finds_one_at_any_place(n, dtype):
    largest = np.finfo(dtype).max
    for low, high, whole, right, wrong in (
        (0, 2, True, [0, -0.0, 1, 2], [-1, 3, 0.5, np.nan, np.inf]),
        (0, 1, False, [0, 0.25, 1], [-0.1, 1.5, np.nan]),
        (-largest, largest, False, [-largest, 0, largest], [np.nan, np.inf, -np.inf]),
    ):
        y, low, high = np.resize(np.array(right, dtype), n), dtype(low), dtype(high)
        assert are_within(y, low, high, whole)
        for place in {0, n // 2, n - 1}:
            for value in wrong:
                broken = y.copy()
                broken[place] = value
                assert not are_within(broken, low, high, whole)


def test_nothing_is_finite(dtype):
    assert is_finite(np.zeros(0, dtype))


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("n", SIZES)
def test_weight_sum(n, width, dtype, rng):
    weight = rng.uniform(0, 3, (n, width)).astype(dtype)
    expected = weight.astype(np.float64).mean(axis=1)
    assert weight_sum(weight, AS_THEY_COME) == pytest.approx(expected.sum(), rel=1e-14)
    for order in (rng.permutation(n), rng.integers(0, n, 5), np.array([n - 1])):
        assert weight_sum(weight, order) == pytest.approx(expected[order].sum(), rel=1e-14)


def test_weight_sum_is_in_float64(dtype):
    # One large number and many small ones, each of which float32 would lose beside it.
    weight = np.full((1001, 1), 0.5, dtype)
    weight[0] = 2.0**26
    assert weight_sum(weight, AS_THEY_COME) == weight_sum(weight, np.arange(1001)) == 2.0**26 + 500
    assert weight_sum(weight[:0], AS_THEY_COME) == 0


@pytest.mark.parametrize("n", SIZES)
def test_add(n, dtype, rng):
    x, total = (rng.standard_normal(n).astype(dtype) for _ in range(2))
    expected = x + total
    add(x, total)
    np.testing.assert_array_equal(total, expected)


@pytest.mark.parametrize("n", SIZES)
def test_squares(n, dtype, rng):
    g = rng.standard_normal(n).astype(dtype)
    assert squares(g) == pytest.approx((g.astype(np.float64) ** 2).sum(), rel=1e-14)


def test_squares_are_summed_in_float64(dtype):
    # Squares of these are infinite in float32.
    assert squares(np.array([3e25, 4e25], dtype)) == pytest.approx(25e50, rel=1e-6)
    assert squares(np.zeros(3, dtype)) == 0
    assert np.isnan(squares(np.array([1, np.nan, 1], dtype)))
