"""Rows of layers: dense, activations, dropout, shapes, and containers of layers."""

import numpy as np

import fastnn as fn
from tests.helpers.layer_rows.normalizations import normalized
from tests.helpers.reference import ACTIVATIONS, dense_forward, tanh_of

BASIC = {
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
    "activation of channels": (
        lambda: fn.Activation("softmax"),
        (4, 3),
        lambda x, p: ACTIVATIONS["softmax"][0](x.reshape(-1, 3)).reshape(x.shape),
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
    "derivatives": (
        lambda: fn.Derivatives(first=[2, 0], second=[0]),
        (4,),
        lambda x, p: np.hstack([x, *np.broadcast_to(np.eye(4)[[2, 0], np.newaxis], (2, *x.shape)), 0 * x]),
        {"first": True, "onnx": False},
    ),
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
}
