"""What a notebook shows of a model and of a history: HTML without scripts, all text escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from .summary import table

if TYPE_CHECKING:
    from ..inference import Inference

# Spaces at the beginning of a row show what it is in.
_LEFT, _RIGHT = "text-align:left;white-space:pre", "text-align:right"
_WIDTH, _HEIGHT = 160, 32  # of a curve, in pixels


def model_html(model: Inference) -> str:
    """The layers of a model as a table."""
    executor = model.executor
    loss = "no loss" if executor.loss is None else executor.loss.name
    optimizer = type(executor.optimizer).__name__
    (head, *rows), end = table(model)
    caption = f"<b>Model</b> &middot; {escape(loss)} &middot; {escape(optimizer)} &middot; {escape(end)}"
    return _table(caption, head, rows, (_LEFT, _LEFT, _RIGHT))


def history_html(logs: dict[str, list[float]], epochs: int, error: Exception | None) -> str:
    """First, last, smallest and largest values of what a history recorded, and their curves."""
    caption = f"<b>History</b> &middot; {epochs} epochs"
    if error is not None:
        caption += f" &middot; ended by {escape(f'{type(error).__name__}: {error}')}"
    head = ("", "first", "last", "least", "most", "")
    rows = []
    for name, values in logs.items():
        if values:
            known = [value for value in values if not math.isnan(value)] or values
            numbers = (values[0], values[-1], min(known), max(known))
            rows.append((name, *(f"{number:.4g}" for number in numbers)))
    curves = [_curve(values) for values in logs.values() if values]
    return _table(caption, head, rows, (_LEFT, *[_RIGHT] * 4, _LEFT), curves)


def _table(
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    styles: Sequence[str],
    last: Sequence[str] = (),
) -> str:
    """A table; `caption` and the cells of the last column, if they are given, are HTML already."""
    lines = [_cells("th", head, styles)]
    for i, row in enumerate(rows):
        lines.append(_cells("td", row, styles, last[i] if last else None))
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f'<div style="overflow-x:auto"><div>{caption}</div>\n'
        f'<table style="border-collapse:collapse">\n<tbody>\n{body}\n</tbody>\n</table></div>'
    )


def _cells(tag: str, texts: Sequence[str], styles: Sequence[str], last: str | None = None) -> str:
    cells = [escape(text) for text in texts] + ([] if last is None else [last])
    return "".join(
        f'<{tag} style="{style}">{cell}</{tag}>' for cell, style in zip(cells, styles, strict=True)
    )


def _curve(values: Sequence[float]) -> str:
    """A line through finite values, of at most as many points as it has pixels, as SVG."""
    y = np.array(values, float)
    y = y[:: max(1, math.ceil(len(y) / _WIDTH))]
    y = y[np.isfinite(y)]
    if y.size < 2:
        return ""
    x = np.linspace(1, _WIDTH - 1, y.size)
    height = 1 + (_HEIGHT - 2) * (y.max() - y) / (np.ptp(y) or 1)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, height, strict=True))
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">'
        f'<polyline points="{points}" fill="none" stroke="#0072B2" stroke-width="1.5"/></svg>'
    )
