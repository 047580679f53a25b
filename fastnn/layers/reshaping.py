"""Layers that change the shape of a sample but not its values: `Flatten`, `Reshape`; and `Select`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from ..data import array_checks
from .base import Layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.graph import Graph
    from ..engine.index_limits import IndexLimits, Origins
    from ..engine.ops import Shape, Tensor


class Flatten(Layer):
    """Flatten a sample to one axis, in C order: (height, width, channels) to (n,).

    The data is not copied.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> fn.Flatten()(np.zeros((5, 28, 28, 1))).shape
    (5, 784)
    """

    kind = "flatten"

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        return (math.prod(inputs[0]),)

    def trace(self, origins: Origins, limits: IndexLimits) -> Origins:  # noqa: D102
        return None if origins is None else origins.reshape(self.output_shape(origins.shape))

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        return inputs[0].reshape(self.output_shape(inputs[0].shape))

    def __repr__(self) -> str:
        return "Flatten()"


class Reshape(Layer):
    """Give a sample another shape, with the same values in the same order, without a copy.

    Parameters
    ----------
    shape : tuple of int
        Shape of a sample; one size may be -1, which is then inferred.

    Raises
    ------
    TypeError, ValueError
        If the shape is invalid.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> fn.Reshape((28, 28, 1))(np.zeros((5, 784))).shape
    (5, 28, 28, 1)
    """

    kind = "reshape"

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = validate.shape("shape", shape, free=True)

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        size, known = math.prod(inputs[0]), math.prod(n for n in self.shape if n != -1)
        if size % known or (-1 not in self.shape and size not in (0, known)):
            raise ValueError(
                f"{self.label}: {known} numbers do not fit an input of shape {inputs[0]}, which has {size}"
            )
        return tuple([size // known if n == -1 else n for n in self.shape])

    def trace(self, origins: Origins, limits: IndexLimits) -> Origins:  # noqa: D102
        return None if origins is None else origins.reshape(self.output_shape(origins.shape))

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        return inputs[0].reshape(self.output_shape(inputs[0].shape))

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind, "shape": list(self.shape)}

    def __repr__(self) -> str:
        return f"Reshape({self.shape!r})"


class Select(Layer):
    """Select columns of the input, along the last axis, in the given order.

    Parameters
    ----------
    columns : int or sequence of int
        Negative ones count from the last.

    Raises
    ------
    TypeError, ValueError
        If they are not integers, or not distinct.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.Select([2, 0])([[1.0, 2.0, 3.0]])
    array([[3., 1.]], dtype=float32)
    """

    kind = "select"
    supports_masking = True

    def __init__(self, columns: int | Sequence[int]) -> None:
        super().__init__()
        if columns is None:
            raise TypeError("columns must be an integer or a sequence of integers, got None")
        self.columns = array_checks.columns(columns)

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        return (*inputs[0][:-1], len(self._numbers(inputs[0])))

    def constants(self, *inputs: Shape) -> NDArray[np.float64]:  # noqa: D102
        return np.array(self._numbers(inputs[0]), np.float64)

    def trace(self, origins: Origins, limits: IndexLimits) -> Origins:  # noqa: D102
        return None if origins is None else origins[..., self._numbers(origins.shape)]

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        shape, positions = self.output_shape(x.shape), x.size // x.shape[-1]
        return graph.op("layers.combine.select", [x], shape, settings=(positions,), constants=True)

    def _numbers(self, shape: Shape) -> list[int]:
        if shape[-1] == 0:  # not known yet
            return list(self.columns or ())
        try:
            return array_checks.column_numbers(self.columns, shape[-1])
        except ValueError as error:
            raise ValueError(f"{self.label}, an input of shape {shape}: {error}") from None

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind, "columns": list(self.columns or ())}

    def __repr__(self) -> str:
        return f"Select({list(self.columns or ())})"
