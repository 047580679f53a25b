"""`fit_many(executor=)` by Python's own executors: the bits of threads, dead workers, what is refused."""

import multiprocessing
import pickle
import threading
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import fastnn as fn
from fastnn.distributed import engines, worker
from tests.helpers.executors import (
    LABELS,
    X,
    assert_same,
    fit_here_and_there,
    kill_workers,
    models,
)
from tests.helpers.interrupted import assert_interrupt_stops, stopped_after

# Newer versions of Python warn of forks beside threads; here they save a second a worker.
forking = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
FORK = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def spawned():
    """Workers that have nothing of this process but what travels."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture
def here():
    """An executor whose one worker is this process, so that what it does can be changed."""

    class Here(engines.Executor):
        def submit(self, function, *arguments):
            future = Future()
            try:
                future.set_result(function(*arguments))
            except BaseException as error:
                future.set_exception(error)
            return future

    return Here()


@pytest.mark.filterwarnings("ignore:1 of 5 models failed")
def test_processes_give_the_bits_of_threads(spawned):
    fit_here_and_there(spawned)


@pytest.mark.filterwarnings("ignore:1 of 5 models failed")
def test_a_pool_of_threads_gives_the_bits_of_threads():
    with ThreadPoolExecutor(2) as pool:
        fit_here_and_there(pool)
        fit_here_and_there(pool, threads=2)


def test_functions_travel(spawned):
    """Also those that no module has; what they tell the callbacks' owner comes back."""
    scale = 2.0

    def off(y, prediction):
        return scale * float(np.abs(prediction).max())

    def backwards(epoch):
        return np.arange(540)[::-1]

    there, alone = ([fn.Model([fn.Dense(3)], "cross_entropy", metrics=[off], seed=1)] for _ in "ab")
    options = {"epochs": 5, "shuffle": backwards, "validation_split": 0.1}
    options["callbacks"] = [[lambda epoch, logs: logs["val_off"] > 0 and epoch == 2]]
    histories = fn.fit_many(there, X, LABELS, executor=spawned, **options)
    assert_same(there, histories, alone, fn.fit_many(alone, X, LABELS, **options))
    assert len(histories[0].epoch) == 3 and there[0].metric_functions == (off,)


@pytest.mark.sweep
def test_functions_that_are_registered_travel(spawned):
    """A file of the model has their names only; compiling them in both processes takes seconds."""
    scale = 0.5
    bent = fn.register_activation(lambda x: scale * x, lambda x, y: scale, "bent_here")
    fourth = fn.register_loss(lambda y, t: (y - t) ** 4, lambda y, t: 4 * (y - t) ** 3, "fourth_here")
    slower = fn.register_schedule(lambda step: 0.001 / (1 + step), "slower_here")
    there, alone = (
        [fn.Model([fn.Dense(4, bent), fn.Dense(1)], fourth, fn.SGD(slower), seed=1)] for _ in "ab"
    )
    histories = fn.fit_many(there, X, LABELS, executor=spawned, epochs=3)
    assert_same(there, histories, alone, fn.fit_many(alone, X, LABELS, epochs=3))


@pytest.mark.sweep
def test_data_of_all_kinds_travel(here):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": X[:, 0], "b": np.where(LABELS == 0, "yes", "no"), "c": X[:, 1]})
    coded, alone = (
        [fn.Model([fn.OneHot([1]), fn.Standardize(), fn.Dense(3)], "cross_entropy", seed=0)] for _ in "ab"
    )
    weights, own = RNG_WEIGHTS, {"epochs": 3, "class_weight": "balanced"}
    found = fn.fit_many(coded, table, LABELS, sample_weight=weights, executor=here, **own)
    assert_same(coded, found, alone, fn.fit_many(alone, table, LABELS, sample_weight=weights, **own))
    assert coded[0].feature_names_in_.tolist() == ["a", "b", "c"]
    assert np.array_equal(coded[0].predict(table), alone[0].predict(table))

    steps, lengths = RNG_STEPS, np.arange(1, 61) % 5 + 1
    many, alone = ([fn.Model([fn.LSTM(3), fn.Dense(2)], "mse", seed=i) for i in range(2)] for _ in "ab")
    given = {"epochs": 2, "lengths": lengths, "validation_split": 0.2}
    targets = [steps[:, 0], steps[:, 1]]
    found = fn.fit_many(many, steps, targets, executor=here, **given)
    assert_same(many, found, alone, fn.fit_many(alone, steps, targets, **given))


