"""Attention as nodes of an ONNX graph."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..engine.ops import Shape
    from ..layers.attention import MultiHeadAttention
    from ._writer import Writer

_NEVER = -1e30  # a score whose weight is 0


def write_attention(graph: Writer, layer: MultiHeadAttention, shape: Shape) -> None:
    """Projections, the weights of all pairs of times in each head, and the projection of the output."""
    length, heads = shape[0], layer.num_heads
    sizes = [layer.key_dim, layer.key_dim, layer.value_dim]
    _project(graph, "projection")
    projected, ends = graph.output, np.cumsum([0, *[heads * size for size in sizes]])
    axis = graph.constant("axis", [2], np.int64)
    parts = []
    for name, size, start, end in zip("qkv", sizes, ends, ends[1:], strict=False):
        bounds = [graph.constant(f"{name}.{i}", [int(at)], np.int64) for i, at in enumerate((start, end))]
        graph.node("Slice", [projected, *bounds, axis])
        graph.node("Reshape", [graph.output, graph.constant(name, [0, length, heads, size], np.int64)])
        perm = [0, 2, 3, 1] if name == "k" else [0, 2, 1, 3]
        parts.append(graph.node("Transpose", [graph.output], perm=perm))
    query, key, value = parts
    scores = graph.node("MatMul", [query, key])
    graph.node("Mul", [scores, graph.scalar(1 / math.sqrt(layer.key_dim))])
    if layer.use_causal_mask:
        graph.node(
            "Add", [graph.output, graph.constant("mask", np.triu(np.full((length, length), _NEVER), 1))]
        )
    graph.node("Softmax", [graph.output], axis=-1)
    graph.node("MatMul", [graph.output, value])
    graph.node("Transpose", [graph.output], perm=[0, 2, 1, 3])
    together = graph.constant("together", [0, length, heads * layer.value_dim], np.int64)
    graph.node("Reshape", [graph.output, together])
    _project(graph, "output")


def _project(graph: Writer, name: str) -> None:
    own = graph.parameters
    graph.node("MatMul", [graph.output, graph.constant(f"{name}_weights", own[f"{name}_weights"])])
    if f"{name}_bias" in own:
        graph.node("Add", [graph.output, graph.constant(f"{name}_bias", own[f"{name}_bias"])])
