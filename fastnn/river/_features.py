"""Features of a stream: dictionaries and tables to rows of numbers."""

from __future__ import annotations

import decimal
import numbers
import struct
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
from river.utils import dataframe

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What numbers are.
REAL = (numbers.Real, np.bool_, decimal.Decimal)
_ENCODE = "encode it first, for example by river.preprocessing.OneHotEncoder"
_FORMATS = {"float32": "f", "float64": "d"}


class Features:
    """The features that are known, in the order of a network's inputs.

    Parameters
    ----------
    dtype : {"float32", "float64"}

    Attributes
    ----------
    names : tuple of hashable
    width : int
        How many inputs the network has; those behind the features are spare, and zero.
    """

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self._largest = float(np.finfo(self.dtype).max)
        self.set((), 0)

    def set(self, names: tuple[Hashable, ...], width: int) -> None:
        """Know these features, of a network with so many inputs."""
        self.names, self.width = names, width
        spare = self.dtype.itemsize * (width - len(names))
        self._pack = struct.Struct(f"{len(names)}{_FORMATS[self.dtype.name]}{spare}x").pack
        self._get: Callable[[Any], Any] = _values_of(names)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.dtype.name, self.names, self.width

    def __setstate__(self, kept: tuple[Any, ...]) -> None:
        self.__init__(kept[0])  # type: ignore[misc]
        self.set(*kept[1:])

    def row(self, x: Any) -> NDArray[Any] | None:
        """A sample of exactly the known features as a row of numbers; None if it is another one."""
        try:
            if len(x) != len(self.names):
                return None
            return np.frombuffer(self._pack(*self._get(x)), self.dtype)
        except (KeyError, TypeError, OverflowError, struct.error):
            return None

    def some(self, x: Mapping[Hashable, float]) -> NDArray[Any]:
        """A row of checked numbers: 0 for features that are absent; those that are not known are left out."""
        return np.frombuffer(self._pack(*[x.get(name, 0.0) for name in self.names]), self.dtype)

    def new(self, names: Iterable[Hashable]) -> list[Hashable]:
        """Those that are not known yet, in an order that does not depend on that of the sample."""
        new = set(names).difference(self.names)
        return sorted(new, key=lambda name: (type(name).__name__, str(name)))

    def checked(self, x: Any) -> dict[Hashable, float]:
        """The features of a sample as numbers; a TypeError or ValueError that names the one that is none."""
        if not isinstance(x, Mapping):
            raise TypeError(f"x must be a dictionary of features, got {type(x).__name__}: {x!r:.60}")
        result = {}
        for name, value in x.items():
            if type(value) is not float and not isinstance(value, REAL):
                raise TypeError(f"the feature {name!r} must be a number, got {value!r:.60}; {_ENCODE}")
            if not is_within(value, self._largest):
                raise self._not_finite(name, value)
            result[name] = float(value)
        return result

    def checked_table(self, X: Any) -> tuple[nw.DataFrame[Any], NDArray[Any]]:
        """A table and its numbers; a TypeError or ValueError that names a column that holds anything else."""
        frame = dataframe.into_frame(X)
        for name in frame.columns:
            kind = frame[name].dtype
            if not (kind.is_numeric() or kind == nw.Boolean):
                raise TypeError(f"the feature {name!r} must be a column of numbers, got {kind}; {_ENCODE}")
        values = dataframe.to_numpy(frame)
        wrong = np.argwhere(~(np.abs(values) <= self._largest))
        if wrong.size:
            row, column = wrong[0]
            raise self._not_finite(frame.columns[column], values[row, column], f" in row {row}")
        return frame, values

    def _not_finite(self, name: Hashable, value: Any, where: str = "") -> ValueError:
        return ValueError(
            f"the feature {name!r} must be finite in {self.dtype}, got {value!s:.60}{where}; leave out what "
            "is missing, or fill it in, for example by river.preprocessing.StatImputer"
        )

    def rows(self, columns: Sequence[Hashable], values: NDArray[Any]) -> NDArray[Any]:
        """The known ones of some columns of numbers as rows: 0 for features that are absent."""
        result = np.zeros((len(values), self.width), self.dtype)
        places = {name: place for place, name in enumerate(self.names)}
        for column, name in enumerate(columns):
            if name in places:
                result[:, places[name]] = values[:, column]
        return result


def _values_of(names: tuple[Hashable, ...]) -> Callable[[Any], Any]:
    """What gets the values of features in this order; a KeyError if one is absent."""
    if len(names) > 1:
        return itemgetter(*names)
    return (lambda x: (x[names[0]],)) if names else lambda x: ()


def is_within(value: Any, largest: float) -> bool:
    """Whether a number, of any kind, is not NaN and not larger in size."""
    try:
        return abs(float(value)) <= largest
    except OverflowError:  # an int
        return False
