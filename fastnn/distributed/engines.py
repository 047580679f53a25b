"""The engines that `fastnn.fit_many` trains by: how each takes data and calls, a class a kind of engine.

Each gives `concurrent.futures.Future` objects. No engine is imported here: whoever passes one has done so.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import os
import shutil
import sys
import tempfile
import threading
import time
import warnings
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from types import ModuleType
from typing import TYPE_CHECKING, Any

from . import worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    #: Arguments of `worker.train` but for the data.
    Call = tuple[str, str, bytes]

_ACCEPTED = (
    "a concurrent.futures.Executor, as of Python, loky or mpi4py; a Dask client; or 'ray' or 'joblib', for "
    "the cluster that ray.init knows and the backend of joblib.parallel_config"
)

_PATIENCE = 10.0  # seconds to wait for what should end in a tenth of one


@functools.cache
def _own_folder(process: int) -> str:
    """Where the folders of this process's calls are: it tells workers of this machine of one that is gone."""
    folder = tempfile.mkdtemp(prefix="fastnn-")
    atexit.register(_remove, process, folder)
    return folder


def _remove(process: int, folder: str) -> None:
    if process == os.getpid():  # and not a process that was forked from it
        shutil.rmtree(folder, ignore_errors=True)


class Engine:
    """Base of all: workers, and the folder by which those on this machine know that they are waited for.

    Attributes
    ----------
    death : tuple of str
        Classes of the errors of calls that may be made again after `renew`, because a worker has died.
    folder : str
    arrays : list of array
        The data.
    """

    death: tuple[str, ...] = ()

    folder: str = ""
    arrays: Sequence[NDArray[Any]] = ()

    def hold(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Give the workers the data."""
        self.folder, self.arrays = tempfile.mkdtemp(dir=_own_folder(os.getpid())), arrays

    def submit(self, calls: Sequence[Call]) -> list[Future[Any]]:
        """Have calls of `worker.train` made."""
        raise NotImplementedError

    def send_data(self, call: Call) -> Future[Any]:
        """Have a call made again, by a worker that could not read the data."""
        raise NotImplementedError

    def renew(self) -> bool:
        """Whether calls can be made again after a worker has died."""
        return False

    def check(self) -> None:
        """Raise a RuntimeError if the calls will never end."""

    def close(self, calls: Sequence[Future[Any]]) -> None:
        """Give up the calls that have not ended, and the data."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for call in calls:
            call.cancel()


class Pool(Engine):
    """A `concurrent.futures.Executor`: workers map the data from files, or get them once if they cannot."""

    death = ("BrokenExecutor",)

    def __init__(self, executor: Executor) -> None:
        self._executor, self._own = executor, False

    def hold(self, arrays: Sequence[NDArray[Any]]) -> None:  # noqa: D102
        super().hold(arrays)
        worker.write(self.folder, arrays)

    def submit(self, calls: Sequence[Call]) -> list[Future[Any]]:  # noqa: D102
        futures: list[Future[Any]] = []
        for call in calls:
            try:
                futures.append(self._executor.submit(worker.train, *call, self.folder))
            except BrokenExecutor as error:
                if not futures:
                    raise
                futures.append(Future())  # a worker has died by one of the calls before
                futures[-1].set_exception(error)
        return futures

    def send_data(self, call: Call) -> Future[Any]:  # noqa: D102
        return self._executor.submit(worker.keep_and_train, *call, self.folder, self.arrays)

    def renew(self) -> bool:
        """Go on with another pool like this one, which is of no more use; False for pools of other kinds."""
        make = _ANOTHER.get(type(self._executor).__module__)
        if make is None:
            return False
        self._shut_down()
        self._executor, self._own = make(self._executor)
        if self._own:
            warnings.warn(
                "a worker of the executor died, so that it is of no more use; what remains is trained by "
                "another pool like it, until fit_many returns",
                RuntimeWarning,
                stacklevel=8,
            )
        return True

    def close(self, calls: Sequence[Future[Any]]) -> None:  # noqa: D102
        super().close(calls)
        self._shut_down()

    def _shut_down(self) -> None:
        if self._own:
            self._executor.shutdown(wait=True, cancel_futures=True)


def _another_pool(broken: Any) -> tuple[Executor, bool]:
    known = vars(broken)
    names = ("max_workers", "mp_context", "initializer", "initargs", "max_tasks_per_child")
    settings = {name: known[f"_{name}"] for name in names if f"_{name}" in known}
    return type(broken)(**settings), True


def _reusable_pool(broken: Any) -> tuple[Executor, bool]:
    return sys.modules[type(broken).__module__].get_reusable_executor(reuse=True), False


# By the module of a pool: another one like it, and whether it is shut down at the end.
_ANOTHER = {
    "concurrent.futures.process": _another_pool,
    "loky.reusable_executor": _reusable_pool,
    "joblib.externals.loky.reusable_executor": _reusable_pool,
}


class Dask(Engine):
    """A Dask client. Dask itself makes calls again whose worker has died, unless the data died with it."""

    death = ("CancelledError",)

    def __init__(self, client: Any) -> None:
        if client.asynchronous:
            raise ValueError("executor is an asynchronous Dask client; fit_many waits: use a plain Client")
        self._client = client
        self._calls: dict[Future[Any], Any] = {}

    def hold(self, arrays: Sequence[NDArray[Any]]) -> None:  # noqa: D102
        super().hold(arrays)
        self.check()
        # A worker that cannot read a call loses its connection and says nothing.
        found = self._client.run(importlib.util.find_spec, "fastnn", on_error="return")
        lacking = [name for name, spec in found.items() if spec is None or isinstance(spec, Exception)]
        if lacking:
            names = ", ".join(lacking[:3])
            raise RuntimeError(f"workers have no fastnn, which their Python must be able to import: {names}")
        self._scatter()

    def _scatter(self) -> None:
        (self._held,) = self._client.scatter([list(self.arrays)], broadcast=True, hash=False)

    def submit(self, calls: Sequence[Call]) -> list[Future[Any]]:  # noqa: D102
        # Not by the client's get_executor, whose futures wait for ever where a result is lost.
        futures: list[Future[Any]] = [Future() for _ in calls]
        for future, call in zip(futures, calls, strict=True):
            given = self._client.submit(worker.train, *call, self.folder, self._held, pure=False)
            self._calls[future] = given
            given.add_done_callback(functools.partial(_pass_on, future))
        return futures

    def renew(self) -> bool:
        """Scatter the data again when all workers answer: of one that has died the scheduler learns late."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            answers = self._client.run(os.getpid, on_error="return").values()
            if answers and not any(isinstance(answer, Exception) for answer in answers):
                break
            time.sleep(0.1)
        self._scatter()
        return True

    def check(self) -> None:  # noqa: D102
        if self._client.status not in ("running", "connecting"):
            raise RuntimeError(f"the Dask client is {self._client.status}")

    def close(self, calls: Sequence[Future[Any]]) -> None:  # noqa: D102
        super().close(())
        if calls and self._client.status == "running":  # a call of another one would try to connect
            with contextlib.suppress(Exception):
                self._client.cancel([self._calls[call] for call in calls])


def _pass_on(future: Future[Any], done: Any) -> None:
    try:
        future.set_result(done.result())
    except BaseException as error:
        future.set_exception(error)


class Ray(Engine):
    """Ray, which makes a call once more whose worker has died."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._calls: dict[Future[Any], Any] = {}

    def hold(self, arrays: Sequence[NDArray[Any]]) -> None:  # noqa: D102
        super().hold(arrays)
        self._held = self._ray.put(list(arrays))
        self._train = self._ray.remote(max_retries=1)(worker.train)

    def submit(self, calls: Sequence[Call]) -> list[Future[Any]]:  # noqa: D102
        references = [self._train.remote(*call, self.folder, self._held) for call in calls]
        futures = [reference.future() for reference in references]
        self._calls |= dict(zip(futures, references, strict=True))
        return futures

    def check(self) -> None:  # noqa: D102
        if not self._ray.is_initialized():
            raise RuntimeError("ray was shut down")

    def close(self, calls: Sequence[Future[Any]]) -> None:  # noqa: D102
        super().close(calls)
        for call in calls:
            with contextlib.suppress(Exception):  # ray may be shut down
                self._ray.cancel(self._calls[call])


class Joblib(Engine):
    """The backend of joblib that is active where `fit_many` is called, and its number of jobs."""

    death = ("BrokenExecutor", "TerminatedWorkerError")

    def __init__(self, joblib: Any) -> None:
        self._joblib = joblib
        self._threads: list[threading.Thread] = []

    def hold(self, arrays: Sequence[NDArray[Any]]) -> None:  # noqa: D102
        super().hold(arrays)
        worker.write(self.folder, arrays)

    def submit(self, calls: Sequence[Call]) -> list[Future[Any]]:  # noqa: D102
        return self._start(worker.train, [(*call, self.folder) for call in calls])

    def send_data(self, call: Call) -> Future[Any]:  # noqa: D102
        return self._start(worker.keep_and_train, [(*call, self.folder, self.arrays)])[0]

    def _start(self, function: Any, calls: list[Any]) -> list[Future[Any]]:
        futures: list[Future[Any]] = [Future() for _ in calls]
        make = self._joblib.delayed(_numbered)
        parallel = self._joblib.Parallel(return_as="generator_unordered")
        results = parallel(make(i, function, *call) for i, call in enumerate(calls))
        self._threads.append(threading.Thread(target=self._collect, args=(results, futures), daemon=True))
        self._threads[-1].start()
        return futures

    def _collect(self, results: Any, futures: list[Future[Any]]) -> None:
        error: BaseException = RuntimeError("joblib has ended without a result")
        try:
            for i, result in results:
                futures[i].set_result(result)
        except BaseException as failure:
            error = failure
        for future in futures:
            if not future.done():
                future.set_exception(error)

    def renew(self) -> bool:
        """Begin again when joblib has done with the workers that are left."""
        for thread in self._threads:
            thread.join(_PATIENCE)
        return True

    def close(self, calls: Sequence[Future[Any]]) -> None:
        """Wait until joblib has made all calls, which end at once: it is of no use if it is stopped."""
        super().close(())
        for thread in self._threads:
            thread.join(_PATIENCE)


def _numbered(i: int, function: Any, *arguments: Any) -> tuple[int, Any]:
    return i, function(*arguments)


_MODULES = {"ray": Ray, "joblib": Joblib}


def is_threads(executor: Any) -> bool:
    """Whether the workers are threads of this process: then nothing needs to travel."""
    return isinstance(executor, ThreadPoolExecutor) and type(executor).__name__ != "InterpreterPoolExecutor"


def engine_of(executor: Any) -> Engine:
    """The engine that the user passed.

    Raises
    ------
    ImportError
        If it is named and not installed.
    TypeError
        If it is none.
    """
    if isinstance(executor, Executor):
        return Pool(executor)
    if isinstance(executor, ModuleType):
        executor = executor.__name__
    if isinstance(executor, str) and executor in _MODULES:
        return _MODULES[executor](_imported(executor))
    kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(executor).__mro__}
    if ("distributed", "Client") in kinds:
        return Dask(executor)
    hint = ""
    if isinstance(executor, type):
        hint = "; this is a class: make one of it"
    elif ("distributed", "Cluster") in kinds:
        hint = "; give its client: distributed.Client(cluster)"
    raise TypeError(f"executor must be {_ACCEPTED}, got {executor!r}{hint}")


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"executor={name!r} needs {name}: python -m pip install {name}") from error
