"""Files of few bytes that stand for much: an error or a model, in bounded time and memory."""

import json
import struct

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save as to_bytes

from fastnn.onnx import _file
from tests.helpers.file_readers import joined, opened

pytestmark = pytest.mark.slow


def configuration(layers, n_in, tensors=None, **settings):
    plain = {"loss": None, "optimizer": "sgd", "metrics": [], "dtype": "float32", "seed": 0, **settings}
    text = json.dumps({"format": 1, "n_in": n_in, "layers": layers, **plain})
    return to_bytes(tensors or {}, {"fastnn": text})


def measured(layers):
    """The tensors of one-hot layers, given as the categories of each of their columns."""
    counts = {f"{i}.counts": np.array([len(of) for of in known], float) for i, known in enumerate(layers)}
    return counts | {f"{i}.categories": np.concatenate(known) for i, known in enumerate(layers)}


def graph_of(nodes, constants=(), shape=("batch", 3)):
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name in ("X", "Y")]
    tensors = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants]
    graph = helper.make_graph(nodes, "bomb", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]).SerializeToString()


def chain(operators, n, *constants):
    names = ["X", *(f"{i}" for i in range(1, n)), "Y"]
    return [
        helper.make_node(
            operators[i % len(operators)], [names[i], *constants[i % len(operators) :][:1]], [names[i + 1]]
        )
        for i in range(n)
    ]


ONE_HOT = {"name": "one_hot", "columns": [0], "categories": [[0]], "handle_unknown": "ignore"}
WIDE = {**ONE_HOT, "categories": [list(range(700))]}
MEASURED = {**ONE_HOT, "categories": "auto"}
EACH = {**MEASURED, "columns": None}
BOMBS = {
    "many layers": ("model", lambda: configuration([{"name": "dropout", "rate": 0.5}] * 5_000, 3), True),
    "many layers of many columns": ("model", lambda: configuration([ONE_HOT] * 20_000, 2**20), False),
    "layers that widen one another": ("model", lambda: configuration([WIDE] * 700, 1), False),
    "measured layers that widen one another": (
        "model",
        lambda: configuration([MEASURED] * 700, 1, measured([[np.arange(700.0)]] * 700)),
        False,
    ),
    "layers that scale what others widen": (
        "model",
        lambda: configuration([WIDE] * 100 + [{"name": "standardize", "columns": None}] * 5000, 1),
        False,
    ),
    "a category for each of many columns": (
        "model",
        lambda: configuration([EACH] * 2, 100_000, measured([np.zeros((100_000, 1))] * 2)),
        True,
    ),
    "a metric often": (
        "model",
        lambda: configuration([{"name": "dropout", "rate": 0}], 2**20, loss="mse", metrics=["r2"] * 400_000),
        False,
    ),
    "wide layers": ("model", lambda: configuration([{"name": "dense", "units": 2**30}] * 4, 2**20), False),
    "huge header": ("model", lambda: struct.pack("<Q", 2**62), False),
    "huge header of a state": ("torch", lambda: struct.pack("<Q", 2**40) + b"{}" * 100, False),
    "nested header": ("torch", lambda: joined([("a", 0)], b"")[:8] + b"[" * 1000, False),
    "many nodes": ("graph", lambda: graph_of(chain(["Relu"], 5_000)), True),
    "many columns scaled often": (
        "graph",
        lambda: graph_of(chain(["Relu", "Mul"], 4000, "c", "c"), [("c", 2.0)], ("batch", 2**20)),
        False,
    ),
    "weights used often": (
        "graph",
        lambda: graph_of(chain(["MatMul"], 2000, "w"), [("w", np.eye(300))], ("batch", 300)),
        False,
    ),
    "weights changed often": (
        "graph",
        lambda: graph_of(
            [helper.make_node("MatMul", ["X", "w"], ["1"]), *chain(["Add"], 3000, "c")[1:]],
            [("w", np.eye(3)), ("c", 2.0)],
        ),
        True,
    ),
    "many steps of one-hot codes": ("graph", lambda: coded(20, 40_000), False),
    "some steps of one-hot codes": ("graph", lambda: coded(3, 2_000), True),
    "many parts of one tensor": ("graph", lambda: parted(20_000), False),
    "many sums with a far product": ("graph", lambda: far(3_000, 2_000), False),
    "many residuals": ("graph", lambda: graph_of(residuals(300, "{x}")), True),
    "residuals in residuals": ("graph", lambda: graph_of(residuals(500, "X")), False),
    "branches used twice": ("graph", lambda: doubled(40), False),
    "many nodes that do nothing": ("graph", lambda: graph_of(chain(["Identity"], 12_000)), True),
    "many small messages": ("graph", lambda: b"\x3a\x80\x80\x80\x08" + b"\x0a\x00" * (8 << 20), False),
    "deep messages": ("graph", lambda: deep(), False),
}


