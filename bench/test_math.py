"""The elementary functions over an array beside NumPy's (erf: SciPy's), and softmax beside NumPy's formula.

Both write to an array that is there already, of 4096 numbers, which stays in the first cache. The table
of nanoseconds a number and of ratios, taken in turns, is printed last.
"""

from __future__ import annotations

import time
from statistics import median

import numpy as np
import pytest
from numba import njit
from scipy import special

from fastnn.kernels.layers.softmax import log_softmax_forward, softmax_forward
from fastnn.kernels.math import elementary, error_function

LINES: list[str] = []
ROUNDS, CALLS = 15, 40


def _sigmoid(x, out):
    np.negative(x, out=out)
    np.exp(out, out=out)
    out += 1
    np.reciprocal(out, out=out)


def _softplus(x, out):
    np.logaddexp(x, 0, out=out)


def _softmax(x, out):
    np.subtract(x, x.max(axis=1, keepdims=True), out=out)
    np.exp(out, out=out)
    out /= out.sum(axis=1, keepdims=True)


def _log_softmax(x, out):
    np.subtract(x, x.max(axis=1, keepdims=True), out=out)
    out -= np.log(np.exp(out).sum(axis=1, keepdims=True))


def over(function):
    """The function of every element, compiled."""

    @njit(error_model="numpy")
    def loop(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    return loop


def by_rows(kernel):
    """A kernel over rows, without its setting."""
    return lambda x, y: kernel(x, y, x.dtype.type(0))


# name: ours, NumPy's, least and largest argument, shape
CASES = {
    "exp": (over(elementary.exp), np.exp, -10, 10, (4096,)),
    "expm1": (over(elementary.expm1), np.expm1, -3, 3, (4096,)),
    "log": (over(elementary.log), np.log, 1e-6, 1e3, (4096,)),
    "log1p": (over(elementary.log1p), np.log1p, -0.9, 10, (4096,)),
    "tanh": (over(elementary.tanh), np.tanh, -5, 5, (4096,)),
    "sigmoid": (over(elementary.sigmoid), _sigmoid, -10, 10, (4096,)),
    "softplus": (over(elementary.softplus), _softplus, -10, 10, (4096,)),
    "erf": (over(error_function.erf), special.erf, -3, 3, (4096,)),
    "softmax": (by_rows(softmax_forward), _softmax, -5, 5, (410, 10)),
    "log_softmax": (by_rows(log_softmax_forward), _log_softmax, -5, 5, (410, 10)),
}


def seconds(call, *args) -> float:
    start = time.perf_counter()
    for _ in range(CALLS):
        call(*args)
    return (time.perf_counter() - start) / CALLS


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_function(benchmark, name, dtype):
    ours, numpys, low, high, shape = CASES[name]
    x = np.random.default_rng(0).uniform(low, high, shape).astype(dtype)
    y, expected = np.empty_like(x), np.empty_like(x)
    ours(x, y)
    numpys(x, expected)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(y, expected, rtol=20 * eps, atol=20 * eps)
    own, ratios = [], []
    for _ in range(ROUNDS):
        own.append(seconds(ours, x, y))
        ratios.append(seconds(numpys, x, expected) / own[-1])
    nanoseconds, ratio = 1e9 * median(own) / x.size, median(ratios)
    LINES.append(f"{name:12} {dtype:8} {nanoseconds:7.3f} ns a number NumPy takes {ratio:6.2f}x")
    benchmark.group = f"{name} {dtype}"
    benchmark.extra_info.update(nanoseconds=nanoseconds, numpy_ratio=ratio)
    benchmark(ours, x, y)
    assert ratio > 0.3  # a function that is no longer vectorised fails, a busy machine does not
