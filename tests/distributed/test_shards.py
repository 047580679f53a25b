"""`fit(shards=)`: any number of ranks that divides the shards gives the same bits; ranks are threads here."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnn as fn
from fastnn.distributed import agreement, sums
from fastnn.training import loop
from fastnn.training.rank_loop import RankTraining
from tests.helpers.thread_ranks import fit_by_ranks

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))  # in shards of 22 and 23
Y = np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], axis=1)
WEIGHT = RNG.uniform(0.2, 3, 90)
LABELS = (X[:, 0] + X[:, 1] > 0.8).astype(int)
HELD_OUT = X[:33] + 0.1, Y[:33], WEIGHT[:33]
LONG = np.tile(X, (128, 1)), np.tile(Y, (128, 1))  # parts of such batches have gradients of their own
SHARDS = 4


def parts(n, ranks):
    return [slice(i * n // ranks, (i + 1) * n // ranks) for i in range(ranks)]


def net(*more, dtype="float64", units=6, frozen=False, **optimizer):
    layers = [fn.Dense(units, "tanh", l2=0.01), *more, fn.Dense(2, l1=0.003, alpha=0.1)]
    layers[0].trainable = not frozen
    optimizer = fn.Adam(0.02, **optimizer)
    return fn.Model(layers, "mse", optimizer, ["mae", "r2"], dtype=dtype, seed=3).build(4)


def mixed(**options):
    return net(fn.Dropout(0.3), fn.BatchNormalization(), fn.Dense(6, "relu"), global_clipnorm=0.5, **options)


def classifier():
    return fn.Model([fn.Dense(4, "tanh"), fn.Dense(1, "sigmoid")], "binary_cross_entropy", seed=0).build(4)


def recurrent():
    return fn.Model([fn.GRU(3), fn.Dense(2)], "mse", dtype="float64", seed=0).build((2, 2))


CASES = {
    "float32": (lambda: mixed(dtype="float32"), X, Y, {"sample_weight": WEIGHT, "validation": HELD_OUT}),
    "float64": (mixed, X, Y, {"sample_weight": WEIGHT, "validation": HELD_OUT[:2]}),
    "shards without rows of a batch": (mixed, X, Y, {"shuffle": False, "batch_size": 3}),
    "whole": (lambda: net(frozen=True), X, Y, {"batch_size": None}),
    "several threads": (lambda: net(units=70), *LONG, {"threads": 2, "batch_size": None}),
    "balanced": (classifier, X, LABELS, {"class_weight": "balanced"}),
    "lengths": (recurrent, X.reshape(90, 2, 2), Y, {"lengths": np.arange(90) % 2 + 1}),
}


def train(ranks, make, x, y, validation=None, **options):
    """Bits and logs of a model trained by so many ranks, which have the same."""
    options = {"batch_size": 16, "epochs": 3, "shards": SHARDS, **options}
    if ranks == 1:
        models = [make()]
        histories = [models[0].fit(x, y, validation_data=validation, **options)]
    else:
        models = [make() for _ in range(ranks)]
        if validation is not None:
            validation = *validation, parts(33, ranks)
        histories = fit_by_ranks(models, parts(len(x), ranks), x, y, validation, **options)
    found = [bits(model, history) for model, history in zip(models, histories, strict=True)]
    assert all(own == found[0] for own in found)
    return found[0]


def bits(model, history):
    state = model.state
    arrays = state.parameters, state.optimizer, state.statistics, state.counters
    return [array.tobytes() for array in arrays], history.history


@pytest.mark.parametrize("name", CASES)
def test_any_number_of_ranks_gives_the_same_bits(monkeypatch, name):
    make, x, y, options = CASES[name]
    expected = train(1, make, x, y, **options)
    assert train(2, make, x, y, **options) == expected
    assert train(4, make, x, y, **options) == expected
    monkeypatch.setattr(agreement, "_IN_MESSAGES", 0)  # gradients travel by themselves
    assert train(4, make, x, y, **options) == expected


def test_one_shard_is_a_fit_without():
    make, x, y, options = CASES["float32"]
    assert train(1, make, x, y, **options, shards=1) == train(1, make, x, y, **options, shards=None)
    assert train(1, make, x, y, **options, shards=2) != train(1, make, x, y, **options, shards=1)


def interrupted(monkeypatch, ranks):
    """A model that so many ranks have trained until the middle of the fourth epoch."""
    models = [mixed() for _ in range(ranks)]
    options = {"batch_size": 2, "epochs": 9, "shards": SHARDS, "sample_weight": WEIGHT}

    def interrupt(training, now, always=True):
        if training.state.step == 150:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "SLICE", 1e-9)
        patch.setattr(RankTraining, "_require_finite", interrupt)
        with pytest.raises(KeyboardInterrupt):
            if ranks == 1:
                models[0].fit(X, Y, **options)
            else:
                fit_by_ranks(models, parts(90, ranks), X, Y, **options)
    assert models[0].state.position == 30
    return models[0]


def test_an_interrupted_epoch_is_resumed_by_another_number_of_ranks(monkeypatch):
    whole, options = mixed(), {"batch_size": 2, "shards": SHARDS, "sample_weight": WEIGHT}
    whole.fit(X, Y, epochs=5, **options)
    found = []
    for before, after in [(1, 4), (2, 1), (4, 2)]:
        models = [interrupted(monkeypatch, before), *(mixed() for _ in range(after - 1))]
        if after == 1:
            history = models[0].fit(X, Y, epochs=2, resume=True, **options)
        else:
            history = fit_by_ranks(models, parts(90, after), X, Y, epochs=2, resume=True, **options)[0]
        assert_array_equal(models[0].parameters, whole.parameters)
        assert_array_equal(models[0].state.optimizer, whole.state.optimizer)
        found.append(bits(models[0], history))
    assert found[1] == found[0] == found[2]


def test_slices_of_one_step_change_no_bit(monkeypatch):
    make, x, y, options = CASES["float64"]
    expected = train(2, make, x, y, **options)
    monkeypatch.setattr(loop, "SLICE", 1e-9)
    assert train(2, make, x, y, **options) == expected


def test_a_step_that_diverges_leaves_the_moving_averages():
    """They are those of the first batch, whatever the second one has, in which the loss becomes infinite."""
    found = []
    targets = np.where(np.arange(90)[:, np.newaxis] < 45, Y, 1e200)
    for factor in (1, 2):
        x = np.where(np.arange(90)[:, np.newaxis] < 30, X, factor * X)
        layers = [fn.Dense(6), fn.BatchNormalization(), fn.Dense(2)]
        model = fn.Model(layers, "mse", fn.SGD(0.01), dtype="float64", seed=3).build(4)
        before = model.state.statistics.copy()
        with pytest.raises(fn.DivergenceError, match="epoch 0, step 1"):
            model.fit(x, targets, shards=2, batch_size=30, shuffle=lambda epoch: np.arange(90))
        assert (model.state.statistics != before).all()
        found.append(model.state.statistics.copy())
    assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("count", [1, 2, 4, 8, 16])
def test_branches_of_the_tree_are_trees(count):
    rows = RNG.normal(size=(count, 50)).astype(np.float32)
    expected = sums.pairwise_sum(rows)
    tree = sums.Tree(count, 50, np.float32)
    for i, row in enumerate(rows.copy()):
        tree.add(i, row)
    assert_array_equal(row, expected)
    for ranks in [n for n in (2, 4, 8) if n <= count]:
        branches = np.stack([sums.pairwise_sum(own) for own in np.split(rows, ranks)])
        assert_array_equal(sums.pairwise_sum(branches), expected)


REFUSED = {
    "not a number": ({"shards": "4"}, TypeError, "shards must be an integer, got '4'"),
    "none": ({"shards": 0}, ValueError, "shards must be >= 1, got 0"),
    "no power of two": ({"shards": 6}, ValueError, "power of two, as 1, 2, 4, 8 ..., got 6"),
    "few samples": ({"shards": 128}, ValueError, "as many samples as shards, got 90 for shards=128"),
    "few validation samples": (
        {"shards": 8, "validation_data": (X[:5], Y[:5])},
        ValueError,
        "as many validation samples as shards, got 5 for shards=8",
    ),
    "split": ({"shards": 2, "validation_split": 0.1}, ValueError, "validation_split would hold out other"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    options, kind, text = REFUSED[name]
    model = net()
    before = model.parameters.copy()
    with pytest.raises(kind, match=text.replace("...", r"\.\.\.")):
        model.fit(X, Y, **options)
    assert_array_equal(model.parameters, before)


def test_layers_and_iterables_are_refused():
    model = net(fn.Sequential([fn.BatchNormalization(synchronized=True)]))
    with pytest.raises(ValueError, match=r"BatchNormalization\(.*\) cannot be used with shards"):
        model.fit(X, Y, shards=2)
    scaled = fn.Model([fn.Standardize(), fn.Dense(2)], "mse", seed=0)
    with pytest.raises(ValueError, match=r"Standardize\(\) is not adapted to data yet"):
        scaled.fit(X, Y, shards=2)
    with pytest.raises(ValueError, match="with comm or shards, X and y must be arrays"):
        net().fit([(X, Y)], shards=2)


RANKS_REFUSED = {
    "three": ([slice(0, 30), slice(30, 60), slice(60, 90)], "must divide shards=4, and be a .* got 3 ranks"),
    "rows": (
        [slice(0, 50), slice(50, 90)],
        r"with shards=4, 2 ranks must have \[45, 45\] of the 90 samples, .* but rank 0 has 50, not 45",
    ),
}


@pytest.mark.parametrize("name", RANKS_REFUSED)
def test_ranks_are_refused(name):
    own, text = RANKS_REFUSED[name]
    models = [net() for _ in own]
    with pytest.raises(ValueError, match=text):
        fit_by_ranks(models, own, X, Y, shards=4)
    assert_array_equal(models[0].parameters, net().parameters)
