"""Ensemble: several models that predict as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import validate
from .checks.attributes import KnownAttributes
from .data import array_checks
from .data.rows import as_rows, sample_shape
from .layers import classes, mixtures
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
        self.combine = validate.choice("combine", combine, _COMBINE)
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
        total = np.zeros(0, self._dtype)
        for model, weight, outputs in self._each(X, lengths):
            opinion = self._opinion(model, outputs.reshape(-1, outputs.shape[-1])).reshape(outputs.shape)
            total = total if total.size else np.zeros(outputs.shape, self._dtype)
            total += total.dtype.type(weight) * opinion
        return total

    def predict_distribution(
        self, X: ArrayLike, *, lengths: ArrayLike | None = None
    ) -> dict[str, NDArray[Any]]:
        """What the models say of the distribution of the target, taken together: a deep ensemble.

        B. Lakshminarayanan, A. Pritzel and C. Blundell, *Simple and Scalable Predictive Uncertainty
        Estimation using Deep Ensembles*, NIPS 2017: the mixture of what each model predicts, by `weights`.

        ================================== ================================================================
        loss                               result
        ================================== ================================================================
        `gaussian_nll`, `poisson`,         ``mean`` and ``std`` of the mixture. ``std**2`` is the sum of
        `mixture_density`                  ``aleatoric_std**2``, the mean of the models' variances, which is
                                           the noise of the target, and ``epistemic_std**2``, the variance
                                           of their means, which more data makes smaller
        those of classes, `corn`           ``probabilities``, the mean of the models'; their ``entropy`` in
                                           nats, and the part of it that the models disagree by,
                                           ``mutual_information`` (N. Houlsby et al., *Bayesian Active
                                           Learning*, 2011). Both are numbers for each sample; for several
                                           labels for each of these
        `quantiles`, `quantile`            ``quantiles``, the mean of the models', and their ``epistemic_std``
        others, or none                    ``mean`` and ``std`` of the outputs: what noise the target has is
                                           not in it
        ================================== ================================================================

        Shapes are those of `Model.predict_distribution`: the axis of a single target is left out, and so is
        that of the samples for one sample.

        Parameters
        ----------
        X, lengths
            As for `predict`.

        Returns
        -------
        dict of str to array
            Float64 if one of the models is.

        Raises
        ------
        TypeError, ValueError
            As `predict`; ValueError also if some models say other things than the first.

        Examples
        --------
        >>> import numpy as np
        >>> import fastnn as fn
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(-2, 2, (500, 1))
        >>> y = np.sin(3 * X) + rng.normal(0, 0.1, X.shape)
        >>> layers = lambda: [fn.Dense(32, "tanh"), fn.Dense(2)]
        >>> models = [fn.Model(layers(), "gaussian_nll", fn.Adam(0.01), seed=i) for i in range(5)]
        >>> histories = fn.fit_many(models, X, y, epochs=100)
        >>> inside, outside = fn.Ensemble(models).predict_distribution([[0.5], [4.0]])["epistemic_std"]
        >>> bool(inside < 0.1 < outside)
        True
        """
        opinions, outputs = [], np.zeros(0)
        for model, _, outputs in self._each(X, lengths):  # noqa: B007
            rows = outputs.reshape(len(outputs) if outputs.ndim > self._output_axes else 1, -1)
            found = mixtures.opinion(model.head, model.loss, rows)
            opinions.append({name: values.astype(self._dtype, copy=False) for name, values in found.items()})
            _require_same(opinions, model.loss)
        head, output = self.models[0].head, self.models[0].output_shape or ()
        labels = head.target == "shares" and int(np.prod(output)) > 1
        leading = outputs.shape[: outputs.ndim - len(output)]
        return mixtures.shaped(mixtures.together(opinions, self.weights, labels), leading, output)

    @property
    def _output_axes(self) -> int:
        return len(self.models[0].output_shape or ())

    def _each(self, X: ArrayLike, lengths: ArrayLike | None) -> Iterator[tuple[Model, float, NDArray[Any]]]:
        """Each model, its weight, and its outputs."""
        for model in self.models:
            model.executor.columns.check_names(X)
        shape = self.models[0].input_shape or sample_shape(X)
        X, shape = as_rows(X, shape, "X"), None if shape is None or len(shape) == 1 else shape
        given: dict[str, NDArray[Any]] = {}
        for model, weight in zip(self.models, self.weights, strict=True):
            own = model.executor.columns.coded(X)
            if own is X:  # as it is for all models of this dtype
                if model.dtype not in given:
                    given[model.dtype] = array_checks.array("X", X, model.dtype, (1, 2), keep_mapped=True)
                own = given[model.dtype]
            yield model, weight, model.executor.predict(own, table=X, shape=shape, lengths=lengths)

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


def _require_same(opinions: list[dict[str, NDArray[Any]]], loss: Any) -> None:
    """Raise a ValueError if the last model says other things than the first."""
    shapes = [{name: values.shape for name, values in opinions[i].items()} for i in (0, -1)]
    if shapes[0] != shapes[1]:
        name = None if loss is None else loss.name
        raise ValueError(
            f"model {len(opinions) - 1}, with loss {name!r}, predicts {', '.join(opinions[-1])}, and the "
            f"first {', '.join(opinions[0])}; predict_distribution needs models with one loss"
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
