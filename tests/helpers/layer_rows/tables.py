"""Rows of layers that prepare data: scaling, categories, missing values, targets."""

import numpy as np

import fastnn as fn


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
    order = np.arange(x[..., 0].size).reshape(x.shape[:-1])
    x[..., 1] = (order * 3) % 4
    x[..., 3] = order % 4
    return x


def one_hot(*columns):
    """Of these columns, as many categories each as `counts` says."""

    def reference(x, p):
        known = dict(
            zip(columns, np.split(p["categories"], np.cumsum(p["counts"])[:-1].astype(int)), strict=True)
        )
        parts = [
            np.equal.outer(x[..., j], known[j]) if j in known else x[..., [j]] for j in range(x.shape[-1])
        ]
        return np.concatenate(parts, axis=-1).astype(float)

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
            np.equal.outer(x[..., j], known[j]) @ p[f"weights_{j}"] if j in known else x[..., [j]]
            for j in range(x.shape[-1])
        ]
        return np.concatenate(parts, axis=-1)

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


#: A price and something tiny, side by side.
TARGETS = np.array([[2.1e5, -0.011, 1.0], [2.9e5, -0.009, 5.0], [2.3e5, -0.0101, -3.0]])

TABLES = {
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
        {"first": True, "draw": with_missing},
    ),
    "impute some channels": (
        lambda: fn.Impute("median", columns=[0, 2]),
        (3, 4),
        imputed([0, 2], []),
        {"first": True, "draw": with_missing},
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
    "one_hot of channels": (
        lambda: fn.OneHot([3, -4]),
        (3, 5),
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
        {"first": True, "draw": categories, "differentiable": False},
    ),
    "entity_embedding of given categories": (
        lambda: fn.EntityEmbedding([3, 9], [3, 1], [[3, 0, 1, 2], [900, 3, 2, 1, 0, -7]]),
        (5,),
        entity_embedding(3, 1),
        {"first": True, "draw": categories, "differentiable": False},
    ),
    "entity_embedding of channels": (
        lambda: fn.EntityEmbedding([5, 2], columns=[3, 1]),
        (2, 3, 5),
        entity_embedding(3, 1),
        {"first": True, "draw": categories, "differentiable": False},
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
}
