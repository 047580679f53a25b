"""Print the coefficients of the polynomials in kernels/math/coefficients.py.

    pip install mpmath
    python tools/minimax.py [name ...]

Method: the exchange algorithm of E. Remez, with a relative error where a weight is given; see W. J. Cody
and W. Waite, *Software Manual for the Elementary Functions* (1980), or N. Higham, *Accuracy and Stability
of Numerical Algorithms* (2002). Each line gives the largest weighted error that was reached.
"""

import sys

import mpmath as mp
import numpy as np

mp.mp.dps = 60


def minimax(function, weight, low, high, degree):
    """Coefficients, lowest power first, and error of the best polynomial for `function` on [low, high].

    The error is the largest ``|weight(x) * (polynomial(x) - function(x))|``.
    """
    low, high = mp.mpf(low), mp.mpf(high)
    count = degree + 2
    points = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * k / (count - 1)) for k in range(count)]
    grid = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * k / 1500) for k in range(1501)]
    values = [(x, function(x), weight(x)) for x in grid]
    for _ in range(12):
        system, right = mp.matrix(count, count), mp.matrix(count, 1)
        for i, x in enumerate(points):
            for k in range(degree + 1):
                system[i, k] = x**k
            system[i, degree + 1] = (-1) ** i / weight(x)
            right[i] = function(x)
        solution = mp.lu_solve(system, right)
        coefficients = [solution[k] for k in range(degree + 1)]
        errors = [(w * (mp.polyval(coefficients[::-1], x) - f), x) for x, f, w in values]
        found = _alternating(errors, count)
        if len(found) < count:
            break
        points = [x for _, x in found]
        if max(abs(e) for e, _ in errors) <= mp.mpf("1.01") * abs(solution[degree + 1]):
            break
    return coefficients, max(abs(e) for e, _ in errors)


def _alternating(errors, count):
    """The largest error between two changes of its sign; `count` of them that follow one another."""
    runs = [errors[0]]
    for error in errors[1:]:
        if (error[0] > 0) == (runs[-1][0] > 0):
            runs[-1] = max(runs[-1], error, key=lambda e: abs(e[0]))
        else:
            runs.append(error)
    while len(runs) > count:
        runs.pop(0 if abs(runs[0][0]) < abs(runs[-1][0]) else -1)
    return runs


def series(function):
    """`function`, and near 0, where it is a difference of large numbers, a limit taken with more digits."""

    def careful(x):
        with mp.workdps(150):
            return +function(x if abs(x) > mp.mpf(10) ** -50 else mp.mpf(10) ** -50)

    return careful


def exp_rest(r):
    """What ``exp(r) = 1 + r + r**2 * rest`` leaves."""
    return (mp.expm1(r) - r) / r**2


def log_rest(z):
    """What ``2 artanh(s) = s * (2 + z * rest)`` leaves, z = s**2."""
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) / s - 2) / z


def erf_rest(z):
    """What ``erf(x) = x + x * rest`` leaves, z = x**2."""
    x = mp.sqrt(z)
    return mp.erf(x) / x - 1


def erfc_rest(v):
    """What ``erfc(x) = exp(-x**2) * w * rest`` leaves, w = 1 / (1 + 0.3 x), v = w - 1/2."""
    w = v + mp.mpf("0.5")
    x = (1 / w - 1) / mp.mpf("0.3")
    return mp.erfc(x) * mp.exp(x * x) / w


def absolute(x):
    """Weight of an absolute error."""
    return mp.mpf(1)


HALF_LN2 = mp.log(2) / 2 * mp.mpf("1.0001")
# s at the ends of the range that `log` reduces its argument to, [sqrt(1/2), sqrt(2)]
LOG_END = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1) * mp.mpf("1.0001")
# v where erfc is the smallest number of float32, of float64
ERFC_END = {"float32": 1 / (1 + mp.mpf("3.03")) - 0.5, "float64": 1 / (1 + mp.mpf("8.19")) - 0.5}

# name -> function, weight, low end (or one for each dtype), high end, degrees in float32 and float64
TABLE = {
    "EXP": (series(exp_rest), absolute, -HALF_LN2, HALF_LN2, (4, 9)),
    "LOG": (series(log_rest), absolute, 0, LOG_END**2, (2, 6)),
    "LOG1P": (series(log_rest), absolute, 0, mp.mpf(1) / 9, (4, 9)),
    "ERF": (series(erf_rest), absolute, 0, 1, (6, 11)),
    "ERFC": (erfc_rest, lambda w: 1 / erfc_rest(w), ERFC_END, 0.5, (8, 21)),
}


def main():
    """Print the tables that are asked for, or all."""
    for name in sys.argv[1:] or TABLE:
        function, weight, low, high, degrees = TABLE[name]
        print(f"{name} = {{")
        for dtype, degree in zip(("float32", "float64"), degrees, strict=True):
            start = low[dtype] if isinstance(low, dict) else low
            coefficients, error = minimax(function, weight, start, high, degree)
            number = np.dtype(dtype).type
            print(f"    np.{dtype}: (  # {mp.nstr(error, 2)}")
            for coefficient in reversed(coefficients):
                print(f"        {number(mp.nstr(coefficient, 25))!s},")
            print("    ),")
        print("}")


if __name__ == "__main__":
    main()
