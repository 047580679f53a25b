"""Every layer: a row of a table, which says what it is called with and what it computes in plain NumPy."""

import contextlib
from unittest import mock

import numpy as np
import pytest

import fastnn as fn
from fastnn.compiler import loader
from fastnn.layers import registry
from tests.helpers.check_layer import COMPUTATION, PROMISES, check_layer
from tests.helpers.recurrent_reference import (
    bidirectional,
    gru,
    lstm,
    masked,
    padded,
    recurrent,
    relu,
    simple_rnn,
)
from tests.helpers.reference import ACTIVATIONS, convolution, dense_forward, transposed_convolution


def standardize(x, p):
    return (x - p["mean"]) / p["scale"]


def min_max(x, p, low=0.0, high=1.0):
    return low + (high - low) * (x - p["data_min"]) / (p["data_max"] - p["data_min"])


def some_columns(scale, columns):
    """What scales only these columns."""

    def reference(x, p):
        return np.where(np.isin(np.arange(x.shape[-1]), columns), scale(x, p), x)

    return reference


def categories(rng, shape):
    """Numbers, and in columns 1 and 3 categories 0 ... 3, all of which are among the first samples."""
    x = rng.normal(size=shape)
    x[:, 1] = (np.arange(len(x)) * 3) % 4
    x[:, 3] = np.arange(len(x)) % 4
    return x


def one_hot(*columns):
    """Of these columns, as many categories each as `counts` says."""

    def reference(x, p):
        known = dict(
            zip(columns, np.split(p["categories"], np.cumsum(p["counts"])[:-1].astype(int)), strict=True)
        )
        parts = [
            np.equal.outer(x[:, j], known[j]) if j in known else x[:, j : j + 1] for j in range(x.shape[1])
        ]
        return np.hstack(parts).astype(float)

    return reference


def indices(rng, shape):
    """Integers 0 ... 6."""
    return rng.integers(0, 7, shape).astype(float)


def entity_embedding(*columns):
    """The vectors of these columns of categories, in place of the columns."""

    def reference(x, p):
        ends = np.cumsum(p["counts"])[:-1].astype(int)
        known = dict(zip(columns, np.split(p["categories"], ends), strict=True))
        parts = [
            np.equal.outer(x[:, j], known[j]) @ p[f"weights_{j}"] if j in known else x[:, j : j + 1]
            for j in range(x.shape[1])
        ]
        return np.hstack(parts)

    return reference


def with_missing(rng, shape):
    """Numbers, some of which are missing in columns 0 and 2."""
    x = rng.normal(size=shape)
    x[..., [0, 2]] = np.where(rng.random(x[..., [0, 2]].shape) < 0.3, np.nan, x[..., [0, 2]])
    return x


def imputed(columns, indicated):
    """What replaces NaN in columns, and says behind them where it was."""

    def reference(x, p):
        chosen = np.isin(np.arange(x.shape[-1]), columns)
        filled = np.where(np.isnan(x) & chosen, p["fill_values"], x)
        return np.concatenate([filled, np.isnan(x[..., indicated])], axis=-1)

    return reference


def in_units(x, p):
    return x * p["scale"] + p["mean"]


def loss_of_scaled_target(output, target, p):
    return np.mean(((output - target) / p["scale"]) ** 2)


def normalized(x, p, path="", epsilon=1e-3):
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * p.get(f"{path}gamma", 1) + p.get(f"{path}beta", 0)


def rms_normalized(x, p, epsilon=1e-6):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + epsilon) * p.get("gamma", 1)


def group_normalized(x, p, groups, epsilon=1e-3):
    parts = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    mean, variance = parts.mean(axis=(1, 3), keepdims=True), parts.var(axis=(1, 3), keepdims=True)
    z = ((parts - mean) / np.sqrt(variance + epsilon)).reshape(x.shape)
    return z * p.get("gamma", 1) + p.get("beta", 0)


