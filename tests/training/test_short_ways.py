"""Short ways of `partial_fit`, `evaluate` and `loss_and_gradient`: what they keep, when they are left."""

import gc
import pickle
import sys
import threading
import tracemalloc

import numpy as np
import pytest

import fastnn as fn
from fastnn.data import array_checks
from fastnn.engine.state import InterruptedEpoch
from tests.helpers.short_ways import Calls, everything, the_long_way

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype("float32")
LABELS = RNG.integers(0, 2, 12)
VALUES = RNG.uniform(0.1, 0.9, size=(12, 2))
#: Loss, and targets that it takes.
LOSSES = {
    "class numbers": ("cross_entropy", LABELS),
    "classes as floats": ("cross_entropy", LABELS.astype("float64")),
    "shares": ("cross_entropy", np.eye(2)[LABELS]),
    "labels": ("binary_cross_entropy", VALUES),
    "values": ("mse", VALUES),
    "counts": ("poisson", VALUES.astype("float32")),
}
#: Targets that are refused, by the loss.
WRONG = {
    "class numbers": [2, -1],
    "classes as floats": [2, -1, np.nan, 0.5, 1e300],
    "shares": [1.5, -0.1, np.nan],
    "labels": [1.5, -0.1, np.inf],
    "values": [np.nan, np.inf, 1e300],
    "counts": [-1.0, np.nan],
}


@pytest.fixture
def calls(monkeypatch):
    return Calls(monkeypatch)


def make(loss="cross_entropy", optimizer="adam", **options):
    layers = [fn.Dense(5, "tanh"), fn.Dropout(0.2), fn.BatchNormalization(), fn.Dense(2)]
    return fn.Model(layers, loss, optimizer, seed=0, **options).build(3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LOSSES)
def test_the_same_bits_as_the_long_way(name, dtype, calls):
    loss, y = LOSSES[name]
    short, long = make(loss, dtype=dtype), the_long_way(make(loss, dtype=dtype))
    for step in range(6):
        rows = slice(4 * step % 12, 4 * step % 12 + 4)
        for model in (short, long):
            model.partial_fit(X[rows], y[rows])
        assert everything(short) == everything(long)
        found = [model.evaluate(X[rows], y[rows]) for model in (short, long)]
        assert found[0] == found[1]
        found = [model.loss_and_gradient(X[rows], y[rows]) for model in (short, long)]
        assert found[0][0] == found[1][0]
        assert np.array_equal(found[0][1], found[1][1])
    for call in (short.partial_fit, short.evaluate, short.loss_and_gradient):
        assert calls.of(lambda: call(X[:4], y[:4])) == (0, 0)  # noqa: B023
    assert calls.of(lambda: long.partial_fit(X[:4], y[:4])) == (1, 1)


def test_single_samples(calls):
    short, long = make(), the_long_way(make())
    for model in (short, long):
        for x, label in zip(X, LABELS.tolist(), strict=True):
            model.partial_fit(x, label)
    assert everything(short) == everything(long)
    assert calls.of(lambda: short.partial_fit(X[0], 1)) == (0, 0)
    assert calls.of(lambda: short.partial_fit(X[0], np.int64(1))) == (1, 1)  # not an array
    with pytest.raises(ValueError, match="class numbers 0 ... 1 for 2 outputs, got 2"):
        short.partial_fit(X[0], 2)
    with pytest.raises(TypeError, match="int too large"):
        short.partial_fit(X[0], 10**400)


@pytest.mark.parametrize("call", ["partial_fit", "evaluate", "loss_and_gradient"])
@pytest.mark.parametrize("name", LOSSES)
def test_bad_values_are_refused_as_ever(name, call):
    loss, y = LOSSES[name]
    short, long = make(loss), the_long_way(make(loss))
    for model in (short, long):
        getattr(model, call)(X, y)
        getattr(model, call)(X, y)
    before = short.parameters.tobytes()
    second = np.arange(y.size).reshape(y.shape) == 1
    bad = [(X, np.where(second, np.array(wrong, y.dtype), y)) for wrong in WRONG[name]]
    for wrong in (np.nan, np.inf, -np.inf):
        broken = X.copy()
        broken[5, 1] = wrong
        bad.append((broken, y))
    for x, target in bad:
        messages = []
        for model in (short, long):
            with pytest.raises(ValueError, match=r"must be|is missing") as caught:
                getattr(model, call)(x, target)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]
    assert short.parameters.tobytes() == before


