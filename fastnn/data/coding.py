"""What `OneHot` and `EntityEmbedding` see of samples before these are converted.

That is text, and integers that a float would round.

Where a layer codes a column of the samples themselves, its categories are found and looked up in the user's
data as given. The result is an array of samples with the indices of categories in these columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from . import array_checks, categories, missing, tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    #: The categories of each column that a layer codes, by the layer's identity.
    Found = dict[int, list[NDArray[Any]]]


class Layer(Protocol):
    """What this module needs of any layer."""

    codes: bool
    takes_missing: bool

    def missing_columns(self, n_in: int) -> list[int]:
        """Indices of the columns in which it takes NaN."""

    def changed_columns(self, n_in: int) -> list[int] | None:
        """Indices of the columns that it changes, while others pass through; None for other layers."""

    def added_columns(self) -> int | None:
        """How many columns it adds behind the others; None if that is not known yet."""


class Coder(Protocol):
    """What this module needs of `OneHot` and `EntityEmbedding`."""

    checks_rows: bool
    is_given: bool
    adapted: bool
    has_labels: bool
    sizes: list[int]
    categories: list[NDArray[Any]]

    def set_labels(self, labels: list[NDArray[Any] | None]) -> None:
        """Set what the codes represent."""

    def widths(self, sizes: list[int]) -> list[int]:
        """How many columns replace each coded column, for these numbers of categories."""


def coders(layers: Iterable[Layer]) -> list[Coder]:
    """The layers that code categories."""
    return [cast(Coder, layer) for layer in layers if layer.codes]


def has_labels(layers: Iterable[Layer]) -> bool:
    """Whether some categories are represented by codes."""
    return any(coder.has_labels for coder in coders(layers))


def numeric_columns(layers: Sequence[Layer], n_in: int) -> NDArray[np.int64] | None:
    """Columns of samples whose categories are all numbers that are used as they are.

    None if some are coded, or a layer is not adapted yet.
    """
    if not all(coder.adapted for coder in coders(layers)) or has_labels(layers):
        return None
    columns = np.concatenate([np.zeros(0, np.int64), *(own for _, own in _direct(layers, n_in, {}))])
    return np.sort(columns[columns >= 0])


def _are_plain(X: Any, columns: NDArray[np.int64], n_in: int | None, dtype: str) -> bool:
    """Whether a dtype holds the numbers in some columns of an array exactly."""
    if type(X) is not np.ndarray or X.ndim not in (1, 2) or X.shape[-1] != n_in:
        return False
    return categories.stand_for_themselves(X.T[columns], dtype)


def coded(
    layers: Sequence[Layer],
    X: Any,
    dtype: str,
    name: str = "X",
    *,
    n_in: int | None = None,
    found: Found | None = None,
    numeric: NDArray[np.int64] | None = None,
    shape: tuple[int, ...] | None = None,
) -> Any:
    """Samples with codes in place of categories that a dtype may not hold; `X` itself if there are none.

    Parameters
    ----------
    layers : sequence of Layer
        The first gets the samples.
    X
        As given by the user.
    dtype : str
    name : str
        Its name in messages.
    n_in : int, optional
        How many columns it must have.
    found : dict, optional
        Result of `find`, for layers that are not adapted yet.
    numeric : array of int, optional
        Result of `numeric_columns`.
    shape : tuple of int, optional
        Of a sample. Those of several axes hold numbers only, and are left as they are.

    Raises
    ------
    TypeError, ValueError
        If a column does not hold categories, or holds an unknown one where that is an error.
    """
    if not any(layer.codes for layer in layers) or (shape is not None and len(shape) > 1):
        return X
    if not isinstance(X, np.ndarray) and not tables.is_table(X):
        given = array_checks.as_array(name, X)
        X = X if _has_lost(given) else given
    if numeric is not None and _are_plain(X, numeric, n_in, dtype):
        return X
    found = found or {}
    has_codes = has_labels(layers) or any(of.dtype.kind != "f" for own in found.values() for of in own)
    if isinstance(X, np.ndarray) and X.dtype == dtype and not has_codes:
        return X
    samples = Samples(name, X)
    if len(samples.shape) != 2 or 0 in samples.shape:
        return X
    if n_in is not None and samples.shape[1] != n_in:
        raise ValueError(f"{name} must have {n_in} columns, as the model's input, got shape {samples.shape}")
    replaced: dict[int, NDArray[Any]] = {}
    for coder, columns in _direct(layers, samples.shape[1], found):
        of = found.get(id(coder)) or (coder.categories if coder.adapted else [])
        for position, j in enumerate(columns.tolist()):
            known = of[position] if position < len(of) else None
            own = None if j < 0 else _codes(samples, j, coder, known, dtype)
            if own is not None:
                replaced[j] = own
    if not replaced:
        return X
    return samples.with_columns(replaced, dtype, missing.columns(layers, samples.shape[1:]))


def find(
    layers: Sequence[Layer],
    X: Any,
    rows: Callable[[int], NDArray[np.bool_]],
    *,
    again: bool = False,
    shape: tuple[int, ...] | None = None,
) -> Found:
    """The categories of the columns that layers code: of unadapted layers, or of all with `again`.

    Parameters
    ----------
    layers, X, shape
        As for `coded`.
    rows : callable
        Given their number, tells which samples count.
    """
    wanted = _wanted(layers, again, shape)
    if not wanted:
        return {}
    samples = Samples("X", X)
    if len(samples.shape) != 2 or 0 in samples.shape:
        return {}
    try:
        counting = rows(samples.shape[0])
    except MemoryError as error:
        raise MemoryError(f"X of shape {samples.shape} does not fit into the memory") from error
    return _found(layers, wanted, lambda: [(samples, counting)])


def find_in_parts(
    layers: Sequence[Layer],
    parts: Callable[[], Iterable[tuple[Samples, NDArray[np.bool_]]]],
    *,
    again: bool = False,
    shape: tuple[int, ...] | None = None,
) -> Found:
    """The same for samples that come part by part, each with those that count; once for each layer."""
    wanted = _wanted(layers, again, shape)
    return _found(layers, wanted, parts) if wanted else {}


def _wanted(layers: Sequence[Layer], again: bool, shape: tuple[int, ...] | None) -> list[Coder]:
    """The layers whose categories are to be found."""
    if shape is not None and len(shape) > 1:
        return []
    return [coder for coder in coders(layers) if not coder.is_given and (again or not coder.adapted)]


def _found(
    layers: Sequence[Layer],
    wanted: list[Coder],
    parts: Callable[[], Iterable[tuple[Samples, NDArray[np.bool_]]]],
) -> Found:
    found: Found = {}
    for coder in wanted:
        known: list[NDArray[Any]] = []
        for samples, counting in parts():
            own = _categories(layers, coder, samples, counting, found)
            known = known and [categories.union(samples.name, *pair) for pair in zip(known, own, strict=True)]
            known = known or own
        if known:
            found[id(coder)] = known
    return found


def _categories(
    layers: Sequence[Layer], coder: Coder, samples: Samples, counting: NDArray[np.bool_], found: Found
) -> list[NDArray[Any]]:
    """The categories of each column that a layer codes; none if it does not code the samples' own columns."""
    if len(samples.shape) != 2 or 0 in samples.shape:
        return []
    for owner, columns in _direct(layers, samples.shape[1], found, coder):
        if owner is coder and columns.min(initial=0) >= 0:
            return [_distinct(samples, j, counting) for j in columns.tolist()]
    if samples.has_text and any(one.added_columns() is None for one in layers):
        raise ValueError(
            f"{coder!r} is behind a layer that adds columns, as many as X has with missing values; give "
            "the numbers of its columns, counted from the first: columns=[0, 2]"
        )
    return []


