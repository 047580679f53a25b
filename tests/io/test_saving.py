"""Saving and loading: every setting comes back, training resumes to the bit; the file and its place."""

import copy
import os
import pickle
import stat

import numpy as np
import pytest
from safetensors.numpy import load_file

import fastnn as fn
from tests.helpers.networks import outputs_for
from tests.helpers.posix_only import needs_posix
from tests.helpers.rejections import refused
from tests.helpers.saved_models import LAYERS, LOSSES, OPTIMIZERS, X, Y, interrupted, trained


def round_trip(model, folder, training=True):
    path = folder / "model.safetensors"
    model.save(path, training=training)
    again = fn.load(str(path))
    for name in ("n_in", "n_out", "dtype", "seed", "loss", "metrics", "optimizer"):
        assert getattr(again, name) == getattr(model, name), name
    assert [layer.config() for layer in again.layers] == [layer.config() for layer in model.layers]
    assert again.optimizer.config() == model.optimizer.config()
    assert np.array_equal(again.parameters, model.parameters)
    if training:
        assert (again.state.step, again.state.epoch) == (model.state.step, model.state.epoch)
    return again


# --- what comes back


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_layers_come_back(layers, dtype, tmp_path):
    model = fn.Model(layers(), dtype=dtype).build(3)
    model.parameters[...] = np.random.default_rng(1).normal(size=model.parameters.size)
    again = round_trip(model, tmp_path)
    assert np.array_equal(again.predict(X), model.predict(X))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_losses_come_back(loss, tmp_path):
    last = "log_softmax" if loss == "nll" else None
    width = 2 if loss is None else outputs_for(loss, 2)
    round_trip(fn.Model([fn.Dense(width, last)], loss=loss, seed=2**63 - 1).build(3), tmp_path)


@pytest.mark.parametrize("metrics", [[], ["accuracy"], ["mae", "mse", "r2"], "auto"])
def test_metrics_come_back(metrics, tmp_path):
    again = round_trip(fn.Model([fn.Dense(2)], loss="mse", metrics=metrics).build(3), tmp_path)
    assert [metric.name for metric in again.metrics] == ([] if metrics == "auto" else metrics)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_training_goes_on_as_if_never_saved(optimizer, dtype, tmp_path):
    model = trained(fn.optimizers.get({**vars(optimizer), "name": type(optimizer).__name__}), dtype)
    again = round_trip(model, tmp_path)
    for _ in range(2):
        records = [m.fit(X, Y, epochs=2, batch_size=4, validation_split=0.2) for m in (model, again)]
        assert records[0].history == records[1].history
        assert np.array_equal(again.parameters, model.parameters)
    assert np.array_equal(again.state.optimizer, model.state.optimizer)


@pytest.mark.parametrize("change", [{"momentum": 0.0}, {"momentum": 0.5}, {"learning_rate": 0.5}], ids=str)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_optimizer_changed_after_training(momentum, change, tmp_path):
    model = trained(fn.SGD(0.01, momentum=momentum))
    vars(model.optimizer).update(change)
    again = round_trip(model, tmp_path)
    histories = [m.fit(X, Y, epochs=2).history for m in (model, again)]
    assert histories[0] == histories[1] and np.array_equal(again.parameters, model.parameters)


def test_by_default_training_begins_anew(tmp_path):
    model = trained()
    again = round_trip(model, tmp_path, training=False)
    assert (again.state.step, again.state.epoch, again.state.optimizer.size) == (0, 0, 0)
    model.optimizer = copy.copy(model.optimizer)  # which starts again, too
    model.state.epoch = 0
    for m in (model, again):
        m.fit(X, Y, epochs=2, batch_size=4)
    assert np.array_equal(again.parameters, model.parameters)


def test_resume_in_the_same_process(monkeypatch):
    expected, model = trained(), interrupted(monkeypatch)
    histories = [m.fit(X, Y, batch_size=4, resume=True).history for m in (expected, model)]
    assert histories[0] == histories[1]
    assert np.array_equal(model.parameters, expected.parameters)
    assert (model.state.position, model.state.interrupted_epoch) == (0, None)


def test_resume_of_other_data_is_refused(monkeypatch):
    model = interrupted(monkeypatch)
    changes = [
        {"batch_size": 5},
        {"batch_size": 4, "shuffle": False},
        {"batch_size": 4, "validation_split": 0.1},
        {"batch_size": None},
    ]
    for options in changes:
        refused(
            model, lambda o=options: model.fit(X, Y, resume=True, **o), ValueError, "interrupted epoch had 22"
        )
    refused(model, lambda: model.fit(X, Y, resume="yes"), TypeError, "resume")
    assert model.fit(X, Y, batch_size=5).epoch == [0]  # without resume, the epoch is begun again
    assert (model.state.position, model.state.interrupted_epoch) == (0, None)


def test_a_pause_is_pickled(monkeypatch):
    model = interrupted(monkeypatch)
    again = pickle.loads(pickle.dumps(model))
    histories = [m.fit(X, Y, epochs=2, batch_size=4, resume=True).history for m in (model, again)]
    assert histories[0] == histories[1] and np.array_equal(again.parameters, model.parameters)


# --- the file


def test_file_is_safetensors_of_layers(tmp_path):
    model = trained()
    model.save(tmp_path / "m")
    assert sorted(load_file(tmp_path / "m")) == ["0.bias", "0.weights", "2.bias", "2.weights"]
    model.save(tmp_path / "m", training=True)
    tensors = load_file(tmp_path / "m")
    assert sorted(tensors) == ["0.bias", "0.weights", "2.bias", "2.weights", "optimizer"]
    assert np.array_equal(tensors["2.weights"], model.layers[2].weights)
    assert os.listdir(tmp_path) == ["m"]


def test_loading_unpickles_nothing(tmp_path, monkeypatch):
    trained().save(tmp_path / "m")
    (tmp_path / "foreign").write_bytes(pickle.dumps({"fastnn": "a pickle"}))

    def refuse(*arguments, **options):
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    fn.load(tmp_path / "m")
    with pytest.raises(ValueError, match="foreign"):
        fn.load(tmp_path / "foreign")


@needs_posix
def test_mode_of_the_file(tmp_path):
    path, model = tmp_path / "m", trained()
    mask = os.umask(0o027)
    try:
        model.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        model.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(mask)


def test_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = trained()
    model.save("here")
    assert np.array_equal(fn.load("here").parameters, model.parameters)
    with pytest.raises(FileNotFoundError):
        fn.load("nowhere")
    with pytest.raises(OSError):
        fn.load(tmp_path)
    with pytest.raises(OSError):
        model.save(tmp_path)
    if os.name == "posix":
        os.mkfifo(tmp_path / "pipe")
        for call in (model.save, fn.load):
            with pytest.raises(OSError, match="not a regular file"):
                call(tmp_path / "pipe")
        os.unlink(tmp_path / "pipe")
    with pytest.raises(OSError):
        model.save(tmp_path / "no folder" / "m")
    assert os.listdir(tmp_path) == ["here"]


def test_symbolic_links_are_followed(tmp_path):
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder / "m")
    model = trained()
    for _ in range(2):  # the link leads nowhere at first
        model.save(link)
        assert link.is_symlink() and os.listdir(folder) == ["m"]
        assert np.array_equal(fn.load(folder / "m").parameters, model.parameters)
