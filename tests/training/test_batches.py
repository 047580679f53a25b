"""`fit` on iterables of batches: the same bits as on arrays, faults, Ctrl-C, resuming."""

import _thread
import threading
import time

import numpy as np
import pytest

import fastnn as fn
from fastnn.training import pieces, progress
from fastnn.training.prefetch import Prefetch

rng = np.random.default_rng(0)
X = rng.normal(size=(203, 5))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)
W = rng.uniform(0.5, 2, 203)


class Batches:
    """Parts of arrays, from the start each time."""

    def __init__(self, *arrays, size=32):
        self.arrays, self.size = arrays, size

    def __iter__(self):
        for start in range(0, len(self.arrays[0]), self.size):
            yield tuple(of[start : start + self.size] for of in self.arrays)


def make(*layers, loss="cross_entropy", **options):
    options = {"seed": 3, "optimizer": fn.Adam(0.01), **options}
    return fn.Model([*layers, fn.Dense(8, "relu"), fn.Dropout(0.2), fn.Dense(2)], loss=loss, **options)


def same(one, other):
    return one.parameters.tobytes() == other.parameters.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "convert",
    [
        lambda X, y, w: (X, y),
        lambda X, y, w: (X.astype("float32"), y, w),
        lambda X, y, w: ([list(row) for row in X], y.tolist(), w.tolist()),
    ],
)
def test_same_bits_as_arrays(dtype, convert):
    given = convert(X, Y, W)
    arrays = [np.asarray(of) for of in (given if len(given) == 3 else (*given, None)) if of is not None]
    one, other = make(dtype=dtype), make(dtype=dtype)
    weight = {"sample_weight": arrays[2]} if len(arrays) == 3 else {}
    options = {"epochs": 3, "validation_data": (X[:50], Y[:50])}
    expected = one.fit(*arrays[:2], shuffle=False, **weight, **options)
    history = other.fit(Batches(*given), **options)
    assert same(one, other)
    assert history.history == expected.history
    assert history.learning_rate == expected.learning_rate


def test_layers_adapt_in_a_pass_each_and_targets_too():
    values = 1e4 + 300 * X[:, :2]

    def layers():
        prepare = [fn.Impute(), fn.Standardize(), fn.MinMax()]
        return [*prepare, fn.Dense(4, "tanh"), fn.Dense(2), fn.Unscale()]

    holes = np.where(X > 1.5, np.nan, X)
    one, other = (fn.Model(layers(), loss="mse", seed=0, dtype="float64") for _ in range(2))
    one.fit(holes, values, shuffle=False, epochs=2)
    other.fit(Batches(holes, values), epochs=2)
    for mine, its in zip(one.layers, other.layers, strict=True):
        for name, numbers in getattr(mine, "statistics", {}).items():
            np.testing.assert_allclose(its.statistics[name], numbers, rtol=1e-12)
    np.testing.assert_allclose(other.parameters, one.parameters, rtol=1e-9)


def test_adapt_takes_batches():
    one, other = make(fn.Standardize()), make(fn.Standardize())
    one.adapt(X.astype("float32"))
    other.adapt(Batches(X.astype("float32"), Y))
    np.testing.assert_allclose(other.layers[0].mean, one.layers[0].mean, rtol=1e-12)


def test_images_class_weights_and_missing_targets():
    images = rng.integers(0, 256, (60, 6, 6, 1)).astype(np.uint8)
    values = np.where(rng.random((60, 2)) < 0.2, np.nan, rng.normal(size=(60, 2)))
    kinds = [
        ("mse", {"missing_targets": "ignore"}, values, {}),
        ("cross_entropy", {}, rng.integers(0, 2, 60), {"class_weight": {1: 3.0}}),
    ]
    for loss, settings, y, options in kinds:
        layers = lambda: [fn.Conv2D(2, 3), fn.Flatten(), fn.Dense(2)]  # noqa: B023, E731
        one, other = (fn.Model(layers(), loss=loss, seed=0, **settings) for _ in range(2))
        expected = one.fit(images, y, shuffle=False, batch_size=16, epochs=2, **options)
        history = other.fit(Batches(images, y, size=16), epochs=2, **options)
        assert same(one, other)
        assert history.history == expected.history


def test_memory_that_an_iterable_uses_again():
    def reused():
        x, y = np.empty((32, 5)), np.empty(32, int)
        for start in range(0, 192, 32):
            x[...], y[...] = X[start : start + 32], Y[start : start + 32]
            yield x, y

    one, other = make(), make()
    one.fit(X[:192], Y[:192], shuffle=False)
    other.fit(reused())
    assert same(one, other)


