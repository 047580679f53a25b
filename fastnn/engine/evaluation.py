"""Loss and metrics of a model on checked data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import metrics
from ..memory import buffers
from . import launch
from .threads import team_size

if TYPE_CHECKING:
    from .executor import Executor
    from .samples import DataSet


def evaluate(
    executor: Executor, data: DataSet, threads: int | None = None, lengths: Any = None
) -> dict[str, float]:
    """Loss, metrics and user-defined metrics, by their names."""
    logs = buffers.allocate(1 + len(executor.metrics), "float64", "logs")
    X, y, weight = data
    with executor.weights_lock.exclusive():
        rows = min(len(X), 4 * executor.built.chunk)
        net = executor.network("evaluate", rows, lengths)
        launch.set_data(net, data, lengths)
        net.fields.history, net.fields.history_width = buffers.address(logs), logs.size
        launch.run("evaluate", net, team_size(rows, net.fields.multiplications, threads))
        outputs = None
        if executor.metric_functions:  # of the same weights
            outputs = executor.predict(X, None, None, None, lengths).reshape(len(X), -1)
    names = ("loss", *(metric.name for metric in executor.metrics))
    found = dict(zip(names, logs.tolist(), strict=True))
    if outputs is not None and executor.loss is not None:
        found |= metrics.own_figures(executor.metric_functions, executor.loss, y, outputs, weight)
    return found
