"""The node tests that come with the package onnx: those that a row of layers can compute, and refusals.

A case's inputs but the first are made constants, as weights are, and data without a batch axis gets one.
Each case must then compute what it should, or be refused by a message that names what is not supported.
"""

import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

import fastnn as fn
from tests.helpers.onnx_models import channels_first, run, samples

pytestmark = pytest.mark.slow

_LEAST = 110  # cases that are computed: 122 of 1884 in onnx 1.23
# What a refusal names other than an operator: what is wrong with the ends of the graph.
_ENDS = (
    "outputs",
    "the input ",
    "an input of ",
    "two inputs",
    "of its input",
    "no input",
    "operators are of version",
    "not computed from the input",
)
# Whose result does not depend on where the axes are.
_ELEMENTWISE = {"Relu", "LeakyRelu", "Elu", "Selu", "Gelu", "Sigmoid", "Tanh", "Softplus", "Clip", "Swish"}
_ELEMENTWISE |= {"Identity", "Add", "Sub", "Mul", "Div", "Dropout"}


@pytest.fixture(scope="module")
def cases():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their data is generated again, with overflows
        return load_model_tests(kind="node")


def array(value):
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def adapted(case):
    """The case's graph with one input, an input, and the output that it should give.

    None if the inputs are not tensors.
    """
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    inputs, outputs = case.data_sets[0]
    if not inputs or any(isinstance(value, (list, type(None))) for value in (*inputs, *outputs)):
        return None
    x, *others = map(array, inputs)
    names = [end.name for end in model.graph.input]
    for name, value in zip(names[1:], others, strict=False):
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    y = array(outputs[0])
    if x.ndim == 1 and {node.op_type for node in model.graph.node} <= _ELEMENTWISE:
        for end in (model.graph.input[0], model.graph.output[0]):
            end.type.tensor_type.shape.dim.add()
            sizes = [1, *x.shape]
            for dim, size in zip(end.type.tensor_type.shape.dim, sizes, strict=True):
                dim.dim_value = size
        x, y = x[None], y[None]
    return model, x, y


def test_node_cases(cases, tmp_path):
    computed, path = [], tmp_path / "m.onnx"
    for case in cases:
        if (graph := adapted(case)) is None:
            continue
        proto, x, y = graph
        path.write_bytes(proto.SerializeToString())
        try:
            model = fn.onnx.load(path)
        except ValueError as error:
            named = [f"operator {node.op_type}" for node in proto.graph.node]
            named += [f".{node.op_type}" for node in proto.graph.node if node.domain]
            assert any(piece in str(error) for piece in (*named, *_ENDS)), f"{case.name}: {error}"
            continue
        if not np.isfinite(x).all():  # which `predict` refuses
            continue
        taken = samples(x, model)  # a single row, if no axis is that of samples
        close = {"rtol": case.rtol, "atol": 1e-6, "err_msg": case.name}
        given = channels_first(model.predict(taken), y)
        np.testing.assert_allclose(given.reshape(y.shape), y, **close)
        computed.append(case.name)
        try:
            fn.onnx.export(model, path)
        except ValueError as error:
            assert "has no counterpart in ONNX" in str(error), case.name
            continue
        taken = taken.reshape(-1, *model.input_shape).astype(model.dtype)
        again = channels_first(run(path, taken), y)
        np.testing.assert_allclose(again.reshape(y.shape), y, **close)
    assert len(cases) > 1000
    assert len(computed) >= _LEAST, computed
