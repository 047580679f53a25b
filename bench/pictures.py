"""Pictures of what the benchmarks have measured, for the project's documents.

``python -m bench.pictures`` measures nothing: it draws the table in bench/README.md and the numbers that are
kept beside the pictures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "pictures"
# Colours of `fastnn.plot.style`, and markers, of those that are compared.
STYLES = {
    "fastnn": {"color": "C1", "marker": "o"},
    "NumPy": {"color": "C0", "marker": "s"},
    "PyTorch": {"color": "C3", "marker": "D"},
    "JAX": {"color": "C2", "marker": "^"},
    "scikit-learn": {"color": "C5", "marker": "v"},
    "1 thread": {"color": "C0", "marker": "s"},
    "2 threads": {"color": "C1", "marker": "o"},
}


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    import fastnn as fn

    plt.rcParams.update(fn.plot.style())
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
    ax.axvline(1, color=STYLES["fastnn"]["color"], linewidth=2)
    for at, name in enumerate(names):
        best = min(peers[name], key=peers[name].__getitem__)
        ax.plot([1, peers[name][best]], [at, at], color=STYLES[best]["color"], linewidth=1.2, zorder=1)
        best_time = f"{best}, {peers[name][best]:.1f}x"
        ax.text(1.02, at, best_time, transform=ax.get_yaxis_transform(), va="center")
    ax.text(1.02, len(names) - 0.3, "best peer", transform=ax.get_yaxis_transform(), weight="bold")
    ax.text(1, len(names) - 0.3, "fastnn", ha="center", weight="bold")
    for peer in (name for name in STYLES if any(name in row for row in peers.values())):
        at, times = zip(
            *((i, peers[name][peer]) for i, name in enumerate(names) if peer in peers[name]), strict=True
        )
        ax.scatter(times, at, s=28, label=peer, zorder=2, **STYLES[peer])
    ax.set_xscale("log")
    ax.set_xlim(left=min(0.95, *(0.95 * min(row.values()) for row in peers.values())))
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ticks = [t for t in (1, 2, 3, 5, 10, 20, 50, 100) if t <= ax.get_xlim()[1]]
    ax.set_xticks(ticks, [f"{t}x" for t in ticks])
    ax.minorticks_off()
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("time of a training step, as a multiple of fastnn's (log scale)")
    ax.grid(axis="x", linewidth=0.6)
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

    That is what its products take at the peak of the processor. The numbers are written beside the picture.
    Return its file.
    """
    plt = _pyplot()
    from matplotlib.ticker import NullFormatter

    figure, axes = plt.subplots(-(-len(curves) // 3), 3, layout="constrained", squeeze=False)
    figure.set_size_inches(9, 3 * len(axes))
    for ax in axes.flat[len(curves) :]:
        ax.set_axis_off()
    for ax, (quantity, (values, lines)) in zip(axes.flat, curves.items(), strict=False):
        ax.plot(values, limits[quantity], color="C6", linewidth=1, linestyle="--", label="arithmetic")
        for line, times in lines.items():
            ax.plot(values, times, markersize=4, label=line, **STYLES[line])
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set_xlabel(quantity)
        ax.spines[["top", "right"]].set_visible(False)
    for first in axes[:, 0]:
        first.set_ylabel("microseconds a step")
    axes.flat[0].legend(frameon=False)
    path = _save(figure, name)
    path.with_suffix(".json").write_text(json.dumps([curves, limits]) + "\n", encoding="utf-8")
    plt.close(figure)
    return path


def published() -> dict[str, dict[str, float]]:
    """Read the ratios to fastnn from the table in bench/README.md: by workload, of each peer."""
    text = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    table = text.partition("<!-- bench.compare: begin -->")[2].partition("\n\n")[0].strip().splitlines()
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    ratios = {}
    for name, *cells in rows:
        found = {
            peer: re.search(r"\(([\d.]+)x\)", cell) for peer, cell in zip(header[1:], cells, strict=True)
        }
        ratios[name] = {peer: float(match[1]) for peer, match in found.items() if match}
    return ratios


def main() -> None:
    """Draw all pictures of which the numbers are kept."""
    print(compare(published()))
    for file in sorted(FOLDER.glob("growth*.json")):
        print(growth(*json.loads(file.read_text(encoding="utf-8")), file.with_suffix(".png").name))


if __name__ == "__main__":
    main()
