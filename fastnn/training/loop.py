"""What happens between compiled calls: slices, history, validation, callbacks, progress.

A compiled call trains for about `SLICE` seconds; then Python shows progress and notices
Ctrl-C. Where something must see each epoch, a validation set or a callback, the call ends with the
epoch.
"""

from __future__ import annotations

import functools
import math
import threading
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import array_checks
from ..engine import evaluation, launch, scan
from ..engine.state import InterruptedEpoch
from ..engine.threads import defer_interrupt, team_size
from ..errors import DivergenceError
from ..kernels.abi.descriptor import DIVERGED
from ..memory.buffers import address
from .adapt import adapt_and_build
from .callback import CallbackList

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..engine.executor import Executor
    from ..engine.network import Network
    from .arguments import FitArguments
    from .progress import Bar, Lines
    from .thread_tuner import ThreadTuner, ThreadTuners

SLICE = 0.1  # seconds
MOST_EPOCHS = 1 << 16  # in a slice
MOST_ORDERED = 1 << 20  # numbers of samples that are ordered by a function of the user's before a slice

# The event that stops the fit that a thread is running, for the fits that its callbacks begin.
_outer = threading.local()


def outer_stop() -> threading.Event | None:
    """What stops the fit that this thread is running, where a callback asks."""
    return getattr(_outer, "stop", None)


