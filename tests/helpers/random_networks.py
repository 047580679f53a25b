"""Draws networks of all layers that come after preprocessing, with their shapes."""

import copy
import math
import string

import numpy as np

import fastnn as fn
from tests.helpers.networks import ACTIVATION_CASES, activation


def drawn_activation(rng):
    return activation(ACTIVATION_CASES[rng.integers(len(ACTIVATION_CASES))])


def units(rng):
    return int(rng.choice([1, 2, 3, 7, 8, 11, 17, 33, 65]))


ANY = [
    lambda r, s: fn.Dense(units(r), drawn_activation(r), use_bias=bool(r.integers(2))),
    lambda r, s: fn.Dense(units(r)),
    lambda r, s: fn.BatchNormalization(center=bool(r.integers(2))),
    lambda r, s: fn.LayerNormalization(),
    lambda r, s: fn.RMSNormalization(0.1),
    lambda r, s: fn.GroupNormalization(-1),
    lambda r, s: fn.GroupNormalization(1, scale=False),
    lambda r, s: fn.Activation(drawn_activation(r)),
    lambda r, s: fn.Dropout(0.3),
    lambda r, s: fn.Select(r.permutation(s[-1])[: r.integers(1, s[-1] + 1)].tolist()),
    lambda r, s: fn.Residual([fn.Dense(s[-1], drawn_activation(r)), fn.Dense(s[-1])]),
    lambda r, s: fn.Residual(fn.Dense(3), fn.Dense(3, "tanh")),
    lambda r, s: fn.Add([None, fn.Dense(s[-1]), fn.Activation("tanh")]),
    lambda r, s: fn.Concatenate([None, [fn.Dense(2), fn.LayerNormalization()], fn.Dense(1)]),
    lambda r, s: fn.Sequential([fn.Dense(5, "relu"), fn.Dense(units(r))]),
]
SEQUENCES = [
    lambda r, s: fn.Conv1D(units(r), 3, int(r.integers(1, 3)), str(r.choice(["same", "causal", "valid"]))),
    lambda r, s: fn.Conv1D(s[-1], 2, dilation_rate=2, padding="causal", groups=s[-1]),
    lambda r, s: fn.MaxPooling1D(2),
    lambda r, s: fn.AveragePooling1D(3, 2, "same"),
    lambda r, s: fn.UpSampling1D(2),
    lambda r, s: fn.ZeroPadding1D((1, 2)),
    lambda r, s: fn.Cropping1D((1, 0)),
    lambda r, s: fn.SpatialDropout1D(0.1),
    lambda r, s: fn.SimpleRNN(units(r), "relu", return_sequences=True),
    lambda r, s: fn.GRU(units(r), return_sequences=bool(r.integers(2))),
    lambda r, s: fn.LSTM(units(r), return_sequences=True, go_backwards=bool(r.integers(2))),
    lambda r, s: fn.Bidirectional(fn.GRU(3, return_sequences=True), str(r.choice(["sum", "concat"]))),
    lambda r, s: fn.MultiHeadAttention(int(r.integers(1, 4)), 3, use_causal_mask=bool(r.integers(2))),
    lambda r, s: fn.GlobalMaxPooling1D(keepdims=bool(r.integers(2))),
    lambda r, s: fn.GlobalAveragePooling1D(),
    lambda r, s: fn.Flatten(),
    lambda r, s: fn.Reshape((1, *s)),
]
IMAGES = [
    lambda r, s: fn.Conv2D(units(r), int(r.integers(1, 4)), int(r.integers(1, 3)), "same", activation="relu"),
    lambda r, s: fn.Conv2D(units(r), (1, 2), dilation_rate=2, padding="same"),
    lambda r, s: fn.Conv2D(9, 2),
    lambda r, s: fn.Conv2D(2 * s[-1], 3, padding="same", groups=s[-1]),
    lambda r, s: fn.Conv2DTranspose(units(r), (2, 3), 2, str(r.choice(["same", "valid"]))),
    lambda r, s: fn.DepthwiseConv2D(2, 1, "same", depth_multiplier=int(r.integers(1, 3))),
    lambda r, s: fn.SeparableConv2D(units(r), 3, padding="same"),
    lambda r, s: fn.MaxPooling2D(2, padding="same"),
    lambda r, s: fn.AveragePooling2D((2, 1)),
    lambda r, s: fn.UpSampling2D((2, 1), interpolation=str(r.choice(["nearest", "bilinear"]))),
    lambda r, s: fn.ZeroPadding2D(1),
    lambda r, s: fn.Cropping2D(((1, 0), (0, 0))),
    lambda r, s: fn.SpatialDropout2D(0.1),
    lambda r, s: fn.GlobalAveragePooling2D(keepdims=bool(r.integers(2))),
    lambda r, s: fn.GlobalMaxPooling2D(),
    lambda r, s: fn.Flatten(),
    lambda r, s: fn.Reshape((s[0] * s[1], s[2])),
]
FIRST = {
    1: [lambda r, s: fn.Reshape((-1, 1)), lambda r, s: fn.Reshape((1, -1, 1))],
    2: SEQUENCES,
    3: IMAGES,
}