def test_another_kind_of_samples_goes_the_long_way(calls):
    model = make()
    model.partial_fit(X, LABELS)
    assert calls.of(lambda: model.partial_fit(X, LABELS)) == (0, 0)
    for x, y in (
        (X[:5], LABELS[:5]),
        (X.astype("float64"), LABELS),
        (X, LABELS.astype("float32")),
        (X, LABELS.reshape(-1, 1)),
        (X, LABELS.tolist()),
        (X.tolist(), LABELS),
    ):
        assert calls.of(lambda: model.partial_fit(x, y)) == (1, 1)  # noqa: B023
    with pytest.raises(ValueError, match="X must have 3 columns"):
        model.partial_fit(X[:, :2], LABELS)
    weight = np.ones(12)
    assert calls.of(lambda: model.partial_fit(X, LABELS, weight)) == (1, 1)
    assert calls.of(lambda: model.partial_fit(X, LABELS, batch_size=4)) == (0, 1)
    assert calls.of(lambda: model.evaluate(X, LABELS, weight)) == (1, 0)


def test_what_is_not_contiguous_or_is_read_only():
    short, long = make(), the_long_way(make())
    wide = np.asfortranarray(np.repeat(X, 2, axis=1))
    fixed = LABELS.copy()
    fixed.setflags(write=False)
    for model in (short, long):
        for _ in range(3):
            model.partial_fit(wide[:, ::2], fixed)
    assert everything(short) == everything(long)


def test_arguments_are_not_kept(calls):
    """The memory is the model's own: what the caller writes later changes nothing, and nothing is held."""
    model = make()
    x, y = X.copy(), LABELS.copy()
    for _ in range(3):
        model.partial_fit(x, y)
    assert sys.getrefcount(x) == 2
    assert sys.getrefcount(y) == 2


def interrupt(model):
    """As if a fit had been interrupted within an epoch."""
    model.state.position = 4
    model.state.interrupted_epoch = InterruptedEpoch(12, 4, True, np.zeros(5))


CHANGES = {
    "an interrupted epoch": interrupt,
    "a setting": lambda model: setattr(model.optimizer, "learning_rate", 0.5),
    "an equal setting": lambda model: setattr(model.optimizer, "learning_rate", np.float64(0.001)),
    "a schedule": lambda model: setattr(model.optimizer, "learning_rate", fn.schedules.cosine(0.1, steps=9)),
    "another optimizer": lambda model: setattr(model, "optimizer", fn.SGD(0.1, momentum=0.9)),
    "less memory": lambda model: setattr(model, "optimizer", fn.SGD(0.1)),
    "a frozen layer": lambda model: setattr(model.layers[0], "trainable", False),
    "a fit": lambda model: model.fit(X, LABELS, epochs=2, batch_size=5),
    "a callback": lambda model: model.fit(X, LABELS, callbacks=[lambda epoch, logs: None], batch_size=12),
    "weights in a fit": lambda model: model.fit(X, LABELS, sample_weight=np.arange(12.0), batch_size=12),
}
KEPT = {
    "weights": lambda model: model.parameters.__setitem__(slice(None), 0.25),
    "the seed": lambda model: setattr(model, "seed", 7),
    "the step": lambda model: setattr(model.state, "step", 100),
    "evaluation": lambda model: model.evaluate(X, LABELS),
    "compiled steps": lambda model: fn.train_step(
        model.network(12), model.optimizer_state(), X, LABELS.astype("float32").reshape(-1, 1)
    ),
}


@pytest.mark.parametrize("name", CHANGES | KEPT)
def test_changes_between_steps(name, calls):
    change = (CHANGES | KEPT)[name]
    short, long = make(), the_long_way(make())
    for model in (short, long):
        model.partial_fit(X, LABELS)
        model.partial_fit(X, LABELS)
        change(model)
        model.partial_fit(X, LABELS)
        assert model.history.history["loss"]
    assert everything(short) == everything(long)
    for model in (short, long):
        model.partial_fit(X, LABELS)
    assert everything(short) == everything(long)
    assert calls.of(lambda: short.partial_fit(X, LABELS)) == (0, 0)


def test_a_setting_that_is_out_of_range_is_refused():
    model = make()
    model.partial_fit(X, LABELS).partial_fit(X, LABELS)
    before = everything(model)
    for name, wrong in (("learning_rate", -1.0), ("learning_rate", True), ("epsilon_hat", 0)):
        right = getattr(model.optimizer, name)
        setattr(model.optimizer, name, wrong)
        with pytest.raises((ValueError, TypeError), match=name):
            model.partial_fit(X, LABELS)
        assert everything(model) == before
        setattr(model.optimizer, name, right)
    model.partial_fit(X, LABELS)


@pytest.mark.parametrize("before", ["sgd", "adam"])
@pytest.mark.parametrize("large", [1e30, 3e38])
def test_divergence_is_told_as_ever(large, before):
    """Of a loss that is infinite, and of weights that become so: everything but the error is as before."""
    told = []
    for way in (lambda model: model, the_long_way):
        model = way(fn.Model([fn.Dense(2)], "mse", before, seed=0).build(3))
        for _ in range(3):
            model.partial_fit(X, VALUES)
        model.optimizer = fn.SGD(1e-3, momentum=0.5)  # with other memory
        for _ in range(3):
            model.partial_fit(X, VALUES)
        model.optimizer.learning_rate = large
        with pytest.raises(fn.DivergenceError) as caught:
            for _ in range(9):
                model.partial_fit(X, VALUES)
        told.append((str(caught.value), everything(model), str(model.history.error)))
    assert told[0] == told[1]


