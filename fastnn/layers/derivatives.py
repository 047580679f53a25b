"""Derivatives of a model's output with respect to its input, as a layer: `Derivatives`."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from ..engine.derivatives import Terms, differentiate
from .base import Layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.graph import Graph
    from ..engine.ops import Shape, Tensor


class Derivatives(Layer):
    """The outputs of the layers before it, and their derivatives with respect to the model's input.

    With it as the last layer, a loss is a function of outputs and derivatives: of the residual of a
    differential equation, of forces, of slopes. The loss, `fit`, `backward`, `fastnn.scipy.minimize` and
    compiled code work as with any other model, and their gradients with respect to the parameters are exact.

    For a sample of n_in numbers and m outputs it gives, one behind the other, the m outputs, their
    derivatives with respect to each of the inputs in `first`, and the second ones with respect to each in
    `second`: ``[y, dy/dx_i, ..., d2y/dx_i2, ...]``. With one output the columns of ``model.predict(X)`` are
    these.

    Parameters
    ----------
    first : int or sequence of int
        Columns of X, from 0, with respect to which there are first derivatives.
    second : int or sequence of int, optional
        Those of `first` with respect to which there are second ones too; none if not given.

    Raises
    ------
    TypeError, ValueError
        If they are not distinct integers, or `second` has others than `first`. When the model is built, if X
        has no such column, or there are no derivatives through one of the layers before it.

    Notes
    -----
    It goes through `Dense`, `Activation`, `Standardize`, `MinMax`, `Select`, `Flatten`, `Reshape`, and the
    containers `Sequential`, `Residual`, `Add` and `Concatenate`. Second derivatives need a smooth
    activation: tanh, sigmoid, softplus, silu, gelu or gelu_tanh. Behind `Standardize` or `MinMax` they are
    those with respect to X as it is given.

    Values and derivatives are computed together, from layer to layer, and one pass back gives the gradient:
    Taylor coefficients in forward mode, A. Griewank, A. Walther, *Evaluating Derivatives*, 2008, chapter 13.
    M. Raissi, P. Perdikaris, G. E. Karniadakis, *Physics-informed neural networks*, J. Comput. Phys. 378,
    2019.

    Examples
    --------
    A network y(x, t), and dy/dx, dy/dt and d2y/dx2:

    >>> import numpy as np
    >>> import fastnn as fn
    >>> layers = [fn.Dense(20, "tanh"), fn.Dense(1), fn.Derivatives(first=[0, 1], second=0)]
    >>> model = fn.Model(layers, seed=0).build(2)
    >>> y, y_x, y_t, y_xx = model.predict(np.zeros((5, 2))).T
    >>> y_xx.shape
    (5,)

    The outputs alone:

    >>> model.outputs(np.zeros((5, 2)), layers=[1])[0].shape
    (5, 1)
    """

    kind = "derivatives"

    def __init__(self, first: int | Sequence[int], second: int | Sequence[int] = ()) -> None:
        super().__init__()
        self.first = _columns("first", first)
        self.second = _columns("second", second)
        if not self.first:
            raise ValueError("first must name a column of X at least")
        others = [i for i in self.second if i not in self.first]
        if others:
            raise ValueError(
                f"second must be among first={list(self.first)}, got {others[0]}; "
                f"give first={[*self.first, *others]}"
            )

    @property
    def _order(self) -> tuple[int, ...]:
        """The columns as they are computed: those with second derivatives before the others."""
        return (*self.second, *[i for i in self.first if i not in self.second])

    @property
    def _terms(self) -> Terms:
        return Terms(len(self.first), len(self.second))

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        return (self._terms.number * math.prod(inputs[0]),)

    def constants(self, *inputs: Shape) -> NDArray[np.float64]:
        """The columns; and if its output is in another order than what is computed, where each number is."""
        order, m = self._order, math.prod(inputs[0])
        if order == self.first:
            return np.array(order, np.float64)
        places = [0, *[1 + order.index(i) for i in self.first]]
        places += range(len(places), self._terms.number)
        numbers = np.array(places)[:, np.newaxis] * m + np.arange(m)
        return np.concatenate([order, numbers.ravel()])

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        if len(graph.input.shape) > 1:
            raise ValueError(
                f"{self.label} is for models of samples of one axis, not of shape {graph.input.shape}"
            )
        if max(self.first) >= graph.input.size:
            raise ValueError(
                f"{self.label}: column {max(self.first)} is not among the {graph.input.size} columns of X"
            )
        found = differentiate(graph, self._terms, inputs[0], self.label)
        shape = self.output_shape(inputs[0].shape)
        if self._order == self.first:
            return found.reshape(shape)
        result = graph.op("layers.combine.select", [found], shape, settings=(1,), constants=True)
        op = graph.ops[-1]
        graph.ops[-1] = op.changed(constants=(op.constants or 0) + len(self.first))  # behind the columns
        return result

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind, "first": list(self.first), "second": list(self.second)}

    def __repr__(self) -> str:
        second = f", second={list(self.second)}" if self.second else ""
        return f"Derivatives(first={list(self.first)}{second})"


def _columns(name: str, value: Any) -> tuple[int, ...]:
    """Distinct column numbers, perhaps none."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, (Iterable, numbers.Integral)):
        raise TypeError(f"{name} must be an integer or a sequence of integers, got {value!r}")
    given = value if isinstance(value, Iterable) else (value,)
    result = tuple(validate.integer(f"a column of {name}", i, low=0) for i in given)
    if len(set(result)) < len(result):
        raise ValueError(f"the columns of {name} must differ from each other, got {value!r}")
    return result
