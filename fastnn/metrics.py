"""Metrics: what `fit` and `evaluate` report beside the loss.

======== =========================================================================================
accuracy share of right rows: the largest output is the target's class; for outputs that stand
         alone, each lies on the target's side of 0.5, or of 0 for logits (`binary_cross_entropy`)
mae      mean absolute error
mse      mean squared error
r2       coefficient of determination, the mean over the outputs, as scikit-learn's `r2_score`
======== =========================================================================================

All are weighted by `sample_weight`. To add one: its kernels in ``kernels/metric.py``, a line here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import _validate
from .losses import Loss


@dataclass(frozen=True)
class Metric:
    """What the engine needs to know about a metric.

    Attributes
    ----------
    name : str
        Name in `TABLE` and in the history.
    kernel : str
        Where its kernels are: ``"metric.accuracy"``.
    sums : int
        How many float64 numbers it sums up.
    per_output : bool
        Whether it sums up so many for each output.
    of_output : bool
        Whether it reads the model's output, and not what the loss is computed from.
    """

    name: str
    kernel: str
    sums: int
    per_output: bool = False
    of_output: bool = True

    def state_size(self, n_out: int) -> int:
        """How many float64 numbers it sums up for a model of so many outputs."""
        return self.sums * (n_out if self.per_output else 1)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and copy: by name, or as it is if it is a user's own."""
        if TABLE.get(self.name) is self:
            return _named, (self.name,)
        return Metric, (self.name, self.kernel, self.sums, self.per_output, self.of_output)


TABLE = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "metric.accuracy", 2, of_output=False),
        Metric("mae", "metric.mae", 2),
        Metric("mse", "metric.mse", 2),
        Metric("r2", "metric.r2", 4, per_output=True),
    )
}


def _named(name: str) -> Metric:
    return TABLE[name]


def get(metrics: object, loss: Loss | None) -> tuple[Metric, ...]:
    """The metrics of a sequence of names; "auto" is the accuracy for losses of classes.

    Raises
    ------
    ValueError
        If a name is unknown, or if a metric of values is asked for with a loss of classes.
    """
    if isinstance(metrics, str):
        if metrics == "auto":
            metrics = () if loss is None or loss.target == "values" else ("accuracy",)
        else:
            metrics = (metrics,)
    if not isinstance(metrics, (list, tuple)):
        raise TypeError(f"metrics must be 'auto' or a sequence of names, got {metrics!r}")
    found: list[Metric] = [_validate.from_table("metric", m, TABLE, Metric) for m in metrics]
    for metric in found:
        if metric.name != "accuracy" and loss is not None and loss.target == "classes":
            raise ValueError(f"metric {metric.name!r} is for values, {loss.name!r} is for classes")
    if len(set(found)) < len(found):
        raise ValueError(f"each metric must be given once, got {metrics!r}")
    return tuple(found) if loss is not None else ()
