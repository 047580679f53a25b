"""One small training for every row of the library's own tables: what is added there is tested by itself.

Only what cannot be made without arguments has its arguments here.
"""

import hashlib

import numpy as np

import fastnn as fn
from fastnn import activations, initializers, losses, metrics, optimizers, schedules
from fastnn.engine import threads
from fastnn.layers import registry
from tests.helpers.networks import outputs_for

DTYPES = ("float32", "float64")
N_IN, N_OUT, ROWS = 31, 7, 2 * 128 + 3  # the last batch has fewer rows than a batch has parts
ARGUMENTS = {
    "dense": (29,),
    "activation": ("tanh",),
    "dropout": (0.3,),
    "one_hot": (0,),
    "embedding": (5, 3),
    "entity_embedding": (3, 0),
    "group_normalization": (1,),
    "multi_head_attention": (1, 3),
    "conv1d": (3, 2, 1, "same"),
    "conv2d": (3, 2, 1, "same"),
    "conv2d_transpose": (2, 3, 2, "same"),
    "depthwise_conv2d": (3, 1, "same"),
    "separable_conv2d": (3, 2, 1, "same"),
    "spatial_dropout_1d": (0.3,),
    "spatial_dropout_2d": (0.3,),
    "max_pooling_1d": (2, None, "same"),
    "max_pooling_2d": (2, None, "same"),
    "average_pooling_1d": (2, None, "same"),
    "average_pooling_2d": (2, None, "same"),
    "derivatives": ([0], [0]),
    "simple_rnn": (3,),
    "gru": (3,),
    "lstm": (3,),
    "constant": (0.01,),
    "step": (0.01, 3),
    "exponential": (0.01, 3, 0.7),
    "cosine": (0.01, 20),
    "one_cycle": (0.01, 20),
}


def _smooth():
    return [fn.LayerNormalization(), fn.Activation("tanh")]


#: Of layers whose arguments are layers, which are new ones each time.
LAYER_ARGUMENTS = {
    "reshape": lambda: ((-1,),),
    "select": lambda: ([0],),
    "sequential": lambda: (_smooth(),),
    "residual": lambda: (_smooth(),),
    "add": lambda: ([None, _smooth(), fn.Activation("sigmoid")],),
    "concatenate": lambda: ([None, _smooth(), fn.Activation("sigmoid")],),
    "bidirectional": lambda: (fn.GRU(3),),
}


#: What makes samples of the axes that a layer takes of those of one axis.
IMAGE, SEQUENCE = (-1, 1, 1), (-1, 1)
AXES = {
    "multi_head_attention": (1, -1),
    **dict.fromkeys(("simple_rnn", "gru", "lstm", "bidirectional", "masking"), SEQUENCE),
    **{kind: IMAGE for kind in registry.TABLE if "2d" in kind},
    **{kind: SEQUENCE for kind in registry.TABLE if "1d" in kind},
}


def layer_of(kind):
    """A layer of a kind that takes an input of any width."""
    layer = registry.TABLE[kind](*LAYER_ARGUMENTS.get(kind, lambda: ARGUMENTS.get(kind, ()))())
    if kind in AXES:
        larger = {"cropping_1d": [fn.UpSampling1D(3)], "cropping_2d": [fn.UpSampling2D(3)]}.get(kind, [])
        last = fn.SimpleRNN(3) if kind == "masking" else fn.Flatten()
        return fn.Sequential([fn.Reshape(AXES[kind]), *larger, layer, last])
    return fn.Sequential([fn.Select(0), layer, fn.Flatten()]) if layer.takes_indices else layer


_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(ROWS, N_IN))
X[:, 0] = np.arange(ROWS) % 5  # a column of categories
WEIGHT = _RNG.uniform(0, 2, ROWS)


def target_of(loss):
    """Targets that suit a loss."""
    rng = np.random.default_rng(1)
    n_out = outputs_for(loss, N_OUT)
    if classes := loss.n_classes(n_out):
        return rng.integers(0, classes, ROWS)
    if loss.target in ("shares", "signs"):
        return rng.integers(0, 2, (ROWS, N_OUT))
    values = rng.normal(size=(ROWS, loss.n_targets(n_out)))
    return abs(values) if loss.low == 0 else values


def settings_of(kind):
    """What switches everything on that an optimizer leaves out by default."""
    own = {name: getattr(kind(), name) for name in kind.own_settings}
    on = {name: True if value is False else 0.5 for name, value in own.items() if value == 0}
    return {**on, "global_clipnorm": 0.1, "clipvalue": 0.01, "weight_decay": 0.01}


def _made(table):
    return {name: entry(*ARGUMENTS.get(name, ())) for name, entry in table.items()}


OPTIMIZERS = {
    **optimizers.TABLE,
    **{
        f"{name}, all settings": lambda rate=0.01, kind=kind: kind(rate, **settings_of(kind))
        for name, kind in optimizers.TABLE.items()
    },
}
SCHEDULES = _made(schedules.TABLE)

#: Name -> arguments of `model_of`.
CASES = {
    **{f"layer {name}": {"first": name} for name, kind in registry.TABLE.items() if not kind.of_targets},
    "layer unscale": {"last": ["unscale"], "loss": "mse"},
    **{f"activation {name}": {"activation": name} for name in activations.TABLE},
    **{f"loss {name}": {"loss": name} for name in losses.TABLE},
    **{f"optimizer {name}": {"optimizer": make} for name, make in OPTIMIZERS.items()},
    **{f"schedule {name}": {"rate": rate} for name, rate in SCHEDULES.items()},
    **{
        f"initializer {name}": {"initializer": name}
        for name in initializers.TABLE
        if name not in ("constant", "zeros")
    },
    "metrics": {"loss": "mse", "metrics": list(metrics.TABLE)},
    "penalties": {"l1": 1e-4, "l2": 1e-3, "alpha": 1e-2},
}


def model_of(
    first="dense",
    activation="tanh",
    loss="cross_entropy",
    optimizer=fn.Adam,
    rate=0.01,
    initializer="glorot_uniform",
    metrics="auto",
    dtype="float32",
    seed=3,
    last=(),
    **penalties,
):
    """A network with dropout, large enough that a batch of 128 rows is eight parts."""
    own = layer_of(first)
    network = [
        own,
        fn.Dense(67, activation, kernel_initializer=initializer, **penalties),
        fn.Dropout(0.2),
        fn.Dense(43, "softmax"),
        fn.Dense(outputs_for(loss, N_OUT), "log_softmax" if loss == "nll" else None),
        *(registry.TABLE[name]() for name in last),
    ]
    return fn.Model(network, loss, optimizer(rate), metrics=metrics, dtype=dtype, seed=seed)


def fit(model, epochs=2, batch_size=128, **options):
    """Train in shuffled batches, by default of eight parts each."""
    data = (X, target_of(model.loss))
    options = {"sample_weight": WEIGHT, "verbose": 0, **options}
    history = model.fit(*data, epochs=epochs, batch_size=batch_size, **options)
    multiplications = model.executor.graph.multiplications
    assert threads.parts(128, model.parameters.size, multiplications).most == 8
    return history.history


def digest(model, *more):
    """SHA-256 of the parameters, of what the optimizer remembers, of predictions, and of the rest."""
    content = [model.parameters.tobytes(), model.state.optimizer.tobytes(), model.predict(X).tobytes()]
    return hashlib.sha256(b"".join([*content, *(repr(part).encode() for part in more)])).hexdigest()
