"""Compiles what `Model.to_c` wrote, many files in one call, and runs it by ctypes."""

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn
from fastnn.c.compiler import WARNINGS
from fastnn.c.export import TOLERANCE

C = {"gcc": ["gcc", "-std=c99"], "clang": ["clang", "-std=c99"], "g++": ["g++", "-std=c++17", "-x", "c++"]}
REAL = {"float32": ctypes.c_float, "float64": ctypes.c_double}


def require(compiler):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")


def compiled(folder, written, *, compiler="gcc", options=("-O0",)):
    """A library of several files, compiled as one with all warnings."""
    require(compiler)
    lines = []
    for each in written:
        lines += [f"#define {each.prefix.upper()}_API", f'#include "{each.paths[0]}"']
    source, library = folder / "all.c", folder / f"all-{compiler}-{len(list(folder.iterdir()))}.so"
    source.write_text("\n".join(lines) + "\n")
    command = [*C[compiler], *WARNINGS, *options, "-fPIC", "-shared", str(source), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]
    return ctypes.CDLL(str(library))


def predict(library, written, model, X, weights=None):
    """What the C file gives for samples, beside NaN that must stay as it is."""
    dtype, n_in, n_out = np.dtype(model.dtype), model.n_in, model.n_out
    function = getattr(library, f"{written.prefix}_predict")
    function.restype = None
    out = np.full((len(X), n_out + 2), np.nan, dtype)
    scratch = np.full(written.scratch // dtype.itemsize + 2, np.nan, dtype)
    rows = np.ascontiguousarray(X, dtype).reshape(len(X), n_in)
    for x, y in zip(rows, out, strict=True):
        arrays = [x, y[1:-1], scratch[1:-1], *([] if weights is None else [weights])]
        function(*(ctypes.c_void_p(array.ctypes.data) for array in arrays))
    assert np.isnan(out[:, [0, -1]]).all() and np.isnan(scratch[[0, -1]]).all()  # nothing beyond is written
    return out[:, 1:-1].reshape(len(X), *model.output_shape)


def selftest(library, written, model, weights=None):
    function = getattr(library, f"{written.prefix}_selftest")
    function.restype = REAL[model.dtype]
    return function(*([] if weights is None else [ctypes.c_void_p(weights.ctypes.data)]))


def steps(library, written, model, sample):
    """What the C file gives after each time step of a sample."""
    dtype = np.dtype(model.dtype)
    text = Path(written.paths[0]).read_text(encoding="ascii")
    size = {name: int(re.search(rf"_{name} (\d+) ", text)[1]) for name in ("STATE", "STEP_OUTPUTS")}
    state = np.full(size["STATE"], np.nan, dtype)
    scratch = np.full(written.scratch // dtype.itemsize, np.nan, dtype)
    out = np.full((len(sample), size["STEP_OUTPUTS"]), np.nan, dtype)
    reset, step = (getattr(library, f"{written.prefix}_{name}") for name in ("reset", "step"))
    reset.restype = step.restype = None
    reset(ctypes.c_void_p(state.ctypes.data))
    for x, y in zip(np.ascontiguousarray(sample, dtype), out, strict=True):
        step(*(ctypes.c_void_p(array.ctypes.data) for array in (state, x, y, scratch)))
    return out


def call_with(library, name, *arrays):
    """Call a function of arrays."""
    function = getattr(library, name)
    function.restype = None
    function(*(ctypes.c_void_p(array.ctypes.data) for array in arrays))


def difference(y, expected):
    """The largest one, relative to the largest number, or to 0.1 where they nearly cancel."""
    return np.abs(np.float64(y) - np.float64(expected)).max() / max(np.abs(expected).max(), 0.1)


def agrees(y, expected, dtype, exact=None):
    """To the tolerance; where a network amplifies rounding errors, as `predict` agrees with `exact`."""
    limit = TOLERANCE[dtype] if exact is None else max(TOLERANCE[dtype], 4 * difference(expected, exact))
    assert difference(y, expected) <= limit


def double(make, model, x):
    """What float64 makes of the weights of a float32 model."""
    other = make("float64")
    other.parameters[...] = model.parameters
    other.state.statistics[...] = model.state.statistics
    return other.predict(x)


def dense_model(dtype="float32", **options):
    layers = [fn.Dense(32, "relu"), fn.Dense(16, "tanh"), fn.Dense(3)]
    return fn.Model(layers, "cross_entropy", dtype=dtype, seed=0, **options).build(4)
