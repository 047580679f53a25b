"""Callbacks: what each does with a given row of figures, and what they see of a training."""

import csv
import math

import numpy as np
import pytest

import fastnn as fn
from tests.helpers.callbacks import network, play

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
Y = X @ [1.0, -2.0, 0.5]
NAN = math.nan


# --- EarlyStopping: so many epochs in a row without a better figure end training


@pytest.mark.parametrize(
    ("settings", "name", "figures", "stopped", "best"),
    [
        ({}, "val_loss", [3, 2, 2, 1], 2, 1),
        ({}, "val_loss", [3, 2, 1], None, 2),
        ({"patience": 2}, "val_loss", [3, 4, 2, 4, 5, 6], 4, 2),
        ({"patience": 3}, "val_loss", [1, 2, 2, 2, 2], 3, 0),
        ({"patience": 3}, "val_loss", [1, 2, 2], None, 0),
        ({"patience": 2, "min_delta": 0.5}, "val_loss", [3, 2.6, 2.4, 2.3, 1.8, 1.7, 1.6], 6, 4),
        ({"min_delta": 0.5}, "val_loss", [3, 2.5], 1, 0),
        ({"monitor": "loss"}, "loss", [3, 2, 4], 2, 1),
        ({"monitor": "val_accuracy"}, "val_accuracy", [0.1, 0.5, 0.4], 2, 1),
        ({"monitor": "r2", "min_delta": 0.1}, "r2", [0.1, 0.5, 0.55], 2, 1),
        ({"monitor": "accuracy", "mode": "min"}, "accuracy", [0.5, 0.4, 0.6], 2, 1),
        ({"mode": "max"}, "val_loss", [1, 2, 3, 2], 3, 2),
        ({"patience": 2}, "val_loss", [2, NAN, NAN, 1], 2, 0),
        ({"patience": 2}, "val_loss", [NAN, 2, 1, 3, 3], 4, 2),
    ],
)
@pytest.mark.parametrize("restore_best", [False, True])
def test_early_stopping(settings, name, figures, stopped, best, restore_best):
    callback = fn.EarlyStopping(restore_best=restore_best, **settings)
    for _ in range(2):  # a callback may be used again
        model = play(callback, figures, name)
        assert (callback.stopped_epoch, model.stop_training) == (stopped, stopped is not None)
        last = len(figures) - 1 if stopped is None else stopped
        assert set(model.parameters) == {best if restore_best else last}


def test_early_stopping_in_a_training():
    model = network(fn.SGD(0.3))
    seen = []
    callback = fn.EarlyStopping(patience=4, restore_best=True)
    watch = [lambda epoch, logs: seen.append(model.parameters.copy()), callback]
    record = model.fit(X[:5], Y[:5], epochs=10_000, validation_data=(X[5:], -Y[5:]), callbacks=watch)
    losses = record.history["val_loss"]
    best = int(np.argmin(losses))
    assert record.epoch[-1] == callback.stopped_epoch == best + 4
    assert callback.best == losses[best] == model.evaluate(X[5:], -Y[5:])["loss"]
    assert np.array_equal(model.parameters, seen[best])


def test_restore_best_weights_is_another_name():
    assert fn.EarlyStopping(restore_best_weights=True).restore_best
    assert not fn.EarlyStopping(restore_best_weights=False).restore_best
    assert fn.EarlyStopping(restore_best=True, restore_best_weights=True).restore_best
    with pytest.raises(ValueError, match="restore_best=True and restore_best_weights=False"):
        fn.EarlyStopping(restore_best=True, restore_best_weights=False)
    with pytest.raises(TypeError, match="restore_best_weights must be True or False, got 1"):
        fn.EarlyStopping(restore_best_weights=1)
    callback = fn.EarlyStopping()
    callback.restore_best_weights = True
    assert callback.restore_best and callback.restore_best_weights


# --- ReduceLROnPlateau