def attention(heads, key_dim, *, causal=False):
    """In the words of the paper, head by head."""

    def reference(x, p):
        projected = x @ p["projection_weights"] + p.get("projection_bias", 0)
        queries, keys, values = np.split(projected, [heads * key_dim, 2 * heads * key_dim], axis=-1)
        outputs = []
        for parts in zip(*(np.split(each, heads, axis=-1) for each in (queries, keys, values)), strict=True):
            query, key, value = parts
            scores = query @ key.swapaxes(1, 2) / np.sqrt(key_dim)
            if causal:
                scores = np.where(np.tri(x.shape[1], dtype=bool), scores, -np.inf)
            outputs.append(ACTIVATIONS["softmax"][0](scores) @ value)
        return np.concatenate(outputs, axis=-1) @ p["output_weights"] + p.get("output_bias", 0)

    return reference


def by_moving_moments(x, p, epsilon=1e-3, path=""):
    y = (x - p[f"{path}moving_mean"]) / np.sqrt(p[f"{path}moving_variance"] + epsilon)
    return y * p.get(f"{path}gamma", 1) + p.get(f"{path}beta", 0)


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


def grid(rng, shape):
    """Few different numbers, so that windows have several largest ones."""
    return rng.integers(-3, 3, shape) * 0.5


def tanh_of(x, p, path):
    return np.tanh(dense_forward(x, p[f"{path}weights"], p[f"{path}bias"]))


#: A price and something tiny, side by side.
TARGETS = np.array([[2.1e5, -0.011, 1.0], [2.9e5, -0.009, 5.0], [2.3e5, -0.0101, -3.0]])

