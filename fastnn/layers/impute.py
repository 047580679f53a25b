"""A first layer that replaces missing values: `Impute`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import shown, validate
from ..data import array_checks
from ..engine import scan
from ..memory.buffers import allocate
from .preprocessing import Preprocessing
from .scaling import by_position

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.graph import Graph
    from ..engine.index_limits import IndexLimits, Origins
    from ..engine.ops import Shape, Tensor
    from ..engine.weightless import Blocks

_STRATEGIES = ("mean", "median", "most_frequent", "constant")


class Impute(Preprocessing):
    """Replace missing values, NaN, by a number for each column, as scikit-learn's SimpleImputer.

    A first layer of a model, or one of several: `fit`, `predict`, `evaluate` and compiled code then accept
    NaN in its columns, which are refused everywhere else. In tables, lists and arrays of objects, None and
    pandas' NA are missing values too. `Model.fit` adapts it to the training samples: samples of weight 0 do
    not count, and a mean is weighted. In samples of several axes the columns are the channels of the last
    axis.

    Parameters
    ----------
    strategy : {"mean", "median", "most_frequent", "constant"}
        What missing values of a column become: its mean, its median, its most frequent number (the smallest
        of several), or `fill_value`.
    fill_value : float, optional
        For "constant"; 0 if not given.
    add_indicator : bool
        Whether to append, for each column that had missing values when the layer was adapted, a column that
        is 1 where a value is missing and 0 elsewhere.
    columns : int or sequence of int, optional
        The columns to impute, all if not given; negative ones count from the last. The others pass through.

    Raises
    ------
    TypeError, ValueError
        If a setting is not as described. When it is adapted, if all values of a column are missing and the
        strategy is not "constant".

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> layer = fn.Impute(add_indicator=True).adapt([[1.0, 5.0], [3.0, np.nan], [5.0, 7.0]])
    >>> layer.fill_values, layer.indicated
    (array([3., 6.]), [1])
    >>> layer([[np.nan, np.nan]])
    array([[3., 6., 1.]], dtype=float32)
    """

    kind = "impute"
    takes_missing = True
    names = ("fill_values", "had_missing")
    kernels = ("layers.impute.forward", "layers.scaling.moments")

    def __init__(
        self,
        strategy: str = "mean",
        fill_value: float | None = None,
        add_indicator: bool = False,
        columns: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__(columns)
        validate.choice("strategy", strategy, _STRATEGIES)
        if fill_value is not None and strategy != "constant":
            raise ValueError(f"fill_value is for the strategy 'constant', not for {strategy!r}")
        self.strategy = strategy
        self.fill_value = None if fill_value is None else validate.number("fill_value", fill_value)
        self.add_indicator = validate.boolean("add_indicator", add_indicator)

    @property
    def fill_values(self) -> NDArray[np.float64]:
        """What missing values become, of shape (columns,); 0 for columns that pass through."""
        return self._number("fill_values")

    @property
    def indicated(self) -> list[int]:
        """The numbers of the columns that have an indicator, in the order of these."""
        found = np.flatnonzero(self._number("had_missing"))
        return [int(j) for j in found] if self.add_indicator else []

    @property
    def runs_by_step(self) -> bool:  # noqa: D102
        return True

    def columns_of(self, shape: Shape) -> int:  # noqa: D102
        return shape[-1]

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        (shape,) = inputs
        if self.add_indicator and not self.adapted:
            return (*shape[:-1], 0)
        return (*shape[:-1], shape[-1] + (len(self.indicated) if self.add_indicator else 0))

    def added_columns(self) -> int | None:  # noqa: D102
        if not self.add_indicator:
            return 0
        return len(self.indicated) if self.adapted else None

    def trace(self, origins: Origins, limits: IndexLimits) -> Origins:  # noqa: D102
        if origins is None:
            return None
        *places, n_in = origins.shape
        imputed = origins.copy()
        imputed[..., self.missing_columns(n_in)] = -1
        return np.concatenate([imputed, np.full((*places, len(self.indicated)), -1)], axis=-1)

    def missing_columns(self, n_in: int) -> list[int]:  # noqa: D102
        return array_checks.column_numbers(self.columns, n_in)

    def constants(self, *inputs: Shape) -> NDArray[np.float64]:  # noqa: D102
        if not self._statistics:
            return np.zeros(0)
        n_in = self.columns_of(inputs[0])
        if self.fill_values.size != n_in:
            raise ValueError(
                f"{self!r} is adapted to {self.fill_values.size} columns, but its input has {n_in}"
            )
        imputed = np.zeros(n_in)
        imputed[self.missing_columns(n_in)] = 1
        return np.concatenate([self.fill_values, imputed, self.indicated])

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        *places, columns = x.shape
        settings = (math.prod(places), columns, len(self.indicated) if self.adapted else 0)
        return graph.op(
            "layers.impute", [x], self.output_shape(x.shape), settings=settings, constants=True, saves="x"
        )

    def compute_statistics(self, blocks: Blocks, n_in: int) -> dict[str, NDArray[np.float64]]:  # noqa: D102
        columns = self.missing_columns(n_in)
        had_missing, fill = np.zeros(n_in), np.zeros(n_in)
        collected = {j: _collector(self.strategy) for j in columns}
        for x, weight in by_position(blocks, n_in):
            counting = np.ones(len(x), bool) if weight is None else weight > 0
            for j in columns:
                missing = np.isnan(x[:, j])
                had_missing[j] = max(had_missing[j], float((missing & counting).any()))
                keep = counting & ~missing
                collected[j].add(x[keep, j], None if weight is None else weight[keep])
        for j in columns:
            value = self.fill_value or 0.0 if self.strategy == "constant" else collected[j].result()
            if value is None:
                raise ValueError(
                    f"column {j} has only missing values, which {self!r} cannot replace; use "
                    "fn.Impute('constant', fill_value=...) for it"
                )
            fill[j] = value
        return {"fill_values": fill, "had_missing": had_missing}

    def _check_numbers(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
        if first.size == 0 or first.size != second.size:
            raise ValueError(
                f"fill_values and had_missing must have one shape, got {first.shape} and {second.shape}"
            )
        if not np.isin(second, (0, 1)).all():
            raise ValueError(f"had_missing must be 0 or 1, got {second[~np.isin(second, (0, 1))][0]:g}")

    def config(self) -> dict[str, Any]:  # noqa: D102
        settings = {"strategy": self.strategy, "fill_value": self.fill_value}
        return {**super().config(), **settings, "add_indicator": self.add_indicator}

    def __repr__(self) -> str:
        settings = {name: getattr(self, name) for name in ("strategy", "fill_value", "add_indicator")}
        settings["columns"] = None if self.columns is None else list(self.columns)
        return shown.call("Impute", (), shown.other(Impute, settings))


def _collector(strategy: str) -> _Mean | _Values:
    return _Mean() if strategy == "mean" else _Values(strategy)


class _Mean:
    """The weighted mean of the numbers that are added."""

    def __init__(self) -> None:
        self._state = allocate(5, "float64", "the statistics of a column")

    def add(self, values: NDArray[Any], weight: NDArray[Any] | None) -> None:
        if values.size:
            scan.compute_statistics("layers.scaling.moments", values.reshape(-1, 1), weight, self._state)

    def result(self) -> float | None:
        return None if self._state[-1] == 0 else float(self._state[0])


class _Values:
    """All numbers that are added, and their median or the most frequent of them."""

    def __init__(self, strategy: str) -> None:
        self._strategy, self._values = strategy, [np.zeros(0)]

    def add(self, values: NDArray[Any], weight: NDArray[Any] | None) -> None:
        if self._strategy != "constant":
            self._values.append(values.astype(np.float64))

    def result(self) -> float | None:
        values = np.concatenate(self._values)
        if not values.size:
            return None
        if self._strategy == "median":
            return float(np.median(values))
        numbers, counts = np.unique(values, return_counts=True)
        return float(numbers[counts.argmax()])
