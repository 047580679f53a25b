"""Compiled code takes denormal numbers for zeros, on x86 and on ARM, and leaves the thread as it was."""

import platform

import numpy as np
import pytest

import fastnn as fn

DENORMAL = {"float32": 1e-40, "float64": 1e-310}
HALVES = fn.initializers.constant(0.5)

pytestmark = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64", "aarch64", "arm64"), reason="another kind of CPU"
)


@pytest.mark.parametrize("rows", [1, 1000])
@pytest.mark.parametrize("dtype", DENORMAL)
def test_a_prediction_of_denormal_numbers(dtype, rows):
    layers = [fn.Dense(2, use_bias=False, kernel_initializer=HALVES)]
    model = fn.Model(layers, dtype=dtype).build(1)
    x = np.full((rows, 1), DENORMAL[dtype], dtype)
    assert x.all() and not model.predict(x).any()
    assert (x * np.dtype(dtype).type(0.5)).all()  # NumPy still has them
    assert DENORMAL["float64"] * 0.5 > 0  # and so has Python