class Training:
    """One call of `fit`: some epochs over a data set.

    Parameters
    ----------
    model : Model
        What callbacks are told of; its `stop_training` ends training.
    executor : Executor
        What runs it; built.
    net : Network
        Laid out for a batch.
    task : FitArguments
    evaluate : callable, optional
        Gives the logs of the validation data, ``{"val_loss": ...}``.
    progress : Bar or Lines, optional
        Shows how far training is; it is closed at the end.
    thread_tuner : ThreadTuner
        Chooses how many threads run a slice.
    stop : threading.Event, optional
        When it is set, by another thread, training ends with the slice, as by Ctrl-C; and so do the fits of
        other models that callbacks begin.
    """

    def __init__(
        self,
        model: Any,
        executor: Executor,
        net: Network,
        task: FitArguments,
        *,
        evaluate: Callable[[], dict[str, float]] | None,
        progress: Bar | Lines | None,
        thread_tuner: ThreadTuner,
        stop: threading.Event | None,
    ) -> None:
        self.model, self.executor, self.net, self.state = model, executor, net, executor.state
        self.thread_tuner = thread_tuner
        self.epochs, self.evaluate, self.history = task.epochs, evaluate, task.history
        self.progress, self.stop = progress, stop or outer_stop()
        self.callbacks = CallbackList(model, executor, task.callbacks, task.resume)
        self.names = executor.log_names
        self.first_epoch, self.first_number = self.state.epoch, task.initial_epoch
        shape = min(task.epochs, MOST_EPOCHS), len(self.names) + 1
        logs, self.logs_address = executor.fit_memory.take("logs", math.prod(shape), "float64")
        self.logs = logs.reshape(shape)
        self._take_task(task)
        self.resumed = self.state.interrupted_epoch if task.resume else None
        if self.resumed is None and (self.state.interrupted_epoch is not None or self.state.position):
            with executor.weights_lock.change():
                self.state.interrupted_epoch, self.state.position = None, 0
        self.under_way = False  # whether a compiled call has been made whose results are not read back yet
        self.first_position, self.first_step = self.state.position, self.state.step
        executor.refresh_optimizer(net)
        executor.last_finite_state = self.state.copy(executor.last_finite_state)
        self.reported = 0
        self.steps = thread_tuner.steps_in(SLICE)
        self.kept_at = self._clock()
        self.is_new = not task.callbacks  # whether the optimizer is as it was when this began

    def _take_task(self, task: FitArguments) -> None:
        """Take over the samples, and make memory for their order."""
        self.data, self.lengths = task.data, task.lengths
        n = task.n_samples
        self.give_order = task.shuffle if callable(task.shuffle) else None
        ordered = self.give_order or (task.shuffle and task.rows < n)
        size = n if ordered else 0
        self.order, self.order_address = self.executor.fit_memory.take(
            "the order of the samples", size, "int64"
        )
        self.orders = np.zeros((0, n), np.int64)  # those that were given for the next epochs
        self.ordered = self.state.epoch  # the epoch that they last until

    def run(self) -> None:
        """Train; the model's state is that of a finished step, however this ends."""
        self._fill_descriptor()
        if self.progress is not None:
            self.progress.begin(self._part_done())
        self.model.stop_training = False
        outer = outer_stop()
        try:
            try:
                _outer.stop = self.stop
                self.callbacks.begin(self.first_epoch)
                self._run_slices()
            finally:
                _outer.stop = outer
                self._tidy_up()
        except BaseException as error:
            self.callbacks.end(error)
            raise
        self.callbacks.end(None)

    def _tidy_up(self) -> None:
        """Bring history, model and terminal into their final state, before callbacks are told of the end."""
        self._take_results()
        self.history.trim()
        if self.give_order is not None:
            self.state.position = 0  # a function that gives orders counts from the start of a fit
        if self.progress is not None:
            self.progress.close(*self._done())

    def _fill_descriptor(self) -> None:
        fields = self.net.fields
        self._place_samples()
        fields.orders = 0
        fields.training = 1
        fields.batch_means = self.executor.loss is not None and self.executor.loss.reported != ""
        fields.history_width = self.logs.shape[1]
        self.state.write(fields)
        fields.epoch, fields.position = self.first_epoch, self.first_position
        if self.resumed is not None:
            launch.draw_order(self.net)
            launch.set_sums(self.net, self.resumed.sums)

    def _place_samples(self) -> None:
        """Tell the network where the samples and their order are."""
        launch.set_data(self.net, self.data, self.lengths)
        self.net.fields.order = self.order_address if self.order.size else 0

    def _take_results(self) -> None:
        """Read back what a compiled call has done: counters, logs, and what is needed to continue."""
        if not self.under_way:
            return
        state, fields = self.state, self.net.fields
        state.read(fields)
        self._take_figures()
        state.interrupted_epoch = None
        if state.position and self.give_order is None:
            way, sums = self._way(), launch.sums(self.net)
            state.interrupted_epoch = InterruptedEpoch(*way, sums, self._order())
        self.under_way = False

    def _way(self) -> tuple[int, int, bool]:
        """How an epoch goes through the data: number of samples, that of a batch, whether in random order."""
        return len(self.data[0]), self.net.fields.batch_size, self.order.size > 0

    def _order(self) -> dict[str, int]:
        """What else decides about the samples and their order: nothing where the seed and `_way` do."""
        return {}

    def _clock(self) -> float:
        """Seconds, by which the length of slices is decided."""
        return time.perf_counter()

    def _make_steps(self, threads: int) -> None:
        """A compiled call: the steps of a slice."""
        launch.run("train", self.net, threads)

    def _run_slices(self) -> None:
        while self.epoch < self.first_epoch + self.epochs and not self.model.stop_training:
            self._run_slice()

    def _run_slice(self, most_steps: int | None = None) -> None:
        """Train for about `SLICE` seconds, and for so many steps at most; then callbacks and progress."""
        state, fields = self.state, self.net.fields
        fields.last_epoch = self._last_epoch()  # may call the user's function: before all that follows
        if not self.is_new:
            self.executor.refresh_optimizer(self.net)
        self.is_new = False
        fields.history = self.logs_address
        fields.seed, fields.step = state.seed, (before := state.step)
        threads, part = self.thread_tuner.choose()
        most = max(1, int(part * self.steps))
        fields.max_steps = most if most_steps is None else min(most, most_steps)
        start = self._clock()
        try:
            with defer_interrupt():  # what the call did and what is recorded of it belong together
                with self.executor.weights_lock.change():
                    self.under_way = True
                    try:
                        self._make_steps(threads)
                    finally:  # a signal's handler may raise here, and then `run` does this
                        self._take_results()
        except KeyboardInterrupt:  # history and callbacks know the epochs that are in the weights
            self._finish_epochs()
            raise
        now = self._clock()
        self.thread_tuner.note(threads, state.step - before, now - start)
        self._require_finite(now)
        self._finish_epochs()
        if self.progress is not None:
            self.progress.update(*self._done())
        if self.stop is not None and self.stop.is_set():
            raise KeyboardInterrupt
        if state.step - before == most:
            self.steps = max(1, int(self.steps * min(part * SLICE / max(now - start, 1e-9), 100.0)))

    def _require_finite(self, now: float, always: bool = False) -> None:
        """Raise an error if training has diverged; keep a copy of the state every `SLICE` seconds."""
        late = now - self.kept_at > SLICE
        if self.net.fields.status == DIVERGED:
            self._diverged()
        if late or always or self.callbacks.callbacks or self.epoch == self.first_epoch + self.epochs:
            if not self.state.is_finite():
                self._diverged()
            if late:
                self.executor.last_finite_state = self.state.copy(self.executor.last_finite_state)
                self.kept_at = now

    @property
    def epoch(self) -> int:
        """Epochs finished since the model was built, as this fit counts them."""
        return int(self.net.fields.epoch)

    def _last_epoch(self) -> int:
        """The epoch that the next slice may train until: no callback is due before it."""
        epoch = self.epoch
        last = self.callbacks.next_callback_epochs(min(self.first_epoch + self.epochs, epoch + MOST_EPOCHS))
        if self.evaluate is not None or (self.progress is not None and self.progress.each_epoch):
            last = epoch + 1
        if self.give_order is not None:
            if epoch == self.ordered:
                n = self._way()[0]
                count = min(last - epoch, max(1, MOST_ORDERED // n))
                first = self.first_number + epoch - self.first_epoch
                numbers = range(first, first + count)
                self.orders = np.stack([array_checks.order(self.give_order(i), n) for i in numbers])
                self.net.fields.orders = address(self.orders)
                self.ordered = epoch + count
            last = min(last, self.ordered)
        return last

    def _take_figures(self) -> None:
        """Add what the compiled loop recorded of the epochs that have ended to the history."""
        seen, ended = len(self.history.epoch), self.epoch - self.first_epoch
        if ended > seen:
            *columns, rates = self.logs[: ended - seen].T.tolist()
            self.history.append(dict(zip(self.names, columns, strict=True)), rates, self.first_number)

    def _finish_epochs(self) -> None:
        """Validate and call back, if an epoch has ended."""
        ended, epoch = len(self.history.epoch), self.epoch
        if ended == self.reported:
            return
        self.reported = ended
        if self.evaluate is not None:
            for name, value in self.evaluate().items():
                self.history.history.setdefault(name, []).append(value)
        if self.callbacks.callbacks:
            logs = self.history.latest()
            try:
                self.callbacks.end_epoch(epoch, self.history.epoch[-1], logs, is_last=ended == self.epochs)
            finally:
                self.history.record(logs)

    def _done(self) -> tuple[float, Callable[[], dict[str, float]], int]:
        """Epochs done, with a part of the present one; what gives the latest logs; steps made."""
        epochs = len(self.history.epoch) + self._part_done()
        return epochs, self._latest_logs, self.state.step - self.first_step

    def _latest_logs(self) -> dict[str, float]:
        """Those of the latest epoch; in the first one the loss so far."""
        return self.history.last_figures() or launch.running_loss(self.net)

    def _part_done(self) -> float:
        """The part of the present epoch that is done."""
        return float(self.state.position / self._way()[0])

    def _diverged(self) -> None:
        state, what = self.state, "the loss or a weight"
        if scan.is_finite(state.parameters) and not scan.is_finite(state.optimizer):
            what = "what the optimizer remembers"  # its steps would be zero from now on
        error = DivergenceError(
            self.first_number + state.epoch - self.first_epoch,
            state.position // self.net.fields.batch_size,
            what,
        )
        if not self.state.is_finite():
            assert self.executor.last_finite_state is not None
            with self.executor.weights_lock.change():
                state.restore(self.executor.last_finite_state)
        state.interrupted_epoch, state.position = None, 0  # an epoch that diverged cannot be resumed
        raise error


def train(
    model: Any,
    executor: Executor,
    task: FitArguments,
    tuners: ThreadTuners,
    threads: int | None,
    progress: Bar | Lines | None,
    stop: threading.Event | None,
) -> None:
    """All of a fit, as `check_fit_arguments` has checked it."""
    adapt_and_build(executor, model.layers, task)
    team = team_size(task.rows, executor.built.graph.multiplications, threads)
    run_training(
        Training,
        model,
        executor,
        executor.network("train", task.rows, task.lengths),
        task,
        (len(task.data[0]), task.rows, task.shuffle),
        evaluate=_validation(executor, task, threads),
        progress=progress,
        thread_tuner=tuners.of(task.rows, team, threads is not None),
        stop=stop,
    )


def run_training(
    kind: type[Training],
    model: Any,
    executor: Executor,
    net: Network,
    task: FitArguments,
    way: tuple[int, int, Any],
    order: Mapping[str, int] = MappingProxyType({}),
    **settings: Any,
) -> None:
    """Train by a `Training` of this kind, with these settings; an error is noted in the history.

    `way` is how an epoch goes through the data: number of samples, that of a batch, whether, or how, they are
    shuffled; `order` what else decides about that. If the epoch that is resumed went another way, the model
    is as before.
    """
    state = executor.state
    if task.resume and state.interrupted_epoch is not None:
        state.interrupted_epoch.check(*way, state.position, order)
    model.history = task.history
    training = kind(model, executor, net, task, **settings)
    try:
        training.run()
    except Exception as error:
        task.history.note(error)
        raise


def _validation(
    executor: Executor, task: FitArguments, threads: int | None
) -> Callable[[], dict[str, float]] | None:
    """A function that evaluates the validation data, if there are such data."""
    if task.validation is None:
        return None
    given = executor, task.validation, threads, task.validation_lengths
    evaluate = functools.partial(evaluation.evaluate, *given)
    return lambda: {f"val_{name}": value for name, value in evaluate().items()}
