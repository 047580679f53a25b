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
from ..model import Model
from . import _steps
from ._affine import Columns, Map, Matrix, added, joined
from ._layout import BATCH, Layout, broadcast, common, concatenated
from ._rows import Rows, numbered
from ._steps import CALL, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ..activations import Activation as ActivationSpec
    from ..engine.ops import Shape

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

    def inputs(self, given: Sequence[tuple[Sequence[Any], int | None]], images: Sequence[bool]) -> list[Rows]:
        """The inputs, with these sizes and numbers of samples: columns of one array, side by side.

        Images among them have their channels before their sizes, but not in that array.
        """
        widths = [math.prod(size for size in sizes if size != BATCH) for sizes, _ in given]
        total = sum(widths)
        if min(widths) < 1 or total > self._size:
            raise ValueError(f"rows of {total} values are too long for this file")
        step, start, result = Step(total), 0, []
        for (sizes, samples), n, is_image in zip(given, widths, images, strict=True):
            index = np.arange(start, start + n)
            if is_image:
                _, channels, *shape = sizes
                index = np.moveaxis(index.reshape(*shape, channels), -1, 0).ravel()
                step = step if n < total else Step(total, gives=(*shape, channels), images=True)
            elif n == total:
                step = Step(total, row=tuple(size for size in sizes if size != BATCH))
            result.append(Rows(step, Columns(total).chosen(index), tuple(sizes), samples))
            start += n
        return result

    def use(self, numbers: int) -> None:
        """Count values to be computed, so that a small file cannot cause much work."""
        self._used += numbers
        if self._used > _REPEATED * self._size:
            raise ValueError(f"its layers have more than {_REPEATED * self._size} numbers, unlike the file")

    def use_codes(self, columns: int) -> None:
        """Count columns that go in and out of steps of one-hot coding."""
        self._coded += columns
        if self._coded > _CODED:
            raise ValueError(f"more than {_CODED} columns go in and out of its steps of one-hot coding")

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

    def joined(self, parts: Sequence[Rows], axis: int) -> Rows:
        """Concatenation of several tensors along an axis."""
        layout = concatenated(numbered(parts), axis)
        found = self._of_one_step(parts)
        if found is None:
            return self._joined_branches([self.settled(part) for part in parts], axis, layout)
        parts = found
        first = parts[0]
        whole = any(isinstance(part.map, Matrix) for part in parts)
        self.use(sum(part.map.n_out * (part.map.n_in if whole else 1) for part in parts))
        return self._laid_out(joined([part.map for part in parts]), layout, first)

    def _joined_branches(self, parts: Sequence[Rows], axis: int, layout: Layout) -> Rows:
        """Tensors that no product computes from one step, as branches of a layer."""
        first = parts[0]
        axes = [i for i, size in enumerate(first.sizes) if size != BATCH and i != axis % len(first.sizes)]
        axes.append(axis % len(first.sizes))
        whole = [self.moved(part, lambda own: own.ordered(axes)) for part in parts]
        if len(axes) > 1 and all(getattr(part.map, "is_identity", False) for part in whole):
            shapes = [part.row for part in whole]
            step = _steps.joined([part.step for part in whole], adds=False, use=self.use, shapes=shapes)
            return self.spread(step, axes, layout.sizes, layout.samples)
        step = _steps.joined([self.step(part) for part in parts], adds=False, use=self.use)
        return self._laid_out(Columns(step.width), layout, replace(first, step=step))

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
            x = self._folded(x)
            step = self._scaled_step(x.step, x.map, values, np.zeros(values.size))
            if step is not None:
                return replace(x, step=step)
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
            return self._added_branches(self.settled(x), self.settled(y))
        x, y = found
        self.use(2 * x.map.n_in * x.map.n_out)
        return replace(x, map=added(x.map, y.map))

    def _added_branches(self, x: Rows, y: Rows) -> Rows:
        """The same as branches of a layer."""
        same = isinstance(x.map, Columns) and isinstance(y.map, Columns) and x.map.chooses_as(y.map)
        ends = [x.step, y.step] if same else [self.step(x), self.step(y)]
        step = _steps.joined(ends, adds=True, use=self.use)
        return replace(x, step=step) if same else self._whole(x, step)

    def same(self, beside: Rows, values: NDArray[np.float64], sizes: Sequence[Any]) -> Rows:
        """Columns that are the same for all samples, computed from those of another tensor."""
        step = self.settled(beside).step
        self.use(step.width * values.size)
        return Rows(
            step, Matrix(np.zeros((step.width, values.size)), values.ravel()), tuple(sizes), beside.samples
        )

    def product(self, x: Rows, weights: NDArray[np.float64], sizes: Sequence[Any]) -> Rows:
        """``x @ weights`` of all the columns of a row, which become a tensor of the given sizes."""
        self.use(weights.size)
        product = Matrix(weights)
        x = self._folded(self._scaled(x))
        if isinstance(x.map, Columns) and not x.map.is_identity:
            self.use(x.map.n_in * product.n_out)
            return Rows(x.step, x.map.before(product), tuple(sizes), x.samples)
        return Rows(self.step(x), product, tuple(sizes), x.samples)

    def combined(self, x: Rows, weights: NDArray[np.float64], sizes: Sequence[Any]) -> Rows:
        """The same with weights that can be merged into those before."""
        if not isinstance(x.map, Matrix):
            return self.product(x, weights, sizes)
        self.use(weights.size + x.map.n_in * weights.shape[1] * (1 + weights.shape[0] // 64))
        return Rows(x.step, x.map.then(Matrix(weights)), tuple(sizes), x.samples)

    # ---- steps -----------------------------------------------------------------------------------

    def step(self, x: Rows) -> Step:
        """A step that computes the columns of a tensor."""
        x = self._folded(self._scaled(x))
        if isinstance(x.map, Columns):
            if x.map.is_identity:
                return x.step
            self.use(x.map.n_in * x.map.n_out)
        if (x.step, x.map) not in self._steps:
            self._steps[x.step, x.map] = _steps.of_map(x.step, x.map)
        return self._steps[x.step, x.map]

    def settled(self, x: Rows) -> Rows:
        """The same tensor as columns of a step, perhaps some of them and in another order."""
        x = self._folded(self._scaled(x))
        if isinstance(x.map, Columns) and x.map.is_choice:
            return x
        return self._whole(x, self.step(x))

    def _folded(self, x: Rows) -> Rows:
        """The same, but factors and shifts of channels are part of the weights before."""
        step, given = x.step, x.map
        if not step.channels or not isinstance(given, Columns) or given.is_choice:
            return x
        if (step, given) not in self._steps:
            factors = np.ones(given.n_out) if given.scale is None else 1 / given.scale
            shifts = np.zeros(given.n_out) if given.shift is None else -given.shift * factors
            scaled = self._scaled_step(step, Columns(given.n_in, given.index), factors, shifts)
            if scaled is None:
                return x
            self._steps[step, given] = scaled
        return replace(x, step=self._steps[step, given], map=Columns(given.n_in, given.index))

    def _scaled_step(
        self, step: Step, given: Map, factors: NDArray[np.float64], shifts: NDArray[np.float64]
    ) -> Step | None:
        """A step with factors and shifts of the columns that a map chooses; None if it cannot have them."""
        if not step.channels or not isinstance(given, Columns) or not given.is_choice:
            return None
        self.use(step.size)
        return _steps.scaled(step, self.columns(given), factors, shifts)

    @staticmethod
    def columns(given: Columns) -> NDArray[np.int64]:
        """The columns that a map takes."""
        return np.arange(given.n_in) if given.index is None else given.index

    def ordered(self, x: Rows, axes: Sequence[int]) -> Step:
        """A step that gives the columns of a tensor with the axes but that of the samples in this order."""
        return self.step(self.moved(self.settled(x), lambda own: own.ordered(axes)))

    def spread(self, step: Step, axes: Sequence[int], sizes: Sequence[Any], samples: int | None) -> Rows:
        """A tensor of these sizes whose axes, in this order, are those that a step gives."""
        self.use(step.width)
        array = np.arange(step.width).reshape([sizes[axis] for axis in axes])
        batch = [axis for axis, size in enumerate(sizes) if size == BATCH]
        array = array.reshape((1,) * len(batch) + array.shape).transpose(np.argsort([*batch, *axes]))
        index = Columns(step.width).chosen(array.ravel())
        return Rows(step, index, tuple(sizes), samples)

    def layer(self, x: Rows, axes: Sequence[int], made: Step, sizes: Sequence[Any]) -> Rows:
        """A layer of a tensor whose axes, in this order, are those of the layer's samples.

        `made` is its step, without one before; the tensor that it gives is of these sizes, and has the same
        order of axes.
        """
        self.use(made.size)
        before = self.ordered(x, axes)
        step = replace(made, before=before, trained=made.trained or before.trained)
        return self.spread(step, axes, sizes, x.samples)

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
            standardized = _steps.standardized(x.step, mean, scale)
            if standardized is None:
                return x
            self._steps[x.step, given] = standardized
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
        if "softmax" in name:
            axes = [axis for axis, size in enumerate(x.sizes) if size != BATCH]
            return self.softmax(x, spec, axes, (x.map.n_out,))
        x = self.settled(x)
        return replace(x, step=self._activation(x.step, spec))  # of all columns, then of the chosen

    def softmax(self, x: Rows, spec: ActivationSpec, axes: Sequence[int], shape: Shape) -> Rows:
        """Softmax, or its logarithm, along the last axis of samples of a shape; `axes` gives its order."""
        return self.layer(x, axes, Step(x.map.n_out, activation=spec, takes=shape), x.sizes)

    def _activation(self, step: Step, spec: ActivationSpec) -> Step:
        """A step with an activation; the same step if it is requested twice."""
        key = step, repr(spec)
        if key not in self._activated:
            made = Step(step.width, step, activation=spec, trained=step.trained)
            self._activated[key] = made
        return self._activated[key]

    def dropout(self, x: Rows, rate: float) -> Rows:
        """Dropout, which is inactive in prediction."""
        Dropout(rate)  # refuses what is no rate
        x = self._scaled(x)
        x = x if isinstance(x.map, Columns) else self.settled(x)
        made = Step(x.step.width, x.step, make=lambda: Dropout(rate), trained=x.step.trained)
        return replace(x, step=made)

    # ---- the result ------------------------------------------------------------------------------

    def model(self, y: Rows, dtype: str | None, **options: Any) -> Model:
        """The model that computes a tensor, built, with its weights."""
        found = "float64" if "float64" in self._dtypes else "float32"
        dtype = dtype or (found if self._dtypes else self._default)
        start, *steps = _steps.chain(self._end(y))
        shape = start.shape or _steps.input_shape(steps) or (start.width,)
        made, _ = _steps.layers(steps, dtype, shape)
        return Model(made or [Activation("identity")], dtype=dtype, **options).build(shape)

    def _end(self, y: Rows) -> Step:
        """The step that gives the result: images with their channels last."""
        y = self.settled(y)
        if not y.step.images or len(y.row) < 2:
            return self.step(y)
        last = self.moved(y, lambda own: own.ordered([*range(2, len(y.sizes)), 1]))
        step = self.step(last)
        is_cropped = step is not last.step and len(step.gives or ()) > 1
        return step if step is last.step or is_cropped else self.step(y)


_SMALLEST = float(np.finfo(np.float32).tiny)  # of a scale that a layer may divide by
