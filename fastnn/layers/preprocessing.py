"""Layers that prepare the data: their statistics are computed once, not trained.

They come before the first layer that has weights. `Model.fit` adapts those that are not adapted yet to the
training samples, before the first step; later calls do not change them. `Preprocessing.adapt` and
`Model.adapt` compute the statistics again.

The kinds are in `fastnn.layers.scaling` and `fastnn.layers.one_hot`. To add one: a subclass of
`Preprocessing` that answers `compute_statistics`, `constants` and `ops`, and a line in `layers.TABLE`.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ..data import array_checks, coding, missing, sample_checks, weights
from ..data.rows import as_rows, sample_shape, sizes_of
from ..engine import weightless
from .base import Layer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..engine.executor import Executor
    from ..engine.index_limits import IndexLimits, Origins
    from ..engine.ops import Shape
    from ..engine.weightless import Blocks


class Preprocessing(Layer):
    """Base of layers whose numbers come from the data.

    Parameters
    ----------
    columns : int or sequence of int, optional
        The columns that are changed, all if not given; negative ones count from the last. The others
        pass through.
    """

    #: Names of the numbers that it measures, as they are saved.
    names: ClassVar[tuple[str, str]]
    #: What codes among the numbers stand for: see `OneHot`.
    _labels: tuple[Any, ...] = ()

    def __init__(self, columns: int | Sequence[int] | None = None) -> None:
        super().__init__()
        self.columns = array_checks.columns(columns)
        self._statistics: dict[str, NDArray[np.float64]] = {}

    @property
    def adapted(self) -> bool:
        """Whether it has its numbers."""
        return bool(self._statistics)

    @property
    def statistics(self) -> dict[str, NDArray[np.float64]]:
        """What was measured, by name: float64 arrays that cannot be written to. Empty before."""
        return dict(self._statistics)

    def set_statistics(self, numbers: Mapping[str, ArrayLike]) -> None:
        """Take numbers that were measured before.

        A model that the layer is part of uses them from then on; while another thread trains it, this
        waits for the fit to end.

        Parameters
        ----------
        numbers : dict of str to array of shape (n,)
            As `numbers` gives them.

        Raises
        ------
        TypeError, ValueError
            If they are none, do not fit together, or the model is built for another number of columns or
            categories; the layer is then as it was.
        """
        with self._changing() as executor:
            self._take_statistics(numbers)
            if executor is not None:
                executor.refresh_constants()

    def _take_statistics(self, numbers: Mapping[str, ArrayLike]) -> None:
        """As `set_statistics`, but a model uses them only after `Executor.refresh_constants`."""
        checked = {
            name: array_checks.array(name, numbers[name], "float64", (1,)).copy() for name in self.names
        }
        for name, values in checked.items():
            array_checks.finite(name, values)
            values.flags.writeable = False
        self._check_numbers(*checked.values())
        self._require_sizes(checked)  # before another thread can lay out a network by them
        self._statistics = checked

    def _require_sizes(self, numbers: dict[str, NDArray[np.float64]]) -> None:
        """Raise a ValueError if a built model has no place for these numbers."""
        executor = self.executor
        if executor is None or executor.graph is None:
            return
        inputs = executor.graph.node(self).inputs
        other = copy.copy(self)
        other._statistics = numbers
        other.constants(*inputs)
        if self.adapted and _sizes(other, inputs) != _sizes(self, inputs):
            raise ValueError("the model is built for another number of categories; make a new model")

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Executor | None]:
        """While its numbers change: what runs it, which no other thread trains; errors undo what was done."""
        executor = self.executor
        with (
            contextlib.nullcontext() if executor is None else executor.weights_lock.held(),
            undone_on_error([self]),
        ):
            yield executor

    def __setstate__(self, kept: dict[str, Any]) -> None:
        super().__setstate__(kept)
        self._statistics = {name: np.array(values) for name, values in self._statistics.items()}
        for values in self._statistics.values():
            values.flags.writeable = False

    def _check_numbers(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
        raise NotImplementedError

    def compute_statistics(self, blocks: Blocks, n_in: int) -> dict[str, NDArray[np.float64]]:
        """The numbers by name, from the rows of one data set.

        A row is one or several times `n_in` columns: as many as a sample has positions.
        """
        raise NotImplementedError

    def adapt(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Take the numbers from given data, in place of earlier ones.

        Parameters
        ----------
        X : array of shape (n, n_in), or (n, *shape) if it takes samples of several axes
            What comes into this layer; into the first layer of a model, the samples.
        sample_weight : array of shape (n,), optional
            Numbers >= 0.

        Returns
        -------
        Preprocessing
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument is not what is described above, or the layer is part of a model that is
            built for another number of columns or categories; the layer is then as it was.
        """
        executor = self.executor
        dtype = "float64" if executor is None else executor.dtype
        if executor is not None and executor.layers[0] is self:
            executor.columns.check_names(X)
        graph = None if executor is None else executor.graph
        shape = sample_shape(X) if graph is None else graph.node(self).inputs[0]
        counting = functools.partial(weights.counting, sample_weight, dtype=dtype)
        found = coding.find([self], X, counting, again=True, shape=shape)
        x = coding.coded([self], as_rows(X, shape, "X"), dtype, found=found, shape=shape)
        nan = missing.columns([self], shape if shape and len(shape) > 1 else sizes_of(x)[-1:] or (0,))
        x = sample_checks.features(x, dtype, None, keep_mapped=True, table=X, missing=nan)
        n_in = self.columns_of(x.shape[1:] if shape is None or len(shape) == 1 else shape)
        weight = weights.of_samples(sample_weight, len(x), dtype)
        with self._changing() as executor:
            blocks = weightless.blocks([], x, weight, dtype, x.shape[1:])
            self._take_statistics(self.compute_statistics(blocks, n_in))
            coding.take([self], found)
            if executor is not None:
                executor.refresh_constants()
        return self

    def columns_of(self, shape: Shape) -> int:
        """How many columns an input of this shape has; a ValueError if it has not columns only."""
        if len(shape) != 1:
            raise ValueError(
                f"{self.label} takes an input of shape (n_in,), got {shape}; put fn.Flatten() before it"
            )
        return shape[0]

    def changed_columns(self, n_in: int) -> list[int] | None:  # noqa: D102
        return array_checks.column_numbers(self.columns, n_in)

    def trace(self, origins: Origins, limits: IndexLimits) -> Origins:  # noqa: D102
        changed = None if origins is None else self.changed_columns(origins.shape[-1])
        if origins is None or changed is None:
            return None
        origins = origins.copy()
        origins[..., changed] = -1
        return origins

    def _number(self, name: str) -> NDArray[np.float64]:
        if not self._statistics:
            raise ValueError(f"{self!r} has no {name} yet; fit adapts it, or adapt(X)")
        return self._statistics[name]

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind, "columns": None if self.columns is None else list(self.columns)}

    def __repr__(self) -> str:
        columns = "" if self.columns is None else f"columns={list(self.columns)}"
        return f"{type(self).__name__}({columns})"