@pytest.mark.parametrize(
    ("settings", "figures", "rates"),
    [
        ({"patience": 1}, [3, 3, 3, 2, 2], [1, 0.1, 0.01, 0.01, 0.001]),
        ({"patience": 2, "factor": 0.5}, [3, 3, 3, 3, 3, 3], [1, 1, 0.5, 0.5, 0.25, 0.25]),
        ({"patience": 1, "factor": 0.5, "min_lr": 0.3}, [3, 3, 3, 3], [1, 0.5, 0.3, 0.3]),
        ({"patience": 1, "factor": 0.5, "min_delta": 0.5}, [3, 2.6, 2.4, 2.0], [1, 0.5, 0.5, 0.25]),
        ({"patience": 1, "factor": 0.5, "mode": "max"}, [1, 2, 1], [1, 1, 0.5]),
        ({"patience": 1}, [3, 2.99999], [1, 0.1]),
        ({"patience": 1, "min_lr": 5.0}, [3, 3, 3], [1, 1, 1]),
    ],
)
def test_reduce_learning_rate(settings, figures, rates):
    for end in range(1, len(figures) + 1):
        model = play(fn.ReduceLROnPlateau(**settings), figures[:end])
        assert model.optimizer.learning_rate == pytest.approx(rates[end - 1], rel=1e-12)


def test_a_reduced_rate_takes_effect():
    model = fn.Model([fn.Dense(1)], loss="mae", optimizer=fn.SGD(0.5), dtype="float64").build(1)
    bias, path = model.layers[0].bias, [0.0]
    callbacks = [
        fn.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9),
        lambda epoch, logs: path.append(bias[0]),
    ]
    model.fit([[0.0]], [[1e6]], epochs=4, callbacks=callbacks)
    assert np.diff(path) == pytest.approx([0.5, 0.5, 0.25, 0.125])


# --- ModelCheckpoint and CSVLogger


@pytest.mark.parametrize(
    ("settings", "figures", "saved"),
    [
        ({}, [3, 2, 4], [0, 1, 2]),
        ({"save_best_only": True}, [3, 2, 4, 2, 1], [0, 1, 4]),
        ({"save_best_only": True, "mode": "max"}, [3, 2, 4], [0, 2]),
    ],
)
def test_checkpoint(settings, figures, saved, tmp_path):
    play(fn.ModelCheckpoint(tmp_path / "m-{epoch:02d}-{val_loss:.1f}.safetensors", **settings), figures)
    expected = [f"m-{epoch:02d}-{figures[epoch]:.1f}.safetensors" for epoch in saved]
    assert sorted(path.name for path in tmp_path.iterdir()) == expected
    for epoch, name in zip(saved, expected, strict=True):
        assert set(fn.load(tmp_path / name).parameters) == {epoch}


def test_training_goes_on_from_a_checkpoint(tmp_path):
    model = network()
    model.fit(X, Y, epochs=5, callbacks=[fn.ModelCheckpoint(str(tmp_path / "{epoch}"), training=True)])
    again = fn.load(tmp_path / "2")
    again.fit(X, Y, epochs=2)
    assert np.array_equal(again.parameters, model.parameters)


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    for epochs in (4, 2):  # the second training writes the file again
        logger = fn.CSVLogger(path)
        history = network().fit(X, Y, epochs=epochs, validation_split=0.5, callbacks=[logger]).history
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "loss", "val_loss"]
    assert [int(row["epoch"]) for row in rows] == [0, 1]
    for name, values in history.items():
        assert [float(row[name]) for row in rows] == values


# --- any callback


class Recorder(fn.Callback):
    def __init__(self, name, calls, fail=""):
        self.name, self.calls, self.fail = name, calls, fail

    def note(self, *what):
        self.calls.append((self.name, *what))
        if self.fail == what[0]:
            raise RuntimeError("a failure of the callback's own")

    def on_train_begin(self):
        self.note("begin", self.model.n_in)

    def on_epoch_end(self, epoch, logs):
        self.note("epoch", epoch, sorted(logs))

    def on_train_end(self):
        self.note("end")