def test_batches_of_different_sizes():
    ends = [0, 5, 105, 106, 150, 203]
    parts = [(X[a:b], Y[a:b]) for a, b in zip(ends, ends[1:], strict=False)]
    one, other = make(), make()
    for x, y in parts:
        one.partial_fit(x, y)
    history = other.fit(parts)
    np.testing.assert_allclose(other.parameters, one.parameters, rtol=1e-5, atol=1e-7)
    assert other.state.step == 5
    assert 0 < history.history["loss"][0] < 1


def test_steps_of_an_endless_generator():
    taken = []

    def endless():
        while True:
            for batch in Batches(X, Y):
                taken.append(len(batch[0]))
                yield batch

    one, other = make(), make()
    one.fit(X, Y, shuffle=False, epochs=3)
    source = endless()
    other.fit(source, epochs=3, steps_per_epoch=7)
    assert same(one, other)
    assert len(taken) == 21  # and no batch more
    other.fit(source, steps_per_epoch=1)
    assert len(taken) == 22


def test_validation_by_batches():
    def worst(y, prediction):
        return abs(prediction).max()

    model = make(metrics=["accuracy", worst])
    history = model.fit(Batches(X, Y), epochs=2, validation_data=Batches(X, Y, size=7))
    expected = model.evaluate(X, Y)
    for name, value in expected.items():
        np.testing.assert_allclose(history.history[f"val_{name}"][-1], value, rtol=1e-6)
    found = model.evaluate(Batches(X, Y, size=50))
    assert list(found) == list(expected)
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-6)
    values = fn.Model([fn.Dense(3)], loss="mse", metrics=["r2", "mae"], dtype="float64", seed=0).build(5)
    targets = X[:, :3] ** 2
    np.testing.assert_allclose(
        list(values.evaluate(Batches(X, targets, size=9)).values()),
        list(values.evaluate(X, targets).values()),
        rtol=1e-12,
    )
    few = model.fit(Batches(X, Y), validation_data=Batches(X, Y, size=7), validation_steps=3)
    np.testing.assert_allclose(few.history["val_loss"][0], model.evaluate(X[:21], Y[:21])["loss"], rtol=1e-6)


def test_callbacks_and_early_stopping():
    model, seen = make(), []
    stop = fn.EarlyStopping("loss", patience=0, min_delta=100.0)
    history = model.fit(Batches(X, Y), epochs=9, callbacks=[stop, lambda epoch, logs: seen.append(epoch)])
    assert history.epoch == seen == [0, 1]


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("saved", [False, True])
def test_resumed_to_the_bit(saved, tmp_path):
    class Fails(Batches):
        epochs = 0

        def __iter__(self):
            self.epochs += 1
            for k, batch in enumerate(super().__iter__()):
                if k == 4 and self.epochs == 2:
                    raise Interrupted
                yield batch

    whole, model = make(), make()
    expected = whole.fit(Batches(X, Y), epochs=4).history
    with pytest.raises(Interrupted):
        model.fit(Fails(X, Y), epochs=4)
    assert (model.state.epoch, model.state.position) == (1, 128)
    if saved:
        model.save(tmp_path / "model.safetensors", training=True)
        model = fn.load(tmp_path / "model.safetensors")
    history = model.fit(Batches(X, Y), epochs=4, initial_epoch=1, resume=True).history
    assert same(whole, model)
    assert history["loss"] == expected["loss"][1:]


def test_an_interrupted_epoch_is_resumed_by_its_like_only():
    model = make()

    def fails():
        yield X[:32], Y[:32]
        raise Interrupted

    with pytest.raises(Interrupted):
        model.fit(fails())
    with pytest.raises(ValueError, match="was over an iterable of batches"):
        model.fit(X, Y, resume=True)
    with pytest.raises(ValueError, match="no batch of X begins at sample 32"):
        model.fit(Batches(X, Y, size=20), resume=True)
    with pytest.raises(
        ValueError, match="batch of X before sample 32 is not the one .* leave out resume=True"
    ):
        model.fit(Batches(X[::-1], Y[::-1]), resume=True)


@pytest.mark.parametrize("steps", [3, 9])
def test_epochs_that_end_within_an_iterable_are_resumed(steps, tmp_path):
    class Fails(Batches):
        taken = 0

        def __iter__(self):
            for batch in super().__iter__():
                self.taken += 1
                if self.taken == 2 * steps + 2:
                    raise Interrupted
                yield batch

    options = {"epochs": 4, "steps_per_epoch": steps}
    whole, model = make(), make()
    whole.fit(Batches(X, Y), **options)
    with pytest.raises(Interrupted):
        model.fit(Fails(X, Y), **options)
    assert (model.state.epoch, model.state.step) == (2, 2 * steps + 1)
    model.save(tmp_path / "model.safetensors", training=True)
    model = fn.load(tmp_path / "model.safetensors")
    model.fit(Batches(X, Y), initial_epoch=2, resume=True, **options)
    assert same(whole, model)


