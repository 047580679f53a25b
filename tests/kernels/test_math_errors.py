"""Errors of the elementary functions in units in the last place, over the whole range of both dtypes.

The oracles are float64 for float32; for float64 the longer numbers of NumPy or mpmath.
"""

import math

import mpmath
import numpy as np
import pytest

from fastnn.kernels.lowlevel._jit import INTERPRETED
from tests.kernels.elementary import ALL, LOOPS, apply

# Largest errors in float32 and float64, measured over 25 million arguments and some millions, and rounded
# up to the next tenth. What layers and losses are made of stays below 2 and 4.
LARGEST_ERROR = {
    "exp": (1.0, 1.1),
    "expm1": (1.6, 1.6),
    "log": (0.9, 0.9),
    "log1p": (1.5, 1.4),
    "sigmoid": (2.0, 2.0),
    "tanh": (2.0, 2.3),
    "softplus": (1.7, 1.8),
    "erf": (1.3, 1.1),
    "gaussian": (2.1, 1.9),
    "normal_cdf": (7.5, 6.0),
}


def by_number(function):
    """A function of one Python number as one of arrays."""
    return np.vectorize(function, otypes=[np.float64])


NUMPY = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
}
FLOAT64 = NUMPY | {
    "erf": by_number(math.erf),
    "gaussian": lambda x: np.exp(-x * x / 2),
    "normal_cdf": lambda x: by_number(math.erfc)(-x / math.sqrt(2)) / 2,
}
MPMATH = {
    "erf": mpmath.erf,
    "gaussian": lambda x: mpmath.exp(-x * x / 2),
    # Limited, because mpmath fails far away.
    "normal_cdf": lambda x: mpmath.ncdf(min(max(x, -1e3), 1e3)),
}

# Where something happens between 0 or minus infinity and a limit: the ends in float32, in float64.
RANGE = {
    "exp": ((-104, 89), (-746, 710)),
    "expm1": ((-20, 89), (-40, 710)),
    "log": ((0, 4), (0, 4)),
    "log1p": ((-1, 4), (-1, 4)),
    "sigmoid": ((-104, 20), (-746, 40)),
    "tanh": ((-10, 10), (-20, 20)),
    "softplus": ((-104, 20), (-746, 40)),
    "erf": ((-4, 4), (-6, 6)),
    "gaussian": ((-15, 15), (-39, 39)),
    "normal_cdf": ((-15, 6), (-39, 9)),
}

LONGER_DOUBLE = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant <= 52,
    reason="this platform has no number longer than float64 to compare with",
)


def mpmath_oracle(name):
    """The function of a float64 array, each value as a sum of two float64 in a longdouble."""

    def oracle(x):
        values = np.empty(x.size, np.longdouble)
        with mpmath.workdps(40):
            for i, number in enumerate(x.astype(np.float64).tolist()):
                value = MPMATH[name](mpmath.mpf(number))
                values[i] = float(value)
                values[i] += np.longdouble(float(value - float(value)))
        return values

    return oracle


def error_in_ulp(name, x, oracle):
    """Largest error; where the true result is infinite or NaN, so has ours to be."""
    wide = np.float64 if x.dtype == np.float32 else np.longdouble
    y = apply(name, x, dtype=x.dtype)
    with np.errstate(all="ignore"):
        expected = oracle(x.astype(wide))
        rounded = expected.astype(x.dtype)
        error = np.abs(y.astype(wide) - expected) / np.spacing(np.abs(rounded)).astype(wide)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(y[~finite], rounded[~finite])
    assert finite.any() and not np.isnan(error[finite]).any()
    return error[finite].max()


def every_magnitude(dtype, count):
    """Numbers of all exponents alike, denormal ones too, both signs, infinities and NaN."""
    if dtype is np.float32:
        step = 2**32 // count | 1
        return np.arange(0, 2**32, step, np.uint64).astype(np.uint32).view(dtype)
    return np.random.default_rng(1).integers(0, 2**64 - 1, count, np.uint64, endpoint=True).view(dtype)


def arguments(name, rng, dtype, count):
    """Arguments of every magnitude, and as many again where the function is curved."""
    ends = RANGE[name][dtype is np.float64]
    parts = [rng.uniform(*ends, count), rng.uniform(max(-1, ends[0]), 1, count)]
    everywhere = every_magnitude(dtype, 2 * count)
    return np.concatenate([everywhere, *(part.astype(dtype) for part in parts)])


def check(name, dtype, rng, oracle, count):
    # Without JIT a fused multiply-add of float64 is rounded twice, if with more digits.
    limit = LARGEST_ERROR[name][dtype is np.float64] * (1.25 if INTERPRETED else 1)
    assert error_in_ulp(name, arguments(name, rng, dtype, count), oracle) <= limit


def test_every_function_has_a_bound():
    assert set(LARGEST_ERROR) == set(ALL)
    of_layers = set(ALL) - {"gaussian", "normal_cdf"}
    assert all(LARGEST_ERROR[name][0] <= 2 and LARGEST_ERROR[name][1] <= 4 for name in of_layers)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_float32(name, rng):
    check(name, np.float32, rng, FLOAT64[name], 500 if INTERPRETED else 2_000_000)


@LONGER_DOUBLE
@pytest.mark.parametrize("name", NUMPY)
def test_float64(name, rng):
    check(name, np.float64, rng, NUMPY[name], 500 if INTERPRETED else 200_000)


@LONGER_DOUBLE
@pytest.mark.parametrize("name", MPMATH)
def test_float64_beside_mpmath(name, rng):
    check(name, np.float64, rng, mpmath_oracle(name), 500 if INTERPRETED else 2_000)


def test_the_measure_sees_one_ulp_more(monkeypatch):
    def wrong(x, y):
        y[:] = np.nextafter(np.nextafter(np.exp(x), np.float32(np.inf)), np.float32(np.inf))

    monkeypatch.setitem(LOOPS, "exp", wrong)
    assert error_in_ulp("exp", np.array([0.5, 1.5], np.float32), np.exp) > LARGEST_ERROR["exp"][0]


def test_the_measure_sees_a_wrong_limit(monkeypatch):
    def wrong(x, y):
        y[:] = np.finfo(np.float32).max

    monkeypatch.setitem(LOOPS, "exp", wrong)
    with pytest.raises(AssertionError):
        error_in_ulp("exp", np.array([1.0, np.inf], np.float32), np.exp)
