"""`fit_many`: the bits of fitting alone, failures that stay alone, Ctrl-C, and what is refused."""

import pickle
import threading

import numpy as np
import pytest

import fastnn as fn
from fastnn.data import array_checks, sample_checks
from tests.helpers.interrupted import assert_interrupt_stops

RNG = np.random.default_rng(0)
X, LABELS, VALUES = RNG.normal(size=(120, 4)), RNG.integers(0, 3, 120), RNG.normal(size=(120, 3))


def classifier(seed=0, optimizer="adam", width=8, **settings):
    layers = [fn.Dense(width, "relu"), fn.Dropout(0.1), fn.Dense(3)]
    return fn.Model(layers, "cross_entropy", optimizer, seed=seed, **settings)


def mix():
    """Models that have nothing in common but the data they can learn from."""
    return [
        classifier(0, fn.Adam(1e-2)),
        classifier(1, fn.SGD(0.1, momentum=0.9), width=17),
        classifier(2, "rmsprop", dtype="float64"),
        fn.Model(
            [fn.Dense(5, "tanh"), fn.Dense(9, "gelu"), fn.Dense(3, "log_softmax", l2=1e-3)],
            "nll",
            "adagrad",
            seed=3,
        ),
        fn.Model([fn.Dense(3)], "cross_entropy", fn.AdamW(fn.schedules.cosine(0.1, steps=50)), seed=4),
    ]


def assert_same(models, histories, alone, expected):
    for model, history, other, record in zip(models, histories, alone, expected, strict=True):
        assert np.array_equal(model.parameters, other.parameters)
        assert history.history == record.history
        assert model.history is history
        assert history.error is None


@pytest.mark.parametrize("threads", [None, 1, 2, 5, 9])
@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 7},
        {"epochs": 3, "batch_size": None, "shuffle": False},
        {"epochs": 3, "validation_split": 0.25, "class_weight": "balanced"},
        {"epochs": 2, "sample_weight": RNG.random(120), "validation_data": (X[:50], LABELS[:50])},
    ],
    ids=["plain", "full batch", "split and class weights", "weights and validation"],
)
def test_the_same_bits_as_each_alone(options, threads):
    models, alone = mix(), mix()
    histories = fn.fit_many(models, X, LABELS, threads=threads, **options)
    assert_same(models, histories, alone, [model.fit(X, LABELS, **options) for model in alone])


def test_training_goes_on():
    models, alone = mix(), mix()
    for _ in range(2):
        histories = fn.fit_many(models, X, LABELS, epochs=2)
    expected = [[model.fit(X, LABELS, epochs=2) for _ in range(2)][-1] for model in alone]
    assert_same(models, histories, alone, expected)


def test_shuffle_by_a_function_is_passed_on():
    def backwards(epoch):
        return np.arange(120)[::-1]

    models, alone = mix(), mix()
    histories = fn.fit_many(models, X, LABELS, shuffle=backwards)
    assert_same(models, histories, alone, [model.fit(X, LABELS, shuffle=backwards) for model in alone])


def test_layers_that_prepare_the_data_are_adapted_one_by_one():
    columns = np.hstack([RNG.integers(0, 4, (120, 1)), X])

    def models():
        first = [fn.OneHot()], [fn.OneHot()], [fn.Standardize()], [fn.MinMax()], []
        return [fn.Model([*layers[:1], fn.Dense(3)], "cross_entropy", seed=1) for layers in first]

    together, alone = models(), models()
    x = columns[:, :1]
    histories = fn.fit_many(together, x, LABELS, epochs=2)
    assert_same(together, histories, alone, [model.fit(x, LABELS, epochs=2) for model in alone])


def test_a_file_that_is_mapped_is_input_and_target(tmp_path):
    mapped = np.memmap(tmp_path / "x", np.float64, "w+", shape=X.shape)
    mapped[...] = X
    models, alone = ([fn.Model([fn.Dense(4)], "mse", seed=i) for i in range(2)] for _ in range(2))
    histories = fn.fit_many(models, mapped, mapped, epochs=2)
    assert_same(models, histories, alone, [model.fit(X, X, epochs=2) for model in alone])


def test_a_data_set_and_settings_for_each_model():
    models, alone = [classifier(i) for i in range(3)], [classifier(i) for i in range(3)]
    parts = [slice(0, 40), slice(10, 90), slice(50, 120)]
    own = {
        "X": [X[part] for part in parts],
        "y": tuple(LABELS[part] for part in parts),
        "epochs": [1, 4, 2],
        "batch_size": [8, None, 16],
        "sample_weight": [None, np.ones(80), None],
        "class_weight": [None, None, "balanced"],
        "validation_data": [(X, LABELS), None, (X[:9], LABELS[:9])],
    }
    histories = fn.fit_many(models, **own)
    expected = [model.fit(**{name: own[name][i] for name in own}) for i, model in enumerate(alone)]
    assert_same(models, histories, alone, expected)


