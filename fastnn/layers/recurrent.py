"""Recurrent layers: `SimpleRNN`, `GRU`, `LSTM`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np

from .. import activations, initializers
from ..checks import shown, validate
from ..engine.ops import ParameterSpec, Tensor
from ..kernels.abi import oprow
from .base import Layer
from .dense import lower_product
from .parameter import Parameter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..activations import Activation as ActivationSpec
    from ..engine.graph import Graph
    from ..engine.ops import Shape
    from ..initializers import Initializer

# Numbers that stand for the activations in kernels/layers/recurrent_cells.py.
_ACTIVATIONS = {"tanh": 0, "relu": 1}


_ADD_AXIS = "put fn.Reshape((time, -1)) before it, or give X a third axis"
# What the arithmetic of a gate takes, in multiplications of a product.
_MULTIPLICATIONS_OF_A_GATE = 32


class Recurrent(Layer):
    """Base of recurrent layers: a cell that goes along the time axis of samples of shape (time, features)."""

    supports_masking = True
    #: Gates of the cell, in the order in which their columns lie in the weights.
    gates: ClassVar[int]
    #: How many biases each gate has.
    biases: ClassVar[int] = 1
    #: Numbers for each time step and unit that the gradient is computed from: the gates, and others.
    saved: ClassVar[int]
    #: Numbers for each unit that are carried from one time step to the next.
    states: ClassVar[int] = 1
    _in_time_order = False

    def __init__(
        self,
        units: int,
        activation: str | ActivationSpec = "tanh",
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        recurrent_initializer: str | Initializer = "orthogonal",
        bias_initializer: str | Initializer = "zeros",
        dropout: float = 0.0,
        return_sequences: bool = False,
        go_backwards: bool = False,
    ) -> None:
        super().__init__()
        self.units = validate.integer("units", units, low=1)
        found = activations.get(activation)
        if found is None or found.name not in _ACTIVATIONS:
            raise ValueError(
                f"activation of a recurrent layer must be {' or '.join(map(repr, _ACTIVATIONS))}, "
                f"got {found!r}; put fn.Activation behind it for another one on its output"
            )
        self.activation = found
        self.use_bias = validate.boolean("use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.dropout = validate.number("dropout", dropout, low=0.0, below=1.0)
        self.return_sequences = validate.boolean("return_sequences", return_sequences)
        self.go_backwards = validate.boolean("go_backwards", go_backwards)

    @property
    def in_time_order(self) -> bool:
        """Whether its outputs are in the order of time though it goes backwards: in `Bidirectional`."""
        return self._in_time_order and self.return_sequences

    weights = Parameter("Weights of the input, of shape (features, gates * units).")

    recurrent_weights = Parameter("Weights of the state, of shape (units, gates * units).")

    bias = Parameter(
        "Bias, of shape (gates * units,), or (2, gates * units) of a `GRU`.", only_with="use_bias"
    )

    @property
    def runs_by_step(self) -> bool:  # noqa: D102
        return not self.go_backwards

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        shape = inputs[0]
        if len(shape) != 2:
            raise ValueError(
                f"{self.label} expects samples of shape (time, features), got {shape}; "
                f"{'put fn.Reshape((time, features)) before it' if len(shape) != 1 else _ADD_AXIS}"
            )
        return (shape[0], self.units) if self.return_sequences else (self.units,)

    def parameters(self, *inputs: Shape) -> list[ParameterSpec]:  # noqa: D102
        features, width = inputs[0][-1], self.gates * self.units
        result = [
            ParameterSpec("weights", (features, width), self.kernel_initializer),
            ParameterSpec("recurrent_weights", (self.units, width), self.recurrent_initializer),
        ]
        if self.use_bias:
            shape = (width,) if self.biases == 1 else (self.biases, width)
            result.append(ParameterSpec("bias", shape, self._own_bias_initializer()))
        return result

    def _own_bias_initializer(self) -> Any:
        return self.bias_initializer

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        shape, mask = self.output_shape(x.shape), self._mask(x)
        (steps, features), units, width = x.shape, self.units, self.gates * self.units
        if self.dropout > 0:
            x = graph.op(
                "layers.dropout.spatial",
                [x],
                x.shape,
                settings=(self.dropout, steps, features),
                scratch_per_row=features,
                drops=True,
            )
        memory = oprow.PACK_SIZE + units * width + oprow.RECURRENT_ROWS * (2 * width + 8 * units)
        states = graph.op(
            f"layers.recurrent.{self.kind}",
            [lower_product(graph, x, width, "weights"), *mask],
            (steps, units),
            parameters=("recurrent_weights", "bias" if self.use_bias else None),
            settings=(self.go_backwards, self.in_time_order, _ACTIVATIONS[self.activation.name], memory),
            saves="x",
            product="linalg.gemm.product",
            scratch_per_row=steps * self.saved * units,
            shared_scratch=memory,
            multiplications=steps * (units + _MULTIPLICATIONS_OF_A_GATE) * width,
            matrix=(units, width),
            state_per_row=self.states * units,
        )
        return states if self.return_sequences else graph.op("layers.recurrent.last_step", [states], shape)

    def _mask(self, x: Tensor) -> list[Tensor]:
        """The mask, if there is one."""
        if x.mask is None:
            return []
        if self.go_backwards and self.return_sequences and not self.in_time_order:
            raise ValueError(
                f"{self.label} gives masked time steps in another order than they come in; "
                "use fn.Bidirectional, or no return_sequences"
            )
        return [Tensor(x.mask, x.shape[:1])]

    def backwards(self) -> Self:
        """A layer of these settings that goes backwards, with outputs in the order of the time steps."""
        settings = {name: value for name, value in self.config().items() if name != "name"}
        layer = type(self)(**settings | {"go_backwards": True})
        layer._in_time_order = True
        return layer

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {
            "name": self.kind,
            "units": self.units,
            "activation": self.activation.config(),
            "use_bias": self.use_bias,
            "kernel_initializer": self.kernel_initializer.config(),
            "recurrent_initializer": self.recurrent_initializer.config(),
            "bias_initializer": self.bias_initializer.config(),
            "dropout": self.dropout,
            "return_sequences": self.return_sequences,
            "go_backwards": self.go_backwards,
        }

    def __repr__(self) -> str:
        settings = {name: getattr(self, name) for name in self.config() if name not in ("name", "units")}
        return shown.call(type(self).__name__, (self.units,), shown.other(type(self), settings))


class SimpleRNN(Recurrent):
    """Recurrent layer: ``h = activation(x @ weights + h @ recurrent_weights + bias)`` at each time step.

    J. L. Elman, *Finding structure in time*, Cognitive Science 14 (1990). The state h begins with zeros. The
    input has shape (n, time, features), the output (n, units), or (n, time, units) with `return_sequences`.

    Parameters
    ----------
    units : int
        Numbers of the state.
    activation : "tanh", "relu" or Activation
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str or Initializer
        Of `weights`, `recurrent_weights` and `bias`: name, or one of `fastnn.initializers`.
    dropout : float, 0 <= dropout < 1
        Fraction of the features of the input that training sets to 0, the same ones at all time steps.
    return_sequences : bool
        Whether the output is the state of each time step, not of the last one only.
    go_backwards : bool
        Whether time runs from the last step to the first; the output is in the order in which it is computed.

    Raises
    ------
    TypeError, ValueError
        If a setting has the wrong type or is out of range, or a name is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> fn.SimpleRNN(5)(np.ones((2, 10, 3))).shape
    (2, 5)
    >>> fn.SimpleRNN(5, return_sequences=True)(np.ones((2, 10, 3))).shape
    (2, 10, 5)
    """

    kind = "simple_rnn"
    gates, saved = 1, 1


class GRU(Recurrent):
    """Gated recurrent unit.

    At each time step, with a and b the three parts, of `units` numbers each, of
    ``x @ weights + bias[0]`` and of ``h @ recurrent_weights + bias[1]``::

        z = sigmoid(a[0] + b[0])
        r = sigmoid(a[1] + b[1])
        candidate = activation(a[2] + r * b[2])
        h = z * h + (1 - z) * candidate

    K. Cho et al., *Learning phrase representations using RNN encoder-decoder for statistical machine
    translation*, EMNLP 2014; r is applied after the product, as in Keras (``reset_after=True``) and PyTorch.
    Shapes are those of `SimpleRNN`.

    Parameters
    ----------
    units : int
        Numbers of the state.
    activation : "tanh", "relu" or Activation
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str or Initializer
        Of `weights`, `recurrent_weights` and `bias`: name, or one of `fastnn.initializers`.
    dropout : float, 0 <= dropout < 1
        Fraction of the features of the input that training sets to 0, the same ones at all time steps.
    return_sequences : bool
        Whether the output is the state of each time step, not of the last one only.
    go_backwards : bool
        Whether time runs from the last step to the first; the output is in the order in which it is computed.

    Raises
    ------
    TypeError, ValueError
        If a setting has the wrong type or is out of range, or a name is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> model = fn.Model([fn.GRU(16), fn.Dense(1)], loss="mse", seed=0).build((30, 4))
    >>> model.predict(np.zeros((2, 30, 4))).shape
    (2, 1)
    >>> model.layers[0].recurrent_weights.shape
    (16, 48)
    """

    kind = "gru"
    gates, saved, biases = 3, 4, 2


class LSTM(Recurrent):
    """Long short-term memory.

    At each time step, with a the four parts, of `units` numbers each, of
    ``x @ weights + h @ recurrent_weights + bias``::

        i, f, o = sigmoid(a[0]), sigmoid(a[1]), sigmoid(a[3])
        c = f * c + i * activation(a[2])
        h = o * activation(c)

    S. Hochreiter, J. Schmidhuber, *Long short-term memory*, Neural Computation 9 (1997), with the forget
    gate of F. A. Gers, J. Schmidhuber, F. Cummins, *Learning to forget*, Neural Computation 12 (2000). Both h
    and c begin with zeros; h is the output. Shapes are those of `SimpleRNN`.

    Parameters
    ----------
    units : int
        Numbers of h, and of c.
    activation : "tanh", "relu" or Activation
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str or Initializer
        Of `weights`, `recurrent_weights` and `bias`: name, or one of `fastnn.initializers`.
    unit_forget_bias : bool
        Whether the bias of f is initialized to 1, whatever `bias_initializer` is. R. Jozefowicz, W. Zaremba,
        I. Sutskever, *An empirical exploration of recurrent network architectures*, ICML 2015.
    dropout : float, 0 <= dropout < 1
        Fraction of the features of the input that training sets to 0, the same ones at all time steps.
    return_sequences : bool
        Whether the output is h of each time step, not of the last one only.
    go_backwards : bool
        Whether time runs from the last step to the first; the output is in the order in which it is computed.

    Raises
    ------
    TypeError, ValueError
        If a setting has the wrong type or is out of range, or a name is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> fn.LSTM(5)(np.ones((2, 10, 3))).shape
    (2, 5)
    """

    kind = "lstm"
    gates, saved, states = 4, 6, 2

    def __init__(
        self,
        units: int,
        activation: str | ActivationSpec = "tanh",
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        recurrent_initializer: str | Initializer = "orthogonal",
        bias_initializer: str | Initializer = "zeros",
        unit_forget_bias: bool = True,
        dropout: float = 0.0,
        return_sequences: bool = False,
        go_backwards: bool = False,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            dropout,
            return_sequences,
            go_backwards,
        )
        self.unit_forget_bias = validate.boolean("unit_forget_bias", unit_forget_bias)

    def _own_bias_initializer(self) -> Any:
        return _ForgetBias(self.bias_initializer) if self.unit_forget_bias else self.bias_initializer

    def config(self) -> dict[str, Any]:  # noqa: D102
        return super().config() | {"unit_forget_bias": self.unit_forget_bias}


class _ForgetBias(NamedTuple):
    """The bias of an `LSTM`, with 1 for the second of its four gates."""

    initializer: Initializer

    @property
    def is_safe(self) -> bool:
        return self.initializer.is_safe

    def draw(
        self, shape: Shape, generator: np.random.Generator, fan: tuple[int, int] | None = None
    ) -> NDArray[Any]:
        bias = np.array(self.initializer.draw(shape, generator, fan)).reshape(4, -1)
        bias[1] = 1
        return bias.reshape(shape)
