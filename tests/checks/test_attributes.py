"""Attributes that nothing reads are refused with the nearest name; in classes of the user's they are free."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fn
from fastnn.optimizers import TABLE

X, Y = np.arange(12.0).reshape(6, 2) / 12, np.arange(6.0) / 6


def model(**settings):
    return fn.Model([fn.Dense(3, "tanh"), fn.Dense(1)], "mse", seed=0, **settings).build(2)


THINGS = {
    "model": model,
    "model that is not built": lambda: fn.Model([fn.Dense(3)]),
    "ensemble": lambda: fn.Ensemble([model()]),
    "dense": lambda: fn.Dense(3),
    "activation": lambda: fn.Activation("relu"),
    "dropout": lambda: fn.Dropout(0.5),
    "standardize": fn.Standardize,
    "min_max": fn.MinMax,
    "one_hot": fn.OneHot,
    "callback": fn.Callback,
    "early stopping": fn.EarlyStopping,
    "plateau": fn.ReduceLROnPlateau,
    "checkpoint": lambda: fn.ModelCheckpoint("m"),
    "log": lambda: fn.CSVLogger("m"),
    **TABLE,
}
WAYS = {
    "new": lambda thing: thing,
    "copied": copy.copy,
    "pickled": lambda thing: pickle.loads(pickle.dumps(thing)),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("make", THINGS.values(), ids=THINGS)
def test_an_unknown_attribute_is_refused(make, way):
    thing = way(make())
    before = dict(vars(thing))
    with pytest.raises(
        AttributeError, match=f"{type(thing).__name__} has no attribute 'nothing_like_it'; it has "
    ):
        thing.nothing_like_it = 1
    assert vars(thing) == before
    thing._own = 1  # what begins with an underscore is the user's


@pytest.mark.parametrize(
    "make, name, meant",
    [
        (fn.Adam, "lr", "learning_rate"),
        (fn.Adam, "learning_rat", "learning_rate"),
        (fn.Adam, "clipnorm", "global_clipnorm"),
        (fn.SGD, "decay", "weight_decay"),
        (fn.RMSprop, "eps", "epsilon"),
        (fn.Adam, "beta1", "beta_1"),
        (model, "lr", "optimizer.learning_rate"),
        (model, "learning_rate", "optimizer.learning_rate"),
        (model, "optimiser", "optimizer"),
        (model, "trainble", "trainable"),
        (model, "stop_trainig", "stop_training"),
        (lambda: fn.Dense(3), "requires_grad", "trainable"),
        (lambda: fn.Dense(3), "kernel", "weights"),
        (lambda: fn.Dense(3), "weight", "weights"),
        (fn.EarlyStopping, "patients", "patience"),
        (fn.EarlyStopping, "restore_weights", "restore_best_weights"),
        (fn.Callback, "periods", "period"),
    ],
)
def test_the_nearest_name_is_given(make, name, meant):
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'; did you mean '{meant}'[?]"):
        setattr(make(), name, 0.1)


class Own(fn.Callback):
    def on_train_begin(self):
        self.seen = []

    def on_epoch_end(self, epoch, logs):
        self.seen.append(epoch)


class OwnAdam(fn.Adam):
    pass


class OwnLayer(fn.Activation):
    def __init__(self):
        super().__init__("relu")
        self.note = "mine"


class OwnModel(fn.Model):
    pass


def test_classes_of_the_users_own_have_what_they_like():
    callback, optimizer, layer = Own(), OwnAdam(), OwnLayer()
    own = OwnModel([fn.Dense(3), layer, fn.Dense(1)], "mse", optimizer)
    optimizer.note = own.note = layer.more = "mine"
    own.fit(X, Y, epochs=3, callbacks=[callback])
    assert callback.seen == [0, 1, 2]
    assert pickle.loads(pickle.dumps(own)).note == "mine"


def test_what_may_be_changed_can_be():
    trained, stop = model(), fn.EarlyStopping("loss")
    trained.stop_training, trained.optimizer, trained.history = True, "sgd", None
    trained.optimizer.learning_rate, trained.optimizer.global_clipnorm = 0.5, 1.0
    stop.patience, stop.monitor, stop.period, stop.model, stop.best, stop.wait = 3, "mae", 2, trained, 0.5, 1
    stop.stopped_epoch = 4


def test_a_new_seed_counts_from_the_next_step_on(tmp_path):
    first, second, third = (model() for _ in range(3))
    second.seed = third.seed = 1
    for each in (first, second, third):
        each.fit(X, Y, epochs=5, batch_size=1)
    assert np.array_equal(third.parameters, second.parameters)
    assert (first.parameters != second.parameters).any()
    second.save(tmp_path / "m", training=True)
    again = fn.load(tmp_path / "m")
    for each in (again, second):
        each.fit(X, Y, epochs=5, batch_size=1)
    assert again.seed == 1 and np.array_equal(again.parameters, second.parameters)
    for wrong, error in (("1", TypeError), (-1, ValueError), (2**63, ValueError)):
        with pytest.raises(error, match="seed must be"):
            second.seed = wrong
    assert second.seed == 1
    other = fn.Model([fn.Dense(3)], seed=0)
    other.seed = 7
    assert np.array_equal(other.build(2).parameters, fn.Model([fn.Dense(3)], seed=7).build(2).parameters)
