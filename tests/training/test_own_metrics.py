"""Metrics that are functions of the user's own: what they are given, and where their figures go."""

import pickle
import threading
import warnings

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

import fastnn as fn
from fastnn.engine.executor import Executor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
LABELS = (X[:, 0] + 0.5 * RNG.normal(size=60) > 0).astype(int) + (X[:, 1] > 1)
BITS = (LABELS > 0).astype(int)
VALUES = X @ [[1.0, -2.0], [0.5, 1.0], [0.0, 1.0]]
WEIGHT = RNG.uniform(0.5, 2, 60)


def auc(y, prediction):
    return roc_auc_score(y, prediction)


def f1(y, prediction):
    return f1_score(y, prediction.argmax(axis=1), average="macro")


def mean_error(y, prediction, sample_weight=None):
    return np.average(np.abs(y - prediction), weights=sample_weight)


def network(loss, metrics, n_out=1, last=None, dtype="float64"):
    layers = [fn.Dense(6, "tanh"), fn.Dense(n_out, last)]
    return fn.Model(layers, loss, fn.Adam(0.01), metrics=metrics, dtype=dtype, seed=0)


def test_auc_of_two_classes():
    model = network("binary_cross_entropy", ["accuracy", auc])
    stop = fn.EarlyStopping("val_auc", patience=3, restore_best=True)
    history = model.fit(X[:40], BITS[:40], epochs=60, validation_data=(X[40:], BITS[40:]), callbacks=[stop])
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy", "val_auc"]
    figures = model.evaluate(X[40:], BITS[40:])
    assert list(figures) == ["loss", "accuracy", "auc"]
    assert stop.mode == "max" and figures["auc"] == stop.best == max(history.history["val_auc"])
    assert figures["auc"] == roc_auc_score(BITS[40:], model.predict(X[40:])[:, 0])


def test_f1_of_three_classes():
    model = network("cross_entropy", f1, n_out=3)
    history = model.fit(X[:40], LABELS[:40], epochs=5, validation_data=(X[40:], LABELS[40:]))
    expected = f1_score(LABELS[40:], model.predict_class(X[40:]), average="macro")
    assert history.history["val_f1"][-1] == model.evaluate(X[40:], LABELS[40:])["f1"] == expected
    assert list(history.history) == ["loss", "val_loss", "val_f1"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("loss", "y", "n_out", "shapes", "kinds"),
    [
        ("mse", VALUES[:, 0], 1, [(60,), (60,)], "ff"),
        ("mse", VALUES[:, :1], 1, [(60,), (60,)], "ff"),
        ("mse", VALUES, 2, [(60, 2), (60, 2)], "ff"),
        ("cross_entropy", LABELS, 3, [(60,), (60, 3)], "if"),
        ("cross_entropy", np.eye(3)[LABELS], 3, [(60, 3), (60, 3)], "ff"),
        ("binary_cross_entropy", BITS, 1, [(60,), (60,)], "ff"),
        ("binary_cross_entropy", np.eye(3)[LABELS], 3, [(60, 3), (60, 3)], "ff"),
    ],
)
def test_what_a_function_is_given(loss, y, n_out, shapes, kinds, dtype):
    given = []

    def look(y, prediction):
        given.append((y, prediction))
        return 1

    model = network(loss, [look], n_out, dtype=dtype)
    assert model.evaluate(X, y)["look"] == 1.0
    assert [values.shape for values in given[0]] == shapes
    assert "".join(values.dtype.kind for values in given[0]) == kinds
    assert given[0][1].dtype == dtype
    assert np.array_equal(given[0][0], y.reshape(shapes[0]).astype(given[0][0].dtype))
    assert np.array_equal(given[0][1], model.predict(X).reshape(shapes[1]))


def test_the_compiled_mean_absolute_error_as_a_function():
    """With weights too, which a function gets that has a parameter for them."""
    model = network("mse", ["mae", mean_error])
    y = VALUES[:, 0]
    history = model.fit(X[:40], y[:40], epochs=3, validation_data=(X[40:], y[40:], WEIGHT[40:])).history
    assert history["val_mean_error"] == pytest.approx(history["val_mae"], rel=1e-12)
    for weight in (None, WEIGHT):
        figures = model.evaluate(X, y, weight)
        assert figures["mean_error"] == pytest.approx(figures["mae"], rel=1e-12)
    assert figures["mae"] != pytest.approx(model.evaluate(X, y)["mae"], rel=1e-3)


def test_training_is_the_same_with_own_metrics():
    models = [network("mse", metrics) for metrics in (["mae"], ["mae", mean_error])]
    data = {"validation_split": 0.3, "epochs": 4}
    records = [model.fit(X, VALUES[:, 0], **data).history for model in models]
    assert np.array_equal(models[0].parameters, models[1].parameters)
    assert records[0] == {name: values for name, values in records[1].items() if name != "val_mean_error"}
    assert list(models[1].fit(X, VALUES[:, 0]).history) == [
        "loss",
        "mae",
    ]  # no validation data, no own figures


def test_mapped_data(tmp_path):
    np.save(tmp_path / "X.npy", (X * 10).astype(np.int16))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = network("mse", [mean_error])
    y = VALUES[:, 0]
    model.fit(mapped, y)
    assert model.evaluate(mapped, y) == model.evaluate(np.array(mapped), y)


def test_names_of_columns_are_not_asked_for_again():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=["a", "b", "c"])
    model = network("mse", [mean_error])
    model.fit(table, VALUES[:, 0], validation_split=0.5)
    assert "mean_error" in model.evaluate(table, VALUES[:, 0])


