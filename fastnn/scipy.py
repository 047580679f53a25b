"""Second-order training through SciPy's optimizers: the extra ``scipy``.

The flat parameter vector is what SciPy calls x. `minimize` gives it the loss and its gradient,
`least_squares` the residuals and their derivatives. Both take the whole data set as one batch, so they
suit networks of some thousand parameters, `least_squares` of some hundred; use float64, since these methods
depend on small differences of the loss.

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

from .checks import validate
from .data import array_checks
from .data.tables import column_names
from .data.weights import sample_weights, times
from .engine import launch
from .engine.frozen import frozen_ranges
from .memory.buffers import empty
from .training.arguments import check_samples
from .training.hessian import central_difference
from .training.least_squares import require_squares

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .engine.executor import Executor
    from .model import Model

__all__ = ["least_squares", "minimize"]


def __dir__() -> list[str]:
    return __all__


# Methods of `minimize` that take products of the Hessian matrix and a vector.
_BY_PRODUCTS = ("newton-cg", "trust-ncg", "trust-krylov")
# Method -> memory that it needs at its peak, as a multiple of the Jacobian's: measured with tracemalloc.
_METHODS = {"lm": 5, "trf": 12, "dogbox": 6}


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
    """Minimize a model's loss with respect to its parameters by `scipy.optimize.minimize`.

    The loss is that of all samples as one batch, the penalties on the weights included, as
    `Model.loss_and_gradient` returns it; dropout is inactive. The model's own optimizer is not used, and
    its state does not change. Parameters of frozen layers (`Layer.trainable`) do not change: SciPy gets a
    gradient of zero for them.

    Parameters
    ----------
    model : Model
        With a loss; use float64 where the last digits matter. The loss of a float32 model is computed in
        float32, and a method may stop early because it no longer sees it change.
    X : array of shape (n, n_in)
    y : array of shape (n, n_out) or (n,)
    method : str
        One of SciPy's: "L-BFGS-B", "BFGS", "CG", "TNC", ... "BFGS" keeps a matrix of
        8 * n_parameters**2 bytes, "L-BFGS-B" some vectors. "Newton-CG", "trust-ncg" and "trust-krylov" are
        given products of the Hessian matrix, as `Model.hessian_vector_product` computes them, each at the
        price of two gradients.
    sample_weight : array of shape (n,) or (n, n_out), optional
    threads : int, optional
        As for `Model.fit`.
    **options
        Passed on to SciPy: ``options={"maxiter": 500}``, ``tol``, ``callback``, ``bounds``, ...

    Returns
    -------
    scipy.optimize.OptimizeResult
        `x` are the parameters, which the model then has, and `fun` their loss.

    Raises
    ------
    ImportError
        If SciPy is not installed.
    TypeError, ValueError
        If the data is not as for `Model.fit`, or SciPy rejects an option; the model is then unchanged.
    KeyboardInterrupt, or what `callback` raises
        The model then has the best parameters that were found.

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
    executor = model.executor
    executor.columns.check_names(X)
    data = check_samples(executor, X, y, sample_weight, penalties=True)
    if threads is not None:
        threads = validate.integer("threads", threads, low=1)
    executor.require_adapted()
    executor.build(executor.shape_of_input(X, data[0]))
    executor.columns.take_names(column_names(X))
    with executor.weights_lock.held(), _Search(executor) as search:

        def at(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            search.move_to(w)
            loss, gradient = executor.weights_lock.run_exclusive(executor.loss_and_gradient, data, threads)
            # A copy, whatever the dtype: it is written over.
            return loss, search.without_frozen(gradient.astype(np.float64))

        def loss_and_gradient(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            loss, gradient = at(w)
            search.note(loss)
            return loss, gradient

        def hessian_product(w: NDArray[np.float64], vector: NDArray[np.float64]) -> NDArray[np.float64]:
            direction = search.without_frozen(np.array(vector, np.float64))
            return central_difference(lambda moved: at(moved)[1], w.astype(model.dtype), direction)

        if method.lower() in _BY_PRODUCTS and not {"hess", "hessp"} & options.keys():
            options["hessp"] = hessian_product
        result = optimize.minimize(loss_and_gradient, search.start, jac=True, method=method, **options)
        search.end_at(result.x, result.fun)
    return result


def least_squares(
    model: Model,
    X: ArrayLike,
    y: ArrayLike,
    method: str = "lm",
    *,
    sample_weight: ArrayLike | None = None,
    memory_limit: int = 1 << 31,
    **options: Any,
) -> Any:
    """Fit a model to values by `scipy.optimize.least_squares`: the losses `mse` and `sse`.

    For every sample and output there is a residual, ``sqrt(sample_weight) * (output - y)``, and the
    Jacobian holds its derivatives with respect to all parameters. Compiled code fills it in place. So few
    steps are needed that, for networks of some hundred parameters, no other method comes close in precision.
    Dropout is inactive, and the model's own optimizer is not used. Frozen layers do not change, as in
    `minimize`.

    Parameters
    ----------
    model : Model
        With the loss `mse` or `sse`, and no penalties on weights. In float32 the precision is limited to
        errors of about 1e-6 of the targets; use float64 for more.
    X : array of shape (n, n_in)
    y : array of shape (n, n_out) or (n,)
    method : {"lm", "trf", "dogbox"}
        "lm", Levenberg-Marquardt, needs at least as many residuals, ``n * n_out``, as parameters.
        "trf" does not, and takes ``bounds``.
    sample_weight : array of shape (n,) or (n, n_out), optional
    memory_limit : int
        Bytes that may be used. The Jacobian has ``8 * n * n_out * n_parameters``, and SciPy makes copies
        and factors of it: about 5 times as many in all for "lm", 12 for "trf", 6 for "dogbox".
    **options
        Passed on to SciPy: ``max_nfev``, ``ftol``, ``xtol``, ``gtol``, ``bounds``, ``x_scale``, ...

    Returns
    -------
    scipy.optimize.OptimizeResult
        `x` are the parameters, which the model then has; `cost` is half the sum of the squares of the
        residuals; `fun` and `jac` are residuals and Jacobian.

    Raises
    ------
    ImportError
        If SciPy is not installed.
    TypeError, ValueError
        If the model has another loss, or penalties; if the data is not as for `Model.fit`, or too
        little for "lm"; if SciPy rejects an option. The model is then unchanged.
    MemoryError
        If more than `memory_limit` would be needed, before anything is allocated.
    KeyboardInterrupt
        The model then has the best parameters that were found.

    Notes
    -----
    J. Nocedal, S. Wright, *Numerical Optimization* (2006), chapter 10; M. Hagan, M. Menhaj, *Training
    feedforward networks with the Marquardt algorithm*, IEEE Trans. Neural Networks 5 (1994).

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> import fastnn.scipy
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> y = np.sin(3 * X)
    >>> model = fn.Model([fn.Dense(8, "tanh"), fn.Dense(1)], loss="mse", dtype="float64", seed=0)
    >>> result = fn.scipy.least_squares(model, X, y)
    >>> model.evaluate(X, y)["loss"] < 1e-8
    True
    """
    optimize = _optimize()
    require_squares(model, "least_squares")
    validate.choice("method", method, _METHODS)
    memory_limit = validate.integer("memory_limit", memory_limit, low=0)
    executor = model.executor
    executor.columns.check_names(X)
    x, target, present = check_samples(executor, X, y, None)
    weight = times(sample_weights(sample_weight, len(x), outputs=target.shape[1]), present)
    x = array_checks.array("X", x, model.dtype, (2,))  # a mapped file may have another dtype
    executor.require_adapted()
    _require_fits(method, target.size, executor.parameter_count(executor.shape_of_input(X, x)), memory_limit)
    executor.build(executor.shape_of_input(X, x))
    executor.columns.take_names(column_names(X))
    scale = np.ones(1) if weight is None else np.sqrt(weight, dtype=np.float64).reshape(len(x), -1)
    with executor.weights_lock.held(), _Search(executor) as search:
        net = executor.embedded_network(1)
        derivatives = empty((target.size, search.start.size), model.dtype, "the Jacobian")
        jacobian = derivatives if model.dtype == "float64" else np.empty(derivatives.shape)
        row_scale = np.broadcast_to(scale, target.shape).reshape(-1, 1)

        def residuals(w: NDArray[np.float64]) -> NDArray[np.float64]:
            search.move_to(w)
            error: NDArray[np.float64] = (scale * (executor.predict(x) - target)).ravel()
            search.note(float(error @ error))
            return error

        def fill_jacobian(w: NDArray[np.float64]) -> NDArray[np.float64]:
            search.move_to(w)
            launch.derivatives("parameter_jacobian", net, x, derivatives)
            np.multiply(derivatives, row_scale, out=jacobian)
            return search.without_frozen(jacobian)

        result = optimize.least_squares(residuals, search.start, fill_jacobian, method=method, **options)
        search.end_at(result.x, result.cost)
    return result


def _require_fits(method: str, m: int, n: int, memory_limit: int) -> None:
    """Raise an error if there are too few residuals for the method, or too many for the memory."""
    if method == "lm" and m < n:
        raise ValueError(
            f"method 'lm' needs at least as many residuals as parameters, got {m} and {n}; use 'trf'"
        )
    memory = _METHODS[method] * 8 * m * n
    if memory > memory_limit:
        raise MemoryError(
            f"least_squares with {m} residuals and {n} parameters needs about {memory:.3g} bytes, more than "
            f"memory_limit={memory_limit}; use fewer samples, or minimize"
        )


class _Search:
    """A search over a model's parameters; on exit the model has the best that were found.

    Attributes
    ----------
    start : float64 array of shape (n_parameters,)
        Where it starts.
    """

    def __init__(self, executor: Executor) -> None:
        self._parameters, self._weights_lock = executor.state.parameters, executor.weights_lock
        self._best = self._parameters.copy()
        self._lowest = np.inf
        self.start = self._parameters.astype(np.float64)
        self._frozen = frozen_ranges(executor.built.graph.parameters)

    def __enter__(self) -> _Search:
        return self

    def __exit__(self, *_: object) -> None:
        with self._weights_lock.change():
            self._parameters[...] = self._best

    def move_to(self, w: NDArray[np.float64]) -> None:
        """Try the parameters `w`."""
        with (
            np.errstate(over="ignore"),
            self._weights_lock.change(),
        ):  # too large for float32: the loss will say so
            self._parameters[...] = w
            for start, end in self._frozen:
                self._parameters[start:end] = self._best[start:end]

    def without_frozen(self, derivatives: NDArray[np.float64]) -> NDArray[np.float64]:
        """Set the derivatives with respect to frozen parameters, along the last axis, to zero."""
        for start, end in self._frozen:
            derivatives[..., start:end] = 0
        return derivatives

    def note(self, loss: float) -> None:
        """Record the loss of the current parameters; NaN is no improvement."""
        if loss < self._lowest:
            self._lowest, self._best[...] = loss, self._parameters

    def end_at(self, w: NDArray[np.float64], loss: float) -> None:
        """Take SciPy's result as the best, unless it is not finite; frozen parameters in `w` are restored.

        With bounds or constraints it is not always the lowest that was found.
        """
        for start, end in self._frozen:
            w[start:end] = self.start[start:end]
        self.move_to(w)
        if np.isfinite(loss) and np.isfinite(self._parameters).all():
            self._best[...] = self._parameters


def _optimize() -> Any:
    try:
        from scipy import optimize
    except ImportError as error:
        raise ImportError("fastnn.scipy needs SciPy: the extra 'scipy' of fastnn-jit") from error
    return optimize
