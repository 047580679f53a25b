"""A model as a table of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..engine.frozen import frozen_ranges
from ..layers.containers import Container, Sequential

if TYPE_CHECKING:
    from ..inference import Inference
    from ..layers.base import Layer


def summary(model: Inference) -> str:
    """Table of the layers, their output shapes and parameter counts; unknown sizes as ``?``."""
    rows, end = table(model)
    columns = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [f"{a:<{columns[0]}}  {b:<{columns[1]}}  {c:>{columns[2]}}" for a, b, c in rows]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:], rule, end])


def table(model: Inference) -> tuple[list[tuple[str, str, str]], str]:
    """The rows of the table, its head first, and what stands below them.

    What is in a container follows it, indented; the parameters are counted in the container's row too.
    Running statistics are counted among them, as in Keras.
    """
    graph = model.executor.graph
    rows = [("layer", "output shape", "parameters")]
    listed = [entry for layer in model.layers for entry in _listed(layer, "")]
    if graph is None:
        return rows + [(text, "(n, ?)", "?") for text, _, _ in listed], "not built yet"
    nodes = {id(node.layer): node for node in graph.nodes}
    for text, layer, outer in listed:
        node = nodes[id(layer or outer)]
        shape = node.output if layer else node.inputs[0]
        count = sum(place.size for place in (*node.parameters, *node.statistics)) if layer else 0
        rows.append((text, f"(n, {', '.join(f'{size:,}' for size in shape)})", f"{count:,}"))
    total, running = graph.n_parameters + graph.n_statistics, graph.n_statistics
    still = sum(end - start for start, end in frozen_ranges(graph.parameters))
    frozen = f", {still:,} of them frozen" if still else ""
    statistics = f", {running:,} of them running statistics" if running else ""
    products = f", products in {model.compute_dtype}" if model.compute_dtype != model.dtype else ""
    return rows, f"{total:,} parameters in all{statistics}{frozen}, {model.dtype}{products}"


def _listed(layer: Layer, start: str) -> Iterator[tuple[str, Layer | None, Layer]]:
    """What a row begins with, a layer, or None for the identity, and the layer that it is in or is."""
    frozen = ", frozen" if layer.has_parameters and not layer.trainable else ""
    yield f"{start}{type(layer).__name__ if layer.children else repr(layer)}{frozen}", layer, layer
    indent = " " * (len(start) - len(start.lstrip()) + 2)
    for name, part in layer.parts.items() if isinstance(layer, Container) else ():
        begin = indent if isinstance(layer, Sequential) else f"{indent}{name}: "
        if part is None:
            yield f"{begin}identity", None, layer
        else:
            yield from _listed(part, begin)
