"""Models that are exported to ONNX, one of each layer, and ONNX Runtime, which runs them."""

import os

import numpy as np
import onnxruntime

import fastnn as fn
from tests.helpers.networks import randomize

RNG = np.random.default_rng(0)
X = RNG.normal(0, 3, (20, 4))
CATEGORIES = np.column_stack([RNG.integers(0, 3, 20), X[:, 0], RNG.integers(-2, 2, 20) * 5, X[:, 1]])

LAYERS = {
    "dense": lambda: [fn.Dense(3)],
    "dense without bias": lambda: [fn.Dense(3, use_bias=False)],
    "dense with activation": lambda: [fn.Dense(5, "tanh"), fn.Dense(2, "identity")],
    "activation": lambda: [fn.Activation("relu")],
    "dropout": lambda: [fn.Dropout(0.5), fn.Dense(3), fn.Dropout(0.3)],
    "standardize": lambda: [fn.Standardize(), fn.Dense(3)],
    "standardize some": lambda: [fn.Standardize([1, -1]), fn.Dense(3)],
    "min_max": lambda: [fn.MinMax(), fn.Dense(3)],
    "min_max of a range": lambda: [fn.MinMax(-2, 5, columns=[0, 2])],
    "one_hot": lambda: [fn.OneHot([2, 0]), fn.Dense(3)],
    "one_hot alone": lambda: [fn.OneHot(0)],
    "one_hot unknown": lambda: [fn.OneHot(0, [[1, 2]], "ignore"), fn.Dense(3)],
    "unscale": lambda: [fn.Dense(2), fn.Unscale().adapt([[5.0, -3.0], [9.0, 4.0]])],
    "residual": lambda: [fn.Dense(5), fn.Residual([fn.Dense(6, "tanh"), fn.Dense(5)]), fn.Dense(2)],
    "residual with a shortcut": lambda: [fn.Residual(fn.Dense(3, "relu"), shortcut=fn.Dense(3))],
    "residual of the input": lambda: [fn.Standardize(), fn.Residual(fn.Dense(4, "relu")), fn.Dense(2)],
    "activation before": lambda: [fn.Dense(3), fn.Residual([fn.Activation("relu"), fn.Dense(3)])],
    "layer_normalization": lambda: [fn.Dense(6), fn.LayerNormalization(), fn.Dense(2)],
    "normalized residuals": lambda: [fn.Dense(6), normalized_residual(), normalized_residual(), fn.Dense(2)],
    "add": lambda: [fn.Dense(3), fn.Add([None, fn.Dense(3, "relu"), [fn.Dense(2, "tanh"), fn.Dense(3)]])],
    "concatenate": lambda: [fn.Concatenate([None, [fn.Dense(3, "elu")], fn.Dense(2)]), fn.Dense(2)],
    "nested": lambda: [fn.Concatenate([fn.Sequential([fn.Dense(3), normalized_residual(3)]), None])],
    "reshape": lambda: [fn.Dense(6), fn.Reshape((3, -1)), fn.LayerNormalization(), fn.Flatten(), fn.Dense(2)],
    "select": lambda: [fn.Dense(5, "tanh"), fn.Select([3, 0])],
    "select within": lambda: [fn.Add([fn.Select([2, 0]), [fn.Select([1, 3]), fn.Dense(2, "relu")]])],
    "all preprocessing": lambda: [fn.Standardize([1]), fn.OneHot([0, 2]), fn.MinMax(), fn.Dense(2)],
}

