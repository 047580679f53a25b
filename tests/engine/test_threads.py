"""A team of threads: how many there are, and the same bits at any number of them."""

import copy
import functools
import hashlib
import os
import time

import numpy as np
import pytest
from numba import njit

import fastnn as fn
from fastnn.engine import threads
from fastnn.kernels.abi.descriptor import DESCRIPTOR
from fastnn.kernels.abi.oprow import OP
from fastnn.kernels.driver.update import compute_gradient
from fastnn.kernels.lowlevel.simd import record, view

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(300, 31)), RNG.integers(0, 7, 300)
VALUES, WEIGHT = RNG.normal(size=(300, 7)), RNG.uniform(0, 2, 300)

OPTIMIZERS = {
    "SGD": lambda **settings: fn.SGD(0.05, **settings),
    "momentum": lambda **settings: fn.SGD(0.05, momentum=0.9, nesterov=True, **settings),
    "RMSprop": lambda **settings: fn.RMSprop(momentum=0.5, **settings),
    "Adagrad": fn.Adagrad,
    "Adam": fn.Adam,
    "AdamW": fn.AdamW,
}


@pytest.fixture(autouse=True)
def any_number_of_threads():
    yield
    fn.set_threads(None)


def model_of(optimizer="adam", loss="cross_entropy", dtype="float32", dropout=0.2, **options):
    layers = [
        fn.Dense(67, "gelu", l1=1e-4, l2=1e-3),
        fn.Dropout(dropout),
        fn.Dense(43, "softmax"),
        fn.Dense(7),
    ]
    return fn.Model(layers, loss=loss, optimizer=optimizer, dtype=dtype, seed=1, **options).build(31)


@njit
def share_of(net_address, thread):
    net = record(net_address, DESCRIPTOR)
    compute_gradient(net, thread, view(net.gradient, 0, np.int64), False)


def parts_of(rows, n_parameters):
    """The parts where each parameter is used once a row."""
    return threads.parts(rows, n_parameters, n_parameters)


def digest(model, history):
    content = [model.parameters.tobytes(), model.state.optimizer.tobytes(), repr(history.history).encode()]
    return hashlib.sha256(b"".join(content)).hexdigest()


def digests(make, *data, counts=(1, 2, 4, 8), **options):
    """What fits come to that differ in the number of threads only."""
    found = []
    for count in counts:
        fn.set_threads(count)  # for the validation, too
        model = make()
        found.append(digest(model, model.fit(*data, threads=count, **options)))
    return set(found)


# ---- the same bits -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_give_the_same_bits(name, clip, dtype):
    """With dropout, shuffling, weights, penalties, and a last batch of fewer rows than parts."""
    rows = 2 * 128 + 3
    assert parts_of(128, model_of().parameters.size) == (8, False)
    make = functools.partial(model_of, OPTIMIZERS[name](global_clipnorm=clip), dtype=dtype)
    options = {"epochs": 2, "batch_size": 128, "sample_weight": WEIGHT[:rows]}
    found = digests(make, X[:rows], LABELS[:rows], **options)
    assert len(found) == 1
    other = make()
    assert digest(other, other.fit(X[1 : rows + 1], LABELS[:rows], **options)) not in found


@pytest.mark.parametrize("rest", [1, 2, 3, 5, 31, 127])
def test_last_batches_of_any_size_give_the_same_bits(rest):
    rows = 128 + rest
    make = functools.partial(model_of, "sgd", "mse", metrics=["mae", "mse", "r2", "accuracy"])
    assert len(digests(make, X[:rows], VALUES[:rows], epochs=2, batch_size=128)) == 1


FITS = {
    "full batch": {"batch_size": None},
    "in order": {"batch_size": 130, "shuffle": False},
    "validation": {"batch_size": 128, "validation_data": (np.tile(X, (20, 1)), np.tile(VALUES, (20, 1)))},
    "validation split": {"batch_size": 100, "validation_split": 0.3},
    "callback": {"batch_size": 128, "callbacks": [lambda epoch, logs: None]},
}


@pytest.mark.parametrize("loss", ["mse", "sse", "huber"])
@pytest.mark.parametrize("name", FITS)
def test_kinds_of_fits_give_the_same_bits(name, loss):
    make = functools.partial(model_of, fn.SGD(1e-4, clipvalue=0.01), loss, metrics=["r2"])
    assert len(digests(make, X, VALUES, epochs=2, **FITS[name])) == 1


def test_many_parts_with_gradients_give_the_same_bits():
    x, y = np.tile(X[:, :8], (200, 1)), np.tile(VALUES[:, :1], (200, 1))

    def make():
        return fn.Model([fn.Dense(5, "tanh"), fn.Dense(1)], loss="mse", metrics=["r2"], seed=0).build(8)

    assert parts_of(30000, make().parameters.size) == (28, True)
    assert len(digests(make, x, y, counts=(1, 2, 3, 5, 7, 8, 20), epochs=2, batch_size=30000)) == 1


@pytest.mark.parametrize("rows", [129, 300, 6000, 6007])
def test_calls_other_than_fit_give_the_same_bits(rows):
    model = model_of(metrics=["accuracy"])
    x, y, weight = np.resize(X, (rows, 31)), np.resize(LABELS, rows), np.resize(WEIGHT, rows)
    found = []
    for count in (1, 3, 8):
        fn.set_threads(count)
        loss, gradient = model.loss_and_gradient(x, y, weight)
        found.append((model.predict(x).tobytes(), model.evaluate(x, y, weight), loss, gradient.tobytes()))
    assert found[0] == found[1] == found[2]


