"""What callbacks know from one fit to the next: with the same object, and saved with the model."""

import csv
import json
import pickle

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import fastnn as fn
from tests.helpers.callbacks import play

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
Y = X @ [1.0, -2.0, 0.5]


def network(rate=0.3):
    layers = [fn.Dense(4, "tanh"), fn.Dense(1)]
    return fn.Model(layers, loss="mse", optimizer=fn.SGD(rate), dtype="float64", seed=0)


# --- ModelCheckpoint


def saved_epochs(callback, figures, model=None):
    """The epochs after which the callback writes its file, which it is given one after the other."""
    before = len(SAVED)
    play(callback, figures, model=model)
    return SAVED[before:]


SAVED = []


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(fn.Model, "save", lambda self, path, training: SAVED.append(int(self.parameters[0])))
    return lambda **settings: fn.ModelCheckpoint(tmp_path / "m", save_best_only=True, **settings)


def test_a_checkpoint_keeps_its_best_from_fit_to_fit(checkpoint):
    callback = checkpoint()
    assert saved_epochs(callback, [3, 2, 4]) == [0, 1]
    assert saved_epochs(callback, [3, 2, 1.5, 1.7]) == [2]
    assert saved_epochs(checkpoint(), [3, 2, 4]) == [0, 1]


@pytest.mark.parametrize(
    ("settings", "figures", "saved"),
    [
        ({"initial_value_threshold": 2.5}, [3, 2.5, 2, 1], [2, 3]),
        ({"initial_value_threshold": 2.5, "mode": "max"}, [3, 2.5, 2, 4], [0, 3]),
        ({"initial_value_threshold": 0}, [3, 2, 1], []),
    ],
)
def test_only_what_is_better_than_the_threshold_is_saved(checkpoint, settings, figures, saved):
    assert saved_epochs(checkpoint(**settings), figures) == saved


@pytest.mark.parametrize("value", ["0.5", np.nan, True])
def test_a_threshold_that_is_no_number(value):
    with pytest.raises((TypeError, ValueError), match=f"initial_value_threshold must be .*{value!r}"):
        fn.ModelCheckpoint("m", initial_value_threshold=value)


def test_a_checkpoint_of_a_training_that_goes_on_is_not_replaced_by_a_worse_one(tmp_path):
    """Saved, loaded and resumed: the file is that of the best epoch of all."""
    best = str(tmp_path / "best")

    def callbacks(figures):
        figures = iter(figures)
        return [
            lambda epoch, logs: logs.update(mine=next(figures)),
            fn.ModelCheckpoint(best, "mine", save_best_only=True),
        ]

    model = network()
    model.fit(X, Y, epochs=3, callbacks=callbacks([3.0, 1.0, 2.0]))
    model.save(tmp_path / "last", training=True)
    expected = fn.load(best).parameters
    again = fn.load(tmp_path / "last")
    again.fit(X, Y, epochs=2, callbacks=callbacks([1.5, 1.2]), resume=True)
    assert np.array_equal(fn.load(best).parameters, expected)
    again.fit(X, Y, epochs=2, callbacks=callbacks([0.9, 1.2]), resume=True)
    assert not np.array_equal(fn.load(best).parameters, expected)
    again.fit(X, Y, epochs=1, callbacks=callbacks([5.0]))  # new objects, no resume: a new training
    assert np.array_equal(fn.load(best).parameters, again.parameters)


def test_the_threshold_may_be_set_later(checkpoint):
    callback = checkpoint()
    callback.initial_value_threshold = 2.5
    assert saved_epochs(callback, [3, 2, 1]) == [1, 2]


# --- CSVLogger


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def epochs(path):
    return [int(row[0]) for row in rows(path)[1:]]


