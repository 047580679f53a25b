"""Networks inside compiled code: predictions, what threads and clones share, and what is refused."""

import numpy as np
import pytest
from numba import njit, prange
from numba.core.errors import TypingError
from numba.typed import List

import fastnn as fn
from fastnn.compiler import loader
from fastnn.engine import launch
from fastnn.engine.threads import run_together
from tests.helpers.compiled import DTYPES, STACKS, built, data

pytestmark = pytest.mark.slow  # Numba compiles


@njit
def run(net, X, out):
    for i in range(X.shape[0]):
        fn.forward(net, X[i], out[i])


# ---- Forward -------------------------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("stack", STACKS)
def test_forward_is_predict(stack, dtype):
    model = built(stack, dtype=dtype)
    X, _ = data(600, dtype)
    expected = model.predict(X)
    for net in (model.network(), model.network(1), model.network(1000)):
        single, batch = np.empty_like(expected), np.empty_like(expected)
        run(net, X, single)
        fn.forward(net, X, batch)
        assert np.array_equal(single, expected)
        assert np.array_equal(batch, expected)


def test_no_samples():
    net = built().network()
    empty = np.empty((0, 5))
    fn.forward(net, empty, np.empty((0, 3)))
    fn.jacobian(net, empty, np.empty((0, 3, 5)))
    fn.parameter_jacobian(net, empty, np.empty((0, net.parameters.size)))
    fn.input_gradient(net, empty, np.empty((0, 3)), empty)


def test_model_calls_the_same_entries(monkeypatch):
    """One path: what a user's compiled code calls by its address, `Model` calls through ctypes."""
    model, called, function = built(), [], loader.function

    def noted(name, *arguments, **options):
        called.append(name)
        return function(name, *arguments, **options)

    monkeypatch.setattr(loader, "function", noted)
    X, y = data(4, "float64")
    net, jac = model.network(4), np.empty((12, model.parameters.size))
    for call, field in (
        (lambda: model.predict(X), "predict"),
        (lambda: model.loss_and_gradient(X, y), "loss_and_gradient"),
        (lambda: model.partial_fit(X, y), "train"),
        (lambda: launch.derivatives("parameter_jacobian", net, X, jac), "parameter_jacobian"),
    ):
        called.clear()
        call()
        entries = [name for name in called if name.startswith(("driver.loop.", "embedded.jacobian."))]
        assert {loader.address(name, "float64") for name in entries} == {getattr(net.fields, field)}


# ---- Threads -------------------------------------------------------------------------------------------


@njit(parallel=True)
def run_in_parallel(nets, X, out):
    n = len(nets)
    for t in prange(n):
        net = nets[np.int64(t)]
        for i in range(t, X.shape[0], n):
            fn.forward(net, X[i], out[i])


def test_prange():
    model = built(dtype="float32")
    X, _ = data(5000, "float32")
    net, out = model.network(1), np.empty((5000, 3), np.float32)
    run_in_parallel(List([net, *(fn.clone_workspace(net) for _ in range(3))]), X, out)
    assert np.array_equal(out, model.predict(X))


@njit(nogil=True)
def gradients(net, X, y, total):
    for start in range(0, X.shape[0], 8):
        fn.loss_and_gradient(net, X[start : start + 8], y[start : start + 8])
        total += net.gradient


def test_clones_in_python_threads():
    model = built("dropout", dtype="float32")
    X, y = data(4000, "float32")
    net = model.network(8)
    nets = [net, *(fn.clone_workspace(net) for _ in range(3))]
    totals = np.zeros((4, model.parameters.size), np.float32)
    expected = np.zeros_like(totals[0])
    gradients(net, X, y, expected)
    run_together([lambda i=i: gradients(nets[i], X, y, totals[i]) for i in range(4)])
    assert all(np.array_equal(total, expected) for total in totals)


def test_a_clone_shares_weights_only():
    model = built("dropout", optimizer=fn.SGD(0.1, momentum=0.9))
    X, y = data(4, "float64")
    net = model.network(4)
    clone = fn.clone_workspace(fn.clone_workspace(net))
    del net
    twin = built("dropout", optimizer=fn.SGD(0.1, momentum=0.9))
    assert fn.train_step(clone, model.optimizer_state(), X, y) == clone.loss[0]
    twin.partial_fit(X, y)
    assert np.array_equal(model.parameters, twin.parameters) and clone.parameters is model.parameters
    with pytest.raises(TypeError, match="must be a Network"):
        fn.clone_workspace(model)


# ---- Bad input -----------------------------------------------------------------------------------------


def test_a_model_that_is_not_built_has_no_network():
    model = fn.Model([fn.Dense(2)])
    for ask in (model.network, model.optimizer_state):
        with pytest.raises(ValueError, match="not built"):
            ask()


@pytest.mark.parametrize("max_batch", [0, -1, 2.5, "8", None, True])
def test_max_batch(max_batch):
    with pytest.raises((TypeError, ValueError), match=f"max_batch must be .* got {max_batch!r}"):
        built().network(max_batch=max_batch)


@pytest.mark.parametrize(
    "x",
    [np.ones(5), np.ones(5, int), np.ones((4, 5), np.float32, order="F"), np.ones(10, np.float32)[::2], 1.0],
    ids=["float64", "int", "F order", "strided", "number"],
)
def test_types_are_refused_when_compiled(x):
    net = built(dtype="float32").network()
    with pytest.raises(TypingError, match="arrays must be of the network's dtype, float32, and in C order"):
        fn.forward(net, x, np.empty(3, np.float32))
    with pytest.raises(TypingError, match="the first argument must be a Network"):
        fn.forward(net.parameters, np.ones(5, np.float32), np.empty(3, np.float32))


def read_only(x):
    x.setflags(write=False)
    return x


def test_what_is_written_must_not_be_read_only():
    net = built(dtype="float32").network()
    x, out = read_only(np.ones(5, np.float32)), np.empty(3, np.float32)
    fn.forward(net, x, out)
    with pytest.raises(TypingError, match="an array that is written must not be read-only"):
        fn.forward(net, x, read_only(out))


def test_samples_of_more_axes():
    model = built(dtype="float32")
    x, out = (
        np.random.default_rng(0).normal(size=(2, 3, 5)).astype("float32"),
        np.empty((2, 3, 3), np.float32),
    )
    fn.forward(model.network(), x, out)
    assert np.array_equal(out.reshape(6, 3), model.predict(x.reshape(6, 5)))
