"""Attributions by gradients: `saliency` and `integrated_gradients`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from ..data import array_checks
from ..engine import inspection
from ._selection import one_hot, output_indices

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..inference import Inference


def saliency(
    model: Inference,
    X: ArrayLike,
    output: int | ArrayLike | None = None,
    *,
    lengths: ArrayLike | None = None,
) -> NDArray[Any]:
    """How much an output changes with each input: the absolute value of its derivative.

    K. Simonyan, A. Vedaldi, A. Zisserman, *Deep inside convolutional networks: visualising image
    classification models and saliency maps*, 2014. They take the score before the softmax, which is what a
    model returns whose last layer has no activation.

    Parameters
    ----------
    model : Model
        Built.
    X : array of shape (n, *input_shape), or (*input_shape,) for one sample
    output : int, or array of int of shape (n,), optional
        Number of the output; that which is the largest of each sample if not given.
    lengths : array of int of shape (n,), or int for one sample, optional
        How many time steps each sample has: see `Model.fit`.

    Returns
    -------
    array of the shape of X
        Of the model's dtype, >= 0; in units of the output by units of the inputs. 0 for missing values, NaN,
        which `fastnn.Impute` replaces, and behind the end of a sequence.

    Raises
    ------
    TypeError, ValueError
        As `Model.predict`; also if the model is not built or has no such output.

    Examples
    --------
    >>> import fastnn as fn
    >>> layer = fn.Dense(1, use_bias=False)
    >>> model = fn.Model([layer], seed=0).build(3)
    >>> layer.weights = [[2.0], [0.0], [-1.0]]
    >>> fn.explain.saliency(model, [5.0, 5.0, 5.0])
    array([2., 0., 1.], dtype=float32)
    """
    x, samples, checked = inspection.sequences(model.executor, X, lengths)
    inspector = inspection.Inspector(model.executor, lengths=checked)
    outputs = inspector.outputs(x)
    dy = one_hot(output_indices(output, outputs), outputs.shape[1], model.dtype)
    result: NDArray[Any] = np.abs(inspector.input_gradient(x, dy))
    return result.reshape(*samples, *(model.input_shape or ()))


def integrated_gradients(
    model: Inference,
    X: ArrayLike,
    output: int | ArrayLike | None = None,
    *,
    baseline: float | ArrayLike = 0.0,
    steps: int = 50,
    lengths: ArrayLike | None = None,
) -> NDArray[Any]:
    """What each input contributes to an output, compared with that for a baseline.

    ``(x - baseline) * mean of the gradients on the way from the baseline to x``: the contributions sum up
    to the difference of the outputs, up to the error of the sum over the steps. M. Sundararajan, A. Taly,
    Q. Yan, *Axiomatic attribution for deep networks*, ICML 2017.

    Parameters
    ----------
    model : Model
        Built.
    X : array of shape (n, *input_shape), or (*input_shape,) for one sample
    output : int, or array of int of shape (n,), optional
        Number of the output; that which is the largest of each sample if not given.
    baseline : number, or array of shape input_shape or that of X
        The input that stands for no information: a black picture, the mean of a column.
    steps : int
        Points on the way at which gradients are computed, in the middle of equal parts.
    lengths : array of int of shape (n,), or int for one sample, optional
        How many time steps each sample has: see `Model.fit`.

    Returns
    -------
    array of the shape of X
        Of the model's dtype, in units of the output.

    Raises
    ------
    TypeError, ValueError
        As `Model.predict`; also if X has missing values, the model is not built or has no such output, or
        `baseline` has another shape.

    Examples
    --------
    >>> import fastnn as fn
    >>> layer = fn.Dense(1, use_bias=False)
    >>> model = fn.Model([layer], seed=0).build(3)
    >>> layer.weights = [[2.0], [0.0], [-1.0]]
    >>> fn.explain.integrated_gradients(model, [5.0, 5.0, 5.0], baseline=1.0).round(3)
    array([ 8.,  0., -4.], dtype=float32)
    """
    x, samples, checked = inspection.sequences(model.executor, X, lengths)
    if np.isnan(x).any():
        raise ValueError(
            "X has missing values (NaN), to which there is no way from the baseline; replace them before, as "
            "fn.Impute does, or use fn.explain.occlusion"
        )
    count = validate.integer("steps", steps, low=1)
    start = baseline_rows(baseline, x, samples, model.input_shape or ())
    inspector = inspection.Inspector(model.executor, lengths=checked)
    outputs = inspector.outputs(x)
    dy = one_hot(output_indices(output, outputs), outputs.shape[1], model.dtype)
    total = np.zeros(x.shape)
    for step in range(count):
        total += inspector.input_gradient(start + (x - start) * x.dtype.type((step + 0.5) / count), dy)
    result: NDArray[Any] = ((x - start) * (total / count)).astype(x.dtype)
    return result.reshape(*samples, *(model.input_shape or ()))


def baseline_rows(
    value: Any, x: NDArray[Any], samples: tuple[int, ...], shape: tuple[int, ...], name: str = "baseline"
) -> NDArray[Any]:
    """A number, a sample, or as many as there are, as rows of the shape of `x`."""
    if np.ndim(value) == 0:
        return np.full_like(x, validate.number(name, value))
    given = array_checks.array(name, value, x.dtype.name, (len(shape), len(samples) + len(shape)))
    if given.shape not in (shape, (*samples, *shape)):
        raise ValueError(f"{name} must be a number or have shape {shape}, as a sample, got {given.shape}")
    array_checks.finite(name, given)
    return np.array(np.broadcast_to(given, (len(x), *shape))).reshape(x.shape)