RNG_WEIGHTS = np.random.default_rng(1).random(len(X))
RNG_STEPS = np.random.default_rng(2).normal(size=(60, 5, 2))


def test_the_data_are_written_once_for_all_models(here, monkeypatch):
    written = []
    save = np.save
    monkeypatch.setattr(np, "save", lambda path, array: (written.append(array), save(path, array)))
    three = [fn.Model([fn.Dense(3)], "cross_entropy", seed=i) for i in range(3)]
    fn.fit_many(three, X, LABELS, executor=here, validation_split=0.5)
    assert len(written) == 4  # X and y, of training and of validation


def test_workers_elsewhere_are_sent_the_data_once(monkeypatch):
    """They cannot read the folder, and have taken several calls before they get them."""

    class OneWorker(engines.Executor):
        def __init__(self):
            self.sent, self._thread = [], ThreadPoolExecutor(1)

        def submit(self, function, *arguments):
            self.sent.append(function is worker.keep_and_train)
            return self._thread.submit(function, *arguments)

    def unreadable(folder):
        raise FileNotFoundError(folder)

    monkeypatch.setattr(worker, "_read", unreadable)
    some, alone, executor = models()[:4], models()[:4], OneWorker()
    found = fn.fit_many(some, X, LABELS, executor=executor, epochs=2)
    assert_same(some, found, alone, fn.fit_many(alone, X, LABELS, epochs=2))
    assert sum(executor.sent) == 1 and len(executor.sent) == 8


def test_an_interrupted_epoch_is_resumed_by_a_worker(here):
    one, other = models()[:1], models()[:1]
    for (model,) in (one, other):
        with stopped_after(7):
            model.fit(X, LABELS, epochs=3)
        assert model.state.position
    found = fn.fit_many(one, X, LABELS, epochs=3, resume=True, executor=here)
    assert_same(one, found, other, fn.fit_many(other, X, LABELS, epochs=3, resume=True))


def test_a_call_that_begins_after_the_caller_gave_up_does_nothing(tmp_path):
    """As one that a worker has taken already when Ctrl-C comes; elsewhere there is neither folder."""
    given = worker.__version__, "0.0", b"no pickle"
    assert worker.train(*given, str(tmp_path / "gone"), [X]) == (worker.GIVEN_UP, None)
    with pytest.raises(pickle.UnpicklingError):  # it begins
        worker.train(*given, str(tmp_path / "not here" / "gone"), [X])


@forking
def test_models_are_tried_again_if_a_worker_dies(tmp_path):
    with ProcessPoolExecutor(2, FORK) as pool:
        with pytest.warns(RuntimeWarning, match="of no more use"):
            histories = kill_workers(pool, tmp_path / "killed", always=False)
        assert all(history.error is None for history in histories)
        with pytest.raises(RuntimeError, match="the executor takes no calls: BrokenProcessPool"):
            fn.fit_many(models()[:1], X, LABELS, executor=pool)


@forking
@pytest.mark.filterwarnings("ignore:a worker of the executor died")
def test_a_model_whose_worker_dies_twice_has_an_error(tmp_path):
    with ProcessPoolExecutor(2, FORK) as pool, pytest.warns(RuntimeWarning, match="1 of 4 models failed"):
        histories = kill_workers(pool, tmp_path, always=True)
    assert "died (killed, out of memory?), and so did the one that tried it again" in str(histories[1].error)
    assert isinstance(histories[1].error.__cause__, BrokenExecutor)


def test_a_broken_executor_of_another_kind_is_not_replaced(here, monkeypatch):
    def broken(*arguments):
        raise BrokenExecutor("no worker")

    monkeypatch.setattr(worker, "train", broken)
    some = models()[:2]
    with pytest.warns(RuntimeWarning, match="2 of 2 models failed"):
        histories = fn.fit_many(some, X, LABELS, executor=here)
    assert "the worker that trained it died" in str(histories[0].error)
    assert not some[0].executor.is_built and some[0].history is None


def test_the_error_of_a_callback_comes_back(here):
    class OwnError(Exception):
        pass

    def fail(epoch, logs):
        raise OwnError("at", epoch)

    some = models()[:2]
    with pytest.warns(RuntimeWarning, match="model 0: OwnError"):
        histories = fn.fit_many(some, X, LABELS, epochs=3, callbacks=[[fail], []], executor=here)
    assert isinstance(histories[0].error, OwnError) and histories[0].error.args == ("at", 0)
    assert "raise OwnError" in histories[0].error.__notes__[0]
    assert histories[0].epoch == [0] and histories[1].error is None


