"""Every layer: a row of a table, which says what it is called with and what it computes in plain NumPy."""

import contextlib
from unittest import mock

import numpy as np
import pytest

import fastnn as fn
from fastnn.compiler import loader
from fastnn.layers import registry
from tests.helpers.check_layer import check_layer
from tests.helpers.reference import ACTIVATIONS, dense_forward


def scaled(x, p):
    return (x - p["mean"]) / p["scale"]


def min_max(x, p):
    return (x - p["data_min"]) / (p["data_max"] - p["data_min"])


def categories(rng, shape):
    """Numbers, and in column 1 one of four categories, all of which are among the first samples."""
    x = rng.normal(size=shape)
    x[:, 1] = (np.arange(len(x)) * 3) % 4
    return x


def one_hot(x, p):
    codes = np.equal.outer(x[:, 1], p["categories"]).astype(float)
    return np.hstack([x[:, :1], codes, x[:, 2:]])


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
    "standardize": (lambda: fn.Standardize(), (6,), scaled, {"first": True}),
    "min_max": (lambda: fn.MinMax(), (6,), min_max, {"first": True}),
    "one_hot": (
        lambda: fn.OneHot(1),
        (3,),
        one_hot,
        {"first": True, "draw": categories, "differentiable": False},
    ),
    "unscale": (
        lambda: fn.Unscale().adapt(np.arange(12.0).reshape(4, 3) ** 2),
        (3,),
        lambda x, p: x * p["scale"] + p["mean"],
        {"last": True, "loss": lambda output, y, p: np.mean(((output - y) / p["scale"]) ** 2)},
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    layer, input_shape, reference, *options = LAYERS[name]
    check_layer(layer, input_shape, reference, **dict(*options))


def test_every_layer_has_a_row():
    assert {type(layer()) for layer, *_ in LAYERS.values()} == set(registry.TABLE.values())


# --- what is wrong is noticed


def other_gradient(kernel, dtype=None, address=loader.address):
    return address(
        "layers.activation.sigmoid.backward" if kernel.endswith("tanh.backward") else kernel, dtype
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
