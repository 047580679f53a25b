"""Time all peers on all workloads, interleaved in one process: ``python -m bench.compare``."""

from __future__ import annotations

import argparse
import gc
import math
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from statistics import median

import numpy as np

from bench import peers, pictures
from bench.peers import fastnn_peer
from bench.peers.trainer import Trainer
from bench.workloads import WORKLOADS, Workload, loss_of, make_data, make_weights

# A peer at its best: OPENBLAS_CORETYPE makes NumPy's OpenBLAS use the kernels of another, usually
# older, CPU than the one it runs on, and the others take cores away. All are read when a library is
# loaded, so the comparison starts itself again without them.
HANDICAPS = ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")

# Seconds between two peers: the threads of OpenBLAS and OpenMP spin for a while after their work,
# on the cores the next peer is timed on.
PAUSE = 0.3

# A peer's loss may differ from NumPy's by this part of what training has taken off the initial loss.
# In equal steps only rounding differs (and where Adam adds its epsilon); in shuffled steps, the order.
TOLERANCE = {False: 0.02, True: 0.25}
CHECK_STEPS = 100


@dataclass
class Run:
    """One peer at one number of threads on one workload, and the times it took."""

    name: str
    threads: int | None
    workload: Workload
    trainer: Trainer
    epochs: int = 1
    times: list[float] = field(default_factory=list)

    def seconds(self) -> float:
        """Time one call."""
        start = time.perf_counter()
        self.trainer.run(self.epochs)
        return time.perf_counter() - start

    def calibrate(self, target: float) -> None:
        """Choose the number of epochs per call such that it takes about the target, in seconds.

        Some peers choose their number of threads here too, by what they measure.
        """
        time.sleep(PAUSE)
        while True:
            self.trainer.run(self.epochs)  # may compile for this number of epochs
            elapsed = self.seconds()
            if elapsed > target / 2:
                return
            self.epochs = math.ceil(self.epochs * min(target / elapsed, 100))

    def measure(self) -> None:
        """Take one more time, in microseconds per training step."""
        time.sleep(PAUSE)
        self.times.append(1e6 * self.seconds() / (self.epochs * self.workload.steps_per_epoch))


