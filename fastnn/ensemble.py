"""Ensemble: several models that predict as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks.attributes import KnownAttributes
from .data import array_checks
from .data.rows import as_rows, sample_shape
from .layers import classes
from .layers.activation import Activation
from .model import Model
from .training.fit_many import sequence_of_models

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_COMBINE = ("mean", "probabilities", "vote")


class Ensemble(KnownAttributes):
    """Several models that predict as one: by their mean, or by a vote.

    Parameters
    ----------
    models : sequence of Model
        Built, with the same numbers of inputs and outputs. A call uses them as they are then: later training
        is taken into account.
    combine : {"mean", "probabilities", "vote"}
        What `predict` returns: the mean of the models' outputs, whatever these are; the mean of their
        probabilities; or for each class the share of models that chose it. The latter two are for models
        with a loss for classes: cross_entropy, nll, binary_cross_entropy.
    weights : sequence of float, optional
        Weight of each model, >= 0; all equal if not given.

    Attributes
    ----------
    models : tuple of Model
    combine : str
    weights : tuple of float
        They sum to 1.

    Raises
    ------
    TypeError, ValueError
        If the models do not fit together, or a setting is not what is described above.

    Notes
    -----
    T. Dietterich, *Ensemble methods in machine learning*, Multiple Classifier Systems (2000). To save an
    ensemble, save each of its models to a file, or pickle it.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.spiral(100, 3, seed=0)
    >>> layers = lambda: [fn.Dense(32, "relu"), fn.Dense(3)]
    >>> models = [fn.Model(layers(), "cross_entropy", fn.Adam(0.01), seed=i) for i in range(5)]
    >>> histories = fn.fit_many(models, X, y, epochs=50)
    >>> ensemble = fn.Ensemble(models, combine="probabilities")
    >>> ensemble.predict(X).shape
    (300, 3)
    >>> ensemble.evaluate(X, y)["accuracy"] > 0.9
    True
    """

    def __init__(
        self, models: Sequence[Model], combine: str = "mean", weights: Sequence[float] | None = None
    ) -> None:
        self.models = _that_fit_together(models)
        if combine not in _COMBINE:
            raise ValueError(f"combine must be one of {', '.join(_COMBINE)}, got {combine!r}")
        self.combine = combine
        if combine != "mean":
            for i, model in enumerate(self.models):
                if model.head.target not in ("classes", "shares"):
                    loss = None if model.loss is None else model.loss.name
                    raise ValueError(
                        f"{combine!r} needs models with a loss for classes, model {i} has {loss!r}"
                    )
        else:
            _require_one_meaning(self.models)
        self.weights = _shares(weights, len(self.models))
        self._dtype = max(model.dtype for model in self.models)  # float64, if there is one

    def predict(self, X: ArrayLike, *, lengths: ArrayLike | None = None) -> NDArray[Any]:
        """Combined prediction of the models; the largest number of a row is its class.

        Parameters
        ----------
        X : array of shape (n, n_in), or (n_in,) for one sample
        lengths : array of int of shape (n,), or int for one sample, optional
            How many time steps each sample has: see `Model.fit`.

        Returns
        -------
        array of shape (n, n_out), or (n_out,) for one sample
            Outputs, probabilities, or shares of the votes, depending on `combine`; float64 if one of the
            models is.

        Raises
        ------
        TypeError, ValueError
            As `Model.predict`.
        """
        for model in self.models:
            model.executor.columns.check_names(X)
        shape = self.models[0].input_shape or sample_shape(X)
        X, shape = as_rows(X, shape, "X"), None if shape is None or len(shape) == 1 else shape
        given: dict[str, NDArray[Any]] = {}
        total = np.zeros(0, self._dtype)
        for model, weight in zip(self.models, self.weights, strict=True):
            own = model.executor.columns.coded(X)
            if own is X:  # as it is for all models of this dtype
                if model.dtype not in given:
                    given[model.dtype] = array_checks.array("X", X, model.dtype, (1, 2), keep_mapped=True)
                own = given[model.dtype]
            outputs = model.executor.predict(own, table=X, shape=shape, lengths=lengths)
            opinion = self._opinion(model, outputs.reshape(-1, outputs.shape[-1])).reshape(outputs.shape)
            total = total if total.size else np.zeros(outputs.shape, self._dtype)
            total += total.dtype.type(weight) * opinion
        return total

    def __call__(self, X: ArrayLike) -> NDArray[Any]:
        """See `predict`."""
        return self.predict(X)

    def evaluate(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        lengths: ArrayLike | None = None,
    ) -> dict[str, float]:
        """Loss and metrics of the combined prediction.

        Loss and metrics are those of the first model, without penalties on weights. Votes have no loss.

        Parameters
        ----------
        X, y, sample_weight, lengths
            As for `Model.evaluate`.

        Returns
        -------
        dict of str to float
            ``{"loss": ..., "accuracy": ...}``

        Raises
        ------
        TypeError, ValueError
            As `Model.evaluate`.
        """
        loss = self.models[0].loss
        if loss is None:
            raise ValueError("the first model has no loss; give one: fn.Model(layers, loss=...)")
        outputs, last = self.predict(X, lengths=lengths), "identity"
        if self.combine != "mean" or self.models[0].head.output == "probabilities":
            outputs = _logits(outputs, loss.target)
            last = "sigmoid" if loss.target == "shares" else "softmax"
        metrics = [*self.models[0].metrics, *self.models[0].metric_functions]
        settings: dict[str, Any] = {"loss": loss, "metrics": metrics}
        judge = Model([Activation(last)], dtype=self._dtype, seed=0, **settings)
        logs = judge.evaluate(outputs, y, sample_weight)
        if self.combine == "vote":
            del logs["loss"]
        return logs

    def _opinion(self, model: Model, outputs: NDArray[Any]) -> NDArray[Any]:
        """What is averaged: a model's outputs, probabilities or votes."""
        if self.combine == "mean":
            return outputs
        if self.combine == "vote":
            return classes.decisions(model.head, outputs)
        return classes.probabilities(model.head, outputs)

    def __repr__(self) -> str:
        equal = self.weights == _shares(None, len(self.models))
        weights = "" if equal else f", weights=({', '.join(f'{weight:g}' for weight in self.weights)})"
        return f"Ensemble of {len(self.models)} models, combine={self.combine!r}{weights}"


