"""An op that couples the rows of a batch: threads wait for each other where it does."""

import copy
from collections import namedtuple

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
from fastnn.compiler import loader
from fastnn.engine import builder, launch
from fastnn.engine.data_set import DataSet
from fastnn.engine.threads import Parts
from fastnn.kernels.abi.entries import entry
from fastnn.kernels.abi.oprow import OP
from fastnn.kernels.abi.tensors import row_address, tensor
from fastnn.kernels.driver.team import wait_for_team
from fastnn.kernels.lowlevel._jit import kernel
from fastnn.kernels.lowlevel.simd import view
from fastnn.layers.base import Layer
from tests.helpers.reference import central_difference


@kernel
def centre(x, first, y):
    """Write ``y``, the rows of `x` from `first` on less the mean of all rows of `x`."""
    for j in range(x.shape[1]):
        total = 0.0
        for i in range(x.shape[0]):
            total += x[i, j]
        mean = x.dtype.type(total / x.shape[0])
        for i in range(y.shape[0]):
            y[i, j] = x[first + i, j] - mean


@entry(OP)
def forward_entry(op, net, T):
    """``y``, x less its mean over the batch, all rows of which are read.

    It waits for them, and then for all threads to have read them.
    """
    wait_for_team(net)
    x = view(row_address(net, op.x, 0, op.n_in, T), (net.batch_rows, op.n_in), T)
    centre(x, net.first_row, tensor(net, op.y, op.n_in, T))
    wait_for_team(net)


@entry(OP)
def backward_input_entry(op, net, T):
    """The same of `dy`: the derivative of x - mean(x) is its own transpose."""
    wait_for_team(net)
    dy = view(row_address(net, op.dy, 0, op.n_in, T), (net.batch_rows, op.n_in), T)
    centre(dy, net.first_row, tensor(net, op.dx, op.n_in, T))
    wait_for_team(net)


ENTRIES = namedtuple("Entries", "forward_entry backward_input_entry")(forward_entry, backward_input_entry)


class Centred(Layer):
    """``y = x - mean of the batch``."""

    kind = "centred"

    def output_shape(self, *inputs):
        return inputs[0]

    def lower(self, graph, *inputs):
        return graph.op("custom.centred", inputs, inputs[0].shape, couples=True)

    def __repr__(self):
        return "Centred()"


@pytest.fixture(scope="module", autouse=True)
def registered():
    loader.register("custom.centred", lambda dtype: ENTRIES)


def model_of(dtype="float64", **options):
    layers = [fn.Dense(48, "tanh"), Centred(), fn.Dense(40, "gelu"), Centred(), fn.Dense(3)]
    return fn.Model(layers, "mse", fn.Adam(0.01, **options), dtype=dtype, seed=0).build(5)


RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(400, 5)), RNG.normal(size=(400, 3))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [2, 3, 5])
def test_the_same_bits_at_any_number_of_threads(threads, dtype):
    """The last batch of an epoch has fewer parts than there are threads."""
    alone, team = model_of(dtype), model_of(dtype, global_clipnorm=None)
    for model, count in ((alone, 1), (team, threads)):
        model.fit(X, Y, epochs=8, batch_size=190, threads=count, verbose=0)
        assert model.executor.network("train", 190).fields.coupled == 1
    assert alone.parameters.tobytes() == team.parameters.tobytes()
    assert alone.history.history == team.history.history


def test_the_gradient_is_that_of_central_differences():
    model = model_of()
    start = model.parameters.copy()
    _, gradient = model.loss_and_gradient(X[:40], Y[:40])

    def loss_at(parameters):
        model.parameters[...] = parameters
        return model.loss_and_gradient(X[:40], Y[:40])[0]

    assert_allclose(gradient, central_difference(loss_at, start), rtol=1e-6, atol=1e-9)


def test_parts_of_a_long_batch_have_gradients_of_their_own(monkeypatch):
    """Their sum is the gradient, though the parts go through the ops together."""
    expected = model_of().loss_and_gradient(X, Y)[1].copy()
    monkeypatch.setattr(builder, "parts", lambda *_: Parts(4, True))
    assert_allclose(model_of().loss_and_gradient(X, Y)[1], expected, rtol=1e-12, atol=1e-15)


def images_model(dtype, first):
    """The gradients of convolutions are computed of each part by itself."""
    layers = [first, fn.Conv2D(6, 3), fn.BatchNormalization(), fn.Activation("relu"), fn.Conv2D(5, 3)]
    layers += [fn.BatchNormalization(scale=False), fn.Flatten(), fn.Dense(2)]
    return fn.Model(layers, "mse", fn.Adam(0.01), dtype=dtype, seed=0).build((8, 8, 2))


IMAGES, TARGETS = RNG.normal(size=(100, 8, 8, 2)), RNG.normal(size=(100, 2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("first", [fn.Activation("tanh"), fn.BatchNormalization()], ids=["", "coupled first"])
def test_the_same_bits_of_convolutions_at_any_number_of_threads(first, dtype):
    """The last batch of an epoch has fewer parts than there are threads."""
    X, y = IMAGES.astype(dtype), TARGETS.astype(dtype)
    models = [images_model(dtype, copy.copy(first)) for _ in range(4)]
    for model, threads in zip(models, (1, 2, 3, 5), strict=True):
        model.fit(X, y, epochs=3, batch_size=80, threads=threads, verbose=0)
        fields = model.executor.network("train", 80).fields
        assert (fields.coupled, fields.part_gradients, fields.n_parts) == (1, 1, 4)
        assert model.parameters.tobytes() == models[0].parameters.tobytes()


@pytest.mark.parametrize("first", [fn.Activation("tanh"), fn.BatchNormalization()], ids=["", "coupled first"])
def test_the_gradient_of_convolutions_is_that_of_the_whole_batch(first, monkeypatch):
    model, whole = (images_model("float64", copy.copy(first)) for _ in range(2))
    gradient = model.loss_and_gradient(IMAGES, TARGETS)[1].copy()
    assert model.executor.network("gradient", 100).fields.part_gradients == 1
    monkeypatch.setattr(builder, "parts", lambda *_: Parts(1, False))
    assert_allclose(gradient, whole.loss_and_gradient(IMAGES, TARGETS)[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("layers, waits", [([], 1), ([Centred()], 1 + 4), ([Centred(), Centred()], 1 + 8)])
def test_threads_wait_only_where_the_op_waits(layers, waits):
    """The counter of arrivals, two a barrier; one barrier stands between the rows and the weights."""
    layers = [fn.Dense(60), *map(copy.copy, layers), fn.Dense(60), fn.Dense(3)]
    net = fn.Model(layers, "mse", seed=0).build(5).executor.network("gradient", 190)
    launch.set_data(net, DataSet(X[:190].astype("float32"), Y[:190].astype("float32"), None))
    launch.run("gradient", net, 2)
    assert net.team[0] == 2 * waits
