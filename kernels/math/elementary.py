"""Elementary functions of one number that LLVM vectorises, in float32 and float64.

``math.exp`` calls the C library once per element. These have no branches and no calls, so that a
loop over them becomes vector instructions; each is written once and compiled for both dtypes, with
series as long as the dtype needs. Multiplications and additions that belong together are fused in
so many words, so that an element has the same bits in a vector and alone. Their errors are measured
in ``tests/kernels/test_math.py``: at most 2 units in the last place in float32, 4 in float64.

Method: the argument is reduced with a constant split in two, so that no digit is lost, and the rest
is a short polynomial. W. J. Cody and W. Waite, *Software Manual for the Elementary Functions* (1980);
P. T. P. Tang, *Table-driven implementation of the expm1 function*, ACM TOMS 18 (1992), for sums whose
large part is exact.
"""

import math

import numpy as np

from ..lowlevel._jit import force_inline
from ..lowlevel.simd import bits, fma, from_bits, horner, polynomial
from . import coefficients
from .formats import BIAS, MANTISSA, UNSIGNED, both

# ln 2 = high + low, where high has so few digits that n * high is exact for every exponent n
_LN2 = {
    np.float32: (0.693359375, -2.12194440054690583e-4),
    np.float64: (0.693147180369123816490, 1.90821492927058770002e-10),
}

# Numba widens the result of uint32 arithmetic to uint64: it is cast back each time. All shifts are
# of unsigned numbers: AVX2 has no other ones of 64 bits.


def _exponent_magic(kind, offset):
    """A number that, added to a small one, rounds it to an integer n.

    Then n + `offset` stands in the sum's lowest bits, because a sum of about 1.5 * 2**mantissa has no
    digits after the point.
    """
    return kind(1.5 * 2.0 ** MANTISSA[kind] + offset)


@both
def exp(kind):
    """Exponential: 0 below and infinity above the dtype's range."""
    unsigned = UNSIGNED[kind]
    mantissa, one_bit = unsigned(MANTISSA[kind]), unsigned(1)
    magic = _exponent_magic(kind, 2 * BIAS[kind])
    log2_e, high, low = kind(1 / math.log(2)), kind(-_LN2[kind][0]), kind(-_LN2[kind][1])
    lowest, highest = (kind(-104), kind(89)) if kind is np.float32 else (kind(-746), kind(710))
    one = kind(1)
    series = tuple(map(kind, coefficients.EXP[kind]))

    @force_inline
    def exp(x):
        # Both comparisons are false for a NaN, which so passes through to the result.
        x = lowest if x < lowest else x
        x = highest if x > highest else x
        shifted = fma(x, log2_e, magic)
        n = shifted - magic
        r = fma(n, low, fma(n, high, x))
        # 2**n as two factors: near the ends of the range n itself is no valid exponent.
        exponent = bits(shifted)
        half = unsigned(exponent >> one_bit)
        first = from_bits(unsigned(half << mantissa))
        second = from_bits(unsigned(unsigned(exponent - half) << mantissa))
        y = fma(fma(polynomial(series, r), r, one), r, one)
        return y * first * second

    return exp


@both
def expm1(kind):
    """``exp(x) - 1``, without losing the digits of a small `x`."""
    unsigned = UNSIGNED[kind]
    mantissa, sign = unsigned(MANTISSA[kind]), kind(-0.0).view(unsigned)
    # The sum is half of what is asked for: 2**n itself is no valid exponent near overflow.
    magic = _exponent_magic(kind, BIAS[kind] - 1)
    log2_e, high, low = kind(1 / math.log(2)), kind(-_LN2[kind][0]), kind(-_LN2[kind][1])
    lowest, highest = (kind(-18), kind(89)) if kind is np.float32 else (kind(-38), kind(710))
    half, two = kind(0.5), kind(2)
    series = tuple(map(kind, coefficients.EXP[kind]))

    @force_inline
    def expm1(x):
        y = lowest if x < lowest else x
        y = highest if y > highest else y
        shifted = fma(y, log2_e, magic)
        n = shifted - magic
        # r = large + small; exp(x) - 1 = 2**n (1 + r + r**2 P(r)) - 1, of which 2**n (1 + large) - 1
        # is exact or nearly so
        large, small = fma(n, high, y), n * low
        r = large + small
        power = from_bits(unsigned(bits(shifted) << mantissa))
        rest = fma(r * r, polynomial(series, r), small)
        y = two * fma(power, rest, fma(power, large, power - half))
        return from_bits(unsigned(bits(y) | (bits(x) & sign)))  # -0 stays what it is

    return expm1