def drawn_layers(rng, shape, count, largest=3000):
    """So many layers, as far as any is found that takes what the one before gives; tensors stay small."""
    layers = []
    for _ in range(count):
        for _ in range(10):
            pool = [*ANY, *FIRST[len(shape)]]
            layer = pool[rng.integers(len(pool))](rng, shape)
            try:
                new = layer.output_shape(shape)
            except ValueError:
                continue
            if math.prod(new) <= largest:
                layers.append(layer)
                shape = new
                break
    return layers or [fn.Dense(1)]


def drawn_network(seed, dtype="float32"):
    """A network of 1 to 8 layers, with weights that keep numbers of size 1; and the same for a seed."""
    rng = np.random.default_rng(seed)
    shape = [(int(rng.integers(1, 20)),), (6, 3), (5, 4, 2), (1, 1, 1)][rng.integers(4)]
    model = fn.Model(drawn_layers(rng, shape, rng.integers(1, 9)), dtype=dtype, seed=seed).build(shape)
    model.state.statistics[...] = rng.uniform(0.5, 2, model.state.statistics.size)
    return model


def table(rng, x):
    """Layers that prepare columns of numbers, some with missing values, and of categories."""
    columns = rng.permutation(x.shape[1]).tolist()
    coded, missing = columns[: len(columns) // 3], columns[len(columns) // 3 :][: rng.integers(3)]
    x[:, coded] = rng.integers(0, 5, size=(len(x), len(coded)))
    for column in missing:
        x[rng.random(len(x)) < 0.3, column] = np.nan
    layers = []
    if missing:
        strategy = str(rng.choice(["mean", "median", "most_frequent"]))
        layers.append(fn.Impute(strategy, add_indicator=bool(rng.integers(2)), columns=missing))
    numbers = [column for column in columns if column not in coded]
    if numbers:
        layers.append(
            fn.MinMax(-1, 2, columns=numbers) if rng.integers(2) else fn.Standardize(columns=numbers)
        )
    if coded:
        one_hot = fn.OneHot(coded, handle_unknown="ignore")
        layers.append(one_hot if rng.integers(2) else fn.EntityEmbedding(2, coded, handle_unknown="ignore"))
    return layers


def prepared_network(seed, dtype="float32"):
    """A network that begins with what prepares data, and samples: columns, indices, or masked time steps.

    Every fourth has 50 layers behind that.
    """
    rng = np.random.default_rng(seed)
    kind = rng.integers(4)
    if kind == 2:
        x, first = rng.integers(0, 9, size=(30, 6)).astype(float), [fn.Embedding(9, units(rng))]
    elif kind == 3:
        x, cell = rng.normal(size=(30, 6, 3)), [fn.SimpleRNN, fn.GRU, fn.LSTM][rng.integers(3)]
        x[rng.random((30, 6)) < 0.3] = 0
        first = [fn.Masking(), cell(units(rng), return_sequences=True), cell(units(rng))]
    else:
        x = rng.normal(3, 2, size=(30, rng.integers(1, 9)))
        first = table(rng, x)
    shape = fn.Model(copy.deepcopy(first)).adapt(x).build(x.shape[1:]).output_shape
    deep = rng.integers(4) == 0
    layers = drawn_layers(rng, shape, 50, 70) if deep else drawn_layers(rng, shape, rng.integers(1, 9))
    model = fn.Model([*first, *layers], dtype=dtype, seed=seed).adapt(x).build(x.shape[1:])
    model.state.statistics[...] = rng.uniform(0.5, 2, model.state.statistics.size)
    if kind < 2:
        x[:3, ~np.isnan(x).any(axis=0) & (x == np.floor(x)).all(axis=0)] = 77  # of no category that is known
    return model, x


def drawn_prefix(rng, ending):
    """A name that C takes, with an ending that makes it the only one."""
    letters = [*string.ascii_letters, *string.digits, "_", "_"]
    parts = "".join(rng.choice(letters, rng.integers(1, 24))).split("_")
    return f"{string.ascii_letters[rng.integers(52)]}{'_'.join(filter(None, parts))}_{ending}"