def test_a_logger_adds_to_its_own_file(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("something else\n")
    logger, model = fn.CSVLogger(path), network()
    model.fit(X, Y, epochs=2, callbacks=[logger])
    model.fit(X, Y, epochs=4, initial_epoch=2, callbacks=[logger])
    assert rows(path)[0] == ["epoch", "loss"] and epochs(path) == [0, 1, 2, 3]
    network().fit(X, Y, epochs=1, callbacks=[fn.CSVLogger(path)])
    assert rows(path)[0] == ["epoch", "loss"] and epochs(path) == [0]


def test_a_logger_may_append(tmp_path):
    path = tmp_path / "log.csv"
    for _ in range(2):
        network().fit(X, Y, epochs=2, callbacks=[fn.CSVLogger(path, append=True)])
    assert rows(path)[0] == ["epoch", "loss"] and epochs(path) == [0, 1, 0, 1]
    with pytest.raises(TypeError, match="append must be True or False, got 1"):
        fn.CSVLogger(path, append=1)


def test_new_figures_are_new_columns(tmp_path):
    path = tmp_path / "log.csv"
    network().fit(X, Y, epochs=2, callbacks=[fn.CSVLogger(path)])
    logger = fn.CSVLogger(path, append=True)
    network().fit(X, Y, epochs=1, validation_split=0.5, callbacks=[logger])
    network().fit(X, Y, epochs=1, callbacks=[logger])
    table = rows(path)
    assert table[0] == ["epoch", "loss", "val_loss"] and epochs(path) == [0, 1, 0, 0]
    assert [row[2] == "nan" for row in table[1:]] == [True, True, False, True]


def test_a_logger_with_a_period_writes_its_columns(tmp_path):
    logger = fn.CSVLogger(tmp_path / "log.csv")
    logger.period = 5
    record = network().fit(X, Y, epochs=12, callbacks=[logger])
    table = rows(tmp_path / "log.csv")
    assert table == [
        ["epoch", "loss"],
        *([str(epoch), str(record.history["loss"][epoch])] for epoch in (4, 9, 11)),
    ]


def test_a_logger_without_epochs_leaves_an_empty_file(tmp_path):
    (tmp_path / "log.csv").write_text("of an earlier run\n")
    network().fit(X, Y, epochs=0, callbacks=[fn.CSVLogger(tmp_path / "log.csv")])
    assert rows(tmp_path / "log.csv") == []


def test_a_logger_of_a_training_that_goes_on_adds_to_the_file(tmp_path):
    path, model = tmp_path / "log.csv", network()
    model.fit(X, Y, epochs=2, callbacks=[fn.CSVLogger(path)])
    model.save(tmp_path / "m", training=True)
    again = fn.load(tmp_path / "m")
    again.fit(X, Y, epochs=4, initial_epoch=2, callbacks=[fn.CSVLogger(path)], resume=True)
    assert epochs(path) == [0, 1, 2, 3]


# --- initial_epoch


def test_epochs_are_counted_from_the_initial_one(tmp_path):
    seen, ordered = [], []

    def order(epoch):
        ordered.append(epoch)
        return np.arange(len(X))

    model = network()
    record = model.fit(
        X,
        Y,
        epochs=6,
        initial_epoch=3,
        shuffle=order,
        callbacks=[
            lambda epoch, logs: seen.append(epoch),
            fn.ModelCheckpoint(tmp_path / "{epoch}"),
        ],
    )
    assert record.epoch == seen == ordered == [3, 4, 5]
    assert len(record.history["loss"]) == 3 and model.state.epoch == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3", "4", "5"]
    assert list(record.to_pandas().index) == [3, 4, 5]
    other = network()
    other.fit(X, Y, epochs=3, shuffle=order)
    assert np.array_equal(model.parameters, other.parameters)
    assert model.fit(X, Y, epochs=5, initial_epoch=5).epoch == []


def test_a_divergence_names_the_epoch_as_counted():
    with pytest.raises(fn.DivergenceError) as caught:
        network(rate=1e200).fit(X, Y, epochs=9, initial_epoch=4)
    assert caught.value.epoch in (4, 5)


def test_a_bar_of_many_models_may_have_initial_epochs():
    records = fn.fit_many([network(), network()], X, Y, epochs=4, initial_epoch=[1, 3])
    assert [record.epoch for record in records] == [[1, 2, 3], [3]]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"initial_epoch": -1}, ValueError, "initial_epoch must be >= 0, got -1"),
        ({"initial_epoch": 1.5}, TypeError, "initial_epoch must be an integer, got 1.5"),
        ({"initial_epoch": 8}, ValueError, "epochs=5.*initial_epoch=8; for 5 more epochs give epochs=13"),
    ],
)
def test_wrong_initial_epochs(settings, error, message):
    with pytest.raises(error, match=message):
        network().fit(X, Y, epochs=5, **settings)