# ---- how many ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "n_parameters", "parts", "is_alone"),
    [
        (4, 13, (1, False), True),  # xor
        (64, 4_500, (1, False), True),  # spiral
        (32, 2_410, (1, False), True),  # digits, a small net
        (64, 109_386, (4, False), False),  # images, 784-128-64-10
        (128, 109_386, (8, False), False),
        (256, 2_000_000, (16, False), False),
        (1, 10_000_000, (1, False), False),
        (2047, 10_000, (64, False), False),
        (2048, 10_000, (4, True), False),
        (100_000, 13, (96, True), False),
    ],
)
def test_cost_model(rows, n_parameters, parts, is_alone):
    fn.set_threads(2)
    assert parts_of(rows, n_parameters) == parts
    assert threads.team_size(rows, n_parameters) == (1 if is_alone else 2)
    assert threads.team_size(rows, n_parameters, 5) == 5


def test_work_counts_the_positions_of_a_sample():
    """The same weights at 1,000 positions are as much work as 1,000 times as many weights."""
    model = fn.Model([fn.Dense(5, "tanh"), fn.Dense(5)], "mse", seed=0).build((1000, 8))
    assert model.executor.built.graph.multiplications == 1000 * model.parameters.size == 75_000
    assert model.network(128).fields.multiplications == 75_000
    fn.set_threads(2)
    assert threads.parts(128, 75, 75_000) == (8, False) and threads.team_size(128, 75_000) == 2
    assert threads.parts(4, 75, 75_000) == (1, False) and threads.team_size(4, 75_000) == 1
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(128, 1000, 8)), rng.normal(size=(128, 1000, 5))
    assert len(digests(lambda: copy.deepcopy(model), x, y, counts=(1, 2, 3), batch_size=64)) == 1


def test_threads_share_the_weights_by_their_cost():
    """A few weights that are used at many positions cost as much as many weights that are used once."""
    layers = [fn.Dense(16), fn.Flatten(), fn.Dense(30)]
    model = fn.Model(layers, "mse", optimizer=fn.SGD(1.0), dtype="float64", seed=0).build((100, 64))
    x, y = RNG.normal(size=(64, 100, 64)), RNG.normal(size=(64, 30))
    model.fit(x, y, batch_size=64, epochs=1, threads=2)
    _, net = model.executor._networks["train"]
    ops = net.ops.view(OP)[:, 0]
    assert net.fields.cost == ops["cost"].sum()
    of_a_step = model.parameters.copy()
    net.fields.team, net.fields.train = 2, 1  # what it computes is left in `net.gradient`
    written = []
    for thread in range(2):
        net.gradient[...] = np.nan
        share_of(net.descriptor.ctypes.data, thread)
        written.append(np.flatnonzero(~np.isnan(net.gradient)))
    np.testing.assert_array_equal(model.parameters, of_a_step)
    np.testing.assert_array_equal(np.concatenate(written), np.arange(model.parameters.size))
    first = ops["n_parameters"][0]  # 1,040 of 49,070, and most of the cost
    assert 0 < written[1][0] < first


SIZES = [0, 1, 2, 13, 100, 2_410, 2**16, 2**18, 2**18 + 1, 2**21, 3_355_443, 2**24, 2**28]


@pytest.mark.parametrize("n_parameters", SIZES)
def test_parts_of_batches_of_all_sizes(n_parameters):
    found = []
    for rows in (*range(1, 300), 1000, 2047, 2048, 4095, 4096, 8192, 12_288, 60_000, 1_000_000):
        parts = parts_of(rows, n_parameters)
        assert 1 <= parts.most <= max(1, rows // 16)
        assert not parts.have_gradients or parts.most <= 2 or parts.most * n_parameters <= 2**24
        if rows * n_parameters < 2**18:
            assert parts.most == threads.team_size(rows, n_parameters) == 1
        found.append(parts)
    for have_gradients in (False, True):  # more rows, not fewer parts
        counts = [parts.most for parts in found if parts.have_gradients == have_gradients]
        assert counts == sorted(counts)
    assert found[0] == (1, False) and (found[-1].most > 1 or n_parameters == 0)


@pytest.mark.parametrize("count", [3, 17])
def test_more_threads_than_cpus_and_parts_come_to_an_end(count):
    model = model_of()
    model.fit(X, LABELS, epochs=20, batch_size=128, threads=count)
    fn.set_threads(count)
    assert model.predict(np.resize(X, (6000, 31))).shape == (6000, 7)
    assert fn.get_threads() == count


def test_clipping_without_weights():
    layers = [fn.Dropout(0.5), fn.Activation("sigmoid")]
    model = fn.Model(layers, loss="mse", optimizer=fn.SGD(global_clipnorm=1.0), seed=0)
    assert np.isfinite(model.fit(X, X, epochs=2, threads=4).history["loss"]).all()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPUs can be chosen here")
def test_a_call_that_fails_ends_the_wait_of_others():
    give_up, end = np.zeros(1), time.monotonic() + 20

    def wait():
        while not give_up[0] and time.monotonic() < end:
            time.sleep(1e-3)

    with pytest.raises(ZeroDivisionError):
        threads.run_together([wait, lambda: 1 / 0], give_up)
    assert give_up[0] == 1


def test_a_member_begins_on_another_cpu_and_may_then_run_on_any(monkeypatch):
    set_to, allowed, after = [], os.sched_getaffinity(0), []
    monkeypatch.setattr(threads.os, "sched_setaffinity", lambda _, cpus: set_to.append(set(cpus)))
    threads.run_together([lambda: None, lambda: after.append(os.sched_getaffinity(0))])
    assert after == [allowed]
    if len(allowed) > 1:
        first, last = set_to
        assert len(first) == len(allowed) - 1 and first < allowed and last == allowed
