"""Networks inside compiled code."""

import numpy as np
import pytest
from numba import njit

import fastnn as fn


@njit
def run(net, X, out):
    for i in range(X.shape[0]):
        fn.forward(net, X[i], out[i])


def built(dtype="float32"):
    return fn.Model([fn.Dense(7, "tanh"), fn.Dropout(0.5), fn.Dense(3)], dtype=dtype, seed=0).build(5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_forward_in_compiled_code_is_predict(dtype):
    model = built(dtype)
    X = np.random.default_rng(0).normal(size=(600, 5)).astype(dtype)
    single, batch = np.empty((600, 3), dtype), np.empty((600, 3), dtype)
    run(model.network(), X, single)
    fn.forward(model.network(), X, batch)
    expected = model.predict(X)
    assert np.array_equal(single, expected)
    assert np.array_equal(batch, expected)


def test_a_network_sees_later_weights():
    model = built()
    net, x, out = model.network(), np.ones(5, np.float32), np.empty(3, np.float32)
    model.parameters[...] = 0
    fn.forward(net, x, out)
    assert np.array_equal(out, np.zeros(3, np.float32))


def test_a_model_that_is_not_built_has_no_network():
    with pytest.raises(ValueError, match="not built"):
        fn.Model([fn.Dense(2)]).network()