def adapt(
    layers: Sequence[Layer],
    X: NDArray[Any],
    weight: NDArray[Any] | None,
    dtype: str,
    shape: Shape,
    *,
    again: bool,
) -> None:
    """Adapt those of the layers that are not yet, or all, one after the other, to checked samples.

    The samples are rows of numbers; `shape` is that of a sample.
    """
    adapt_to_parts(layers, lambda: [(X, weight)], dtype, shape, again=again)


def adapt_to_parts(
    layers: Sequence[Layer], parts: Callable[[], Blocks], dtype: str, shape: Shape, *, again: bool
) -> None:
    """The same to samples that come part by part: each layer goes through `parts()` once."""
    shape_here = shape
    for i, layer in enumerate(layers):
        if isinstance(layer, Preprocessing) and not layer.of_targets and (again or not layer.adapted):
            found = (weightless.blocks(layers[:i], X, weight, dtype, shape) for X, weight in parts())
            blocks = itertools.chain.from_iterable(found)
            layer._take_statistics(layer.compute_statistics(blocks, layer.columns_of(shape_here)))
        shape_here = layer.output_shape(shape_here)


def adapt_to_targets(layer: Layer, y: NDArray[Any], weight: NDArray[Any] | None, shape: Shape) -> None:
    """Adapt a model's last layer to checked targets, of shape (n, n_out), if it has its numbers from them.

    The weights may be of the shape of y; those of missing targets are 0. `shape` is that of one output.
    """
    if not isinstance(layer, Preprocessing) or not layer.of_targets or layer.adapted:
        return
    n_out = layer.columns_of(shape)
    if weight is None or weight.ndim == 1:
        adapt_to_parts_of_targets(layer, lambda: [(y, weight)], shape)
        return
    dtype, y, weight = y.dtype.name, y.reshape(-1, n_out), weight.reshape(-1, n_out)
    alone = np.flatnonzero(~weight.any(axis=0))
    if alone.size:
        raise ValueError(f"{layer!r} cannot be adapted: no target of output {alone[0]} counts, or is there")
    columns = [(y[:, j : j + 1], np.ascontiguousarray(weight[:, j])) for j in range(n_out)]
    found = [
        layer.compute_statistics(weightless.blocks([], target, own, dtype, (1,)), 1)
        for target, own in columns
    ]
    layer._take_statistics({name: np.concatenate([each[name] for each in found]) for name in layer.names})


def adapt_to_parts_of_targets(layer: Layer, parts: Callable[[], Blocks], shape: Shape) -> None:
    """The same to targets that come part by part, with a weight for each sample or none."""
    if not isinstance(layer, Preprocessing) or not layer.of_targets or layer.adapted:
        return

    def blocks() -> Blocks:
        for y, weight in parts():
            if weight is not None and weight.ndim == 2:
                raise ValueError(
                    f"{layer!r} cannot be adapted to targets that come batch by batch, some of them missing "
                    "or with a weight for each output; call model.layers[-1].adapt(y) with targets first"
                )
            yield from weightless.blocks([], y, weight, y.dtype.name, y.shape[1:])

    layer._take_statistics(layer.compute_statistics(blocks(), layer.columns_of(shape)))


def _sizes(layer: Layer, inputs: tuple[Shape, ...]) -> list[Shape]:
    """What a built model depends on: the shapes of a layer's output and of its parameters."""
    return [layer.output_shape(*inputs), *(spec.shape for spec in layer.parameters(*inputs))]


@contextlib.contextmanager
def undone_on_error(layers: Sequence[Layer]) -> Iterator[None]:
    """Give the layers their earlier numbers back if the block raises."""
    before = [
        (layer, layer._statistics, layer._labels) for layer in layers if isinstance(layer, Preprocessing)
    ]
    try:
        yield
    except BaseException:
        for layer, numbers, labels in before:
            layer._statistics, layer._labels = numbers, labels
        raise
