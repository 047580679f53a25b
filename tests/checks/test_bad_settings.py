"""Wrong settings of models, layers, losses and all the rest, weights that do not fit, use before building."""

import re

import numpy as np
import pytest

import fastnn as fn

NAN, INF = np.nan, np.inf
BAD = (TypeError, ValueError)
NOT_NUMBERS = ["1", True, np.True_, [1.0], np.ones(2), 1j, np.complex128(1j)]
NOT_FINITE = [NAN, INF, -INF, np.float32(NAN), 10**400]
NOT_INTEGERS = ["1", None, True, 1.5, 2.0, [1], NAN]

act, loss, init, rate = fn.activations, fn.losses, fn.initializers, fn.schedules
OPTIMIZERS = (fn.SGD, fn.RMSprop, fn.Adagrad, fn.Adam, fn.AdamW)

# What takes the number, its name, and numbers that are out of its range.
NUMBERS = [
    (lambda v: act.leaky_relu(v), "negative_slope", []),
    (lambda v: act.elu(v), "alpha", [-0.25]),
    (lambda v: loss.huber(v), "delta", [0, -1]),
    (lambda v: loss.quantile(v), "q", [0, 1, -0.5, 1.5]),
    (lambda v: loss.cross_entropy(v), "label_smoothing", [-0.25, 1]),
    (lambda v: init.constant(v), "value", []),
    (lambda v: init.normal(v), "std", [-0.25]),
    (lambda v: init.uniform(v, 1), "low", []),
    (lambda v: init.uniform(0, v), "high", [-0.25]),
    (lambda v: init.orthogonal(v), "gain", [0, -0.25]),
    (lambda v: rate.constant(v), "learning_rate", [-0.25]),
    (lambda v: rate.step(v, 1), "learning_rate", [-0.25]),
    (lambda v: rate.step(1, 1, v), "factor", [0, -0.25]),
    (lambda v: rate.exponential(1, 1, v), "factor", [0, -0.25]),
    (lambda v: rate.cosine(v, 9), "learning_rate", [-0.25]),
    (lambda v: rate.cosine(1, 9, 0, v), "final", [-0.25]),
    (lambda v: rate.one_cycle(v, 9), "learning_rate", [-0.25]),
    *[(lambda v, kind=kind: kind(v), "learning_rate", [-0.25]) for kind in OPTIMIZERS],
    *[(lambda v, kind=kind: kind(weight_decay=v), "weight_decay", [-0.25]) for kind in OPTIMIZERS],
    (lambda v: fn.SGD(global_clipnorm=v), "global_clipnorm", [0, -0.25]),
    (lambda v: fn.SGD(clipvalue=v), "clipvalue", [0, -0.25]),
    (lambda v: fn.SGD(momentum=v), "momentum", [-0.25, 1.25]),
    (lambda v: fn.RMSprop(rho=v), "rho", [-0.25, 1]),
    (lambda v: fn.RMSprop(epsilon=v), "epsilon", [-0.25]),
    (lambda v: fn.RMSprop(momentum=v), "momentum", [-0.25, 1.25]),
    (lambda v: fn.Adam(beta_1=v), "beta_1", [-0.25, 1]),
    (lambda v: fn.Adam(beta_2=v), "beta_2", [-0.25, 1]),
    (lambda v: fn.Dropout(v), "rate", [-0.25, 1]),
    (lambda v: fn.Dense(2, l1=v), "l1", [-0.25]),
    (lambda v: fn.Dense(2, l2=v), "l2", [-0.25]),
    (lambda v: fn.EarlyStopping(min_delta=v), "min_delta", [-0.25]),
    (lambda v: fn.ReduceLROnPlateau(factor=v), "factor", [0, 1, -0.25]),
    (lambda v: fn.ReduceLROnPlateau(min_lr=v), "min_lr", [-0.25]),
]
INTEGERS = [
    (lambda v: fn.Dense(v), "units", [0, -1]),
    (lambda v: fn.GRU(v), "units", [0, -1]),
    (lambda v: fn.Model([fn.Dense(1)], seed=v), "seed", [-1, 2**63]),
    (lambda v: fn.Model([fn.Dense(1)]).build(v), "n_in", [0, -1]),
    (lambda v: rate.step(1, v), "every", [0, -1]),
    (lambda v: rate.exponential(1, v, 0.5), "every", [0, -1]),
    (lambda v: rate.cosine(1, v), "steps", [0, -1]),
    (lambda v: rate.cosine(1, 9, v), "warmup", [-1]),
    (lambda v: rate.one_cycle(1, v), "steps", [2, 0, -1]),
    (lambda v: rate.one_cycle(1, 9, v), "warmup", [0, -1]),
    (lambda v: fn.set_threads(v), "threads", [0, -1]),
    (lambda v: fn.EarlyStopping(patience=v), "patience", [-1]),
    (lambda v: fn.ReduceLROnPlateau(patience=v), "patience", [-1]),
]
FLAGS = [
    (lambda v: fn.Dense(2, use_bias=v), "use_bias"),
    (lambda v: fn.SimpleRNN(2, use_bias=v), "use_bias"),
    (lambda v: fn.GRU(2, return_sequences=v), "return_sequences"),
    (lambda v: fn.GRU(2, go_backwards=v), "go_backwards"),
    (lambda v: fn.LSTM(2, unit_forget_bias=v), "unit_forget_bias"),
    (lambda v: fn.SGD(nesterov=v), "nesterov"),
    (lambda v: fn.EarlyStopping(restore_best=v), "restore_best"),
    (lambda v: fn.ModelCheckpoint("never-written", save_best_only=v), "save_best_only"),
    (lambda v: fn.ModelCheckpoint("never-written", training=v), "training"),
]


