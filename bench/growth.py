"""How the time of a training step grows: ``python -m bench.growth``.

From one network in the middle, one quantity at a time is varied. The peers are timed in turns, as in
`bench.compare`. Beside them stands what the products of a step take at the peak of the cores that are used.

With ``--layers`` the networks have other layers than `Dense`, a kind each, and fastnn is timed alone,
with one thread and with two. The arithmetic is then that of one core.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import replace
from statistics import median

import fastnn as fn
from bench import peers, pictures
from bench.compare import HANDICAPS, Run, number, processor, versions
from bench.entries import peak
from bench.peers import fastnn_peer
from bench.workloads import WORKLOADS, Workload, make_data, make_weights
from fastnn.kernels.abi import oprow

MIDDLE = Workload(
    "middle", (64, 64, 64, 10), "relu", "identity", 64, "adam", 1e-3, "cross_entropy", samples=4096
)
BATCHES, WIDTHS, DEPTHS = (4, 16, 64, 256, 1024, 4096), (8, 32, 64, 128, 256, 512, 1024), (1, 2, 4, 8, 16)
SAMPLES, THREADS = (256, 1024, 4096, 16384, 65536, 262144), (1, 2, 4)

# Of other layers: timings of each number of threads, of which the least counts, and the networks.
TURNS = 40
IMAGES = replace(WORKLOADS["images"], samples=512)
GRU = replace(WORKLOADS["gru"], samples=1280)
RESIDUAL = replace(WORKLOADS["residual"], samples=2560)
CATEGORIES = replace(WORKLOADS["categories"], samples=5120)
BATCH_NORM = replace(WORKLOADS["batch-norm"], samples=5120)


def cases() -> dict[str, list[tuple[int, Workload, int | None]]]:
    """By quantity: its value, the workload, and the number of threads, if that is what varies."""
    wide = replace(MIDDLE, widths=(256, 512, 512, 10), batch=256)
    return {
        "batch": [(n, replace(MIDDLE, batch=n), None) for n in BATCHES],
        "width": [(n, replace(MIDDLE, widths=(64, n, n, 10)), None) for n in WIDTHS],
        "depth": [(n, replace(MIDDLE, widths=(64, *[64] * n, 10)), None) for n in DEPTHS],
        "samples": [(n, replace(MIDDLE, samples=n), None) for n in SAMPLES],
        "threads": [(n, wide, n) for n in THREADS],
    }


def _one_convolution(filters: int) -> tuple[tuple, ...]:
    return ("conv", filters, 3, "same"), ("pool",)


def of_layers() -> dict[str, list[tuple[int, Workload]]]:
    """By layer and quantity: its value, and a network with layers of this kind."""
    return {
        "Conv2D, filters": [
            (n, replace(IMAGES, shape=(16, 16, n), windows=_one_convolution(n), widths=(64 * n, 10)))
            for n in (4, 8, 16, 32)
        ],
        "GRU, units": [(n, replace(GRU, widths=(8, n, 1))) for n in (8, 16, 32, 64)],
        "GRU, time steps": [(n, replace(GRU, time=n)) for n in (8, 16, 32, 64)],
        "LayerNormalization, width": [(n, replace(RESIDUAL, widths=(32, n, 2))) for n in (16, 32, 64, 128)],
        "BatchNormalization, width": [
            (n, replace(BATCH_NORM, widths=(20, n, n, 1))) for n in (16, 32, 64, 128)
        ],
        "Embedding, categories": [
            (n, replace(CATEGORIES, embedded=(n,) * 8)) for n in (10, 100, 1000, 10_000)
        ],
    }


def operations(model: fn.Model, rows: int) -> int:
    """Floating-point operations of a step's products: each forward, and for up to two gradients."""
    graph = model.executor.graph
    assert graph is not None
    result = 0
    for op, row in zip(graph.ops, model.network(rows).ops.view(oprow.OP)[:, 0], strict=False):
        if op.product:
            gradients = int(row["backward_input"] != 0) + int(row["backward_weights"] != 0)
            result += 2 * rows * op.multiplications * (1 + gradients)
    return result


