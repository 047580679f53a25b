"""`fit_many(executor=)` by loky, joblib, Dask, Ray and MPI: the bits of threads; workers that are killed."""

import _thread
import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import fastnn as fn
from tests.helpers.executors import LABELS, X, fit_here_and_there, kill_workers, models

pytestmark = [
    pytest.mark.ecosystem,
    pytest.mark.filterwarnings("ignore"),  # these libraries have their own, and models are made to fail
]


@contextlib.contextmanager
def dask_client():
    distributed = pytest.importorskip("distributed")
    import dask

    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    # A busy machine takes longer than 15 s to start another worker, which the cluster would then give up.
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "10 minutes"}),
        distributed.LocalCluster(**settings) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def dask():
    with dask_client() as client:
        yield client


@pytest.fixture
def changed_dask():
    """A client whose workers a test may spoil."""
    with dask_client() as client:
        yield client


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def loky():
    return pytest.importorskip("loky")


@pytest.fixture
def joblib_processes():
    joblib = pytest.importorskip("joblib")
    with joblib.parallel_config("loky", n_jobs=2):
        yield "joblib"


def executor_of(engine, request):
    """What is passed for an engine; a pool of loky is asked for again where one has lost a worker."""
    made = request.getfixturevalue(engine)
    return made.get_reusable_executor(2) if engine == "loky" else made


ENGINES = ["loky", "joblib_processes", "dask", "ray"]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_bits_of_threads(engine, request):
    fit_here_and_there(executor_of(engine, request))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_worker_that_is_killed_costs_a_try(engine, request, tmp_path):
    histories = kill_workers(executor_of(engine, request), tmp_path / "killed", always=False)
    assert all(history.error is None for history in histories)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_that_kills_its_workers_has_an_error(engine, request, tmp_path):
    histories = kill_workers(executor_of(engine, request), tmp_path, always=True)
    assert "worker" in str(histories[1].error)


@pytest.mark.parametrize("engine", ENGINES)
def test_functions_of_the_main_program_travel(engine, request):
    """Their module is none that a worker could import."""
    found = {"__name__": "__main__"}
    exec("def stop(epoch, logs):\n    return epoch == limit\n\nlimit = 1", found)
    some = models()[:2]
    executor = executor_of(engine, request)
    histories = fn.fit_many(some, X, LABELS, epochs=9, callbacks=[[found["stop"]]] * 2, executor=executor)
    assert [history.epoch for history in histories] == [[0, 1]] * 2


@pytest.mark.parametrize("engine", ENGINES)
def test_ctrl_c_ends_the_call_and_frees_the_workers(engine, request):
    some, executor = models()[:4], executor_of(engine, request)
    fn.fit_many(models()[:1], X, LABELS, executor=executor)  # the workers are there
    threading.Timer(1.0, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        fn.fit_many(some, X, LABELS, epochs=10_000_000, executor=executor)
    assert not any(model.executor.is_built for model in some)
    histories = fn.fit_many(some, X, LABELS, executor=executor)  # which would wait for hours
    assert all(history.error is None for history in histories)


def test_joblib_with_threads_and_without(request):
    joblib = pytest.importorskip("joblib")
    with joblib.parallel_config("threading", n_jobs=2):
        fit_here_and_there(joblib)
    fit_here_and_there("joblib")


def test_joblib_with_dask(dask):
    joblib = pytest.importorskip("joblib")
    with joblib.parallel_config("dask"):
        fit_here_and_there("joblib")


def test_dask_with_threads_in_this_process():
    distributed = pytest.importorskip("distributed")
    settings = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**settings) as cluster:
        with distributed.Client(cluster) as client:
            fit_here_and_there(client)
            with pytest.raises(TypeError, match="give its client"):
                fn.fit_many(models(), X, LABELS, executor=cluster)
        with pytest.raises(RuntimeError, match="the executor takes no calls: .*client is closed"):
            fn.fit_many(models(), X, LABELS, executor=client)


def test_dask_workers_with_another_version_are_named(changed_dask):
    def pretend(version):
        from fastnn.distributed import worker

        worker.__version__ = version

    changed_dask.run(pretend, "9.9")
    some = models()
    with pytest.raises(RuntimeError, match=r"a worker has fastnn 9\.9"):
        fn.fit_many(some, X, LABELS, executor=changed_dask)
    assert not any(model.executor.is_built for model in some)


def test_dask_workers_without_fastnn_are_named(changed_dask):
    def forget():
        import sys

        for name in [name for name in sys.modules if name.partition(".")[0] == "fastnn"]:
            del sys.modules[name]
        sys.modules["fastnn"] = None

    changed_dask.run(forget)
    some = models()
    with pytest.raises(RuntimeError, match="takes no calls: .*workers have no fastnn, .*tcp://"):
        fn.fit_many(some, X, LABELS, executor=changed_dask)
    assert not any(model.executor.is_built for model in some)


MPI = """
from mpi4py.futures import MPIPoolExecutor
from tests.helpers.executors import fit_here_and_there
from fastnn.distributed import worker
import sys, warnings

def cannot_read():
    def unreadable(folder):
        raise FileNotFoundError(folder)
    worker._read = unreadable

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with MPIPoolExecutor() as pool:
        fit_here_and_there(pool)
    print("the same")
    with MPIPoolExecutor(initializer=cannot_read) as pool:
        fit_here_and_there(pool)
    print("the same by messages")
"""


def test_mpi(tmp_path):
    pytest.importorskip("mpi4py")
    mpiexec = Path(sys.executable).with_name("mpiexec")
    if not mpiexec.exists():
        pytest.skip("there is no mpiexec beside this Python")
    script = tmp_path / "script.py"
    script.write_text(MPI)
    command = [mpiexec, "-n", "3", sys.executable, "-m", "mpi4py.futures", script]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.stdout.splitlines() == ["the same", "the same by messages"], done.stderr
