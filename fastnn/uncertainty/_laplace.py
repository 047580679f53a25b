"""The last layer as a random variable: Laplace's approximation, `LastLayerLaplace`."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from ..checks import validate
from ..checks.attributes import KnownAttributes
from ..engine import inspection, weightless
from ..layers.activation import Activation
from ..layers.dense import Dense
from ..layers.unscale import Unscale
from ..model import Model
from ..training.arguments import check_samples
from ._evidence import Posterior, of_blocks, of_values
from ._gram import add_sums, forms

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_ROWS = 4096  # whose probabilities are in memory at a time
_VALUES, _CLASSES, _LABELS = ("mse", "sse"), ("cross_entropy", "nll"), ("binary_cross_entropy",)


class LastLayerLaplace(KnownAttributes):
    """How uncertain a trained model is, by a normal distribution of the weights of its last layer.

    Laplace's approximation: the logarithm of the posterior is expanded to second order at the trained
    weights, with the generalised Gauss-Newton matrix; the other layers are taken for exact features.
    E. Daxberger et al., *Laplace Redux - Effortless Bayesian Deep Learning*, NeurIPS 2021; D. MacKay, *A
    Practical Bayesian Framework for Backpropagation Networks*, Neural Computation 4 (1992). The mean of
    values, and the more probable of two classes, are those of the model.

    Parameters
    ----------
    model : Model
        Trained, with the loss `mse` or `sse` (targets with normal noise), `cross_entropy`, `nll` or
        `binary_cross_entropy`. Its last layer with weights is a `Dense` of numbers, without an activation but
        one that belongs to the loss; `Unscale` may follow.
    prior_precision : float, > 0, optional
        Of the weights and biases of that layer, with mean 0; in units of the scaled target before `Unscale`.
        By default the one of the largest marginal likelihood.
    noise_std : float, > 0, optional
        Standard deviation of the noise of the targets, for values only. By default it is estimated, for each
        target by itself.

    Attributes
    ----------
    prior_precision_ : float
    noise_std_ : array of shape (n_targets,), or None
        Of models of values.
    log_marginal_likelihood_ : float
        Of the data of `fit`, by which models and priors can be compared.

    Raises
    ------
    TypeError, ValueError
        If the model is not what is described above, or a setting is out of range.

    Notes
    -----
    With d features and K outputs, `fit` takes time proportional to ``n d**2``, for classes to
    ``n (d K)**2 / 2 + (d K)**3``; a prediction of a row to ``d**2 K``. All but the model runs in float64.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, (200, 1))
    >>> y = np.sin(3 * X) + rng.normal(0, 0.1, X.shape)
    >>> model = fn.Model([fn.Dense(32, "tanh"), fn.Dense(1)], "mse", fn.Adam(0.01), seed=0)
    >>> history = model.fit(X, y, epochs=200)
    >>> laplace = fn.uncertainty.LastLayerLaplace(model).fit(X, y)
    >>> inside, outside = laplace.predict_distribution([[0.0], [3.0]])["std"]
    >>> bool(0.09 < inside < 0.13 < outside)
    True
    """

    prior_precision_: float
    noise_std_: NDArray[np.float64] | None
    log_marginal_likelihood_: float

    def __init__(
        self, model: Model, prior_precision: float | None = None, noise_std: float | None = None
    ) -> None:
        if not isinstance(model, Model):
            raise TypeError(f"model must be a fn.Model, got {model!r}")
        self._place = _last_dense(model)
        if prior_precision is not None:
            prior_precision = validate.number("prior_precision", prior_precision, above=0.0)
        if noise_std is not None:
            noise_std = validate.number("noise_std", noise_std, above=0.0)
            if model.loss is not None and model.loss.name not in _VALUES:
                raise ValueError(f"noise_std is for models of values, not for {model.loss.name!r}")
        self.model, self.prior_precision, self.noise_std = model, prior_precision, noise_std
        self._fitted: _Fitted | None = None

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Find the distribution of the weights, by the data that the model was trained with.

        Later training of the model does not change it: it keeps a copy.

        Parameters
        ----------
        X : array of shape (n, *input_shape)
        y : array
            As for `Model.fit`.

        Returns
        -------
        LastLayerLaplace
            Itself.

        Raises
        ------
        TypeError, ValueError
            As `Model.evaluate`; ValueError also if the model is not built. What was fitted before is then
            kept.
        """
        model = copy.copy(self.model)
        executor = model.executor
        if len(executor.built.graph.output.shape) > 1:
            raise ValueError(
                f"LastLayerLaplace needs an output of one axis, the last layer gives {model.output_shape}"
            )
        executor.columns.check_names(X)
        data = check_samples(executor, X, y, None)
        if data.weight is not None:
            raise ValueError("LastLayerLaplace cannot leave out missing targets; leave out their samples")
        x = np.ascontiguousarray(data.X, model.dtype)
        features = _Features(model, self._place)
        hidden = features.of(x)
        target = np.asarray(data.y, np.float64)
        values = model.loss is not None and model.loss.name in _VALUES
        found = (
            self._of_values(features, x, hidden, target)
            if values
            else self._of_classes(features, hidden, target)
        )
        self._fitted = _Fitted(features, found)
        self.prior_precision_, self.log_marginal_likelihood_ = found.precision, found.evidence
        self.noise_std_ = None if found.noise is None else found.noise * features.scale
        return self

    def predict_distribution(self, X: ArrayLike) -> dict[str, NDArray[Any]]:
        """What the model says of the target, with the uncertainty of its last layer.

        Parameters
        ----------
        X : array of shape (n, *input_shape), or (*input_shape,) for one sample

        Returns
        -------
        dict of str to array
            For values ``mean`` and ``std``, of shape (n, n_targets), where ``std**2`` is the sum of
            ``aleatoric_std**2``, the noise, and ``epistemic_std**2``, the variance by the weights. For
            classes ``probabilities``, as `Model.predict_proba`: logits, and the differences between those of
            two classes, are scaled down by their variance (the probit approximation: MacKay, 1992; Z. Lu, E.
            Ie and F. Sha, *Mean-Field Approximation to Gaussian-Softmax Integral*, 2020). The axis of a
            single target is left out, and so is that of the samples for one sample. Of the model's dtype.

        Raises
        ------
        TypeError, ValueError
            As `Model.predict`; ValueError also before `fit`.
        """
        if self._fitted is None:
            raise ValueError("LastLayerLaplace is not fitted yet; use fit(X, y)")
        features, posterior = self._fitted
        model = features.model
        x, leading = inspection.samples(model.executor, X)
        hidden = features.of(x)
        if posterior.noise is None:
            parts = [hidden[start : start + _ROWS] for start in range(0, len(hidden), _ROWS)]
            result = {
                "probabilities": np.concatenate([_probabilities(*self._fitted, part) for part in parts])
            }
        else:
            epistemic = np.sqrt(forms(hidden, posterior.covariance)) * features.scale
            noise = np.broadcast_to(posterior.noise * features.scale, epistemic.shape)
            result = {
                "mean": inspection.Inspector(model.executor).outputs(x),
                "std": np.sqrt(epistemic**2 + noise**2),
                "aleatoric_std": noise,
                "epistemic_std": epistemic,
            }
        for name, values in result.items():
            shown = values[:, 0] if values.shape[1] == 1 else values
            result[name] = np.array(shown if leading else shown[0], model.dtype)
        return result

    def _of_values(
        self, features: _Features, x: NDArray[Any], hidden: NDArray[Any], target: NDArray[np.float64]
    ) -> Posterior:
        outputs = inspection.Inspector(features.model.executor).outputs(x)
        errors = np.ascontiguousarray((outputs - target) / features.scale)
        ones = np.ones((len(x), 1))
        product, squares = (np.zeros((1, n, n)) for n in (hidden.shape[1], errors.shape[1]))
        add_sums(hidden, ones, product)
        add_sums(errors, ones, squares)
        noise = None if self.noise_std is None else self.noise_std / features.scale
        weights = features.weights
        found = of_values(product[0], weights, np.diag(squares[0]), len(x), self.prior_precision, noise)
        units = len(x) * float(np.log(features.scale).sum())  # densities of targets in their own units
        return Posterior(found.covariance, found.noise, found.precision, found.evidence - units)

    def _of_classes(
        self, features: _Features, hidden: NDArray[Any], target: NDArray[np.float64]
    ) -> Posterior:
        width, count = hidden.shape[1], features.weights.shape[1]
        pairs = [(a, b) for a in range(count) for b in range(a, count)]
        labels = features.last == "sigmoid"
        matrices = np.zeros((count if labels else len(pairs), width, width))
        likelihood = 0.0
        for start in range(0, len(hidden), _ROWS):
            part = slice(start, start + _ROWS)
            p = weightless.outputs([Activation(features.last)], features.logits(hidden[part]))
            tiny = np.finfo(np.float64).tiny
            if labels:
                factors = p * (1 - p)
                own = target[part] * np.log(np.maximum(p, tiny)) + (1 - target[part]) * np.log(
                    np.maximum(1 - p, tiny)
                )
            else:
                factors = np.stack([p[:, a] * ((a == b) - p[:, b]) for a, b in pairs], axis=1)
                own = np.log(np.maximum(p[np.arange(len(p)), target[part].ravel().astype(np.int64)], tiny))
            likelihood += float(own.sum())
            add_sums(hidden[part], np.ascontiguousarray(factors), matrices)
        if not labels:
            whole = np.zeros((count, width, count, width))
            for (a, b), matrix in zip(pairs, matrices, strict=True):
                whole[a, :, b] = whole[b, :, a] = matrix
            matrices = whole.reshape(1, count * width, count * width)
        return of_blocks(matrices, features.weights, likelihood, self.prior_precision)

    def __repr__(self) -> str:
        return f"LastLayerLaplace of {self.model!r}" + ("" if self._fitted else ", not fitted")


