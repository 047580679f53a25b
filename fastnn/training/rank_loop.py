"""One call of `fit` by several processes, each with a part of the samples."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from ..distributed.agreement import agree
from ..distributed.shards import ShardedSteps, evaluate_shards
from ..distributed.state import take_state
from ..distributed.steps import SharedSteps, share_evaluation
from ..engine import evaluation
from .adapt import adapt_and_build
from .arguments import check_fit_arguments, check_samples
from .loop import Training, run_training
from .progress import reporter
from .thread_tuner import ThreadTuner

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..distributed.ranks import Ranks
    from ..engine.executor import Executor
    from .arguments import FitArguments
    from .history import History


class RankTraining(Training):
    """One call of `fit`, of which other ranks make the same call; all decide the same."""

    def _take_task(self, task: FitArguments) -> None:
        super()._take_task(task)
        assert task.ranks is not None
        self.n_samples, self.batch_size = task.n_samples, task.rows
        self.own_batch = self.net.fields.batch_size
        kind = SharedSteps if task.shards is None else ShardedSteps
        self.shared = kind(task.ranks, self.executor, self.net, task, self.order)
        self.until = 0

    def _place_samples(self) -> None:
        super()._place_samples()
        self.net.fields.n_samples, self.net.fields.batch_size = self.n_samples, self.batch_size

    def _tidy_up(self) -> None:
        super()._tidy_up()
        self.net.fields.batch_size = self.own_batch

    def _way(self) -> tuple[int, int, bool]:
        return self.n_samples, self.batch_size, self.order.size > 0

    def _clock(self) -> float:
        return self.shared.clock()

    def _run_slices(self) -> None:
        while self.epoch < self.first_epoch + self.epochs:
            until = self.epoch if self.model.stop_training else super()._last_epoch()
            self.until = self.shared.agree(until)
            if self.until == self.epoch:
                break
            self._run_slice()

    def _last_epoch(self) -> int:
        return self.until

    def _make_steps(self, threads: int) -> None:
        self.shared.run(threads)

    def _require_finite(self, now: float, always: bool = True) -> None:
        super()._require_finite(now, always)


def fit_by_ranks(
    model: Any,
    executor: Executor,
    comm: Any,
    X: Any,
    y: Any,
    threads: int | None,
    shown: int,
    steps: tuple[Any, Any],
    options: dict[str, Any],
    shards: Any,
) -> History:
    """`Model.fit` with `comm` or `shards`; `steps` those of iterables, `options` the other arguments."""

    def check(**options: Any) -> FitArguments:
        if y is None or steps != (None, None):
            raise ValueError(
                "with comm or shards, X and y must be arrays: batches from an iterable are for one process"
            )
        return check_fit_arguments(executor, functools.partial(check_samples, executor), X, y, **options)

    ranks, task = agree(comm, executor, check, options, shards)
    with ranks.together():
        progress = reporter(0 if ranks.rank else shown, task.epochs, task.initial_epoch, task.callbacks)
        executor.weights_lock.run_fit(_train, model, executor, ranks, task, threads or 1, progress)
    return task.history


def _train(
    model: Any, executor: Executor, ranks: Ranks, task: FitArguments, threads: int, progress: Any
) -> None:
    adapt_and_build(executor, model.layers, task)
    take_state(ranks, executor)
    run_training(
        RankTraining,
        model,
        executor,
        executor.network("train", min(task.rows, task.own_rows), task.lengths),
        task,
        (task.n_samples, task.rows, task.shuffle),
        evaluate=_validation(executor, ranks, task, threads),
        progress=progress,
        thread_tuner=ThreadTuner(threads, fixed=True),  # measurements would differ from rank to rank
        stop=None,
    )


def _validation(
    executor: Executor, ranks: Ranks, task: FitArguments, threads: int
) -> Callable[[], dict[str, float]] | None:
    """A function that evaluates the validation data of all ranks, if there are such data."""
    if task.validation is None:
        return None
    if task.shards is None:
        share = share_evaluation(ranks, executor, task.n_validation)
        given = executor, task.validation, threads, task.validation_lengths, share
        evaluate = functools.partial(evaluation.evaluate, *given)
    else:
        evaluate = functools.partial(evaluate_shards, executor, ranks, task, threads)
    return lambda: {f"val_{name}": value for name, value in evaluate().items()}
