"""Damaged and hostile files at every door: an error or a model, never a crash, a hang or a giant allocation.

A door is a function that opens a file. A file is a good one with something changed: bytes anywhere, or, where
that would only be found to be no file at all, parts of its header. What must hold then is said in `doors`.
"""

import json

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from safetensors.numpy import save as to_bytes

import fastnn as fn
from tests.helpers.file_readers import DOORS, TAKING, bounded, joined, opened, taking
from tests.helpers.rejections import state_of

pytestmark = pytest.mark.slow

EXAMPLES = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))


def layers():
    return [fn.Standardize(), fn.OneHot(2, handle_unknown="ignore"), fn.Dense(4, "gelu"), fn.Dense(2)]


def model():
    made = fn.Model(layers(), loss="mse", metrics=["r2"], seed=0)
    x = np.column_stack([X[:, :2], np.arange(12) % 3])
    # After Standardize the third column is no integers: only the first two are to be scaled.
    made.layers[0].set_statistics({"mean": [0.5, 0.1, 0.0], "scale": [2.0, 3.0, 1.0]})
    made.fit(x, X[:, :2], epochs=1, batch_size=4)
    return made


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """For each door the bytes of a good file."""
    folder, made = tmp_path_factory.mktemp("good"), model()
    made.save(folder / "model", training=True)
    fn.onnx.export(made, folder / "graph")
    state = taking().to_torch_state(as_numpy=True)
    return {
        "model": (folder / "model").read_bytes(),
        "graph": (folder / "graph").read_bytes(),
        "torch": to_bytes(state),
    }


@pytest.mark.parametrize("door", DOORS)
def test_good_files(door, contents, tmp_path):
    assert opened(door, tmp_path / "f", contents[door]) is not None


@pytest.mark.parametrize("door", DOORS)
@given(data=st.data())
@EXAMPLES
def test_bytes(door, data, contents, tmp_path):
    """Cut off, overwritten, put in, taken out, doubled: once or several times."""
    content = bytearray(contents[door])
    for _ in range(data.draw(st.integers(1, 3))):
        # The header stands at the beginning, and most is to be damaged there.
        most = len(content) if data.draw(st.booleans()) else min(len(content), 200)
        start = data.draw(st.integers(0, most))
        end = min(start + data.draw(st.integers(0, 16)), len(content))
        change = data.draw(st.sampled_from(["cut", "overwrite", "insert", "remove", "double"]))
        if change == "cut":
            del content[start:]
        elif change == "remove":
            del content[start:end]
        elif change == "double":
            content[start:start] = content[start:end]
        else:
            new = data.draw(st.binary(min_size=1, max_size=12))
            content[start : start + (len(new) if change == "overwrite" else 0)] = new
    opened(door, tmp_path / "f", bytes(content))


# --- headers of safetensors

HOSTILE = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        1,
        2,
        3.5,
        1e308,
        2**31,
        2**40,
        2**63,
        2**64,
        10**30,
        "",
        "x",
        "0.weights",
        [],
        [2],
        {},
    ]
    + [[-1], [2**62, 4], {"name": "dense"}, {"name": "relu"}, [[]], [None]]
)


def places(value, at=()):
    """Paths of all values within a value of JSON."""
    yield at
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in pairs:
        yield from places(part, (*at, key))


def put(value, at, new):
    """The value with another one at a path."""
    if not at:
        return new
    part = put(value[at[0]], at[1:], new)
    if isinstance(value, dict):
        return {**value, at[0]: part}
    return [*value[: at[0]], part, *value[at[0] + 1 :]]


def split(content):
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


@pytest.mark.parametrize("door", ["model", "torch"])
@given(data=st.data())
@EXAMPLES
def test_headers(door, data, contents, tmp_path):
    """Other shapes, types and places of tensors, that overlap or leave holes; names that stand twice."""
    header, numbers = split(contents[door])
    pairs = list(header.items())
    for _ in range(data.draw(st.integers(1, 2))):
        i = data.draw(st.integers(0, len(pairs) - 1))
        name, entry = pairs[i]
        change = data.draw(st.sampled_from(["value", "value", "rename", "twice", "remove", "swap", "shift"]))
        if change == "value":
            at = data.draw(st.sampled_from(list(places(entry))))
            pairs[i] = name, put(entry, at, data.draw(HOSTILE))
        elif change == "rename":
            pairs[i] = (
                data.draw(
                    st.sampled_from(["", "9.weights", "0.mean", "optimizer", "weight", "0.weight", "ä"])
                ),
                entry,
            )
        elif change == "twice":
            pairs.append(data.draw(st.sampled_from(pairs)))
        elif change == "remove" and len(pairs) > 1:
            del pairs[i]
        elif change == "swap":
            j = data.draw(st.integers(0, len(pairs) - 1))
            pairs[i], pairs[j] = (name, pairs[j][1]), (pairs[j][0], entry)
        elif isinstance(entry, dict) and isinstance(entry.get("data_offsets"), list):
            moved = [
                data.draw(st.sampled_from([-4, 0, 4, 8])) + (end or 0)
                for end in entry["data_offsets"]
                if not isinstance(end, (list, dict, str))
            ]
            pairs[i] = name, {**entry, "data_offsets": moved}
    opened(door, tmp_path / "f", joined(pairs, numbers))


