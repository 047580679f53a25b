"""What a model's outputs mean: probabilities of classes, and the classes themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .inference import Inference
from .layers import classes, distributions, mixtures

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Probabilities(Inference):
    """Base of `fastnn.Model`: what it says of classes and of distributions."""

    def predict_proba(self, X: ArrayLike, *, lengths: ArrayLike | None = None) -> NDArray[Any]:
        """Probabilities of the classes, whether the last layer returns probabilities or logits.

        Parameters
        ----------
        X : array of shape (n, n_in), or (n_in,) for one sample
        lengths : array of int of shape (n,), optional
            As for `predict`.

        Returns
        -------
        array of shape (n, n_classes), or (n_classes,) for one sample
            Of the model's dtype. A single output for two classes gives two columns, as in scikit-learn;
            several such outputs, which represent labels, give one column each.

        Raises
        ------
        TypeError, ValueError
            As `predict`; ValueError also if the loss is not one of classes.

        Examples
        --------
        >>> import fastnn as fn
        >>> model = fn.Model([fn.Dense(1)], loss="binary_cross_entropy", seed=0).build(2)
        >>> model.predict_proba([[0.0, 0.0]])
        array([[0.5, 0.5]], dtype=float32)
        """
        classes.require("predict_proba", self.head, self._executor.loss)
        return classes.by_class(self.head, self.predict(X, lengths=lengths))

    def predict_class(self, X: ArrayLike, *, lengths: ArrayLike | None = None) -> Any:
        """Number of the most probable class of each sample.

        Parameters
        ----------
        X : array of shape (n, n_in), or (n_in,) for one sample
        lengths : array of int of shape (n,), optional
            As for `predict`.

        Returns
        -------
        int64 array of shape (n,), or a number for one sample
            For several outputs that represent labels (`binary_cross_entropy`) an array of 0 and 1, of
            shape (n, n_out) or (n_out,).

        Raises
        ------
        TypeError, ValueError
            As `predict_proba`.

        Examples
        --------
        >>> import fastnn as fn
        >>> X, y = fn.datasets.spiral(100, 3, seed=0)
        >>> model = fn.Model([fn.Dense(32, "relu"), fn.Dense(3)], loss="cross_entropy", seed=0)
        >>> history = model.fit(X, y, epochs=200)
        >>> bool((model.predict_class(X) == y).mean() > 0.9)
        True
        """
        classes.require("predict_class", self.head, self._executor.loss)
        return classes.numbers(self.head, self.predict(X, lengths=lengths))

    def predict_distribution(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        samples: int | None = None,
        seed: int | None = None,
    ) -> dict[str, NDArray[Any]]:
        """What the outputs say of the distribution of the target, by names.

        ================================ ==================================================================
        loss                             result
        ================================ ==================================================================
        `gaussian_nll`, `poisson`        ``mean`` and ``std`` (standard deviation), of shape (n, n_targets)
        `quantiles`, `quantile`          ``quantiles``, of shape (n, n_levels, n_targets)
        `mixture_density`                ``mean`` and ``std`` of the mixture; of its components ``weights``
                                         and ``stds``, of shape (n, components), and ``means``, of shape
                                         (n, components, n_targets)
        those of classes, `corn`         ``probabilities``, as `predict_proba`
        ================================ ==================================================================

        Where there is a single target, the axis of the targets is left out; so is that of the samples for
        one sample.

        Parameters
        ----------
        X : array of shape (n, n_in), or (n_in,) for one sample
        lengths : array of int of shape (n,), optional
            As for `predict`.
        samples, seed : int, optional
            As for `predict`: the outputs of so many networks, drawn by dropout, are taken for those of the
            members of an ensemble. The result is that of `Ensemble.predict_distribution`, for any loss. Rows
            are computed some at a time, so that not all outputs are in memory.

        Returns
        -------
        dict of str to array
            Of the model's dtype.

        Raises
        ------
        TypeError, ValueError
            As `predict`; ValueError also if the loss is none of these, and there are no samples.

        Examples
        --------
        >>> import fastnn as fn
        >>> layer = fn.Dense(2)
        >>> model = fn.Model([layer], loss="gaussian_nll", seed=0).build(1)
        >>> layer.weights, layer.bias = [[1.0, 0.0]], [0.0, 0.0]
        >>> model.predict_distribution([[3.0], [4.0]])
        {'mean': array([3., 4.], dtype=float32), 'std': array([1., 1.], dtype=float32)}
        """
        loss = self._executor.loss
        if samples is not None or seed is not None:
            return self._sampled_distribution(X, lengths, samples, seed)
        distributions.require(self.head, loss)
        assert loss is not None
        return distributions.of(self.head, loss, self.predict(X, lengths=lengths))

    def _sampled_distribution(
        self, X: ArrayLike, lengths: Any, samples: Any, seed: Any
    ) -> dict[str, NDArray[Any]]:
        parts, head = [], self.head
        leading: tuple[int, ...] = ()
        for leading, outputs in self._sampler.blocks(X, samples, seed, lengths):  # noqa: B007
            count, n, n_out = outputs.shape
            every = mixtures.opinion(head, self._executor.loss, outputs.reshape(-1, n_out))
            by_sample = {name: values.reshape(count, n, *values.shape[1:]) for name, values in every.items()}
            opinions = [{name: values[k] for name, values in by_sample.items()} for k in range(count)]
            labels = head.target == "shares" and n_out > 1
            parts.append(mixtures.together(opinions, [1 / count] * count, labels))
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        assert self.output_shape is not None
        return mixtures.shaped(whole, leading, self.output_shape)
