"""What a notebook shows of a model and of a history: HTML without scripts, all text escaped.

Colours are those of the page, so that it can be read in light and dark. Where there is little room, names
go on in another line, and what is still too wide can be scrolled, with the keyboard too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from .summary import memory_lines, table, totals

if TYPE_CHECKING:
    from ..inference import Inference

_WIDTH, _HEIGHT = 160, 32  # of a curve, in pixels
_BATCH_SIZE = 32  # that of `fit` by default
_DEEPEST = 8  # layers within layers that are indented more than those around them

_TABLE = "border-collapse:collapse;margin:0.3em 0"
_CELL = "padding:0.2em 0.35em;vertical-align:top"
_NAME = f"{_CELL};text-align:left;overflow-wrap:anywhere;min-width:6em;white-space:normal"
_LEFT = f"{_CELL};text-align:left;white-space:normal"
_RIGHT = f"{_CELL};text-align:right;white-space:nowrap"


def model_html(model: Inference) -> str:
    """The layers of a model as a table, and below it their sums."""
    executor = model.executor
    loss = "no loss" if executor.loss is None else executor.loss.name
    optimizer = type(executor.optimizer).__name__
    head, *rows = table(model)
    caption = f"<b>Model</b> &middot; {escape(loss)} &middot; {escape(optimizer)}"
    names = [f"padding-left:{0.5 + 1.2 * min(row.depth, _DEEPEST):.1f}em" for row in rows]
    text = _table("Model", head[1:], [row[1:] for row in rows], (_NAME, _LEFT, _RIGHT, _RIGHT), names)
    below = "".join(f"<div>{escape(line)}</div>\n" for line in totals(model))
    return f"<div>\n<div>{caption}</div>\n{text}\n{below}{_memory(model)}</div>"


def _memory(model: Inference) -> str:
    """The memory in all, and in parts where it is opened."""
    head, *parts = memory_lines(model, _BATCH_SIZE) or [""]
    if not parts:
        return ""
    return (
        f'<details><summary style="cursor:pointer">{escape(head)}</summary>\n'
        f'<pre style="margin:0.3em 0">{escape(chr(10).join(parts))}</pre></details>\n'
    )


def history_html(logs: dict[str, list[float]], epochs: int, error: Exception | None) -> str:
    """First, last, smallest and largest values of what a history recorded, and their curves."""
    caption = f"<b>History</b> &middot; {epochs:,} epochs"
    if error is not None:
        caption += f" &middot; ended by {escape(f'{type(error).__name__}: {error}')}"
    head = ("name", "first", "last", "least", "most", "curve")
    rows = []
    for name, values in logs.items():
        if values:
            known = [value for value in values if not math.isnan(value)] or values
            numbers = (values[0], values[-1], min(known), max(known))
            rows.append((name, *(f"{number:.4g}" for number in numbers)))
    curves = [_curve(name, values) for name, values in logs.items() if values]
    text = _table("History", head, rows, (_NAME, *[_RIGHT] * 4, _LEFT), last=curves)
    return f"<div>\n<div>{caption}</div>\n{text}\n</div>"


def _table(
    label: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    styles: Sequence[str],
    names: Sequence[str] = (),
    last: Sequence[str] = (),
) -> str:
    """A table; `names` are further styles of the first column, `last` what its last column holds, as HTML."""
    top = "".join(
        f'<th scope="col" style="{style}">{escape(text)}</th>'
        for text, style in zip(head, styles, strict=True)
    )
    lines = []
    for i, row in enumerate(rows):
        cells = [*(escape(text) for text in row), *last[i : i + 1]]
        own = [f"{styles[0]};{names[i]}" if names else styles[0], *styles[1:]]
        lines.append("".join(f'<td style="{a}">{b}</td>' for a, b in zip(own, cells, strict=True)))
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f'<div style="overflow-x:auto" role="region" aria-label="{label}" tabindex="0">\n'
        f'<table style="{_TABLE}">\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
    )


def _curve(name: str, values: Sequence[float]) -> str:
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
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(name)} over the epochs">'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>'
    )