@both
def tanh(kind):
    """Hyperbolic tangent."""
    unsigned = UNSIGNED[kind]
    mantissa, sign = unsigned(MANTISSA[kind]), kind(-0.0).view(unsigned)
    magic = _exponent_magic(kind, BIAS[kind])
    log2_e, high, low = kind(2 / math.log(2)), kind(-_LN2[kind][0] / 2), kind(-_LN2[kind][1] / 2)
    highest = kind(10) if kind is np.float32 else kind(20)
    half, one = kind(0.5), kind(1)
    # of h = r / 2: (exp(r) - 1) / 2 = h + h**2 (2 P(2 h))
    powers = range(len(coefficients.EXP[kind]), 0, -1)
    series = tuple(kind(c * 2.0**k) for c, k in zip(coefficients.EXP[kind], powers, strict=True))

    @force_inline
    def tanh(x):
        # With e = (exp(2 |x|) - 1) / 2 it is e / (e + 1). The quotient is only a part of the result, so
        # that its roundings do not count fully: e - e**2 / (e + 1), from e = 1 on 1 - 1 / (e + 1).
        size = abs(x)
        size = highest if size > highest else size
        shifted = fma(size, log2_e, magic)
        n = shifted - magic
        h = fma(n, low, fma(n, high, size))
        power = from_bits(unsigned(bits(shifted) << mantissa))
        e = fma(power, fma(h * h, polynomial(series, h), h), fma(power, half, -half))
        part = one if e > one else e
        y = fma(-part, part / (e + one), part)
        return from_bits(unsigned(bits(y) | (bits(x) & sign)))

    return tanh


@both
def sigmoid(kind):
    """``1 / (1 + exp(-x))``."""
    unsigned = UNSIGNED[kind]
    mantissa, one_bit = unsigned(MANTISSA[kind]), unsigned(1)
    magic = _exponent_magic(kind, 2 * BIAS[kind])
    opposite = unsigned((int(magic.view(unsigned)) >> 1) + BIAS[kind])
    log2_e, high, low = kind(-1 / math.log(2)), kind(-_LN2[kind][0]), kind(-_LN2[kind][1])
    highest = kind(105) if kind is np.float32 else kind(746)
    series = tuple(map(kind, coefficients.EXP[kind]))

    @force_inline
    def sigmoid(x):
        x = -highest if x < -highest else x
        x = highest if x > highest else x
        shifted = fma(x, log2_e, magic)
        n = shifted - magic
        r = fma(n, low, fma(n, high, -x))
        # exp(-x) = first * second * (1 + rest). The quotient is divided by `first`, so that neither
        # the largest x nor the smallest leaves the range.
        exponent = bits(shifted)
        half = unsigned(exponent >> one_bit)
        inverse = from_bits(unsigned(unsigned(opposite - half) << mantissa))
        second = from_bits(unsigned(unsigned(exponent - half) << mantissa))
        rest = fma(r * r, polynomial(series, r), r)
        return inverse / (second + fma(second, rest, inverse))

    return sigmoid


