"""A model as a table of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..inference import Inference
    from ..layers.base import Layer


def summary(model: Inference) -> str:
    """Table of the layers, their output shapes and parameter counts; ``?`` for unknown sizes."""
    rows, end = table(model)
    columns = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [f"{a:<{columns[0]}}  {b:<{columns[1]}}  {c:>{columns[2]}}" for a, b, c in rows]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:], rule, end])


def table(model: Inference) -> tuple[list[tuple[str, str, str]], str]:
    """The rows of the table, its header first, and the line below them."""
    graph = model.executor.graph
    rows = [("layer", "output shape", "parameters")]
    if graph is None:
        rows += [(f"{layer!r}{_frozen(layer)}", "(n, ?)", "?") for layer in model.layers]
        return rows, "not built yet"
    for layer in model.layers:
        node = graph.node(layer)
        shape = ", ".join(f"{size:,}" for size in node.output)
        count = sum(place.size for place in node.parameters)
        rows.append((f"{layer!r}{_frozen(layer)}", f"(n, {shape})", f"{count:,}"))
    total = graph.n_parameters
    still = sum(end - start for start, end in model.executor.frozen_ranges())
    frozen = f", {still:,} of them frozen" if still else ""
    return rows, f"{total:,} parameters in all{frozen}, {model.dtype}"


def _frozen(layer: Layer) -> str:
    return ", frozen" if layer.has_parameters and not layer.trainable else ""
