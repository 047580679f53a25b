"""The classifier."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from river import base
from river.utils import dataframe

from .. import losses
from ..activations import Activation
from ..layers import classes as layer_classes
from ..losses import Loss
from ..optimizers import Optimizer
from ._base import StreamMLP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


class MLPClassifier(StreamMLP, base.MiniBatchClassifier):
    """Multi-layer perceptron classifier for streams, one of river's estimators, of any number of classes.

    Each sample is one step of the optimizer, and so is each mini-batch. Features may appear later and be
    absent, as with `MLPRegressor`. A class that was not there before gets an output of its own; all other
    weights stay, with what the optimizer remembers of them. The network begins with the second class, since
    there is nothing to tell apart before.

    Parameters
    ----------
    hidden_layer_sizes, activation, optimizer, learning_rate_init, alpha, dtype, seed
        As for `MLPRegressor`.

    Attributes
    ----------
    model : fastnn.Model or None
        The network; None before the second class.
    features : tuple of hashable
        As for `MLPRegressor`.
    classes : tuple of hashable
        The labels so far, in the order of the network's outputs.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as described, a feature is no finite number, or a label cannot be one; it is
        then as it was before the call.
    DivergenceError
        If a step is not finite; the weights are those of the step before.

    Examples
    --------
    >>> from fastnn.river import MLPClassifier
    >>> model = MLPClassifier((8,), learning_rate_init=0.05, seed=0)
    >>> for _ in range(100):
    ...     model.learn_one({"length": 1.0}, "short")
    ...     model.learn_one({"length": 3.0, "width": 1.0}, "long")
    >>> model.predict_one({"length": 3.0, "width": 1.0}), model.classes
    ('long', ('short', 'long'))
    """

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Activation = "relu",
        *,
        optimizer: str | Optimizer = "adam",
        learning_rate_init: float = 0.001,
        alpha: float = 0.0001,
        dtype: str = "float32",
        seed: int | None = None,
    ) -> None:
        # river's `clone` does not take an empty tuple.
        self.hidden_layer_sizes = [] if hidden_layer_sizes == () else hidden_layer_sizes
        self.activation = activation
        self.optimizer, self.learning_rate_init = optimizer, learning_rate_init
        self.alpha, self.dtype, self.seed = alpha, dtype, seed
        self._numbers: dict[Hashable, int] = {}  # of the classes
        self._begin(2)

    @property
    def classes(self) -> tuple[Hashable, ...]:
        """The labels so far, in the order of the network's outputs."""
        return tuple(self._numbers)

    @property
    def _multiclass(self) -> bool:
        return True

    def _loss(self) -> Loss:
        return losses.get("cross_entropy")

    # ---- learning ------------------------------------------------------------------------------

    def learn_one(self, x: dict[Hashable, Any], y: Hashable) -> None:
        """Make a step of one sample.

        Parameters
        ----------
        x : dict of hashable to number
            The features by their names.
        y : hashable
            The label: a str, an int, a bool.
        """
        row, model = self._features.row(x), self._model
        if row is not None and model is not None:
            try:
                number = self._numbers.get(y)
            except TypeError:  # is said below
                number = None
            if number is not None and model.fit_short(row, number) is not None:
                return
        values = self._features.checked(x)
        self._learn([y], values)
        if self._model is not None:
            self._model.partial_fit(self._features.some(values), self._numbers[y])

    def learn_many(self, X: Any, y: Any) -> None:
        """Make a step of a mini-batch.

        Parameters
        ----------
        X : DataFrame
            Of pandas, or another library that river knows; columns are features.
        y : Series
            A label for each row.
        """
        frame, values = self._features.checked_table(X)
        labels = dataframe.into_series(y).to_list()
        if len(labels) != len(values):
            raise ValueError(f"y must have one label for each of {len(values)} samples, got {len(labels)}")
        if not labels:
            return
        self._learn(labels, frame.columns)
        if self._model is not None:
            numbers = np.array([self._numbers[label] for label in labels])
            self._model.partial_fit(self._features.rows(frame.columns, values), numbers)

    def _learn(self, labels: Sequence[Any], names: Iterable[Hashable]) -> None:
        """Know labels and features."""
        known = {**self._numbers}
        for label in labels:
            try:
                hash(label)
            except TypeError:
                what = "a label that can be a key of a dictionary"
                raise TypeError(f"y must be {what}, such as a str or an int, got {label!r:.60}") from None
            if label is None or label != label:
                raise ValueError(f"y must be a label, got {label!r}")
            known.setdefault(label, len(known))
        self._grow(names, len(known) if len(known) > 1 else 0)
        self._numbers = known

    # ---- predicting ----------------------------------------------------------------------------

    def predict_proba_one(self, x: dict[Hashable, Any], **kwargs: Any) -> dict[Any, float]:
        """Probabilities of the classes so far; none before the first sample.

        Parameters
        ----------
        x : dict of hashable to number

        Returns
        -------
        dict of hashable to float
            By label.
        """
        if self._model is None:
            self._features.checked(x)
            return dict.fromkeys(self._numbers, 1.0)
        logits = self._output(x).tolist()
        largest = max(logits)
        shares = [math.exp(logit - largest) for logit in logits]
        total = sum(shares)
        return {label: share / total for label, share in zip(self._numbers, shares, strict=True)}

    def predict_one(self, x: dict[Hashable, Any], **kwargs: Any) -> Any:
        """The most probable class; None before the first sample.

        Parameters
        ----------
        x : dict of hashable to number

        Returns
        -------
        hashable or None
        """
        if self._model is None:
            self._features.checked(x)
            return next(iter(self._numbers), None)
        return self.classes[int(self._output(x).argmax())]

    def predict_proba_many(self, X: Any) -> Any:
        """Probabilities of the classes so far, for a mini-batch.

        Parameters
        ----------
        X : DataFrame

        Returns
        -------
        DataFrame
            A column for each label, of the library and with the index of X.
        """
        outputs = self._outputs(X)
        if self._model is not None and len(outputs):
            outputs = layer_classes.by_class(self._model.head, outputs)
        columns = dict(zip(self.classes, outputs.T.astype(np.float64), strict=True))
        return dataframe.to_native_frame(columns, like=dataframe.into_frame(X))

    def predict_many(self, X: Any) -> Any:
        """The most probable class of each sample of a mini-batch.

        Parameters
        ----------
        X : DataFrame

        Returns
        -------
        Series
            Of the library and with the index of X.
        """
        outputs, labels = self._outputs(X), self.classes
        numbers = outputs.argmax(axis=1).tolist() if labels else []
        chosen = [labels[number] for number in numbers] if labels else [None] * len(outputs)
        return dataframe.to_native_series(chosen, name=None, like=dataframe.into_frame(X))

    def _outputs(self, X: Any) -> NDArray[Any]:
        frame, values = self._features.checked_table(X)
        if self._model is None or not len(values):
            return np.ones((len(values), len(self._numbers)), self.dtype)
        return self._model.predict(self._features.rows(frame.columns, values))
