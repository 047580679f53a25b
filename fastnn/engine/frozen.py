"""What a step leaves alone: ranges of the flat vectors that are not trained (`Layer.trainable`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .graph import Graph, ParameterPlace


def frozen_ranges(places: Sequence[ParameterPlace]) -> list[tuple[int, int]]:
    """Start and end of each part of their vector that is not trained: see `Layer.trainable`."""
    result: list[tuple[int, int]] = []
    for place in places:
        if not place.layer.trainable:
            start = result.pop()[0] if result and result[-1][1] == place.offset else place.offset
            result.append((start, place.offset + place.size))
    return result


def frozen_numbers(graph: Graph) -> list[tuple[int, int]]:
    """What a step leaves alone: ranges of the parameters, then of the statistics, counted on from these."""
    end = graph.n_parameters
    held = [(end + start, end + stop) for start, stop in frozen_ranges(graph.statistics)]
    return frozen_ranges(graph.parameters) + held