def take(layers: Iterable[Layer], found: Found) -> None:
    """Give the layers that have adapted to codes the categories that these represent."""
    for coder in coders(layers):
        if id(coder) in found:
            coder.set_labels([None if of.dtype.kind == "f" else of for of in found[id(coder)]])


class Samples:
    """Samples as given by the user: their shape, and their columns, each with its own dtype."""

    def __init__(self, name: str, X: Any) -> None:
        self.name, self.given = name, X
        self.is_table = tables.is_table(X)
        self.array: NDArray[Any] = np.zeros((0, 0))
        if not self.is_table:
            given = array_checks.as_array(name, X)
            if not isinstance(X, np.ndarray) and _has_lost(given):
                given = np.array(X, dtype=object)
            self.was_row = given.ndim == 1
            self.array = given.reshape(1, -1) if self.was_row else given
        self.shape = tuple(X.shape) if self.is_table else self.array.shape

    @property
    def has_text(self) -> bool:
        """Whether a column holds text."""
        return any(self.column(j).dtype.kind in "OUT" and self._is_text(j) for j in range(self.shape[1]))

    def _is_text(self, j: int) -> bool:
        return any(isinstance(value, str) for value in self.column(j).tolist())

    def place(self, row: int, j: int) -> str:
        """The place of a value, for messages."""
        return tables.place(self.given, row, j)

    def column(self, j: int) -> NDArray[Any]:
        """A column as given."""
        if not self.is_table:
            return np.asarray(self.array[:, j])
        try:
            return tables.column(self.given, j)
        except tables.MissingError as missing:
            got = f"got {missing.item!r} at {self.place(missing.row, j)}"
            what = f"{self.name} must hold integers or text in a column of categories"
            raise TypeError(f"{what}, {got}") from missing

    def plain(self, j: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """See `categories.plain`."""
        return categories.plain(self.name, self.column(j), lambda row: self.place(row, j))

    def with_columns(
        self, replaced: dict[int, NDArray[Any]], dtype: str, missing: Sequence[int]
    ) -> NDArray[Any]:
        """All samples as an array of a dtype, with some columns replaced, and NaN in those of `missing`."""
        if self.is_table:
            return tables.to_array(self.name, self.given, dtype, replaced, missing)
        rest = self.array
        if rest.dtype.kind == "O" or (rest.dtype.kind in "UT" and len(replaced) == rest.shape[1]):
            rest = rest.astype(object)
            rest[:, list(replaced)] = 0
        result = array_checks.array(self.name, rest, dtype, (2,), missing=missing)
        result = result.copy() if np.may_share_memory(result, self.array) else result
        for j, own in replaced.items():
            result[:, j] = own
        return result.reshape(-1) if self.was_row else result


def _has_lost(given: NDArray[Any]) -> bool:
    """Whether an array made from a list may differ from it: text instead of numbers, rounded integers."""
    return given.dtype.kind not in "biuf" or bool(given.dtype.kind == "f" and (np.abs(given) >= 2**53).any())


def _direct(
    layers: Sequence[Layer], n_in: int, found: Found, until: Coder | None = None
) -> list[tuple[Coder, NDArray[np.int64]]]:
    """The layers that code columns of the unchanged samples, and the index of each of their columns.

    -1 marks a column that another layer has made or changed. A layer after one that is not adapted is left
    out if it is not known yet where its columns come from.
    """
    result: list[tuple[Coder, NDArray[np.int64]]] = []
    origins, is_whole = np.arange(n_in), True
    for layer in layers:
        numbers = layer.changed_columns(len(origins)) if is_whole else _counted(layer, len(origins))
        if numbers is None:
            break
        own, added = origins[numbers], layer.added_columns()
        origins[numbers] = -1
        origins, is_whole = np.append(origins, np.full(added or 0, -1)), is_whole and added is not None
        if not layer.codes:
            continue
        coder = cast(Coder, layer)
        result.append((coder, own))
        sizes = [len(of) for of in found[id(coder)]] if id(coder) in found else coder.sizes
        if coder is until or len(sizes) != len(numbers):
            break
        widths = np.ones(len(origins), np.int64)
        widths[numbers] = coder.widths(sizes)
        origins = np.repeat(origins, widths)
    return result


def _counted(layer: Layer, least: int) -> list[int] | None:
    """Indices of the columns that a layer changes of at least so many; None if that depends on how many."""
    try:
        numbers = layer.changed_columns(least)
        return numbers if numbers == layer.changed_columns(least + 1) else None
    except ValueError:  # a column that may be there later
        return None


def _distinct(samples: Samples, j: int, rows: NDArray[np.bool_]) -> NDArray[Any]:
    """The categories of a column among the samples that count."""
    values, odd = samples.plain(j)
    wrong = np.flatnonzero(odd & rows)
    if wrong.size:
        row = int(wrong[0])
        got = f"got {samples.column(j)[row]} at {samples.place(row, j)}"
        raise ValueError(f"column {j} must hold integers or text, as a column of categories, {got}")
    return categories.distinct(values[rows])


def _codes(
    samples: Samples, j: int, coder: Coder, known: NDArray[Any] | None, dtype: str
) -> NDArray[Any] | None:
    """The codes of the categories of a column; None if the categories are used as they are."""
    values = samples.column(j)
    is_numeric = known is None or known.dtype.kind == "f"
    if is_numeric and categories.stand_for_themselves(values, dtype):
        return None
    plain, odd = samples.plain(j)
    text = categories.are_text(plain)
    if known is None:
        if text:
            raise ValueError(f"{coder!r} is not adapted to data yet; use fit or model.adapt(X)")
        return None
    if text != categories.are_text(known):
        right = "numbers" if text else "text"
        got = f"got {plain[:1].tolist()[0]!r} at {samples.place(0, j)}"
        raise TypeError(
            f"{samples.name} must hold {right} there, like the data that {coder!r} was adapted to, {got}"
        )
    codes = np.where(odd, -1, categories.codes(plain, known))
    unknown = codes < 0
    if coder.checks_rows and unknown.any():
        row = int(np.flatnonzero(unknown)[0])
        raise categories.unknown(samples.name, values[row], samples.place(row, j), known)
    if not is_numeric:
        return codes
    return np.where(unknown, categories.NONE, known[codes])
