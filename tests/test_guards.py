"""Compiled code writes to its own memory only, and reads only what was written: all buffers lie amid NaN."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn as fn
from fastnn import model as models
from fastnn import network
from fastnn.buffers import address
from fastnn.kernels import descriptor as d
from fastnn.kernels import oprow
from fastnn.state import State
from tests.test_gradients import LAYERS

DTYPES = st.sampled_from(["float32", "float64"])

MARGIN = 512  # numbers, more than any vector register and any cache line


def model_of(makers, n_in, dtype, **options):
    return fn.Model([make() for make in makers], loss="mse", dtype=dtype, seed=0, **options).build(n_in)


class Guarded:
    """An array amid NaN, itself NaN unless it is given values."""

    def __init__(self, shape, dtype):
        size = int(np.prod(shape))
        self.memory = np.full(size + 2 * MARGIN, np.nan, dtype)
        self.inside = self.memory[MARGIN : MARGIN + size].reshape(shape)
        self.before = self.memory.view(np.uint8).copy()

    @staticmethod
    def of(values):
        guarded = Guarded(values.shape, values.dtype)
        guarded.inside[...] = values
        return guarded

    def check(self):
        margin = MARGIN * self.memory.itemsize
        after = self.memory.view(np.uint8)
        assert np.array_equal(after[:margin], self.before[:margin])
        assert np.array_equal(after[-margin:], self.before[-margin:])


def guard(model, rows):
    """Put all that a training writes to amid NaN."""
    state = model.state
    vectors = model.optimizer.state_vectors() * state.parameters.size
    guards = {
        "parameters": Guarded.of(state.parameters),
        "optimizer": Guarded.of(np.zeros(vectors, model.dtype)),
    }
    model._state = State(
        guards["parameters"].inside, guards["optimizer"].inside, state.constants, state.seed
    )
    net = model._network("train", rows)
    guards["gradients"] = Guarded(net.gradients.shape, model.dtype)
    guards["sums"] = Guarded.of(net.sums)
    # Each shard's memory amid NaN, not only all of them
    for s, shard in enumerate(net.shards):
        guards[s] = Guarded(net.workspace[s].shape, model.dtype)
        shift = address(guards[s].inside) - shard[d.WORKSPACE]
        shard[[d.WORKSPACE, d.BATCH_X, d.BATCH_Y, d.BATCH_WEIGHT]] += shift
        shard[d.SHARD_GRADIENT] = address(guards["gradients"].inside[s])
    net.descriptor[d.GRADIENT] = address(guards["gradients"].inside)
    shift = address(guards["sums"].inside) - address(net.sums)
    net.descriptor[[d.BLOCK_SQUARES, d.METRIC_STATE]] += shift
    return guards


OPTIMIZERS = st.sampled_from(
    [
        lambda: fn.SGD(0.01, momentum=0.9, global_clipnorm=1.0),
        lambda: fn.RMSprop(momentum=0.5),
        fn.Adagrad,
        lambda: fn.AdamW(global_clipnorm=0.5, clipvalue=0.1),
    ]
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    LAYERS, st.integers(1, 40), st.integers(1, 35), st.integers(0, 70), st.integers(1, 5), OPTIMIZERS, DTYPES
)
def test_training_writes_only_to_its_own_memory(makers, n_in, batch, more, n_shards, optimizer, dtype):
    """And reads nothing that was not written: the numbers would be NaN, and not those of a usual fit."""
    results = []
    rng = np.random.default_rng(0)
    for guarded in (False, True):
        model = model_of(makers, n_in, dtype, optimizer=optimizer(), metrics=["mse", "mae", "r2"])
        if not results:
            arrays = [rng.normal(size=(batch + more, w)).astype(dtype) for w in (n_in, model.n_out)]
            arrays.append(rng.uniform(0.5, 2, batch + more).astype(dtype))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(models, "shards", lambda rows, n_parameters: n_shards)
            guards = guard(model, batch) if guarded else {}
            data = [Guarded.of(values) for values in arrays]
            X, y, weight = (values.inside for values in data)
            history = model.fit(X, y, sample_weight=weight, epochs=2, batch_size=batch, threads=2)
        results.append((model.parameters.tobytes(), repr(history.history)))
        for memory in [*guards.values(), *data]:
            memory.check()
    assert results[0] == results[1]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(LAYERS, st.integers(1, 40), st.sampled_from([1, 2, 15, 16, 17, 33, 50]), DTYPES)
def test_prediction_writes_only_to_its_own_memory(makers, n_in, n, dtype):
    model = model_of(makers, n_in, dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "_CHUNK", 16)
        net = model._predictor()
        X = Guarded.of(np.random.default_rng(0).normal(size=(n, n_in)).astype(dtype))
        expected = model.predict(X.inside)
    workspace, out = Guarded(net.workspace.shape, dtype), Guarded((n, model.n_out), dtype)
    net.descriptor[d.WORKSPACE] = address(workspace.inside)
    network.predict(net, X.inside, out.inside)
    assert out.inside.tobytes() == expected.tobytes()
    for memory in (X, workspace, out):
        memory.check()


def test_a_write_outside_is_found():
    model = fn.Model([fn.Dense(5)], loss="mse", seed=0).build(3)
    guards = guard(model, 7)
    _, net = model._networks["train"]
    net.ops[0, oprow.Y] = net.extra[0, oprow.X] = net.workspace.shape[1] - 16  # for 35 numbers
    model.fit(np.ones((7, 3)), np.ones((7, 5)), batch_size=7)
    with pytest.raises(AssertionError):
        guards[0].check()
