"""Weights in files beside an ONNX file: read where they belong, and nothing else."""

import os

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import fastnn as fn
from tests.helpers.posix_only import needs_posix

WEIGHTS = np.arange(6, dtype=np.float32).reshape(3, 2)
BYTES = WEIGHTS.tobytes()
SECRET = b"secret" * 100


def graph():
    """``y = x @ W``, with W among the initializers."""
    text = '<ir_version: 8, opset_import: ["" : 20]> g (float[batch, 3] x) => (float[batch, 2] y) {'
    proto = onnx.parser.parse_model(text + "y = MatMul(x, W) }")
    proto.graph.initializer.append(numpy_helper.from_array(WEIGHTS, "W"))
    return proto


def elsewhere(**fields):
    """The same, with W in another file; a field of None is left out."""
    proto = graph()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": "m.onnx.data", "offset": 0, "length": 24, **fields}.items():
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    return proto


def saved(folder, proto, content=BYTES):
    onnx.save(proto, folder / "m.onnx")
    (folder / "m.onnx.data").write_bytes(content)
    return folder / "m.onnx"


@pytest.mark.parametrize(
    ("fields", "before", "after"),
    [({}, 0, 0), ({"length": None}, 0, 0), ({"offset": None}, 0, 0), ({"offset": 4096}, 4096, 100)],
)
def test_they_are_read(fields, before, after, tmp_path):
    path = saved(tmp_path, elsewhere(**fields), b"x" * before + WEIGHTS.tobytes() + b"x" * after)
    assert np.array_equal(fn.onnx.load(path).layers[0].weights, WEIGHTS)


def test_what_the_package_onnx_writes_is_read_from_any_folder(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    options = {"save_as_external_data": True, "size_threshold": 0, "location": "weights"}
    onnx.save(graph(), tmp_path / "models" / "m.onnx", **options)
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(fn.onnx.load("models/m.onnx").layers[0].weights, WEIGHTS)
    monkeypatch.chdir(tmp_path / "models")
    assert np.array_equal(fn.onnx.load("m.onnx").layers[0].weights, WEIGHTS)


def test_folders_below_and_links_within(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "weights").write_bytes(WEIGHTS.tobytes())
    (tmp_path / "link").symlink_to(tmp_path / "data" / "weights")
    for location in ("data/weights", "./data/weights", "link"):
        path = saved(tmp_path, elsewhere(location=location))
        assert np.array_equal(fn.onnx.load(path).layers[0].weights, WEIGHTS)


ATTACKS = {
    "absolute": ({"location": "{outside}/secret"}, "not the name of a file beside it"),
    "above": ({"location": "../outside/secret"}, "not the name of a file beside it"),
    "above, later": ({"location": "data/../../outside/secret"}, "not the name of a file beside it"),
    "above, by backslashes": ({"location": "..\\outside\\secret"}, "not the name of a file beside it"),
    "a link out": ({"location": "link"}, "a link that leaves the folder"),
    "a folder that is a link out": ({"location": "links/secret"}, "a link that leaves the folder"),
    "a link in a circle": ({"location": "circle"}, "cannot be read"),
    "no name": ({"location": ""}, "not the name of a file beside it"),
    "left out": ({"location": None}, "not the name of a file beside it"),
    "nul": ({"location": "m.onnx\0.data"}, "not the name of a file beside it"),
    "not there": ({"location": "nothing"}, "cannot be read"),
    "a folder": ({"location": "data"}, "not a regular file|cannot be read"),
    "a pipe": ({"location": "pipe"}, "not a regular file"),
    "a device": ({"location": "/dev/zero"}, "not the name of a file beside it"),
    "a link to a device": ({"location": "device"}, "a link that leaves the folder"),
    "beyond the end": ({"offset": 8}, "which has 24"),
    "far beyond the end": ({"offset": 2**62}, "which has 24"),
    "before the start": ({"offset": -8}, "24 bytes at -8"),
    "no number": ({"offset": "eight"}, "not numbers"),
    "a negative length": ({"length": -1}, "-1 bytes at 0"),
    "a length of more": ({"length": 2**40}, "needs 24"),
    "a length of less": ({"length": 4}, "needs 24"),
}


@needs_posix
@pytest.mark.parametrize(("fields", "piece"), ATTACKS.values(), ids=ATTACKS)
def test_attacks(fields, piece, tmp_path):
    folder, outside = tmp_path / "models", tmp_path / "outside"
    (folder / "data").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret").write_bytes(SECRET)
    (folder / "link").symlink_to(outside / "secret")
    (folder / "links").symlink_to(outside)
    (folder / "circle").symlink_to(folder / "circle")
    (folder / "device").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe")
    fields = {
        key: value.format(outside=outside) if isinstance(value, str) else value
        for key, value in fields.items()
    }
    path = saved(folder, elsewhere(**fields))
    with pytest.raises(ValueError, match=piece) as error:
        fn.onnx.load(path)
    assert "secretsecret" not in str(error.value)


def test_a_shape_that_stands_for_much(tmp_path):
    """A file of many bytes that take no room: neither it nor what the shape asks for is read."""
    proto = elsewhere(length=None)
    del proto.graph.initializer[0].dims[:]
    proto.graph.initializer[0].dims.extend([2**40, 2**40])
    with pytest.raises(ValueError, match="needs"):
        fn.onnx.load(saved(tmp_path, proto))
    os.truncate(tmp_path / "m.onnx.data", 2**40)
    with pytest.raises(ValueError, match="needs"):
        fn.onnx.load(tmp_path / "m.onnx")


def test_many_tensors_of_one_file_count_once(tmp_path):
    """Their weights may be used some times, not as often as there are names for them."""
    n = 400
    text = f'<ir_version: 8, opset_import: ["" : 20]> g (float[batch, {n}] x0) => (float[batch, {n}] x300) {{'
    text += " ".join(f"x{i + 1} = MatMul(x{i}, w{i})" for i in range(300)) + "}"
    proto = onnx.parser.parse_model(text)
    for i in range(300):
        tensor = proto.graph.initializer.add(name=f"w{i}", data_type=1, dims=[n, n])
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="m.onnx.data")
    with pytest.raises(ValueError, match="unlike the file"):
        fn.onnx.load(saved(tmp_path, proto, np.eye(n, dtype=np.float32).tobytes()))


def test_only_a_path_tells_where_they_are(tmp_path):
    path = saved(tmp_path, elsewhere())
    for source in (path.read_bytes(), onnx.load(path, load_external_data=False)):
        with pytest.raises(ValueError, match="only a path tells its folder"):
            fn.onnx.load(source)
    assert np.array_equal(fn.onnx.load(onnx.load(path)).layers[0].weights, WEIGHTS)
