"""Convolutions: shapes and paddings, what is refused, and settings that no row of `test_layers` has."""

import numpy as np
import pytest

import fastnn as fn
from tests.helpers.reference import convolution, transposed_convolution

RNG = np.random.default_rng(0)


def model_of(layer, shape):
    """A model of a layer in float64 with drawn weights."""
    model = fn.Model([layer], "mse", dtype="float64", seed=0).build(shape)
    model.parameters[...] = RNG.normal(size=model.parameters.size)
    return model


def run(layer, shape, n=3):
    """Samples, and the output of a layer with drawn weights."""
    x = RNG.normal(size=(n, *shape))
    return x, model_of(layer, shape).predict(x)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("strides", "dilation"), [(1, 1), (2, 1), (3, 1), (1, 2)])
@pytest.mark.parametrize(("channels", "filters", "groups"), [(1, 3, 1), (4, 50, 1), (6, 4, 2), (3, 3, 3)])
def test_conv2d(padding, strides, dilation, channels, filters, groups):
    layer = fn.Conv2D(filters, (3, 2), strides, padding, dilation, groups)
    x, y = run(layer, (8, 7, channels))
    w, b = layer.weights, layer.bias
    np.testing.assert_allclose(
        y, convolution(x, w, b, strides, padding, dilation, groups), rtol=1e-10, atol=1e-10
    )


def test_more_taps_and_positions_than_are_added_up_at_a_time():
    layer, x = fn.Conv2D(5, 3), RNG.normal(size=(3, 16, 17, 40))
    model = model_of(layer, x.shape[1:])
    y = model.predict(x)
    np.testing.assert_allclose(
        y, convolution(x, layer.weights, layer.bias, 1, "valid"), rtol=1e-10, atol=1e-10
    )
    target = RNG.normal(size=y.shape)
    _, gradient = model.loss_and_gradient(x, target)
    dy = 2 * (y - target) / y.size
    seen = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    expected = np.einsum("nhwcij,nhwf->ijcf", seen, dy)
    np.testing.assert_allclose(gradient[: expected.size], expected.ravel(), rtol=1e-10, atol=1e-12)


#: Kernel size, strides, padding, output_padding: output size of an input of 4, and how much is cut off.
TRANSPOSED = {
    (3, 1, "valid", None): (6, 0),
    (3, 2, "valid", None): (9, 0),
    (2, 3, "valid", None): (12, 0),
    (3, 2, "valid", 1): (10, 0),
    (3, 1, "same", None): (4, 1),
    (3, 2, "same", None): (8, 0),
    (4, 2, "same", None): (8, 1),
    (5, 2, "same", None): (8, 1),
    (2, 3, "same", None): (12, 0),
    (3, 2, "same", 0): (7, 1),
    (3, 2, "same", 1): (8, 0),
}


@pytest.mark.parametrize("settings", TRANSPOSED)
def test_conv2d_transpose(settings):
    """Sizes as in Keras's ``compute_conv_transpose_output_shape``, padding as its JAX backend cuts it off."""
    kernel_size, strides, padding, output_padding = settings
    size, cut = TRANSPOSED[settings]
    layer = fn.Conv2DTranspose(2, kernel_size, strides, padding, output_padding)
    x, y = run(layer, (4, 4, 3))
    expected = transposed_convolution(x, layer.weights, layer.bias, strides, (cut, cut), (size, size))
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-10)


def test_weights_are_scaled_by_the_window():
    layer = fn.Conv2D(64, 3, kernel_initializer="he_uniform")
    fn.Model([layer], seed=0).build((8, 8, 32))
    limit = np.sqrt(6 / (9 * 32))
    assert 0.95 * limit < np.abs(layer.weights).max() <= limit
    layer = fn.Conv1D(4, 3, kernel_initializer="orthogonal")
    fn.Model([layer], seed=0).build((8, 2))
    matrix = layer.weights.reshape(6, 4)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(4), atol=1e-6)