def grow_layers(options: argparse.Namespace) -> None:
    """Print a table a kind of layer, and draw them."""
    names = tuple(f"{n} thread{'s' * (n > 1)}" for n in (1, 2))
    most, curves, limits = peak("float32", options.seconds), {}, {}
    for quantity, rows in of_layers().items():
        print(f"\n{quantity}\n{'':>10}" + "".join(f"{name:>14}" for name in ("arithmetic", *names)))
        least, lines = [], {name: [] for name in names}
        for value, workload in rows:
            start = *make_data(workload), make_weights(workload)
            runs = [
                Run(name, n, workload, fastnn_peer.Trainer(workload, *start, n))
                for n, name in enumerate(names, 1)
            ]
            for run in runs:
                run.calibrate(options.seconds)
            for _ in range(TURNS):
                for run in runs:
                    run.times.append(1e6 * run.seconds() / (run.epochs * workload.steps_per_epoch))
            least.append(operations(runs[0].trainer.model, workload.batch_size) / most)
            for run in runs:
                lines[run.name].append(min(run.times))
            columns = [least[-1], *(min(run.times) for run in runs)]
            print(f"{value:>10}" + "".join(f"{number(each):>14}" for each in columns), flush=True)
        curves[quantity], limits[quantity] = ([value for value, _ in rows], lines), least
    if options.plot:
        print("\nwrote", pictures.growth(curves, limits, "growth_of_layers.png"))


def measure(workload: Workload, threads: int | None, names: list[str], options) -> dict[str, float]:
    """Microseconds a step of each peer: the median over the rounds."""
    X, y = make_data(workload)
    runs = []
    for name in names:
        trainer = peers.installed()[name]
        chosen = threads if threads is not None or name == "fastnn" else min(2, os.cpu_count() or 1)
        run = Run(name, chosen, workload, trainer(workload, X, y, make_weights(workload), chosen))
        run.calibrate(options.seconds)
        runs.append(run)
    for _ in range(options.rounds):
        for run in runs:
            run.measure()
    return {run.name: median(run.times) for run in runs}


def main(argv: list[str]) -> int:
    """Print a table a quantity."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--peers", default="fastnn,NumPy", help="comma-separated (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="timings of each (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.05, help="of a timing (default %(default)s)")
    parser.add_argument("--layers", action="store_true", help="other layers than Dense, with 1 and 2 threads")
    parser.add_argument("--plot", action="store_true", help="write a picture to docs/pictures")
    options = parser.parse_args(argv)
    if any(name in os.environ for name in HANDICAPS):
        environment = {name: value for name, value in os.environ.items() if name not in HANDICAPS}
        return subprocess.call([sys.executable, "-m", "bench.growth", *argv], env=environment)
    names = options.peers.split(",")
    if unknown := set(names) - set(peers.installed()):
        parser.error(f"not installed: {', '.join(sorted(unknown))}")
    if options.layers:
        print(f"{processor()}; microseconds a step")
        grow_layers(options)
        return 0
    print(f"{processor()}; {versions()}\n{MIDDLE.network()}, batch {MIDDLE.batch}; microseconds a step")
    curves, limits = {}, {}
    cores, most = os.cpu_count() or 1, peak(MIDDLE.dtype, options.seconds)
    for quantity, rows in cases().items():
        print(f"\n{quantity:>10}" + "".join(f"{name:>14}" for name in ("arithmetic", *names)))
        least, lines = [], {name: [] for name in names}
        for value, workload, threads in rows:
            times = measure(workload, threads, names, options)
            least.append(workload.operations_per_step / (most * min(threads or cores, cores)))
            columns = [least[-1], *(times[name] for name in names)]
            print(f"{value:>10}" + "".join(f"{number(each):>14}" for each in columns), flush=True)
            for name in names:
                lines[name].append(times[name])
        curves[quantity], limits[quantity] = ([value for value, *_ in rows], lines), least
    if options.plot:
        print("\nwrote", pictures.growth(curves, limits))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
