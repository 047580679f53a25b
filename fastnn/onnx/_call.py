"""An operator of a graph and its inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._assembly import Assembly
from ._layout import Layout
from ._rows import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    #: A tensor that depends on the input, or a constant. The sizes of axes are constants of objects.
    Value = Rows | NDArray[Any]


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
            raise ValueError(f"its input {place} is a constant")
        return value

    def constant(self, place: int) -> NDArray[Any]:
        """An input that must be a constant."""
        value = self.input(place)
        if not isinstance(value, np.ndarray):
            what = "left out" if value is None else "not a constant"
            raise ValueError(f"its input {place} is {what}")
        return value

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
    constant = call.constant(0)
    call.assembly.use(constant.size)
    return np.asarray(move(Layout(constant)).array, constant.dtype)
