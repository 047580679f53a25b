"""Activations, by element and by row, against the oracles and central differences."""

import numpy as np
import pytest

from fastnn.kernels.layers import activation, softmax
from tests.helpers import reference
from tests.helpers.tolerances import ELEMENTWISE, PRODUCT
from tests.kernels.checks import assert_close, assert_gradient

# (name, settings of the oracle); a kernel takes at most one, called p.
SETTINGS = {
    "leaky_relu": [
        {"negative_slope": 0.01},
        {"negative_slope": 0.3},
        {"negative_slope": 0.0},
        {"negative_slope": -0.4},
    ],
    "elu": [{"alpha": 1.0}, {"alpha": 0.3}, {"alpha": 2.5}],
}
CASES = [(name, settings) for name in reference.ACTIVATIONS for settings in SETTINGS.get(name, [{}])]
BY_ROW = {name for name, value in vars(softmax).items() if isinstance(value, activation.Activation)}
BY_ELEMENT = {name for name, value in vars(activation).items() if isinstance(value, activation.Activation)}
SHAPES = [(1, 1), (1, 2), (2, 3), (3, 7), (7, 1), (15, 17), (5, 33)]
BORDERS = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1e-3, -1e-3, 3.0, -3.0, 20.0, -20.0]

all_cases = pytest.mark.parametrize("name, settings", CASES)


def kernels_of(name):
    return getattr(softmax if name in BY_ROW else activation, name)


def cut(name, *arrays):
    """Views as the kernel takes them: rows, or all elements in one dimension."""
    return arrays if name in BY_ROW else tuple(array.reshape(-1) for array in arrays)


def setting(settings, dtype):
    return dtype(next(iter(settings.values()), 0.0))


# Without JIT NumPy's scalars warn where exp overflows on the way to a limit, and of NaN.
without_warnings = np.errstate(over="ignore", invalid="ignore")


@without_warnings
def forward(name, x, settings, in_place=False):
    y = x.copy() if in_place else np.full_like(x, np.nan)
    source = y if in_place else x
    kernels_of(name).forward(*cut(name, source, y), setting(settings, x.dtype.type))
    return y


@without_warnings
def backward(name, x, dy, settings, in_place=False):
    y = forward(name, x, settings)
    dx = dy.copy() if in_place else np.full_like(dy, np.nan)
    source = dx if in_place else dy
    kernels_of(name).backward(*cut(name, x, y, source, dx), setting(settings, x.dtype.type))
    return dx


def tolerance(name):
    return PRODUCT if name in BY_ROW else ELEMENTWISE


def test_every_kernel_has_an_oracle_and_every_oracle_a_kernel():
    assert BY_ELEMENT | BY_ROW == set(reference.ACTIVATIONS)
    assert not BY_ELEMENT & BY_ROW


@all_cases
@pytest.mark.parametrize("shape", SHAPES)
def test_forward_and_backward(name, settings, shape, dtype, rng):
    x, dy = 2 * rng.standard_normal(shape).astype(dtype), rng.uniform(-1, 1, shape).astype(dtype)
    value, vector_jacobian = reference.ACTIVATIONS[name]
    assert_close(forward(name, x, settings), value(x, **settings), tolerance(name))
    assert_close(backward(name, x, dy, settings), vector_jacobian(x, dy, **settings), tolerance(name))


@all_cases
def test_at_kinks_zero_and_where_it_saturates(name, settings, dtype):
    x = np.array([BORDERS], dtype)
    value, vector_jacobian = reference.ACTIVATIONS[name]
    assert_close(forward(name, x, settings), value(x, **settings), tolerance(name))
    dx = backward(name, x, np.ones_like(x), settings)
    assert_close(dx, vector_jacobian(x, np.ones_like(x), **settings), tolerance(name))


@all_cases
def test_in_place(name, settings, dtype, rng):
    x, dy = (rng.standard_normal((7, 17)).astype(dtype) for _ in range(2))
    assert forward(name, x, settings, in_place=True).tobytes() == forward(name, x, settings).tobytes()
    expected = backward(name, x, dy, settings)
    assert backward(name, x, dy, settings, in_place=True).tobytes() == expected.tobytes()


@all_cases
def test_a_row_has_the_same_bits_wherever_it_stands(name, settings, dtype, rng):
    x, dy = (rng.standard_normal((17, 5)).astype(dtype) for _ in range(2))
    y, dx = forward(name, x, settings), backward(name, x, dy, settings)
    for first, end in [(0, 1), (3, 4), (16, 17), (1, 3), (2, 16)]:
        assert forward(name, x[first:end], settings).tobytes() == y[first:end].tobytes()
        part = backward(name, x[first:end], dy[first:end], settings)
        assert part.tobytes() == dx[first:end].tobytes()


@all_cases
def test_at_1e4(name, settings, dtype):
    x = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, -1e4], [0.0, -1e4, 1e4]], dtype)
    dy = np.array([[1.0, -2.0, 0.5]] * 4, dtype)
    value, vector_jacobian = reference.ACTIVATIONS[name]
    y, dx = forward(name, x, settings), backward(name, x, dy, settings)
    assert np.isfinite(y).all() and np.isfinite(dx).all()
    assert_close(y, value(x, **settings), tolerance(name))
    assert_close(dx, vector_jacobian(x, dy, **settings), tolerance(name))


@all_cases
def test_nan_stays_visible(name, settings, dtype):
    x = np.array([[0.5, np.nan, -0.5], [np.nan, 1.0, 2.0], [1.0, 2.0, 3.0]], dtype)
    is_nan = np.isnan(forward(name, x, settings))
    expected = np.isnan(x).any(axis=1, keepdims=True) if name in BY_ROW else np.isnan(x)
    np.testing.assert_array_equal(is_nan, np.broadcast_to(expected, x.shape))


def loss_of(name, x, dy, settings):
    """sum(dy * y) with y from the kernel: a function whose gradient for y is dy."""
    return (dy * forward(name, x, settings)).sum()


@all_cases
def test_gradient_is_that_of_central_differences(name, settings, rng):
    # A kink is further from every element than the step of a difference.
    x, dy = 2 * rng.standard_normal((3, 7)), rng.standard_normal((3, 7))
    dx = backward(name, x, dy, settings)
    assert_gradient(dx, lambda moved: loss_of(name, moved, dy, settings), x)
    with pytest.raises(AssertionError):
        assert_gradient(dx * (1 + 1e-5), lambda moved: loss_of(name, moved, dy, settings), x)


def test_rows_of_softmax_sum_to_one(dtype, rng):
    x = 100 * rng.standard_normal((15, 33)).astype(dtype)
    y, log_y = forward("softmax", x, {}), forward("log_softmax", x, {})
    ones = np.ones(15)
    assert_close(y.sum(axis=1), ones, PRODUCT)
    assert_close(np.exp(log_y.astype(np.float64)).sum(axis=1).astype(dtype), ones, PRODUCT)
    assert (y >= 0).all() and (log_y <= 0).all()


def test_softmax_does_not_change_when_a_row_is_shifted(dtype):
    # Small whole numbers, so that the shift itself rounds nothing.
    x = np.array([[1.0, -2.0, 3.0], [0.0, 5.0, -1.0]], dtype)
    for name in sorted(BY_ROW):
        assert forward(name, x + dtype(1024), {}).tobytes() == forward(name, x, {}).tobytes()