@both
def log(kind):
    """Natural logarithm: minus infinity at 0, NaN below, correct for denormal numbers."""
    unsigned = UNSIGNED[kind]
    mantissa, digits = unsigned(MANTISSA[kind]), unsigned(2 ** MANTISSA[kind] - 1)
    lowest_bits = kind(math.sqrt(0.5)).view(unsigned)
    offset = unsigned(kind(1).view(unsigned) - lowest_bits)
    magic = kind(2.0 ** MANTISSA[kind])
    magic_bits, bias = magic.view(unsigned), kind(magic + BIAS[kind])
    lifted_bias = kind(bias + MANTISSA[kind])
    tiny = np.finfo(kind).smallest_normal
    one, two, zero = kind(1), kind(2), kind(0)
    high, low = kind(_LN2[kind][0]), kind(-_LN2[kind][1])
    infinity, nan = kind(np.inf), kind(np.nan)
    series = tuple(map(kind, coefficients.LOG[kind]))

    @force_inline
    def log(x):
        # x = m 2**n with m in [sqrt(1/2), sqrt(2)), and log m = 2 artanh(s) with s = (m - 1) / (m + 1);
        # with f = m - 1 that is f - s (f - z P(z)), whose first term is exact, because 2 s = f - s f.
        denormal = x < tiny
        moved = unsigned(bits(x * magic if denormal else x) + offset)
        n = from_bits(unsigned(unsigned(moved >> mantissa) | magic_bits)) - (
            lifted_bias if denormal else bias
        )
        f = from_bits(unsigned(unsigned(moved & digits) + lowest_bits)) - one
        s = f / (two + f)
        z = s * s
        y = fma(n, high, f - fma(s, fma(-z, horner(series, z), f), n * low))
        y = y if x < infinity else x
        return (-infinity if x == zero else nan) if x <= zero else y

    return log


@both
def log1p(kind):
    """``log(1 + x)``, without losing the digits of a small `x`: minus infinity at -1, NaN below."""
    unsigned = UNSIGNED[kind]
    mantissa, digits = unsigned(MANTISSA[kind]), unsigned(2 ** MANTISSA[kind] - 1)
    lowest_bits = kind(math.sqrt(0.5)).view(unsigned)
    offset = unsigned(kind(1).view(unsigned) - lowest_bits)
    magic = kind(2.0 ** MANTISSA[kind])
    magic_bits, bias = magic.view(unsigned), kind(magic + BIAS[kind])
    opposite, sign = unsigned(2 * BIAS[kind] + 1), kind(-0.0).view(unsigned)
    one, two, half, zero = kind(1), kind(2), kind(0.5), kind(0)
    high, low = kind(_LN2[kind][0]), kind(-_LN2[kind][1])
    infinity, nan = kind(np.inf), kind(np.nan)
    series = tuple(map(kind, coefficients.LOG[kind]))

    @force_inline
    def log1p(x):
        total = one + x
        lost = x - (total - one)  # what 1 + x was rounded by
        moved = unsigned(bits(total) + offset)
        exponent = unsigned(moved >> mantissa)
        n = from_bits(unsigned(exponent | magic_bits)) - bias
        inverse = half * from_bits(unsigned(unsigned(opposite - exponent) << mantissa))  # 2**-n
        f = fma(lost, inverse, from_bits(unsigned(unsigned(moved & digits) + lowest_bits)) - one)
        s = f / (two + f)
        z = s * s
        y = fma(n, high, f - fma(s, fma(-z, horner(series, z), f), n * low))
        y = y if x < infinity else x
        y = (-infinity if total == zero else nan) if total <= zero else y
        return from_bits(unsigned(bits(y) | (bits(x) & sign)))

    return log1p


@both
def softplus(kind):
    """``log(1 + exp(x))``, without overflow."""
    two, zero = kind(2), kind(0)
    series = tuple(map(kind, coefficients.LOG1P[kind]))

    @force_inline
    def softplus(x):
        # max(x, 0) + log(1 + f) with f = exp(-|x|), at most 1
        f = exp(-abs(x))
        s = f / (two + f)
        z = s * s
        y = fma(-s, fma(-z, polynomial(series, z), f), f)
        return y + (zero if x < zero else x)

    return softplus