class _Features:
    """The layers before the last `Dense`, and what its weights are.

    Attributes
    ----------
    model : Model
        A copy.
    last : {"identity", "softmax", "sigmoid"}
        What makes the outputs, or probabilities, of what that layer computes.
    weights : array of shape (d, K)
        With the biases as the last row, for a feature that is 1.
    scale : array of shape (K,)
        What follows multiplies values by: that of `Unscale`, or ones.
    """

    def __init__(self, model: Model, place: int) -> None:
        self.model, dense = model, model.layers[place]
        assert isinstance(dense, Dense) and model.loss is not None  # noqa: PT018
        self._place, self._bias = place, dense.use_bias
        rows = [dense.weights, dense.bias[np.newaxis]] if dense.use_bias else [dense.weights]
        self.weights = np.concatenate(rows).astype(np.float64)
        name = model.loss.name
        self.last = "softmax" if name in _CLASSES else "sigmoid" if name in _LABELS else "identity"
        after = model.layers[-1]
        self.scale = np.asarray(after.scale) if isinstance(after, Unscale) else np.ones(dense.units)
        layer = Dense(dense.units, use_bias=False)
        self._product = Model([layer], dtype="float64", seed=0).build(len(self.weights))
        layer.weights = self.weights

    def of(self, x: NDArray[Any]) -> NDArray[Any]:
        """Features of checked rows, of shape (n, d) and the model's dtype."""
        if self._place:
            executor = self.model.executor
            x = inspection.Inspector(executor, inspection.find_layer(executor, self._place - 1)).outputs(x)
        return np.ascontiguousarray(np.hstack([x, np.ones((len(x), 1), x.dtype)]) if self._bias else x)

    def logits(self, hidden: NDArray[Any]) -> NDArray[np.float64]:
        """What the layer computes of features, in float64."""
        return self._product.predict(hidden.astype(np.float64))


