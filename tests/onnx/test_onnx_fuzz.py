"""Graphs changed at random: what loads computes what ONNX Runtime computes, and the rest is refused."""

import random
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import AttributeProto, numpy_helper

import fastnn as fn
from tests.helpers.onnx_models import channels_first, samples
from tests.helpers.onnx_operators import CASES, CONSTANTS, HEAD

pytestmark = pytest.mark.slow

_GRAPHS, _LEAST = 3000, 600  # graphs that are tried, and those of them that load and that ONNX Runtime runs
_INTEGERS = (0, -1, 1, 2, 3, 5, 2**31, -(2**62))
_FLOATS = (0.0, -1.0, 0.5, 3.0, float("nan"))
_OPERATORS = (
    "Relu",
    "Softmax",
    "Transpose",
    "Neg",
    "Flatten",
    "Abs",
    "Tanh",
    "Add",
    "MatMul",
    "Squeeze",
    "Concat",
)


def graph(rng):
    inputs, body, *_ = rng.choice(list(CASES.values()))
    proto = onnx.parser.parse_model(
        HEAD.format(opset=rng.choice([9, 12, 13, 18, 20]), inputs=inputs, body=body)
    )
    needed = {name for node in proto.graph.node for name in node.input} & CONSTANTS.keys()
    proto.graph.initializer.extend(numpy_helper.from_array(CONSTANTS[name], name) for name in sorted(needed))
    return proto


def change(proto, rng):
    """Change an attribute, an operator, an input, a constant or a size."""
    node = rng.choice(proto.graph.node)
    kind = rng.randrange(5)
    if kind == 0 and node.attribute:
        entry = rng.choice(node.attribute)
        if entry.type == AttributeProto.INT:
            entry.i = rng.choice(_INTEGERS)
        elif entry.type == AttributeProto.INTS:
            entry.ints[:] = [rng.choice(_INTEGERS) for _ in range(rng.randint(0, 4))]
        elif entry.type == AttributeProto.FLOAT:
            entry.f = rng.choice(_FLOATS)
    elif kind == 1:
        node.op_type, node.domain = rng.choice(_OPERATORS), ""
    elif kind == 2 and node.input:
        names = [each.name for each in proto.graph.initializer] + [
            name for n in proto.graph.node for name in n.output
        ]
        node.input[rng.randrange(len(node.input))] = rng.choice([*names, "x"])
    elif kind == 3 and proto.graph.initializer:
        tensor = rng.choice(proto.graph.initializer)
        tensor.CopyFrom(numpy_helper.from_array(rng.choice(list(CONSTANTS.values())), tensor.name))
    else:
        rng.choice(proto.graph.input[0].type.tensor_type.shape.dim).dim_value = rng.choice([1, 2, 3, 6])


def wanted(content, n_in, rng):
    """An input and what ONNX Runtime makes of it, or None if it does not run the graph."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    try:
        running = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        [end] = running.get_inputs()
        shape = [4 if size == "batch" else n_in if size == "n" else size for size in end.shape]
        x = rng.normal(0, 3, shape).astype(np.float32)
        return x, running.run(["y"], {"x": x})[0]
    except Exception:  # there are many classes
        return None


def test_changed_graphs():
    rng, numbers = random.Random(0), np.random.default_rng(0)
    compared = 0
    for _ in range(_GRAPHS):
        proto = graph(rng)
        for _ in range(rng.randint(0, 2)):
            change(proto, rng)
        content = proto.SerializeToString()
        try:
            model = fn.onnx.load(content)
        except ValueError as error:
            assert str(error)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = wanted(content, model.n_in, numbers)
        if found is None:
            continue
        x, y = found
        if len(model.input_shape) > 1 and len(set(x.shape[1:])) < x.ndim - 1:
            continue  # nothing tells which of two equal sizes are the channels
        given = channels_first(model.predict(samples(x, model)), y)
        text = onnx.printer.to_text(proto.graph)
        assert given.size == y.size, text
        np.testing.assert_allclose(given, y.reshape(given.shape), rtol=1e-3, atol=1e-3, err_msg=text)
        compared += 1
    assert compared >= _LEAST