#: Name: what makes the layer, the shape of a sample, the reference, options of `check_layer`.
LAYERS = {
    "dense": (lambda: fn.Dense(3), (5,), lambda x, p: dense_forward(x, p["weights"], p["bias"])),
    "dense without bias": (lambda: fn.Dense(3, use_bias=False), (5,), lambda x, p: x @ p["weights"]),
    "dense with activation": (
        lambda: fn.Dense(17, "tanh"),
        (9,),
        lambda x, p: np.tanh(x @ p["weights"] + p["bias"]),
    ),
    "dense of one input": (lambda: fn.Dense(4), (1,), lambda x, p: x @ p["weights"] + p["bias"]),
    "dense of one output": (lambda: fn.Dense(1), (33,), lambda x, p: x @ p["weights"] + p["bias"]),
    "dense on the last axis": (
        lambda: fn.Dense(6, "tanh"),
        (3, 2, 5),
        lambda x, p: np.tanh(x @ p["weights"] + p["bias"]),
    ),
    "dense of one output on the last axis": (
        lambda: fn.Dense(1, use_bias=False),
        (9, 2),
        lambda x, p: x @ p["weights"],
    ),
    "activation": (
        lambda: fn.Activation("silu"),
        (7,),
        lambda x, p: ACTIVATIONS["silu"][0](x),
    ),
    "activation of all outputs": (
        lambda: fn.Activation("softmax"),
        (7,),
        lambda x, p: ACTIVATIONS["softmax"][0](x),
    ),
    "dropout": (lambda: fn.Dropout(0.3), (7,), lambda x, p: x),
    "dropout of channels": (lambda: fn.Dropout(0.3), (3, 2, 4), lambda x, p: x),
    "standardize": (fn.Standardize, (6,), standardize, {"first": True}),
    "standardize some": (
        lambda: fn.Standardize([0, -3]),
        (5,),
        some_columns(standardize, [0, 2]),
        {"first": True},
    ),
    "min_max": (fn.MinMax, (6,), min_max, {"first": True}),
    "min_max of a range": (
        lambda: fn.MinMax(-2, 5, columns=[1]),
        (3,),
        some_columns(lambda x, p: min_max(x, p, -2, 5), [1]),
        {"first": True},
    ),
    "standardize channels": (fn.Standardize, (4, 3, 2), standardize, {"first": True}),
    "min_max of some channels": (
        lambda: fn.MinMax(-2, 5, columns=[1]),
        (4, 3),
        some_columns(lambda x, p: min_max(x, p, -2, 5), [1]),
        {"first": True},
    ),
    "impute": (
        lambda: fn.Impute(add_indicator=True),
        (4,),
        imputed(range(4), [0, 2]),
        {"first": True, "draw": with_missing, "onnx": "export"},
    ),
    "impute some channels": (
        lambda: fn.Impute("median", columns=[0, 2]),
        (3, 4),
        imputed([0, 2], []),
        {"first": True, "draw": with_missing, "onnx": "export"},
    ),
    "one_hot": (
        lambda: fn.OneHot([1, 3]),
        (5,),
        one_hot(1, 3),
        {"first": True, "draw": categories, "differentiable": False},
    ),
    "one_hot of given categories": (
        lambda: fn.OneHot([3, 1], [[3, 0, 1, 2], [9, 3, 2, 1, 0]]),
        (5,),
        one_hot(3, 1),
        {"first": True, "draw": categories, "differentiable": False},
    ),
    "embedding": (
        lambda: fn.Embedding(7, 3),
        (4,),
        lambda x, p: p["weights"][x.astype(int)],
        {"first": True, "draw": indices, "differentiable": False},
    ),
    "embedding of channels": (
        lambda: fn.Embedding(9, 17, fn.initializers.normal(0.2)),
        (2, 3),
        lambda x, p: p["weights"][x.astype(int)],
        {"first": True, "draw": indices, "differentiable": False},
    ),
    "embedding of a column": (
        lambda: fn.Concatenate([[fn.Select(3), fn.Embedding(4, 2), fn.Flatten()], fn.Select([0, 2])]),
        (5,),
        lambda x, p: np.hstack([p["0.1.weights"][x[:, 3].astype(int)], x[:, [0, 2]]]),
        {"first": True, "draw": categories, "differentiable": False},
    ),
    "entity_embedding": (
        lambda: fn.EntityEmbedding(columns=[3, -4]),
        (5,),
        entity_embedding(3, 1),
        {"first": True, "draw": categories, "differentiable": False, "onnx": "export"},
    ),
    "entity_embedding of given categories": (
        lambda: fn.EntityEmbedding([3, 9], [3, 1], [[3, 0, 1, 2], [900, 3, 2, 1, 0, -7]]),
        (5,),
        entity_embedding(3, 1),
        {"first": True, "draw": categories, "differentiable": False, "onnx": "export"},
    ),
    "unscale": (
        lambda: fn.Unscale().adapt(TARGETS),
        (3,),
        in_units,
        {"last": True, "loss": loss_of_scaled_target},
    ),
    "unscale channels": (
        lambda: fn.Unscale().adapt(TARGETS),
        (5, 3),
        in_units,
        {"last": True, "loss": loss_of_scaled_target},
    ),
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
        {"onnx": "export"},  # in float64 as products, since ONNX Runtime has no Resize of it
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
        {"onnx": "export"},
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
    "layer_normalization": (fn.LayerNormalization, (7,), normalized),
    "layer_normalization of one number": (
        lambda: fn.LayerNormalization(0.5),
        (1,),
        lambda x, p: normalized(x, p, epsilon=0.5),
    ),
    "layer_normalization of channels": (fn.LayerNormalization, (3, 2, 5), normalized),
    "layer_normalization without parameters": (
        lambda: fn.LayerNormalization(center=False, scale=False),
        (6,),
        lambda x, p: normalized(x, p),
    ),
    "rms_normalization": (fn.RMSNormalization, (7,), rms_normalized),
    "rms_normalization of channels": (
        lambda: fn.RMSNormalization(0.1, scale=False),
        (3, 5),
        lambda x, p: rms_normalized(x, p, 0.1),
    ),
    "group_normalization": (
        lambda: fn.GroupNormalization(3, scale=False),
        (6,),
        lambda x, p: group_normalized(x, p, 3),
    ),
    "group_normalization of channels": (
        lambda: fn.GroupNormalization(2, epsilon=0.1),
        (3, 2, 6),
        lambda x, p: group_normalized(x, p, 2, 0.1),
    ),
    "instance normalization": (
        lambda: fn.GroupNormalization(-1, center=False),
        (4, 3),
        lambda x, p: group_normalized(x, p, 3),
    ),
    "batch_normalization": (fn.BatchNormalization, (7,), by_moving_moments),
    "batch_normalization of channels": (
        lambda: fn.BatchNormalization(0.9, epsilon=0.1, center=False),
        (3, 2, 5),
        lambda x, p: by_moving_moments(x, p, 0.1),
    ),
    "batch_normalization without parameters": (
        lambda: fn.BatchNormalization(center=False, scale=False),
        (4,),
        by_moving_moments,
    ),
    "multi_head_attention": (
        lambda: fn.MultiHeadAttention(2, 3),
        (5, 4),
        attention(2, 3),
    ),
    "multi_head_attention of the past": (
        lambda: fn.MultiHeadAttention(3, 2, 5, use_bias=False, use_causal_mask=True),
        (4, 6),
        attention(3, 2, causal=True),
    ),
    "multi_head_attention with dropout": (
        lambda: fn.MultiHeadAttention(1, 9, dropout=0.3),
        (1, 3),
        attention(1, 9),
    ),
    "batch_normalization in a branch": (
        lambda: fn.Residual([fn.Dense(33, "tanh"), fn.BatchNormalization(scale=False)]),
        (33,),
        lambda x, p: by_moving_moments(tanh_of(x, p, "body.0."), p, path="body.1.") + x,
        {"onnx": False},
    ),
    "activation of channels": (
        lambda: fn.Activation("softmax"),
        (4, 3),
        lambda x, p: ACTIVATIONS["softmax"][0](x.reshape(-1, 3)).reshape(x.shape),
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
    "reshape": (
        lambda: fn.Reshape((3, -1)),
        (2, 3, 4),
        lambda x, p: x.reshape(len(x), 3, 8),
    ),
    "flatten of channels": (fn.Flatten, (2, 3), lambda x, p: x.reshape(len(x), 6)),
    "branches of channels": (
        lambda: fn.Concatenate([fn.Select([0, 2]), [fn.LayerNormalization(), fn.Activation("tanh")]]),
        (4, 3),
        lambda x, p: np.concatenate([x[..., [0, 2]], np.tanh(normalized(x, p, "1.0."))], axis=-1),
    ),
    "flatten": (fn.Flatten, (5,), lambda x, p: x),
    "select": (lambda: fn.Select([-1, 1]), (4,), lambda x, p: x[:, [3, 1]]),
    "sequential": (
        lambda: fn.Sequential([fn.Dense(5, "tanh"), fn.LayerNormalization()]),
        (4,),
        lambda x, p: normalized(tanh_of(x, p, "0."), p, "1."),
    ),
    "residual": (
        lambda: fn.Residual([fn.LayerNormalization(), fn.Dense(6, "tanh")]),
        (6,),
        lambda x, p: tanh_of(normalized(x, p, "body.0."), p, "body.1.") + x,
    ),
    "residual with a shortcut": (
        lambda: fn.Residual([fn.Dense(5, "tanh"), fn.Dropout(0.3)], shortcut=fn.Dense(5, "tanh")),
        (3,),
        lambda x, p: tanh_of(x, p, "body.0.") + tanh_of(x, p, "shortcut."),
    ),
    "add": (
        lambda: fn.Add([None, fn.Dense(4, "tanh"), [fn.Activation("tanh"), fn.Dense(4, "tanh")]]),
        (4,),
        lambda x, p: x + tanh_of(x, p, "1.") + tanh_of(np.tanh(x), p, "2.1."),
    ),
    "concatenate": (
        lambda: fn.Concatenate([fn.Dense(2, "tanh"), [], fn.Residual([fn.Dense(4, "tanh")])]),
        (4,),
        lambda x, p: np.hstack([tanh_of(x, p, "0."), x, x + tanh_of(x, p, "2.body.0.")]),
    ),
    "simple_rnn": (lambda: fn.SimpleRNN(4), (5, 3), recurrent(simple_rnn), {"onnx": "float32"}),
    "simple_rnn of relu": (
        lambda: fn.SimpleRNN(17, "relu", use_bias=False, return_sequences=True),
        (3, 2),
        recurrent(simple_rnn, activation=relu, sequences=True),
        {"onnx": "float32"},
    ),
    "gru": (lambda: fn.GRU(5), (6, 3), recurrent(gru), {"onnx": "float32"}),
    "gru backwards": (
        lambda: fn.GRU(18, use_bias=False, return_sequences=True, go_backwards=True),
        (4, 2),
        recurrent(gru, sequences=True, backwards=True),
        {"onnx": "float32"},
    ),
    "lstm": (lambda: fn.LSTM(5), (6, 3), recurrent(lstm), {"onnx": "float32"}),
    "gru with dropout": (lambda: fn.GRU(3, dropout=0.4), (4, 5), recurrent(gru), {"onnx": "float32"}),
    "bidirectional": (
        lambda: fn.Bidirectional(fn.LSTM(4)),
        (5, 3),
        bidirectional(lstm, np.hstack),
        {"onnx": "float32"},
    ),
    "bidirectional sum of sequences": (
        lambda: fn.Bidirectional(fn.GRU(5, return_sequences=True), "sum"),
        (4, 2),
        bidirectional(gru, sum, sequences=True),
        {"onnx": "float32"},
    ),
    "masked lstm": (
        lambda: fn.Sequential([fn.Masking(), fn.LSTM(4, return_sequences=True), fn.SimpleRNN(3)]),
        (6, 3),
        masked(recurrent(lstm, sequences=True, path="1."), recurrent(simple_rnn, path="2.")),
        {"onnx": False, "draw": padded, "differentiable": False},
    ),
    "masked bidirectional gru": (
        lambda: fn.Sequential([fn.Masking(), fn.Bidirectional(fn.GRU(4))]),
        (5, 2),
        masked(bidirectional(gru, np.hstack, path="1.")),
        {"onnx": False, "draw": padded, "differentiable": False},
    ),
    "lstm backwards": (
        lambda: fn.LSTM(17, use_bias=False, return_sequences=True, go_backwards=True),
        (4, 2),
        recurrent(lstm, sequences=True, backwards=True),
        {"onnx": "float32"},
    ),
}


def check_row(name, checks):
    layer, input_shape, reference, *options = LAYERS[name]
    check_layer(layer, input_shape, reference, checks=checks, **dict(*options))


@pytest.mark.parametrize("name", LAYERS)
def test_what_a_layer_computes(name):
    check_row(name, COMPUTATION)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_what_is_promised_of_a_layer(name):
    check_row(name, PROMISES)


def test_every_layer_has_a_row():
    behind_others = {fn.Masking}  # of whose output alone there is no loss
    assert {type(layer()) for layer, *_ in LAYERS.values()} | behind_others == set(registry.TABLE.values())


# --- what is wrong is noticed


def other_gradient(kernel, dtype=None, address=loader.address):
    return address(
        "layers.activation.sigmoid.backward_input" if kernel.endswith(".tanh.backward_input") else kernel,
        dtype,
    )


def tanh(x, p):
    return np.tanh(x)


FAULTS = {
    "check_values": (lambda x, p: np.tanh(x) * (1 + 1e-4), contextlib.nullcontext),
    "check_gradients": (tanh, lambda: mock.patch.object(loader, "address", other_gradient)),
    "check_copies": (
        tanh,
        lambda: mock.patch.object(
            fn.Activation, "config", lambda layer: {"name": "activation", "activation": "elu"}
        ),
    ),
}


@pytest.mark.parametrize("check", FAULTS)
def test_a_fault_is_noticed(check):
    reference, fault = FAULTS[check]
    with fault(), pytest.raises(AssertionError) as failed:
        check_layer(lambda: fn.Activation("tanh"), (4,), reference)
    assert failed.value.__notes__ == [f"{check} of Activation('tanh')"]
