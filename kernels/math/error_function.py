"""The normal distribution and the error function, as the functions in `math` are made.

``erfc(x) = exp(-x**2) w P(w)`` with ``w = 1 / (1 + 0.3 x)``, a polynomial P for all ``x >= 0``: the form
of W. J. Cody, *Rational Chebyshev approximations for the error function*, Math. Comp. 23 (1969), with a
variable that maps the half line to an interval.
"""

import math

from ..lowlevel._jit import force_inline
from ..lowlevel.simd import bits, fma, from_bits, polynomial
from . import coefficients
from .elementary import exp
from .formats import UNSIGNED, both


@both
def _erfcx(kind):
    """``exp(x**2) * (1 - erf(x))`` for ``0 <= x <= 30``."""
    one, half, scale = kind(1), kind(0.5), kind(0.3)
    series = tuple(map(kind, coefficients.ERFC[kind]))

    @force_inline
    def _erfcx(x):
        w = one / fma(scale, x, one)
        lost = fma(-scale * w, x, one - w)  # near 0 a rounding of w counts fourfold
        return w * polynomial(series, fma(w, lost, w - half))

    return _erfcx


@both
def erf(kind):
    """Error function."""
    one, highest = kind(1), kind(10)
    unsigned = UNSIGNED[kind]
    sign = kind(-0.0).view(unsigned)
    series = tuple(map(kind, coefficients.ERF[kind]))

    @force_inline
    def erf(x):
        size = abs(x)
        size = highest if size > highest else size
        square = size * size
        small = fma(size, polynomial(series, square), size)
        large = fma(-exp(-square), _erfcx(size), one)
        y = small if size < one else large
        return from_bits(unsigned(bits(y) | (bits(x) & sign)))

    return erf


@both
def gaussian(kind):
    """``exp(-x**2 / 2)``."""
    half, one, highest = kind(0.5), kind(1), kind(40)

    @force_inline
    def gaussian(x):
        size = abs(x)
        size = highest if size > highest else size
        square = size * size
        lost = fma(size, size, -square)
        return exp(-half * square) * fma(-half, lost, one)

    return gaussian


@both
def normal_cdf(kind):
    """Probability that a standard normal number is at most `x`, with all digits of a small one."""
    zero, half, one, highest = kind(0), kind(0.5), kind(1), kind(40)
    root = kind(math.sqrt(0.5))

    @force_inline
    def normal_cdf(x):
        size = abs(x)
        size = highest if size > highest else size
        tail = half * gaussian(x) * _erfcx(root * size)
        return tail if x < zero else one - tail

    return normal_cdf
