"""How much the quality of a model depends on each column: `permutation_importance`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import metrics
from ..checks import validate
from ..data.tables import column_names
from ..engine.data_set import DataSet
from ..engine.evaluation import evaluate
from ..training.arguments import check_samples

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..training.trainer import Trainer


class Importance(NamedTuple):
    """The result of `permutation_importance`.

    Attributes
    ----------
    mean, std : array of shape (n_columns,)
        Of the values of each column.
    values : array of shape (n_columns, repeats)
        By how much the metric gets worse, in its units.
    names : tuple of str
        Of the columns; empty if they have none.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    values: NDArray[np.float64]
    names: tuple[str, ...]


def permutation_importance(
    model: Trainer,
    X: ArrayLike,
    y: ArrayLike,
    *,
    metric: str = "loss",
    repeats: int = 5,
    sample_weight: ArrayLike | None = None,
    seed: int = 0,
) -> Importance:
    """By how much a model gets worse when the values of a column are shuffled among the samples.

    L. Breiman, *Random forests*, Machine Learning 45, 2001; A. Fisher, C. Rudin, F. Dominici, *All models
    are wrong, but many are useful*, JMLR 20, 2019. Use samples that the model was not trained on. Of
    columns that say the same, each alone may look unimportant.

    Parameters
    ----------
    model : Model
        Built for samples of one axis, with a loss.
    X, y, sample_weight
        As for `Model.evaluate`; X may be a table.
    metric : str
        One that `Model.evaluate` returns.
    repeats : int
        How often each column is shuffled.
    seed : int

    Returns
    -------
    Importance

    Raises
    ------
    TypeError, ValueError
        As `Model.evaluate`; also if the model is not built, its samples have several axes, there is one
        sample only, or `evaluate` returns no such metric.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> layer = fn.Dense(1)
    >>> model = fn.Model([layer], "mse", seed=0).build(2)
    >>> layer.weights = [[1.0], [0.0]]
    >>> importance = fn.explain.permutation_importance(model, X, X[:, 0])
    >>> bool(importance.mean[0] > 1.5), float(importance.mean[1])
    (True, 0.0)
    """
    executor = model.executor
    if len(executor.built.graph.input.shape) > 1:
        raise ValueError(
            f"the samples of the model must be rows of a table, not of shape {model.input_shape}"
        )
    count, rng = (
        validate.integer("repeats", repeats, low=1),
        np.random.default_rng(validate.integer("seed", seed, low=0)),
    )
    executor.columns.check_names(X)
    x, target, weight = check_samples(executor, X, y, sample_weight)
    if len(x) < 2:
        raise ValueError("X must have at least two samples, between which values are exchanged")
    x = np.array(x, model.dtype)
    found = evaluate(executor, DataSet(x, target, weight))
    validate.choice("metric", metric, found)
    sign = -1.0 if metrics.more_is_better(metric) else 1.0
    values = np.zeros((x.shape[1], count))
    for j in range(x.shape[1]):
        column = x[:, j].copy()
        for k in range(count):
            x[:, j] = rng.permutation(column)
            values[j, k] = sign * (evaluate(executor, DataSet(x, target, weight))[metric] - found[metric])
        x[:, j] = column
    names: Any = column_names(X) or executor.columns.names or ()
    return Importance(values.mean(axis=1), values.std(axis=1), values, tuple(names))
