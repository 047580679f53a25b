"""Columns of categories: what `OneHot` and `EntityEmbedding` know of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from ..data import array_checks, sample_checks
from ..data import categories as checked
from .preprocessing import Preprocessing
from .scaling import by_position

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from ..engine.index_limits import IndexLimits, Origins
    from ..engine.ops import Shape
    from ..engine.weightless import Blocks


class CategoryColumns(Preprocessing):
    """Base of layers that replace columns of categories, each by several columns.

    Parameters
    ----------
    columns : int or sequence of int, optional
    categories : "auto" or sequence of sequences of int or str
    handle_unknown : {"error", "ignore"}
    """

    codes = True
    names = ("counts", "categories")

    def __init__(
        self,
        columns: int | Sequence[int] | None = None,
        categories: str | Sequence[Sequence[int | str]] = "auto",
        handle_unknown: str = "error",
    ) -> None:
        super().__init__(columns)
        self.handle_unknown = validate.choice("handle_unknown", handle_unknown, ("error", "ignore"))
        self.checks_rows = handle_unknown == "error"
        self._given = None if isinstance(categories, str) and categories == "auto" else categories
        if self._given is not None:
            self.set_categories(sample_checks.categories(self._given))

    @property
    def is_given(self) -> bool:
        """Whether it was made with its categories."""
        return self._given is not None

    @property
    def categories(self) -> list[NDArray[Any]]:
        """The categories of each coded column, in the order of `columns`."""
        return [
            known if labels is None else labels.copy()
            for known, labels in zip(self._split(), self.labels, strict=True)
        ]

    @property
    def has_labels(self) -> bool:
        """Whether there are categories for which numbers of them stand."""
        return bool(self._labels)

    @property
    def sizes(self) -> list[int]:
        """How many categories each coded column has; empty as long as that is not known."""
        return self._statistics["counts"].astype(np.int64).tolist() if self._statistics else []

    @property
    def labels(self) -> list[NDArray[Any] | None]:
        """Of each coded column, its categories if numbers of them stand for them."""
        return list(self._labels) or [None] * self._number("counts").size

    def set_categories(self, known: Sequence[NDArray[Any]]) -> None:
        """Take the categories of each column: labels, or float64 arrays of what stands for itself."""
        coded = [of.dtype.kind != "f" for of in known]
        numbers = [np.arange(len(of)) if code else of for of, code in zip(known, coded, strict=True)]
        self.set_statistics({"counts": [len(of) for of in known], "categories": np.concatenate(numbers)})
        self.set_labels([of if code else None for of, code in zip(known, coded, strict=True)])

    def set_labels(self, labels: Sequence[NDArray[Any] | None]) -> None:
        """Say what the codes of each coded column stand for; a ValueError if they do not fit."""
        if len(labels) != self._number("counts").size:
            raise ValueError(f"labels must be of {self._number('counts').size} columns, got {len(labels)}")
        for known, own in zip(self._split(), labels, strict=True):
            if own is not None and (len(own) != known.size or not (known == np.arange(known.size)).all()):
                raise ValueError(f"{len(own)} labels do not fit {known.size} codes")
            if own is not None and len(set(own.tolist())) < len(own):
                raise ValueError("the categories of a column must differ from each other")
        self._labels = tuple(labels) if any(own is not None for own in labels) else ()

    def _take_statistics(self, numbers: Mapping[str, ArrayLike]) -> None:  # noqa: D102
        super()._take_statistics(numbers)
        self._labels = ()

    def _split(self) -> list[NDArray[np.float64]]:
        """For each coded column, the numbers that stand for its categories."""
        ends = self._number("counts").cumsum().astype(np.int64)[:-1]
        return np.split(self._statistics["categories"], ends)

    def widths(self, sizes: list[int]) -> list[int]:
        """How many columns replace each coded column, for these numbers of categories."""
        raise NotImplementedError

    @property
    def runs_by_step(self) -> bool:  # noqa: D102
        return True

    def columns_of(self, shape: Shape) -> int:  # noqa: D102
        return shape[-1]

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        *places, n_in = inputs[0]
        if not self._statistics:
            return (*places, 0)
        return (*places, n_in - len(self.coded_columns(n_in)) + sum(self.widths(self.sizes)))

    def trace(self, origins: Origins, limits: IndexLimits) -> Origins:  # noqa: D102
        changed = super().trace(origins, limits)
        if changed is None:
            return None
        n_in = changed.shape[-1]
        widths = np.ones(n_in, np.int64)
        widths[self.coded_columns(n_in)] = self.widths(self.sizes)
        return np.repeat(changed, widths, axis=-1)

    def counts_and_categories(self, n_in: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of each column of the input, how many categories it has, 0 if it is not coded; and these."""
        counts, columns, known = np.zeros(n_in), self.coded_columns(n_in), self._statistics
        counts[columns] = known["counts"]
        column = np.repeat(columns, known["counts"].astype(np.int64))
        return counts, known["categories"][np.argsort(column, kind="stable")]

    def compute_statistics(self, blocks: Blocks, n_in: int) -> dict[str, NDArray[np.float64]]:  # noqa: D102
        columns = array_checks.column_numbers(self.columns, n_in)
        if self._given is not None:
            return self.statistics
        found = [np.zeros(0)] * len(columns)
        for x, weight in by_position(blocks, n_in):
            for i, column in enumerate(columns):
                new = np.unique(x[:, column] if weight is None else x[weight > 0, column])
                if (new != np.floor(new)).any():
                    odd = new[new != np.floor(new)][0]
                    what = f"integers, as {type(self).__name__} codes them"
                    raise ValueError(f"column {column} must hold {what}, got {odd:g}")
                found[i] = np.union1d(found[i], new)
        counts = np.array([len(known) for known in found], float)
        return {"counts": counts, "categories": np.concatenate(found)}

    def check_rows(self, x: NDArray[Any], shape: Shape, first: int, name: str) -> None:  # noqa: D102
        values = x.reshape(-1, *shape)
        for column, known in self.by_column(shape[-1]).items():
            unknown = np.argwhere(~np.isin(values[..., column], known))
            if unknown.size:
                row, *places = unknown[0].tolist()
                at = (first + row, *places, column)
                raise checked.unknown(name, values[(row, *places, column)], str(at), known)

    def coded_columns(self, n_in: int) -> list[int]:
        """The numbers of the coded columns, of which there are as many as of counts."""
        columns = array_checks.column_numbers(self.columns, n_in)
        if len(columns) != self._number("counts").size:
            raise ValueError(
                f"{self!r} has categories of {self._number('counts').size} columns, but codes {len(columns)}"
            )
        return columns

    def by_column(self, n_in: int) -> dict[int, NDArray[np.float64]]:
        """The numbers that stand for the categories of each coded column, by the number of the column."""
        return dict(zip(self.coded_columns(n_in), self._split(), strict=True))

    def _check_numbers(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
        whole = (first == np.floor(first)).all() and (second == np.floor(second)).all()
        if not whole or first.size == 0 or first.min() < 1 or first.sum() != second.size:
            raise ValueError("categories must be integers, and counts integers >= 1 of the same sum")
        if np.abs(second).max() > checked.LARGEST:
            limit = f"at most {checked.LARGEST} in size in a float32 array or between two layers"
            raise ValueError(f"categories must be {limit}, got {np.abs(second).max():g}")
        column = np.repeat(np.arange(first.size), first.astype(np.int64))
        order = np.lexsort((second, column))
        if ((np.diff(column[order]) == 0) & (np.diff(second[order]) == 0)).any():
            raise ValueError("the categories of a column must differ from each other")

    def config(self) -> dict[str, Any]:  # noqa: D102
        given: Any = "auto"
        if self._given is not None:
            given = [(of.astype(np.int64) if of.dtype.kind == "f" else of).tolist() for of in self.categories]
        return {**super().config(), "categories": given, "handle_unknown": self.handle_unknown}

    def _settings(self) -> dict[str, Any]:
        """The categories if they were given, for `repr`."""
        return {} if self._given is None else {"categories": self.config()["categories"]}
