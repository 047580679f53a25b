"""Elementary functions as C text, with the methods and polynomials of `fastnn.kernels.math`.

In templates `$real` is the type, `$p` the prefix, and ``1.5r`` a number of that type; `${EXP}` and the like
are polynomials in Horner's form. Loops over these functions have no branches and no calls, so that compilers
vectorise them.
"""

from __future__ import annotations

import math

import numpy as np

from ..kernels.math import coefficients

#: What a function needs, its text, and its text with the functions of <math.h>.
Helper = tuple[tuple[str, ...], str, str]

FUNCTIONS: dict[str, Helper] = {
    "power": (
        (),
        """
/* 2 to the power n, for exponents of normal numbers. */
static inline $real $p_power(int n)
{
    const $bits exponent = ($bits)(n + $bias) << $mantissa;
    $real result;
    $P_COPY(&result, &exponent, sizeof result);
    return result;
}
""",
        "",
    ),
    "exp": (
        ("power",),
        """
/* Exponential: 0 below and infinity above the range of the type. */
static inline $real $p_exp($real x)
{
    const $real limited = x > $lowest ? (x < $highest ? x : $highest) : $lowest;
    const $real scaled = limited * $log2e;
    const int n = (int)(scaled + (scaled < 0.0r ? -0.5r : 0.5r));
    const int half = (n + 2048) / 2 - 1024;
    const $real r = (limited - ($real)n * $ln2high) - ($real)n * $ln2low;
    const $real y = r + r * r * ${EXP:r} + 1.0r;
    const $real result = y * $p_power(half) * $p_power(n - half);
    return x == x ? result : x;
}
""",
        "static inline $real $p_exp($real x) { return exp$f(x); }\n",
    ),
    "expm1": (
        ("power",),
        """
/* exp(x) - 1 for x <= 0, 0 above. */
static inline $real $p_expm1($real x)
{
    const $real limited = x < 0.0r ? (x > $lowest1 ? x : $lowest1) : 0.0r;
    const int n = (int)(limited * $log2e - 0.5r);
    const $real r = (limited - ($real)n * $ln2high) - ($real)n * $ln2low;
    const $real power = $p_power(n);
    const $real result = power * (r + r * r * ${EXP:r}) + (power - 1.0r);
    return x == x ? result : x;
}
""",
        "static inline $real $p_expm1($real x) { return expm1$f(x < 0.0r ? x : 0.0r * x); }\n",
    ),
    "log": (
        (),
        """
/* Natural logarithm of normal numbers > 0. */
static inline $real $p_log($real x)
{
    $bits moved;
    $real m;
    $P_COPY(&moved, &x, sizeof moved);
    moved += $one - $root;
    const int n = (int)(moved >> $mantissa) - $bias;
    moved = (moved & $digits) + $root;
    $P_COPY(&m, &moved, sizeof m);
    const $real f = m - 1.0r, s = f / (2.0r + f), z = s * s;
    const $real result = ($real)n * $ln2high + (f - (s * (f - z * ${LOG:z}) - ($real)n * $ln2low));
    return x == x ? result : x;
}
""",
        "static inline $real $p_log($real x) { return log$f(x); }\n",
    ),
    "tanh": (
        ("expm1",),
        """
static inline $real $p_tanh($real x)
{
    const $real e = $p_expm1(x < 0.0r ? 2.0r * x : -2.0r * x);
    const $real y = -e / (2.0r + e);
    return x < 0.0r ? -y : y;
}
""",
        "static inline $real $p_tanh($real x) { return tanh$f(x); }\n",
    ),
    "sigmoid": (
        ("exp",),
        """
static inline $real $p_sigmoid($real x)
{
    return 1.0r / (1.0r + $p_exp(-x));
}
""",
        "static inline $real $p_sigmoid($real x) { return 1.0r / (1.0r + exp$f(-x)); }\n",
    ),
    "softplus": (
        ("exp",),
        """
/* log(1 + exp(x)). */
static inline $real $p_softplus($real x)
{
    const $real f = $p_exp(x < 0.0r ? x : -x), s = f / (2.0r + f), z = s * s;
    return (f - s * (f - z * ${LOG1P:z})) + (x < 0.0r ? 0.0r : x);
}
""",
        "static inline $real $p_softplus($real x)\n{\n"
        "    return log1p$f(exp$f(x < 0.0r ? x : -x)) + (x < 0.0r ? 0.0r : x);\n}\n",
    ),
    "normal_cdf": (
        ("exp",),
        """
/* Probability that a standard normal number is at most x. */
static inline $real $p_normal_cdf($real x)
{
    const $real magnitude = x < 0.0r ? -x : x;
    const $real size = magnitude > 40.0r ? 40.0r : magnitude;
    const $real w = 1.0r / (1.0r + 0.3r * ($root2 * size)), v = w - 0.5r;
    const $real tail = 0.5r * $p_exp(-0.5r * size * size) * (w * ${ERFC:v});
    return x < 0.0r ? tail : 1.0r - tail;
}
""",
        "static inline $real $p_normal_cdf($real x) { return 0.5r * erfc$f(-$root2 * x); }\n",
    ),
    "rsqrt": (
        (),
        """
/* 1 / sqrt(x) for normal numbers > 0, by Newton's method. */
static inline $real $p_rsqrt($real x)
{
    const $real h = 0.5r * x;
    $bits guess;
    $real y;
    $P_COPY(&guess, &x, sizeof guess);
    guess = $guess - guess / 2;
    $P_COPY(&y, &guess, sizeof y);
    y = y * (1.5r - h * y * y);
    y = y * (1.5r - h * y * y);
    y = y * (1.5r - h * y * y);
    y = y * (1.5r - h * y * y);
    return y;
}
""",
        "static inline $real $p_rsqrt($real x) { return 1.0r / sqrt$f(x); }\n",
    ),
}


