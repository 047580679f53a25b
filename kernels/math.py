"""Elementary functions of one number that LLVM vectorises, in float32 and float64.

``math.exp`` calls the C library once per element. These have no branches and no calls, so that a
loop over them becomes vector instructions; each is written once and compiled for both dtypes, with
series as long as the dtype needs. Their errors are measured in ``tests/kernels/test_math.py``.

Method: W. J. Cody and W. Waite, *Software Manual for the Elementary Functions* (1980): the argument
is reduced with a constant split in two, so that no digit is lost, and the rest is a short series.
"""

import math

import numpy as np
from numba import types
from numba.extending import overload

from ._jit import INLINE_OPTIONS, inline
from .simd import bits, fma, from_bits, horner

_INTEGER = {np.float32: np.int32, np.float64: np.int64}
_MANTISSA = {np.float32: 23, np.float64: 52}
_BIAS = {np.float32: 127, np.float64: 1023}

# ln 2 = high + low, where high has so few digits that n * high is exact for every exponent n
_LN2 = {
    np.float32: (0.693359375, -2.12194440054690583e-4),
    np.float64: (0.693147180369123816490, 1.90821492927058770002e-10),
}


# Numba widens the result of int32 arithmetic to int64: it is cast back each time.


def _both(factory):
    """One function for both dtypes out of `factory`, which makes it for one."""
    single, double = factory(np.float32), factory(np.float64)

    def function(x):
        return single(x) if isinstance(x, np.float32) else double(x)

    @overload(function, jit_options=INLINE_OPTIONS)
    def choose(x):
        return (lambda x: single(x)) if x == types.float32 else (lambda x: double(x))

    function.__name__ = factory.__name__.strip("_")
    function.__doc__ = factory.__doc__
    return function


@_both
def exp(kind):
    """Exponential: 0 below and infinity above the dtype's range."""
    integer = _INTEGER[kind]
    mantissa, bias, one = integer(_MANTISSA[kind]), integer(_BIAS[kind]), integer(1)
    # Adding 1.5 * 2**mantissa rounds to an integer, which then stands in the sum's lowest bits.
    magic = kind(1.5 * 2.0 ** _MANTISSA[kind])
    magic_bits = magic.view(integer)
    log2_e, high, low = kind(1 / math.log(2)), kind(-_LN2[kind][0]), kind(-_LN2[kind][1])
    lowest, highest = (kind(-104), kind(89)) if kind is np.float32 else (kind(-746), kind(710))
    degree = 7 if kind is np.float32 else 13  # next term below half an ulp for |r| <= ln(2) / 2
    series = tuple(kind(1 / math.factorial(k)) for k in range(degree, -1, -1))

    @inline
    def exp(x):
        # Both comparisons are false for a NaN, which so passes through to the result.
        x = lowest if x < lowest else x
        x = highest if x > highest else x
        rounded = fma(x, log2_e, magic)
        n = integer(bits(rounded) - magic_bits)
        rounded = rounded - magic
        r = fma(rounded, low, fma(rounded, high, x))
        y = horner(series, r)
        # 2**n as two factors: near the ends of the range n itself is no valid exponent.
        first = integer(n >> one)
        second = integer(n - first)
        half_power = from_bits(integer((first + bias) << mantissa))
        return y * half_power * from_bits(integer((second + bias) << mantissa))

    return exp


@_both
def log(kind):
    """Natural logarithm: minus infinity at 0, NaN below, correct for denormal numbers."""
    integer = _INTEGER[kind]
    mantissa = integer(_MANTISSA[kind])
    one, two, half, zero = kind(1), kind(2), kind(0.5), kind(0)
    sqrt_half_bits = kind(math.sqrt(0.5)).view(integer)
    high, low = kind(_LN2[kind][0]), kind(_LN2[kind][1])
    tiny, lift = np.finfo(kind).smallest_normal, kind(2.0 ** _MANTISSA[kind])
    lift_exponent = kind(_MANTISSA[kind])
    infinity, nan = kind(np.inf), kind(np.nan)
    terms = 5 if kind is np.float32 else 11  # of 2 artanh(s), |s| <= 0.172
    series = tuple(kind(2 / (2 * k + 1)) for k in range(terms, 0, -1))

    @inline
    def log(x):
        denormal = x < tiny
        lifted = x * lift if denormal else x
        # x = m 2**n with m in [sqrt(1/2), sqrt(2)), and log m = 2 artanh((m - 1) / (m + 1))
        n = integer((bits(lifted) - sqrt_half_bits) >> mantissa)
        f = from_bits(integer(bits(lifted) - (n << mantissa))) - one
        exponent = kind(n) - (lift_exponent if denormal else zero)
        s = f / (two + f)
        z = s * s
        square = half * f * f
        rest = fma(s, square + z * horner(series, z), exponent * low)
        y = fma(exponent, high, f - (square - rest))
        y = x if x == infinity else y
        y = -infinity if x == zero else y
        return y if x >= zero else nan

    return log


@_both
def log1p(kind):
    """``log(1 + x)`` for ``x >= 0``, without losing the digits of a small `x`.

    The rounding error of ``1 + x`` is carried into the logarithm (W. Kahan's device).
    """
    one = kind(1)

    @inline
    def log1p(x):
        total = one + x
        return log(total) + (x - (total - one)) / total

    return log1p


@_both
def sigmoid(kind):
    """``1 / (1 + exp(-x))``."""
    one = kind(1)

    @inline
    def sigmoid(x):
        return one / (one + exp(-x))

    return sigmoid


def _tanh_series(terms):
    """Coefficients of (tanh(x) / x - 1) / x**2 in powers of x**2, the highest first.

    From y' = 1 - y**2, term by term.
    """
    c = [1.0]
    for k in range(1, terms + 1):
        c.append(-sum(c[i] * c[k - 1 - i] for i in range(k)) / (2 * k + 1))
    return c[:0:-1]


@_both
def tanh(kind):
    """Hyperbolic tangent."""
    one, two, zero, border = kind(1), kind(2), kind(0), kind(0.55)
    terms = 7 if kind is np.float32 else 17
    series = tuple(kind(c) for c in _tanh_series(terms))

    @inline
    def tanh(x):
        size = -x if x < zero else x
        large = one - two / (exp(two * size) + one)
        square = x * x
        small = fma(x * square, horner(series, square), x)
        return small if size < border else (-large if x < zero else large)

    return tanh


@_both
def softplus(kind):
    """``log(1 + exp(x))``, without overflow."""
    zero = kind(0)

    @inline
    def softplus(x):
        positive = x if x > zero else zero
        return positive + log1p(exp(-x if x > zero else x))

    return softplus


@_both
def expm1(kind):
    """``exp(x) - 1``, without losing the digits of a small `x`."""
    half, one = kind(0.5), kind(1)

    @inline
    def expm1(x):
        return tanh(half * x) * (exp(x) + one)

    return expm1
