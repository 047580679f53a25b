"""Whatever ends a training: every callback that began is told, and the best weights are put back."""

import pickle
from html import escape

import numpy as np
import pytest

import fastnn as fn
from fastnn.engine import launch
from fastnn.sklearn import MLPClassifier, MLPRegressor
from tests.helpers.interrupted import assert_interrupt_stops

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
Y = X @ [1.0, -2.0, 0.5]


def network():
    layers = [fn.Dense(4, "tanh"), fn.Dense(1)]
    return fn.Model(layers, loss="mse", optimizer=fn.SGD(0.05), dtype="float64", seed=0)


class Ending(fn.Callback):
    """Keeps the weights of the epoch of least loss, and ends training after the sixth in some way."""

    def __init__(self, how=None):
        self.how, self.weights, self.best = how, None, np.inf

    def on_epoch_end(self, epoch, logs):
        if logs["loss"] < self.best:
            self.best, self.weights = logs["loss"], self.model.parameters.copy()
        if epoch >= 2:  # the loss grows from here on
            self.model.optimizer.learning_rate = 1e-6
            self.model.parameters[...] *= 1.5
        if epoch == 5 and self.how is fn.DivergenceError:
            self.model.optimizer.learning_rate = 1e200
        elif epoch == 5 and self.how is not None:
            raise self.how("the end")


ENDS = [None, fn.DivergenceError, KeyboardInterrupt, SystemExit, RuntimeError]


def stop():
    return fn.EarlyStopping("loss", patience=100, restore_best=True)


@pytest.mark.parametrize("how", ENDS)
def test_best_weights_are_back_after_fit(how):
    model, ending = network(), Ending(how)
    if how is None:
        model.fit(X, Y, epochs=8, callbacks=[stop(), ending])
    else:
        with pytest.raises(how):
            model.fit(X, Y, epochs=20, callbacks=[stop(), ending])
    losses = model.history.history["loss"]
    assert np.argmin(losses) < len(losses) - 1
    assert np.array_equal(model.parameters, ending.weights)


@pytest.mark.parametrize("how", [fn.DivergenceError, RuntimeError])
def test_best_weights_are_back_after_fit_many(how):
    models, endings = [network(), network()], [Ending(how), Ending()]
    with pytest.warns(RuntimeWarning, match="1 of 2 models failed"):
        fn.fit_many(models, X, Y, epochs=8, callbacks=[[stop(), ending] for ending in endings])
    for model, ending in zip(models, endings, strict=True):
        assert np.array_equal(model.parameters, ending.weights)