def test_no_output_depends_on_later_times():
    layer = fn.Conv1D(3, 4, padding="causal", dilation_rate=2)
    x = RNG.normal(size=(1, 12, 2))
    before = layer(x)
    x[:, 7:] += 1
    after = layer(x)
    assert np.array_equal(before[:, :7], after[:, :7]) and (before[:, 7:] != after[:, 7:]).any()


def test_penalties_and_frozen_weights():
    model = fn.Model([fn.Conv2D(2, 2, l2=0.5, use_bias=False), fn.Flatten(), fn.Dense(1)], "mse", seed=0)
    x, y = RNG.normal(size=(40, 4, 4, 1)), RNG.normal(size=(40, 1))
    model.build((4, 4, 1))
    plain = np.mean((model.predict(x) - y) ** 2)
    penalty = 0.5 * np.sum(model.layers[0].weights.astype(float) ** 2)
    np.testing.assert_allclose(model.evaluate(x, y)["loss"], plain + penalty, rtol=1e-5)
    model.layers[0].trainable = False
    before = model.layers[0].weights.copy()
    model.fit(x, y, epochs=2)
    assert np.array_equal(model.layers[0].weights, before)


WRONG = {
    "filters": (lambda: fn.Conv2D(0, 3), ValueError, "filters must be >= 1, got 0"),
    "kernel_size": (
        lambda: fn.Conv2D(2, (3, 3, 3)),
        ValueError,
        r"kernel_size must be an integer or 2 integers, got \(3, 3, 3\)",
    ),
    "strides": (lambda: fn.Conv1D(2, 3, 0), ValueError, "strides must be >= 1, got 0"),
    "padding": (
        lambda: fn.Conv2D(2, 3, padding="causal"),
        ValueError,
        "padding must be 'valid' or 'same', got 'causal'",
    ),
    "groups": (
        lambda: fn.Conv2D(3, 3, groups=2),
        ValueError,
        "a multiple of groups=2, got 3",
    ),
    "strides and dilation": (
        lambda: fn.Conv2D(3, 3, strides=2, dilation_rate=2),
        ValueError,
        "strides > 1 cannot be combined with dilation_rate > 1, got strides=2 and dilation_rate=2",
    ),
    "output_padding": (
        lambda: fn.Conv2DTranspose(3, 3, strides=2, output_padding=2),
        ValueError,
        r"output_padding must be less than strides=\(2, 2\), got 2",
    ),
    "depth_multiplier": (
        lambda: fn.DepthwiseConv2D(3, depth_multiplier=0),
        ValueError,
        "depth_multiplier must be >= 1, got 0",
    ),
    "no bias": (lambda: fn.Conv2D(3, 3, use_bias=False).bias, ValueError, "made with use_bias=False"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused(name):
    make, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        make()


MISFITS = {
    "axes": (
        lambda: fn.Conv2D(2, 3),
        (16,),
        r"layer 0.0, Conv2D\(2, 3\) expects an input of shape \(height, width, channels\), got \(16,\); "
        r"put fn.Reshape\(\(height, width, channels\)\) before it",
    ),
    "axes of a series": (lambda: fn.Conv1D(2, 3), (4, 4, 1), r"of shape \(time, channels\), got \(4, 4, 1\)"),
    "kernel": (
        lambda: fn.Conv2D(2, 5),
        (6, 4, 1),
        r"layer 0.0, Conv2D\(2, 5\): a kernel of size \(5, 5\) is larger than an input of shape \(6, 4, 1\); "
        "use padding='same' or a smaller kernel_size",
    ),
    "dilated": (
        lambda: fn.Conv1D(2, 3, dilation_rate=3),
        (6, 1),
        r"a kernel of size \(3,\) with dilation_rate \(3,\) is larger than an input of shape \(6, 1\)",
    ),
    "groups": (
        lambda: fn.Conv2D(4, 3, groups=2),
        (6, 6, 3),
        r"the 3 channels of an input of shape \(6, 6, 3\) are no multiple of groups=2",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_shapes_that_do_not_fit(name):
    make, shape, message = MISFITS[name]
    with pytest.raises(ValueError, match=message):
        fn.Model([fn.Sequential([make()])]).build(shape)