@given(data=st.data())
@EXAMPLES
def test_configurations(data, contents, tmp_path):
    """Other values anywhere in what a model's file says of its layers, loss, optimizer and training."""
    header, numbers = split(contents["model"])
    config = json.loads(header["__metadata__"]["fastnn"])
    for _ in range(data.draw(st.integers(1, 2))):
        config = put(config, data.draw(st.sampled_from(list(places(config)))), data.draw(HOSTILE))
    header["__metadata__"]["fastnn"] = json.dumps(config)
    opened("model", tmp_path / "f", joined(header.items(), numbers))


# --- graphs


def damage(proto, data):
    """Change one part of a graph that can still be read."""
    graph = proto.graph
    change = data.draw(
        st.sampled_from(["dims", "type", "raw", "twice", "rename", "operator", "input", "attribute"])
        | st.sampled_from(["version", "shape", "node twice", "order", "external", "typed"])
    )
    number = data.draw(st.sampled_from([-(2**63), -1, 0, 1, 2, 3, 7, 2**31, 2**40, 2**62]))
    tensor = data.draw(st.sampled_from(list(graph.initializer) or [TensorProto()]))
    node = data.draw(st.sampled_from(list(graph.node) or [onnx.NodeProto()]))
    names = [
        *(value.name for value in graph.initializer),
        *(name for n in graph.node for name in n.output),
        "X",
        "",
    ]
    name = data.draw(st.sampled_from(names))
    if change == "dims":
        del tensor.dims[data.draw(st.integers(0, 2)) :]
        tensor.dims.append(number)
    elif change == "type":
        tensor.data_type = data.draw(st.integers(0, 30))
    elif change == "raw":
        tensor.raw_data = tensor.raw_data[: data.draw(st.integers(0, 8))]
    elif change == "typed":
        tensor.ClearField("raw_data")
        tensor.float_data.extend([1.0] * data.draw(st.integers(0, 8)))
    elif change == "twice":
        graph.initializer.add().CopyFrom(tensor)
    elif change == "external":
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="/etc/passwd")
    elif change == "rename":
        tensor.name = name
    elif change == "operator":
        operators = [
            "Relu",
            "Gemm",
            "MatMul",
            "Add",
            "Mul",
            "Where",
            "Cast",
            "Reshape",
            "Flatten",
            "Softmax",
            "Loop",
        ]
        node.op_type = data.draw(st.sampled_from(operators))
    elif change == "input" and node.input:
        node.input[data.draw(st.integers(0, len(node.input) - 1))] = name
    elif change == "attribute":
        key = data.draw(st.sampled_from(["axis", "alpha", "to", "transB", "transA", "allowzero", "perm"]))
        value = data.draw(st.sampled_from([-1, 0, 1, 7, 2**40, 0.5, 1e30, "x", [1, 0]]))
        node.attribute.append(helper.make_attribute(key, value))
    elif change == "version":
        proto.opset_import[0].version = number
    elif change == "shape":
        graph.input[0].type.tensor_type.shape.dim[1].dim_value = number
    elif change == "node twice":
        graph.node.add().CopyFrom(node)
    elif change == "order":
        node.output[0] = name


@given(data=st.data())
@EXAMPLES
def test_graphs(data, contents, tmp_path):
    """Other shapes, types and numbers of weights, names that lead elsewhere, operators, attributes."""
    proto = onnx.ModelProto.FromString(contents["graph"])
    for _ in range(data.draw(st.integers(1, 2))):
        damage(proto, data)
    opened("graph", tmp_path / "f", proto.SerializeToString())


@given(data=st.data())
@EXAMPLES
def test_states(data):
    """A state that is a dict: other shapes, types and keys."""
    state = dict(TAKING.to_torch_state(as_numpy=True))
    before, weights = state_of(TAKING), TAKING.parameters.copy()
    key = data.draw(st.sampled_from(list(state)))
    values = [
        np.zeros((2**40, 0)),
        np.zeros(3, object),
        np.full((4, 3), np.nan),
        np.zeros((), np.float32),
        None,
        3,
    ]
    values += [
        np.broadcast_to(np.float32(0), (2**20, 2**20)),
        np.zeros((4, 3), complex),
        "weights",
        [1.0],
        state[key].T,
    ]
    keys = st.sampled_from([key, "", "weight", "bias", "9.weight", "x.y.weight", "0.weight.weight", 3, None])
    state[data.draw(keys)] = data.draw(st.sampled_from(values))
    if data.draw(st.booleans()):
        state.pop(data.draw(st.sampled_from(sorted(state, key=str))))
    with bounded():
        try:
            fn.load_torch(state, TAKING)
        except (TypeError, ValueError) as error:
            assert str(error)
            assert state_of(TAKING) == before
    TAKING.parameters[...] = weights
