"""Pooling: which of several largest numbers gets the gradient, NaN, and what is refused."""

import numpy as np
import pytest

import fastnn as fn
from fastnn.kernels.layers.pooling import max_pooling_backward, max_pooling_forward


def max_pooled(x, pool, strides=None, with_index=True, before=(0, 0)):
    """Output and index of the kernel; an image of shape (rows, height, width, channels)."""
    rows, height, width, channels = x.shape
    strides = pool if strides is None else strides
    output = [(n - size) // step + 1 for n, size, step in zip(x.shape[1:3], pool, strides, strict=True)]
    y = np.full((rows * output[0], output[1], channels), 7, x.dtype)
    index = np.full_like(y, 7) if with_index else y[:0]
    line = np.empty((2, width, channels), x.dtype)
    image = np.ascontiguousarray(x).reshape(rows * height, -1)
    sizes = (height, width, *pool, *strides, *before, rows)
    max_pooling_forward(image, *sizes, line.reshape(2, -1), line, index, y)
    return y, index, sizes


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 9])
def test_the_first_of_several_largest_numbers_gets_the_gradient(channels):
    x = np.zeros((1, 4, 4, channels))
    x[0, 1, 0] = x[0, 1, 1] = 1.0  # in the second row of the first window
    x[0, 0, 3] = x[0, 1, 2] = 2.0  # the first row's comes first, although it lies behind in its row
    y, index, sizes = max_pooled(x, (2, 2))
    dx = np.full((1, x.size), np.nan)
    max_pooling_backward(*sizes, index, np.ones_like(y), dx)
    expected = np.zeros((4, 4))
    expected[1, 0] = expected[0, 3] = expected[2, 0] = expected[2, 2] = 1
    assert np.array_equal(dx.reshape(x.shape), np.repeat(expected[None, ..., None], channels, axis=-1))


def test_windows_that_overlap_add_their_gradients():
    x = np.array([0.0, 5.0, 1.0, 4.0, 2.0]).reshape(1, 1, 5, 1)
    y, index, sizes = max_pooled(x, (1, 3), (1, 1))
    dx = np.empty((1, 5))
    max_pooling_backward(*sizes, index, np.array([1.0, 10.0, 100.0]).reshape(y.shape), dx)
    assert y.ravel().tolist() == [5, 5, 4] and dx.tolist() == [[0, 11, 0, 100, 0]]


@pytest.mark.parametrize("with_index", [False, True])
@pytest.mark.parametrize("channels", [1, 9])
@pytest.mark.parametrize("at", list(np.ndindex(3, 3)), ids=str)
def test_nan_is_the_largest_number(at, channels, with_index):
    x = np.random.default_rng(0).normal(size=(2, 3, 3, channels))
    x[1, *at] = np.nan
    y, *_ = max_pooled(x, (3, 3), with_index=with_index)
    assert np.array_equal(y[0, 0], x[0].max(axis=(0, 1))) and np.isnan(y[1]).all()


@pytest.mark.parametrize("channels", [1, 9])
def test_a_long_window_of_small_numbers(channels):
    x = -np.arange(1.0, 4097).reshape(1, 4096, 1, 1) * np.ones(channels)
    y, index, _ = max_pooled(x, (4096, 1))
    assert (y == -1).all() and not index.any()


REFUSED = {
    "axes": (lambda: fn.MaxPooling2D(), (4, 3), r"expects an input of shape \(height, width, channels\)"),
    "axes of a sequence": (
        lambda: fn.AveragePooling1D(),
        (4, 4, 3),
        r"layer 0.1, AveragePooling1D\(2\) expects an input of shape \(time, channels\), got \(4, 4, 3\); "
        r"put fn.Reshape\(\(-1, channels\)\) before it",
    ),
    "window": (
        lambda: fn.MaxPooling2D((5, 1)),
        (4, 4, 3),
        r"layer 0.1, MaxPooling2D\(\(5, 1\)\): a window of \(5, 1\) is larger than an input of shape "
        r"\(4, 4, 3\); use padding='same' or a smaller pool_size",
    ),
    "global": (
        lambda: fn.GlobalAveragePooling2D(),
        (4, 3),
        r"GlobalAveragePooling2D\(\) expects .* \(4, 3\)",
    ),
    "size": (
        lambda: fn.GlobalMaxPooling1D(),
        (2**12, 2**13),
        r"GlobalMaxPooling1D\(\) takes samples of at most 2\*\*24 numbers, got an input of shape",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_shapes_that_do_not_fit(name):
    make, shape, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        fn.Model([fn.Sequential([fn.Activation("tanh"), make()])]).build(shape)


WRONG = {
    "pool_size": (lambda: fn.MaxPooling2D(0), ValueError, "pool_size must be >= 1, got 0"),
    "number of sizes": (lambda: fn.MaxPooling2D((2, 2, 2)), ValueError, "pool_size must be .* 2 integers"),
    "strides": (lambda: fn.MaxPooling1D(2, 1.5), TypeError, "strides must be an integer"),
    "padding": (
        lambda: fn.AveragePooling2D(padding="full"),
        ValueError,
        "padding must be 'valid' or 'sa",
    ),
    "causal": (lambda: fn.AveragePooling1D(padding="causal"), ValueError, "'valid' or 'same', got 'ca"),
    "keepdims": (lambda: fn.GlobalMaxPooling1D(1), TypeError, "keepdims must be True or False, got 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings(name):
    make, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        make()


def test_shown_as_they_are_written():
    for layer, text in [
        (fn.MaxPooling2D(), "MaxPooling2D(2)"),
        (fn.AveragePooling2D((2, 3), 1, "SAME"), "AveragePooling2D((2, 3), strides=1, padding='same')"),
        (fn.MaxPooling1D(3, (3,)), "MaxPooling1D(3)"),
        (fn.GlobalMaxPooling2D(keepdims=True), "GlobalMaxPooling2D(keepdims=True)"),
    ]:
        assert repr(layer) == text