@lru_cache(maxsize=2)
def data(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Data of a workload, kept while it and its nearest one are compared."""
    return make_data(workload)


def trained_loss(trainer: type[Trainer], workload: Workload, threads: int | None, shuffle: bool) -> float:
    """Loss over all rows after some epochs from the initial weights."""
    X, y = data(workload)
    trainee = trainer(workload, X, y, make_weights(workload), threads, shuffle)
    trainee.run(max(1, CHECK_STEPS // workload.steps_per_epoch))
    return loss_of(workload, trainee.weights(), X, y)


def judge(workload: Workload) -> str:
    """Name of the peer that the others are compared with: NumPy, or the last one that can train this."""
    able = [name for name, trainer in peers.installed().items() if trainer.nearest(workload) == workload]
    return "NumPy" if "NumPy" in able else able[-1]


@cache
def expected_loss(workload: Workload, shuffle: bool) -> float:
    """What the judge reaches."""
    return trained_loss(peers.installed()[judge(workload)], workload, None, shuffle)


def check(name: str, trainer: type[Trainer], workload: Workload, threads: int | None) -> str | None:
    """Compare what a peer has learnt with what its judge learns; say what is wrong, if anything is."""
    if name == judge(workload) and threads is None:
        return None  # it is what others are compared with
    initial = loss_of(workload, make_weights(workload), *data(workload))
    for shuffle, tolerance in TOLERANCE.items():
        expected = expected_loss(workload, shuffle)
        loss = trained_loss(trainer, workload, threads, shuffle)
        # Written so that a NaN fails.
        if not abs(loss - expected) <= tolerance * abs(initial - expected):
            return (
                f"{name} reaches loss {loss:.6g}, {judge(workload)} {expected:.6g} "
                f"(threads={threads}, shuffle={shuffle})"
            )
    return None


def compare(workload: Workload, rounds: int, seconds: float) -> tuple[list[Run], list[str]]:
    """Time all installed peers, one call of each per round.

    Returns
    -------
    runs : list of Run
        Per peer the run at its better number of threads.
    wrong : list of str
        What is wrong with the peers that failed their check; they are not timed.
    """
    runs, wrong = [], []
    for name, trainer in peers.installed().items():
        nearest = trainer.nearest(workload)
        if nearest is None:
            continue
        for threads in trainer.thread_choices():
            if reason := check(name, trainer, nearest, threads):
                wrong.append(f"{workload.name}: {reason}")
                continue
            trainee = trainer(nearest, *data(nearest), make_weights(nearest), threads)
            run = Run(name, threads, nearest, trainee)
            run.calibrate(seconds)
            runs.append(run)
    gc.collect()
    for _ in range(rounds):
        for run in runs:
            run.measure()
    best: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: median(run.times)):
        best.setdefault(run.name, run)
    return [best[name] for name in peers.installed() if name in best], wrong


def ratio(run: Run, reference: Run) -> float:
    """Time of a run over that of the reference: the median over the rounds of the ratio in each."""
    return median(a / b for a, b in zip(run.times, reference.times, strict=True))


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    digits = max(0, 2 - math.floor(math.log10(value)))
    return f"{value:.{digits}f}"


def describe(workload: Workload) -> str:
    """One line on what a workload trains."""
    batch = f"{workload.samples} (full)" if workload.batch is None else workload.batch
    return f"{workload.network()}, batch {batch}, {workload.optimizer}, {workload.loss}, {workload.dtype}"


def as_text(workload: Workload, runs: list[Run]) -> str:
    """Table of one workload for a terminal."""
    lines = [
        f"{workload.name}: {describe(workload)}",
        f"  {'':14}{'us/step':>10}{'fastest':>10}{'ratio':>9}{'threads':>9}",
    ]
    for run in runs:
        lines.append(
            f"  {run.name + ('' if run.workload == workload else ' *'):14}"
            f"{number(median(run.times)):>10}{number(min(run.times)):>10}"
            f"{number(ratio(run, runs[0])):>8}x{run.threads or 'auto':>9}"
        )
    return "\n".join(lines)


def as_markdown(results: dict[str, list[Run]]) -> str:
    """Table of all workloads: microseconds per step and, for the peers, the ratio to fastnn."""
    names = list(peers.installed())
    lines = [
        f"| workload | network | batch | optimizer, loss | {' | '.join(names)} |",
        f"|---|---|---|---|{'---|' * len(names)}",
    ]
    for name, runs in results.items():
        workload = WORKLOADS[name]
        cells = dict.fromkeys(names, "-")
        for run in runs:
            star = "" if run.workload == workload else " \\*"
            times = "" if run is runs[0] else f" ({number(ratio(run, runs[0]))}x)"
            cells[run.name] = number(median(run.times)) + times + star
        batch = f"{workload.samples} (full)" if workload.batch is None else workload.batch
        lines.append(
            f"| {name} | {workload.network()} | {batch} | {workload.optimizer}, {workload.loss} "
            f"| {' | '.join(cells.values())} |"
        )
    return "\n".join(lines)


def processor() -> str:
    """Name of the CPU and its number of cores."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():  # Linux, where `platform` knows only the architecture
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.split(":")[1].strip()
                break
    return f"{name}, {os.cpu_count()} cores"


def versions() -> str:
    """Versions of Python and of the peers."""
    packages = {name: sys.modules[peers.PACKAGES[name]] for name in peers.installed()}
    found = [f"{name} {getattr(package, '__version__', '')}" for name, package in packages.items()]
    return ", ".join([f"Python {platform.python_version()}", *found])


def mnist_seconds() -> float:
    """Seconds of ten epochs of LeNet-5 by as many pictures as MNIST has, in batches of 2048."""
    workload = replace(WORKLOADS["lenet-5"], batch=None, samples=60_000)
    trainer = fastnn_peer.Trainer(workload, *make_data(workload), make_weights(workload))
    fit = partial(trainer.model.fit, trainer.X, trainer.y, batch_size=2048, verbose=0)
    fit(epochs=1)  # loads the kernels, and chooses the number of threads
    start = time.perf_counter()
    fit(epochs=10)
    return time.perf_counter() - start


def arguments(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("--workloads", help=f"comma-separated, out of {', '.join(WORKLOADS)}")
    parser.add_argument("--rounds", type=int, default=7, help="timings per peer (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.2, help="length of a timing (default %(default)s)")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table at the end")
    parser.add_argument("--plot", action="store_true", help="write docs/pictures/compare.png")
    parser.add_argument(
        "--mnist", action="store_true", help="time only ten epochs of LeNet-5 on 60,000 pictures"
    )
    options = parser.parse_args(argv)
    options.workloads = options.workloads.split(",") if options.workloads else list(WORKLOADS)
    if unknown := [name for name in options.workloads if name not in WORKLOADS]:
        parser.error(f"unknown workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be positive")
    return options


def main(argv: list[str]) -> int:
    """Print the comparison; 1 if a peer failed its check, else 0."""
    options = arguments(argv)
    if any(name in os.environ for name in HANDICAPS):
        environment = {name: value for name, value in os.environ.items() if name not in HANDICAPS}
        return subprocess.call([sys.executable, "-m", "bench.compare", *argv], env=environment)

    print(f"{processor()}; {versions()}")
    if options.mnist:
        print(f"lenet-5, 10 epochs of 60,000 pictures, batch 2048: {mnist_seconds():.1f} s")
        return 0
    for name in peers.missing():
        print(f"skipped: {name} is not installed")
    results, wrong = {}, []
    for name in options.workloads:
        results[name], failed = compare(WORKLOADS[name], options.rounds, options.seconds)
        wrong += failed
        print("\n" + as_text(WORKLOADS[name], results[name]), flush=True)
    print(
        "\nus/step: median over the rounds; ratio: median over the rounds of the time over"
        " that of the first line.\n* the nearest network this peer can train (see bench/README.md)"
    )
    if options.markdown:
        print("\n" + as_markdown(results))
    if options.plot:
        ratios = {name: {run.name: ratio(run, runs[0]) for run in runs} for name, runs in results.items()}
        print("\nwrote", pictures.compare(ratios))
    for reason in wrong:
        print("WRONG, not timed:", reason)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