def test_a_worker_of_another_version_is_named(here, monkeypatch):
    monkeypatch.setattr(worker, "__version__", "9.9")
    some = models()
    with pytest.raises(RuntimeError, match=r"a worker has fastnn 9\.9, this process .*: install one version"):
        fn.fit_many(some, X, LABELS, executor=here)
    assert not any(model.executor.is_built for model in some)


def test_a_worker_without_fastnn_is_named(here, monkeypatch):
    def missing(*arguments):
        raise ModuleNotFoundError("No module named 'fastnn'")

    monkeypatch.setattr(worker, "train", missing)
    with pytest.raises(
        RuntimeError, match="a worker has no fastnn .*, which its Python must be able to import"
    ):
        fn.fit_many(models(), X, LABELS, executor=here)


def test_what_cannot_be_pickled_is_named(here):
    lock = threading.Lock()

    def holding(epoch, logs=None):
        return lock

    some = models()
    with pytest.raises(
        TypeError, match="model 1: the callback <function .*holding.* cannot be pickled.*lock"
    ):
        fn.fit_many(some, X, LABELS, callbacks=[[], [holding], [], [], []], executor=here)
    with pytest.raises(TypeError, match="model 0: shuffle=<function .*holding.* cannot be pickled"):
        fn.fit_many(some[:1], X, LABELS, shuffle=holding, executor=here)
    assert not any(model.executor.is_built for model in some)


@pytest.mark.parametrize(
    ("executor", "message"),
    [
        (3, "executor must be a concurrent.futures.Executor, .* got 3"),
        ("dask", "executor must be .* or 'ray' or 'joblib', .* got 'dask'"),
        (ProcessPoolExecutor, "got <class .*; this is a class: make one of it"),
        (np, "executor must be"),
    ],
)
def test_what_is_no_executor_is_refused(executor, message):
    some = models()
    with pytest.raises(TypeError, match=message):
        fn.fit_many(some, X, LABELS, executor=executor)
    assert not any(model.executor.is_built for model in some)


@pytest.mark.parametrize("kind", [ProcessPoolExecutor, ThreadPoolExecutor])
def test_an_executor_that_is_shut_down_is_named(kind):
    pool, some = kind(1), models()
    pool.shutdown()
    with pytest.raises(
        RuntimeError, match="the executor takes no calls: .*after shutdown; no model was trained"
    ):
        fn.fit_many(some, X, LABELS, executor=pool)
    assert not any(model.executor.is_built for model in some)


def test_a_library_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ImportError, match="executor='ray' needs ray: python -m pip install ray"):
        fn.fit_many(models(), X, LABELS, executor="ray")


def test_progress_counts_models_that_have_ended(here, capsys):
    some = models()[:3]
    fn.fit_many(some, X, LABELS, epochs=2, executor=here, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line[:9] for line in lines) == ["Model 1/3", "Model 2/3", "Model 3/3"]


INTERRUPTED = """
import multiprocessing, os, threading, time
from concurrent.futures import ProcessPoolExecutor
from tests.helpers.executors import X, LABELS, Sleeping, models
import fastnn as fn

pool = ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
some = models()[:3]
first = fn.Model([fn.Dense(90), fn.Dense(3)], "cross_entropy", seed=0)  # the largest is begun first


def tell():
    while first.history is None:
        time.sleep(0.01)
    print("ready", flush=True)


threading.Thread(target=tell).start()
callbacks = [[lambda epoch, logs: True], [Sleeping()], [Sleeping()], [Sleeping()]]
try:
    fn.fit_many([first, *some], X, LABELS, epochs=1000, executor=pool, callbacks=callbacks)
except KeyboardInterrupt:
    print("stopped", flush=True)
left = [model.executor.is_built for model in some]
start = time.perf_counter()
free = pool.submit(os.getpid).result() != os.getpid() and time.perf_counter() - start < 5
print("fine" if free and not any(left) and len(first.history.epoch) == 1 else (free, left), flush=True)
"""


@pytest.mark.slow
def test_an_interrupt_keeps_what_has_ended_and_frees_the_workers():
    assert_interrupt_stops(INTERRUPTED, within=1.0)
