"""Where the planner puts tensors: a walk over the tables asserts that each is there when it is read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn as fn
from fastnn.compiler import loader
from fastnn.engine.network import Network
from fastnn.kernels.abi import oprow
from tests.helpers.networks import STACKS
from tests.helpers.random_stacks import LAYERS
from tests.helpers.rows import op_rows

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


def kernel_names(entries):
    """Kernels by the addresses of entries; None for no entry."""
    names = {value: name for (name, _), value in loader._ADDRESSES.items()}
    return [names[int(entry)].rsplit(".", 1)[0] if entry else None for entry in entries]


def has_gradients(ops):
    return ops["backward_input"].any() or ops["backward_weights"].any()


def apart(first, second, size):
    return min(first, second) < 0 or abs(first - second) >= size


def walk_forward(memory, ops, rows, training):
    for i, (op, kernel) in enumerate(zip(ops, kernel_names(ops["forward"]), strict=True)):
        if kernel is None:  # the last activation, whose output nobody reads
            continue
        n_in, n_out, x, y = (int(op[c]) for c in ("n_in", "n_out", "x", "y"))
        memory.read(x, rows * n_in, f"value {i}")
        if kernel == "layers.dense":
            assert x != y
        elif x != y:
            assert apart(x, y, rows * n_in)
        if kernel == "layers.dropout" and training:
            memory.write(int(op["scratch"]), rows * n_in, f"mask {i}")
        memory.write(y, rows * n_out, f"value {i + 1}")
        if kernel == "layers.dense":
            assert (x, 0) in memory.content or (0, x) in memory.content, "a dense op overwrites its input"


def walk_backward(memory, ops, rows):
    of_input = kernel_names(ops["backward_input"])
    of_weights = kernel_names(ops["backward_weights"])
    for i in range(len(ops) - 1, -1, -1):
        op, kernel = ops[i], of_input[i] or of_weights[i]
        if kernel is None:
            continue
        assert kernel in NEEDS_INPUT | NEEDS_OUTPUT | NEEDS_NOTHING, "not in the tables of this test"
        n_in, n_out, dx, dy = (int(op[c]) for c in ("n_in", "n_out", "dx", "dy"))
        memory.read(dy, rows * n_out, f"gradient {i + 1}")
        assert (of_weights[i] is not None) == (kernel == "layers.dense")
        if kernel in NEEDS_INPUT - {"layers.dense"}:
            memory.read(int(op["x"]), rows * n_in, f"value {i}")
        if kernel in NEEDS_OUTPUT:
            memory.read(int(op["y"]), rows * n_out, f"value {i + 1}")
        if kernel == "layers.dropout":
            memory.read(int(op["scratch"]), rows * n_in, f"mask {i}")
        if kernel != "layers.dense":
            assert dx == dy  # the kernel reads and writes DX
        if dx != oprow.NONE:
            memory.write(dx, rows * n_in, f"gradient {i}")
            if kernel == "layers.dense":
                memory.read(dy, rows * n_out, f"gradient {i + 1}")
    for i, op in enumerate(ops):  # at last those of the weights, of all rows
        if of_weights[i] is not None:
            n_in, n_out = int(op["n_in"]), int(op["n_out"])
            memory.read(int(op["x"]), rows * n_in, f"value {i}")
            memory.read(int(op["dy"]), rows * n_out, f"gradient {i + 1}")


def check_training(net, head=0):
    """Assert that each tensor of a training network is there when it is read.

    The loss is computed from what goes into the last `head` ops.
    """
    rows = net.fields.batch_size
    itemsize, ops = net.parameters.itemsize, op_rows(net.ops)
    memory = Memory(net.workspace.size, 64 // itemsize)
    n_in, n_out = net.fields.n_features, net.fields.n_outputs
    batch = {
        "batch y": ("batch_y", n_out),
        "batch weight": ("batch_weight", n_out),
        "batch x": ("batch_x", n_in),
    }
    places = {}
    for name, (field, width) in batch.items():
        offset = (getattr(net.fields, field) - net.fields.workspace) // itemsize
        places[name] = offset, rows * width
        memory.write(offset, rows * width, name)
    memory.write(oprow.INPUT, rows * n_in, "value 0")
    walk_forward(memory, ops, rows, training=True)
    loss, every = net.extra.view(oprow.LOSS)[0, 0], len(ops)
    assert not has_gradients(ops[every - head :])
    ops = ops[: every - head]
    memory.read(int(loss["prediction"]), rows * n_out, f"value {len(ops)}")
    memory.write(int(loss["gradient"]), rows * n_out, f"gradient {len(ops)}")
    walk_backward(memory, ops, rows)
    for metric in net.extra[1:].view(oprow.METRIC)[:, 0] if head else [loss]:  # they are computed last
        own = "training.metric.accuracy" in kernel_names([metric["forward"]])
        memory.read(
            int(metric["prediction"]), rows * n_out, f"value {len(ops) if own or not head else every}"
        )
    for name, (offset, size) in places.items():
        memory.read(offset, size, name)
    has_weights = ops["parameters"][:, 0] != oprow.NONE
    first = int(np.argmax(has_weights)) if has_weights.any() else len(ops)
    assert not has_gradients(ops[:first])
    assert (ops["dx"][: first + 1] == oprow.NONE).all()
    assert ((ops["backward_weights"] != 0) == has_weights).all()
    assert ops["backward_input"][first + 1 :].all() and not ops["backward_input"][: first + 1].any()
    assert (ops["dx"][first + 1 :] != oprow.NONE).all()


def check_inference(net):
    rows = net.fields.batch_size
    memory = Memory(net.workspace.size, 64 // net.parameters.itemsize)
    n_in, n_out = net.fields.n_features, net.fields.n_outputs
    memory.write(oprow.INPUT, rows * n_in, "value 0")
    ops = op_rows(net.ops)
    walk_forward(memory, ops, rows, training=False)
    memory.read(oprow.OUTPUT, rows * n_out, f"value {len(ops)}")
    assert (ops["dx"] == oprow.NONE).all() and (ops["dy"] == oprow.NONE).all() and not has_gradients(ops)


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
        assert (op_rows(net.ops)["forward"][-1] != 0) == (metrics != "auto")
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
    "gelu in place": (1, "y", 0, "y"),
    "a dense op over its input": (3, "y", 3, "x"),
    "the mask over an output": (2, "scratch", 1, "x"),
    "an output over a mask": (3, "y", 2, "scratch"),
    "a gradient over an output": (3, "dx", 1, "x"),
    "the gradient of a dense op over itself": (3, "dx", 3, "dy"),
    "another gradient": (3, "dy", 3, "dx"),
    "an activation not in place": (4, "dx", 3, "dx"),
    "a gradient beyond the first weights": (0, "dx", 1, "dx"),
    "no gradient": (3, "dx", 0, "dx"),
    "a gradient over one that the weights need": (3, "dx", 4, "dy"),
}


@pytest.mark.parametrize("name", WRONG_PLACES)
def test_the_walk_finds_a_wrong_place(name):
    layers = [fn.Dense(5, "gelu"), fn.Dropout(0.5), fn.Dense(5, "tanh")]
    net = fn.Model(layers, loss="mse", seed=0).build(5).executor.new_network(7)
    check_training(net)
    row, column, other_row, other_column = WRONG_PLACES[name]
    ops = op_rows(net.ops)
    ops[column][row] = ops[other_column][other_row]
    with pytest.raises(AssertionError):
        check_training(net)


def test_the_walk_finds_a_workspace_that_is_too_small():
    net = fn.Model([fn.Dense(5, "gelu")], loss="mse", seed=0).build(5).executor.new_network(7)
    with pytest.raises(AssertionError, match="fit"):
        check_training(Network(**net._asdict() | {"workspace": net.workspace[:-16]}))
