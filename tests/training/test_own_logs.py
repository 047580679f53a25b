"""Figures that callbacks write into `logs`: they reach later callbacks, the history and what shows it."""

import csv
import math
from fractions import Fraction

import numpy as np
import pytest

import fastnn as fn
from fastnn.sklearn import MLPRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
Y = X @ [1.0, -2.0, 0.5]
NAN = math.nan


def network():
    layers = [fn.Dense(4, "tanh"), fn.Dense(1)]
    return fn.Model(layers, loss="mse", optimizer=fn.SGD(1.0), dtype="float64", seed=0)


def writes(*values, name="mine"):
    """A callback that writes a figure an epoch; none where it is None."""

    def write(epoch, logs):
        if values[epoch] is not None:
            logs[name] = values[epoch]

    return write


def fit(callbacks, epochs, **settings):
    model = network()
    model.optimizer.learning_rate = 1e-3
    record = model.fit(X, Y, epochs=epochs, callbacks=callbacks, **settings)
    return model, record


def same(values, expected):
    return np.array_equal(values, expected, equal_nan=True)


def test_a_figure_reaches_later_callbacks_and_the_history():
    before, after = [], []
    callbacks = [
        lambda epoch, logs: before.append(dict(logs)),
        writes(3, 2, 1),
        lambda epoch, logs: after.append(dict(logs)),
    ]
    _, record = fit(callbacks, 3, validation_split=0.5)
    assert [list(logs) for logs in before] == [["loss", "val_loss"]] * 3
    assert [logs["mine"] for logs in after] == record.history["mine"] == [3.0, 2.0, 1.0]
    assert [logs["val_loss"] for logs in after] == record.history["val_loss"]
    assert list(record.history) == ["loss", "val_loss", "mine"]
    assert "mine=1" in repr(record)


def test_a_figure_that_was_measured_may_be_replaced():
    _, record = fit([lambda epoch, logs: logs.update(loss=epoch)], 3)
    assert record.history == {"loss": [0.0, 1.0, 2.0]}


def test_what_is_taken_out_of_logs_stays_in_the_history():
    seen = []
    _, record = fit([lambda epoch, logs: logs.clear(), lambda epoch, logs: seen.append(dict(logs))], 2)
    assert seen == [{}, {}] and len(record.history["loss"]) == 2


def test_early_stopping_watches_a_figure():
    stop = fn.EarlyStopping("mine", patience=2, restore_best=True, mode="max")
    weights = []
    keep = lambda epoch, logs: weights.append(stop.model.parameters.copy())  # noqa: E731
    model, record = fit([writes(1, 3, 2, 2, 5), stop, keep], 5)
    assert stop.stopped_epoch == 3 and record.epoch == [0, 1, 2, 3] and stop.best == 3
    assert np.array_equal(model.parameters, weights[1])


def test_epochs_without_the_figure_do_not_count():
    for patience, epochs in ((0, 6), (1, 6), (2, 8)):
        stop = fn.EarlyStopping("mine", patience=patience)
        _, record = fit([writes(3, None, None, 2, None, 2, None, 2, 1, 1, 1), stop], 9)
        assert len(record.epoch) == epochs
    lower = fn.ReduceLROnPlateau("mine", factor=0.5, patience=1)
    model, _ = fit([writes(3, None, None, 3, None, None), lower], 6)
    assert model.optimizer.learning_rate == pytest.approx(1e-3 / 2)


def test_a_figure_that_comes_too_late_is_explained():
    with pytest.raises(
        ValueError, match="unknown monitor 'mine'; this fit has loss. .* reaches the callbacks after it"
    ):
        fit([fn.EarlyStopping("mine"), writes(1, 2)], 2)


def test_the_rate_is_lowered_by_a_figure():
    lower = fn.ReduceLROnPlateau("mine", factor=0.5, patience=1)
    model, _ = fit([writes(3, 2, 2, 2), lower], 4)
    assert model.optimizer.learning_rate == pytest.approx(1e-3 / 4)


def test_files_by_a_figure(tmp_path):
    path = str(tmp_path / "{epoch}-{mine:.1f}")
    callbacks = [
        fn.ModelCheckpoint(path, "mine", save_best_only=True),  # called last, wherever it stands
        writes(3, 2, 4),
        fn.CSVLogger(tmp_path / "log.csv"),
    ]
    _, record = fit(callbacks, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0-3.0", "1-2.0", "log.csv"]
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["mine"]) for row in rows] == record.history["mine"]


