"""Callbacks that write logs for other programs."""

import copy
import json
import pickle

import numpy as np
import pytest

import fastnn as fn

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3))
Y = X[:, :1] ** 2


def fit(model, *callbacks, **options):
    return model.fit(X, Y, validation_data=(X, Y), callbacks=callbacks, **options)


def make(**options):
    return fn.Model([fn.Dense(4, "tanh"), fn.Dense(1)], loss="mse", seed=0, **options)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_json_lines(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("old\n")
    model, log = make(), fn.JSONLines(path)
    history = fit(model, log, epochs=3)
    logs = lines(path)
    assert [line.pop("epoch") for line in logs] == [0, 1, 2]
    assert {name: [line[name] for line in logs] for name in logs[0]} == history.history
    fit(model, log, epochs=1)
    assert len(lines(path)) == 4
    fit(model, fn.JSONLines(path), epochs=5, initial_epoch=3, resume=True)
    assert [line["epoch"] for line in lines(path)] == [0, 1, 2, 0, 3, 4]
    fit(model, fn.JSONLines(path, append=True), epochs=1)
    assert len(lines(path)) == 7
    fit(model, fn.JSONLines(path), epochs=1)
    assert len(lines(path)) == 1


def test_json_lines_of_what_is_not_finite_and_where_training_fails(tmp_path):
    path = tmp_path / "log.jsonl"

    def fails(epoch, logs):
        logs["odd"] = np.inf
        if epoch == 2:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fit(make(), fails, fn.JSONLines(path), epochs=5)
    assert [line["odd"] for line in lines(path)] == [None, None]
    with pytest.raises(OSError):
        fit(make(), fn.JSONLines(tmp_path / "none" / "log.jsonl"))
    for wrong in (None, 5):
        with pytest.raises(TypeError, match="path must be a string"):
            fn.JSONLines(wrong)


@pytest.mark.ecosystem
@pytest.mark.filterwarnings("ignore")  # of other libraries
def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model, log = make(), fn.TensorBoard(tmp_path / "logs")
    history = fit(model, log, epochs=3)
    pickle.dumps(copy.deepcopy(log))

    def fails(epoch, logs):
        raise RuntimeError

    with pytest.raises(RuntimeError):  # the epoch is written, and the file closed
        fit(model, fn.TensorBoard(tmp_path / "logs"), fails, epochs=9, initial_epoch=3, resume=True)
    for folder, prefix in (("train", ""), ("validation", "val_")):
        found = EventAccumulator(str(tmp_path / "logs" / folder)).Reload()
        scalars = found.Scalars("epoch_loss")
        assert [scalar.step for scalar in scalars] == [0, 1, 2, 3]
        values = [scalar.value for scalar in scalars[:3]]
        np.testing.assert_allclose(values, history.history[f"{prefix}loss"], rtol=1e-6)
    tags = EventAccumulator(str(tmp_path / "logs" / "train")).Reload().Tags()["scalars"]
    assert "epoch_learning_rate" in tags


@pytest.mark.ecosystem
@pytest.mark.filterwarnings("ignore")
def test_mlflow(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    mlflow = pytest.importorskip("mlflow")
    uri = (tmp_path / "mlruns").as_uri()
    client = mlflow.MlflowClient(uri)

    def log():
        return fn.MLflow("digits", "first", uri)

    model, callback = make(), log()
    history = fit(model, callback, epochs=3)
    run = client.get_run(callback.run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "first")
    assert run.data.params["loss"] == repr(model.loss)
    assert run.data.metrics["val_loss"] == history.history["val_loss"][-1]
    model.save(tmp_path / "model.safetensors", training=True)

    def fails(epoch, logs):
        raise RuntimeError

    again = log()
    with pytest.raises(RuntimeError):
        options = {"epochs": 9, "initial_epoch": 3, "resume": True}
        fit(fn.load(tmp_path / "model.safetensors"), again, fails, **options)
    assert again.run_id == callback.run_id
    assert client.get_run(again.run_id).info.status == "FAILED"
    steps = [point.step for point in client.get_metric_history(again.run_id, "loss")]
    assert steps == [0, 1, 2, 3]
    other = log()
    fit(model, other, epochs=1)
    assert other.run_id != callback.run_id
