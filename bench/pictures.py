"""Pictures of what the benchmarks have measured, for the project's documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
COLOURS = {
    "fastnn": "#c1272d",
    "NumPy": "#4c72b0",
    "PyTorch": "#dd8452",
    "JAX": "#55a868",
    "scikit-learn": "#8172b3",
}


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _save(figure, name: str) -> Path:
    FOLDER.mkdir(exist_ok=True)
    figure.savefig(FOLDER / name, dpi=110)
    return FOLDER / name


def compare(ratios: Mapping[str, Mapping[str, float]]) -> Path:
    """Bars of each peer's time over fastnn's, by workload; return the file."""
    plt = _pyplot()
    names = [name for name in COLOURS if any(name in row for row in ratios.values())]
    figure, ax = plt.subplots(figsize=(9, 4), layout="constrained")
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        at = [x + (i - (len(names) - 1) / 2) * width for x in range(len(ratios))]
        heights = [row.get(name, float("nan")) for row in ratios.values()]
        ax.bar(at, heights, width, label=name, color=COLOURS[name])
    ax.set_yscale("log")
    ax.axhline(1, color="black", linewidth=0.8)
    ax.set_xticks(range(len(ratios)), list(ratios), rotation=20)
    ax.set_ylabel("time of a training step,\nrelative to fastnn (log scale)")
    ax.legend(ncols=len(names), loc="upper right", frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    path = _save(figure, "compare.png")
    plt.close(figure)
    return path


def growth(curves: Mapping[str, tuple[Sequence[float], Mapping[str, Sequence[float]]]]) -> Path:
    """One axes for each quantity that grows: microseconds a step over it, a line a peer; return the file."""
    plt = _pyplot()
    figure, axes = plt.subplots(1, len(curves), figsize=(3 * len(curves), 3), layout="constrained")
    for ax, (quantity, (values, lines)) in zip(axes.flat, curves.items(), strict=True):
        for name, times in lines.items():
            ax.plot(values, times, marker="o", markersize=3, label=name, color=COLOURS[name])
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_xlabel(quantity)
        ax.spines[["top", "right"]].set_visible(False)
    axes.flat[0].set_ylabel("microseconds a step")
    axes.flat[0].legend(frameon=False)
    path = _save(figure, "growth.png")
    plt.close(figure)
    return path
