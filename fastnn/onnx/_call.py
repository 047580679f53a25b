"""An operator of a graph and its inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._assembly import Assembly
from ._layout import BATCH, Layout
from ._rows import OTHERS, Indices, Merged, Rows, Samples, Scores, Vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    #: A tensor that depends on the input, or a constant. The sizes of axes are constants of objects.
    Value = Rows | Indices | Merged | Scores | Vectors | NDArray[Any]


@dataclass(frozen=True)
class Call:
    """An operator and its inputs.

    Attributes
    ----------
    assembly : Assembly
    inputs : list of Rows or array or None
        None for omitted ones.
    attributes : dict of str to object
        With the defaults of the operator version.
    opset : int
        Version of the standard operators.
    part : int
        Index of the wanted output.
    parts : int
        Its number of outputs.
    """

    assembly: Assembly
    inputs: list[Any]
    attributes: dict[str, Any]
    opset: int
    part: int
    parts: int

    def input(self, place: int) -> Any:
        """An input, or None if it is omitted."""
        return self.inputs[place] if place < len(self.inputs) else None

    @property
    def x(self) -> Rows:
        """The first input, which must depend on the input of the graph."""
        return self.rows(0)

    def rows(self, place: int) -> Rows:
        """An input that must depend on the input of the graph."""
        value = self.input(place)
        if not isinstance(value, Rows):
            what = "is a constant" if value is None or isinstance(value, np.ndarray) else f"is {OTHERS}"
            raise ValueError(f"its input {place} {what}")
        return value

    def constant(self, place: int) -> NDArray[Any]:
        """An input that must be a constant."""
        value = self.input(place)
        if not isinstance(value, np.ndarray):
            what = "left out" if value is None else "not a constant"
            raise ValueError(f"its input {place} is {what}")
        return value

    def folded(self, function: Callable[..., Any]) -> NDArray[Any]:
        """The result of an operator on constants."""
        values = [self.constant(place) for place in range(len(self.inputs))]
        if function is np.matmul:
            self.assembly.use(values[0].size * values[1].size)
        else:
            self.assembly.use(int(np.prod(np.broadcast_shapes(*(value.shape for value in values)))))
        if any(value.dtype.kind == "O" for value in values):
            return self._folded_sizes(function, values)
        with np.errstate(all="ignore"):
            result = np.asarray(function(*values))
        return result if function in (np.equal, np.where) else result.astype(values[0].dtype)

    def _folded_sizes(self, function: Callable[..., Any], values: list[NDArray[Any]]) -> NDArray[Any]:
        """The same of sizes, among which there may be the number of samples."""
        flat = [one for value in values for one in value.ravel().tolist()]
        if function in (np.equal, np.where):
            return np.asarray(function(*values))
        symbols = [one for one in flat if one == BATCH or isinstance(one, Samples)]
        if not symbols:
            kinds = [np.dtype(np.int64) if value.dtype.kind == "O" else value.dtype for value in values]
            given = [value.astype(kind) for value, kind in zip(values, kinds, strict=True)]
            return np.asarray(function(*given)).astype(kinds[0])
        if function is not np.multiply or len(flat) != 2 or len(symbols) > 1:
            raise ValueError("it computes something of the number of samples")
        (times,) = [one for one in flat if one is not symbols[0]] or [1]
        own = symbols[0].times if isinstance(symbols[0], Samples) else 1
        result = np.empty(np.broadcast_shapes(*(value.shape for value in values)), object)
        result[...] = symbols[0] if times == 1 else Samples(own * int(times))
        return result

    def option(self, name: str, place: int) -> Any:
        """A list or number that is an attribute in old versions and an input now; None if it is not given."""
        if self.input(place) is not None:
            values = self.constant(place)
            self.assembly.use(values.size)
            return values.tolist()
        return self.attributes.get(name)


def moving(call: Call, move: Callable[[Layout], Layout]) -> Value:
    """An operator that only moves values."""
    value = call.input(0)
    if isinstance(value, Rows):
        return call.assembly.moved(value, move)
    if isinstance(value, Indices):
        return Indices(call.assembly.moved(value.rows, move))
    constant = call.constant(0)
    call.assembly.use(constant.size)
    return np.asarray(move(Layout(constant)).array, constant.dtype)
