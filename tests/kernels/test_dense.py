"""The dense layer's kernels against the oracle and central differences."""

import numpy as np
import pytest

from fastnn.kernels.abi.oprow import PACK_SIZE
from fastnn.kernels.layers.dense import dense_backward_input, dense_backward_weights, dense_forward
from fastnn.kernels.lowlevel._jit import INTERPRETED
from tests.helpers import reference
from tests.helpers.tolerances import PRODUCT
from tests.kernels.checks import assert_close, assert_gradient

SHAPES = [(1, 1, 1), (1, 3, 2), (2, 1, 7), (3, 7, 15), (7, 17, 1), (15, 2, 33), (33, 15, 17), (17, 33, 31)]


def arrays(rng, dtype, rows, n_in, n_out):
    """x, w, b, dy."""
    shapes = [(rows, n_in), (n_in, n_out), (n_out,), (rows, n_out)]
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def pack(x):
    return np.full(PACK_SIZE, np.nan, x.dtype)


def run_backward(x, w, dy, with_bias=True):
    """dx, dw, db; a bias that there is not has the shape (0,)."""
    dw, db = np.full_like(w, np.nan), np.full(w.shape[1] if with_bias else 0, np.nan, w.dtype)
    dx = np.full_like(x, np.nan)
    dense_backward_weights(None, x, 0, dy, dw, db, pack(w))
    dense_backward_input(None, w, dy, dx, pack(w))
    return dx, dw, db


@pytest.mark.parametrize("shape", SHAPES)
def test_forward(shape, dtype, rng):
    x, w, b, _ = arrays(rng, dtype, *shape)
    y = np.full((shape[0], shape[2]), np.nan, dtype)
    dense_forward(None, x, w, b, y, pack(x))
    assert_close(y, reference.dense_forward(x, w, b), PRODUCT)
    dense_forward(None, x, w, b[:0], y, pack(x))
    assert_close(y, reference.dense_forward(x, w), PRODUCT)


@pytest.mark.parametrize("shape", SHAPES)
def test_backward(shape, dtype, rng):
    x, w, _, dy = arrays(rng, dtype, *shape)
    for actual, expected in zip(run_backward(x, w, dy), reference.dense_backward(x, w, dy), strict=True):
        assert_close(actual, expected, PRODUCT)


def test_a_bias_that_there_is_not_is_left_out_of_backward(dtype, rng):
    x, w, _, dy = arrays(rng, dtype, 7, 9, 17)
    everything = run_backward(x, w, dy)
    dx, dw, db = run_backward(x, w, dy, with_bias=False)
    assert dx.tobytes() == everything[0].tobytes()
    assert dw.tobytes() == everything[1].tobytes()
    assert db.tobytes() == b""


@pytest.mark.skipif(INTERPRETED, reason="without JIT the product is that of NumPy, which promises no bits")
@pytest.mark.parametrize("shape", [(33, 17, 5), (20, 40, 1), (300, 100, 70), (7, 64, 200)])
def test_rows_of_the_weights_by_themselves_are_the_same_bits(shape, dtype, rng):
    x, w, _, dy = arrays(rng, dtype, *shape)
    _, expected, bias = run_backward(x, w, dy)
    for first, last in ((0, 8), (8, 9), (5, shape[1]), (16, 17)):
        dw, db = np.full_like(w[first:last], np.nan), np.full_like(bias, np.nan)
        dense_backward_weights(None, x, first, dy, dw, db, pack(w))
        assert dw.tobytes() == expected[first:last].tobytes()
        assert db.tobytes() == bias.tobytes()


def test_inputs_are_left_as_they_are(dtype, rng):
    before = arrays(rng, dtype, 7, 9, 17)
    x, w, b, dy = (array.copy() for array in before)
    dense_forward(None, x, w, b, np.empty_like(dy), pack(x))
    run_backward(x, w, dy)
    for array, copy in zip((x, w, b, dy), before, strict=True):
        assert array.tobytes() == copy.tobytes()


def loss_of(x, w, b, dy):
    """sum(dy * y) with y from the kernel: a function whose gradient for y is dy."""
    y = np.empty_like(dy)
    dense_forward(None, x, w, b, y, pack(x))
    return (dy * y).sum()


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 7, 2), (7, 3, 5)])
def test_gradients_are_those_of_central_differences(shape, rng):
    x, w, b, dy = arrays(rng, np.float64, *shape)
    dx, dw, db = run_backward(x, w, dy)
    assert_gradient(dx, lambda moved: loss_of(moved, w, b, dy), x)
    assert_gradient(dw, lambda moved: loss_of(x, moved, b, dy), w)
    assert_gradient(db, lambda moved: loss_of(x, w, moved, dy), b)


def test_a_wrong_gradient_is_caught(rng):
    x, w, b, dy = arrays(rng, np.float64, 3, 7, 2)
    dx, dw, _ = run_backward(x, w, dy)
    with pytest.raises(AssertionError):
        assert_gradient(dx * (1 + 1e-5), lambda moved: loss_of(moved, w, b, dy), x)
    dw[6, 1] *= 1 + 1e-5
    with pytest.raises(AssertionError):
        assert_gradient(dw, lambda moved: loss_of(x, moved, b, dy), w)
