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
    "1 thread": "#e0a030",
    "2 threads": "#c1272d",
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
    """Draw each peer's time over fastnn's, a row a workload, the best peer named; return the file."""
    plt = _pyplot()
    from matplotlib.ticker import ScalarFormatter

    peers = {name: {peer: t for peer, t in row.items() if peer != "fastnn"} for name, row in ratios.items()}
    names = sorted(peers, key=lambda name: min(peers[name].values()))
    figure, ax = plt.subplots(figsize=(8, 0.8 + 0.32 * len(names)), layout="constrained")
    ax.axvline(1, color=COLOURS["fastnn"], linewidth=2)
    for at, name in enumerate(names):
        best = min(peers[name], key=peers[name].__getitem__)
        ax.plot([1, peers[name][best]], [at, at], color=COLOURS[best], linewidth=1.2, zorder=1)
        ax.text(
            1.02, at, f"{best}, {peers[name][best]:.1f}x", transform=ax.get_yaxis_transform(), va="center",
            color=COLOURS[best],
        )  # fmt: skip
    ax.text(1.02, len(names) - 0.3, "best peer", transform=ax.get_yaxis_transform())
    ax.text(1, len(names) - 0.3, "fastnn", ha="center", color=COLOURS["fastnn"])
    for peer in (name for name in COLOURS if any(name in row for row in peers.values())):
        at, times = zip(
            *((i, peers[name][peer]) for i, name in enumerate(names) if peer in peers[name]), strict=True
        )
        ax.scatter(times, at, s=28, label=peer, color=COLOURS[peer], zorder=2)
    ax.set_xscale("log")
    ax.set_xlim(left=min(0.95, *(0.95 * min(row.values()) for row in peers.values())))
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ticks = [t for t in (1, 2, 3, 5, 10, 20, 50, 100) if t <= ax.get_xlim()[1]]
    ax.set_xticks(ticks, [f"{t}x" for t in ticks])
    ax.minorticks_off()
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("time of a training step, as a multiple of fastnn's (log scale)")
    ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.legend(loc="lower right", frameon=False)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(left=False)
    path = _save(figure, "compare.png")
    plt.close(figure)
    return path


def growth(
    curves: Mapping[str, tuple[Sequence[float], Mapping[str, Sequence[float]]]],
    limits: Mapping[str, Sequence[float]],
    name: str = "growth.png",
) -> Path:
    """Draw microseconds a step over each quantity that grows, a line a peer, and the least time beneath.

    That is what its products take at the peak of the processor. Return the file.
    """
    plt = _pyplot()
    from matplotlib.ticker import NullFormatter

    high = 1 if len(curves) < 6 else 2
    columns = -(-len(curves) // high)
    figure, axes = plt.subplots(
        high, columns, figsize=(3 * columns, 3 * high), layout="constrained", squeeze=False
    )
    for ax, (quantity, (values, lines)) in zip(axes.flat, curves.items(), strict=True):
        ax.plot(values, limits[quantity], color="#888888", linewidth=1, linestyle="--", label="arithmetic")
        for line, times in lines.items():
            ax.plot(values, times, marker="o", markersize=3, label=line, color=COLOURS[line])
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set_xlabel(quantity)
        ax.spines[["top", "right"]].set_visible(False)
    for first in axes[:, 0]:
        first.set_ylabel("microseconds a step")
    axes.flat[0].legend(frameon=False)
    path = _save(figure, name)
    plt.close(figure)
    return path
