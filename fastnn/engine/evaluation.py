"""Loss and metrics of a model on checked data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import metrics
from . import launch
from .threads import team_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from .data_set import DataSet
    from .executor import Executor
    from .network import Network


def evaluate(
    executor: Executor,
    data: DataSet,
    threads: int | None = None,
    lengths: Any = None,
    share: Callable[[Network], None] | None = None,
) -> dict[str, float]:
    """Loss, metrics and user-defined metrics, by their names.

    `share` makes of the sums over these samples those over the samples of several processes.
    """
    run = executor.weights_lock.run_exclusive
    logs, outputs = run(_measure, executor, data, threads, lengths, 0, None, share)
    found = dict(zip(executor.log_names, logs, strict=True))
    if outputs is not None and executor.loss is not None:
        _, y, weight = data
        found |= metrics.own_figures(executor.metric_functions, executor.loss, y, outputs, weight)
    return found


def evaluate_pieces(
    executor: Executor, pieces: Iterable[DataSet], threads: int | None = None
) -> dict[str, float]:
    """The same for data of which there is a piece at a time, at least one.

    For user-defined metrics, targets and outputs of all pieces are kept.
    """
    first, sums, logs = 0, None, [0.0]
    kept: list[tuple[Any, ...]] = []
    for data in pieces:
        found = executor.weights_lock.run_exclusive(_measure_piece, executor, data, threads, first, sums)
        (logs, outputs, sums), first = found, first + len(data.X)
        if outputs is not None:
            kept.append((np.array(data.y), outputs, None if data.weight is None else np.array(data.weight)))
    result = dict(zip(executor.log_names, logs, strict=True))
    if kept and executor.loss is not None:
        y, outputs = (np.concatenate([one[i] for one in kept]) for i in (0, 1))
        weight = None if kept[0][2] is None else np.concatenate([one[2] for one in kept])
        result |= metrics.own_figures(executor.metric_functions, executor.loss, y, outputs, weight)
    return result


def _rows(executor: Executor, data: DataSet) -> int:
    """How many rows are evaluated at a time."""
    return min(len(data.X), 4 * executor.built.chunk)


def _measure_piece(
    executor: Executor, data: DataSet, threads: int | None, first: int, sums: NDArray[np.float64] | None
) -> tuple[list[float], NDArray[Any] | None, NDArray[np.float64]]:
    """The same as `_measure`, and the sums for the next piece."""
    logs, outputs = _measure(executor, data, threads, None, first, sums)
    return logs, outputs, launch.sums(executor.network("evaluate", _rows(executor, data)))


def _measure(
    executor: Executor,
    data: DataSet,
    threads: int | None,
    lengths: Any,
    first: int = 0,
    sums: NDArray[np.float64] | None = None,
    share: Callable[[Network], None] | None = None,
) -> tuple[list[float], NDArray[Any] | None]:
    """Loss and metrics; and the outputs for user-defined metrics, of the same weights.

    With the `sums` of `first` samples before these.
    """
    X = data.X
    rows = _rows(executor, data)
    net = executor.network("evaluate", rows, lengths)
    fields = net.fields
    if sums is None:
        launch.set_data(net, data, lengths)
    else:
        launch.place_piece(net, data, first)
        fields.n_samples += first
        launch.set_sums(net, sums)
    fields.position = first
    logs, place = executor.evaluation_memory.take("logs", len(executor.log_names), "float64")
    fields.history, fields.history_width = place, logs.size
    launch.run("evaluate", net, team_size(rows, fields.multiplications, threads))
    if share is not None:
        fields.history = place
        share(net)
    outputs = None
    if executor.metric_functions:
        outputs = executor.predict(X, None, None, None, lengths).reshape(len(X), -1)
    return logs.tolist(), outputs
