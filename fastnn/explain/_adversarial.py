"""Small changes of the input that raise the loss: `adversarial`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..checks import validate
from ..data.rows import as_samples
from ..engine import inspection
from ..engine.lengths import check_lengths
from ..training.arguments import check_samples

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..training.trainer import Trainer


def adversarial(
    model: Trainer,
    X: ArrayLike,
    y: ArrayLike,
    epsilon: float,
    *,
    method: Literal["pgd", "fgsm"] = "pgd",
    steps: int = 10,
    step_size: float | None = None,
    low: float | None = None,
    high: float | None = None,
    seed: int = 0,
    lengths: ArrayLike | None = None,
) -> NDArray[Any]:
    """Samples that differ from X by at most `epsilon` in each input, with a larger loss.

    "fgsm" is one step along the sign of the gradient of the loss: I. Goodfellow, J. Shlens, C. Szegedy,
    *Explaining and harnessing adversarial examples*, ICLR 2015. "pgd" makes several smaller ones, from a
    random start, each followed by a projection: A. Madry et al., *Towards deep learning models resistant to
    adversarial attacks*, ICLR 2018.

    Parameters
    ----------
    model : Model
        Built, with a loss.
    X, y, lengths
        As for `Model.evaluate`.
    epsilon : float, > 0
        In units of the inputs.
    method : "pgd" or "fgsm"
    steps : int
        Of "pgd".
    step_size : float, > 0, optional
        Of "pgd"; ``2.5 * epsilon / steps`` if not given, as in the paper.
    low, high : float, optional
        The range of valid inputs.
    seed : int
        Of the random start of "pgd".

    Returns
    -------
    array of the shape of X
        Of the model's dtype.

    Raises
    ------
    TypeError, ValueError
        As `Model.evaluate`; also if the model is not built, or a setting is out of range.

    Examples
    --------
    >>> import fastnn as fn
    >>> layer = fn.Dense(1, use_bias=False)
    >>> model = fn.Model([layer], "mse", seed=0).build(2)
    >>> layer.weights = [[2.0], [-1.0]]
    >>> fn.explain.adversarial(model, [[0.0, 0.0]], [[-1.0]], 0.25, method="fgsm")
    array([[ 0.25, -0.25]], dtype=float32)
    """
    radius = validate.number("epsilon", epsilon, above=0.0)
    validate.choice("method", method, ("pgd", "fgsm"))
    count = validate.integer("steps", steps, low=1) if method == "pgd" else 1
    step = radius if method == "fgsm" else 2.5 * radius / count
    if step_size is not None and method == "pgd":
        step = validate.number("step_size", step_size, above=0.0)
    lowest = None if low is None else validate.number("low", low)
    highest = None if high is None else validate.number("high", high)
    executor = model.executor
    shape = executor.built.graph.input.shape
    executor.columns.check_names(X)
    given, targets, _ = as_samples(X, y, None, shape, executor.shape_of_target)
    x, targets, _ = check_samples(executor, given, targets, None)
    x = np.asarray(x, model.dtype)
    checked = check_lengths(executor, lengths, len(x), shape)
    least, most = x - x.dtype.type(radius), x + x.dtype.type(radius)
    if lowest is not None:
        least, most = np.maximum(least, lowest), np.maximum(most, lowest)
    if highest is not None:
        least, most = np.minimum(least, highest), np.minimum(most, highest)
    start = x
    if method == "pgd":
        rng = np.random.default_rng(validate.integer("seed", seed, low=0))
        start = np.clip(x + rng.uniform(-radius, radius, x.shape), least, most).astype(x.dtype)
    changed = start
    for _ in range(count):
        direction = np.sign(inspection.loss_input_gradient(executor, changed, targets, checked))
        changed = np.clip(changed + x.dtype.type(step) * direction, least, most)
    single = np.shape(X) in (shape, (x.shape[1],))
    return changed.reshape(*(() if single else (len(x),)), *shape)
