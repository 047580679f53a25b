"""Inference: a model's shape, its parameters, and what it predicts; all that needs no training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

from .checks import validate
from .checks.attributes import KnownAttributes
from .data import names
from .data.rows import as_rows, sample_shape
from .engine import inspection
from .engine.c_function import CFunction
from .engine.embedded import refuse_constants
from .engine.sampling import Sampler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from .engine.executor import Executor
    from .engine.head import Head
    from .engine.network import Network
    from .engine.prediction import PredictorPool
    from .engine.state import State
    from .layers.base import Layer


class Inference(KnownAttributes):
    """Base of `fastnn.Model`: what it is, and what it predicts."""

    _executor: Executor
    _predictors: PredictorPool  # the executor's
    _sampler: Sampler

    def _run_by(self, executor: Executor) -> None:
        """Let this be what runs it."""
        self._executor, self._predictors = executor, executor.predictors
        self._sampler = Sampler(executor)

    @property
    def executor(self) -> Executor:
        """What runs it: for those who extend fastnn."""
        return self._executor

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers. They, and what follows, cannot be changed: weights and plans depend on them."""
        return cast("tuple[Layer, ...]", self._executor.layers)

    @property
    def dtype(self) -> str:
        """``"float32"`` or ``"float64"``."""
        return self._executor.dtype

    @property
    def compute_dtype(self) -> str:
        """``"bfloat16"``, or `dtype`: the numbers that products of layers are computed in."""
        return self._executor.compute_dtype

    @property
    def head(self) -> Head:
        """What the output is, and what the loss is computed from."""
        return self._executor.head

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """Shape of a sample of the input, channels last; None until the model is built."""
        return self._executor.input_shape

    @property
    def output_shape(self) -> tuple[int, ...] | None:
        """Shape of a sample of the output; None until the model is built."""
        return self._executor.output_shape

    @property
    def n_in(self) -> int | None:
        """Number of values in a sample of the input; None until the model is built."""
        return self._executor.n_in

    @property
    def n_out(self) -> int | None:
        """Number of values in a sample of the output; None until the model is built."""
        return self._executor.n_out

    @property
    def feature_names_in_(self) -> NDArray[Any] | None:
        """Names of the columns of the table that it was first fitted with, as in scikit-learn, or None."""
        return names.as_array(self._executor.columns.names)

    @property
    def state(self) -> State:
        """Parameters, optimizer state and counters of a built model."""
        return self._executor.state

    @property
    def parameters(self) -> NDArray[Any]:
        """All weights and biases, as one writable vector of shape (n_parameters,).

        Layer by layer: the weights, of shape (n_in, n_out) in C order, then the bias.
        """
        return self._executor.state.parameters

    @property
    def trainable(self) -> bool:
        """Whether any of its layers is trained; setting it sets every layer: see `Layer.trainable`."""
        return any(layer.trainable for layer in self.layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.layers:
            layer.trainable = value

    @property
    def seed(self) -> int:
        """Of the random numbers; a new seed takes effect with the next step, or for the initial weights."""
        return self._executor.seed

    @seed.setter
    def seed(self, value: int) -> None:
        self._executor.seed = value

    def build(self, input_shape: int | tuple[int, ...]) -> Self:
        """Make the weights, for samples of a shape.

        Called by `fit` and by the first call otherwise; on a built model it only checks the shape.

        Parameters
        ----------
        input_shape : int or tuple of int
            Number of values in a sample, or its shape, channels last: ``(height, width, channels)``.

        Returns
        -------
        Model
            Itself.

        Raises
        ------
        TypeError, ValueError
            If it is not a shape, a layer does not accept its input, or the model is already built for another
            shape.
        """
        if isinstance(input_shape, tuple):
            shape = validate.shape("input_shape", input_shape)
        else:
            shape = (validate.integer("n_in", input_shape, low=1),)
        self._executor.build(shape)
        return self

    # Not keyword-only: that would take the prediction of a row another 30 ns.
    def predict(
        self,
        X: ArrayLike,
        out: NDArray[Any] | None = None,
        lengths: ArrayLike | None = None,
        samples: int | None = None,
        seed: int | None = None,
    ) -> NDArray[Any]:
        """Output of the last layer: logits if it has no activation, probabilities after a softmax.

        May be called by several threads at once, and while another one trains the model: then a call waits
        for up to about 0.1 s, and uses the weights of a finished step.

        Parameters
        ----------
        X : array of shape (n, *input_shape), or (*input_shape,) for one sample
            (n, n_in) unless samples have several axes.
        out : array of shape (n, *output_shape), or (*output_shape,) for one sample, optional
            Of the model's dtype and C-contiguous: the result is written there, and no array is
            allocated if `X` is of the model's dtype as well. May overlap `X`, which is copied then.
        lengths : array of int of shape (n,), or int for one sample, optional
            How many time steps each sample has: see `Model.fit`.
        samples : int, optional
            So many outputs for each row, of networks that are drawn at random: layers that drop something in
            training, as `Dropout` and recurrent layers and attention with `dropout`, drop it here as well
            (Monte Carlo dropout: Y. Gal and Z. Ghahramani, *Dropout as a Bayesian Approximation*, ICML 2016).
            A network drops the same in all rows. All other layers are as in prediction. See
            ``docs/uncertainty.md``.
        seed : int, 0 <= seed < 2**63, optional
            Of the `samples`; that of the model if not given.

        Returns
        -------
        array of shape (n, *output_shape), or (*output_shape,) for one sample
            `out`, or a new array of the model's dtype. A row does not depend on the rows around it. With
            `samples` it has one axis more, the first, of that length; so has `out`.

        Raises
        ------
        TypeError, ValueError
            If `X` is not numeric, has another shape, or is not finite, or `out` is not as described above;
            `out` is then unchanged. ValueError also if there are to be samples, and no layer drops anything,
            or the model is not built.

        Examples
        --------
        >>> import numpy as np
        >>> import fastnn as fn
        >>> model = fn.Model([fn.Dense(2)], seed=0).build(3)
        >>> out = np.empty(2, np.float32)
        >>> model.predict([1, 2, 3], out=out) is out
        True

        What twenty networks say, which differ by what dropout drops:

        >>> model = fn.Model([fn.Dense(8, "relu"), fn.Dropout(0.1), fn.Dense(2)], seed=0).build(3)
        >>> model.predict([[1, 2, 3], [4, 5, 6]], samples=20).shape
        (20, 2, 2)
        """
        if lengths is None and samples is None and seed is None:
            few = self._predictors.predict_small(X, out)
            if few is not None:
                return few
        if samples is not None or seed is not None:
            return self._sampler.predict(X, samples, seed, out, lengths)
        executor = self._executor
        executor.columns.check_names(X)
        shape = executor.input_shape or sample_shape(X)
        if shape is None or len(shape) == 1:
            return executor.predict(executor.columns.coded(X), out, X, lengths=lengths)
        executor.require_fits(X, shape, "X")
        return executor.predict(as_rows(X, shape, "X"), out, shape=shape, lengths=lengths)

    def __call__(self, X: ArrayLike) -> NDArray[Any]:
        """See `predict`."""
        return self.predict(X)

    def outputs(
        self,
        X: ArrayLike,
        layers: Sequence[int | str | Layer] | None = None,
        *,
        lengths: ArrayLike | None = None,
    ) -> list[NDArray[Any]]:
        """Outputs of layers, hidden ones too.

        Parameters
        ----------
        X : array of shape (n, *input_shape), or (*input_shape,) for one sample
        layers : sequence of int, str or Layer, optional
            The number of each in `layers` (negative ones count from the end), its path, such as
            ``"1.body.0"``, or the layer itself; all of `layers` if not given.
        lengths : array of int of shape (n,), or int for one sample, optional
            As for `predict`.

        Returns
        -------
        list of array of shape (n, *output_shape), or (*output_shape,) for one sample
            In the order of `layers`, each of the shape that its layer has; of the model's dtype.

        Raises
        ------
        TypeError, ValueError
            As `predict`; ValueError also if the model is not built, or has no such layer.

        Examples
        --------
        >>> import fastnn as fn
        >>> model = fn.Model([fn.Dense(4, "relu"), fn.Dense(2)], seed=0).build(3)
        >>> hidden, output = model.outputs([[1.0, 2.0, 3.0]])
        >>> hidden.shape, output.shape
        ((1, 4), (1, 2))
        """
        executor = self._executor
        wanted = range(len(self.layers)) if layers is None else layers
        nodes = [inspection.find_layer(executor, layer, "layers") for layer in wanted]
        x, samples, checked = inspection.sequences(executor, X, lengths)
        found = [inspection.Inspector(executor, node, checked).outputs(x) for node in nodes]
        return [y.reshape(*samples, *node.output) for y, node in zip(found, nodes, strict=True)]

    def c_function(self) -> CFunction:
        """The model as a C function: for SciPy's integrators, and C programs in the same process.

        Returns
        -------
        CFunction
            With the address and the signature of the function, and `integrand` for SciPy. It must live as
            long as somebody calls it.

        Raises
        ------
        ValueError
            If the model is not built.

        Examples
        --------
        >>> import numpy as np
        >>> import fastnn as fn
        >>> model = fn.Model([fn.Dense(2)], seed=0).build(3)
        >>> f, x, out = model.c_function(), np.ones((5, 3), np.float32), np.empty((5, 2), np.float32)
        >>> f.function(5, x.ctypes.data, out.ctypes.data, f.data)
        >>> np.array_equal(out, model.predict(x))
        True
        """
        return CFunction(self._executor)

    def network(self, max_batch: int = 32) -> Network:
        """The model as arrays, for use inside compiled code: see ``docs/compiled_code.md``.

        For `fastnn.forward`, `input_gradient`, `jacobian`, `parameter_jacobian`, `forward_train`, `backward`
        and `apply_gradient`, and for a model with a loss `loss_and_gradient` and `train_step`. It shares the
        weights of the model: changes by a later `fit` are visible in it, and `train_step` changes the model.
        A network belongs to one thread at a time: see `fastnn.clone_workspace`.

        Parameters
        ----------
        max_batch : int
            Largest number of samples of a training step. Other functions take any number, and process at
            most this many at a time. The memory of the workspace is proportional to it.

        Returns
        -------
        Network
            A NamedTuple of arrays, valid as an argument of functions compiled by Numba. As a global, a
            variable of an enclosing function or a default argument it is rejected when they are compiled.

        Raises
        ------
        TypeError, ValueError
            If the model is not built, or `max_batch` is not an integer >= 1.

        Examples
        --------
        >>> import numpy as np
        >>> from numba import njit
        >>> import fastnn as fn
        >>> net = fn.Model([fn.Dense(2, "tanh")], seed=0).build(3).network()
        >>> @njit
        ... def largest_output(net, x, out):
        ...     fn.forward(net, x, out)
        ...     return out.argmax()
        >>> largest_output(net, np.array([1, 2, 3], np.float32), np.empty(2, np.float32))
        0
        """
        net = self._executor.embedded_network(validate.integer("max_batch", max_batch, low=1))
        refuse_constants()
        return net
