"""Files that a function cannot read: the error says what they are, and which function reads them."""

import gzip
import io
import pickle
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save as to_bytes

import fastnn as fn
import fastnn.onnx

DATA = Path(__file__).parents[1] / "fixtures"
STATE = {"0.weight": np.ones((1, 2), np.float32), "0.bias": np.zeros(1, np.float32)}


def archive(*names):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as file:
        for name in names:
            file.writestr(name, "{}")
    return memory.getvalue()


def arrays(write):
    memory = io.BytesIO()
    write(memory, np.ones(3))
    return memory.getvalue()


def exported(folder):
    fn.onnx.export(fn.Model([fn.Dense(1)]).build(2), folder / "of_fastnn.onnx")
    return (folder / "of_fastnn.onnx").read_bytes()


def saved(folder):
    fn.Model([fn.Dense(1)]).build(2).save(folder / "of_fastnn.safetensors")
    return (folder / "of_fastnn.safetensors").read_bytes()


def read(name):
    return lambda folder: (DATA / name).read_bytes()


#: What a file is, what the error calls it, and what it says to do.
KINDS = {
    "torch.save": (read("torch_save.pt"), "PyTorch's", "safetensors.torch.save_file"),
    "torch.save, before 1.6": (read("torch_save_legacy.pt"), "PyTorch's", "safetensors.torch.save_file"),
    "TorchScript": (read("torch_script.pt"), "PyTorch's", "safetensors.torch.save_file"),
    "safetensors of PyTorch": (lambda folder: to_bytes(STATE), "a safetensors file", "fn.load_torch"),
    "safetensors of fastnn": (saved, "safetensors|saved by fastnn", r"fn.load\(path\)"),
    "ONNX": (exported, "an ONNX file", "fn.onnx.load"),
    "ONNX of PyTorch": (
        lambda folder: b"\x08\x07\x12\x07pytorch\x1a\x052.1.0:\x00",
        "an ONNX file",
        "fn.onnx.load",
    ),
    "HDF5": (lambda folder: b"\x89HDF\r\n\x1a\n" + bytes(100), "Keras's", "format='onnx'"),
    "Keras": (lambda folder: archive("metadata.json", "model.weights.h5"), "Keras's", "format='onnx'"),
    "npy": (lambda folder: arrays(np.save), "NumPy's", "np.load"),
    "npz": (lambda folder: arrays(np.savez), "NumPy's", "np.load"),
    "zip": (lambda folder: archive("readme.md"), "a zip archive", "unpack"),
    "gzip": (lambda folder: gzip.compress(to_bytes(STATE)), "a compressed file", "unpack"),
    "pickle": (lambda folder: pickle.dumps(STATE), "a pickle", "pickle.load or joblib.load"),
    "TFLite": (lambda folder: b"\x1c\x00\x00\x00TFL3" + bytes(50), "TensorFlow Lite's", "tf2onnx"),
    "git-lfs": (
        lambda folder: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 578\n",
        "a pointer of git-lfs",
        "git lfs pull",
    ),
    "HTML": (lambda folder: b"\n<!DOCTYPE html>\n<html lang='en'>", "a web page", "download"),
    "text": (lambda folder: "layers: größer\n".encode() * 1000, "text", "path"),
    "JSON": (lambda folder: b'{"0.weight": [[1, 2]]}', "text", "path"),
    "empty": (lambda folder: b"", "empty", "written"),
}
DOORS = {
    "load": (fn.load, "a safetensors file", ("safetensors of fastnn",)),
    "load_torch": (
        lambda path: fn.load_torch(path, fn.Model([fn.Dense(1)])),
        "a safetensors file",
        ("safetensors of PyTorch",),
    ),
    "onnx.load": (fn.onnx.load, "an ONNX file", ("ONNX", "ONNX of PyTorch")),
    "onnx.load of bytes": (
        lambda path: fn.onnx.load(path.read_bytes()),
        "an ONNX file",
        ("ONNX", "ONNX of PyTorch"),
    ),
}
WITHOUT_PYTORCH = ("torch.save", "torch.save, before 1.6", "TorchScript")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_error_names_what_the_file_is_and_what_reads_it(door, kind, tmp_path, monkeypatch):
    opens, wanted, right = DOORS[door]
    make, name, advice = KINDS[kind]
    path = tmp_path / "given"
    path.write_bytes(make(tmp_path))
    if kind in right:
        if kind != "ONNX of PyTorch":
            assert isinstance(opens(path), fn.Model)
        return
    monkeypatch.setitem(sys.modules, "torch", None)
    error = ImportError if door == "load_torch" and kind in WITHOUT_PYTORCH else ValueError
    with pytest.raises(error) as raised:
        opens(path)
    message = str(raised.value)
    assert re.search(name, message) and re.search(advice, message), message
    assert wanted in message or error is ImportError or kind.startswith("safetensors")


def test_a_file_without_a_known_beginning_is_told_by_its_reader(tmp_path):
    (tmp_path / "given").write_bytes(bytes(range(255, 0, -1)))
    for door, pattern in (("load", "its header would have"), ("onnx.load", "is not an ONNX file")):
        with pytest.raises(ValueError, match=pattern):
            DOORS[door][0](tmp_path / "given")


def test_any_length_of_a_header_is_that_of_a_safetensors_file(tmp_path):
    """The first bytes are a length, which may be those that another kind begins with."""
    for size in (8, 0x8B1F, 0x0280, 0x5A42, 0x4B50, *range(64, 1100, 8)):
        text = b"{}" + b" " * (size - 2)
        path = tmp_path / "m"
        path.write_bytes(size.to_bytes(8, "little") + text)
        with pytest.raises(ValueError, match="not of a fastnn model"):
            fn.load(path)
