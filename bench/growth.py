"""How the time of a training step grows: ``python -m bench.growth``.

From one network in the middle, one quantity at a time is varied. The peers are timed in turns, as in
`bench.compare`. Beside them stands what the products of a step take at the peak of the cores that are used.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import replace
from statistics import median

from bench import peers, pictures
from bench.compare import HANDICAPS, Run, number, processor, versions
from bench.entries import peak
from bench.workloads import Workload, make_data, make_weights

MIDDLE = Workload(
    "middle", (64, 64, 64, 10), "relu", "identity", 64, "adam", 1e-3, "cross_entropy", samples=4096
)
BATCHES, WIDTHS, DEPTHS = (4, 16, 64, 256, 1024, 4096), (8, 32, 64, 128, 256, 512, 1024), (1, 2, 4, 8, 16)
SAMPLES, THREADS = (256, 1024, 4096, 16384, 65536, 262144), (1, 2, 4)


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
    parser.add_argument("--plot", action="store_true", help="write docs/pictures/growth.png")
    options = parser.parse_args(argv)
    if any(name in os.environ for name in HANDICAPS):
        environment = {name: value for name, value in os.environ.items() if name not in HANDICAPS}
        return subprocess.call([sys.executable, "-m", "bench.growth", *argv], env=environment)
    names = options.peers.split(",")
    if unknown := set(names) - set(peers.installed()):
        parser.error(f"not installed: {', '.join(sorted(unknown))}")
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
