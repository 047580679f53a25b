"""Saved models that were cut off, edited or never were any are refused with a clear error."""

import json
import struct

import numpy as np
import pytest

import fastnn as fn
from tests.helpers.saved_models import edit_file, interrupted


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "m"
    interrupted(monkeypatch).save(path, training=True)
    return path


def test_truncated(file):
    content = file.read_bytes()
    for size in [0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1]:
        file.write_bytes(content[:size])
        with pytest.raises(ValueError, match="safetensors"):
            fn.load(file)


def header(tensors):
    content = json.dumps(tensors).encode()
    return struct.pack("<Q", len(content)) + content


@pytest.mark.parametrize(
    "content",
    [
        b"not a model at all, but a text of some length",
        b"\xff" * 64,
        struct.pack("<Q", 2) + b"{}",
        header({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}) + b"\0" * 4,
        header({"w": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}) + b"\0" * 2,
        header({"w": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}) + b"\0",
        header({"__metadata__": {"fastnn": "no JSON"}}),
        header({"__metadata__": {"fastnn": "[]"}}),
        header({"__metadata__": {"fastnn": "null"}}),
        header({"__metadata__": {"fastnn": "[" * 100_000}}),
    ],
    ids=["text", "ones", "empty", "foreign", "bfloat16", "float8", "no JSON", "list", "null", "nested"],
)
def test_foreign(content, tmp_path):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ValueError, match="safetensors|fastnn"):
        fn.load(tmp_path / "m")


KEYS = ("format", "n_in", "layers", "loss", "optimizer", "metrics", "dtype", "seed")
TRAINING = ("step", "epoch", "pause")
PAUSE = ("position", "n_samples", "batch_size", "shuffle")


def pause(**values):
    return lambda config, tensors: config["training"]["pause"].update(values)


EDITS = {
    **{f"no {key}": lambda c, t, key=key: c.pop(key) for key in KEYS},
    **{f"no {key}": lambda c, t, key=key: c["training"].pop(key) for key in TRAINING},
    **{f"no {key}": lambda c, t, key=key: c["training"]["pause"].pop(key) for key in PAUSE},
    "training a list": lambda c, t: c.update(training=[]),
    "pause a number": lambda c, t: c["training"].update(pause=3),
    "no training": lambda c, t: c.pop("training"),
    "no pause": lambda c, t: c["training"].update(pause=None),
    "no sums": lambda c, t: t.pop("sums"),
    "more metrics": lambda c, t: c.update(metrics=["r2", "mae"]),
    "position behind the data": pause(position=24),
    "position within a batch": pause(position=3),
    "batches of none": pause(batch_size=0),
    "shuffle a number": pause(shuffle=1),
    "later format": lambda c, t: c.update(format=99),
    "other n_in": lambda c, t: c.update(n_in=4),
    "n_in a text": lambda c, t: c.update(n_in="3"),
    "n_in null": lambda c, t: c.update(n_in=None),
    "layers empty": lambda c, t: c.update(layers=[]),
    "layers a number": lambda c, t: c.update(layers=3),
    "unknown layer": lambda c, t: c.update(layers=[{"name": "conv"}]),
    "fewer layers": lambda c, t: c["layers"].pop(),
    "more units": lambda c, t: c["layers"][0].update(units=6),
    "negative units": lambda c, t: c["layers"][0].update(units=-1),
    "unknown setting": lambda c, t: c["layers"][0].update(colour="red"),
    "unknown activation": lambda c, t: c["layers"][0]["activation"].update(name="unknown"),
    "unknown setting of the activation": lambda c, t: c["layers"][0]["activation"].update(slope=1),
    "unknown loss": lambda c, t: c["loss"].update(name="unknown"),
    "negative rate": lambda c, t: c["optimizer"].update(learning_rate=-1),
    "optimizer of other settings": lambda c, t: c["optimizer"].update(name="SGD"),
    "optimizer without memory": lambda c, t: c.update(optimizer="sgd"),
    "unknown metric": lambda c, t: c.update(metrics=["unknown"]),
    "unknown dtype": lambda c, t: c.update(dtype="float16"),
    "negative seed": lambda c, t: c.update(seed=-1),
    "step not whole": lambda c, t: c["training"].update(step=1.5),
    "negative epoch": lambda c, t: c["training"].update(epoch=-1),
    "epoch too large": lambda c, t: c["training"].update(epoch=2**62),
    "huge units": lambda c, t: c["layers"][0].update(units=2**40),
    "units beyond int64": lambda c, t: c["layers"][-1].update(units=10**40),
    "rate beyond float64": lambda c, t: c["optimizer"].update(learning_rate=10**400),
    "a hundred thousand layers": lambda c, t: c.update(layers=[{"name": "dropout", "rate": 0.5}] * 100_000),
    "no weights": lambda c, t: t.pop("0.weights"),
    "more weights": lambda c, t: t.update({"7.weights": t["0.weights"]}),
    "turned weights": lambda c, t: t.update({"0.weights": t["0.weights"].T.copy()}),
    "weights not finite": lambda c, t: t.update({"0.weights": t["0.weights"] * np.nan}),
    "short memory": lambda c, t: t.update(optimizer=t["optimizer"][1:].copy()),
    "memory not finite": lambda c, t: t.update(optimizer=t["optimizer"] * np.nan),
}


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(edit, id=name, marks=[pytest.mark.slow] * ("hundred thousand" in name))
        for name, edit in EDITS.items()
    ],
)
def test_contents_that_do_not_fit_together(edit, file):
    edit_file(file, edit)
    with pytest.raises(ValueError, match="fastnn model"):
        fn.load(file)


def test_a_file_of_another_precision_is_converted(file):
    edit_file(file, lambda config, tensors: config.update(dtype="float64"))
    assert fn.load(file).parameters.dtype == np.float64