def test_copies_and_pickles_go_on_alone():
    model = make()
    for _ in range(3):
        model.partial_fit(X, LABELS)
    copy = pickle.loads(pickle.dumps(model))
    before = everything(model)[:4]
    for _ in range(2):
        copy.partial_fit(X, LABELS)
    assert everything(model)[:4] == before
    for _ in range(2):
        model.partial_fit(X, LABELS)
    assert everything(copy) == everything(model)


def test_many_threads_at_once():
    """Each call is one step by its own samples, whichever thread makes it."""
    model = fn.Model([fn.Dense(2)], "mse", fn.SGD(1e-4), dtype="float64", seed=0).build(3)
    model.partial_fit(X, VALUES)
    weights = model.parameters.copy()
    errors = []

    def work():
        try:
            for _ in range(200):
                model.partial_fit(X, VALUES)
                model.evaluate(X, VALUES)
                model.loss_and_gradient(X, VALUES)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert model.state.step == 801
    twin = fn.Model([fn.Dense(2)], "mse", fn.SGD(1e-4), dtype="float64", seed=0).build(3)
    twin.parameters[...] = weights
    for _ in range(800):
        twin.partial_fit(X, VALUES)
    assert np.array_equal(model.parameters, twin.parameters)


def test_calls_within_calls_have_memory_of_their_own():
    """A metric evaluates other samples of that kind, before a second one sees the targets."""

    def nested(y, prediction):
        model.evaluate(X, VALUES + 1) if y.sum() < 20 else None
        return 0.0

    def total(y, prediction):
        return y.sum()

    model = fn.Model([fn.Dense(2)], "mse", metrics=[nested, total], dtype="float64", seed=0).build(3)
    for _ in range(3):
        assert model.evaluate(X, VALUES)["total"] == pytest.approx(VALUES.sum())


def test_within_a_callback_of_its_own_fit():
    model = make()
    model.partial_fit(X, LABELS).partial_fit(X, LABELS)
    with pytest.raises(RuntimeError, match="callback of the same model's fit"):
        model.fit(X, LABELS, callbacks=[lambda epoch, logs: model.partial_fit(X, LABELS)])
    other = make()
    other.partial_fit(X, LABELS).partial_fit(X, LABELS)
    model.fit(X, LABELS, callbacks=[lambda epoch, logs: other.partial_fit(X, LABELS) and None])
    assert other.state.step == 3


def test_models_that_check_more_always_go_the_long_way(calls):
    layers = [fn.Embedding(4, 2), fn.Flatten(), fn.Dense(2)]
    model = fn.Model(layers, "cross_entropy", seed=0).build(3)
    x = RNG.integers(0, 4, (12, 3)).astype("float32")
    model.partial_fit(x, LABELS)
    assert calls.of(lambda: model.partial_fit(x, LABELS)) == (1, 1)
    with pytest.raises(ValueError, match="integers 0 ... 3"):
        model.partial_fit(x + 0.5, LABELS)
    ignoring = make("mse", missing_targets="ignore")
    missing = VALUES.copy()
    missing[0, 0] = np.nan
    ignoring.partial_fit(X, VALUES).partial_fit(X, VALUES).partial_fit(X, missing)
    assert np.isfinite(ignoring.parameters).all()


def test_names_are_checked_as_ever():
    pandas = pytest.importorskip("pandas")
    model = make()
    model.fit(pandas.DataFrame(X, columns=list("abc")), LABELS)
    for _ in range(3):
        with pytest.warns(UserWarning, match="no column names"):
            model.partial_fit(X, LABELS)
    late = make()
    for _ in range(2):
        late.evaluate(X, LABELS)  # the names are those of the first fit
    late.fit(pandas.DataFrame(X, columns=list("abc")), LABELS)
    with pytest.warns(UserWarning, match="no column names"):
        late.evaluate(X, LABELS)


def test_nothing_grows_and_no_samples_are_kept_for_long(monkeypatch):
    """Steps allocate no arrays, and few kinds of samples are known at a time; the model is free at once."""
    model = make()
    for rows in range(1, 12):
        model.evaluate(X[:rows], LABELS[:rows])
    assert len(model.executor.samples._free) <= 4
    for _ in range(60):  # Python's interpreter keeps some memory for code that is run often
        model.partial_fit(X, LABELS)
    made = []
    allocate = np.zeros
    monkeypatch.setattr(np, "zeros", lambda *a, **k: made.append(a) or allocate(*a, **k))
    monkeypatch.setattr(array_checks, "array", None)  # no array is checked
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(50):
        model.partial_fit(X, LABELS)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert not made
    assert grown < 4096  # a history
    assert gc.isenabled()
    gc.disable()
    try:
        import weakref

        gone = weakref.ref(model)
        del model
        assert gone() is None
    finally:
        gc.enable()
