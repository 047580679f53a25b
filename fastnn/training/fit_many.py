"""Many models trained at once: a queue of models, and threads that each take the next one.

A compiled call does not hold the GIL, so ordinary Python threads keep all CPUs busy. Each model is trained
by one thread, which avoids barriers.
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..checks import validate
from ..data import array_checks
from ..data.rows import sample_shape
from ..engine.threads import get_threads
from ..engine.weights_lock import working_for
from .arguments import check_fit_arguments, check_samples
from .callback import Callback
from .history import History
from .loop import outer_stop
from .progress import Bar, say, style, texts
from .trainer import Trainer

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ..engine.executor import Executor
    from .arguments import FitArguments

_LOOK_UP = 0.1  # seconds between two checks of how far the threads are


def fit_many(
    models: Sequence[Trainer],
    X: Any,
    y: Any,
    *,
    epochs: int | Sequence[int] = 1,
    batch_size: int | None | Sequence[int | None] = 32,
    shuffle: bool | Callable[[int], Any] = True,
    sample_weight: Any = None,
    class_weight: Any = None,
    lengths: Any = None,
    validation_data: Any = None,
    validation_lengths: Any = None,
    validation_split: float = 0.0,
    callbacks: Sequence[Sequence[Callback | Callable[[int, dict[str, float]], Any]]] = (),
    verbose: Any = "auto",
    threads: int | None = None,
    resume: bool = False,
    initial_epoch: int | Sequence[int] = 0,
    executor: Any = None,
) -> list[History]:
    """Train many models at once, each on one thread, or by the workers of an executor.

    Each ends up, to the bit, as after its own `Model.fit`. Architectures, losses, optimizers,
    dtypes and seeds may differ.

    **One data set or many.** An array (or a table) is shared by all models. A list or a tuple holds
    one item for each model. This holds for `X`, `y`, `sample_weight` and `lengths` separately: one X with a
    list of targets is fine. A plain list of numbers is therefore not a data set here; convert it to an array.

    Parameters
    ----------
    models : sequence of Model
    X : array of shape (n, n_in), or list of one such array per model
        A shared array is checked, and converted if necessary, once per dtype and not once per model.
    y : array of shape (n, n_out) or (n,), or list of one such array per model
    epochs, initial_epoch, batch_size : int, or list of one per model
        As for `Model.fit`.
    shuffle : bool or callable
        As for `Model.fit`.
    sample_weight : array of shape (n,) or (n, n_out), or list of one array or None per model, optional
    class_weight : dict of int to float, "balanced", or list of one of these or None per model, optional
    lengths : array of int of shape (n,), or list of one array or None per model, optional
        Time steps of each sample: see `Model.fit`.
    validation_data : (X, y) or (X, y, sample_weight), or list of one such tuple or None per model, optional
        A tuple is shared.
    validation_lengths : array of int, or list of one array or None per model, optional
        The lengths of `validation_data`.
    validation_split : float
    callbacks : sequence of one sequence of callbacks per model
        They are called by the thread that trains their model. A `Callback` has state, so each model needs its
        own: ``[[fn.EarlyStopping()] for _ in models]``.
    verbose : "auto", 0, 1 or 2
        1 shows one bar for the epochs of all models; 2 prints a line when a model has finished; "auto" is as
        for `Model.fit`.
    threads : int, optional
        Number of models trained at a time; `fastnn.get_threads` if not given. With an `executor`, which knows
        how many workers it has, the number of threads of each model, 1 if not given.
    resume : bool
        As for `Model.fit`: resume the latest fits, and the epochs that were interrupted.
    executor : Executor, Dask client, "ray" or "joblib", optional
        What trains the models instead of threads of this process: any `concurrent.futures.Executor`, such as
        a ``ProcessPoolExecutor``, those of loky, or ``mpi4py.futures.MPIPoolExecutor``; a
        ``distributed.Client``; Ray, or the backend of ``joblib.parallel_config``. The models become, to the
        bit, what they would be otherwise. Callbacks and functions are pickled, and run in the worker; the
        attributes of a `Callback` come back. The models of a worker that dies are tried once more, or as
        often as Dask is configured to. See ``docs/beyond_one_machine.md``.

    Returns
    -------
    list of History
        In the order of `models`. If training failed, `error` is the exception: a `DivergenceError`, or what a
        callback raised. The other models are trained nevertheless.

    Warns
    -----
    RuntimeWarning
        At the end, if models failed; it names them.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is described above; no model has then been trained. The message says which
        model is concerned.
    ImportError, RuntimeError
        If the executor is not installed or is shut down, or if a worker has no fastnn or that of another
        version. Models that were trained by then stay so, the others are as before.
    KeyboardInterrupt
        On Ctrl-C, within a fraction of a second; each model is that of a finished step. With an executor,
        those that have ended are trained, and the others as before.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.spiral(100, 3, seed=0)
    >>> models = [
    ...     fn.Model([fn.Dense(width, "relu"), fn.Dense(3)], "cross_entropy", fn.Adam(rate), seed=0)
    ...     for width in (8, 64)
    ...     for rate in (1e-3, 1e-2)
    ... ]
    >>> histories = fn.fit_many(models, X, y, epochs=100)
    >>> accuracies = [history.history["accuracy"][-1] for history in histories]
    >>> accuracies.index(max(accuracies))
    3
    """
    models = sequence_of_models(models)
    if threads is not None:
        threads = validate.integer("threads", threads, low=1)
    shown = style(verbose)
    train = _way_to_train(executor, threads)
    check = _SharedChecks()
    columns = {
        "X": _one_each("X", X, len(models)),
        "y": _one_each("y", y, len(models)),
        "epochs": _one_each("epochs", epochs, len(models)),
        "initial_epoch": _one_each("initial_epoch", initial_epoch, len(models)),
        "batch_size": _one_each("batch_size", batch_size, len(models)),
        "sample_weight": _one_each("sample_weight", sample_weight, len(models)),
        "class_weight": _one_each("class_weight", class_weight, len(models)),
        "lengths": _one_each("lengths", lengths, len(models)),
        "validation_data": _one_each("validation_data", validation_data, len(models), (list,)),
        "validation_lengths": _one_each("validation_lengths", validation_lengths, len(models)),
        "callbacks": _own_callbacks(callbacks, len(models)),
    }
    shared = {"shuffle": shuffle, "validation_split": validation_split, "resume": resume}
    tasks = []
    for i, model in enumerate(models):
        own = {name: column[i] for name, column in columns.items()}
        try:
            tasks.append(check_fit_arguments(model.executor, check.of(model.executor), **own, **shared))
        except (TypeError, ValueError) as error:
            raise type(error)(f"model {i}: {error}") from error
    _train_all(models, tasks, train, shown)
    return [task.history for task in tasks]


def sequence_of_models(models: Any) -> list[Trainer]:
    """The models as a list, if each is a model and occurs once."""
    if isinstance(models, Trainer) or not isinstance(models, Sequence):
        raise TypeError(f"models must be a sequence of models, got {models!r}")
    for i, model in enumerate(models):
        if not isinstance(model, Trainer):
            raise TypeError(f"models must be fastnn models, got {model!r} at {i}")
    if not models:
        raise ValueError("models must not be empty")
    if len({id(model) for model in models}) < len(models):
        raise ValueError("the same model stands twice in models")
    return list(models)


def _one_each(name: str, value: Any, count: int, kinds: Any = (list, tuple)) -> list[Any]:
    """The items of a list, one a model; else the same value for all."""
    if not isinstance(value, kinds):
        return [value] * count
    items: list[Any] = [*value]
    if len(items) != count:
        what = f"{name} is a {type(value).__name__} and so holds one item for each of the {count} models"
        raise ValueError(f"{what}, got {len(items)}; what all models share must not be in a list")
    return items


def _own_callbacks(callbacks: Any, count: int) -> list[Any]:
    """The callbacks of each model, if no two share one that remembers."""
    if not isinstance(callbacks, (list, tuple)):
        raise TypeError(f"callbacks must be a sequence of one sequence a model, got {callbacks!r}")
    for i, each in enumerate(callbacks):
        if isinstance(each, Callback) or callable(each):
            raise TypeError(
                f"model {i}: callbacks must be a sequence of its callbacks, got a single one, {each!r}; "
                "give each model its own: callbacks=[[...] for _ in models]"
            )
    lists = _one_each("callbacks", callbacks, count) if callbacks else [()] * count
    own = [[c for c in each if isinstance(c, Callback)] for each in lists if isinstance(each, (list, tuple))]
    ids = [id(callback) for each in own for callback in set(each)]
    if len(set(ids)) < len(ids):
        raise ValueError("two models share a callback, which remembers what it has seen; make one for each")
    return lists


class _SharedChecks:
    """`check_samples` for models that share data: it is converted and checked once."""

    def __init__(self) -> None:
        self._converted: dict[Any, Any] = {}
        self._checked: dict[Any, Any] = {}

    def of(self, executor: Executor) -> Callable[..., Any]:
        """`check_samples` for a model that this runs."""

        def check(X: Any, y: Any, weight: Any, shape: Any = None, name: str = "", **coding: Any) -> Any:
            shape = executor.input_shape or shape or sample_shape(X)
            is_flat = shape is None or len(shape) == 1
            converts = any(layer.codes or layer.takes_missing for layer in executor.layers)
            if converts or not is_flat:  # X is not simply converted
                return check_samples(executor, X, y, weight, shape, name, **coding)
            arrays = (
                self._array(f"{name}X", X, executor.dtype, (2,), keep_mapped=True),
                self._array(f"{name}y", y, executor.dtype, (1, 2)),
                weight,  # its common scale may change: see `data.weights`
            )
            wanted, loss = shape or arrays[0].shape[1:], executor.loss
            settings = executor.dtype, repr(loss), "" if loss is None else loss.missing_targets
            key = (*map(id, arrays), *settings, wanted, executor.shape_of_output(wanted))
            if any(layer.checks_rows for layer in executor.layers):
                key = (*key, id(executor))
            # The arrays are kept as well: an address says which one it is only as long as it lives.
            if key not in self._checked:
                self._checked[key] = arrays, check_samples(executor, *arrays, shape, name, table=X)
            return self._checked[key][1]

        return check

    def _array(
        self, name: str, value: Any, dtype: str, ndim: tuple[int, ...], keep_mapped: bool = False
    ) -> Any:
        key = (id(value), dtype, keep_mapped)
        if key not in self._converted:
            converted = array_checks.array(name, value, dtype, ndim, keep_mapped=keep_mapped)
            self._converted[key] = value, converted
        return self._converted[key][1]


def _way_to_train(executor: Any, threads: int | None) -> Callable[..., None]:
    """A function that trains models by an executor, or by threads of this process."""
    if executor is None:
        return functools.partial(_train_here, None, threads or get_threads(), 1)
    from ..distributed import dispatch, engines  # only here: few processes need them

    if engines.is_threads(executor):
        return functools.partial(_train_here, executor, 0, threads or 1)
    return functools.partial(dispatch.train, engines.engine_of(executor), threads or 1)


def _train_all(
    models: list[Trainer], tasks: list[FitArguments], train: Callable[..., None], verbose: int
) -> None:
    """Train every model; record errors in the histories, and warn about them."""
    outer = outer_stop()
    order = sorted(range(len(models)), key=lambda i: _work(models[i], tasks[i]), reverse=True)
    ended: set[int] = set()
    show = {0: None, 1: _bar, 2: _lines}[verbose]
    progress = None if show is None else show(tasks, ended)

    def look() -> None:
        if outer is not None and outer.is_set():
            raise KeyboardInterrupt
        if progress is not None:
            progress(False)

    try:
        train(models, tasks, order, ended, look)
    finally:
        if progress is not None:
            progress(True)
    failed = [i for i, task in enumerate(tasks) if task.history.error is not None]
    if failed:
        reasons = "; ".join(f"model {i}: {_reason(tasks[i].history.error)}" for i in failed[:5])
        more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
        text = f"{len(failed)} of {len(models)} models failed, see error of their histories: {reasons}{more}"
        warnings.warn(text, RuntimeWarning, stacklevel=3)


def _train_here(
    given: Any,
    count: int,
    threads: int,
    models: list[Trainer],
    tasks: list[FitArguments],
    order: list[int],
    ended: set[int],
    look: Callable[[], None],
) -> None:
    """Train by threads of this process: those of a pool that was given, or so many."""
    from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

    stop, caller = threading.Event(), threading.get_ident()

    def train(i: int) -> None:
        if stop.is_set():
            return
        try:
            with working_for(caller):
                models[i].train(tasks[i], threads=threads, stop=stop)
        except Exception as error:
            tasks[i].history.error = error
        ended.add(i)

    # This thread only waits, so that Ctrl-C finds it at once.
    pool = given or ThreadPoolExecutor(min(count, len(models)), thread_name_prefix="fastnn")
    calls: list[Future[None]] = []
    try:
        try:
            calls += (pool.submit(train, i) for i in order)
        except RuntimeError as error:
            raise RuntimeError(f"the executor takes no calls: {error}; no model was trained") from error
        while True:
            done, running = wait(calls, _LOOK_UP, FIRST_EXCEPTION)
            look()
            if not running or any(call.exception() for call in done):
                break
        for call in done:
            call.result()  # raised, but not a failure of a model: SystemExit, say
    finally:
        stop.set()
        wait([call for call in calls if not call.cancel()])
        if given is None:
            pool.shutdown(wait=True)


def _work(model: Trainer, task: FitArguments) -> int:
    """About how long a model trains: the longest are begun first, so that no thread is idle at the end."""
    size = model.executor.parameter_count(task.shape)
    return int(task.epochs * len(task.data[0]) * size)


def _bar(tasks: list[FitArguments], ended: set[int]) -> Callable[[bool], None]:
    """Shows the epochs of all models in one bar; a model that has stopped early counts in full."""
    bar = Bar(sum(task.epochs for task in tasks))

    def logs() -> dict[str, float]:
        failed = sum(task.history.error is not None for task in tasks)
        return {"models": len(ended), **({"failed": failed} if failed else {})}

    def show(at_last: bool) -> None:
        done = set(ended)
        epochs = sum(task.epochs if i in done else len(task.history.epoch) for i, task in enumerate(tasks))
        (bar.close if at_last else bar.update)(epochs, logs)

    return show


def _lines(tasks: list[FitArguments], ended: set[int]) -> Callable[[bool], None]:
    """Prints a line for each model that has finished."""
    told: set[int] = set()

    def show(at_last: bool) -> None:
        for i in sorted(set(ended) - told):
            told.add(i)
            history = tasks[i].history
            error = [] if history.error is None else [_reason(history.error)]
            count = f"{len(history.epoch)} epochs"
            say(f"Model {i + 1}/{len(tasks)}", count, *texts(history.last_figures()), *error)

    return show


def _reason(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}"
