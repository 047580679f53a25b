"""Gradients: derivatives of the outputs, and training steps in their parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, cast

from ..data import array_checks
from ..engine import inspection
from ..engine.data_set import DataSet
from ..engine.passes import Passes
from ..errors import DivergenceError
from ..probabilities import Probabilities

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..engine.executor import Executor
    from ..engine.ops import Shape

_OUTPUTS = ", as the output for X,"


class Gradients(Probabilities):
    """Base of `fastnn.Model`: derivatives of what it predicts, and steps for user-defined losses."""

    _passes: Passes

    def _run_by(self, executor: Executor) -> None:
        super()._run_by(executor)
        self._passes = Passes(executor)

    def input_gradient(
        self, X: ArrayLike, dy: ArrayLike, *, lengths: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Derivatives of ``sum(dy * predict(X))`` with respect to X: the vector-Jacobian product.

        With `dy` the derivatives of any function of the outputs, these are its derivatives with respect to
        the inputs. As `fastnn.input_gradient` in compiled code, to the bit.

        Parameters
        ----------
        X : array of shape (n, *input_shape), or (*input_shape,) for one sample
        dy : array of shape (n, *output_shape), or (*output_shape,) for one sample
        lengths : array of int of shape (n,), or int for one sample, optional
            As for `predict`.

        Returns
        -------
        array of the shape of X, of the model's dtype

        Raises
        ------
        TypeError, ValueError
            As `predict`, of X or of dy; ValueError also if the model is not built.

        Examples
        --------
        >>> import numpy as np
        >>> import fastnn as fn
        >>> layer = fn.Dense(2)
        >>> model = fn.Model([layer], seed=0).build(3)
        >>> gradient = model.input_gradient([1.0, 2.0, 3.0], [1.0, 0.0])
        >>> np.array_equal(gradient, layer.weights[:, 0])
        True
        """
        executor = self._executor
        x, samples, checked = inspection.sequences(executor, X, lengths)
        inspector = inspection.Inspector(executor, lengths=checked)
        shape = (*samples, *inspector.output_shape)
        given = array_checks.of_shape("dy", dy, shape, self.dtype, _OUTPUTS)
        result = inspector.input_gradient(x, given.reshape(len(x), -1))
        return result.reshape(*samples, *cast("tuple[int, ...]", self.input_shape))

    def jacobian(self, X: ArrayLike, *, lengths: ArrayLike | None = None) -> NDArray[Any]:
        """Derivatives of all outputs with respect to all inputs, of each sample.

        As `fastnn.jacobian` in compiled code, to the bit.

        Parameters
        ----------
        X : array of shape (n, *input_shape), or (*input_shape,) for one sample
        lengths : array of int of shape (n,), or int for one sample, optional
            As for `predict`.

        Returns
        -------
        array of shape (n, *output_shape, *input_shape), or (*output_shape, *input_shape) for one sample
            In units of the outputs by units of the inputs, of the model's dtype.

        Raises
        ------
        TypeError, ValueError
            As `predict`; ValueError also if the model is not built.

        Examples
        --------
        >>> import fastnn as fn
        >>> model = fn.Model([fn.Dense(2, "tanh")], seed=0).build(3)
        >>> model.jacobian([[0.0, 0.0, 0.0]]).shape
        (1, 2, 3)
        """
        executor = self._executor
        x, samples, checked = inspection.sequences(executor, X, lengths)
        inspector = inspection.Inspector(executor, lengths=checked)
        shape = (*samples, *inspector.output_shape, *cast("tuple[int, ...]", self.input_shape))
        return inspector.jacobian(x).reshape(shape)

    def backward(
        self,
        X: ArrayLike,
        dy: ArrayLike | Callable[[NDArray[Any]], ArrayLike],
        *,
        lengths: ArrayLike | None = None,
    ) -> NDArray[Any]:
        """Gradient of a scalar with respect to all parameters, from its derivatives by the outputs.

        The scalar is any function of the outputs, of all samples as one batch, as in training: dropout is
        active, and `BatchNormalization` takes the moments of the batch and updates its running statistics.
        If `dy` is a function, it is given these outputs, and the forward pass is made once. The first call
        after a step drops what the step of `fit` would drop, and each further one something else. The
        penalties on the weights are included.

        Parameters
        ----------
        X : array of shape (n, *input_shape), or (*input_shape,) for one sample
        dy : array of shape (n, *output_shape), or (*output_shape,) for one sample; or function
            Derivatives of the scalar with respect to the outputs; or a function of the outputs that returns
            them.
        lengths : array of int of shape (n,), or int for one sample, optional
            How many time steps each sample has: see `Model.fit`.

        Returns
        -------
        array of shape (n_parameters,)
            In the order of `parameters`, for `apply_gradient`.

        Raises
        ------
        TypeError, ValueError
            As `input_gradient`.

        Examples
        --------
        The derivatives of the mean of ``(outputs - y)**2``:

        >>> import numpy as np
        >>> import fastnn as fn
        >>> X, y = np.random.default_rng(0).normal(size=(2, 32, 3))
        >>> model = fn.Model([fn.Dense(16, "tanh"), fn.Dense(3)], loss="mse", seed=0).build(3)
        >>> before = model.evaluate(X, y)["loss"]
        >>> for step in range(100):
        ...     gradient = model.backward(X, lambda outputs: 2 * (outputs - y) / y.size)
        ...     model = model.apply_gradient(gradient)
        >>> model.evaluate(X, y)["loss"] < before
        True
        """
        passes, checked = self._passes, None
        data: DataSet
        known = passes.take(X, dy) if lengths is None else None
        if known is not None:
            data, shape = known, known.shape_of_targets
        else:
            executor = self._executor
            x, samples, checked = inspection.sequences(executor, X, lengths)
            shape = (*samples, *cast("Shape", self.output_shape))
            given = None if callable(dy) else self._derivatives(dy, shape)
            executor.require_adapted()
            executor.load_kernels(training=True)
            data = DataSet(x, given, None)
        if callable(dy):
            forward, outputs = passes.forward(data, checked)
            made = dy(outputs.reshape(shape))
            given = data.y if passes.load(data, made) else self._derivatives(made, shape)
            gradient = passes.backward(forward, given)
        else:
            gradient = passes.run(data, checked)
        passes.keep(X, dy, data, shape)
        return gradient

    def _derivatives(self, dy: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        """Checked derivatives with respect to the outputs, which have a shape."""
        return array_checks.of_shape("dy", dy, shape, self.dtype, _OUTPUTS)

    def apply_gradient(self, gradient: ArrayLike) -> Self:
        """Make a step of the optimizer with a given gradient.

        Clipping, weight decay, the learning-rate schedule and frozen layers are those of `fit`.

        Parameters
        ----------
        gradient : array of shape (n_parameters,)
            In the order of `parameters`, as `backward` and `loss_and_gradient` return it.

        Returns
        -------
        Model
            Itself.

        Raises
        ------
        TypeError, ValueError
            If the model is not built, or `gradient` has another shape or is not finite; the model is then
            unchanged.
        DivergenceError
            If a weight or the state of the optimizer would not be finite; the model is then unchanged.

        Examples
        --------
        >>> import numpy as np
        >>> import fastnn as fn
        >>> model = fn.Model([fn.Dense(1)], loss="mse", optimizer=fn.SGD(0.5), seed=0).build(2)
        >>> before = model.parameters.copy()
        >>> model.apply_gradient([1.0, 0.0, 0.0]).parameters - before
        array([-0.5,  0. ,  0. ], dtype=float32)
        """
        executor, shape = self._executor, self.parameters.shape
        given = array_checks.array("gradient", gradient, self.dtype, (1,))
        array_checks.require_shape("gradient", given, shape)
        executor.check_optimizer()
        executor.load_kernels(training=True)
        if not self._passes.apply_gradient(given):
            array_checks.finite("gradient", given)  # looked for on the way: a step finds it first of all
            counters = executor.state.counters
            raise DivergenceError(
                int(counters[1]), int(counters[0]), "a weight or the state of the optimizer"
            )
        return self