def kinds(value):
    return f"{value:.8}" if isinstance(value, str) else None


@pytest.mark.parametrize(("make", "name", "outside"), NUMBERS, ids=kinds)
def test_numbers(make, name, outside):
    for value in NOT_NUMBERS:
        with pytest.raises(TypeError, match=f"{name} must be a number, got {re.escape(repr(value))}"):
            make(value)
    for value in NOT_FINITE:
        with pytest.raises(ValueError, match=f"{name} must be finite, got {re.escape(repr(value))}"):
            make(value)
    for value in outside:
        with pytest.raises(ValueError, match=f"{name} must be .* got {re.escape(repr(value))}"):
            make(value)


@pytest.mark.parametrize(("make", "name", "outside"), INTEGERS, ids=kinds)
def test_integers(make, name, outside):
    whole_floats = [2.0] if make.__code__.co_names[0] == "rate" else []  # a saved schedule holds them
    optional = [None] if name in ("seed", "warmup", "threads") else []
    for value in NOT_INTEGERS:
        if value not in whole_floats + optional:
            with pytest.raises(TypeError, match=f"{name} must be an integer, got {re.escape(repr(value))}"):
                make(value)
    for value in outside:
        with pytest.raises(ValueError, match=f"{name} must be .* got {re.escape(repr(value))}"):
            make(value)


@pytest.mark.parametrize(("make", "name"), FLAGS, ids=kinds)
@pytest.mark.parametrize("value", [1, 0, None, "yes", 0.0], ids=repr)
def test_flags(make, name, value):
    with pytest.raises(TypeError, match=f"{name} must be True or False, got {re.escape(repr(value))}"):
        make(value)


def model(**options):
    return fn.Model([fn.Dense(2)], **options)


class Shape(fn.Layer):
    """A layer that does not say what it computes."""

    kind = "shape"


