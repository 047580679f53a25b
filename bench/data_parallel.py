"""Time a step of data-parallel training by its parts, and compute from which batch on more processes pay.

``python -m bench.data_parallel`` starts two processes by MPI on this machine. For networks of some widths and
batches it prints what a step takes by one process and by two, and of the latter the arithmetic (steps with
half of the rows, in both processes at once and without exchange), the exchange (measured alone) and the rest;
then, by the model of the cost, from which batch on so many processes are at least half as fast as they could
be. ``--plot`` draws the model for 2 to 1,024 of them. ``--normalization`` instead compares batch
normalization by a process's own rows with that by the rows of both, and ``--shards`` fits without shards and
with some. Steps are the fastest of many, since a process that the machine does not run for a moment lets the
other wait.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import fastnn as fn
from bench.compare import processor

WIDTHS = (32, 128, 512)
BATCHES = (64, 512, 4096)
FEATURES = 32
#: Latency of a message in seconds, and bytes a second, by order of magnitude: not measured here.
NETWORKS = {"Ethernet, 20 us, 3 GB/s": (20e-6, 3e9), "InfiniBand, 2 us, 25 GB/s": (2e-6, 25e9)}
RANKS = tuple(2**i for i in range(1, 11))
PICTURE = Path(__file__).parents[1] / "docs/pictures/data_parallel.png"
SHARDS = (2, 8, 32)
_SECONDS, _MEMORY = 0.3, 5e9  # of a measurement; bytes a second that are added up
_TOGETHER = 1 << 17  # see `distributed.agreement`


def network(width: int, synchronized: bool | None = None) -> fn.Model:
    """Two hidden layers, with batch normalization if it is said of which kind."""
    hidden: list[Any] = []
    for _ in range(2):
        hidden.append(fn.Dense(width, "relu"))
        if synchronized is not None:
            hidden.append(fn.BatchNormalization(synchronized=synchronized))
    return fn.Model([*hidden, fn.Dense(1)], "mse", fn.Adam(1e-4), seed=0)


def step(
    width: int,
    rows: int,
    batch: int,
    comm: Any = None,
    synchronized: bool | None = None,
    shards: int | None = None,
    threads: int | None = None,
) -> float:
    """Seconds of a step, of whose batch this process has so many rows."""
    steps = max(4, 4096 // batch)
    X = np.random.default_rng(0).normal(size=(steps * rows, FEATURES)).astype(np.float32)
    y, model, found = np.sin(X[:, :1]), network(width, synchronized), []
    options = {"batch_size": batch, "shuffle": False, "comm": comm, "shards": shards, "threads": threads}
    model.fit(X, y, **options)
    start = time.perf_counter()
    for _ in range(200):
        before = time.perf_counter()
        model.fit(X, y, epochs=4, **options)
        found.append((time.perf_counter() - before) / (4 * steps))
        spent = time.perf_counter() - start
        if (spent if comm is None else max(comm.allgather(spent))) > _SECONDS:
            break
    return min(found)


def exchange(width: int, comm: Any) -> float:
    """Seconds of the exchange of a step: `Ranks.meet`, and the sums of gradients."""
    from fastnn.distributed import agreement, ranks, transport

    size = network(width).build(FEATURES).parameters.size
    every = ranks.Ranks(transport.connect(comm))
    room = agreement.room(4 * size, every.size)
    every.open(room)
    block = -(-size // every.size)
    vector = np.zeros((every.size, block), np.float32)
    received, total = np.zeros_like(vector), np.zeros(size, np.float32)
    rows = every.room.view(np.float32)
    found = []
    for _ in range(300):
        start = time.perf_counter()
        every.meet(ranks.Doing.STEP)
        if room:
            np.add(rows[0, :size], rows[1, :size], out=total)
        else:
            every.sum(vector, received)
        found.append(time.perf_counter() - start)
    return median(found)


def after_others(comm: Any) -> None:
    """Wait for the other process without using its CPU, as MPI does where it waits."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(1e-3)


