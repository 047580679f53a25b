"""Promise 7: threads when something goes wrong, and several Python threads that use models at once."""

import _thread
import functools
import os
import pickle
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastnn as fn
import fastnn.onnx
from fastnn.compiler import loader
from fastnn.engine import launch, threads, weights_lock
from fastnn.training import loop
from tests.guarantees import soak
from tests.guarantees.soak import at_once
from tests.helpers.posix_only import needs_posix

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X, LABELS, VALUES = RNG.normal(size=(300, 31)), RNG.integers(0, 7, 300), RNG.normal(size=(300, 7))


@pytest.fixture(autouse=True)
def any_number_of_threads():
    yield
    fn.set_threads(None)


def model_of(optimizer="adam", loss="cross_entropy", dropout=0.2, seed=1):
    layers = [fn.Dense(67, "gelu"), fn.Dropout(dropout), fn.Dense(43, "softmax"), fn.Dense(7)]
    return fn.Model(layers, loss=loss, optimizer=optimizer, seed=seed).build(31)


def failing_start(at):
    """`start_new_thread`, which fails the `at`-th time and after."""
    left, start = [at], _thread.start_new_thread

    def start_or_fail(*arguments):
        left[0] -= 1
        if left[0] <= 0:
            raise RuntimeError("can't start new thread")
        return start(*arguments)

    return start_or_fail


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_thread_that_cannot_be_started(at, monkeypatch):
    model = model_of()
    fn.set_threads(4)
    large = np.resize(X, (6000, 31))
    prediction, figures = model.predict(large), model.evaluate(X, LABELS)
    before = model.parameters.copy()
    with monkeypatch.context() as patch:
        for call in (
            lambda: model.fit(X, LABELS, epochs=3, batch_size=None, threads=4),
            lambda: model.evaluate(X, LABELS),
            lambda: model.loss_and_gradient(X, LABELS),
            lambda: model.predict(large),
        ):
            patch.setattr(_thread, "start_new_thread", failing_start(at))
            with pytest.raises(RuntimeError, match="can't start new thread"):
                call()
    assert np.array_equal(model.parameters, before)
    assert (model.state.step, model.state.epoch) == (0, 0)
    assert np.array_equal(model.predict(large), prediction)
    assert model.evaluate(X, LABELS) == figures
    serial = model_of()
    for each, count in ((model, 4), (serial, 1)):
        each.fit(X, LABELS, epochs=3, batch_size=128, threads=count)
    assert np.array_equal(model.parameters, serial.parameters)


