"""Second-order training through SciPy's optimizers: the extra ``scipy``.

The flat parameter vector is what SciPy calls x. `minimize` gives it the loss and its gradient,
`least_squares` the residuals and their derivatives. Both take the whole data set as one batch, so they
suit networks of some thousand parameters, and `least_squares` of some hundred; use float64, since these
methods look at small differences of the loss.

>>> import numpy as np
>>> import fastnn as fn
>>> import fastnn.scipy
>>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
>>> y = np.sin(3 * X)
>>> model = fn.Model([fn.Dense(8, "tanh"), fn.Dense(1)], loss="mse", dtype="float64", seed=0)
>>> result = fn.scipy.minimize(model, X, y)
>>> model.evaluate(X, y)["loss"] < 1e-4
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _validate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .model import Model

__all__ = ["minimize"]


def minimize(
    model: Model,
    X: ArrayLike,
    y: ArrayLike,
    method: str = "L-BFGS-B",
    *,
    sample_weight: ArrayLike | None = None,
    threads: int | None = None,
    **options: Any,
) -> Any:
    """Minimize a model's loss over its parameters by `scipy.optimize.minimize`.

    The loss is that of all samples as one batch, the penalties on the weights included, as
    `Model.loss_and_gradient` gives it; dropout does not drop. The model's own optimizer plays no part, and
    what it remembers stays as it is.

    Parameters
    ----------
    model : Model
        With a loss; float64 where the last digits matter. A float32 model's loss is computed in float32,
        and a method may stop early because it no longer sees it change.
    X : array of shape (n, n_in)
    y : array of shape (n, n_out) or (n,)
    method : str
        One of SciPy's: "L-BFGS-B", "BFGS", "CG", "TNC", ... "BFGS" keeps a matrix of
        8 * n_parameters**2 bytes, "L-BFGS-B" some vectors.
    sample_weight : array of shape (n,), optional
    threads : int, optional
        As for `Model.fit`.
    **options
        Passed on to SciPy: ``options={"maxiter": 500}``, ``tol``, ``callback``, ``bounds``, ...

    Returns
    -------
    scipy.optimize.OptimizeResult
        `x` are the parameters, which the model has then, and `fun` their loss.

    Raises
    ------
    ImportError
        If SciPy is not installed.
    TypeError, ValueError
        If the data is not as for `Model.fit`, or SciPy refuses an option; the model is then as it was.
    KeyboardInterrupt, or what `callback` raises
        The model has then the best parameters that were met.

    Notes
    -----
    J. Nocedal, S. Wright, *Numerical Optimization* (2006), chapters 6 and 7.

    Examples
    --------
    >>> import fastnn as fn
    >>> import fastnn.scipy
    >>> X, y = fn.datasets.spiral(100, 3, seed=0)
    >>> layers = [fn.Dense(16, "tanh"), fn.Dense(3)]
    >>> model = fn.Model(layers, loss="cross_entropy", dtype="float64", seed=0)
    >>> result = fn.scipy.minimize(model, X, y, options={"maxiter": 300})
    >>> model.evaluate(X, y)["accuracy"] > 0.95
    True
    """
    optimize = _optimize()
    data = model._checked(X, y, sample_weight)
    if threads is not None:
        threads = _validate.integer("threads", threads, low=1)
    model._require_adapted()
    model.build(data[0].shape[1])
    with model._lock, _Search(model) as search:

        def loss_and_gradient(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            search.move_to(w)
            loss, gradient = model._loss_and_gradient(data, threads)
            search.note(loss)
            return loss, gradient.astype(np.float64)  # a copy, whatever the dtype: it is written over

        result = optimize.minimize(loss_and_gradient, search.start, jac=True, method=method, **options)
        search.end_at(result.x, result.fun)
    return result


class _Search:
    """A walk through a model's parameters; when it is left, they are the best that were met.

    Attributes
    ----------
    start : float64 array of shape (n_parameters,)
        Where it begins.
    """

    def __init__(self, model: Model) -> None:
        self._parameters = model.parameters
        self._best = model.parameters.copy()
        self._lowest = np.inf
        self.start = model.parameters.astype(np.float64)

    def __enter__(self) -> _Search:
        return self

    def __exit__(self, *_: object) -> None:
        self._parameters[...] = self._best

    def move_to(self, w: NDArray[np.float64]) -> None:
        """Try the parameters `w`."""
        with np.errstate(over="ignore"):  # too large for float32: the loss will say so
            self._parameters[...] = w

    def note(self, loss: float) -> None:
        """Take up the loss of the present parameters; NaN is no improvement."""
        if loss < self._lowest:
            self._lowest, self._best[...] = loss, self._parameters

    def end_at(self, w: NDArray[np.float64], loss: float) -> None:
        """Let SciPy's result be the best, unless it is not finite.

        With bounds or constraints it is not always the lowest that was met.
        """
        self.move_to(w)
        if np.isfinite(loss) and np.isfinite(self._parameters).all():
            self._best[...] = self._parameters


def _optimize() -> Any:
    try:
        from scipy import optimize
    except ImportError as error:
        raise ImportError("fastnn.scipy needs SciPy: the extra 'scipy' of fastnn-jit") from error
    return optimize