@pytest.mark.parametrize(
    "values", [(1, None, 3, None), (None, None, 3, 4), (None, 2, None, None), (1, NAN, 2, None)]
)
def test_missing_figures_are_nan(values, tmp_path):
    _, record = fit([writes(*values), fn.CSVLogger(tmp_path / "log.csv")], 4)
    expected = [NAN if value is None else value for value in values]
    assert same(record.history["mine"], expected)
    assert same(record.to_pandas()["mine"], expected)
    with (tmp_path / "log.csv").open(newline="") as file:
        assert same([float(row["mine"]) for row in csv.DictReader(file)], expected)
    assert "nan" not in record._repr_html_().split("mine")[1].split("<td")[3]
    axes = record.plot(["loss", "mine"])
    assert same(axes[1].lines[0].get_ydata(), expected)


def test_a_figure_of_every_third_epoch():
    callback = fn.Callback()
    callback.period = 3
    callback.on_epoch_end = lambda epoch, logs: logs.update(mine=epoch)
    _, record = fit([callback], 8)
    assert same(record.history["mine"], [NAN, NAN, 2, NAN, NAN, 5, NAN, 7])
    assert record.epoch == list(range(8)) and len(record.history["loss"]) == 8


@pytest.mark.parametrize("split", [0.0, 0.5])
@pytest.mark.parametrize("where", ["before", "behind"])
def test_figures_of_an_epoch_that_a_callback_ends_by_an_error(split, where):
    def fail(epoch, logs):
        if epoch == 2:
            raise RuntimeError("the end")

    callbacks = [fail, writes(0, 1, 2)] if where == "before" else [writes(0, 1, 2), fail]
    model = network()
    with pytest.raises(RuntimeError, match="the end"):
        model.fit(X, Y, epochs=3, callbacks=callbacks, validation_split=split)
    assert model.history.epoch == [0, 1, 2]
    assert {len(values) for values in model.history.history.values()} == {3}
    assert same(model.history.history["mine"], [0, 1, NAN if where == "before" else 2])


@pytest.mark.parametrize(
    "value",
    [2, True, np.float32(2), np.int8(2), np.bool_(True), np.array(2.0), Fraction(4, 2)],
)
def test_numbers_of_any_kind_become_floats(value):
    _, record = fit([writes(value)], 1)
    assert record.history["mine"] == [float(value)] and type(record.history["mine"][0]) is float


@pytest.mark.parametrize("value", ["high", None, 1j, [1.0], np.ones(1), np.ones(2), np.array("x"), {}])
def test_what_is_no_number_is_refused(value):
    def mine(epoch, logs):
        logs["mine"] = value if epoch == 1 else 0.0

    model = network()
    with pytest.raises(TypeError, match=r"mine wrote logs\['mine'\] = .*a logged value must be a number"):
        model.fit(X, Y, epochs=3, callbacks=[mine])
    assert model.history.epoch == [0, 1] and same(model.history.history["mine"], [0, NAN])


@pytest.mark.parametrize("name", ["epoch", 5, None])
def test_names_that_cannot_be_used_are_refused(name):
    with pytest.raises(ValueError, match=rf"logs\[{name!r}\] = 1.0; the name of a logged value must be text"):
        network().fit(X, Y, callbacks=[writes(1.0, name=name)])


def test_a_rate_of_the_users_own_goes_before_the_optimizers():
    _, record = fit([writes(5.0, 6.0, name="learning_rate")], 2)
    assert list(record.to_pandas()["learning_rate"]) == [5, 6]
    assert list(record.plot("learning_rate").lines[0].get_ydata()) == [5, 6]


def test_figures_of_many_models_and_of_estimators():
    models = [network(), network()]
    callbacks = [[writes(1, 2)], [writes(3, None)]]
    records = fn.fit_many(models, X, Y, epochs=2, callbacks=callbacks)
    assert same(records[0].history["mine"], [1, 2]) and same(records[1].history["mine"], [3, NAN])
    stop = fn.EarlyStopping("mine", mode="max")
    estimator = MLPRegressor(hidden_layer_sizes=(4,), callbacks=[writes(1, 2, 2, 3), stop], random_state=0)
    assert estimator.fit(X, Y).n_iter_ == 3
    assert estimator.model_.history.history["mine"] == [1, 2, 2]