DENSE, OTHER = fn.Dense(3), fn.Dense(2)
OWNER = fn.Model([OTHER])
SETTINGS = [
    (lambda: fn.Model([]), ValueError, "empty"),
    (lambda: fn.Model(5), TypeError, "layers must be"),
    (lambda: fn.Model(None), TypeError, "layers must be"),
    (lambda: fn.Model(DENSE), TypeError, "Dense(3)"),
    (lambda: fn.Model(["relu"]), TypeError, "'relu'"),
    (lambda: fn.Model([fn.Dense]), TypeError, "Dense"),
    (lambda: fn.Model([DENSE, 128]), TypeError, "128"),
    (lambda: fn.Model([DENSE, fn.Dropout(0.5), DENSE]), ValueError, "twice"),
    (lambda: fn.Model([DENSE, OTHER]), ValueError, "Dense(2) is part of another model"),
    (lambda: Shape()([[1.0]]), TypeError, "Shape"),
    (lambda: model(loss="mean"), ValueError, "'mean'"),
    (lambda: model(loss=fn.losses.mse), TypeError, "mse"),
    (lambda: model(loss=3), TypeError, "3"),
    (lambda: model(loss="mse", metrics=["bleu"]), ValueError, "'bleu'"),
    (lambda: model(metrics=["bleu"]), ValueError, "'bleu'"),
    (lambda: model(loss="mse", metrics="bleu"), ValueError, "'bleu'"),
    (lambda: model(loss="mse", metrics=[3]), TypeError, "3"),
    (lambda: model(loss="mse", metrics=None), TypeError, "None"),
    (lambda: model(loss="cross_entropy", metrics=["r2"]), ValueError, "'r2'"),
    (lambda: model(loss="mse", metrics=["mae", "mae"]), ValueError, "mae"),
    (lambda: model(optimizer="adamax"), ValueError, "'adamax'"),
    (lambda: model(optimizer=fn.Adam), TypeError, "Adam"),
    (lambda: model(optimizer=None), TypeError, "None"),
    (lambda: model(optimizer=0.01), TypeError, "0.01"),
    (lambda: model(optimizer={"name": "SGD", "lr": 1}), ValueError, "lr"),
    (lambda: setattr(model(), "optimizer", "adamax"), ValueError, "'adamax'"),
    (lambda: model(dtype="float16"), ValueError, "'float16'"),
    (lambda: model(dtype=int), ValueError, "int"),
    (lambda: model(dtype=None), ValueError, "None"),
    (lambda: model(dtype="double precision"), ValueError, "'double precision'"),
    (lambda: fn.Dense(2, "mish"), ValueError, "'mish'"),
    (lambda: fn.Dense(2, np.tanh), TypeError, "tanh"),
    (lambda: fn.Dense(2, fn.activations.relu), TypeError, "relu"),
    (lambda: fn.Dense(2, kernel_initializer="xavier"), ValueError, "'xavier'"),
    (lambda: fn.Dense(2, bias_initializer=0.0), TypeError, "0.0"),
    (lambda: fn.Dense(2, bias_initializer="constant"), ValueError, "value"),
    (lambda: fn.GRU(2, "gelu"), ValueError, "must be 'tanh' or 'relu', got 'gelu'"),
    (lambda: fn.GRU(2, None), ValueError, "must be 'tanh' or 'relu', got None"),
    (lambda: fn.LSTM(2, "mish"), ValueError, "'mish'"),
    (lambda: fn.LSTM(2, recurrent_initializer="eye"), ValueError, "'eye'"),
    (lambda: fn.Activation(None), TypeError, "None"),
    (lambda: fn.Activation("mish"), ValueError, "'mish'"),
    (lambda: fn.initializers.uniform(2.0, 1.0), ValueError, "1.0"),
    (lambda: fn.schedules.cosine(1, steps=5, warmup=5), ValueError, "warmup=5"),
    (lambda: fn.schedules.one_cycle(1, steps=5, warmup=4), ValueError, "warmup=4"),
    (lambda: fn.SGD(learning_rate="fast"), TypeError, "'fast'"),
    (lambda: fn.SGD(learning_rate=fn.schedules.cosine), TypeError, "cosine"),
    (lambda: fn.EarlyStopping(mode="down"), ValueError, "'down'"),
    (lambda: fn.EarlyStopping(monitor=3), TypeError, "3"),
    (lambda: fn.ReduceLROnPlateau(mode=None), BAD, "None"),
]


@pytest.mark.parametrize(("make", "error", "piece"), SETTINGS, ids=[piece for _, _, piece in SETTINGS])
def test_settings(make, error, piece):
    with pytest.raises(error, match=re.escape(piece)) as caught:
        make()
    assert isinstance(caught.value, BAD)


