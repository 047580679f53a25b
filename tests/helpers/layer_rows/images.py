"""Rows of layers of images and series: convolution, pooling, resizing."""

import numpy as np

import fastnn as fn
from tests.helpers.reference import convolution, transposed_convolution


def pooled(function, pool_size, strides, padding="valid"):
    """What takes this of each window, in which padding does not count."""

    def reference(x, p):
        image = x.shape[1:-1]
        axes = [window_starts(*sizes, padding) for sizes in zip(image, pool_size, strides, strict=True)]
        y = np.empty((len(x), *map(len, axes), x.shape[-1]))
        for at in np.ndindex(*y.shape[1:-1]):
            starts = [axis[i] for axis, i in zip(axes, at, strict=True)]
            window = tuple(
                slice(max(start, 0), start + size) for start, size in zip(starts, pool_size, strict=True)
            )
            places = tuple(range(1, len(image) + 1))
            y[:, *at] = function(x[:, *window], axis=places)
        return y

    return reference


def interpolated(x, factor, axis):
    n = x.shape[axis]
    places = (np.arange(n * factor) + 0.5) / factor - 0.5
    return np.apply_along_axis(lambda old: np.interp(places, np.arange(n), old), axis, x)


def window_starts(size, pool, stride, padding):
    """Where windows begin along an axis, as Keras has them: "same" pads more behind than before."""
    if padding == "valid":
        return range(0, size - pool + 1, stride)
    count = -(-size // stride)
    before = max((count - 1) * stride + pool - size, 0) // 2
    return [i * stride - before for i in range(count)]


IMAGES = {
    "spatial_dropout_2d": (lambda: fn.SpatialDropout2D(0.3), (2, 3, 4), lambda x, p: x),
    "spatial_dropout_1d": (lambda: fn.SpatialDropout1D(0.3), (3, 9), lambda x, p: x),
    "up_sampling_2d": (
        lambda: fn.UpSampling2D((2, 3)),
        (3, 2, 4),
        lambda x, p: x.repeat(2, axis=1).repeat(3, axis=2),
    ),
    "up_sampling_2d, bilinear": (
        lambda: fn.UpSampling2D((3, 2), interpolation="bilinear"),
        (3, 2, 4),
        lambda x, p: interpolated(interpolated(x, 3, 1), 2, 2),
    ),
    "up_sampling_1d": (fn.UpSampling1D, (3, 2), lambda x, p: x.repeat(2, axis=1)),
    "zero_padding_2d": (
        lambda: fn.ZeroPadding2D(((1, 0), (2, 1))),
        (3, 2, 4),
        lambda x, p: np.pad(x, ((0, 0), (1, 0), (2, 1), (0, 0))),
    ),
    "zero_padding_1d": (
        lambda: fn.ZeroPadding1D((3, 1)),
        (2, 2),
        lambda x, p: np.pad(x, ((0, 0), (3, 1), (0, 0))),
    ),
    "cropping_2d": (
        lambda: fn.Cropping2D((1, 2)),
        (3, 5, 4),
        lambda x, p: x[:, 1:-1, 2:-2],
    ),
    "cropping_1d": (lambda: fn.Cropping1D((0, 2)), (3, 2), lambda x, p: x[:, :-2]),
    "max_pooling_2d": (
        lambda: fn.MaxPooling2D(),
        (5, 4, 3),
        pooled(np.max, (2, 2), (2, 2)),
    ),
    "max_pooling_2d of many channels": (
        lambda: fn.MaxPooling2D((3, 2), strides=(2, 1), padding="same"),
        (5, 4, 9),
        pooled(np.max, (3, 2), (2, 1), "same"),
    ),
    "max_pooling_1d": (
        lambda: fn.MaxPooling1D(3, 2, "same"),
        (8, 2),
        pooled(np.max, (3,), (2,), "same"),
    ),
    "average_pooling_2d": (
        lambda: fn.AveragePooling2D((2, 3), padding="same"),
        (5, 4, 9),
        pooled(np.mean, (2, 3), (2, 3), "same"),
    ),
    "average_pooling_1d": (
        lambda: fn.AveragePooling1D(4, strides=1),
        (9, 2),
        pooled(np.mean, (4,), (1,)),
    ),
    "global_max_pooling_2d": (
        lambda: fn.GlobalMaxPooling2D(keepdims=True),
        (3, 4, 2),
        lambda x, p: x.max(axis=(1, 2), keepdims=True),
    ),
    "global_max_pooling_1d": (
        fn.GlobalMaxPooling1D,
        (7, 9),
        lambda x, p: x.max(axis=1),
    ),
    "global_average_pooling_2d": (
        fn.GlobalAveragePooling2D,
        (3, 4, 9),
        lambda x, p: x.mean(axis=(1, 2)),
    ),
    "global_average_pooling_1d": (
        lambda: fn.GlobalAveragePooling1D(keepdims=True),
        (7, 2),
        lambda x, p: x.mean(axis=1, keepdims=True),
    ),
    "conv2d": (
        lambda: fn.Conv2D(6, 3, activation="tanh"),
        (7, 6, 1),
        lambda x, p: np.tanh(convolution(x, p["weights"], p["bias"])),
        {"onnx": "float32"},
    ),
    "conv2d of few filters": (
        lambda: fn.Conv2D(2, 3),
        (5, 6, 3),
        lambda x, p: convolution(x, p["weights"], p["bias"]),
        {"onnx": "float32"},
    ),
    "conv2d with everything": (
        lambda: fn.Conv2D(20, (3, 2), padding="same", dilation_rate=(1, 2), groups=2, use_bias=False),
        (5, 6, 4),
        lambda x, p: convolution(x, p["weights"], 0.0, 1, "same", (1, 2), 2),
        {"onnx": "float32"},
    ),
    "conv2d with strides": (
        lambda: fn.Conv2D(5, (2, 4), (1, 2), "same"),
        (4, 6, 3),
        lambda x, p: convolution(x, p["weights"], p["bias"], (1, 2), "same"),
        {"onnx": "float32"},
    ),
    "conv1d": (
        lambda: fn.Conv1D(9, 3, padding="causal", dilation_rate=2),
        (7, 2),
        lambda x, p: convolution(x, p["weights"], p["bias"], 1, "causal", 2),
        {"onnx": "float32"},
    ),
    "conv2d_transpose": (
        lambda: fn.Conv2DTranspose(3, (4, 3), 2, "same"),
        (3, 4, 2),
        lambda x, p: transposed_convolution(x, p["weights"], p["bias"], 2, (1, 0), (6, 8)),
        {"onnx": "float32"},
    ),
    "depthwise_conv2d": (
        lambda: fn.DepthwiseConv2D(3, 2, "same", depth_multiplier=2),
        (6, 5, 3),
        lambda x, p: convolution(x, p["weights"].reshape(3, 3, 1, 6), p["bias"], 2, "same", 1, 3),
        {"onnx": "float32"},
    ),
    "separable_conv2d": (
        lambda: fn.SeparableConv2D(4, 2),
        (4, 3, 5),
        lambda x, p: convolution(
            convolution(x, p["depthwise_weights"].reshape(2, 2, 1, 5), groups=5),
            p["pointwise_weights"],
            p["bias"],
        ),
        {"onnx": "float32"},
    ),
}
