"""`fn.sample_categorical`: categories by their probabilities, in compiled code and from Python."""

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

import fastnn as fn

pytestmark = pytest.mark.slow  # Numba compiles
PROBABILITIES = np.array([0.1, 0.0, 0.55, 0.3, 0.05])


@njit
def draws(logits, uniform):
    """What each of the uniform numbers draws."""
    result = np.empty(uniform.size, np.int64)
    for i in range(uniform.size):
        result[i] = fn.sample_categorical(logits, uniform[i])
    return result


def test_a_category_begins_where_the_one_before_ends():
    assert [fn.sample_categorical(np.zeros(4), k / 4) for k in range(4)] == [0, 1, 2, 3]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shift", [0.0, 500.0, -500.0])
def test_the_inverse_of_the_cumulative_distribution(dtype, shift):
    """Whatever is added to all logits; what has no probability is never drawn."""
    with np.errstate(divide="ignore"):
        logits = (np.log(PROBABILITIES) + shift).astype(dtype)
    uniform = (np.arange(10_000) + 0.5) / 10_000
    expected = np.searchsorted(np.cumsum(PROBABILITIES), uniform, side="right")
    found = draws(logits, uniform)
    away = np.abs(uniform[:, None] - np.cumsum(PROBABILITIES)).min(axis=1) > 1e-4
    assert np.array_equal(found[away], expected[away])
    assert 1 not in found
    assert fn.sample_categorical(logits, uniform[7000]) == found[7000]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_that_are_rounded_leave_nothing_over(dtype):
    """The largest number below 1 draws the last category that has a probability."""
    logits = np.random.default_rng(0).normal(size=1000).astype(dtype)
    logits[-3:] = -np.inf
    below_1 = np.nextafter(1.0, 0.0)
    assert draws(logits, np.array([0.0, below_1])).tolist() == [0, 996]
    assert draws(logits[:1], np.array([0.0, 0.5, below_1])).tolist() == [0, 0, 0]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, None])
def test_no_probabilities(wrong):
    logits = np.zeros(3) if wrong is not None else np.full(3, -np.inf)
    for place in range(3):
        logits[place] = -np.inf if wrong is None else wrong
        assert fn.sample_categorical(logits, 0.3) == -1
    assert fn.sample_categorical(np.zeros(0), 0.3) == -1
    assert [fn.sample_categorical(np.zeros(3), u) for u in (-0.1, 1.0, np.nan)] == [-1, -1, -1]


def test_only_arrays_of_one_axis_are_taken():
    for wrong in (np.zeros((2, 2)), 0.5):
        with pytest.raises(TypingError):
            fn.sample_categorical(wrong, 0.3)
