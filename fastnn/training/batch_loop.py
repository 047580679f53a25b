"""Training on data that comes batch by batch: `Training` whose samples are a piece at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import coding
from ..engine import evaluation, launch
from ..engine.threads import team_size
from ..engine.weightless import check_rows
from ..layers import preprocessing
from .arguments import FitArguments
from .loop import Training, run_training
from .pieces import BatchCheck, Piece
from .prefetch import Prefetch
from .sources import Source

if TYPE_CHECKING:
    from ..engine.data_set import DataSet
    from ..engine.executor import Executor
    from ..layers.base import Layer
    from .progress import Bar, Lines
    from .thread_tuner import ThreadTuners


_MOST_DONE = 0.999  # of an epoch that may have more batches than the last one


@dataclass
class BatchArguments(FitArguments):
    """A call of `fit` on data that comes batch by batch; `data` is the first of it.

    Attributes
    ----------
    source, validation_source : Source or None
    class_weight : dict, list of dict, or None
    """

    source: Source | None = None
    validation_source: Source | None = None
    class_weight: Any = None


class BatchTraining(Training):
    """One call of `fit` on data that comes batch by batch."""

    def _take_task(self, task: FitArguments) -> None:
        assert isinstance(task, BatchArguments) and task.source is not None  # noqa: PT018
        self.source = task.source
        self.check = BatchCheck(self.executor, task.class_weight)
        self.rows, self.threads = task.rows, None
        self.give_order = None
        self.piece: Piece | None = None
        self.epoch_samples = task.source.n_samples  # of an iterable's epoch when it has ended once
        self.own_order = task.source.order(self.state.seed, task.data)

    def _place_samples(self) -> None:
        self.net.fields.order = 0

    def _way(self) -> tuple[int, int, bool]:
        return self.source.n_samples, self.rows, self.source.shuffle

    def _order(self) -> dict[str, int]:
        assert self.piece is not None
        return {**self.own_order, **self.source.order_so_far(self.piece, self.state.position)}

    def _run_slices(self) -> None:
        while self.epoch < self.first_epoch + self.epochs and not self.model.stop_training:
            epoch, position = self.epoch, int(self.net.fields.position)
            order = self.resumed.order if self.resumed is not None and position else {}
            pieces = self.source.pieces(self.check, epoch, self.state.seed, position, order)
            with Prefetch(pieces, self._is_stopped) as ready:
                for piece in ready:
                    self._train_on(piece)

    def _is_stopped(self) -> bool:
        return self.stop is not None and self.stop.is_set()

    def _train_on(self, piece: Piece) -> None:
        """All steps of a piece."""
        self.piece = piece  # keeps the arrays alive
        rows = len(piece.data.X) if piece.order is None else len(piece.order)
        largest = min(rows, piece.batch_size)
        if largest > self.rows:
            self._lay_out(largest)
        launch.place_piece(self.net, piece.data, piece.first, piece.order)
        fields, epoch = self.net.fields, self.epoch
        fields.batch_size = piece.batch_size
        # As long as the epoch goes on, there is one sample more than will be reached.
        fields.n_samples = piece.end + (not piece.is_last)
        if piece.is_last:
            self.epoch_samples = piece.end
        while self.epoch == epoch and (left := piece.end - int(fields.position)) > 0:
            self._run_slice(-(-left // piece.batch_size))

    def _lay_out(self, rows: int) -> None:
        """Train by a network for larger batches from now on."""
        sums, position = launch.sums(self.net), int(self.net.fields.position)
        epoch = self.epoch
        self._restore()
        self.net, self.rows = self.executor.network("train", rows), rows
        self.executor.refresh_optimizer(self.net)
        self._fill_descriptor()
        self.net.fields.epoch, self.net.fields.position = epoch, position
        launch.set_sums(self.net, sums)

    def _tidy_up(self) -> None:
        super()._tidy_up()
        self._restore()
        self.piece = None

    def _restore(self) -> None:
        """Leave the network as others expect it."""
        fields = self.net.fields
        fields.batch_size, fields.order, fields.orders = self.rows, 0, 0

    def _last_epoch(self) -> int:
        return self.epoch + 1

    def _part_done(self) -> float:
        n = self.epoch_samples or self.source.expected_samples
        return min(self.state.position / n, _MOST_DONE) if n else 0.0


def train_on_batches(
    model: Any,
    executor: Executor,
    task: BatchArguments,
    tuners: ThreadTuners,
    threads: int | None,
    progress: Bar | Lines | None,
    stop: threading.Event | None,
) -> None:
    """All of a fit on data that comes batch by batch."""
    assert task.source is not None
    adapt_and_build(executor, model.layers, task)
    team = team_size(task.rows, executor.built.graph.multiplications, threads)
    run_training(
        BatchTraining,
        model,
        executor,
        executor.network("train", task.rows),
        task,
        (task.source.n_samples, task.rows, task.source.shuffle),
        task.source.order(executor.state.seed, task.data),
        evaluate=_validation(executor, task, threads),
        progress=progress,
        thread_tuner=tuners.of(task.rows, team, threads is not None),
        stop=stop,
    )


def adapt_and_build(executor: Executor, layers: tuple[Layer, ...], task: BatchArguments) -> None:
    """Adapt layers that are not yet, each in a pass through the data, and build; unchanged if that fails."""
    assert task.source is not None
    with preprocessing.undone_on_error(layers):
        if not all(layer.adapted for layer in layers):
            _adapt(executor, layers, task.source, task.shape, task.found)
            coding.take(layers, task.found)
            executor.refresh_constants()
            check_rows(layers, task.data.X, executor.dtype, "X", task.shape)
        executor.build(task.shape)
        executor.columns.take_names(task.names)


def _adapt(
    executor: Executor,
    layers: tuple[Layer, ...],
    source: Source,
    shape: tuple[int, ...],
    found: coding.Found,
) -> None:
    check = BatchCheck(executor, None, shape, found)
    preprocessing.adapt_to_parts(
        layers,
        lambda: ((data.X, _of_rows(data)) for data in source.pass_for_layers(check)),
        executor.dtype,
        shape,
        again=False,
    )
    preprocessing.adapt_to_parts_of_targets(
        layers[-1],
        lambda: ((data.y, data.weight) for data in source.pass_for_layers(check)),
        executor.shape_of_output(shape),
    )


def _of_rows(data: DataSet) -> Any:
    """A weight for each sample."""
    weight = data.weight
    return weight if weight is None or weight.ndim == 1 else np.ascontiguousarray(weight.mean(axis=1))


def _validation(
    executor: Executor, task: BatchArguments, threads: int | None
) -> Callable[[], dict[str, float]] | None:
    if task.validation is None and task.validation_source is None:
        return None

    def evaluate() -> dict[str, float]:
        if task.validation is not None:
            found = evaluation.evaluate(executor, task.validation, threads)
        else:
            assert task.validation_source is not None
            found = evaluate_source(executor, task.validation_source, threads)
        return {f"val_{name}": value for name, value in found.items()}

    return evaluate


def evaluate_source(executor: Executor, source: Source, threads: int | None = None) -> dict[str, float]:
    """Loss and metrics on data that comes batch by batch."""
    with Prefetch(source.pieces(BatchCheck(executor), 0, executor.seed)) as ready:
        return evaluation.evaluate_pieces(executor, _samples(ready), threads)


def _samples(pieces: Iterable[Piece]) -> Iterator[DataSet]:
    for piece in pieces:
        data, order = piece.data, piece.order
        if order is not None and len(order) < len(data.X):
            weight = None if data.weight is None else data.weight[order]
            data = type(data)(data.X[order], data.y[order], weight)
        yield data