# --- resumed training


def watchers(folder=None):
    """A checkpoint, which stands first, and callbacks that count the epochs without a better figure."""
    best = fn.EarlyStopping("val_loss", patience=7, restore_best=True, min_delta=0.01)
    slower = fn.ReduceLROnPlateau("val_loss", factor=0.5, patience=3, min_delta=0.05)
    stop = fn.EarlyStopping("loss", patience=30)
    first = [fn.ModelCheckpoint(f"{folder}/{{epoch}}", training=True)] if folder else []
    return [*first, best, slower, stop, fn.EarlyStopping("loss", patience=29, min_delta=0.1)]


def train(model, callbacks, **settings):
    data = {"validation_data": (X[:8], Y[:8] + 1)}
    return model.fit(X[8:], Y[8:], epochs=60, batch_size=4, callbacks=callbacks, **data, **settings)


def test_a_training_stopped_after_any_epoch_ends_as_without_the_stop(tmp_path):
    callbacks = watchers(tmp_path)
    whole = network(0.1)
    record = train(whole, callbacks)
    ended = callbacks[1].stopped_epoch
    assert 10 < ended < 59 and whole.optimizer.learning_rate < 0.1
    for epoch in range(ended):
        again, others = fn.load(tmp_path / str(epoch)), watchers()
        rest = train(again, others, initial_epoch=epoch + 1, resume=True)
        assert rest.epoch == record.epoch[epoch + 1 :]
        assert rest.history["val_loss"] == record.history["val_loss"][epoch + 1 :]
        assert rest.learning_rate == record.learning_rate[epoch + 1 :]
        assert others[0].stopped_epoch == ended
        assert np.array_equal(again.parameters, whole.parameters)


def test_a_resumed_early_stopping_knows_the_best_weights_of_before(tmp_path):
    """Of before the stop, whether it was saved while training or after its end."""
    best = []

    def figures(epoch, logs):
        logs["mine"] = [3.0, 1.0, 2.0, 2.0][epoch]
        if epoch == 1:
            best.append(model.parameters.copy())

    def callbacks(training):
        stop = fn.EarlyStopping("mine", patience=9, restore_best=True)
        return [figures, stop, *([fn.ModelCheckpoint(tmp_path / "m", training=True)] if training else [])]

    model = network()
    model.fit(X, Y, epochs=3, callbacks=callbacks(True))
    model.save(tmp_path / "ended", training=True)
    for name in ("m", "ended"):
        again = fn.load(tmp_path / name)
        again.fit(X, Y, epochs=4, initial_epoch=3, callbacks=callbacks(False), resume=True)
        assert np.array_equal(again.parameters, best[0])
    copied = pickle.loads(pickle.dumps(model))
    copied.fit(X, Y, epochs=4, initial_epoch=3, callbacks=callbacks(False), resume=True)
    assert np.array_equal(copied.parameters, best[0])


def test_early_stopping_begins_anew_without_resume(tmp_path):
    model = network()
    model.fit(X, Y, epochs=40, callbacks=[fn.EarlyStopping("loss", min_delta=0.5, patience=3)])
    stop = fn.EarlyStopping("loss", min_delta=0.5, patience=3)
    assert len(model.fit(X, Y, epochs=40, callbacks=[stop]).epoch) == 4
    stop = fn.EarlyStopping("loss", min_delta=0.5, patience=3)
    assert len(model.fit(X, Y, epochs=40, callbacks=[stop], resume=True).epoch) == 1


# --- callbacks of the user's own


class Own(fn.Callback):
    def __init__(self, **state):
        self.state, self.given = state, None

    def get_state(self):
        return self.state

    def set_state(self, state):
        self.given = state