class _Fitted(NamedTuple):
    features: _Features
    posterior: Posterior


def _probabilities(features: _Features, posterior: Posterior, hidden: NDArray[Any]) -> NDArray[np.float64]:
    """Of classes or labels, of shape (n, K), or (n, 2) for a single logit."""
    logits = features.logits(hidden)
    factors = 1 / np.sqrt(1 + math.pi / 8 * forms(hidden, posterior.covariance))
    if features.last == "sigmoid":
        p = weightless.outputs([Activation("sigmoid")], logits * factors)
        return np.hstack([1 - p, p]) if p.shape[1] == 1 else p
    a, b = np.triu_indices(logits.shape[1], 1)
    odds = np.ones((len(logits), logits.shape[1], logits.shape[1]))  # of class b against class a
    difference = (logits[:, b] - logits[:, a]) * factors
    with np.errstate(over="ignore"):  # infinite odds make a probability of 0
        odds[:, a, b], odds[:, b, a] = np.exp(difference), np.exp(-difference)
    p = 1 / odds.sum(axis=2)
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def _last_dense(model: Model) -> int:
    """Number of the last layer with weights, if it is one that can be treated."""
    loss, known = model.loss, (*_VALUES, *_CLASSES, *_LABELS)
    if loss is None or loss.name not in known or any(loss.settings.values()):
        name = None if loss is None else str(loss)
        raise ValueError(
            f"LastLayerLaplace needs a model with one of the losses {', '.join(known)}, not {name}"
        )
    place = len(model.layers) - 1
    if model.layers[place].of_targets:
        place -= 1
    if isinstance(model.layers[place], Activation) and place and model.head.ops:
        place -= 1
    dense = model.layers[place]
    activation = dense.activation.name if isinstance(dense, Dense) and dense.activation else "identity"
    own = (activation == "identity") or (place == len(model.layers) - 1 and model.head.ops > 0)
    if not isinstance(dense, Dense) or not own:
        raise ValueError(
            f"LastLayerLaplace needs a model that ends in fn.Dense without an activation, but one that "
            f"belongs to its loss, not in {dense!r}"
        )
    return place
