"""Kernels compiled for a level of CPUs beside those compiled for this one: training steps and predictions.

    python packaging/prebuild.py FOLDER     # minutes, once; or the folder fastnn/prebuilt of a wheel
    python -m bench.prebuilt FOLDER

Two processes, one with each kind of kernels and one thread, take turns in each case, a row of
`bench.workloads`. Printed are the least microseconds of CPU time of a step or a call, and the median over the
rounds of the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from bench.compare import HANDICAPS, number, processor
from bench.peers import fastnn_peer
from bench.workloads import INFERENCE, WORKLOADS, make_data, make_weights
from fastnn.compiler import loader, prebuilt

CASES = [*WORKLOADS, *INFERENCE]
#: More than host-compiled kernels take, as a ratio, that is no reason to compile for the host.
GOAL = 1.03


def make_case(name: str) -> tuple[Callable[[int], object], int]:
    """What runs a case so many times, and how many steps or calls a time is."""
    if name in WORKLOADS:
        workload = WORKLOADS[name]
        trainer = fastnn_peer.Trainer(workload, *make_data(workload), make_weights(workload), threads=1)
        return trainer.run, workload.steps_per_epoch
    inference = INFERENCE[name]
    predict = fastnn_peer.make_predict(inference, make_weights(inference))
    x = np.random.default_rng(0).standard_normal((inference.rows, inference.widths[0]), inference.dtype)

    def run(times: int) -> None:
        for _ in range(times):
            predict(x)

    return run, 1


def serve(folder: str | None) -> None:
    """Run the cases that are asked for on standard input, a line each, and answer with seconds."""
    if folder:
        prebuilt.FOLDER = Path(folder)
    name, run, count = None, None, 0
    for line in sys.stdin:
        asked, times = json.loads(line)
        if asked != name:
            name, (run, count) = asked, make_case(asked)
            run(1)
            if folder and loader.compilations:
                raise SystemExit(f"a kernel of {name} was compiled: {prebuilt.fault()}")
        start = time.process_time()
        run(times)
        print((time.process_time() - start) / (times * count), flush=True)


class Side:
    """A process that runs cases."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: str | None = None) -> None:
        kept = {name: value for name, value in os.environ.items() if name not in HANDICAPS}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=kept | environment | {"FASTNN_THREADS": "1"},
            cwd=folder,
        )

    def seconds(self, case: str, times: int) -> float:
        """CPU time of a step or a call of a case."""
        assert self.process.stdin and self.process.stdout
        print(json.dumps([case, times]), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a process has failed")
        return float(line)


def compare(case: str, sides: list[Side], rounds: int, seconds: float) -> tuple[list[float], float]:
    """Least microseconds of each side, and the median of the second's time over the first's."""
    steps = WORKLOADS[case].steps_per_epoch if case in WORKLOADS else 1
    taken, times = [side.seconds(case, 1) for side in sides], 1
    while times * taken[0] * steps < seconds / 2:
        times = max(2 * times, int(seconds / max(taken[0] * steps, 1e-9)) // 4)
        taken = [side.seconds(case, times) for side in sides]
    found = [[], []]
    for i in range(rounds):
        for side in (0, 1) if i % 2 else (1, 0):
            found[side].append(sides[side].seconds(case, times))
    ratio = median(b / a for a, b in zip(*found, strict=True))
    return [1e6 * min(each) for each in found], ratio


def print_table(
    sides: list[Side], names: tuple[str, str], cases: list[str], rounds: int, seconds: float
) -> None:
    """Compare two sides in all cases."""
    print(f"{processor()}; one thread, microseconds of CPU time")
    print(f"{'':16}{names[0]:>12}{names[1]:>12}{'ratio':>9}")
    for case in cases:
        least, ratio = compare(case, sides, rounds, seconds)
        far = f"  more than {GOAL}" if ratio > GOAL else ""
        print(f"{case:16}{number(least[0]):>12}{number(least[1]):>12}{ratio:9.3f}{far}", flush=True)


def main(argv: list[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.prebuilt", description=__doc__)
    parser.add_argument("folder", nargs="?", help="that packaging/prebuild.py has filled")
    parser.add_argument("--cases", help=f"comma-separated, out of {', '.join(CASES)}")
    parser.add_argument("--rounds", type=int, default=11, help="timings a case (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.1, help="of a timing (default %(default)s)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.serve:
        serve(options.folder)
        return 0
    if options.folder is None:
        parser.error("a folder is needed")
    cases = options.cases.split(",") if options.cases else CASES
    command = [sys.executable, "-m", "bench.prebuilt", "--serve"]
    with tempfile.TemporaryDirectory() as empty:
        host = Side(command, {"FASTNN_PREBUILT": "0"})
        level = Side([*command, str(Path(options.folder).resolve())], {"FASTNN_CACHE_DIR": empty})
        print_table([host, level], ("this CPU", "its level"), cases, options.rounds, options.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
