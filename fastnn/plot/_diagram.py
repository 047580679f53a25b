"""Where the parts of a network lie in its diagram."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.containers import Concatenate, Container, Sequential
from ..layers.dense import Dense

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.graph import Node
    from ..inference import Inference
    from ..layers.base import Layer

_TITLE, _NOTE, _CURVE = 1.4, 0.5, 0.5  # heights of a title, of a line of notes, and of what a curve needs


@dataclass
class Column:
    """Units that are drawn below each other.

    Attributes
    ----------
    width : int
        How many there are.
    title : str
    x : int
        Its place from left to right.
    y : float
        Height of its middle.
    half : float
        Distance from there to the title, and to the notes.
    layer : Layer or None
        What computes it; None for the input, and for what joins branches.
    sources : list of Source
    notes : list of str
        Layers that follow and change no number of units.
    """

    width: int
    title: str
    x: int = 0
    y: float = 0.0
    half: float = 0.0
    layer: Layer | None = None
    sources: list[Source] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Source:
    """A column that another one is computed from.

    Attributes
    ----------
    column : Column
    part : (float, float), optional
        Where it lies in the other one, from 0 at the top to 1; None if all of it goes into each unit.
    curve : float, optional
        How deep the way between the two leads, if it leads below other columns.
    """

    column: Column
    part: tuple[float, float] | None = None
    curve: float | None = None


class Diagram:
    """The columns of a network, and where they lie.

    Parameters
    ----------
    model : Model
        Built.
    most : int
        Units of a column that are drawn.

    Attributes
    ----------
    columns : list of Column
        In the order in which they are computed.
    """

    def __init__(self, model: Inference, most: int) -> None:
        graph = model.executor.graph
        assert graph is not None
        self._nodes: dict[int, Node] = {id(node.layer): node for node in graph.nodes}
        self._most = most
        start = Column(graph.input.size, "input")
        self.columns, _ = self._row(model.layers, start, [start])

    def shown(self, column: Column) -> tuple[NDArray[Any], NDArray[Any]]:
        """Which units are drawn, and at which heights; with a gap, if they are not all."""
        if column.width <= self._most:
            units = np.arange(column.width)
            return units, column.y + (column.width - 1) / 2 - units
        above, below = self._most - self._most // 2, self._most // 2
        units = np.concatenate([np.arange(above), np.arange(column.width - below, column.width)])
        places = np.concatenate([np.arange(above), np.arange(below) + above + 1])
        return units, column.y + self._most / 2 - places

    def gap(self, column: Column) -> float | None:
        """Height of the gap, if not all units are drawn."""
        if column.width <= self._most:
            return None
        return column.y + self._most / 2 - (self._most - self._most // 2)

    def half(self, column: Column) -> float:
        """Half the height of a column's units."""
        return min(column.width, self._most + 1) / 2

    def extent(self, columns: Sequence[Column]) -> tuple[float, float]:
        """Upper and lower end of columns, with what is written above and below and the curves between."""
        curves = [source.curve for column in columns for source in column.sources]
        lowest = [column.y - column.half - 0.2 - _NOTE * len(column.notes) for column in columns]
        lowest += [curve for curve in curves if curve is not None]
        return max(column.y + column.half + _TITLE for column in columns), min(lowest)

    def _row(self, layers: Iterable[Layer], source: Column, own: list[Column]) -> tuple[list[Column], Column]:
        """The columns of layers in a row, and the last of them, or the source if there are none.

        Those in `own`, and those that the row adds to them, have their titles at one height.
        """
        columns, last = list(own), source
        for layer in _flat(layers):
            node = self._nodes[id(layer)]
            n_in, n_out = math.prod(node.inputs[0]), math.prod(node.output)
            if isinstance(layer, Container):
                inner, last = self._joined(layer, last, n_out)
                columns += inner
            elif n_in == n_out and last in columns and not isinstance(layer, Dense):
                last.notes.append(repr(layer))
                continue
            else:
                part = (0.0, 1.0) if n_in == n_out and not isinstance(layer, Dense) else None
                last = Column(n_out, _title(layer), last.x + 1, layer=layer, sources=[Source(last, part)])
                columns.append(last)
            own.append(last)
        for column in own:
            column.half = max(self.half(each) for each in own)
        return columns, last

    def _joined(self, layer: Container, source: Column, width: int) -> tuple[list[Column], Column]:
        """The columns of branches below each other, and the one that joins them."""
        column = Column(width, type(layer).__name__, y=source.y)
        rows = [self._row([] if part is None else [part], source, []) for part in layer.parts.values()]
        self._stack([columns for columns, _ in rows if columns], source.y)
        columns = [each for own, _ in rows for each in own]
        lowest = [self.extent(own)[1] for own, _ in rows if own]
        curve = min([source.y - self.half(source), column.y - self.half(column), *lowest]) - _CURVE
        start = 0
        for own, last in rows:
            size = last.width if isinstance(layer, Concatenate) else width
            part = (start / width, (start + size) / width)
            column.sources.append(Source(last, part, None if own else curve))
            start += size if isinstance(layer, Concatenate) else 0
        column.x = 1 + max(last.x for _, last in rows)
        return [*columns, column], column

    def _stack(self, rows: Sequence[Sequence[Column]], middle: float) -> None:
        """Move rows so that they lie below each other, around a height; a single one stays there."""
        if len(rows) < 2:
            return
        extents = [self.extent(columns) for columns in rows]
        top = middle + sum(upper - lower for upper, lower in extents) / 2
        for columns, (upper, lower) in zip(rows, extents, strict=True):
            for column in columns:
                column.y += top - upper
                for source in column.sources:
                    source.curve = None if source.curve is None else source.curve + top - upper
            top -= upper - lower


def _flat(layers: Iterable[Layer]) -> Iterable[Layer]:
    """Layers in a row, with those of rows in it in their place."""
    for layer in layers:
        if isinstance(layer, Sequential):
            yield from _flat(layer.layers)
        else:
            yield layer


def _title(layer: Layer) -> str:
    activation = layer.activation if isinstance(layer, Dense) else None
    return type(layer).__name__ + ("" if activation is None else f"\n{activation.name}")
