"""Errors of the elementary functions in units in the last place, their limits, and that they vectorise."""

import math as standard
import re
import subprocess
import sys

import numpy as np
import pytest
from numba import njit
from numba.core import config

from fastnn.kernels import math
from fastnn.kernels._jit import INTERPRETED

# Largest errors in ulp, measured over some millions of arguments in both dtypes and rounded up to the
# next half: exp 0.9 (1.1 without fused multiply-adds), log 0.8, log1p 1.2, sigmoid 2.4, tanh 1.6,
# softplus 1.95, expm1 2.6.
LARGEST_ERROR = {
    "exp": 1.5,
    "log": 1.0,
    "log1p": 1.5,
    "sigmoid": 2.5,
    "tanh": 2.0,
    "softplus": 2.0,
    "expm1": 3.0,
}
COUNT = 1_000 if INTERPRETED else 100_000

REFERENCE = {
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "expm1": np.expm1,
}
ALL = {name: getattr(math, name) for name in REFERENCE}

LONGER_DOUBLE = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant <= 52,
    reason="this platform has no number longer than float64 to compare with",
)


def loop(function):
    """The function over all elements of an array."""

    @njit(error_model="numpy")
    def over(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    return over


LOOPS = {name: loop(function) for name, function in ALL.items()}


def apply(name, *x, dtype):
    x = np.array(x, dtype).reshape(-1)
    y = np.empty_like(x)
    # Without JIT NumPy's scalars warn where a result is infinite or NaN, as some here shall be.
    with np.errstate(all="ignore"):
        LOOPS[name](x, y)
    return y


def error_in_ulp(name, x):
    """Largest error; where the true result overflows, infinity has to be right exactly."""
    with np.errstate(all="ignore"):
        expected = REFERENCE[name](x.astype(np.longdouble))
        rounded = expected.astype(x.dtype)
        error = np.abs(apply(name, x, dtype=x.dtype).astype(np.longdouble) - expected) / np.spacing(
            np.abs(rounded)
        ).astype(np.longdouble)
    finite = np.isfinite(rounded)
    assert finite.any()
    assert not np.isnan(error[finite]).any()
    return error[finite].max()


def every_magnitude(rng, dtype):
    """Numbers with random bits: all exponents alike, denormal numbers too, both signs."""
    integer = np.uint32 if dtype is np.float32 else np.uint64
    x = rng.integers(0, np.iinfo(integer).max, COUNT, integer, endpoint=True).view(dtype)
    return x[np.isfinite(x)]


def arguments(name, rng, dtype):
    """Arguments over the range on which the result is a normal number."""
    info = np.finfo(dtype)
    # Short of the ends by a little, where the last bit of x decides between a number and infinity.
    low, high = (0.9999 * float(np.log(limit)) for limit in (info.smallest_normal, info.max))
    anything = every_magnitude(rng, dtype)
    if name in ("log", "log1p"):
        parts = [np.abs(anything), rng.uniform(0, 2, COUNT), rng.uniform(0.99, 1.01, COUNT)]
    else:
        if name == "sigmoid":
            high = -low
            low = max(low, -float(np.log(info.max)) * 0.9999)
        top = np.inf if name in ("sigmoid", "tanh", "softplus") else high
        inside = anything[(anything > low) & (anything < top)] if name != "tanh" else anything
        parts = [inside, *(rng.uniform(*ends, COUNT) for ends in [(low, high), (-1, 1), (-30, 30)])]
    x = np.concatenate([part.astype(dtype) for part in parts])
    return x[x > 0] if name == "log" else x


@LONGER_DOUBLE
@pytest.mark.parametrize("name", ALL)
def test_error(name, dtype, rng):
    assert error_in_ulp(name, arguments(name, rng, dtype)) <= LARGEST_ERROR[name]


@LONGER_DOUBLE
def test_the_measure_sees_one_ulp_more(dtype, monkeypatch):
    def wrong(x, y):
        y[:] = np.nextafter(np.nextafter(np.exp(x), dtype(np.inf)), dtype(np.inf))

    monkeypatch.setitem(LOOPS, "exp", wrong)
    assert error_in_ulp("exp", np.array([0.5, 1.5], dtype)) > LARGEST_ERROR["exp"]


def test_every_function_of_the_module_is_tested():
    public = {name for name in vars(math) if callable(getattr(math, name)) and not name.startswith("_")}
    own = {name for name in public if getattr(getattr(math, name), "__module__", "") == math.__name__}
    assert own == set(ALL)


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    "name, x, y",
    [
        ("exp", [0.0, -0.0, INF, -INF, NAN, 1e4, -1e4, 3e38, -3e38], [1, 1, INF, 0, NAN, INF, 0, INF, 0]),
        ("log", [1.0, 0.0, -0.0, INF, -INF, -1.0, NAN], [0, -INF, -INF, INF, NAN, NAN, NAN]),
        ("log1p", [0.0, NAN], [0, NAN]),
        ("sigmoid", [0.0, INF, -INF, 1e4, -1e4, 3e38, -3e38, NAN], [0.5, 1, 0, 1, 0, 1, 0, NAN]),
        ("tanh", [0.0, INF, -INF, 1e4, -1e4, 3e38, -3e38, NAN], [0, 1, -1, 1, -1, 1, -1, NAN]),
        ("softplus", [INF, -INF, 1e4, -1e4, 3e37, -3e38, NAN], [INF, 0, 1e4, 0, 3e37, 0, NAN]),
        ("expm1", [0.0, INF, -INF, 1e4, -1e4, -3e38, NAN], [0, INF, -1, INF, -1, -1, NAN]),
    ],
)
def test_limits(name, x, y, dtype):
    np.testing.assert_array_equal(apply(name, *x, dtype=dtype), np.array(y, dtype))


