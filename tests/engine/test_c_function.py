"""A model as a C function, as C and SciPy call it."""

import ctypes
import gc
import shutil
import subprocess
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastnn as fn
from tests.helpers.compiled import DTYPES, STACKS, built, data

SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


def call(f, x, out):
    SIGNATURE(f.address)(len(x), x.ctypes.data, out.ctypes.data, f.data)


@DTYPES
@pytest.mark.parametrize("stack", STACKS)
def test_it_is_predict(stack, dtype):
    model = built(stack, dtype=dtype)
    f = model.c_function()
    for n in (0, 1, 7):
        x, _ = data(n, dtype)
        memory = np.full((n + 1, model.n_out), 7, dtype)
        call(f, x, memory)
        assert n == 0 or np.array_equal(memory[:n], model.predict(x))
        assert (memory[n] == 7).all()
    model.parameters[...] *= 0.5  # the weights are those of the model
    call(f, x, memory)
    assert np.array_equal(memory[:n], model.predict(x))


def test_numbers_that_are_no_indices():
    model = fn.Model([fn.Embedding(4, 3), fn.Flatten(), fn.Dense(2)], seed=0).build(2)
    f, out = model.c_function(), np.empty((1, 2), np.float32)
    call(f, np.array([[0, 3]], np.float32), out)
    assert np.array_equal(out, model.predict([[0, 3]]))
    for wrong in (4, -1, 0.5, np.nan):
        call(f, np.array([[0, wrong]], np.float32), out)
        assert np.isnan(out).all()


def test_threads_with_one_each():
    model = built("tanh")
    x, _ = data(40, "float64")
    outs = [np.empty((40, 3)) for _ in range(4)]

    def run(out):
        f = model.c_function()
        for _ in range(200):
            call(f, x, out)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, outs))
    assert all(np.array_equal(out, model.predict(x)) for out in outs)


@DTYPES
def test_scipy_integrates_it(dtype):
    integrate = pytest.importorskip("scipy.integrate")
    model = fn.Model([fn.Dense(8, "tanh"), fn.Dense(1)], dtype=dtype, seed=0).build(2)
    integrand = model.c_function().integrand()  # nothing else keeps it
    gc.collect()
    nodes, weights = np.polynomial.legendre.leggauss(20)
    points = np.stack(np.meshgrid(nodes + 1, nodes + 1, indexing="ij"), axis=-1).reshape(-1, 2)
    expected = model.predict(points)[:, 0] @ np.outer(weights, weights).ravel()
    found, _ = integrate.nquad(integrand, [(0, 2), (0, 2)], opts={"epsabs": 1e-5})
    assert abs(expected) > 0.1 and found == pytest.approx(expected, abs=1e-5)
    with pytest.warns(integrate.IntegrationWarning):
        assert np.isnan(integrate.quad(integrand, 0, 1)[0])  # of one number, not of two


def test_it_lives_as_long_as_the_integrand():
    pytest.importorskip("scipy")
    f = fn.Model([fn.Dense(1)], seed=0).build(1).c_function()
    integrand, seen = f.integrand(), weakref.ref(f)
    del f
    gc.collect()
    assert seen() is not None
    del integrand
    gc.collect()
    assert seen() is None


def test_what_is_refused():
    with pytest.raises(ValueError, match="not built"):
        fn.Model([fn.Dense(1)]).c_function()
    with pytest.raises(ValueError, match="one output, the model has 2"):
        fn.Model([fn.Dense(2)]).build(1).c_function().integrand()


PROGRAM = """
#include <stdint.h>

typedef void (*network)(int64_t n, const TYPE *x, TYPE *out, void *data);

TYPE iterate(network f, void *data, int64_t times, int64_t width, TYPE *x, TYPE *out) {  // x becomes f(x)
    TYPE total = 0;
    for (int64_t i = 0; i < times; i++) {
        f(1, x, out, data);
        for (int64_t j = 0; j < width; j++) {
            x[j] = out[j];
            total += out[j];
        }
    }
    return total;
}
"""


@pytest.mark.slow
@DTYPES
def test_a_program_in_c_calls_it_in_a_loop(dtype, tmp_path):
    """And carries on with what it computes itself: 1000 steps have the bits of `predict`."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    source, library = tmp_path / "program.c", tmp_path / "program.so"
    source.write_text(PROGRAM)
    kind, number = {"float32": ("float", ctypes.c_float), "float64": ("double", ctypes.c_double)}[dtype]
    options = ["-O2", "-shared", "-fPIC", f"-DTYPE={kind}", "-o", library, source]
    subprocess.run([compiler, *options], check=True, timeout=60)
    iterate = ctypes.CDLL(str(library)).iterate
    iterate.argtypes = [ctypes.c_void_p] * 2 + [ctypes.c_int64] * 2 + [ctypes.c_void_p] * 2
    iterate.restype = number
    model = fn.Model([fn.Dense(16, "tanh"), fn.Dense(3)], dtype=dtype, seed=0).build(3)
    f, x, out = model.c_function(), np.array([0.3, -1.0, 2.0], dtype), np.empty(3, dtype)
    expected, sums = x.copy(), np.zeros((), dtype)
    total = iterate(f.address, f.data, 1000, 3, x.ctypes.data, out.ctypes.data)
    for _ in range(1000):
        expected = model.predict(expected)
        for value in expected:
            sums = sums + value
    assert np.array_equal(x, expected)
    assert total == sums
