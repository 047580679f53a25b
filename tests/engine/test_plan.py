"""Where the planner puts tensors: a walk over the tables asserts that each is there when it is read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn as fn
from fastnn.compiler import loader
from fastnn.engine.network import Network
from fastnn.kernels.abi import descriptor as d
from fastnn.kernels.abi import oprow
from tests.helpers.networks import STACKS
from tests.helpers.random_stacks import LAYERS

BACKWARD = [oprow.BACKWARD_INPUT, oprow.BACKWARD_WEIGHTS]

#: What the gradient of a kernel is computed from; the elementwise ones not named here need nothing.
NEEDS_INPUT = {
    "layers.dense",
    *(f"layers.activation.{name}" for name in ("leaky_relu", "gelu", "gelu_tanh", "silu")),
}
NEEDS_OUTPUT = {
    *(
        f"layers.activation.{name}"
        for name in ("sigmoid", "tanh", "relu", "elu", "selu", "softplus", "hard_tanh")
    ),
    *(
        "layers.activation.gelu_tanh",
        "layers.activation.silu",
        "layers.softmax.softmax",
        "layers.softmax.log_softmax",
    ),
}
NEEDS_NOTHING = {
    "layers.activation.identity",
    "layers.activation.gelu",
    "layers.activation.leaky_relu",
    "layers.dense",
    "layers.dropout",
}


class Memory:
    """What lies where: places of the workspace with the name of what was last written there."""

    def __init__(self, size, unit):
        self.size, self.unit, self.content = size, unit, {}

    def write(self, offset, size, name):
        if offset < 0:
            offset, start = (offset, 0), (offset, 0)
        else:
            assert offset % self.unit == 0, f"{name} is not aligned"
            assert offset + size <= self.size, f"{name} does not fit into the workspace"
            start = (0, offset)
        end = (start[0], start[1] + size)
        for (space, other), (length, _) in list(self.content.items()):
            if space == end[0] and other < end[1] and start[1] < other + length:
                del self.content[space, other]
        self.content[start] = (size, name)

    def read(self, offset, size, name):
        place = (0, offset) if offset >= 0 else (offset, 0)
        assert self.content.get(place) == (size, name), f"{name} is not where it is read"


def kernel_names(ops, column):
    """Kernels of the op rows, by the addresses in a column; None for no entry."""
    names = {value: name for (name, _), value in loader._ADDRESSES.items()}
    return [names[int(entry)].rsplit(".", 1)[0] if entry else None for entry in ops[:, column]]


def apart(first, second, size):
    return min(first, second) < 0 or abs(first - second) >= size


def walk_forward(memory, ops, rows, training):
    for i, (op, kernel) in enumerate(zip(ops, kernel_names(ops, oprow.FORWARD), strict=True)):
        if kernel is None:  # the last activation, whose output nobody reads
            continue
        n_in, n_out, x, y = (int(op[c]) for c in (oprow.N_IN, oprow.N_OUT, oprow.X, oprow.Y))
        memory.read(x, rows * n_in, f"value {i}")
        if kernel == "layers.dense":
            assert x != y
        elif x != y:
            assert apart(x, y, rows * n_in)
        if kernel == "layers.dropout" and training:
            memory.write(int(op[oprow.SCRATCH]), rows * n_in, f"mask {i}")
        memory.write(y, rows * n_out, f"value {i + 1}")
        if kernel == "layers.dense":
            assert (x, 0) in memory.content or (0, x) in memory.content, "a dense op overwrites its input"


def walk_backward(memory, ops, rows):
    of_input = kernel_names(ops, oprow.BACKWARD_INPUT)
    of_weights = kernel_names(ops, oprow.BACKWARD_WEIGHTS)
    for i in range(len(ops) - 1, -1, -1):
        op, kernel = ops[i], of_input[i] or of_weights[i]
        if kernel is None:
            continue
        assert kernel in NEEDS_INPUT | NEEDS_OUTPUT | NEEDS_NOTHING, "not in the tables of this test"
        n_in, n_out, dx, dy = (int(op[c]) for c in (oprow.N_IN, oprow.N_OUT, oprow.DX, oprow.DY))
        memory.read(dy, rows * n_out, f"gradient {i + 1}")
        assert (of_weights[i] is not None) == (kernel == "layers.dense")
        if kernel in NEEDS_INPUT - {"layers.dense"}:
            memory.read(int(op[oprow.X]), rows * n_in, f"value {i}")
        if kernel in NEEDS_OUTPUT:
            memory.read(int(op[oprow.Y]), rows * n_out, f"value {i + 1}")
        if kernel == "layers.dropout":
            memory.read(int(op[oprow.SCRATCH]), rows * n_in, f"mask {i}")
        if kernel != "layers.dense":
            assert dx == dy  # the kernel reads and writes DX
        if dx != oprow.NONE:
            memory.write(dx, rows * n_in, f"gradient {i}")
            if kernel == "layers.dense":
                memory.read(dy, rows * n_out, f"gradient {i + 1}")
    for i, op in enumerate(ops):  # at last those of the weights, of all rows
        if of_weights[i] is not None:
            n_in, n_out = int(op[oprow.N_IN]), int(op[oprow.N_OUT])
            memory.read(int(op[oprow.X]), rows * n_in, f"value {i}")
            memory.read(int(op[oprow.DY]), rows * n_out, f"gradient {i + 1}")


def check_training(net, head=0):
    """Assert that each tensor of a training network is there when it is read.

    The loss is computed from what goes into the last `head` ops.
    """
    rows = int(net.descriptor[d.BATCH_SIZE])
    itemsize, ops = net.parameters.itemsize, net.ops
    memory = Memory(net.workspace.size, 64 // itemsize)
    n_in, n_out = int(net.descriptor[d.N_FEATURES]), int(net.descriptor[d.N_OUTPUTS])
    batch = {
        "batch y": (d.BATCH_Y, n_out),
        "batch weight": (d.BATCH_WEIGHT, n_out),
        "batch x": (d.BATCH_X, n_in),
    }
    places = {}
    for name, (slot, width) in batch.items():
        offset = int(net.descriptor[slot] - net.descriptor[d.WORKSPACE]) // itemsize
        places[name] = offset, rows * width
        memory.write(offset, rows * width, name)
    memory.write(oprow.INPUT, rows * n_in, "value 0")
    walk_forward(memory, ops, rows, training=True)
    loss, every = net.extra[0], len(ops)
    assert not ops[every - head :, BACKWARD].any()
    ops = ops[: every - head]
    memory.read(int(loss[oprow.X]), rows * n_out, f"value {len(ops)}")
    memory.write(int(loss[oprow.DX]), rows * n_out, f"gradient {len(ops)}")
    walk_backward(memory, ops, rows)
    for metric in net.extra[1:] if head else [loss]:  # they are computed last
        own = "training.metric.accuracy" in kernel_names(metric[np.newaxis], oprow.FORWARD)
        memory.read(int(metric[oprow.X]), rows * n_out, f"value {len(ops) if own or not head else every}")
    for name, (offset, size) in places.items():
        memory.read(offset, size, name)
    has_weights = ops[:, oprow.W] != oprow.NONE
    first = int(np.argmax(has_weights)) if has_weights.any() else len(ops)
    assert not ops[:first, BACKWARD].any()
    assert (ops[: first + 1, oprow.DX] == oprow.NONE).all()
    assert ((ops[:, oprow.BACKWARD_WEIGHTS] != 0) == has_weights).all()
    assert ops[first + 1 :, oprow.BACKWARD_INPUT].all() and not ops[: first + 1, oprow.BACKWARD_INPUT].any()
    assert (ops[first + 1 :, oprow.DX] != oprow.NONE).all()


def check_inference(net):
    rows = int(net.descriptor[d.BATCH_SIZE])
    memory = Memory(net.workspace.size, 64 // net.parameters.itemsize)
    n_in, n_out = int(net.descriptor[d.N_FEATURES]), int(net.descriptor[d.N_OUTPUTS])
    memory.write(oprow.INPUT, rows * n_in, "value 0")
    walk_forward(memory, net.ops, rows, training=False)
    memory.read(oprow.OUTPUT, rows * n_out, f"value {len(net.ops)}")
    assert (net.ops[:, [oprow.DX, oprow.DY]] == oprow.NONE).all() and not net.ops[:, BACKWARD].any()


def model_of(makers, n_in, dtype, **options):
    layers = makers() if callable(makers) else [make() for make in makers]
    return fn.Model(layers, loss="mse", dtype=dtype, seed=0, **options).build(n_in)


DTYPES = st.sampled_from(["float32", "float64"])


@pytest.mark.parametrize("name", STACKS)
def test_plan_of_a_stack(name):
    for n_in, rows, dtype in ((5, 3, "float64"), (33, 17, "float32"), (1, 1, "float32")):
        model = model_of(STACKS[name], n_in, dtype)
        check_training(model.executor.new_network(rows))
        check_inference(model.executor.new_predictor())


@pytest.mark.parametrize("metrics", ["auto", ["accuracy", "mse"], ["mae"]], ids=str)
def test_plan_of_a_head(metrics):
    """The loss and the accuracy read what goes into the sigmoid, other metrics what comes out."""
    for last in ([fn.Dense(3, "sigmoid")], [fn.Dense(3, "gelu"), fn.Dense(3), fn.Activation("sigmoid")]):
        model = fn.Model([fn.Dense(5, "gelu"), *last], "binary_cross_entropy", metrics=metrics, seed=0).build(
            4
        )
        net = model.executor.new_network(7)
        check_training(net, head=1)
        assert (net.ops[-1, oprow.FORWARD] != 0) == (metrics != "auto")
        check_inference(model.executor.new_predictor())


@pytest.mark.filterwarnings("ignore:the last activation does not fit the loss")
@settings(max_examples=150, deadline=None, derandomize=True)
@given(LAYERS, st.integers(1, 40), st.integers(1, 70), DTYPES)
def test_plan_of_a_random_stack(makers, n_in, rows, dtype):
    model = model_of(makers, n_in, dtype)
    check_training(model.executor.new_network(rows))
    check_inference(model.executor.new_predictor())


# What is written where, in the rows of: dense, gelu, dropout, dense, tanh. The walk must object.
WRONG_PLACES = {
    "gelu in place": (1, oprow.Y, 0, oprow.Y),
    "a dense op over its input": (3, oprow.Y, 3, oprow.X),
    "the mask over an output": (2, oprow.SCRATCH, 1, oprow.X),
    "an output over a mask": (3, oprow.Y, 2, oprow.SCRATCH),
    "a gradient over an output": (3, oprow.DX, 1, oprow.X),
    "the gradient of a dense op over itself": (3, oprow.DX, 3, oprow.DY),
    "another gradient": (3, oprow.DY, 3, oprow.DX),
    "an activation not in place": (4, oprow.DX, 3, oprow.DX),
    "a gradient beyond the first weights": (0, oprow.DX, 1, oprow.DX),
    "no gradient": (3, oprow.DX, 0, oprow.DX),
    "a gradient over one that the weights need": (3, oprow.DX, 4, oprow.DY),
}


@pytest.mark.parametrize("name", WRONG_PLACES)
def test_the_walk_finds_a_wrong_place(name):
    layers = [fn.Dense(5, "gelu"), fn.Dropout(0.5), fn.Dense(5, "tanh")]
    net = fn.Model(layers, loss="mse", seed=0).build(5).executor.new_network(7)
    check_training(net)
    row, column, other_row, other_column = WRONG_PLACES[name]
    net.ops[row, column] = net.ops[other_row, other_column]
    with pytest.raises(AssertionError):
        check_training(net)


def test_the_walk_finds_a_workspace_that_is_too_small():
    net = fn.Model([fn.Dense(5, "gelu")], loss="mse", seed=0).build(5).executor.new_network(7)
    with pytest.raises(AssertionError, match="fit"):
        check_training(Network(**net._asdict() | {"workspace": net.workspace[:-16]}))
