"""A user's functions that Numba keeps on disk: the next process loads them, unless the kernels changed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit, typeof

import fastnn as fn
from fastnn.compiler import cache_key

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
import numpy as np
from numba import njit
import fastnn as fn

@njit(cache=True)
def learn(net, state, X, y, out):
    for i in range(X.shape[0]):
        fn.train_step(net, state, X[i : i + 1], y[i : i + 1])
        if fn.forward_checked(net, X[i], out[i]) != fn.Status.OK:
            return np.nan
    return out.sum()

layers = [fn.Dense(int(sys.argv[1]), "tanh"), fn.Dense(1)]
model = fn.Model(layers, "mse", fn.SGD(0.1), seed=0).build(2)
X, y = np.ones((5, 2), np.float32), np.ones((5, 1), np.float32)
total = learn(model.network(), model.optimizer_state(), X, y, np.empty((5, 1), np.float32))
print(sum(learn.stats.cache_hits.values()), sum(learn.stats.cache_misses.values()), total)
"""


def test_the_second_process_loads_it(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")

    def run(units):
        done = subprocess.run(
            [sys.executable, "-W", "error", program, str(units)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path / "numba")},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        hits, misses, total = done.stdout.split()
        return int(hits), int(misses), total

    hits, misses, total = run(4)
    assert (hits, misses) == (0, 1)
    assert run(4) == (1, 0, total)
    # Another network is other data: the same machine code.
    hits, misses, other = run(9)
    assert (hits, misses) == (1, 0) and other != total


def test_other_kernels_make_another_type():
    """Numba sees a change of the user's own file only; but it looks for code by the arguments' types."""
    net = fn.Model([fn.Dense(1)]).build(2).network()
    assert net.version.dtype.names == (f"kernels_{cache_key.key()}",)
    other = fn.Network(**net._asdict() | {"version": np.zeros(0, [("kernels_other", np.int8)])})
    assert typeof(other) != typeof(net) == typeof(fn.Model([fn.Dense(5)]).build(3).network())


@njit
def calls(net, state, x, y, out, jac):
    """The functions of a training loop, one after the other; the same with a loss of the caller's own."""
    fn.forward(net, x, out)
    fn.jacobian(net, x, jac)
    loss = fn.train_step(net, state, x, y) + fn.loss_and_gradient(net, x, y)
    fn.forward_train(net, state, x, out)
    fn.backward(net, x, out)
    return loss, fn.apply_gradient(net, state)


def test_a_caller_counts_no_references():
    """Numba would count those to each array of the network, which can take longer than a call."""
    model = fn.Model([fn.Dense(3, "tanh"), fn.Dense(2)], "mse", seed=0).build(2)
    x, y, out = (np.ones((4, 2), np.float32) for _ in range(3))
    calls(model.network(), model.optimizer_state(), x, y, out, np.empty((4, 2, 2), np.float32))
    (signature,) = calls.signatures
    assert not re.findall(r"call.*@NRT_incref", calls.inspect_llvm(signature))
