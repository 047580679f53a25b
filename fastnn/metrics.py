"""Metrics: what `fit` and `evaluate` report beside the loss.

======== =========================================================================================
accuracy share of correct rows: the largest output is that of the target's class; with independent
         outputs, each is on the target's side of 0.5, or of 0 for logits (`binary_cross_entropy`)
mae      mean absolute error
mse      mean squared error
r2       coefficient of determination, the mean over the outputs, as scikit-learn's `r2_score`
======== =========================================================================================

All are weighted by `sample_weight`. To add one: its kernels in ``kernels/training/metric.py``, a line here.

A metric may also be a user-defined function, ``function(y, prediction)``, that returns a number. It is
called with all samples at once, by `fastnn.Model.evaluate` and for the validation data of `fit`: the
history then has ``val_`` followed by its name, and callbacks can monitor it. Where a model ignores missing
targets, rows without any are left out, and single missing targets are NaN.

>>> import numpy as np
>>> import fastnn as fn
>>> def worst(y, prediction):
...     return np.abs(y - prediction).max()
>>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
>>> model = fn.Model([fn.Dense(8, "tanh"), fn.Dense(1)], loss="mse", metrics=["mae", worst], seed=0)
>>> history = model.fit(X, X[:, 0], epochs=5, validation_split=0.2)
>>> list(history.history)
['loss', 'mae', 'val_loss', 'val_mae', 'val_worst']
>>> list(model.evaluate(X, X[:, 0]))
['loss', 'mae', 'worst']
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .checks import metric_values, validate
from .data import missing
from .losses import Loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Metric"]

#: A user-defined metric.
Function = Callable[..., Any]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True)
class Metric:
    """What the engine needs to know about a metric.

    Attributes
    ----------
    name : str
        Name in `TABLE` and in the history.
    kernel : str
        Where its kernels are: ``"training.metric.accuracy"``.
    sums : int
        How many float64 sums it accumulates.
    per_output : bool
        Whether it has that many for each output.
    of_output : bool
        Whether it reads the model's output rather than what the loss is computed from.
    """

    name: str
    kernel: str
    sums: int
    per_output: bool = False
    of_output: bool = True

    def state_size(self, n_out: int) -> int:
        """How many float64 sums it accumulates for a model with `n_out` outputs."""
        return self.sums * (n_out if self.per_output else 1)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and copy: by name, or field by field if it is not in the table."""
        if TABLE.get(self.name) is self:
            return by_name, (self.name,)
        return Metric, (self.name, self.kernel, self.sums, self.per_output, self.of_output)


TABLE = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "training.metric.accuracy", 2, of_output=False),
        Metric("mae", "training.metric.mae", 2),
        Metric("mse", "training.metric.mse", 2),
        Metric("r2", "training.metric.r2", 4, per_output=True),
    )
}


def by_name(name: str) -> Metric:
    """The metric of the table; pickles name this function."""
    return TABLE[name]


# How the names of metrics end of which more is better.
_MORE_IS_BETTER = ("accuracy", "acc", "auc", "f1", "precision", "r2", "recall", "score")


def more_is_better(name: str) -> bool:
    """Whether larger is better for a metric of this name."""
    return name.endswith(_MORE_IS_BETTER)


def get(metrics: object, loss: Loss | None) -> tuple[Metric, ...]:
    """The metrics of a sequence of names; "auto" is the accuracy for losses of classes.

    Raises
    ------
    ValueError
        If a name is unknown, or if a metric of values is asked for with a loss of classes.
    """
    if isinstance(metrics, str) and metrics == "auto":
        metrics = () if loss is None or loss.target in ("values", "ranks") else ("accuracy",)
    given = [metric for metric in _listed(metrics) if not _is_function(metric)]
    found: list[Metric] = [validate.from_table("metric", m, TABLE, Metric) for m in given]
    for metric in found:
        if metric.name != "accuracy" and loss is not None and loss.target == "classes":
            raise ValueError(f"metric {metric.name!r} is for values, {loss.name!r} is for classes")
        if loss is not None and not loss.pairs_outputs:
            raise ValueError(
                f"metric {metric.name!r} compares each output with a target, and {loss.name!r} has none for "
                "each; give a function of targets and predictions"
            )
    if len(set(found)) < len(found):
        raise ValueError(f"each metric must be given once, got {metrics!r}")
    return tuple(found) if loss is not None else ()


def functions(metrics: object, only: bool = False) -> tuple[Function, ...]:
    """The user-defined functions among metrics.

    Raises
    ------
    TypeError
        If `only` functions are accepted and there is anything else.
    ValueError
        If one has no name, or the name of another metric.
    """
    found = [metric for metric in _listed(metrics) if _is_function(metric)]
    if only and len(found) < len(_listed(metrics)):
        raise TypeError(f"metrics must be functions, got {metrics!r}")
    names = []
    for function in found:
        name = getattr(function, "__name__", None)
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(
                f"a user-defined metric is reported by its name, so write it with def, got {function!r}"
            )
        if name in (*TABLE, "loss", "epoch", "learning_rate") or name in names:
            raise ValueError(f"the name {name!r} is taken already; give your metric {function!r} another one")
        names.append(name)
    return tuple(found)


def own_figures(
    functions: tuple[Function, ...],
    loss: Loss,
    y: NDArray[Any],
    prediction: NDArray[Any],
    weight: NDArray[Any] | None,
) -> dict[str, float]:
    """Values of user-defined metrics.

    Parameters
    ----------
    functions : tuple of callable
        Each is called with targets and predictions. A single column has shape (n,); class numbers are
        integers. A function that has a parameter `sample_weight` gets that too. Where the loss ignores
        missing targets, rows without any are left out, and single missing targets are NaN.
    loss : Loss
    y, prediction : arrays of shape (n, n_targets) and (n, n_out)
    weight : array of shape (n,) or (n, n_out), or None

    Raises
    ------
    TypeError
        If a function does not return a number.
    """
    if loss.missing_targets == "ignore" and weight is not None:
        y, prediction, weight = missing.marked(y, prediction, weight)
    if y.shape[1] == 1:
        y = y[:, 0].astype("int64") if loss.target in ("classes", "ranks") else y[:, 0]
    if prediction.shape[1] == 1:
        prediction = prediction[:, 0]
    values = {}
    for function in functions:
        more = {"sample_weight": weight} if weight is not None and _takes_weights(function) else {}
        value = function(y, prediction, **more)
        number = metric_values.as_float(value)
        if number is None:
            raise TypeError(f"the metric {function.__name__} must return a number, got {value!r}")
        values[function.__name__] = number
    return values


def _listed(metrics: object) -> list[Any] | tuple[Any, ...]:
    if isinstance(metrics, str):
        return () if metrics == "auto" else (metrics,)
    if _is_function(metrics):
        return (metrics,)
    if not isinstance(metrics, (list, tuple)):
        raise TypeError(f"metrics must be 'auto' or a sequence of names and functions, got {metrics!r}")
    return metrics


def _is_function(metric: object) -> bool:
    return callable(metric) and not isinstance(metric, (type, Metric))


def _takes_weights(function: Function) -> bool:
    try:
        return "sample_weight" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some functions in C have none
        return False
