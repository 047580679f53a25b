"""A model as a table of text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..engine.frozen import frozen_ranges
from ..engine.mult_adds import mult_adds
from ..layers.containers import Container, Sequential
from ..layers.derivatives import Derivatives
from .memory import memory, readable

if TYPE_CHECKING:
    from ..engine.graph import Graph, Node
    from ..inference import Inference
    from ..layers.base import Layer

WIDTH = 80  # columns of a terminal
_GAP = 2
_SHAPE = 26  # most columns of a shape, which goes on in another line if it is longer
_HEAD = ("layer", "output shape", "parameters", "mult-adds")


class Row(NamedTuple):
    """A layer in the table: how deep it is in others, and its cells."""

    depth: int
    layer: str
    shape: str
    parameters: str
    mult_adds: str


def summary(model: Inference, batch_size: int) -> str:
    """The table and what stands below it, in at most `WIDTH` columns; unknown sizes as ``?``."""
    rows, end = table(model), [*totals(model), *memory_lines(model, batch_size)]
    shape = min(_SHAPE, max(len(row.shape) for row in rows))
    counts = [max(map(len, column)) for column in zip(*(row[3:] for row in rows), strict=True)]
    left = WIDTH - shape - sum(counts) - 3 * _GAP
    name = min(left, max(2 * row.depth + len(row.layer) for row in rows))
    lines = [line for row in rows for line in _lines(row, name, shape, counts)]
    rule = "-" * (name + shape + sum(counts) + 3 * _GAP)
    return "\n".join([lines[0], rule, *lines[1:], rule, *(line for text in end for line in _wrapped(text))])


def _lines(row: Row, name: int, shape: int, counts: list[int]) -> Iterator[str]:
    """A row as lines of text: names and shapes that are too long go on below."""
    indent = min(2 * row.depth, name // 2)  # of what is very deep, no more than that
    names = textwrap.wrap(row.layer, name - indent, subsequent_indent="  ")
    shapes = textwrap.wrap(row.shape, shape, subsequent_indent=" ")
    for i in range(max(len(names), len(shapes))):
        a, b = names[i] if i < len(names) else "", shapes[i] if i < len(shapes) else ""
        c, d = (row.parameters, row.mult_adds) if i == 0 else ("", "")
        cells = f"{' ' * indent + a:<{name}}", f"{b:<{shape}}", f"{c:>{counts[0]}}", f"{d:>{counts[1]}}"
        yield "  ".join(cells).rstrip()


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", drop_whitespace=False)


def table(model: Inference) -> list[Row]:
    """The rows of the table, its head first.

    What is in a container follows it, deeper; its parameters and products are counted in the container's
    row too. Running statistics are counted among the parameters, as in Keras.
    """
    graph = model.executor.graph
    rows = [Row(0, *_HEAD)]
    listed = [entry for layer in model.layers for entry in _listed(layer, 0)]
    if graph is None:
        return rows + [Row(depth, text, "(n, ?)", "?", "?") for depth, text, _, _ in listed]
    nodes = {id(node.layer): node for node in graph.nodes}
    for depth, text, layer, outer in listed:
        node = nodes[id(layer or outer)]
        shape = node.output if layer else node.inputs[0]
        count = sum(place.size for place in (*node.parameters, *node.statistics)) if layer else 0
        products = _mult_adds(graph, node) if layer else 0
        sizes = f"(n, {', '.join(f'{size:,}' for size in shape)})"
        rows.append(Row(depth, text, sizes, f"{count:,}", f"{products:,}"))
    return rows


def totals(model: Inference) -> list[str]:
    """What stands below the table: the numbers of the whole model."""
    executor = model.executor
    products = f", products in {model.compute_dtype}" if model.compute_dtype != model.dtype else ""
    if executor.graph is None:
        return [f"not built yet: build(n_in) or fit makes the parameters, {model.dtype}{products}"]
    graph = executor.graph
    itemsize = executor.state.parameters.itemsize
    total, running = graph.n_parameters + graph.n_statistics, graph.n_statistics
    frozen = sum(end - start for start, end in frozen_ranges(graph.parameters))
    kinds = [(frozen, "frozen"), (running, "running statistics")]
    why = ", ".join(f"{count:,} {kind}" for count, kind in kinds if count)

    def line(what: str, count: int) -> str:
        return f"{what} parameters: {count:,} ({readable(count * itemsize)})"

    return [
        f"{line('Total', total)}, {model.dtype}{products}",
        line("Trainable", total - frozen - running),
        line("Non-trainable", frozen + running) + (f": {why}" if why else ""),
        f"Total mult-adds of a sample: {mult_adds(graph.ops):,}",
    ]


def memory_lines(model: Inference, batch_size: int) -> list[str]:
    """The memory of a built model: in all, then in parts; nothing of one that is not built."""
    executor = model.executor
    if executor.graph is None:
        return []
    parts = [(name, size) for name, size in memory(executor, batch_size).items() if size]
    texts = [(name, readable(size)) for name, size in parts]
    widths = [max(len(text[i]) for text in texts) for i in range(2)]
    how = "to predict" if executor.loss is None else f"to train with batch_size={batch_size:,}"
    head = f"Memory {how}: {readable(sum(size for _, size in parts))}"
    return [head, *(f"  {name:<{widths[0]}}  {size:>{widths[1]}}" for name, size in texts)]


def _mult_adds(graph: Graph, node: Node) -> int:
    """Of a sample, in a layer; in one that computes all before it once more, what that adds."""
    if isinstance(node.layer, Derivatives):
        others = [other for other in graph.nodes if len(other.place) == 1 and other is not node]
        return mult_adds(graph.ops) - sum(_mult_adds(graph, other) for other in others)
    return mult_adds(graph.part(node).ops)


def _listed(layer: Layer, depth: int, name: str = "") -> Iterator[tuple[int, str, Layer | None, Layer]]:
    """Of each row: depth, what it begins with, a layer or None for the identity, the layer it is in or is."""
    frozen = ", frozen" if layer.has_parameters and not layer.trainable else ""
    text = type(layer).__name__ if layer.children else repr(layer)
    yield depth, f"{name}{text}{frozen}", layer, layer
    for name, part in layer.parts.items() if isinstance(layer, Container) else ():
        begin = "" if isinstance(layer, Sequential) else f"{name}: "
        if part is None:
            yield depth + 1, f"{begin}identity", None, layer
        else:
            yield from _listed(part, depth + 1, begin)
