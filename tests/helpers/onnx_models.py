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
    "all preprocessing": lambda: [fn.Standardize([1]), fn.OneHot([0, 2]), fn.MinMax(), fn.Dense(2)],
}


def session(path):
    return onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])


def run(path, x):
    return session(path).run(None, {"X": x})[0]


def made(layers, dtype, x=CATEGORIES, **options):
    model = fn.Model(layers, dtype=dtype, seed=0, **options).adapt(x)
    model.build(x.shape[1])
    randomize(model, RNG)
    return model