#: Of layers that do not come back: they become part of others.
PART_OF_OTHERS = {
    "batch_normalization": lambda: [fn.Dense(6, "relu"), fn.BatchNormalization(0.9, 0.01), fn.Dense(2)],
}
LAYERS |= {
    "entity_embedding": lambda: [fn.EntityEmbedding([2, 5], [2, 0]), fn.Dense(3)],
    "entity_embedding unknown": lambda: [fn.EntityEmbedding(3, 0, [[1, 2]], "ignore")],
    "entity_embedding scaled": lambda: [fn.Standardize([1, 3]), fn.EntityEmbedding("auto", [0, 2])],
    "impute": lambda: [fn.Impute("median", columns=[1]), fn.Standardize(), fn.Dense(2)],
    "embedding": lambda: [
        fn.Concatenate([[fn.Select(0), fn.Embedding(3, 2), fn.Flatten()], fn.Select([1, 3])]),
        fn.Dense(2),
    ],
    "group_normalization": lambda: [fn.Dense(6), fn.GroupNormalization(3), fn.Dense(2)],
    "rms_normalization": lambda: [fn.Dense(6), fn.RMSNormalization(), fn.Dense(2)],
    "multi_head_attention": lambda: [
        fn.Dense(12),
        fn.Reshape((3, 4)),
        fn.MultiHeadAttention(2, 3, use_causal_mask=True),
        fn.Flatten(),
        fn.Dense(2),
    ],
}

#: Of what ONNX Runtime computes in float32 only: layers, shape of a sample, operators that are written.
CONVOLUTIONS = {
    "one behind the other": (
        lambda: [fn.Conv2D(6, 5, activation="relu"), fn.Conv2D(4, 3, 2, "same"), fn.Flatten(), fn.Dense(3)],
        (12, 11, 1),
        "Transpose Conv Relu Conv Transpose Reshape Gemm",
    ),
    "of series": (
        lambda: [
            fn.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="softmax"),
            fn.Conv1D(2, 3, 3),
        ],
        (17, 3),
        "Transpose Conv Transpose Softmax Transpose Conv Transpose",
    ),
    "transposed": (
        lambda: [
            fn.Conv2DTranspose(3, (4, 3), 2, "same", activation="tanh"),
            fn.Conv2DTranspose(2, 3, 3, "valid", output_padding=1),
            fn.Conv2DTranspose(2, 2, 3, "same", use_bias=False),
            fn.Conv2DTranspose(1, 3, 2, "same", output_padding=0),
        ],
        (2, 3, 2),
        "Transpose ConvTranspose Tanh ConvTranspose ConvTranspose ConvTranspose Transpose",
    ),
    "by channels": (
        lambda: [
            fn.DepthwiseConv2D(3, 2, "same", 2, activation="silu"),
            fn.SeparableConv2D(5, 3, dilation_rate=2, depth_multiplier=2, activation="relu"),
            fn.Conv2D(6, 1, use_bias=False),
        ],
        (12, 11, 1),
        "Transpose Conv Sigmoid Mul Conv Conv Relu Conv Transpose",
    ),
    "with batch normalization": (
        lambda: [fn.Conv2D(4, 3, groups=2), fn.BatchNormalization(), fn.Activation("relu"), fn.Conv2D(3, 3)],
        (8, 8, 2),
        "Transpose Conv Relu Conv Transpose",
    ),
}


def normalized_residual(n=6):
    return fn.Residual([fn.LayerNormalization(), fn.Dense(4, "relu"), fn.Dropout(0.25), fn.Dense(n)])


def session(path):
    return onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])


def run(path, x):
    return session(path).run(None, {"X": x})[0]


def made(layers, dtype, x=CATEGORIES, **options):
    model = fn.Model(layers, dtype=dtype, seed=0, **options).adapt(x)
    model.build(x.shape[1])
    randomize(model, RNG)
    model.state.statistics[...] = RNG.uniform(0.5, 2, model.state.statistics.size)
    return model


def samples(x, model):
    """Inputs of a graph as its model takes them: images have their channels last."""
    shape = model.input_shape
    if len(shape) < 2 or x.ndim != len(shape) + 1:
        return x.reshape(-1, model.n_in)
    if x.shape[1:] == shape:
        return x
    last = np.moveaxis(x, 1, -1)
    return last if last.shape[1:] == shape else np.swapaxes(x, 0, 1)  # times before samples


def channels_first(given, y):
    """Outputs of a model as its graph gives them, which may have their channels last in the model."""
    if not given.ndim == y.ndim > 2 or (given.shape == y.shape and np.allclose(given, y, 1e-2, 1e-2)):
        return given
    moved = np.moveaxis(given, -1, 1)
    return moved if moved.shape == y.shape else given