def test_own_callbacks_are_saved_with_the_model(tmp_path):
    state = {
        "count": np.int64(3),
        "rate": np.float32(0.5),
        "name": "x",
        "flag": True,
        "none": None,
        "vector": np.arange(3.0),
        "a.b": np.ones((2, 3), np.float32),
    }
    model = network()
    model.fit(X, Y, callbacks=[Own(n=1), Own(**state), fn.CSVLogger(tmp_path / "log.csv"), Own()])
    model.save(tmp_path / "m", training=True)
    again, callbacks = fn.load(tmp_path / "m"), [Own(), Own(), Own()]
    again.fit(X, Y, callbacks=callbacks, resume=True)
    assert callbacks[0].given == {"n": 1} and callbacks[2].given is None
    given = callbacks[1].given
    assert given.keys() == state.keys()
    for name, value in state.items():
        assert (
            np.array_equal(given[name], value)
            and getattr(given[name], "dtype", 0) == getattr(value, "dtype", 0)
            or not isinstance(value, np.ndarray)
        )
    model.save(tmp_path / "m")
    assert not any(name.startswith("callback") for name in load_file(tmp_path / "m"))


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({"x": [1, 2]}, TypeError, r"'x' in get_state of Own must be a number, text, .* got \[1, 2\]"),
        ({"x": np.arange(3)}, TypeError, "floating-point"),
        ({"x": np.array([np.nan])}, ValueError, "'x' in get_state of Own must be finite"),
        (5, TypeError, "get_state of Own must give a dictionary of names, got 5"),
        ({1: 2}, TypeError, "get_state of Own must give a dictionary of names, got {1: 2}"),
    ],
)
def test_states_that_cannot_be_saved_are_refused(state, error, message):
    callback, model = Own(), network()
    callback.state = state
    with pytest.raises(error, match=message):
        model.fit(X, Y, callbacks=[callback])
    assert model.history.epoch == [0]
    assert model.fit(X, Y, epochs=2).epoch == [0, 1]


def test_only_callbacks_that_began_are_asked_for_their_state():
    class Late(fn.Callback):
        def on_train_begin(self):
            self.count = 0

        def get_state(self):
            return {"count": self.count}

    class Failing(fn.Callback):
        def on_train_begin(self):
            raise RuntimeError("at once")

    model = network()
    with pytest.raises(RuntimeError) as caught:
        model.fit(X, Y, callbacks=[Late(), Failing(), Late()])
    assert not hasattr(caught.value, "__notes__")
    assert model.state.callbacks == {"Late": {"count": 0}}


def test_a_training_that_could_not_go_on_forgets_nothing(tmp_path):
    """What callbacks knew stays with the model until they are reset: the next attempt continues with it."""
    folder = tmp_path / "folder"
    folder.mkdir()

    def callbacks():
        return [fn.EarlyStopping("loss"), fn.ModelCheckpoint(folder / "best", "loss", save_best_only=True)]

    model = network()
    model.fit(X, Y, epochs=5, callbacks=callbacks())
    known = model.state.callbacks
    assert list(known) == ["EarlyStopping(loss)", "ModelCheckpoint(loss)"]
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="folder"):
        model.fit(X, Y, callbacks=callbacks(), resume=True)
    assert model.state.callbacks == known
    model.fit(X, Y, epochs=0, callbacks=callbacks()[:1], resume=True)
    assert list(model.state.callbacks) == ["EarlyStopping(loss)"]


def test_best_weights_of_another_model_are_refused():
    model = network().build(3)
    model.state.callbacks = {
        "EarlyStopping(loss)": {"best": 1.0, "wait": 0, "restore_best": True, "parameters": np.ones(3)}
    }
    with pytest.raises(ValueError, match=r"best weights of shape \(3,\), but the model has \(21,\)"):
        model.fit(X, Y, callbacks=[fn.EarlyStopping("loss", restore_best=True)], resume=True)


@pytest.mark.parametrize(
    "known",
    [5, [1], {"a": 5}, {"a": {"b": [1]}}, {"a": {"b": {"c": 1}}}],
)
def test_damaged_states_are_refused(known, tmp_path):
    model = network()
    model.fit(X, Y, callbacks=[Own(vector=np.ones(3))])
    model.save(tmp_path / "m", training=True)
    with safe_open(tmp_path / "m", "numpy") as file:
        config = json.loads(file.metadata()["fastnn"])
    config["training"]["callbacks"] = known
    tensors = load_file(tmp_path / "m")
    save_file(tensors, tmp_path / "m", {"fastnn": json.dumps(config)})
    with pytest.raises(ValueError, match="does not hold a consistent fastnn model"):
        fn.load(tmp_path / "m")
    config["training"]["callbacks"] = {}
    save_file(tensors, tmp_path / "m", {"fastnn": json.dumps(config)})
    with pytest.raises(ValueError, match="unknown tensors"):
        fn.load(tmp_path / "m")