def test_denormal_arguments(dtype):
    info = np.finfo(dtype)
    x = np.array([info.smallest_subnormal, info.smallest_normal / 2, info.smallest_normal / 3], dtype)
    for name in ("tanh", "expm1", "log1p"):
        assert (np.abs(apply(name, x, dtype=dtype) - x) <= info.smallest_subnormal).all()
    for name in ("exp", "sigmoid", "softplus"):
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


def body_of(dispatcher):
    """LLVM's optimised code of the loop itself, without the wrapper that Python calls."""
    (signature,) = [s for s in dispatcher.signatures if s[0].dtype.bitwidth == 32]
    functions = re.findall(r"^define .*?^}", dispatcher.inspect_llvm(signature), re.MULTILINE | re.DOTALL)
    (body,) = [text for text in functions if re.match(r'define [^@]*@"?_ZN(?!7cpython)', text)]
    return body


def assert_float32_vectors(body):
    assert not re.search(r"\b(fpext|fptrunc|double)\b", body), "computes in float64"
    assert re.search(r"= f(mul|add|sub)( \w+)* <\d+ x float>", body), "not vectorised"
    called = re.findall(r'call [^@\n]*@"?([\w.$]+)', body)
    assert [name for name in called if not name.startswith("llvm.")] == [], "calls a function"


@COMPILED
@pytest.mark.parametrize("name", ALL)
def test_a_float32_loop_is_made_of_float32_vectors(name):
    apply(name, 1.0, dtype=np.float32)
    assert_float32_vectors(body_of(LOOPS[name]))


@COMPILED
@pytest.mark.parametrize(
    "function, what",
    [
        (lambda x: 0.1 * x, "float64"),  # a literal is a float64
        (lambda x: standard.exp(x), "not vectorised|calls a function"),
        (lambda x: standard.erf(x), "not vectorised|calls a function"),
    ],
)
def test_a_slower_loop_is_caught(function, what):
    slow = loop(njit(function))
    x = np.ones(1, np.float32)
    slow(x, x)
    with pytest.raises(AssertionError, match=what):
        assert_float32_vectors(body_of(slow))


INHERITANCE = """
import numpy as np
from fastnn.kernels import math
from fastnn.kernels._jit import reduction

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
