"""Rows of layers that normalize."""

import numpy as np

import fastnn as fn
from tests.helpers.reference import tanh_of


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


def by_moving_moments(x, p, epsilon=1e-3, path=""):
    y = (x - p[f"{path}moving_mean"]) / np.sqrt(p[f"{path}moving_variance"] + epsilon)
    return y * p.get(f"{path}gamma", 1) + p.get(f"{path}beta", 0)


NORMALIZATIONS = {
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
    "batch_normalization in a branch": (
        lambda: fn.Residual([fn.Dense(33, "tanh"), fn.BatchNormalization(scale=False)]),
        (33,),
        lambda x, p: by_moving_moments(tanh_of(x, p, "body.0."), p, path="body.1.") + x,
    ),
}
