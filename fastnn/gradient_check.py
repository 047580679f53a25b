"""A model's gradient compared with central differences."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import validate
from .errors import GradientError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .model import Model

# Elements of the gradient that are smaller than this share of the largest are compared with that share.
_SMALL = 1e-3


def check_gradient(
    model: Model,
    X: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    tolerance: float = 1e-5,
    most: int = 1000,
) -> float:
    """Compare a model's gradient with central differences: for user-defined layers, activations and losses.

    The model is copied to float64 and not changed. Dropout is inactive. Where a function has a kink, like
    `relu` at 0, differences across it are meaningless: use other data then.

    Parameters
    ----------
    model : Model
        With a loss.
    X, y, sample_weight
        As for `fastnn.Model.fit`; a few samples are enough.
    tolerance : float, > 0
        Largest error of an element of the gradient, relative to the larger of the element and the difference,
        or to a thousandth of the largest element.
    most : int
        How many parameters are checked; chosen at random if there are more. Each costs two forward passes.

    Returns
    -------
    float
        The largest relative error.

    Raises
    ------
    GradientError
        If it is larger than `tolerance`: an AssertionError that names the parameter.
    TypeError, ValueError
        As `fastnn.Model.fit`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> model = fn.Model([fn.Dense(5, "gelu"), fn.Dense(2)], loss="huber", seed=0)
    >>> X, y = np.random.default_rng(0).normal(size=(2, 8, 2))
    >>> fn.check_gradient(model, X, y) < 1e-6
    True
    """
    tolerance = validate.number("tolerance", tolerance, above=0.0)
    most = validate.integer("most", most, low=1)
    model.evaluate(X, y, sample_weight)  # checks the arguments, and builds the model
    layers = [copy.deepcopy(layer) for layer in model.layers]
    twin = type(model)(layers, loss=model.loss, dtype="float64", seed=model.seed).build(
        model.input_shape or 0
    )
    data: tuple[Any, ...] = (X, y, sample_weight)
    gradient, parameters = twin.loss_and_gradient(*data)[1], twin.parameters
    chosen = np.arange(parameters.size)
    if chosen.size > most:
        chosen = np.sort(np.random.default_rng(0).choice(chosen, most, replace=False))
    differences = np.array([_central_difference(twin, int(i), data) for i in chosen])
    found = gradient[chosen]
    scale = np.maximum(np.maximum(abs(found), abs(differences)), _SMALL * abs(gradient).max(initial=0.0))
    errors = np.divide(abs(found - differences), scale, out=np.zeros(chosen.size), where=scale > 0)
    worst = int(errors.argmax()) if errors.size else 0
    if errors.size and not errors[worst] <= tolerance:
        raise GradientError(
            f"the gradient with respect to {_place(twin, int(chosen[worst]))} is {found[worst]:.9g}, "
            f"central differences give {differences[worst]:.9g}: a relative error of {errors[worst]:.2g}, "
            f"more than {tolerance:g}"
        )
    return float(errors.max(initial=0.0))


def _central_difference(model: Model, i: int, data: tuple[Any, ...]) -> float:
    """Derivative of the loss with respect to parameter i, with the step that balances its two errors."""
    start = model.parameters[i]
    step = np.finfo(np.float64).eps ** (1 / 3) * max(1.0, abs(start))
    sides = []
    for value in (start + step, start - step):
        model.parameters[i] = value
        sides.append((value, model.loss_and_gradient(*data)[0]))
    model.parameters[i] = start
    (high, above), (low, below) = sides
    return float((above - below) / (high - low))


def _place(model: Model, i: int) -> str:
    """Name of a parameter: its index in which layer."""
    assert model.executor.graph is not None
    p = next(p for p in model.executor.graph.parameters if p.offset <= i < p.offset + p.size)
    index = ", ".join(str(int(k)) for k in np.unravel_index(i - p.offset, p.shape))
    return f"{p.name}[{index}] of layer {p.path}, {p.layer!r},"