def test_shared_inputs_with_targets_for_each_model():
    models = [fn.Model([fn.Dense(1)], "mse", seed=0) for _ in range(3)]
    alone = [fn.Model([fn.Dense(1)], "mse", seed=0) for _ in range(3)]
    histories = fn.fit_many(models, X, list(VALUES.T), epochs=3)
    expected = [model.fit(X, VALUES[:, i], epochs=3) for i, model in enumerate(alone)]
    assert_same(models, histories, alone, expected)


def test_shared_data_is_converted_and_checked_once_a_dtype(monkeypatch):
    converted, checked = [], []
    convert, targets = array_checks._converted, sample_checks.targets
    monkeypatch.setattr(array_checks, "_converted", lambda *args: converted.append(args[0]) or convert(*args))
    monkeypatch.setattr(
        sample_checks, "targets", lambda *args, **kw: checked.append(args) or targets(*args, **kw)
    )
    models = [classifier(i) for i in range(6)] + [classifier(i, dtype="float64") for i in range(6)]
    fn.fit_many(models, X.astype(np.float16), LABELS, validation_data=(X, LABELS))
    # y, which the validation data has in common, is converted once a dtype; so is each X, if it must be
    assert sorted(name for name in converted if name[-1] in "Xy") == [*"XX", "validation X", *"yy"]
    assert len(checked) == 2 * 2


def test_arrays_that_fit_are_used_where_they_lie():
    x, y = X.astype(np.float32), VALUES.astype(np.float32)
    models = [fn.Model([fn.Dense(3)], "mse", seed=i) for i in range(2)]
    fn.fit_many(models, x, y, batch_size=None)
    for model in models:
        _, net = model.executor._networks["train"]
        assert net.fields.x == x.ctypes.data


class Failing(fn.Callback):
    def on_epoch_end(self, epoch, logs):
        if epoch == 2:
            raise OSError("no space left")


def test_each_model_judges_missing_targets_of_shared_data_by_itself():
    y = VALUES.copy()
    y[5, 1] = np.nan
    models = [fn.Model([fn.Dense(3)], "mse", seed=0, missing_targets=how) for how in ("ignore", "raise")]
    with pytest.raises(ValueError, match=r"model 1: y must be finite numbers of .*, got nan at \(5, 1\)"):
        fn.fit_many(models, X, y)
    assert all(model.n_in is None for model in models)


def test_a_failed_model_is_reported_and_the_rest_kept():
    def models():
        made = [classifier(i) for i in range(6)]
        made[1].optimizer = fn.SGD(1e30)
        return made

    alone, together = models(), models()
    callbacks = [[] for _ in together]
    callbacks[4] = [Failing()]
    message = r"2 of 6 models failed.*model 1: DivergenceError: .*; model 4: OSError: no space left"
    with pytest.warns(RuntimeWarning, match=message):
        histories = fn.fit_many(together, X, LABELS, epochs=5, callbacks=callbacks, threads=2)
    assert isinstance(histories[1].error, fn.DivergenceError)
    assert isinstance(histories[4].error, OSError)
    assert len(histories[4].epoch) == 3
    assert all(np.isfinite(model.parameters).all() for model in together)
    for i in (0, 2, 3, 5):
        assert alone[i].fit(X, LABELS, epochs=5).history == histories[i].history
    with pytest.raises(fn.DivergenceError):
        alone[1].fit(X, LABELS, epochs=5)
    assert np.array_equal(alone[1].parameters, together[1].parameters)
    assert (histories[1].error.epoch, histories[1].error.step) == (0, 1)
    assert str(pickle.loads(pickle.dumps(histories[1].error))) == str(histories[1].error)


def test_callbacks_of_each_model():
    stops = [fn.EarlyStopping(monitor="loss", patience=1, min_delta=delta) for delta in (10.0, 0.0)]
    seen = []
    models = [classifier(i) for i in range(2)]
    callbacks = [[stop, lambda epoch, logs: seen.append(threading.current_thread())] for stop in stops]
    short, long = fn.fit_many(models, X, LABELS, epochs=5, callbacks=callbacks, verbose=1)
    assert (len(short.epoch), stops[0].stopped_epoch) == (2, 1)
    assert len(long.epoch) >= len(short.epoch)
    assert [stop.model for stop in stops] == models
    assert threading.main_thread() not in seen


def test_what_is_no_failure_of_a_model_ends_all():
    def leave(epoch, logs):
        raise SystemExit(3)

    models = [classifier(i) for i in range(4)]
    with pytest.raises(SystemExit):
        fn.fit_many(models, X, LABELS, epochs=10**7, threads=2, callbacks=[[leave], [], [], []])
    assert all(model.state.epoch < 10**7 for model in models if model.n_in)
    assert all(np.isfinite(model.parameters).all() for model in models if model.history)
    assert not any(thread.name.startswith("fastnn") for thread in threading.enumerate())


