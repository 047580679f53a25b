"""Models that tests save: one of each setting, trained ones, and one whose training was interrupted."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import fastnn as fn
from fastnn.engine import launch as engine
from fastnn.training.short_fit import ShortFit
from fastnn.training.thread_tuner import ThreadTuner

RNG = np.random.default_rng(0)
X = RNG.normal(size=(22, 3))
Y = np.column_stack([X.sum(axis=1), X[:, 0] ** 2])

LAYERS = {
    "dense": lambda: [fn.Dense(4)],
    "no bias": lambda: [fn.Dense(4, use_bias=False, l1=0.1, l2=0.2)],
    "activation settings": lambda: [fn.Dense(3, fn.activations.leaky_relu(0.3))],
    "activation layer": lambda: [fn.Activation(fn.activations.elu(0.5)), fn.Dense(3)],
    "dropout": lambda: [fn.Dropout(0.25), fn.Dense(2, "tanh"), fn.Dropout(0.5)],
    "initializers": lambda: [
        fn.Dense(4, kernel_initializer=fn.initializers.normal(0.1), bias_initializer="uniform"),
        fn.Dense(3, kernel_initializer=fn.initializers.orthogonal(2.0), bias_initializer="lecun_normal"),
        fn.Dense(2, kernel_initializer=fn.initializers.uniform(-1, 1)),
        fn.Dense(2, kernel_initializer=fn.initializers.constant(0.5)),
    ],
    "without weights": lambda: [fn.Activation("softmax"), fn.Dropout(0.5)],
    **{name: lambda name=name: [fn.Dense(3, name), fn.Activation(name)] for name in fn.activations.TABLE},
}
LOSSES = {
    **{name: name for name in fn.losses.TABLE},
    "none": None,
    "huber 0.3": fn.losses.huber(0.3),
    "quantile 0.9": fn.losses.quantile(0.9),
    "smoothed": fn.losses.cross_entropy(label_smoothing=0.1),
}
SCHEDULES = {
    "constant": fn.schedules.constant(0.02),
    "step": fn.schedules.step(0.02, every=3, factor=0.5),
    "exponential": fn.schedules.exponential(0.02, every=3, factor=0.5),
    "cosine": fn.schedules.cosine(0.02, steps=40, warmup=5, final=0.001),
    "one_cycle": fn.schedules.one_cycle(0.02, steps=40, warmup=7, initial=0.001, final=1e-5),
}
OPTIMIZERS = {
    "SGD": fn.SGD(0.05, weight_decay=0.01),
    "momentum": fn.SGD(0.05, momentum=0.9, nesterov=True),
    "RMSprop": fn.RMSprop(0.01, rho=0.8, epsilon=1e-6),
    "RMSprop momentum": fn.RMSprop(0.01, momentum=0.5),
    "Adagrad": fn.Adagrad(0.1),
    "Adam": fn.Adam(0.02, beta_1=0.8, beta_2=0.99, global_clipnorm=0.5),
    "AdamW": fn.AdamW(0.02, clipvalue=0.1),
    "NumPy numbers": fn.SGD(np.float32(0.5), np.float64(0.5), np.bool_(True), clipvalue=np.int64(1)),
    **{name: fn.Adam(schedule) for name, schedule in SCHEDULES.items()},
}


def trained(optimizer=None, dtype="float32", epochs=3):
    layers = [fn.Dense(5, "tanh", l2=0.001), fn.Dropout(0.3), fn.Dense(2)]
    optimizer = optimizer or fn.Adam()
    model = fn.Model(layers, loss="mse", optimizer=optimizer, metrics=["r2"], dtype=dtype, seed=5)
    model.fit(X, Y, epochs=epochs, batch_size=4)
    return model


def interrupted(monkeypatch, **options):
    model, run = trained(), engine.run

    def run_and_interrupt(*arguments):
        run(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(engine, "run", run_and_interrupt)
        patch.setattr(ShortFit, "make", lambda *arguments: None)  # which is not interrupted
        patch.setattr(ThreadTuner, "steps_in", lambda tuner, seconds: 1)  # in the first call, one step
        model.fit(X, Y, batch_size=4, **options)
    assert model.state.position == 4
    return model


def edit_file(path, edit):
    """Apply `edit(config, tensors)` to a file."""
    tensors = load_file(path)
    with safe_open(path, framework="numpy") as opened:
        config = json.loads(opened.metadata()["fastnn"])
    edit(config, tensors)
    save_file(tensors, path, {"fastnn": json.dumps(config)})
