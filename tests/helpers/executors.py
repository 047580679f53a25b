"""What the tests of `fit_many(executor=)` share: models, callbacks that kill, and comparisons to the bit."""

import os
import signal
import time

import numpy as np

import fastnn as fn

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(600, 4)).astype("float32"), RNG.integers(0, 3, 600)


def models():
    """Models of several kinds, the last of which diverges."""
    mixed = [
        fn.Model([fn.Dense(8, "relu"), fn.Dropout(0.1), fn.Dense(3)], "cross_entropy", fn.Adam(0.01), seed=0),
        fn.Model([fn.Standardize(), fn.Dense(3)], "cross_entropy", fn.SGD(0.1, momentum=0.9), seed=1),
        fn.Model(
            [fn.Dense(5, "tanh"), fn.BatchNormalization(), fn.Dense(3, "softmax")],
            "nll",
            seed=2,
            dtype="float64",
        ),
        fn.Model([fn.Dense(3)], "cross_entropy", fn.AdamW(fn.schedules.cosine(0.1, steps=50)), seed=4),
    ]
    return [*mixed, fn.Model([fn.Dense(1)], "mse", fn.SGD(1e30), seed=5)]


def callbacks():
    """Callbacks of the library for each, which change the learning rate and the weights at the end."""
    return [
        [fn.EarlyStopping("val_loss", 1, restore_best=True), fn.ReduceLROnPlateau("loss", patience=1)]
        if i != 3
        else []
        for i in range(5)
    ]


def assert_same(some, histories, others, expected):
    for model, history, other, record in zip(some, histories, others, expected, strict=True):
        assert np.array_equal(model.state.weights(), other.state.weights())
        assert np.array_equal(model.state.optimizer, other.state.optimizer)
        assert model.state.counters.tolist() == other.state.counters.tolist()
        assert model.optimizer == other.optimizer
        assert model.stop_training == other.stop_training
        assert history.history == record.history and history.epoch == record.epoch
        assert history.learning_rate == record.learning_rate
        assert model.history is history
        assert (type(history.error), str(history.error)) == (type(record.error), str(record.error))


def fit_here_and_there(executor, **options):
    """Train by an executor and by threads, then resume both: all the same bits."""
    there, here = models(), models()
    own, expected = callbacks(), callbacks()
    for resume in (False, True):
        settings = {"epochs": 12, "validation_split": 0.2, "resume": resume, **options}
        found = fn.fit_many(there, X, LABELS, executor=executor, callbacks=own, **settings)
        known = fn.fit_many(here, X, LABELS, callbacks=expected, **settings)
        assert_same(there, found, here, known)
        assert isinstance(found[-1].error, fn.DivergenceError)
        for (mine, *_), (other, *_) in zip(own[:3], expected[:3], strict=True):
            assert (mine.best, mine.stopped_epoch, mine.wait) == (other.best, other.stopped_epoch, other.wait)
        assert own[0][0].model is there[0]


class Killing(fn.Callback):
    """Kills the process that trains by SIGKILL: as long as a file is not there, which it makes, or always."""

    def __init__(self, path=None):
        self.path = path

    def on_epoch_end(self, epoch, logs):
        if self.path is None or not os.path.exists(self.path):
            if self.path is not None:
                open(self.path, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)


class Sleeping(fn.Callback):
    """Lets each epoch take long."""

    def on_epoch_end(self, epoch, logs):
        time.sleep(0.1)


def kill_workers(executor, path, always):
    """Train four models, of which the second kills its worker once, or always; returns their histories.

    The others take long enough to be trained beside it, each time that it is tried.
    """
    kills = [[Sleeping()], [Killing(None if always else str(path))], [Sleeping()], [Sleeping()]]
    some, alone = models()[:4], models()[:4]
    histories = fn.fit_many(some, X, LABELS, epochs=3, callbacks=kills, executor=executor)
    expected = fn.fit_many(alone, X, LABELS, epochs=3)
    kept = [i for i in range(4) if i != 1 or not always]
    for i in kept:
        assert_same([some[i]], [histories[i]], [alone[i]], [expected[i]])
    if always:
        assert histories[1].error is not None and not some[1].executor.is_built
    return histories