def test_one_bar_for_all(capsys):
    fn.fit_many([classifier(i) for i in range(5)], X, LABELS, epochs=4, verbose=1)
    assert "20/20" in capsys.readouterr().err
    fn.fit_many([classifier(i) for i in range(5)], X, LABELS, epochs=4)
    assert capsys.readouterr().err == ""


REFUSED = {
    "one model": (
        lambda m: (m[0], X, LABELS, {}),
        TypeError,
        "models must be a sequence of models, got Model",
    ),
    "not a model": (lambda m: ([m[0], 3], X, LABELS, {}), TypeError, "got 3 at 1"),
    "none": (lambda m: ([], X, LABELS, {}), ValueError, "must not be empty"),
    "twice": (lambda m: ([m[0], m[0]], X, LABELS, {}), ValueError, "stands twice"),
    "too many data sets": (
        lambda m: (m, [X] * 3, LABELS, {}),
        ValueError,
        "X is a list and so holds one item for each of the 2 models, got 3",
    ),
    "a plain list": (lambda m: (m, X, LABELS.tolist(), {}), ValueError, "y is a list .*got 120"),
    "numbers": (lambda m: (m, X, [1, 2], {}), ValueError, "model 0: y must have 1 or 2 dimensions"),
    "data of one": (lambda m: (m, [X, X[:5]], LABELS, {}), ValueError, "model 1: y must have 5 rows"),
    "NaN": (lambda m: (m, [X, X * np.nan], LABELS, {}), ValueError, "model 1: X must be finite"),
    "epochs": (lambda m: (m, X, LABELS, {"epochs": [1, -1]}), ValueError, "model 1: epochs must be >= 0"),
    "too many epochs": (lambda m: (m, X, LABELS, {"epochs": [1]}), ValueError, "epochs is a list"),
    "threads": (lambda m: (m, X, LABELS, {"threads": 0}), ValueError, "threads must be >= 1, got 0"),
    "verbose": (lambda m: (m, X, LABELS, {"verbose": 7}), ValueError, "verbose must be"),
    "a callback": (lambda m: (m, X, LABELS, {"callbacks": Failing()}), TypeError, "one sequence a model"),
    "callbacks of one": (
        lambda m: (m, X, LABELS, {"callbacks": [Failing(), Failing()]}),
        TypeError,
        "model 0: callbacks must be a sequence",
    ),
    "callbacks in one list": (
        lambda m: (m, X, LABELS, {"callbacks": [fn.EarlyStopping()]}),
        TypeError,
        r"model 0: callbacks must be .* got a single one, .*EarlyStopping.* callbacks=\[\[...\] for _ in",
    ),
    "shared callback": (
        lambda m: (m, X, LABELS, {"callbacks": [[Failing()]] * 2}),
        ValueError,
        "share a callback",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_before_anything_is_trained(call, error, message):
    models = [classifier(i).build(4) for i in range(2)]
    before = [model.parameters.copy() for model in models]
    chosen, x, y, options = call(models)
    with pytest.raises(error, match=message):
        fn.fit_many(chosen, x, y, **options)
    for model, parameters in zip(models, before, strict=True):
        assert np.array_equal(model.parameters, parameters)
        assert model.state.epoch == 0 and model.history is None


INTERRUPTED = """
import threading, time
import numpy as np, fastnn as fn
rng = np.random.default_rng(0)
X, y = rng.random((2000, 8), np.float32), rng.random((2000, 1), np.float32)
models = [fn.Model([fn.Dense(16, "tanh"), fn.Dense(1)], loss="mse", seed=i).build(8) for i in range(6)]
models[0].fit(X[:64], y[:64])

def tell_that_they_train():
    while models[1].state.step == 0:
        time.sleep(0.01)
    print("ready", flush=True)

threading.Thread(target=tell_that_they_train, daemon=True).start()
try:
    fn.fit_many(models, X, y, epochs=1_000_000, threads=2, verbose=0)
    print("went to the end", flush=True)
except KeyboardInterrupt:
    print("stopped", flush=True)
assert not any(thread.name.startswith("fastnn") for thread in threading.enumerate())
for model in models[:2]:
    assert len(model.history.epoch) > 0
    assert set(map(len, model.history.history.values())) == {len(model.history.epoch)}
for model in models:
    assert np.isfinite(model.parameters).all()
    assert np.isfinite(model.fit(X[:64], y[:64], epochs=2).history["loss"]).all()
assert models[5].state.step == 4  # its turn never came
print("fine", flush=True)
"""


def test_interrupt_stops_all():
    assert_interrupt_stops(INTERRUPTED, within=1)
