"""Scaling, its statistics, and one-hot coding, beside plain NumPy."""

import numpy as np
import pytest

from fastnn.kernels.layers.one_hot import one_hot_backward, one_hot_forward
from fastnn.kernels.layers.scaling import extremes, moments, scaling_backward, scaling_forward

ROWS = [1, 2, 255, 256, 257, 700]


def run_moments(x, weight, parts=1):
    """Total, mean and squares of rows that are given in some parts."""
    n = x.shape[1]
    total, mean, squares = np.zeros(1), np.zeros(n), np.zeros(n)
    for i, part in enumerate(np.array_split(x, parts)):
        own = np.array_split(weight, parts)[i] if weight.size else weight
        moments(np.ascontiguousarray(part), own, total, mean, squares, np.zeros(n), np.zeros(n))
    return total, mean, squares


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_moments(rows, parts, weighted, dtype, rng):
    x = (1e4 + rng.normal(size=(rows, 3))).astype(dtype)
    weight = rng.uniform(0, 2, rows if weighted else 0).astype(dtype)
    total, mean, squares = run_moments(x, weight, parts)
    w = weight.astype(float) if weighted else np.ones(rows)
    exact = x.astype(np.longdouble)
    expected = np.average(exact, axis=0, weights=w)
    np.testing.assert_allclose(total, w.sum(), rtol=1e-12)
    np.testing.assert_allclose(mean, expected.astype(float), rtol=1e-14)
    about = (w[:, None] * (exact - expected) ** 2).sum(axis=0)
    np.testing.assert_allclose(squares, about.astype(float), rtol=1e-9, atol=1e-12)


def test_moments_do_not_cancel():
    """The sum of squares less the square of the sum would have no digit left."""
    x = 1e9 + np.arange(1000.0)[:, None] / 1000
    _, _, squares = run_moments(x, np.zeros(0))
    np.testing.assert_allclose(squares / 1000, (1000**2 - 1) / 12 / 1e6, rtol=1e-6)


def test_moments_of_rows_without_weight(dtype):
    x = np.arange(1200, dtype=dtype).reshape(600, 2)
    weight = np.zeros(600, dtype)
    weight[-1] = 2
    total, mean, squares = run_moments(x, weight)
    assert (total.tolist(), mean.tolist(), squares.tolist()) == ([2.0], [1198.0, 1199.0], [0.0, 0.0])


@pytest.mark.parametrize("weighted", [False, True])
def test_extremes(weighted, dtype, rng):
    x = rng.normal(size=(50, 4)).astype(dtype)
    weight = (rng.uniform(size=50 if weighted else 0) > 0.5).astype(dtype)
    low, high = np.full(4, np.inf), np.full(4, -np.inf)
    for part in (slice(0, 20), slice(20, 50)):
        extremes(x[part], weight[part], low, high)
    kept = x[weight > 0] if weighted else x
    np.testing.assert_array_equal(low, kept.min(axis=0))
    np.testing.assert_array_equal(high, kept.max(axis=0))


def test_scaling(dtype, rng):
    x, dy = (rng.normal(size=(9, 5)).astype(dtype) for _ in range(2))
    shift, scale = (rng.uniform(0.5, 2, 5).astype(dtype) for _ in range(2))
    y, dx = np.full_like(x, np.nan), np.full_like(x, np.nan)
    scaling_forward(x, shift, scale, y)
    scaling_backward(scale, dy, dx)
    np.testing.assert_array_equal(y, (x - shift) / scale)
    np.testing.assert_array_equal(dx, dy / scale)
    scaling_backward(scale, dy, np.zeros((0, 5), dtype))


def test_one_hot(dtype):
    x = np.array([[7, 0.5, 1], [9, 0.25, 3], [8, np.nan, 2]], dtype)
    counts, categories = np.array([2, 0, 3], dtype), np.array([7, 9, 3, 1, 2], dtype)
    y = np.full((3, 6), -1, dtype)
    one_hot_forward(x, counts, categories, y)
    expected = [[1, 0, 0.5, 0, 1, 0], [0, 1, 0.25, 1, 0, 0], [0, 0, np.nan, 0, 0, 1]]
    np.testing.assert_array_equal(y, np.array(expected, dtype))
    dy, dx = np.arange(18, dtype=dtype).reshape(3, 6), np.full((3, 3), np.nan, dtype)
    one_hot_backward(counts, dy, dx)
    np.testing.assert_array_equal(dx, [[0, 2, 0], [0, 8, 0], [0, 14, 0]])
    one_hot_backward(counts, dy, np.zeros((0, 3), dtype))
