"""Outputs to draw: of a model, or of an estimator with the methods of scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..data import sample_checks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from ..inference import Inference


class Outputs(Protocol):
    """Samples of a model or an estimator, and its outputs for other samples.

    Attributes
    ----------
    samples : array of shape (n, n_in)
    of_classes : bool
        Whether outputs represent classes: one output per class, or one for two classes; else they are values.
    threshold : float
        Value of a single output that separates two classes.
    classes : sequence or None
        Labels of the classes, if they differ from their numbers.
    """

    samples: NDArray[Any]
    of_classes: bool
    threshold: float
    classes: Sequence[Any] | None

    def at(self, points: NDArray[Any]) -> NDArray[Any]:
        """Outputs for points, of shape (n, n_out)."""


def outputs_of(model: Any, X: ArrayLike) -> Outputs:
    """The outputs of a model or an estimator, with the samples `X` checked."""
    if hasattr(model, "executor"):
        return _OfModel(model, X)
    if not callable(getattr(model, "predict", None)):
        raise TypeError(f"model must be a Model, or an estimator with predict, got {model!r}")
    return _OfEstimator(model, X)


class _OfModel:
    classes: Sequence[Any] | None = None

    def __init__(self, model: Inference, X: ArrayLike) -> None:
        self._executor, columns = model.executor, model.executor.columns
        columns.check_names(X)
        self.samples = sample_checks.features(columns.coded(X), model.dtype, model.n_in, table=X)
        self.threshold = model.head.threshold
        loss = model.executor.loss
        of_values = loss is None or loss.target in ("values", "ranks")
        self.of_classes = not (of_values and model.n_out == 1)

    def at(self, points: NDArray[Any]) -> NDArray[Any]:
        return self._executor.predict(points).reshape(len(points), -1)


class _OfEstimator:
    threshold = 0.5

    def __init__(self, estimator: Any, X: ArrayLike) -> None:
        self._estimator = estimator
        self._names = getattr(X, "columns", None)
        n_in = getattr(estimator, "n_features_in_", None)
        self.samples = sample_checks.features(X, "float64", n_in)
        self.classes = getattr(estimator, "classes_", None)
        self.of_classes = self.classes is not None

    def at(self, points: NDArray[Any]) -> NDArray[Any]:
        given: Any = points
        if self._names is not None:
            import pandas

            given = pandas.DataFrame(points, columns=self._names)
        if self.classes is None:
            return np.asarray(self._estimator.predict(given)).reshape(len(points), -1)
        if hasattr(self._estimator, "predict_proba"):
            return np.asarray(self._estimator.predict_proba(given))
        return np.asarray(self._estimator.predict(given)[:, np.newaxis] == self.classes, float)


def require_numbers(drawn: Outputs, labels: NDArray[Any] | None) -> None:
    """Raise a TypeError if the labels are strings and the outputs are values."""
    if not drawn.of_classes and labels is not None and labels.dtype.kind == "U":
        raise TypeError(f"y must be numbers for a model of values, got {labels[0]!r}")


def class_numbers(kinds: NDArray[Any], classes: Sequence[Any] | None) -> NDArray[Any]:
    """Class number of each label: its index in `classes`, or its value, or its rank."""
    if classes is not None:
        place = {str(label): k for k, label in enumerate(classes)}
        texts = [f"{kind:g}" if kinds.dtype.kind == "f" else str(kind) for kind in kinds]
        if all(text in place for text in texts):
            return np.array([place[text] for text in texts])
    integers = np.issubdtype(kinds.dtype, np.number) and (kinds == np.floor(kinds)).all() and kinds.min() >= 0
    # Class number k has the colour of region k; other labels have those of their order.
    if integers and int(kinds.max()) + 1 <= 4 * len(kinds) + 4:
        return kinds.astype(int)
    return np.arange(len(kinds))