def constants(dtype: np.dtype[np.floating]) -> dict[str, str]:
    """The numbers in the templates, for a type."""
    single = dtype == np.float32
    # ln 2 in two parts, the first of so few digits that its product with an exponent is exact.
    parts = (0.693359375, -2.12194440054690583e-4)
    if not single:
        parts = (0.69314718036912382, 1.9082149292705877e-10)
    root = int(dtype.type(math.sqrt(0.5)).view(np.uint32 if single else np.uint64))
    one = int(dtype.type(1).view(np.uint32 if single else np.uint64))
    wide = "" if single else "LL"
    return {
        "real": "float" if single else "double",
        "f": "f" if single else "",
        "bits": "int32_t" if single else "int64_t",
        "bias": "127" if single else "1023",
        "mantissa": "23" if single else "52",
        "digits": "0x007fffff" if single else "0x000fffffffffffffLL",
        "one": f"{one:#x}{wide}",
        "root": f"{root:#x}{wide}",
        "guess": "0x5f3759df" if single else "0x5fe6eb50c7b537a9LL",
        "lowest": "-104.0r" if single else "-746.0r",
        "highest": "89.0r" if single else "710.0r",
        "lowest1": "-18.0r" if single else "-38.0r",
        "log2e": literal(1 / math.log(2), dtype),
        "ln2high": literal(parts[0], dtype),
        "ln2low": literal(parts[1], dtype),
        "root2": literal(math.sqrt(0.5), dtype),
    }


def polynomial(name: str, x: str, dtype: np.dtype[np.floating]) -> str:
    """A polynomial of `fastnn.kernels.math.coefficients`, in Horner's form."""
    first, *others = getattr(coefficients, name)[dtype.type]
    text = literal(first, dtype)
    for number in others:
        text = f"({text} * {x} + {literal(number, dtype)})"
    return text


def literal(number: float, dtype: np.dtype[np.floating]) -> str:
    """A number of the type, exact to the bit."""
    value = float(dtype.type(number))
    zero = "0.0f" if dtype == np.float32 else "0.0"
    if math.isnan(value):
        return f"{zero} / {zero}"
    if value == 0.0:
        text = "-0.0" if math.copysign(1.0, value) < 0 else "0.0"
    else:
        head, _, exponent = value.hex().partition("p")
        text = f"{head.rstrip('0').rstrip('.') if '.' in head else head}p{exponent}"
    return text + ("f" if dtype == np.float32 else "")
