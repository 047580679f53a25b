"""Layers in the making: what the nodes of a graph do, step by step from the input to the output."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _validate, activations
from ..layers import Activation, Dense, Dropout
from ..model import Model
from ..one_hot import OneHot
from ..scaling import Standardize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..activations import Activation as ActivationSpec
    from ..layer import Layer

_COLUMNS = 1 << 20  # of the input of a model without weights
_REPEATED = 4  # how often the numbers of a file may be used: a weight may belong to several layers


@dataclass
class _Linear:
    """``activation(x @ weights + bias)``, in float64."""

    weights: NDArray[np.float64]
    bias: NDArray[np.float64] | None
    activation: ActivationSpec | None = None


class Assembly:
    """Layers that were read so far, and the shape of what they give.

    Its methods are the steps that a graph may take. They raise a ValueError if a step is not one that a
    row of layers can take.

    Parameters
    ----------
    shape : sequence of int or None, or None
        Of the input, the batch axis first; None for sizes that are not known, or if nothing is.
    opset : int
        Version of the standard operators.
    size : int
        Numbers that the file holds at most.
    dtype : {"float32", "float64"}
        Of the model, if no constant says more.
    """

    def __init__(self, shape: Sequence[int | None] | None, opset: int, size: int, dtype: str) -> None:
        self._opset, self._size = opset, max(size, _COLUMNS)
        self._layers: list[_Linear | Layer] = []
        self._n_in: int | None = None
        self._used = 0  # numbers that the layers have got
        self._dtypes: set[str] = set()  # of the constants
        self._default = dtype
        self._rank: int | None = None
        self._batch: int | None = None
        self._row: tuple[int, ...] | None = None  # sizes of all axes but the first, if all are known
        if shape is not None:
            if len(shape) < 2:
                raise ValueError(
                    f"an input of {len(shape)} axes, without one for the batch, is not supported"
                )
            self._rank, self._batch = len(shape), shape[0]
            row = [size for size in shape[1:] if size]
            if len(row) == len(shape) - 1:
                self._set_row(*row)

    def _set_row(self, *sizes: int) -> None:
        numbers = math.prod(sizes)
        if not 1 <= numbers <= self._size:
            raise ValueError(f"rows of {numbers} numbers are more than the file can be for")
        self._row = sizes
        if self._n_in is None:
            self._n_in = numbers

    def _take(self, numbers: int) -> None:
        """Let the rows be of so many numbers; a ValueError if they are not."""
        if self._row is None and self._rank in (None, 2):
            self._set_row(numbers)
        if self._row != (numbers,):
            raise ValueError(f"it takes rows of {numbers} numbers, but gets rows of shape {self._row}")

    def _use(self, numbers: int) -> None:
        """Count numbers that are made, so that a few bytes cannot make many."""
        self._used += numbers
        if self._used > _REPEATED * self._size:
            raise ValueError(f"its layers have more than {_REPEATED * self._size} numbers, unlike the file")

    def _numbers(self, name: str, values: NDArray[Any]) -> NDArray[np.float64]:
        """Checked weights."""
        if values.dtype.kind != "f":
            raise ValueError(f"{name} must be floating-point numbers, got {values.dtype}")
        self._dtypes.add(values.dtype.name)
        result = values.astype(np.float64)
        _validate.finite(name, np.atleast_1d(result))
        return result

    def _each_column(self, name: str, constant: NDArray[Any]) -> NDArray[np.float64]:
        """A constant as one number for each column."""
        values = self._numbers(name, constant)
        if self._row is None and values.size > 1 and values.shape in ((values.size,), (1, values.size)):
            self._take(values.size)
        if self._row is None:
            raise ValueError("the size of its input is not known")
        whole = (1, *self._row)
        try:
            return np.broadcast_to(values, whole).ravel()
        except ValueError:
            message = f"{name} has shape {constant.shape}, but the rows have {self._row}"
            raise ValueError(message) from None

    # ---- steps ---------------------------------------------------------------------------------

    def gemm(
        self,
        weights: NDArray[Any],
        bias: NDArray[Any] | None = None,
        *,
        alpha: float = 1.0,
        beta: float = 1.0,
        transA: int = 0,
        transB: int = 0,
    ) -> None:
        """``alpha * x @ weights + beta * bias``."""
        if transA:
            raise ValueError("its input is transposed")
        if weights.ndim != 2 or not weights.size:
            raise ValueError(f"weights must have two dimensions, got shape {weights.shape}")
        values = self._numbers("weights", weights)
        self._use(values.size)
        values = values.T if transB else values
        self._take(values.shape[0])
        self._row = (values.shape[1],)
        self._rank = 2
        self._layers.append(_Linear(values * alpha, None))
        if bias is not None:
            self._layers[-1] = _Linear(values * alpha, self._each_column("bias", bias) * beta)

    def transposed(self, weights: NDArray[Any], perm: list[int] | None) -> None:
        """``x @ weights.T``."""
        if perm not in (None, [1, 0]):
            raise ValueError(f"weights are transposed by {perm}")
        self.gemm(weights, transB=1)

    def add(self, constant: NDArray[Any]) -> None:
        """``x + constant``."""
        self._scale(-self._each_column("the constant", constant), np.float64(1.0))

    def subtract(self, constant: NDArray[Any]) -> None:
        """``x - constant``."""
        self._scale(self._each_column("the constant", constant), np.float64(1.0))

    def subtract_from(self, constant: NDArray[Any]) -> None:
        """``constant - x``."""
        self._scale(self._each_column("the constant", constant), np.float64(-1.0))

    def multiply(self, constant: NDArray[Any]) -> None:
        """``x * constant``."""
        values = self._each_column("the constant", constant)
        if not values.all():
            raise ValueError("it multiplies by zero")
        self._scale(np.float64(0.0), 1 / values)

    def divide(self, constant: NDArray[Any]) -> None:
        """``x / constant``."""
        values = self._each_column("the constant", constant)
        if not values.all():
            raise ValueError("it divides by zero")
        self._scale(np.float64(0.0), values)

    def scaler(self, offset: list[float], scale: list[float]) -> None:
        """``(x - offset) * scale``, of scikit-learn's converter."""
        self.subtract(np.asarray(offset, np.float32))
        self.multiply(np.asarray(scale, np.float32))

    def _scale(self, shift: Any, scale: Any) -> None:
        """``(x - shift) / scale``, each a number or of shape (n,)."""
        last = self._layers[-1] if self._layers else None
        assert self._row is not None
        if isinstance(last, _Linear) and last.activation is None:
            self._use(last.weights.size // 8)  # the time that it takes counts, too
            bias = 0.0 if last.bias is None else last.bias
            last.weights = last.weights / scale
            last.bias = np.broadcast_to((bias - shift) / scale, last.weights.shape[1:])
        elif any(isinstance(layer, _Linear) for layer in self._layers):
            raise ValueError("it changes columns behind an activation")
        else:
            n = math.prod(self._row)
            self._use(n)
            mean, factor = np.zeros(n), np.ones(n)
            if isinstance(last, Standardize):
                mean, factor = last.mean, last.scale
                self._layers.pop()
            scaling = Standardize()
            scaling.set_numbers({"mean": mean + shift * factor, "scale": factor * scale})
            self._layers.append(scaling)

    def activation(self, name: str, axis: int | None = None, **settings: Any) -> None:
        """An activation of `fastnn.activations`."""
        if axis is not None:
            self._over_rows(axis)
        values = {}
        for key, value in settings.items():
            if np.size(value) != 1:
                raise ValueError(f"{key} has shape {np.shape(value)}, but only one number is supported")
            values[key] = float(np.asarray(value).item())
        spec = activations.TABLE[name](**values)
        last = self._layers[-1] if self._layers else None
        if name == "identity":
            return
        if isinstance(last, _Linear) and last.activation is None:
            last.activation = spec
        else:
            self._layers.append(Activation(spec))

    def _over_rows(self, axis: int) -> None:
        rank = self._rank or 2
        # Before version 13, all axes from this one on were taken together.
        if not -rank <= axis < rank or axis % rank != 1 or (rank > 2 and self._opset >= 13):
            raise ValueError(f"it goes over axis {axis} of {rank}, not over the numbers of a row")

    def dropout(self, ratio: Any = 0.5, training_mode: NDArray[Any] | None = None) -> None:
        """Dropout, which does nothing in prediction."""
        if training_mode is not None and np.any(training_mode):
            raise ValueError("it is in training mode")
        self._layers.append(Dropout(float(np.asarray(ratio).reshape(()))))

    def flatten(self, axis: int) -> None:
        """All axes but the first made one."""
        rank = self._rank or 2
        if not -rank <= axis <= rank or (axis + rank if axis < 0 else axis) != 1:
            raise ValueError(f"it flattens from axis {axis} of {rank} on, not rows")
        self._make_flat()

    def reshape(self, shape: NDArray[Any], allowzero: int | None = None) -> None:
        """The same, to a shape that says so."""
        sizes = shape.tolist()
        numbers = None if self._row is None else math.prod(self._row)
        keeps = [0] if not allowzero else []
        rows = [-1, *keeps, *([self._batch] if self._batch else [])]
        columns = [-1, numbers, *(keeps if self._rank == 2 else [])]
        if len(sizes) != 2 or sizes[0] not in rows or sizes[1] not in columns or sizes == [-1, -1]:
            raise ValueError(f"it does not only flatten: it makes shape {sizes} of rows of shape {self._row}")
        self._make_flat()

    def reshape_rows(self, size: NDArray[Any], axes: Any = None) -> None:
        """The same, to a shape that is the size of the batch and one number."""
        self.reshape(np.concatenate([[0], size.ravel()]))

    def _make_flat(self) -> None:
        self._rank = 2
        if self._row is not None:
            self._row = (math.prod(self._row),)

    def one_hot(
        self, columns: NDArray[Any], categories: NDArray[Any], coded: NDArray[Any] | None = None
    ) -> None:
        """Columns of categories as `fastnn.onnx.export` writes them."""
        if self._row is None or len(self._row) != 1:
            raise ValueError("the number of its columns is not known")
        is_coded = np.ones(columns.shape, bool) if coded is None else coded
        if columns.ndim != 1 or not columns.shape == categories.shape == is_coded.shape:
            raise ValueError("it does not compare each column with one number")
        if (categories != np.floor(self._numbers("categories", categories))).any():
            raise ValueError("categories must be integers")
        source = columns.tolist()
        known: dict[int, list[int]] = {column: [] for column in range(self._row[0])}
        if source != sorted(source) or set(source) != set(known):
            raise ValueError("it does not take the columns in their order")
        for column, category, own in zip(source, categories.tolist(), is_coded.tolist(), strict=True):
            if own:
                known[column].append(int(category))
        chosen = {column: of for column, of in known.items() if of}
        if len(source) != sum(len(of) or 1 for of in known.values()):
            raise ValueError("it both codes and keeps a column")
        self._layers.append(OneHot(list(chosen), list(chosen.values()), "ignore"))
        self._row = (len(source),)

    def two_classes(self, axis: int) -> None:
        """``[1 - sigmoid(x), sigmoid(x)]`` of one number x, which is ``softmax([0, x])``."""
        last = self._layers[-1] if self._layers else None
        self._over_rows(axis)
        if self._row != (1,) or not isinstance(last, _Linear) or last.activation is not None:
            raise ValueError("it joins two tensors")
        none = np.zeros_like(last.weights)
        last.weights = np.concatenate([none, last.weights], axis=1)
        if last.bias is not None:
            last.bias = np.concatenate([[0.0], last.bias])
        self._row = (2,)
        self.activation("softmax")

    # ---- the result ----------------------------------------------------------------------------

    def model(self, dtype: str | None, **options: Any) -> Model:
        """The model, built, with its weights."""
        if self._n_in is None:
            raise ValueError("the size of its input is not known")
        found = "float64" if "float64" in self._dtypes else "float32"
        dtype = dtype or (found if self._dtypes else self._default)
        made = [_layer(layer, dtype) for layer in self._layers] or [Activation("identity")]
        return Model(made, dtype=dtype, **options).build(self._n_in)


def _layer(layer: _Linear | Layer, dtype: str) -> Layer:
    if isinstance(layer, _Linear):
        given = {"weights": layer.weights} | ({} if layer.bias is None else {"bias": layer.bias})
        dense = Dense(layer.weights.shape[1], layer.activation, use_bias=layer.bias is not None)
        dense._views = {name: _validate.array(name, values, dtype, (1, 2)) for name, values in given.items()}
        return dense
    return layer
