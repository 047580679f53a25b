"""Fits that are one compiled call: the same bits, refusals and records as by the long way."""

import numpy as np
import pytest

import fastnn as fn
from fastnn.training import short_fit
from tests.helpers import array_likes
from tests.helpers.short_ways import Calls, everything, outcome, the_long_way

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype("float32")
LABELS = RNG.integers(0, 2, 12)
BITS = RNG.integers(0, 2, (4, 3)).astype("float64")  # every kind of array can hold them


def make(loss="cross_entropy", optimizer="adam", **options):
    layers = [fn.Dense(5, "tanh"), fn.Dropout(0.2), fn.BatchNormalization(), fn.Dense(2)]
    return fn.Model(layers, loss, optimizer, seed=0, **options).build(3)


FITS = {
    "an epoch": {},
    "whole": {"batch_size": None, "epochs": 3},
    "larger than all": {"batch_size": 100},
    "shuffled": {"batch_size": 5, "epochs": 4},
    "in order": {"batch_size": 5, "epochs": 4, "shuffle": False},
    "single rows": {"batch_size": 1, "epochs": 2, "callbacks": []},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FITS)
def test_the_same_bits_as_the_long_way(name, dtype, monkeypatch):
    calls, options = Calls(monkeypatch), FITS[name]
    short, long = (make(dtype=dtype, metrics=["accuracy"]) for _ in range(2))
    the_long_way(long)
    for i in range(5):
        for model in (short, long):
            history = model.fit(X + i, LABELS, **options)
            assert history is model.history
        assert everything(short) == everything(long)
        assert short.history.history.keys() == {"loss", "accuracy"}
    assert calls.of(lambda: short.fit(X, LABELS, **options)) == (0, 0)
    assert calls.of(lambda: long.fit(X, LABELS, **options)) == (1, 1)
    assert everything(short) == everything(long)


def test_fits_and_steps_in_turns(monkeypatch):
    """What one left in the network and in the memory beside must not show in the next."""
    short, long = make(), the_long_way(make())
    weight = np.arange(1.0, 13.0)
    shares = np.eye(2)[LABELS]
    steps = [
        lambda model: model.fit(X, LABELS, batch_size=4, epochs=2),
        lambda model: model.fit(X, LABELS, batch_size=4, epochs=3),
        lambda model: model.fit(X, LABELS, batch_size=4, epochs=3, shuffle=False),
        lambda model: model.partial_fit(X[:4], LABELS[:4]),
        lambda model: model.fit(X, LABELS, batch_size=4, sample_weight=weight),
        lambda model: model.fit(X, shares, batch_size=4),
        lambda model: model.fit(X, LABELS, batch_size=4, shuffle=lambda epoch: np.arange(12)[::-1]),
        lambda model: model.fit(X.astype("float64"), LABELS, batch_size=4),
        lambda model: model.fit(X[:7], LABELS[:7], batch_size=4),
        lambda model: model.fit(X, LABELS, batch_size=4, validation_split=0.25),
        lambda model: model.fit(X, LABELS, batch_size=4, callbacks=[lambda epoch, logs: epoch == 1]),
        lambda model: model.evaluate(X, LABELS),
    ]
    for i in np.random.default_rng(1).integers(0, len(steps), 60):
        for model in (short, long):
            steps[i](model)
        assert everything(short) == everything(long)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("epochs", 0),
        ("epochs", -1),
        ("epochs", True),
        ("epochs", 1.0),
        ("epochs", None),
        ("batch_size", 0),
        ("batch_size", True),
        ("batch_size", 2.0),
        ("shuffle", 2),
        ("shuffle", None),
        ("callbacks", None),
        ("callbacks", [1]),
        ("callbacks", ""),
        ("resume", 2),
        ("initial_epoch", 1),
        ("initial_epoch", False),
        ("initial_epoch", 0.0),
        ("threads", 0),
        ("verbose", 3),
        ("validation_split", "0"),
        ("validation_split", 1),
        ("class_weight", 1),
        ("sample_weight", -np.ones(12)),
        ("validation_lengths", [1]),
        ("lengths", [1]),
    ],
)
def test_other_arguments_are_checked_as_ever(name, wrong):
    short, long = make(), the_long_way(make())
    for model in (short, long):
        for _ in range(3):
            model.fit(X, LABELS)
    told = [outcome(lambda: model.fit(X, LABELS, **{name: wrong}).history) for model in (short, long)]  # noqa: B023
    assert told[0] == told[1]
    assert everything(short) == everything(long)


