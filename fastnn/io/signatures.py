"""The kind of a file, by its first bytes, so that messages can name the function that reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

HEAD = 4096  # bytes that are checked, at most
SAFETENSORS, ONNX, TORCH = (
    "a safetensors file",
    "an ONNX file",
    "a file of PyTorch's, by torch.save or TorchScript",
)
KERAS = "a model of Keras's"
_LONGEST = 1 << 32  # bytes of a plausible safetensors header


class Signature(NamedTuple):
    """A kind of file, how to recognize it, and what to do with it."""

    kind: str
    test: Callable[[bytes], bool]
    advice: str


def _begins(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(starts)


def _archive_of(*names: bytes) -> Callable[[bytes], bool]:
    """Whether a zip archive's first member has a name that ends so."""
    return lambda head: head[:4] == b"PK\3\4" and _first_member(head).endswith(names)


def _first_member(head: bytes) -> bytes:
    return head[30 : 30 + int.from_bytes(head[26:28], "little")]


def _is_safetensors(head: bytes) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < _LONGEST


def _is_onnx(head: bytes) -> bool:
    """A ModelProto: its first field, the version of the format, and one of the fields that follow it."""
    return len(head) > 2 and head[0] == 8 and 0 < head[1] < 64 and head[2] in b"\x12\x1a\x22\x28\x32\x3a\x42"


def _is_page(head: bytes) -> bool:
    return head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html"))


def _is_text(head: bytes) -> bool:
    text = head.decode("utf-8", "replace")
    shown = text[:-1] if len(head) == HEAD else text  # a character may be cut off
    return all(letter.isprintable() or letter in "\t\r\n\f" for letter in shown) and "\ufffd" not in shown


# The first match counts: a safetensors file may begin with any byte.
_TABLE = (
    Signature("empty", lambda head: not head, "was it written to the end?"),
    Signature(
        SAFETENSORS,
        _is_safetensors,
        "fn.load(path) reads models of fastnn, fn.load_torch(path, model) weights of PyTorch layers",
    ),
    Signature(ONNX, _is_onnx, "fn.onnx.load(path) reads it"),
    Signature(
        TORCH,
        lambda head: (
            _archive_of(b"/data.pkl", b"/data/0", b"/constants.pkl", b"/version", b"/byteorder")(head)
            or head.startswith(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.")
        ),
        "fn.load_torch(path, model) reads it where PyTorch is installed, and everywhere what "
        "safetensors.torch.save_file(model.state_dict(), 'weights.safetensors') writes",
    ),
    Signature(
        KERAS,
        lambda head: (
            head.startswith(b"\x89HDF\r\n\x1a\n")
            or _archive_of(b"metadata.json", b"config.json", b".weights.h5")(head)
        ),
        "fn.load_keras(path) reads it; and in Keras, model.export('model.onnx', format='onnx') writes what "
        "fn.onnx.load reads",
    ),
    Signature(
        "a file of NumPy's arrays",
        lambda head: head.startswith(b"\x93NUMPY") or _archive_of(b".npy")(head),
        "np.load reads it; fn.load_torch takes a dict of arrays that are named as PyTorch names them",
    ),
    Signature("a zip archive", _begins(b"PK\3\4", b"PK\5\6"), "unpack it first"),
    Signature(
        "a compressed file", _begins(b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"), "unpack it first"
    ),
    Signature(
        "a pickle",
        lambda head: head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"),
        "pickle.load or joblib.load read it, which run what it says: only if you trust where it is from",
    ),
    Signature(
        "a model of TensorFlow Lite's",
        lambda head: head[4:8] == b"TFL3",
        "the package tf2onnx makes an ONNX file of it, for fn.onnx.load",
    ),
    Signature(
        "a pointer of git-lfs",
        _begins(b"version https://git-lfs"),
        "`git lfs pull` gets the file that it stands for",
    ),
    Signature("a web page", _is_page, "download the file that the page shows"),
    Signature("text", _is_text, "is it the right path?"),
)


def kind(head: bytes) -> str | None:
    """The kind of file that begins with these bytes, at most `HEAD`; None if unknown."""
    found = _found(head)
    return None if found is None else found.kind


def refuse_others(name: str, head: bytes, wanted: str) -> None:
    """Raise a ValueError if a file that begins with these bytes is of a known kind other than `wanted`."""
    found = _found(head)
    if found is not None and found.kind != wanted:
        raise ValueError(f"{name} is {found.kind}, not {wanted}: {found.advice}")


def _found(head: bytes) -> Signature | None:
    return next((signature for signature in _TABLE if signature.test(head)), None)