def test_many_models_and_ensembles():
    models = [network("cross_entropy", ["accuracy", f1], 3) for _ in range(2)]
    records = fn.fit_many(models, X, LABELS, epochs=3, validation_split=0.3)
    assert all(len(record.history["val_f1"]) == 3 for record in records)
    for combine in ("mean", "probabilities", "vote"):
        together = fn.Ensemble(models, combine=combine)
        expected = f1_score(LABELS, together.predict(X).argmax(axis=1), average="macro")
        assert together.evaluate(X, LABELS)["f1"] == pytest.approx(expected)


def test_a_picture_of_own_figures():
    model = network("cross_entropy", ["accuracy", f1], 3)
    axes = model.fit(X, LABELS, epochs=3, validation_split=0.3).plot()
    assert [ax.get_ylabel() for ax in axes] == ["loss", "accuracy", "f1"]
    assert list(axes[2].lines[0].get_ydata()) == model.history.history["val_f1"]


# --- what is refused


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        ([lambda y, p: 0], ValueError, "reported by its name, so write it with def, got <function"),
        ([auc, auc], ValueError, "name 'auc' is taken already"),
        ([fn.EarlyStopping], TypeError, "EarlyStopping"),
        ([3], TypeError, "3"),
        (3, TypeError, "metrics must be 'auto' or a sequence of names and functions, got 3"),
        (["auc"], ValueError, "unknown metric 'auc'"),
    ],
)
def test_wrong_metrics(metrics, error, message):
    with pytest.raises(error, match=message):
        network("mse", metrics)


@pytest.mark.parametrize("name", ["mae", "loss", "epoch", "learning_rate"])
def test_names_of_other_figures(name):
    def own(y, prediction):
        return 0

    own.__name__ = name
    with pytest.raises(ValueError, match=f"the name '{name}' is taken already"):
        network("mse", [own])


@pytest.mark.parametrize("value", ["high", None, [1.0], np.ones(2), 1j])
def test_what_is_no_number(value):
    def own(y, prediction):
        return value

    model = network("mse", [own])
    with pytest.raises(TypeError, match="the metric own must return a number, got "):
        model.evaluate(X, VALUES[:, 0])
    with pytest.raises(TypeError, match="the metric own must return a number, got "):
        model.fit(X, VALUES[:, 0], validation_split=0.5)


def test_an_error_of_a_metric_ends_the_fit_as_one_of_a_callback():
    def own(y, prediction):
        raise RuntimeError("of the metric")

    model, ended = network("mse", [own]), []

    class End(fn.Callback):
        def on_train_end(self):
            ended.append(True)

    with pytest.raises(RuntimeError, match="of the metric"):
        model.fit(X, VALUES[:, 0], validation_split=0.5, callbacks=[End()])
    assert ended == [True] and np.isfinite(model.parameters).all()


# --- files and pickles


def test_a_file_has_the_names_only(tmp_path):
    model = network("mse", ["mae", mean_error])
    model.fit(X, VALUES[:, 0])
    model.save(tmp_path / "m", training=True)
    with pytest.warns(UserWarning, match=r"user-defined metrics, mean_error, .*metrics=\[mean_error\]"):
        bare = fn.load(tmp_path / "m")
    assert bare.metric_functions == () and list(bare.evaluate(X, VALUES[:, 0])) == ["loss", "mae"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fn.load(tmp_path / "m", metrics=[]).metric_functions == ()
        again = fn.load(tmp_path / "m", metrics=[mean_error])
        bare.save(tmp_path / "bare")
        fn.load(tmp_path / "bare")
    assert again.metric_functions == (mean_error,)
    assert again.evaluate(X, VALUES[:, 0]) == model.evaluate(X, VALUES[:, 0])
    for metrics, error in ((["mae"], TypeError), (3, TypeError), ([lambda y, p: 0], ValueError)):
        with pytest.raises(error, match="metric"):
            fn.load(tmp_path / "m", metrics=metrics)


def test_a_pickle_has_the_function():
    model = network("mse", ["mae", mean_error])
    model.fit(X, VALUES[:, 0])
    again = pickle.loads(pickle.dumps(model))
    assert again.metric_functions == (mean_error,)
    assert again.evaluate(X, VALUES[:, 0]) == model.evaluate(X, VALUES[:, 0])


@pytest.mark.parametrize(
    ("monitor", "mode"),
    [
        ("val_auc", "max"),
        ("val_f1", "max"),
        ("f1_score", "max"),
        ("val_recall", "max"),
        ("mine", "min"),
        ("val_loss", "min"),
    ],
)
def test_which_way_is_better(monitor, mode):
    assert fn.EarlyStopping(monitor).mode == fn.ReduceLROnPlateau(monitor).mode == mode


def test_all_figures_are_of_the_same_weights(monkeypatch):
    """Another thread that changes the weights between the library's metrics and one's own is not seen."""
    model = network("mse", ["mae", mean_error])
    y = VALUES[:, 0]
    before = model.build(3).evaluate(X, y)
    assert before["mae"] == pytest.approx(before["mean_error"])
    predict, changed = Executor.predict, threading.Event()

    def change():
        with model.executor.weights_lock.change():
            model.parameters[...] += 1
        changed.set()

    def late(self, *arguments, **more):
        threading.Thread(target=change).start()
        changed.wait(0.1)
        return predict(self, *arguments, **more)

    monkeypatch.setattr(Executor, "predict", late)
    assert model.evaluate(X, y) == before
    assert changed.wait(60)