def test_best_weights_are_back_after_fit_many_is_interrupted():
    models, ending = [network(), network()], Ending(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        fn.fit_many(models, X, Y, epochs=8, threads=1, callbacks=[[stop(), ending], []])
    assert np.array_equal(models[0].parameters, ending.weights)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_an_estimator_ends_with_the_best_weights_after_ctrl_c(kind):
    ending = Ending(KeyboardInterrupt)
    network = kind(
        hidden_layer_sizes=(4,),
        solver="sgd",
        learning_rate_init=0.05,
        callbacks=[stop(), ending],
        random_state=0,
    )
    with pytest.warns(UserWarning, match="interrupted by user"):
        network.fit(X, Y > 0 if kind is MLPClassifier else Y)
    assert np.array_equal(network.model_.parameters, ending.weights)
    assert network.n_iter_ == len(network.loss_curve_) == 6


def test_the_epochs_that_an_estimator_did_before_an_error_are_recorded():
    network = MLPRegressor(
        hidden_layer_sizes=(4,), n_iter_no_change=50, callbacks=[Ending(RuntimeError)], random_state=0
    )
    with pytest.raises(RuntimeError, match="the end"):
        network.fit(X, Y)
    assert network.n_iter_ == len(network.loss_curve_) == 6


CTRL_C = """
import warnings
import numpy as np
import fastnn as fn
from fastnn.engine import launch
from fastnn.sklearn import MLPRegressor

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 3))
Y = X @ [1.0, -2.0, 0.5]
best = []


def look(epoch, logs):
    logs["mine"] = float(epoch != 3)
    if epoch == 3:
        best.append(stop.model.parameters.copy())
        print("ready", flush=True)


stop = fn.EarlyStopping("mine", patience=10**9, restore_best=True)
layers = [fn.Dense(8, "tanh"), fn.Dense(1)]
model = fn.Model(layers, loss="mse", optimizer=fn.SGD(0.01), dtype="float64", seed=0)
callbacks = [look, stop]
{fit}
print("stopped", flush=True)
if np.array_equal(model.parameters, best[0]):
    print("fine", flush=True)
"""
FITS = {
    "fit": """
try:
    model.fit(X, Y, epochs=10**9, validation_split=0.5, callbacks=callbacks)
except KeyboardInterrupt:
    pass
""",
    "fit_many": """
try:
    fn.fit_many([model], X, Y, epochs=10**9, callbacks=[callbacks])
except KeyboardInterrupt:
    pass
""",
    "estimator": """
estimator = MLPRegressor(
    hidden_layer_sizes=(8,), max_iter=10**9, n_iter_no_change=10**9, callbacks=callbacks, random_state=0
)
warnings.simplefilter("ignore")
estimator.fit(X, Y)
model = estimator.model_
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("fit", FITS)
def test_best_weights_are_back_after_a_real_ctrl_c(fit):
    assert_interrupt_stops(CTRL_C.format(fit=FITS[fit]), within=5)


class Counter(fn.Callback):
    def __init__(self, name, calls, begin=None, end=None):
        self.name, self.calls, self.failures = name, calls, {"begin": begin, "end": end}

    def note(self, where):
        self.calls.append(f"{self.name} {where}")
        if self.failures[where]:
            raise self.failures[where]

    def on_train_begin(self):
        self.note("begin")

    def on_train_end(self):
        self.note("end")


@pytest.mark.parametrize("first", [None, RuntimeError("of an epoch"), KeyboardInterrupt("of an epoch")])
def test_every_end_is_called_and_the_first_error_is_raised(first):
    def fail(epoch, logs):
        if first is not None:
            raise first

    calls = []
    ends = [ValueError("of a's end"), KeyboardInterrupt("of b's end"), None]
    counters = [Counter(name, calls, end=end) for name, end in zip("abc", ends, strict=True)]
    expected = ends[0] if first is None else first
    with pytest.raises(type(expected)) as caught:
        network().fit(X, Y, epochs=3, callbacks=[*counters, fail])
    assert caught.value is expected
    assert calls == [f"{name} {where}" for where in ("begin", "end") for name in "abc"]
    notes = "\n".join(expected.__notes__)
    assert ("Counter.on_train_end raised too: ValueError: of a's end" in notes) is (first is not None)
    assert "Counter.on_train_end raised too: KeyboardInterrupt: of b's end" in notes


def test_only_callbacks_that_began_are_told_of_the_end():
    calls = []
    counters = [Counter("a", calls), Counter("b", calls, begin=ValueError("b")), Counter("c", calls)]
    with pytest.raises(ValueError, match="b"):
        network().fit(X, Y, callbacks=counters)
    assert calls == ["a begin", "b begin", "a end"]


def test_an_end_sees_the_history_and_the_epoch_to_go_on_with(tmp_path):
    """What a callback saves when Ctrl-C ends training is resumed as if it had not been stopped."""
    seen = []

    class Save(fn.Callback):
        def on_train_end(self):
            seen.append(list(self.model.history.epoch))
            self.model.save(tmp_path / "m.safetensors", training=True)

    def interrupted(epoch, logs):
        raise KeyboardInterrupt

    model = network()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=3, callbacks=[Save(), interrupted])
    again, other = fn.load(tmp_path / "m.safetensors"), network()
    again.fit(X, Y, epochs=2, resume=True)
    other.fit(X, Y, epochs=3)
    assert seen == [[0]] and np.array_equal(again.parameters, other.parameters)


def test_a_used_early_stopping_does_not_restore_the_weights_of_an_earlier_training():
    callback = stop()
    network().fit(X, Y, epochs=3, callbacks=[callback])
    model = network().build(3)
    before = model.parameters.copy()
    with pytest.raises(ValueError, match="at once"):
        model.fit(X, Y, callbacks=[Counter("a", [], begin=ValueError("at once")), callback])
    assert np.array_equal(model.parameters, before)


class OwnError(Exception):
    """An error that cannot be copied: its class takes other arguments."""

    def __init__(self, code, where):
        super().__init__(f"code {code} {where}")


@pytest.mark.parametrize(
    ("how", "kind", "text"),
    [
        (fn.DivergenceError, fn.DivergenceError, "DivergenceError: training diverged in epoch 7"),
        (RuntimeError, RuntimeError, "RuntimeError: the end"),
        (lambda text: OwnError(3, "<b>here</b>"), RuntimeError, "OwnError: code 3 <b>here</b>"),
    ],
)
def test_the_history_of_a_failed_fit_shows_the_error(how, kind, text):
    model = network()
    with pytest.raises((fn.DivergenceError, RuntimeError, OwnError)) as caught:
        model.fit(X, Y, epochs=20, callbacks=[Ending(how)])
    for history in (model.history, pickle.loads(pickle.dumps(model)).history):
        assert type(history.error) is kind and history.error.__traceback__ is None
        assert f"{text}" in repr(history).replace("RuntimeError: OwnError", "OwnError")
        assert escape(text) in history._repr_html_().replace("RuntimeError: OwnError", "OwnError")
    assert caught.value is not model.history.error
    model.optimizer.learning_rate, model.parameters[...] = 1e-3, 0
    model.fit(X, Y)
    assert model.history.error is None and "ended by" not in repr(model.history)


def test_the_history_of_a_failed_model_of_many_is_pickled_by_its_text():
    def fail(epoch, logs):
        raise OwnError(3, "here")

    model = network()
    with pytest.warns(RuntimeWarning):
        [history] = fn.fit_many([model], X, Y, callbacks=[[fail]])
    assert isinstance(history.error, OwnError) and "ended by OwnError: code 3 here" in repr(history)
    assert str(pickle.loads(pickle.dumps(history)).error) == "OwnError: code 3 here"


@pytest.mark.parametrize("call", range(1, 7))
@pytest.mark.parametrize("split", [0.0, 0.25])
def test_an_interrupted_epoch_that_is_done_is_told(call, split, monkeypatch):
    """Ctrl-C comes with the end of a compiled call: what is in the weights, callbacks and history know."""
    left, run, told = [call], launch.run, []

    def run_and_interrupt(entry, *arguments):
        run(entry, *arguments)
        left[0] -= entry == "train"
        if left[0] == 0 and entry == "train":
            raise KeyboardInterrupt

    monkeypatch.setattr(launch, "run", run_and_interrupt)
    model = network()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=100, validation_split=split, callbacks=[lambda epoch, logs: told.append(logs)])
    assert len(told) == model.state.epoch == len(model.history.epoch) == call
    assert {len(values) for values in model.history.history.values()} == {call}
    assert ("val_loss" in told[-1]) == (split > 0)