def test_ctrl_c_while_a_batch_is_waited_for():
    stop = threading.Event()

    def slow():
        yield X[:32], Y[:32]
        stop.set()
        threading.Event().wait(0.3)
        yield X[:32], Y[:32]

    with pytest.raises(KeyboardInterrupt), Prefetch(slow(), stop.is_set) as ready:
        for _ in ready:
            pass


BAD = {
    "nan": (lambda: (np.full((32, 5), np.nan), Y[:32]), ValueError, r"batch 2: X must be finite numbers"),
    "width": (lambda: (X[:32, :4], Y[:32]), ValueError, r"batch 2: X must have 5 columns.*\(32, 4\)"),
    "text": (lambda: (X[:32].astype(str), Y[:32]), TypeError, r"batch 2: X must be numbers"),
    "rows": (lambda: (X[:32], Y[:31]), ValueError, r"batch 2: y must have 32 rows, as X of"),
    "one row": (lambda: (X[0], Y[0]), ValueError, r"batch 2: X must have 2 dim.*use X.reshape\(-1, 1\)"),
    "no X": (lambda: (None, Y[:32]), TypeError, r"batch 2: X must be an array of numbers, got None"),
    "classes": (lambda: (X[:32], Y[:32] + 1), ValueError, r"batch 2: y must be class numbers 0 ... 1"),
    "y nan": (lambda: (X[:32], np.full(32, np.nan)), ValueError, r"batch 2: y must be finite"),
    "one": (lambda: (X[:32],), ValueError, r"batch 2 of X must be \(X, y\) or .* got tuple of 1"),
    "array": (lambda: X[:32], ValueError, r"batch 2 of X must be \(X, y\)"),
    "weight": (lambda: (X[:32], Y[:32], W[:32]), ValueError, r"batch 2: this has a sample_weight"),
    "empty": (lambda: (X[:0], Y[:0]), ValueError, r"batch 2: X must not be empty"),
    "none": (lambda: None, ValueError, r"batch 2 of X must be"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("longest", [0.0, 1.0])
def test_a_bad_batch_is_named_and_the_weights_are_those_after_the_batch_before(kind, longest, monkeypatch):
    monkeypatch.setattr(pieces, "_LONGEST", longest)
    give, error, message = BAD[kind]

    def batches():
        yield X[:32], Y[:32]
        yield X[32:64], Y[32:64]
        yield give()
        yield X[64:96], Y[64:96]

    one, other = make(), make()
    one.fit(X[:64], Y[:64], shuffle=False)
    with pytest.raises(error, match=message):
        other.fit(batches())
    assert same(one, other)
    assert other.state.step == 2
    assert str(other.history.error)


def test_weights_that_are_text_are_refused():
    with pytest.raises(TypeError, match="batch 1: sample_weight must be numbers"):
        make().fit([(X[:32], Y[:32], W[:32]), (X[:32], Y[:32], W[:32].astype(str))])


def test_batches_by_their_number():
    class Indexed:
        def __len__(self):
            return 7

        def __getitem__(self, i):
            return X[32 * i : 32 * (i + 1)], Y[32 * i : 32 * (i + 1)]

    one, other = make(), make()
    one.fit(Batches(X, Y), epochs=2)
    other.fit(Indexed(), epochs=2)
    assert same(one, other)


def test_a_bad_first_batch_changes_nothing():
    model = make()
    for bad, error in (
        [((X[:5], Y[:3]),), ValueError],
        [((X[:5], ["a"] * 5),), TypeError],
        [(5,), ValueError],
        [((None, Y[:5]),), TypeError],
        [((X[:5], Y[:5], ["1"] * 5),), TypeError],
    ):
        with pytest.raises(error):
            model.fit(iter(bad))
        assert not model.executor.is_built


REFUSED = [
    (lambda: iter([]), {}, "yields no batches"),
    (lambda: [], {}, "yields no batches"),
    (
        lambda: iter([(X, Y)]),
        {"epochs": 2},
        "can be gone through once, but there are 2 epochs; give steps_per",
    ),
    (lambda: iter([(X, Y)]), {"steps_per_epoch": 2}, "ended after 1 of the steps_per_epoch=2 batches"),
    (lambda: Batches(X, Y), {"y": Y}, "must be numbers|cannot be converted|must have 2 dim"),
    (
        lambda: Batches(X, Y),
        {"sample_weight": W},
        r"sample_weight is for arrays.*yield \(X, y, sample_weight\)",
    ),
    (
        lambda: Batches(X, Y),
        {"validation_split": 0.2},
        "validation_split is for arrays.*give validation_data",
    ),
    (lambda: Batches(X, Y), {"lengths": [1]}, "lengths is for arrays"),
    (lambda: Batches(X, Y), {"shuffle": lambda epoch: [0]}, "shuffle must not be a function"),
    (lambda: Batches(X, Y), {"batch_size": 8}, "batch_size=8 is for arrays"),
    (lambda: Batches(X, Y), {"class_weight": "balanced"}, "needs all targets"),
    (lambda: Batches(X, Y), {"steps_per_epoch": 0}, "steps_per_epoch must be"),
    (lambda: X, {"y": Y, "steps_per_epoch": 3}, "steps_per_epoch is for iterables"),
    (lambda: X, {"y": Y, "validation_steps": 3}, "validation_steps is for iterables"),
    (lambda: X, {}, "y must be an array of numbers, got None"),
    (lambda: Batches(X, Y), {"validation_data": 5}, "validation_data without y must yield"),
]


@pytest.mark.parametrize("X_, options, message", REFUSED)
def test_arguments_that_are_refused(X_, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make().fit(X_(), **options)


def test_layers_that_are_not_adapted_and_a_generator():
    model = make(fn.Standardize())
    with pytest.raises(ValueError, match=r"can be gone through once; call model.adapt\(X\) first"):
        model.fit(iter(list(Batches(X, Y))))
    assert not model.layers[0].adapted
    model.adapt(X).fit(iter(list(Batches(X, Y))))


def test_divergence_gives_the_last_finite_weights():
    model = make(optimizer=fn.SGD(1e30), loss="mse", dtype="float32")
    with pytest.raises(fn.DivergenceError):
        model.fit(Batches(X, X[:, :2]), epochs=5)
    assert np.isfinite(model.parameters).all()


def test_arrays_afterwards():
    model, other = make(), make()
    model.fit(Batches(X, Y, size=10))
    other.fit(X, Y, batch_size=10, shuffle=False)
    for each in (model, other):
        each.fit(X, Y, batch_size=10, epochs=2)
        each.partial_fit(X[:10], Y[:10])
    assert same(model, other)


def test_adapt_again_to_other_categories_and_weights():
    layers = [fn.OneHot(0), fn.Standardize(), fn.Dense(1)]
    model = fn.Model(layers, loss="mse", seed=0)
    codes = np.column_stack([np.arange(90) % 3, rng.normal(size=90)])
    model.adapt(Batches(codes[:60], Y[:60]))
    model.adapt(Batches(codes + [[4, 0]], Y[:90], W[:90]))
    assert [each.tolist() for each in model.layers[0].categories] == [[4, 5, 6]]
    expected = fn.Standardize().adapt(codes[:, 1:].astype("float32"), W[:90]).mean
    np.testing.assert_allclose(model.layers[1].mean[-1:], expected, rtol=1e-6)
    with pytest.raises(ValueError, match="batch 1: X must be finite"):
        model.adapt(Batches(np.where(np.arange(90)[:, None] == 40, np.nan, codes), Y[:90]))
    assert [each.tolist() for each in model.layers[0].categories] == [[4, 5, 6]]


def test_ctrl_c_within_an_epoch_and_resumed():
    def slow():
        for batch in Batches(X, Y):
            time.sleep(0.02)
            yield batch

    class Slow(Batches):
        def __iter__(self):
            return slow()

    whole, model = make(), make()
    whole.fit(Batches(X, Y), epochs=40)
    timer = threading.Timer(0.3, _thread.interrupt_main)
    model.build(5)
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        model.fit(Slow(X, Y), epochs=40)
    done = model.state.epoch
    assert done < 40
    model.fit(Batches(X, Y), epochs=40, initial_epoch=done, resume=True)
    assert same(whole, model)


@pytest.mark.parametrize(
    ("kind", "options", "at_once"),
    [
        (Batches, {}, False),  # of unknown length until it has been gone through once
        (lambda *arrays: list(Batches(*arrays)), {}, True),
        (Batches, {"steps_per_epoch": 4}, True),
    ],
)
def test_progress_within_an_epoch(kind, options, at_once, monkeypatch):
    shown = []
    monkeypatch.setattr(progress.Bar, "update", lambda bar, done, logs, steps: shown.append(done))
    monkeypatch.setattr(pieces, "_NUMBERS", 2 * 32 * 5)  # two batches a piece
    make().fit(kind(X, Y), epochs=3, verbose=1, **options)
    assert shown == sorted(shown)
    assert shown[-1] == 3
    first, second = ([done - k for done in shown if k < done < k + 1] for k in (0, 1))
    assert bool(first) == at_once
    assert second
    assert all(abs(part * 203 / 32 - round(part * 203 / 32)) < 1e-9 for part in second if not options)
