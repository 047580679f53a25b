"""`fit(comm=)` by ranks that are threads of this process: what they compute, beside one process alone."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnn as fn
from fastnn.distributed import agreement
from fastnn.training import loop
from fastnn.training.rank_loop import RankTraining
from tests.helpers.thread_ranks import fit_by_ranks

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
Y = np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], axis=1)
WEIGHT = RNG.uniform(0.2, 3, 90)
TWO, THREE = [slice(0, 50), slice(50, 90)], [slice(0, 20), slice(20, 50), slice(50, 90)]
ORDERS = [RNG.permutation(90) for _ in range(9)]


def by_ranks(models, parts, x=X, y=Y, **options):
    return fit_by_ranks(models, parts, x, y, **options)


def net(*more, loss="mse", optimizer=None, metrics=("mae", "r2"), units=6):
    layers = [fn.Dense(units, "tanh", l2=0.01), *more, fn.Dense(2, l1=0.003, alpha=0.1)]
    optimizer = fn.Adam(0.02) if optimizer is None else copy.copy(optimizer)
    return fn.Model(layers, loss, optimizer, metrics, dtype="float64", seed=3).build(4)


def frozen(**options):
    model = net(**options)
    model.layers[0].trainable = False
    return model


CASES = {
    "shuffled": (net, {}),
    "weights": (net, {"sample_weight": WEIGHT}),
    "weights of outputs": (net, {"sample_weight": np.stack([WEIGHT, WEIGHT[::-1] ** 2], axis=1)}),
    "fewer rows than ranks": (net, {"batch_size": 1}),
    "sums": (lambda: net(loss="sse", optimizer=fn.SGD(0.001)), {}),
    "clipped": (lambda: net(optimizer=fn.SGD(0.1, momentum=0.9, global_clipnorm=0.02)), {}),
    "frozen": (lambda: frozen(optimizer=fn.Adam(0.01, global_clipnorm=0.02, weight_decay=0.1)), {}),
    "scheduled": (lambda: net(optimizer=fn.Adam(fn.schedules.cosine(0.05, 12))), {}),
    "given orders": (net, {"shuffle": lambda epoch: ORDERS[epoch]}),
    "whole": (net, {"batch_size": None, "sample_weight": WEIGHT}),
    "means of batches": (
        lambda: net(loss=replace(fn.losses.mse(), reported="training.reported_loss.squared_error")),
        {"sample_weight": WEIGHT},
    ),
}


@pytest.mark.parametrize("parts", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("name", CASES)
def test_ranks_train_as_one_process(name, parts):
    make, options = CASES[name]
    options = {"batch_size": 16, "epochs": 3, "threads": 1, **options}
    alone, models = make(), [make() for _ in parts]
    expected = alone.fit(X, Y, **options)
    histories = by_ranks(models, parts, **options)
    assert_allclose(models[0].parameters, alone.parameters, rtol=1e-10, atol=1e-12)
    for key, values in expected.history.items():
        assert_allclose(histories[0].history[key], values, rtol=1e-9, err_msg=key)
    for model, history in zip(models, histories, strict=True):
        assert_array_equal(model.parameters, models[0].parameters)
        assert history.history == histories[0].history
        assert history.learning_rate == expected.learning_rate
        assert model.state.step == alone.state.step


@pytest.mark.parametrize("parts", [TWO, THREE], ids=["two", "three"])
def test_long_gradients_travel_by_themselves(monkeypatch, parts):
    models, others = ([net() for _ in parts] for _ in range(2))
    by_ranks(models, parts, epochs=2)
    monkeypatch.setattr(agreement, "_IN_MESSAGES", 0)
    by_ranks(others, parts, epochs=2)
    for model, other in zip(models, others, strict=True):
        assert_array_equal(other.parameters, model.parameters)


def test_several_threads_of_a_rank():
    x, y = np.tile(X, (4, 1)), np.tile(Y, (4, 1))
    found = []
    for threads in (1, 3):
        models = [net(fn.Dense(99), units=99, optimizer=fn.Adam(0.01, global_clipnorm=0.02)) for _ in TWO]
        by_ranks(models, [slice(0, 180), slice(180, 360)], x, y, epochs=2, batch_size=180, threads=threads)
        assert models[0].state.step == 4
        found.append(models[0].parameters.tobytes())
    assert found[0] == found[1]


def test_ranks_drop_different_numbers():
    """With the same rows on both, a step of two ranks is not that of one of them; resumed to the bit."""

    def make():
        return net(fn.Dropout(0.5), optimizer=fn.SGD(0.1))

    x, y, alone = np.tile(X, (2, 1)), np.tile(Y, (2, 1)), make()
    same = [slice(0, 90), slice(90, 180)]
    models, others = ([make() for _ in same] for _ in range(2))
    alone.fit(X, Y, shuffle=False, batch_size=90)
    options = {"shuffle": False, "batch_size": 180}
    by_ranks(models, same, x, y, **options)
    assert abs(models[0].parameters - alone.parameters).max() > 1e-3
    by_ranks(others, same, x, y, **options, epochs=3)
    by_ranks(models, same, x, y, **options, epochs=2, resume=True)
    assert_array_equal(models[1].parameters, others[1].parameters)


def test_running_statistics_of_the_same_rows():
    """Batches of two ranks with the same rows have the moments of one of them."""

    def make():
        layers = [fn.Dense(6, "tanh"), fn.BatchNormalization(), fn.Dense(2)]
        return fn.Model(layers, "mse", fn.SGD(0.1), dtype="float64", seed=3).build(4)

    x, y, alone = np.tile(X, (2, 1)), np.tile(Y, (2, 1)), make()
    models = [make() for _ in TWO]
    alone.fit(X, Y, shuffle=False, batch_size=30, epochs=2)
    by_ranks(models, [slice(0, 90), slice(90, 180)], x, y, shuffle=False, batch_size=60, epochs=2)
    for model in models:
        assert_allclose(model.parameters, alone.parameters, rtol=1e-9, atol=1e-12)
        assert_allclose(model.state.statistics, alone.state.statistics, rtol=1e-9, atol=1e-12)


def test_slices_of_one_step_change_no_bit(monkeypatch):
    models, others = ([net(fn.BatchNormalization()) for _ in TWO] for _ in range(2))
    options = {"batch_size": 2, "epochs": 4, "sample_weight": WEIGHT}
    histories = [history.history for history in by_ranks(models, TWO, **options)]
    monkeypatch.setattr(loop, "SLICE", 1e-9)  # which the first slices are longer than
    assert [history.history for history in by_ranks(others, TWO, **options)] == histories
    for model, other in zip(models, others, strict=True):
        assert_array_equal(other.parameters, model.parameters)
        assert_array_equal(other.state.statistics, model.state.statistics)


def test_an_interrupted_epoch_is_resumed_by_more_ranks(monkeypatch):
    whole, models = net(), [net() for _ in TWO]
    expected = whole.fit(X, Y, batch_size=2, epochs=5).history
    monkeypatch.setattr(loop, "SLICE", 1e-9)
    with monkeypatch.context() as patch:
        patch.setattr(RankTraining, "_require_finite", interrupt_at(150))
        with pytest.raises(KeyboardInterrupt):
            by_ranks(models, TWO, batch_size=2, epochs=9)
    assert models[0].state.position == 30
    history = by_ranks([models[0], net(), net()], THREE, batch_size=2, epochs=2, resume=True)[0].history
    assert_allclose(models[0].parameters, whole.parameters, rtol=1e-10, atol=1e-12)
    for name, values in expected.items():
        assert_allclose(history[name], values[3:], rtol=1e-9, err_msg=name)


def interrupt_at(step):
    def require_finite(training, now, always=True):
        if training.state.step == step:
            raise KeyboardInterrupt

    return require_finite
