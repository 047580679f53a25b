"""Elementary functions: limits, symmetry, the same bits anywhere in an array, and that they vectorise."""

import math as standard
import re
import subprocess
import sys

import numpy as np
import pytest
from numba import njit
from numba.core import config

from fastnn.kernels.lowlevel._jit import INTERPRETED
from tests.kernels.elementary import ALL, LOOPS, apply, loop

INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    "name, x, y",
    [
        ("exp", [0.0, -0.0, INF, -INF, NAN, 1e4, -1e4, 3e38, -3e38], [1, 1, INF, 0, NAN, INF, 0, INF, 0]),
        ("log", [1.0, 0.0, -0.0, INF, -INF, -1.0, NAN], [0, -INF, -INF, INF, NAN, NAN, NAN]),
        ("log1p", [0.0, INF, 3e38, -1.0, -1.5, -INF, NAN], [0, INF, np.log(3e38), -INF, NAN, NAN, NAN]),
        ("sigmoid", [0.0, INF, -INF, 1e4, -1e4, 3e38, -3e38, NAN], [0.5, 1, 0, 1, 0, 1, 0, NAN]),
        ("tanh", [0.0, INF, -INF, 1e4, -1e4, 3e38, -3e38, NAN], [0, 1, -1, 1, -1, 1, -1, NAN]),
        ("softplus", [INF, -INF, 1e4, -1e4, 3e37, -3e38, NAN], [INF, 0, 1e4, 0, 3e37, 0, NAN]),
        ("erf", [0.0, INF, -INF, 1e4, -1e4, 3e38, -3e38, NAN], [0, 1, -1, 1, -1, 1, -1, NAN]),
        ("gaussian", [0.0, INF, -INF, 1e4, 3e38, -3e38, NAN], [1, 0, 0, 0, 0, 0, NAN]),
        ("normal_cdf", [0.0, INF, -INF, 1e4, -1e4, 3e38, -3e38, NAN], [0.5, 1, 0, 1, 0, 1, 0, NAN]),
        ("expm1", [0.0, INF, -INF, 1e4, -1e4, -3e38, NAN], [0, INF, -1, INF, -1, -1, NAN]),
    ],
)
def test_limits(name, x, y, dtype):
    np.testing.assert_array_equal(apply(name, *x, dtype=dtype), np.array(y, dtype))


@pytest.mark.parametrize("name", ["expm1", "log1p", "tanh", "erf"])
def test_zero_keeps_its_sign(name, dtype):
    y = apply(name, 0.0, -0.0, dtype=dtype)
    np.testing.assert_array_equal(y, 0)
    np.testing.assert_array_equal(np.signbit(y), [False, True])


@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_odd(name, dtype, rng):
    x = rng.uniform(-5, 5, 100).astype(dtype)
    assert apply(name, -x, dtype=dtype).tobytes() == (-apply(name, x, dtype=dtype)).tobytes()


@pytest.mark.parametrize("name", ALL)
def test_an_element_has_the_same_bits_wherever_it_stands(name, dtype, rng):
    """In a vector, and in what is left after the last vector."""
    x = rng.uniform(0.1, 5, 67).astype(dtype)
    y = apply(name, x, dtype=dtype)
    for start in range(1, 20):
        assert apply(name, x[start:], dtype=dtype).tobytes() == y[start:].tobytes()
    for i in range(x.size):
        assert apply(name, x[i], dtype=dtype).tobytes() == y[i].tobytes()


def test_denormal_arguments(dtype):
    info = np.finfo(dtype)
    x = np.array([info.smallest_subnormal, info.smallest_normal / 2, info.smallest_normal / 3], dtype)
    for name in ("tanh", "expm1", "log1p"):
        assert (np.abs(apply(name, x, dtype=dtype) - x) <= info.smallest_subnormal).all()
    for name in ("exp", "sigmoid", "softplus", "gaussian", "normal_cdf"):
        np.testing.assert_array_equal(apply(name, x, dtype=dtype), apply(name, *[0.0] * 3, dtype=dtype))
    expected = np.log(x.astype(np.longdouble)).astype(dtype)
    np.testing.assert_allclose(apply("log", x, dtype=dtype), expected, rtol=2 * info.eps)