def test_long_fits_are_left_to_training(monkeypatch):
    """They show progress and can be interrupted."""
    calls, model = Calls(monkeypatch), make()
    for _ in range(3):
        model.fit(X, LABELS, batch_size=1, epochs=2)
    assert calls.of(lambda: model.fit(X, LABELS, batch_size=1, epochs=2)) == (0, 0)
    many = short_fit._SHORT // short_fit._STEP // 12 + 1
    assert calls.of(lambda: model.fit(X, LABELS, batch_size=1, epochs=many)) == (0, 1)
    assert calls.of(lambda: model.fit(X, LABELS, batch_size=1, epochs=2, verbose=2)) == (0, 1)
    assert calls.of(lambda: model.fit(X, LABELS, batch_size=1, epochs=2, threads=1)) == (0, 1)


def test_a_call_takes_back_that_training_was_stopped():
    model = make()
    for _ in range(3):
        model.stop_training = True
        model.partial_fit(X, LABELS)
        assert model.stop_training is False


def test_divergence_within_a_fit_is_told_as_ever():
    """In the second of several epochs: weights, records and the error are those of the long way."""
    told = []
    values = RNG.normal(size=(12, 2))
    for way in (lambda model: model, the_long_way):
        model = way(fn.Model([fn.Dense(2)], "mse", fn.SGD(1e-3, momentum=0.5), seed=0).build(3))
        for _ in range(3):
            model.fit(X, values, batch_size=4, epochs=3)
        model.optimizer.learning_rate = 1e9
        with pytest.raises(fn.DivergenceError) as caught:
            for _ in range(9):
                model.fit(X, values, batch_size=4, epochs=3)
        told.append((str(caught.value), everything(model), str(model.history.error)))
    assert told[0] == told[1]


#: What becomes infinite in a step of finite loss: the optimizer, a number of samples and one of targets.
INFINITE = {
    "weights": (lambda: fn.SGD(1e30), 1e5, 1e5),
    "the optimizer's memory": (lambda: fn.Adam(1e-3), 1e3, 1e18),
}


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", INFINITE)
def test_what_a_short_fit_makes_infinite_is_brought_back(name, call):
    """All is as by the long way, which tells of it and keeps what was before."""
    told = []
    optimizer, x, y = INFINITE[name]
    for way in (lambda model: model, the_long_way):
        layers = [fn.Dense(2, use_bias=False, kernel_initializer="zeros")]
        model = way(fn.Model(layers, "mse", "rmsprop", seed=0).build(3))
        for i in range(8):
            if i == 4:
                model.optimizer = optimizer()  # with other memory
            getattr(model, call)(np.zeros((4, 3), "float32"), np.zeros((4, 2)))
        with pytest.raises(fn.DivergenceError) as caught:
            getattr(model, call)(np.full((4, 3), x, "float32"), np.full((4, 2), y))
        assert np.isfinite(model.parameters).all()
        assert np.isfinite(model.state.optimizer).all()
        told.append((str(caught.value), everything(model), str(model.history.error)))
    assert told[0] == told[1]


LIKE = {
    **array_likes.CONVERTED,
    **{name: make for name, (make, *_) in array_likes.REFUSED.items() if name != "too many to hold"},
    **{name: make for name, (make, *_) in array_likes.REFUSED_OF_TABLES.items()},
    **{name: make for name, (make, *_) in array_likes.REFUSED_OF_SAMPLES.items()},
    **{name: make for name, (make, *_) in array_likes.REFUSED_OF_OTHER_LENGTH.items()},
}


@pytest.mark.parametrize("call", ["fit", "partial_fit", "evaluate", "loss_and_gradient"])
@pytest.mark.parametrize("place", ["X", "y"])
def test_all_kinds_of_arrays_as_by_the_long_way(place, call):
    """Each, in the place of samples or targets, between calls with plain arrays: results or refusals."""
    short, long = (fn.Model([fn.Dense(3)], "binary_cross_entropy", seed=0).build(3) for _ in range(2))
    the_long_way(long)

    def made(model, x, y):
        result = outcome(lambda: getattr(model, call)(x, y))
        if call == "loss_and_gradient" and result[0] == "returned":
            return result[1][0], result[1][1].tobytes()
        return result if call == "evaluate" or result[0] != "returned" else "returned"

    plain = BITS.copy()
    for name, like in LIKE.items():
        for _ in range(2):
            found = []
            for model in (short, long):
                getattr(model, call)(plain, plain)
                given = (like(plain), plain) if place == "X" else (plain, like(plain))
                found.append(made(model, *given))
            assert found[0] == found[1] or "generator" in name, name
        assert short.parameters.tobytes() == long.parameters.tobytes(), name
