"""Promise 4: compiled code touches its own memory only, and reads only what was written."""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn
from fastnn.compiler import loader
from fastnn.engine import launch
from fastnn.engine.data_set import DataSet
from fastnn.memory import buffers, guard
from tests.helpers.rows import op_rows
from tests.helpers.sweeps import sampled

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NETWORKS = 60  # of the 2,000 that `make fuzz` draws


def run(*command, guarded="1"):
    environment = {**os.environ, "FASTNN_GUARD": guarded}
    return subprocess.run(
        [sys.executable, "-W", "error", *command], cwd=ROOT, env=environment, capture_output=True, text=True
    )


@pytest.fixture(autouse=True)
def guards(monkeypatch):
    monkeypatch.setattr(guard, "ON", True)
    loader.function.cache_clear()
    yield
    loader.function.cache_clear()


def test_random_networks():
    result = run("-m", "tests.guarantees.fuzz", "--count", str(NETWORKS))
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{NETWORKS} networks" in result.stdout and " 0 failed" in result.stdout


def test_the_guards_are_off_unless_asked_for():
    program = "from fastnn.memory import guard; print(guard.ON, guard.zone(4))"
    for value, expected in (("", "False 0"), ("0", "False 0"), ("1", "True 256")):
        assert run("-c", program, guarded=value).stdout.strip() == expected


# ---- a write outside is found ------------------------------------------------------------------


def model_of(act="relu", **options):
    return fn.Model([fn.Dense(5, act), fn.Dense(2)], loss="mse", seed=0, **options).build(3)


def trained(change, **options):
    """Train a model after something in its network was changed for the worse."""
    model = model_of(**options)
    net = model.executor.network("train", 7)
    change(net)
    model.fit(np.ones((7, 3)), np.ones((7, 2)), batch_size=7)


def shift(field, row, numbers):
    def change(net):
        op_rows(net.ops)[field][row] += numbers

    return change


def test_a_tensor_of_the_workspace():
    with pytest.raises(fn.errors.GuardError, match="driver.loop.train wrote .* beside workspace of"):
        trained(shift("y", 0, 1))


@pytest.mark.parametrize("act", ["relu", "sigmoid", "hard_tanh"])
def test_an_op_that_works_in_place(act):
    """Its input there is NaN, and so is its output: but of another kind."""
    with pytest.raises(fn.errors.GuardError, match="beside workspace of"):
        trained(shift("n_in", 1, 1), act=act)


def test_the_parameters():
    """The optimizer changes what lies behind the last op's parameters as well."""

    def change(net):
        op_rows(net.ops)["n_parameters"][2] += 9

    with pytest.raises(fn.errors.GuardError, match="values changed beside the parameters of 32 values of"):
        trained(change, optimizer=fn.SGD(0.1))


def test_the_gradient():
    model = model_of()
    op_rows(model.executor.network("gradient", 7).ops)["parameters"][2, 1] += 1  # that of the bias
    with pytest.raises(fn.errors.GuardError, match="beside gradients of 32 values of float32"):
        model.loss_and_gradient(np.ones((7, 3)), np.ones((7, 2)))


def test_the_output():
    model, x = model_of(), np.ones((7, 3), np.float32)
    net, out = model.executor.new_predictor(), buffers.empty((6, 2), "float32", "the output")
    with pytest.raises(fn.errors.GuardError, match="driver.loop.predict .* 2 values changed beside the out"):
        launch.predict(net, x, out)
    launch.predict(net, x[:6], out)
    assert np.array_equal(out, model.predict(x[:6]))


def test_more_rows_than_the_workspace_is_for():
    model = model_of()
    net, x = model.executor.new_predictor(), np.ones((2000, 3), np.float32)
    net.fields.predict_batch = 1100  # of 1024
    with pytest.raises(fn.errors.GuardError, match="beside workspace"):
        launch.predict(net, x, buffers.empty((2000, 2), "float32", "the output"))


def test_the_history():
    model, X, y = model_of(metrics=["mae"]), np.ones((7, 3), np.float32), np.ones((7, 2), np.float32)
    net, figures = model.executor.network("evaluate", 7), buffers.allocate(2, "float64", "figures")
    launch.set_data(net, DataSet(X, y, None))
    net.fields.history, net.fields.history_width = buffers.address(figures) + 8, 2
    with pytest.raises(fn.errors.GuardError, match="1 values changed beside figures of 2 values"):
        launch.run("evaluate", net)


def test_the_order_of_the_samples():
    net = model_of().executor.network("train", 7)
    order = buffers.allocate(50, "int64", "the order of the samples")
    net.fields.order, net.fields.n_samples = buffers.address(order), 51
    with pytest.raises(fn.errors.GuardError, match="math.random.shuffle .* beside the order"):
        launch.draw_order(net)


def test_a_read_of_what_was_not_written():
    """The workspace begins as NaN, and the zones are: here the second product's input."""
    with pytest.raises(fn.DivergenceError):
        trained(shift("x", 2, 8))


def test_an_error_is_reported_once():
    model, x = model_of(), np.ones((7, 3), np.float32)
    out = buffers.empty((6, 2), "float32", "the output")
    with pytest.raises(fn.errors.GuardError):
        launch.predict(model.executor.new_predictor(), x, out)
    model.predict(x)


BEYOND_A_FENCE = """
import numpy as np, fastnn as fn
from fastnn.engine import launch
from numpy.lib.stride_tricks import as_strided
from tests.helpers.guard_pages import copy_of, empty, fences
from tests.helpers.rows import op_rows
with fences():
    model = fn.Model([fn.Dense({n_out})], seed=0).build(3)
    net, x = model.executor.new_predictor(), copy_of(np.ones((7, 3), np.float32))
    out = empty((7, {n_out}), "float32", "")
    launch.predict(net, x, out)
    print("inside", flush=True)
    {fault}
    launch.predict(net, x, out)
print("outside", flush=True)
"""


FAULTS = {
    "nothing": "pass",
    "a bias is read": 'op_rows(net.ops)["parameters"][0, 1] += 1',
    "a sample is read": "x = as_strided(x, (8, 3)); out = np.empty((8, {n_out}), np.float32)",
    "an output is written": "out = out[1:]",
}


@pytest.mark.skipif(not hasattr(signal, "SIGSEGV") or sys.platform == "win32", reason="needs mprotect")
@pytest.mark.parametrize(("n_out", "name"), sampled(itertools.product([1, 5, 40], FAULTS), every=3))
def test_a_fence(name, n_out):
    fault = FAULTS[name].format(n_out=n_out)
    result = run("-c", BEYOND_A_FENCE.format(n_out=n_out, fault=fault), guarded="0")
    expected = (0, "inside\noutside\n") if name == "nothing" else (-signal.SIGSEGV, "inside\n")
    assert (result.returncode, result.stdout) == expected, result.stderr
