"""Second derivatives of the loss: products of the Hessian matrix and a vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import array_checks
from .arguments import check_call
from .trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Gradient = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class Hessian(Trainer):
    """Base of `fastnn.Model`: second derivatives of the loss."""

    def hessian_vector_product(
        self,
        X: ArrayLike,
        y: ArrayLike,
        vector: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        lengths: ArrayLike | None = None,
    ) -> NDArray[Any]:
        """Product of the Hessian matrix of the loss, with respect to all parameters, and a vector.

        The loss is that of `loss_and_gradient`, with the penalties on the weights; the matrix itself is never
        made. It takes as long as two calls of that function, for layers and losses of every kind.

        Parameters
        ----------
        X, y, sample_weight, lengths
            As for `loss_and_gradient`.
        vector : array of shape (n_parameters,)
            In the order of `parameters`.

        Returns
        -------
        array of shape (n_parameters,), of the model's dtype

        Raises
        ------
        TypeError, ValueError
            As `loss_and_gradient`; or if `vector` has another shape or is not finite.

        Notes
        -----
        The central difference of two exact gradients, a small step along the vector to each side: J. Nocedal,
        S. Wright, *Numerical Optimization* (2006), section 8.1. In float64 the relative error is about
        1e-9, in float32 about 1e-3. At a kink, as of relu, the second derivative is that of its
        neighbourhood. Other threads may predict meanwhile, by weights that differ by that step.

        Examples
        --------
        The loss ``mean((x w - y)**2)`` of one weight has the second derivative ``2 * mean(x**2)``:

        >>> import fastnn as fn
        >>> model = fn.Model([fn.Dense(1, use_bias=False)], loss="mse", dtype="float64", seed=0)
        >>> model.hessian_vector_product([[1.0], [3.0]], [[1.0], [0.0]], [1.0])
        array([10.])
        """
        executor = self._executor
        data, lengths = check_call(executor, X, y, sample_weight, lengths, penalties=True)
        parameters = executor.state.parameters
        given = array_checks.array("vector", vector, "float64", (1,))
        array_checks.require_shape("vector", given, parameters.shape)
        array_checks.finite("vector", given)
        lock, kept = executor.weights_lock, parameters.copy()

        def gradient(w: NDArray[np.float64]) -> NDArray[np.float64]:
            with lock.change():
                parameters[...] = w
            _, found = lock.run_exclusive(executor.loss_and_gradient, data, None, lengths)
            return np.array(found, np.float64)

        with lock.held():
            try:
                product = central_difference(gradient, kept, given)
            finally:
                with lock.change():
                    parameters[...] = kept
        executor.samples.put_back(data)
        result: NDArray[Any] = product.astype(self.dtype)
        return result


def central_difference(
    gradient: Gradient, parameters: NDArray[Any], vector: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Product of the Hessian matrix and a vector, from gradients a step along the vector to each side.

    The step makes the errors of truncation and of rounding about equal, with the precision of `parameters`.
    """
    largest = float(np.abs(vector).max())
    if largest == 0:
        return np.zeros_like(vector)
    w, direction = parameters.astype(np.float64), vector / largest
    distance = np.cbrt(np.finfo(parameters.dtype).eps) * max(1.0, float(np.linalg.norm(w)))
    step = float(distance) / float(np.linalg.norm(direction))
    difference: NDArray[np.float64] = gradient(w + step * direction) - gradient(w - step * direction)
    difference *= largest / (2 * step)
    return difference
