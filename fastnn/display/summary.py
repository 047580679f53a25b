"""A model as a table of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine.plan import frozen_ranges, parameters, widths

if TYPE_CHECKING:
    from ..inference import Inference


def summary(model: Inference) -> str:
    """Table of the layers, their output shapes and parameter counts; ``?`` for unknown sizes."""
    rows, end = table(model)
    columns = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [f"{a:<{columns[0]}}  {b:<{columns[1]}}  {c:>{columns[2]}}" for a, b, c in rows]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:], rule, end])


def table(model: Inference) -> tuple[list[tuple[str, str, str]], str]:
    """The rows of the table, its header first, and the line below them."""
    sizes = [None] * (len(model.layers) + 1) if model.n_in is None else widths(model.layers, model.n_in)
    rows = [("layer", "output shape", "parameters")]
    total = 0
    for layer, n_in, n_out in zip(model.layers, sizes, sizes[1:], strict=False):
        count = None
        if n_in is not None:
            count = sum(view.size for view in layer.views.values())
            total += count
        frozen = "" if layer.trainable or not layer.parameter_shapes(1) else ", frozen"
        rows.append((f"{layer!r}{frozen}", f"(n, {_text(n_out)})", _text(count)))
    if model.n_in is None:
        return rows, "not built yet"
    still = sum(
        end - start for start, end in frozen_ranges(model.layers, parameters(model.layers, model.n_in))
    )
    frozen = f", {still:,} of them frozen" if still else ""
    return rows, f"{total:,} parameters in all{frozen}, {model.dtype}"


def _text(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"