def _that_fit_together(models: Any) -> tuple[Model, ...]:
    models = sequence_of_models(models)
    for i, model in enumerate(models):
        if model.n_in is None:
            raise ValueError(f"model {i} is not built yet; use model.build(n_in) or fit")
        sizes, first = (model.n_in, model.n_out), (models[0].n_in, models[0].n_out)
        if sizes != first:
            raise ValueError(
                f"model {i} has {sizes[0]} inputs and {sizes[1]} outputs, the first {first[0]} and {first[1]}"
            )
    return tuple(models)


def _require_one_meaning(models: tuple[Model, ...]) -> None:
    """Raise a ValueError if some models give probabilities and others do not."""
    first = models[0].head.output
    for i, model in enumerate(models):
        if model.head.output != first and "probabilities" in (model.head.output, first):
            raise ValueError(
                f"the output of model {i} is {model.head.output}, that of the first {first}: their mean "
                "is meaningless; use combine='probabilities'"
            )


def _shares(weights: Any, count: int) -> tuple[float, ...]:
    """Weights that sum to 1."""
    if weights is None:
        return (1 / count,) * count
    given = array_checks.array("weights", weights, "float64", (1,))
    if given.shape != (count,):
        raise ValueError(f"weights must be {count} numbers, one for each model, got shape {given.shape}")
    array_checks.finite("weights", given)
    if given.min() < 0:
        raise ValueError(f"weights must be >= 0, got {given.min():g}")
    if not given.any():
        raise ValueError("weights are all zero")
    shares: list[float] = (given / given.sum()).tolist()
    return tuple(shares)


def _logits(probabilities: NDArray[Any], target: str) -> NDArray[Any]:
    """Finite logits of classes, or of independent labels, that have these probabilities."""
    numbers = np.finfo(probabilities.dtype)
    p = np.maximum(probabilities, numbers.tiny)
    if target == "shares":
        p = np.minimum(p, 1 - numbers.epsneg)
        p = p / (1 - p)
    return np.asarray(np.log(p))