def work_on_normalization() -> None:
    """What each process does with ``--normalization``."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    for width in WIDTHS:
        for batch in BATCHES:
            alone = step(width, batch, batch, None, False) if comm.rank == 0 else 0.0
            after_others(comm)
            own, shared = (step(width, batch // 2, batch, comm, kind) for kind in (False, True))
            if comm.rank == 0:
                cells = " | ".join(f"{1e6 * seconds:.0f}" for seconds in (alone, own, shared))
                print(f"| {width} | {batch} | {cells} |", flush=True)


def work_on_shards() -> None:
    """What each process does with ``--shards``."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    for width in WIDTHS:
        for batch in BATCHES:
            alone = []
            if comm.rank == 0:
                alone = [step(width, batch, batch, shards=shards, threads=1) for shards in (None, *SHARDS)]
            after_others(comm)
            both = [step(width, batch // 2, batch, comm, shards=shards) for shards in (None, *SHARDS)]
            if comm.rank == 0:
                cells = " | ".join(f"{1e6 * seconds:.0f}" for seconds in alone + both)
                print(f"| {width} | {batch} | {cells} |", flush=True)


def work() -> None:
    """What each process does."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    for width in WIDTHS:
        alone = {}
        for rows in sorted({rows for batch in BATCHES for rows in (batch, batch // 2)}):
            alone[rows] = step(width, rows, rows) if comm.rank == 0 else 0.0
            after_others(comm)
        at_once = {}
        for batch in BATCHES:
            comm.Barrier()
            at_once[batch] = step(width, batch // 2, batch // 2)
            after_others(comm)
        moved = exchange(width, comm)
        together = {batch: step(width, batch // 2, batch, comm) for batch in BATCHES}
        if comm.rank == 0:
            size = 4 * network(width).build(FEATURES).parameters.size
            found = (alone, at_once, together)
            print(json.dumps([width, size, moved, *(list(own.items()) for own in found)]), flush=True)


def exchanged(ranks: int, size: int, latency: float, bandwidth: float) -> float:
    """Seconds that the exchange of a gradient of so many bytes takes, by the model."""
    rounds = math.ceil(math.log2(ranks))
    if size * (ranks - 1) <= _TOGETHER:
        return rounds * latency + size * (ranks - 1) / bandwidth + size * ranks / _MEMORY
    moved = size * (ranks - 1) / ranks
    directly = (ranks - 1) * latency + moved / bandwidth
    by_rounds = rounds * (latency + size / 2 / bandwidth)
    return 2 * rounds * latency + min(directly, by_rounds) + moved / bandwidth + size / _MEMORY


def rows_of(batch: int, ranks: int) -> float:
    """Rows of the rank that has most of a shuffled batch, on average."""
    mean = batch / ranks
    return mean if ranks == 1 else min(batch, mean + math.sqrt(2 * mean * math.log(ranks)))


class Costs:
    """What was measured of networks of a width, and the model of it."""

    def __init__(self, width: int, size: int, moved: float, alone: Any, at_once: Any, together: Any) -> None:
        self.width, self.size, self.moved = width, size, moved
        self.alone, self.at_once, self.together = dict(alone), dict(at_once), dict(together)
        self.rest = median(self.together[batch] - self.at_once[batch] - moved for batch in BATCHES)
        rows = np.array(sorted(self.alone), float)
        seconds = np.array([self.alone[int(n)] for n in rows])
        self.a, self.b = np.linalg.lstsq(
            np.stack([1 / seconds, rows / seconds], 1), np.ones(len(rows)), rcond=None
        )[0]

    def arithmetic(self, rows: float) -> float:
        """Seconds of a step of one process."""
        return float(max(self.a, 0.0) + self.b * rows)

    def speedup(self, batch: int, ranks: int, latency: float, bandwidth: float) -> float:
        """By how much so many ranks are faster than one, by the model."""
        seconds = self.arithmetic(rows_of(batch, ranks)) + max(self.rest, 0.0)
        return self.arithmetic(batch) / (seconds + exchanged(ranks, self.size, latency, bandwidth))


def by_two(*options: str) -> list[str]:
    """Lines that two processes print."""
    mpiexec = Path(sys.executable).with_name("mpiexec")
    command = [str(mpiexec), "-n", "2", sys.executable, "-m", "mpi4py", "-m", "bench.data_parallel", "--work"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def measure() -> list[Costs]:
    """The figures of two processes."""
    return [Costs(*json.loads(line)) for line in by_two() if line.startswith("[")]


def show(found: list[Costs]) -> None:
    """Print tables."""
    print(f"{processor()}; microseconds of a step, {FEATURES} features, two hidden layers\n")
    print("| width | batch | one process | two | arithmetic | exchange | rest |")
    print("|---|---|---|---|---|---|---|")
    for costs in found:
        for batch, seconds in costs.together.items():
            half = costs.at_once[batch]
            cells = [costs.alone[batch], seconds, half, costs.moved, seconds - half - costs.moved]
            print(f"| {costs.width} | {batch} |", " | ".join(f"{1e6 * cell:.0f}" for cell in cells), "|")
    print("\nBatch from which so many processes are half as fast as they could be, by the model:\n")
    print("| width | network |", " | ".join(map(str, (2, 8, 64, 1024))), "|")
    print("|---|---|---|---|---|---|")
    for costs in found:
        for name, link in NETWORKS.items():
            least = [
                next(b for b in (2**i for i in range(40)) if costs.speedup(b, p, *link) >= p / 2)
                for p in (2, 8, 64, 1024)
            ]
            print(f"| {costs.width} | {name} |", " | ".join(map(str, least)), "|")


def draw(found: list[Costs]) -> None:
    """Draw how much faster 2 to 1,024 processes are, by the model, beside what was measured of two."""
    import matplotlib.pyplot as plt

    plt.rcParams.update(fn.plot.style())
    figure, axes = plt.subplots(1, len(NETWORKS), figsize=(9, 4.8), sharey=True, layout="constrained")
    for ax, (name, link) in zip(axes, NETWORKS.items(), strict=True):
        ax.plot(RANKS, RANKS, color="C6", lw=1, ls=":", label="one for each process")
        for costs, style in zip(found[1:], ("--", "-"), strict=True):
            for batch, colour, marker in ((4096, "C0", "s"), (65536, "C1", "o"), (1048576, "C2", "^")):
                label = f"width {costs.width}, batch {batch:,}"
                values = [costs.speedup(batch, ranks, *link) for ranks in RANKS]
                ax.plot(RANKS, values, style, color=colour, marker=marker, ms=4, label=label)
            measured = costs.alone[4096] / costs.together[4096]
            label = f"measured: width {costs.width}, batch 4,096"
            ax.plot(2, measured, "k+" if style == "--" else "kx", ms=9, label=label)
        ax.set(xscale="log", yscale="log", title=name, xlabel="processes", ylim=(0.5, 1100))
    axes[0].set_ylabel("times as fast as one process")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    figure.savefig(PICTURE, dpi=120)


def main() -> None:
    """Measure, print and perhaps draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", action="store_true", help=f"draw {PICTURE.name}")
    parser.add_argument("--normalization", action="store_true", help="compare kinds of batch normalization")
    parser.add_argument("--shards", action="store_true", help="compare numbers of shards")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        (work_on_normalization if options.normalization else work_on_shards if options.shards else work)()
        return
    if options.normalization:
        print("| width | batch | one process | two, own rows | two, synchronized |")
        print("|---|---|---|---|---|")
        print("\n".join(line for line in by_two("--normalization") if line.startswith("|")))
        return
    if options.shards:
        kinds = ["no shards", *(f"{shards} shards" for shards in SHARDS)]
        print(
            "| width | batch |", " | ".join(f"{who}, {kind}" for who in ("one", "two") for kind in kinds), "|"
        )
        print("|---" * (2 + 2 * len(kinds)) + "|")
        print("\n".join(line for line in by_two("--shards") if line.startswith("|")))
        return
    found = measure()
    show(found)
    if options.plot:
        draw(found)


if __name__ == "__main__":
    main()
