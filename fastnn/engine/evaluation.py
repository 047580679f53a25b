"""Loss and metrics of a model on checked data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import metrics
from . import launch
from .threads import team_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .data_set import DataSet
    from .executor import Executor


def evaluate(
    executor: Executor, data: DataSet, threads: int | None = None, lengths: Any = None
) -> dict[str, float]:
    """Loss, metrics and user-defined metrics, by their names."""
    logs, outputs = executor.weights_lock.run_exclusive(_measure, executor, data, threads, lengths)
    found = dict(zip(executor.log_names, logs, strict=True))
    if outputs is not None and executor.loss is not None:
        _, y, weight = data
        found |= metrics.own_figures(executor.metric_functions, executor.loss, y, outputs, weight)
    return found


def _measure(
    executor: Executor, data: DataSet, threads: int | None, lengths: Any
) -> tuple[list[float], NDArray[Any] | None]:
    """Loss and metrics; and the outputs for user-defined metrics, of the same weights."""
    X = data.X
    rows = min(len(X), 4 * executor.built.chunk)
    net = executor.network("evaluate", rows, lengths)
    launch.set_data(net, data, lengths)
    fields = net.fields
    logs, fields.history = executor.evaluation_memory.take("logs", len(executor.log_names), "float64")
    fields.history_width = logs.size
    launch.run("evaluate", net, team_size(rows, fields.multiplications, threads))
    outputs = None
    if executor.metric_functions:
        outputs = executor.predict(X, None, None, None, lengths).reshape(len(X), -1)
    return logs.tolist(), outputs