def test_exp_reaches_down_through_the_denormal_numbers(dtype):
    info = np.finfo(dtype)
    x = np.linspace(np.log(info.smallest_subnormal), np.log(info.smallest_normal), 200).astype(dtype)
    y = apply("exp", x, dtype=dtype)
    with np.errstate(under="ignore"):
        expected = np.exp(x.astype(np.longdouble))
    assert (np.abs(y - expected) <= info.smallest_subnormal).all()
    assert np.count_nonzero(y) > 190


def test_exp_overflows_where_numpy_does(dtype):
    border = dtype(np.log(np.finfo(dtype).max))
    x = np.array([border * dtype(1 - 1e-5), border * dtype(1 + 1e-5)])
    y = apply("exp", x, dtype=dtype)
    assert np.isfinite(y[0]) and y[1] == INF


COMPILED = pytest.mark.skipif(
    INTERPRETED or bool(config.BOUNDSCHECK),
    reason="without JIT, or with bounds checks, no loop is vectorised",
)


def body_of(dispatcher, dtype=np.float32):
    """LLVM's optimised code of the loop itself, without the wrapper that Python calls."""
    width = 8 * dtype().itemsize
    (signature,) = [s for s in dispatcher.signatures if s[0].dtype.bitwidth == width]
    functions = re.findall(r"^define .*?^}", dispatcher.inspect_llvm(signature), re.MULTILINE | re.DOTALL)
    (body,) = [text for text in functions if re.match(r'define [^@]*@"?_ZN(?!7cpython)', text)]
    return body


def assert_vectors(body, dtype=np.float32):
    own, other, integers = ("float", "double", 64) if dtype is np.float32 else ("double", "float", 32)
    assert not re.search(rf"\b(fpext|fptrunc|{other})\b", body), f"computes in {other}"
    assert not re.search(rf"<\d+ x i{integers}>", body), f"computes in int{integers}"
    assert re.search(rf"= f(mul|add|sub)( \w+)* <\d+ x {own}>", body), "not vectorised"
    called = re.findall(r'call [^@\n]*@"?([\w.$]+)', body)
    assert [name for name in called if not name.startswith("llvm.")] == [], "calls a function"


@COMPILED
@pytest.mark.parametrize("name", ALL)
def test_a_loop_is_made_of_vectors_of_its_dtype(name, dtype):
    apply(name, 1.0, dtype=dtype)
    assert_vectors(body_of(LOOPS[name], dtype), dtype)


@COMPILED
@pytest.mark.parametrize(
    "function, what",
    [
        (lambda x: 0.1 * x, "double"),  # a literal is a float64
        (lambda x: standard.exp(x), "not vectorised|calls a function"),
        (lambda x: standard.erf(x), "not vectorised|calls a function"),
    ],
)
def test_a_slower_loop_is_caught(function, what):
    slow = loop(njit(function))
    x = np.ones(1, np.float32)
    slow(x, x)
    with pytest.raises(AssertionError, match=what):
        assert_vectors(body_of(slow))


INHERITANCE = """
import numpy as np
from fastnn.kernels.math import elementary as math
from fastnn.kernels.lowlevel._jit import reduction

exp, log = math.exp, math.log

@reduction
def loops(x, y, z):
    for i in range(x.size):
        y[i] = exp(x[i])
        z[i] = log(y[i])

x = np.linspace(-80, 80, 10_001).astype(np.float32)
y, z = np.empty_like(x), np.empty_like(x)
loops(x, y, z)
expected = np.exp(x.astype(np.float64))
assert np.all(np.abs(y - expected) <= 2 * np.spacing(y)), np.abs(y - expected).max()
assert np.all(np.abs(z - np.log(y.astype(np.float64))) <= 2 * np.spacing(np.abs(z)))
"""


def test_functions_stay_strict_where_a_sum_may_be_reordered(tmp_path):
    """Numba hands the options of a caller on to what it calls, unless those say otherwise."""
    result = subprocess.run([sys.executable, "-c", INHERITANCE], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
