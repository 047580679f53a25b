"""Models whose networks tests use inside compiled code, and data for them."""

import numpy as np
import pytest

import fastnn as fn

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
STACKS = {
    "tanh": lambda: [fn.Dense(7, "tanh"), fn.Dense(3)],
    "from the input": lambda: [fn.Dense(7, "gelu"), fn.Dense(5, "leaky_relu"), fn.Dense(3, "silu")],
    "dropout": lambda: [fn.Dropout(0.3), fn.Dense(7, "sigmoid"), fn.Dropout(0.5), fn.Dense(3)],
    "activations first": lambda: [fn.Activation("tanh"), fn.Activation("softplus"), fn.Dense(3)],
    "rows": lambda: [fn.Dense(6, "softmax"), fn.Dense(3, "log_softmax")],
    "one op": lambda: [fn.Dense(3, use_bias=False)],
    "no weights": lambda: [fn.Activation("softmax"), fn.Activation("gelu")],
}


def built(stack="tanh", loss="mse", dtype="float64", **options):
    layers = STACKS[stack]()
    return fn.Model(layers, loss=loss, dtype=dtype, seed=0, **options).build(5)


def data(n, dtype, n_out=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 5)).astype(dtype), rng.normal(size=(n, n_out)).astype(dtype)