def test_layers_of_a_refused_model_are_still_free():
    layers = [fn.Dense(3), fn.Dense(2)]
    for options in ({"loss": "mean"}, {"optimizer": "adamax"}, {"dtype": "float16"}, {"seed": -1}):
        with pytest.raises(ValueError, match=str(*options.values())):
            fn.Model(layers, **options)
    with pytest.raises(ValueError, match="part of another"):
        fn.Model([*layers, OTHER])
    assert fn.Model(layers).predict([[1.0]]).shape == (1, 2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_that_the_dtype_cannot_hold(dtype):
    layer = fn.Dense(2, kernel_initializer=fn.initializers.constant(1e300))
    large = fn.Model([layer], dtype=dtype)
    if dtype == "float64":
        assert (large.build(3).layers[0].weights == 1e300).all()
    else:
        with pytest.raises(ValueError, match=r"1e\+300|finite"):
            large.build(3)
        assert large.n_in is None


# --- use before building, weights that do not fit


@pytest.mark.parametrize(
    ("use", "piece"),
    [
        (lambda m: m.parameters, "not built"),
        (lambda m: m.save("never-written"), "not built"),
        (lambda m: m.layers[0].weights, "no weights"),
        (lambda m: m.layers[2].bias, "no bias"),
        (lambda m: m.layers[2]([[1.0]]), "not built"),
        (lambda m: setattr(m.layers[0], "weights", [[1.0]]), "no weights"),
        (lambda m: m.fit([[1.0]], [[1.0]]), "no loss"),
        (lambda m: m.evaluate([[1.0]], [[1.0]]), "no loss"),
        (lambda m: m.loss_and_gradient([[1.0]], [[1.0]]), "no loss"),
    ],
)
def test_use_before_building_or_without_a_loss(use, piece):
    unbuilt = fn.Model([fn.Dense(2), fn.Dropout(0.5), fn.Dense(1)])
    with pytest.raises(ValueError, match=piece):
        use(unbuilt)
    assert (unbuilt.n_in, unbuilt.history) == (None, None)


@pytest.mark.parametrize(
    ("use", "error", "piece"),
    [
        (lambda m: m.build(4), ValueError, "n_in=4"),
        (lambda m: setattr(m.layers[0], "weights", np.ones((2, 3))), ValueError, "(2, 3)"),
        (lambda m: setattr(m.layers[0], "weights", 0.0), ValueError, "()"),
        (lambda m: setattr(m.layers[0], "weights", np.full((3, 2), NAN)), ValueError, "nan"),
        (lambda m: setattr(m.layers[0], "weights", np.full((3, 2), 1e300)), ValueError, "1e+300"),
        (lambda m: setattr(m.layers[0], "weights", np.ones((3, 2)) * 1j), ValueError, "complex128"),
        (lambda m: setattr(m.layers[0], "bias", ["a", "b"]), TypeError, "<U1"),
        (lambda m: setattr(m.layers[0], "bias", [[1.0], [2.0]]), ValueError, "(2, 1)"),
        (lambda m: m.layers[1].bias, ValueError, "use_bias=False"),
        (lambda m: setattr(m.layers[1], "bias", [1.0]), ValueError, "use_bias=False"),
        (lambda m: m.layers[1](np.ones((2, 3))), ValueError, "(2, 3)"),
        (lambda m: m.layers[1]("a"), TypeError, "got str"),
        (lambda m: m.layers[1]([[NAN, 1]]), ValueError, "nan"),
    ],
)
def test_a_built_model(use, error, piece):
    built = fn.Model([fn.Dense(2), fn.Dense(1, use_bias=False)], seed=0).build(3)
    before = built.parameters.copy()
    with pytest.raises(error, match=re.escape(piece)):
        use(built)
    assert np.array_equal(built.parameters, before)


def test_a_layer_used_alone_does_not_fit_every_model():
    layer = fn.Dense(2)
    layer(np.ones((1, 3)))
    weights = layer.weights.copy()
    other = fn.Model([layer])
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        other.build(4)
    assert other.n_in is None and np.array_equal(layer.weights, weights)
    assert np.array_equal(other.build(3).layers[0].weights, weights)


@pytest.mark.parametrize(
    ("name", "value"),
    [("layers", []), ("loss", "mae"), ("metrics", ["mae"]), ("dtype", "float64"), ("parameters", [1.0])],
)
def test_what_a_model_is_cannot_be_changed(name, value):
    built = fn.Model([fn.Dense(1)], loss="mse").build(1)
    with pytest.raises(AttributeError):
        setattr(built, name, value)


@pytest.mark.parametrize(
    ("layer", "name", "value"),
    [
        (fn.Dense(3), "units", 4),
        (fn.Dense(3), "activation", "relu"),
        (fn.Dense(3, l2=0.1), "l2", 0.0),
        (fn.Dropout(0.5), "rate", 0.1),
        (fn.Activation("tanh"), "activation", "relu"),
    ],
)
def test_settings_of_layers_cannot_be_changed(layer, name, value):
    before = getattr(layer, name)
    with pytest.raises(AttributeError, match=name):
        setattr(layer, name, value)
    assert getattr(layer, name) is before
