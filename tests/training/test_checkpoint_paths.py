"""Paths of `ModelCheckpoint`: what cannot be filled in or written to is found out in time."""

import os

import numpy as np
import pytest

import fastnn as fn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
Y = X @ [1.0, -2.0, 0.5]


def network():
    return fn.Model([fn.Dense(1)], loss="mse", metrics=["mae"], seed=0)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("{run}", r"path='{run}' cannot be filled in: it may contain {epoch}, {loss}, .*got {run}"),
        ("{}/m", "got {}"),
        ("{0}", "got {0}"),
        ("{epoch.real}", r"got {epoch\.real}"),
        ("{epoch[0]}", r"got {epoch\[0\]}"),
        ("{val_loss.real}", r"got {val_loss\.real}"),
        ("{epoch", "cannot be filled in: .*write literal braces twice"),
        ("epoch}", "cannot be filled in: .*write literal braces twice"),
        ("{loss:d}", "with epoch 1 and values of 0.5: "),
        ("{epoch:nonsense}", "with epoch 1"),
    ],
)
def test_what_cannot_be_filled_in_is_refused_when_made(path, message):
    with pytest.raises(ValueError, match=message):
        fn.ModelCheckpoint(path)


@pytest.mark.parametrize("path", [3, None, b"m", ["m"]])
def test_what_is_no_path_is_refused(path):
    for kind in (fn.ModelCheckpoint, fn.CSVLogger):
        with pytest.raises(TypeError, match="path"):
            kind(path)


@pytest.mark.parametrize(
    ("path", "monitor", "saved"),
    [
        ("{epoch:03d}-{loss:.0e}-{val_mae:5.3}{{}}.x", "val_loss", "000-"),
        ("{mine:.0f}-{val_mine}", "mine", "2-3.0"),
        ("{{run}}", "loss", "{run}"),
    ],
)
def test_names_are_filled_in(path, monitor, saved, tmp_path):
    figures = lambda epoch, logs: logs.update(mine=2, val_mine=3)  # noqa: E731
    network().fit(
        X, Y, validation_split=0.5, callbacks=[figures, fn.ModelCheckpoint(tmp_path / path, monitor)]
    )
    assert next(tmp_path.iterdir()).name.startswith(saved)


def test_a_figure_that_a_fit_does_not_have_is_named(tmp_path):
    model = network()
    with pytest.raises(ValueError, match=r"path=.* has {val_loss}; give fit .*; this fit has loss, mae"):
        model.fit(X, Y, callbacks=[fn.ModelCheckpoint(tmp_path / "{val_loss}")])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_is_found_out_before_the_first_epoch(tmp_path):
    for path in (tmp_path / "no" / "m-{epoch}", tmp_path / "no" / "{epoch}" / "m", tmp_path / "no" / "m"):
        model = network()
        with pytest.raises(FileNotFoundError, match=r"there is no folder '.*no', .*os\.makedirs"):
            model.fit(X, Y, epochs=3, callbacks=[fn.ModelCheckpoint(path)])
        assert model.history.epoch == []
    with pytest.raises(IsADirectoryError, match="is a folder; name a file in it"):
        network().fit(X, Y, callbacks=[fn.ModelCheckpoint(tmp_path)])
    with pytest.raises(OSError, match="log.csv"):
        network().fit(X, Y, callbacks=[fn.CSVLogger(tmp_path / "no" / "log.csv")])


def test_a_folder_in_which_nothing_may_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="not writable"):
        network().fit(X, Y, callbacks=[fn.ModelCheckpoint(tmp_path / "m")])


def test_folders_named_by_the_epoch(tmp_path):
    (tmp_path / "0").mkdir()
    network().fit(X, Y, callbacks=[fn.ModelCheckpoint(tmp_path / "{epoch}" / "m")])
    assert (tmp_path / "0" / "m").exists()