def test_an_error_in_a_worker_is_raised(monkeypatch):
    fn.set_threads(2)
    model, large, predict = model_of(), np.resize(X, (6000, 31)), launch.predict
    expected = model.predict(large)

    def fail_in_a_worker(*arguments, **options):
        if threading.current_thread() is not threading.main_thread():
            raise MemoryError("in a worker")
        return predict(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(launch, "predict", fail_in_a_worker)
        with pytest.raises(MemoryError, match="in a worker"):
            model.predict(large)
    assert np.array_equal(model.predict(large), expected)


class Stop(Exception):
    pass


@needs_posix
@pytest.mark.parametrize("number, raised", [("SIGINT", KeyboardInterrupt), ("SIGALRM", Stop)])
@pytest.mark.parametrize("slow", [0, 1])
def test_a_signal_is_raised_when_all_calls_have_ended(number, raised, slow):
    """The threads write to memory that the caller frees."""

    def stop(*arguments):
        raise raised

    before = signal.signal(getattr(signal, number), stop)
    ended, begun, sent = [False, False], threading.Event(), threading.Event()

    def send():
        assert begun.wait(60)  # on a busy machine that takes longer than the timer
        signal.pthread_kill(threading.main_thread().ident, signal.Signals[number])
        sent.set()

    def call(i):
        begun.set()
        if i == slow:
            assert sent.wait(60)
            time.sleep(0.1)
        ended[i] = True

    try:
        timer = threading.Timer(0.1, send)
        timer.start()
        with pytest.raises(raised):
            threads.run_together([functools.partial(call, i) for i in range(2)])
        assert ended[1]
        assert ended[0] or number != "SIGINT"  # another signal may stop Python code in this thread
        timer.join()
    finally:
        signal.signal(getattr(signal, number), before)


def test_an_update_is_made_by_all_threads_or_none(monkeypatch):
    """An exception, as of a signal, that is raised in the first thread as soon as its part is done."""
    function, serial = loader.function, model_of("sgd")
    serial.fit(X, LABELS, batch_size=None, threads=1)

    def function_that_is_interrupted(name, *arguments):
        call = function(name, *arguments)

        def interrupted(thread, descriptor):
            call(thread, descriptor)
            if thread == 0 and name == "driver.loop.train":
                raise Stop

        return interrupted

    monkeypatch.setattr(loader, "function", function_that_is_interrupted)
    for _ in range(200):
        model = model_of("sgd")
        with pytest.raises(Stop):
            model.fit(X, LABELS, batch_size=None, threads=4)
        assert model.state.step == 1
        assert np.array_equal(model.parameters, serial.parameters)


# ---- several Python threads --------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 40, 3000])
def test_predictions_of_one_model_at_once(rows):
    fn.set_threads(2)
    inputs = [np.resize(np.roll(X, i, axis=0), (rows, 31)).copy() for i in range(8)]
    model = model_of()
    expected = [model.predict(x).tobytes() for x in inputs]
    new = fn.Model([fn.Dense(67, "gelu"), fn.Dense(7)], seed=0)  # built by whoever comes first
    same = fn.Model([fn.Dense(67, "gelu"), fn.Dense(7)], seed=0)
    launch = [lambda x=x: [model.predict(x).tobytes() for _ in range(20)] for x in inputs]
    assert at_once(launch) == [[value] * 20 for value in expected]
    first = at_once([lambda x=x: new.predict(x).tobytes() for x in inputs])
    assert first == [same.predict(x).tobytes() for x in inputs]


def test_fits_of_several_models_at_once():
    def fit(seed, count):
        model = model_of(loss="mse", seed=seed)
        history = model.fit(X, VALUES, epochs=10, batch_size=128, validation_split=0.2, threads=count)
        return model.parameters.tobytes(), repr(history.history)

    serial = [fit(seed, 1) for seed in range(5)]
    assert at_once([functools.partial(fit, seed, 2) for seed in range(5)]) == serial


def test_fits_of_one_model_take_turns():
    model, serial = model_of(dropout=0.0), model_of(dropout=0.0)
    at_once([lambda: model.fit(X, LABELS, epochs=3, batch_size=128, threads=2) for _ in range(4)])
    for _ in range(4):
        serial.fit(X, LABELS, epochs=3, batch_size=128)
    assert np.array_equal(model.parameters, serial.parameters)


def test_predict_does_not_wait_for_a_fit():
    model = model_of()
    entered, go_on = threading.Event(), threading.Event()

    def wait(epoch, logs):
        entered.set()
        assert go_on.wait(60)

    with ThreadPoolExecutor(2) as pool:
        fit = pool.submit(model.fit, X, LABELS, callbacks=[wait])
        try:
            assert entered.wait(60)
            assert np.isfinite(pool.submit(model.predict, X).result(30)).all()
            assert model.parameters.size and not fit.done()
        finally:
            go_on.set()
        assert fit.result(60).epoch == [0]


def test_predictions_by_many_threads():
    """For a minute in `make soak`."""
    assert soak.predict_at_once(2) > 8


def test_predictions_during_fits_see_the_weights_of_one_step():
    """For a minute in `make soak`."""
    seen, torn = soak.predict_while_fitting(2)
    assert seen > 2 and torn == 0


def test_a_race_would_be_seen(monkeypatch):
    """Where nobody notices that the weights change."""
    never = property(lambda self: 0, lambda self, value: None)
    monkeypatch.setattr(weights_lock.WeightsLock, "version", never, raising=False)
    assert any(soak.predict_while_fitting(2)[1] for _ in range(5))


def test_calls_during_a_fit_see_a_finished_step(tmp_path):
    """Evaluation, gradients, copies and files, while a callback keeps another thread's fit from ending."""
    model, twin = model_of(), model_of()
    twin.fit(X, LABELS, epochs=1)
    entered, go_on = threading.Event(), threading.Event()

    def wait(epoch, logs):
        entered.set()
        assert go_on.wait(60)

    def saved(model, name):
        model.save(tmp_path / name, training=True)
        return (tmp_path / name).read_bytes()

    def exported(model, name):
        fn.onnx.export(model, tmp_path / name)
        return (tmp_path / name).read_bytes()

    launch = {
        "evaluate": lambda model: model.evaluate(X, LABELS),
        "gradient": lambda model: model.loss_and_gradient(X, LABELS)[1].tobytes(),
        "pickle": lambda model: pickle.loads(pickle.dumps(model)).parameters.tobytes(),
        "save": lambda model: saved(model, "model"),
        "ONNX": lambda model: exported(model, "graph"),
    }
    with ThreadPoolExecutor(len(launch) + 1) as pool:
        fit = pool.submit(model.fit, X, LABELS, epochs=2, callbacks=[wait])
        try:
            assert entered.wait(60)
            results = {name: pool.submit(call, model) for name, call in launch.items()}
            for name, result in results.items():
                assert result.result(60) == launch[name](twin), name
            assert not fit.done()
        finally:
            go_on.set()
        fit.result(60)


def test_a_copy_made_within_an_epoch_goes_on_to_the_same_bits(monkeypatch):
    """The copy of another thread has what it takes to resume, whichever slice it falls between."""
    monkeypatch.setattr(loop, "SLICE", 0.001)
    x, y = np.resize(X, (60_000, 31)), np.resize(LABELS, 60_000)
    expected = model_of()
    expected.fit(x, y, batch_size=16)
    within = []
    for _ in range(20):  # on a busy machine the other thread may come too late
        model, copies, stop = model_of(), [], threading.Event()

        def make_copies(model=model, copies=copies, stop=stop):
            while not stop.is_set():
                copies.append(pickle.loads(pickle.dumps(model)))

        with ThreadPoolExecutor(1) as pool:
            copying = pool.submit(make_copies)
            model.fit(x, y, batch_size=16)
            stop.set()
            copying.result(60)
        within += [copy for copy in copies if copy.state.position]
        if within:
            break
    assert within, "no copy fell within the epoch"
    within[-1].fit(x, y, batch_size=16, resume=True)
    assert np.array_equal(within[-1].parameters, expected.parameters)


def both_fit(call, options):
    """Two models that `fit_many` trains at once, and whose first callbacks do `call` with the other model."""
    models = [model_of(), model_of(seed=2)]
    together = threading.Barrier(2)

    def with_the_other(i, epoch):
        if epoch == 0:
            together.wait(60)
            call(models[1 - i])

    callbacks = [[lambda epoch, logs, i=i: with_the_other(i, epoch)] for i in range(2)]
    return fn.fit_many(models, X, LABELS, threads=2, callbacks=callbacks, **options)


@pytest.mark.parametrize(
    "call",
    [
        lambda other: other.evaluate(X, LABELS),
        lambda other: other.loss_and_gradient(X, LABELS),
        lambda other: pickle.dumps(other),
        lambda other: other.build(31),
    ],
    ids=["evaluate", "gradient", "pickle", "build"],
)
def test_callbacks_may_use_each_others_models(call):
    histories = both_fit(call, {"epochs": 3})
    assert [history.error for history in histories] == [None, None]


def test_callbacks_that_train_each_others_models_are_refused():
    """One of them, since neither could continue; the other model is trained."""
    with pytest.warns(RuntimeWarning, match="neither could continue"):
        histories = both_fit(lambda other: other.fit(X, LABELS), {"epochs": 3})
    errors = [history.error for history in histories]
    assert errors.count(None) == 1
    assert [type(error) for error in errors if error] == [RuntimeError]


def test_many_models_that_a_callback_trains_and_its_own_among_them():
    """Their threads work for the one that waits for them: a lock of that one will not get free."""
    own, others = model_of(), [model_of(seed=2), model_of(seed=3)]
    histories = []

    def fit_all(epoch, logs):
        with pytest.warns(RuntimeWarning, match="neither could continue"):
            histories.extend(fn.fit_many([others[0], own], X, LABELS, threads=2))

    def fit_own(epoch, logs):
        own.fit(X, LABELS)

    def fit_one_that_wants_it(epoch, logs):
        with pytest.warns(RuntimeWarning, match="neither could continue"):
            histories.extend(fn.fit_many(others[1:], X, LABELS, callbacks=[[fit_own]]))

    own.fit(X, LABELS, epochs=2, callbacks=[fit_all])
    own.fit(X, LABELS, callbacks=[fit_one_that_wants_it])
    errors = [type(history.error) for history in histories]
    assert errors == [type(None), RuntimeError] * 2 + [RuntimeError]
    assert own.history.error is None and len(own.history.epoch) == 1


@pytest.mark.parametrize(
    "fit", [fn.Model.fit, lambda model, X, y, epochs: fn.fit_many([model], X, y, epochs=epochs)]
)
def test_an_interrupt_ends_fits_within_the_callbacks_of_many(fit):
    """The fit of another model that a callback of `fit_many` has begun stops as well."""
    models, other = [model_of(), model_of(seed=2)], model_of(seed=3).build(31)

    def interrupt_when_it_trains():
        while other.state.epoch == 0:
            time.sleep(0.01)
        _thread.interrupt_main()

    def fit_the_other(epoch, logs):
        threading.Thread(target=interrupt_when_it_trains, daemon=True).start()
        fit(other, X, LABELS, epochs=10**5)

    with pytest.raises(KeyboardInterrupt):
        fn.fit_many(models, X, LABELS, epochs=2, threads=2, callbacks=[[fit_the_other], []])
    assert 0 < other.state.epoch < 10**5


def test_more_threads_than_cores():
    count = 4 * (os.cpu_count() or 1) + 1
    model, serial = model_of(), model_of()
    for each, threads_of_it in ((model, count), (serial, 1)):
        each.fit(X, LABELS, epochs=3, batch_size=128, threads=threads_of_it)
    assert np.array_equal(model.parameters, serial.parameters)
    fn.set_threads(count)
    large = np.resize(X, (9000, 31))
    assert at_once([lambda: model.predict(large).tobytes()] * 3) == [serial.predict(large).tobytes()] * 3