def test_order_of_calls():
    calls = []
    model = network()
    function = lambda epoch, logs: calls.append(("f", "epoch", epoch, sorted(logs)))  # noqa: E731
    callbacks = (Recorder("a", calls), function, Recorder("b", calls))
    history = model.fit(X, Y, epochs=2, validation_split=0.5, callbacks=callbacks)
    names = ["loss", "val_loss"]
    assert calls == [
        *[(who, "begin", 3) for who in "ab"],
        *[(who, "epoch", epoch, names) for epoch in (0, 1) for who in "afb"],
        *[(who, "end") for who in "ab"],
    ]
    assert list(history.history) == names and callbacks[0].model is model


@pytest.mark.parametrize("value", [None, False, 0, True, 1])
def test_a_function_stops_training_by_its_value(value):
    model = network()
    record = model.fit(X, Y, epochs=5, callbacks=[lambda epoch, logs: value if epoch == 2 else None])
    assert len(record.epoch) == (3 if value else 5)
    assert len(model.fit(X, Y, epochs=2).epoch) == 2


def test_callbacks_may_use_the_model():
    """Prediction, evaluation and gradients between the epochs do not disturb training."""
    model, other, figures = network(fn.SGD(0.1)), network(fn.SGD(0.1)), []

    def use(epoch, logs):
        model.predict(X)
        figures.append(model.evaluate(X, Y)["loss"])
        model.loss_and_gradient(X, Y)

    record = model.fit(X, Y, epochs=4, validation_data=(X, Y), callbacks=[use])
    other.fit(X, Y, epochs=4)
    assert np.array_equal(model.parameters, other.parameters)
    assert record.history["val_loss"] == figures
    model.fit(X, Y, callbacks=[lambda epoch, logs: setattr(model, "optimizer", fn.Adam())])
    assert np.isfinite(model.fit(X, Y).history["loss"]).all()


@pytest.mark.parametrize("where", ["begin", "epoch", "end"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_callback_that_fails_leaves_a_usable_model(where, error):
    class Failing(Recorder):
        def note(self, *what):
            if what[0] == where:
                raise error("a failure of the callback's own")

    model, other = network(), network()
    with pytest.raises(error, match="own"):
        model.fit(X, Y, epochs=3, validation_split=0.5, callbacks=[Failing("a", [])])
    epochs = {"begin": 0, "epoch": 1, "end": 3}[where]
    assert model.history.epoch == list(range(epochs))
    assert {len(values) for values in model.history.history.values()} <= {epochs}
    other.fit(X, Y, epochs=epochs, validation_split=0.5)
    assert np.array_equal(model.parameters, other.parameters)
    assert model.fit(X, Y, epochs=2).history == other.fit(X, Y, epochs=2).history


def test_a_callback_must_not_train_its_model():
    model, other = network(), network()
    with pytest.raises(RuntimeError, match="fit"):
        model.fit(X, Y, epochs=5, callbacks=[lambda epoch, logs: model.fit(X, Y)])
    other.fit(X, Y)
    assert model.history.epoch == [0] and np.array_equal(model.parameters, other.parameters)
    assert model.fit(X, Y, epochs=2).history == other.fit(X, Y, epochs=2).history


@pytest.mark.parametrize(
    "callback",
    [
        fn.EarlyStopping(),
        fn.EarlyStopping("val_accuracy"),
        fn.ReduceLROnPlateau("val_loss"),
        fn.ModelCheckpoint("never-written", save_best_only=True),
    ],
)
def test_unknown_monitor(callback):
    model = network()
    with pytest.raises(ValueError, match=f"unknown monitor '{callback.monitor}'.*loss"):
        model.fit(X, Y, callbacks=[callback])
    assert model.fit(X, Y, epochs=2).epoch == [0, 1]


def test_plateau_needs_a_rate_that_is_a_number():
    model = network(fn.SGD(fn.schedules.constant(0.1))).build(3)
    before = model.parameters.copy()
    with pytest.raises(ValueError, match="learning_rate"):
        model.fit(X, Y, callbacks=[fn.ReduceLROnPlateau("loss")])
    assert np.array_equal(model.parameters, before)