def residuals(n, other):
    """An activation of the one before and another tensor are added, and so on."""
    nodes, x = [], "X"
    for i in range(n):
        ends = [f"relu{i}", other.format(x=x)]
        nodes.append(helper.make_node("Relu", [x], ends[:1]))
        x = "Y" if i == n - 1 else f"sum{i}"
        nodes.append(helper.make_node("Add", ends, [x]))
    return nodes


def doubled(n):
    """What comes before is in two branches, for a third one begins at the input."""
    nodes, x = [], "X"
    for i in range(n):
        ends = [f"{i}.{operator}" for operator in ("Relu", "Tanh", "Sigmoid")]
        for end, start in zip(ends, (x, x, "X"), strict=True):
            nodes.append(helper.make_node(end.split(".")[1], [start], [end]))
        nodes.append(helper.make_node("Concat", ends, [f"all{i}"], axis=1))
        x = "Y" if i == n - 1 else f"some{i}"
        nodes.append(
            helper.make_node("Split", [f"all{i}"], [x, f"rest{i}", f"end{i}"], axis=1, num_outputs=3)
        )
    return graph_of(nodes)


def coded(steps, n):
    """Each column is compared with a number, and the result again, and so on."""
    nodes, x = [], "X"
    for i in range(steps):
        names = f"taken{i}", f"equal{i}", "Y" if i == steps - 1 else f"coded{i}"
        nodes.append(helper.make_node("Gather", [x, "columns"], names[:1], axis=1))
        nodes.append(helper.make_node("Equal", [names[0], "categories"], names[1:2]))
        nodes.append(helper.make_node("Cast", [names[1]], names[2:], to=TensorProto.FLOAT))
        x = names[2]
    constants = [("categories", np.zeros(n))]
    proto = onnx.ModelProto.FromString(graph_of(nodes, constants, ("batch", n)))
    proto.graph.initializer.append(numpy_helper.from_array(np.arange(n), "columns"))
    return proto.SerializeToString()


def parted(n):
    parts = [f"part{i}" for i in range(n)]
    nodes = [
        helper.make_node("Split", ["X"], parts, axis=1),
        helper.make_node("Concat", parts, ["Y"], axis=1),
    ]
    return graph_of(nodes, shape=("batch", n))


def far(products, sums):
    """Each sum would make one product of all of them."""
    nodes = chain(["MatMul"], products, "w")
    nodes[-1].output[0] = "far"
    for i in range(sums):
        names = "X" if i == 0 else f"sum{i - 1}", "Y" if i == sums - 1 else f"sum{i}"
        nodes.append(helper.make_node("Add", [names[0], "far"], names[1:]))
    return graph_of(nodes, [("w", np.ones((1, 1)))], ("batch", 1))


def deep():
    """A graph in an attribute of a node of a graph in an attribute, and so on."""
    content = b""
    for _ in range(200):
        for tag in (b"\x32", b"\x2a", b"\x0a"):  # AttributeProto.g, NodeProto.attribute, GraphProto.node
            content = tag + varint(len(content)) + content
    return b"\x3a" + varint(len(content)) + content


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


@pytest.mark.parametrize(("door", "make", "taken"), BOMBS.values(), ids=BOMBS)
def test_few_bytes_that_stand_for_much(door, make, taken, tmp_path):
    made = opened(door, tmp_path / "f", make())
    assert (made is not None) == taken


def test_what_counts_as_structure():
    """The numbers of initializers are not counted, all else is."""
    content = graph_of(chain(["MatMul"], 1, "w"), [("w", np.zeros((3, 100_000)))])
    assert 0 < _file._structure(memoryview(content), _file._WAY) < 300
