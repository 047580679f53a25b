"""Builds layers: each tensor of a graph is an affine map of the output of some layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import activations
from ..data import array_checks
from ..layers.activation import Activation
from ..layers.dropout import Dropout
from ..layers.normalization import LayerNormalization
from ..layers.one_hot import OneHot
from ..layers.scaling import Standardize
from ..model import Model
from . import _steps
from ._affine import Columns, Map, Matrix, added, joined
from ._layout import BATCH, Layout, broadcast, common
from ._rows import Rows, numbered
from ._steps import CALL, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ..activations import Activation as ActivationSpec

_COLUMNS = 1 << 20  # of the input of a model without weights
_CODED = 1 << 15  # columns of one-hot codes: seconds, whatever the size of the file
_REPEATED = 4  # how often the values of a file may be used: a weight may belong to several layers


class Assembly:
    """Makes tensors from tensors, and finally a model.

    The operators of a graph are composed of its methods. They raise a ValueError if a sequence of layers
    cannot compute the result.

    Parameters
    ----------
    size : int
        Upper bound of the values in the file; it limits how many values are computed.
    dtype : {"float32", "float64"}
        Of the model, if no constant says more.
    """

    def __init__(self, size: int, dtype: str) -> None:
        self._size = max(size, _COLUMNS)
        self._used = 0
        self._coded = 0  # columns of one-hot codes, which take far longer than others
        self._dtypes: set[str] = set()  # of the constants
        self._default = dtype
        self._steps: dict[tuple[Step, Map], Step] = {}
        self._activated: dict[tuple[Step, str], Step] = {}

    def inputs(self, given: Sequence[tuple[Sequence[Any], int | None]]) -> list[Rows]:
        """The inputs, with these sizes and numbers of samples: columns of one array, side by side."""
        widths = [math.prod(size for size in sizes if size != BATCH) for sizes, _ in given]
        total = sum(widths)
        if min(widths) < 1 or total > self._size:
            raise ValueError(f"rows of {total} values are too long for this file")
        step, start, result = Step(total), 0, []
        for (sizes, samples), n in zip(given, widths, strict=True):
            index = None if n == total else np.arange(start, start + n)
            result.append(Rows(step, Columns(total, index), tuple(sizes), samples))
            start += n
        return result

    def use(self, numbers: int) -> None:
        """Count values to be computed, so that a small file cannot cause much work."""
        self._used += numbers
        if self._used > _REPEATED * self._size:
            raise ValueError(f"its layers have more than {_REPEATED * self._size} numbers, unlike the file")

    def numbers(self, name: str, values: NDArray[Any]) -> NDArray[np.float64]:
        """Checked weights."""
        if values.dtype.kind != "f":
            raise ValueError(f"{name} must be floating-point numbers, got {values.dtype}")
        self._dtypes.add(values.dtype.name)
        result = values.astype(np.float64)
        array_checks.finite(name, np.atleast_1d(result))
        return result

    # ---- columns ---------------------------------------------------------------------------------

    def moved(self, x: Rows, move: Callable[[Layout], Layout]) -> Rows:
        """Columns of one tensor in other positions; some may be left out or repeated."""
        self.use(x.map.n_out)
        layout = move(x.layout)
        return self._laid_out(x.map, layout, x)

    def _laid_out(self, given: Map, layout: Layout, x: Rows) -> Rows:
        index = layout.array.ravel()
        if index.size != given.n_out or (index != np.arange(index.size)).any():
            if not index.size:
                raise ValueError("nothing is left of it")
            self.use(index.size * (given.n_in if isinstance(given, Matrix) else 1))
            given = given.chosen(index)
        return Rows(x.step, given, tuple(layout.sizes), layout.samples)

    def joined(self, parts: Sequence[Rows], join: Callable[[Sequence[Layout]], Layout]) -> Rows:
        """Concatenation of the columns of several tensors."""
        found = self._of_one_step(parts)
        if found is None:
            whole_row = self._branches(parts, adds=False)
            return self._laid_out(whole_row.map, join(numbered(parts)), whole_row)
        parts = found
        first = parts[0]
        whole = any(isinstance(part.map, Matrix) for part in parts)
        self.use(sum(part.map.n_out * (part.map.n_in if whole else 1) for part in parts))
        return self._laid_out(joined([part.map for part in parts]), join(numbered(parts)), first)

    def _branches(self, parts: Sequence[Rows], *, adds: bool) -> Rows:
        """Tensors that no product computes from one step, as branches of a layer: all their columns."""
        ends = [self._step(part) for part in parts]
        return self._whole(parts[0], _steps.joined(ends, adds=adds, use=self.use))

    def _together(self, x: Rows, values: NDArray[np.float64]) -> tuple[Rows, NDArray[np.float64]]:
        """A tensor and a constant, broadcast; the constant has a value for each column."""
        other = Layout(values)
        sizes = common([x.layout, other])
        self.use(math.prod(size for size in sizes if size != BATCH))
        return self._stretched(x, sizes), broadcast(other, sizes).array.ravel()

    def _stretched(self, x: Rows, sizes: list[Any]) -> Rows:
        """Columns broadcast along axes of size 1 and new axes."""
        if list(x.sizes) == sizes:
            return x
        self.use(math.prod(size for size in sizes if size != BATCH))
        return self.moved(x, lambda own: broadcast(own, sizes))

    def _changed(self, x: Rows, change: Callable[[Map], Map]) -> Rows:
        self.use(x.map.size // 8)  # its time counts too
        return replace(x, map=change(x.map))

    def minus(self, x: Rows, constant: NDArray[np.float64]) -> Rows:
        """``x - constant``."""
        x, values = self._together(x, constant)
        return self._changed(x, lambda own: own.minus(values))

    def plus(self, x: Rows, constant: NDArray[np.float64]) -> Rows:
        """``x + constant``."""
        return self.minus(x, -constant)

    def times(self, x: Rows, constant: NDArray[np.float64]) -> Rows:
        """``x * constant``."""
        x, values = self._together(x, constant)
        if not values.all() and isinstance(x.map, Columns):
            self.use(x.map.n_in * x.map.n_out)
        return self._changed(x, lambda own: own.times(values))

    def over(self, x: Rows, constant: NDArray[np.float64]) -> Rows:
        """``x / constant``."""
        x, values = self._together(x, constant)
        if not values.all():
            raise ValueError("it divides by zero")
        return self._changed(x, lambda own: own.over(values))

    def _of_one_step(self, parts: Sequence[Rows]) -> list[Rows] | None:
        """The same tensors as maps of the output of one step; products in between become part of the maps.

        None if there is no such step.
        """
        parts = list(parts)
        while any(part.step is not parts[0].step for part in parts):
            last = max((part.step for part in parts), key=lambda step: step.depth)
            product = last.product
            if product is None or last.before is None:
                return None
            before = last.before
            self.use(CALL + len(parts))
            for i, part in enumerate(parts):
                if part.step is last:
                    own = part.map.matrix()
                    self.use(own.size + product.size + product.n_in * own.n_out * (1 + own.n_in // 64))
                    parts[i] = replace(part, step=before, map=product.then(own))
        return parts

    def sum(self, x: Rows, y: Rows) -> Rows:
        """``x + y`` of two tensors."""
        sizes = common([x.layout, y.layout])
        x, y = self._stretched(x, sizes), self._stretched(y, sizes)
        found = self._of_one_step([x, y])
        if found is None:
            return self._branches([x, y], adds=True)
        x, y = found
        self.use(2 * x.map.n_in * x.map.n_out)
        return replace(x, map=added(x.map, y.map))

    def product(self, x: Rows, weights: NDArray[np.float64], sizes: Sequence[Any]) -> Rows:
        """``x @ weights`` of all the columns of a row, which become a tensor of the given sizes."""
        self.use(weights.size)
        product = Matrix(weights)
        x = self._scaled(x)
        if isinstance(x.map, Columns) and not x.map.is_identity:
            self.use(x.map.n_in * product.n_out)
            return Rows(x.step, x.map.before(product), tuple(sizes), x.samples)
        return Rows(self._step(x), product, tuple(sizes), x.samples)

    def combined(self, x: Rows, weights: NDArray[np.float64], sizes: Sequence[Any]) -> Rows:
        """The same with weights that can be merged into those before."""
        if not isinstance(x.map, Matrix):
            return self.product(x, weights, sizes)
        self.use(weights.size + x.map.n_in * weights.shape[1] * (1 + weights.shape[0] // 64))
        return Rows(x.step, x.map.then(Matrix(weights)), tuple(sizes), x.samples)

    # ---- steps -----------------------------------------------------------------------------------

    def _step(self, x: Rows) -> Step:
        """A step that computes the columns of a tensor."""
        x = self._scaled(x)
        if isinstance(x.map, Columns):
            if x.map.is_identity:
                return x.step
            self.use(x.map.n_in * x.map.n_out)
        if (x.step, x.map) not in self._steps:
            self._steps[x.step, x.map] = _steps.of_map(x.step, x.map)
        return self._steps[x.step, x.map]

    def _scaled(self, x: Rows) -> Rows:
        """The same, but columns of data are scaled by a preprocessing layer, which keeps their precision."""
        given = x.map
        if not isinstance(given, Columns) or given.is_choice or x.step.trained:
            return x
        index = np.arange(given.n_in) if given.index is None else given.index
        mean, scale = np.zeros(given.n_in), np.ones(given.n_in)
        mean[index] = 0.0 if given.shift is None else given.shift
        scale[index] = 1.0 if given.scale is None else np.abs(given.scale)
        if np.unique(index).size < index.size or scale.min() < _SMALLEST:
            return x
        if not mean.any() and (scale == 1).all():  # only signs are left
            return x
        signs = None if given.scale is None or (given.scale > 0).all() else np.sign(given.scale)
        if (x.step, given) not in self._steps:
            layer = Standardize()
            layer.set_statistics({"mean": mean, "scale": scale})
            self._steps[x.step, given] = Step(given.n_in, x.step, layer=layer)
        return replace(x, step=self._steps[x.step, given], map=Columns(given.n_in, given.index, scale=signs))

    def _whole(self, x: Rows, step: Step) -> Rows:
        """The columns of a new step, in the shape of a tensor."""
        return Rows(step, Columns(step.width), x.sizes, x.samples)

    def activation(self, x: Rows, name: str, **settings: Any) -> Rows:
        """An activation of `fastnn.activations`."""
        values = {}
        for key, value in settings.items():
            if np.size(value) != 1:
                raise ValueError(f"{key} has shape {np.shape(value)}, but only one number is supported")
            values[key] = float(np.asarray(value).item())
        spec = activations.TABLE[name](**values)
        if name == "identity":
            return x
        x = self._scaled(x)
        if isinstance(x.map, Columns) and x.map.is_choice and "softmax" not in name:
            return replace(x, step=self._activation(x.step, spec))  # of all columns, then of the chosen
        return self._whole(x, self._activation(self._step(x), spec))

    def _activation(self, step: Step, spec: ActivationSpec) -> Step:
        """A step with an activation; the same step if it is requested twice."""
        key = step, repr(spec)
        if key not in self._activated:
            made = Step(step.width, step, activation=spec, trained=step.trained)
            self._activated[key] = made
        return self._activated[key]

    def clip(self, x: Rows, low: float | None, high: float | None) -> Rows:
        """``min(max(x, low), high)``: `hard_tanh` of a shifted and scaled tensor, or `relu`."""
        low, high = (None if bound is None or abs(bound) > _FARTHEST else bound for bound in (low, high))
        if low is None and high is None:
            return x
        bounds = [bound for bound in (low, high) if bound is not None]
        if sum(bounds) != 0 and max(map(abs, bounds)) > _COARSE:
            raise ValueError(f"it clips to {low} ... {high}, which float32 would not tell finely")
        if high is None:
            return self._from(self.activation(self._to(x, low, 1.0), "relu"), low, 1.0)
        if low is None:
            return self._from(self.activation(self._to(x, high, -1.0), "relu"), high, -1.0)
        if not low < high:
            raise ValueError(f"it clips to {low} ... {high}")
        middle, half = (low + high) / 2, (high - low) / 2
        return self._from(self.activation(self._to(x, middle, half), "hard_tanh"), middle, half)

    def _to(self, x: Rows, shift: float | None, scale: float) -> Rows:
        """``(x - shift) / scale``."""
        x = self._changed(x, lambda own: own.minus(np.full(own.n_out, shift))) if shift else x
        return self._changed(x, lambda own: own.over(np.full(own.n_out, scale))) if scale != 1 else x

    def _from(self, x: Rows, shift: float | None, scale: float) -> Rows:
        """``x * scale + shift``."""
        x = self._changed(x, lambda own: own.over(np.full(own.n_out, 1 / scale))) if scale != 1 else x
        return self._changed(x, lambda own: own.minus(np.full(own.n_out, -shift))) if shift else x

    def two_classes(self, x: Rows, axis: int) -> Rows:
        """``[1 - sigmoid(x), sigmoid(x)]`` of a single x, which is ``softmax([0, x])``."""
        if x.row != (1,) or x.layout.axis(axis) != len(x.sizes) - 1:
            raise ValueError("it joins two tensors")
        self.use(2 * x.map.n_in)
        score = x.map.matrix()
        weights = np.concatenate([np.zeros_like(score.weights), score.weights], axis=1)
        bias = None if score.bias is None else np.concatenate([[0.0], score.bias])
        return self.activation(replace(x, map=Matrix(weights, bias), sizes=(*x.sizes[:-1], 2)), "softmax")

    def normalization(
        self, x: Rows, axes: Any, epsilon: float, gamma: NDArray[Any], beta: NDArray[Any] | None = None
    ) -> Rows:
        """Mean 0 and variance 1 over the last axes, then a factor and a shift of each number there."""
        places = sorted({x.layout.axis(axis) for axis in np.ravel(axes).tolist()})
        shape = x.sizes[-len(places) :]
        if places != list(range(len(x.sizes) - len(places), len(x.sizes))) or BATCH in shape:
            raise ValueError(f"it normalizes over axes {places} of {list(x.sizes)}, not over the last")
        shift = np.zeros_like(gamma) if beta is None else beta
        arrays = {
            name: np.broadcast_to(self.numbers(name, values), shape).ravel()
            for name, values in (("gamma", gamma), ("beta", shift))
        }
        layer = LayerNormalization(float(np.asarray(epsilon).item()))
        groups = x.map.n_out // math.prod(shape)
        return self._whole(x, _steps.normalized(self._step(x), layer, arrays, groups, self.use))

    def dropout(self, x: Rows, rate: float) -> Rows:
        """Dropout, which is inactive in prediction."""
        layer = Dropout(rate)
        x = self._scaled(x)
        if isinstance(x.map, Columns):
            step = Step(x.step.width, x.step, layer=layer, trained=x.step.trained)
            return replace(x, step=step)
        before = self._step(x)
        return self._whole(x, Step(before.width, before, layer=layer, trained=before.trained))

    def one_hot(
        self, x: Rows, columns: NDArray[Any], categories: NDArray[Any], coded: NDArray[Any] | None = None
    ) -> Rows:
        """Columns of categories as `fastnn.onnx.export` writes them."""
        if len(x.row) != 1:
            raise ValueError("the number of its columns is not known")
        is_coded = np.ones(columns.shape, bool) if coded is None else coded
        if columns.ndim != 1 or not columns.shape == categories.shape == is_coded.shape:
            raise ValueError("it does not compare each column with one number")
        self._coded += x.row[0] + columns.size
        if self._coded > _CODED:
            raise ValueError(f"more than {_CODED} columns go in and out of its steps of one-hot coding")
        if (categories != np.floor(self.numbers("categories", categories))).any():
            raise ValueError("categories must be integers")
        source = columns.tolist()
        known: dict[int, list[int]] = {column: [] for column in range(x.row[0])}
        if source != sorted(source) or set(source) != set(known):
            raise ValueError("it does not take the columns in their order")
        for column, category, own in zip(source, categories.tolist(), is_coded.tolist(), strict=True):
            if own:
                known[column].append(int(category))
        chosen = {column: of for column, of in known.items() if of}
        if len(source) != sum(len(of) or 1 for of in known.values()):
            raise ValueError("it both codes and keeps a column")
        before = self._step(x)
        layer = OneHot(list(chosen), list(chosen.values()), "ignore")
        step = Step(len(source), before, layer=layer, trained=before.trained)
        sizes = tuple(size if size == BATCH else step.width for size in x.sizes)
        return Rows(step, Columns(step.width), sizes, x.samples)

    # ---- the result ------------------------------------------------------------------------------

    def model(self, y: Rows, dtype: str | None, **options: Any) -> Model:
        """The model that computes a tensor, built, with its weights."""
        if BATCH in y.sizes and math.prod(y.sizes[: y.sizes.index(BATCH)]) != 1:
            raise ValueError(f"the samples are axis {y.sizes.index(BATCH)} of its output, not the first")
        found = "float64" if "float64" in self._dtypes else "float32"
        dtype = dtype or (found if self._dtypes else self._default)
        start, *steps = _steps.chain(self._step(y))
        made = _steps.layers(steps, dtype) or [Activation("identity")]
        return Model(made, dtype=dtype, **options).build(start.width)


_SMALLEST = float(np.finfo(np.float32).tiny)  # of a scale that a layer may divide by
_FARTHEST = 1e38  # beyond it there are hardly any float32 numbers
_COARSE = 1000.0  # with larger bounds, values near 0 would lose more than 4 digits
