"""What a training step would need on many cores: ``python -m bench.many_cores``.

Measured here: the peak of a core, the bytes a microsecond that it reads from beyond its second cache, and a
barrier of two threads. Computed from these, of the workloads and a number of cores: what the arithmetic takes
on one core and on all; into how many parts the rows of a batch are cut, which is the most threads that make a
step, and what the arithmetic takes so; the memory of the model, and a core's share of it; what a core reads
for the products forward if it has rows of all columns, and with the best grid of cores over rows and columns;
and barriers with one counter, or with one for each group of cores.
"""

from __future__ import annotations

import argparse
import functools
import time

import numpy as np
from numba import njit

from bench.compare import processor
from bench.entries import peak
from bench.growth import operations
from bench.peers import fastnn_peer
from bench.workloads import WORKLOADS, make_weights
from fastnn.engine.fields import fields_of
from fastnn.engine.threads import run_together
from fastnn.kernels.abi.descriptor import DESCRIPTOR
from fastnn.kernels.driver.team import wait_for_team
from fastnn.kernels.lowlevel.simd import record

NAMES = "tabular,mnist-adam,wide,residual,full-batch"
#: Cores that share a last cache, in processors that have many.
GROUP = 8
TIMES = 7


@njit(nogil=True)
def _wait(descriptor, times):
    for _ in range(times):
        wait_for_team(record(descriptor, DESCRIPTOR))


@njit(nogil=True)
def _sum(x):
    total = np.int64(0)
    for i in range(x.size):
        total += x[i]
    return total


def barrier(seconds: float) -> float:
    """Microseconds of a barrier of two threads that do nothing else."""
    team, descriptor = np.zeros(2, np.int64), np.zeros(DESCRIPTOR.itemsize // 8, np.int64)
    fields = fields_of(descriptor)
    fields.team, fields.barrier, fields.abort = 2, team.ctypes.data, team.ctypes.data + 8
    times, taken = int(seconds * 2e6), []
    _wait(descriptor.ctypes.data, 0)
    for _ in range(TIMES):
        team[:] = 0
        calls = [functools.partial(_wait, descriptor.ctypes.data, times)] * 2
        start = time.perf_counter()
        run_together(calls)
        taken.append(time.perf_counter() - start)
    return 1e6 * min(taken) / times


def bandwidth() -> float:
    """Bytes a microsecond that a core reads of 32 MB, more than its second cache holds."""
    x, taken = np.ones(1 << 22, np.int64), []
    _sum(x)
    for _ in range(TIMES):
        start = time.perf_counter()
        _sum(x)
        taken.append(time.perf_counter() - start)
    return x.nbytes / (1e6 * min(taken))


def reads(widths: list[int], rows: int, shape: tuple[int, int]) -> float:
    """Numbers that a core reads for the products forward, of a grid of cores over rows and columns."""
    products = zip(widths, widths[1:], strict=False)
    return sum(n_in * (n_out / shape[1] + rows / shape[0]) for n_in, n_out in products)


def main(argv: list[str] | None = None) -> int:
    """Print what was measured, and a line a workload."""
    parser = argparse.ArgumentParser(prog="python -m bench.many_cores", description=__doc__)
    parser.add_argument("--workloads", default=NAMES, help="comma-separated (default %(default)s)")
    parser.add_argument("--cores", type=int, default=64, help="(default %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.05, help="of a timing (default %(default)s)")
    options = parser.parse_args(argv)
    cores, most, rate, two = options.cores, peak("float32", options.seconds), bandwidth(), barrier(0.05)
    # An arrival takes the counter's cache line from another core, one after the other, and one more
    # transfer tells those that wait.
    transfer = two / 3
    one = transfer * (cores + 1)
    grouped = transfer * (min(GROUP, cores) + max(cores // GROUP, 1) + 2)
    print(processor())
    print(f"one core: {most / 1e3:.0f} GFLOP/s, reads {rate / 1e3:.1f} GB/s; a barrier of 2: {two:.2f} us")
    print(
        f"a barrier of {cores}: {one:.1f} us with one counter, {grouped:.1f} with one for each {GROUP} cores"
    )
    print(
        f"\n{'':12}{'MFLOP':>9}{'us on 1':>9}{f'on {cores}':>9}{'parts':>7}{'today':>8}{'model MB':>10}"
        f"{'a core':>8}{'read MB':>9}{'us':>7}{'grid':>8}{'read MB':>9}{'us':>7}"
    )
    for name in options.workloads.split(","):
        workload = WORKLOADS[name]
        model = fastnn_peer.make_model(workload, make_weights(workload), loss=workload.loss)
        rows = workload.batch_size
        net = model.network(rows)
        size, itemsize = net.parameters.size, net.parameters.itemsize
        flops = operations(model, rows)
        today = flops / min(net.fields.n_parts, cores)
        memory = (2 + 2 * (workload.optimizer == "adam")) * size * itemsize  # w, g, and what Adam remembers
        widths = [*workload.widths[:-1], *[workload.widths[-2]] * 2 * workload.blocks, workload.widths[-1]]
        shapes = [(cores // n, n) for n in range(1, cores + 1) if cores % n == 0]
        best = min(shapes, key=functools.partial(reads, widths, rows))
        by_rows, by_both = (reads(widths, rows, shape) * itemsize for shape in (shapes[0], best))
        print(
            f"{name:12}{flops / 1e6:9.1f}{flops / most:9.0f}{flops / most / cores:9.1f}{net.fields.n_parts:7}"
            f"{today / most:8.1f}{memory / 1e6:10.2f}{memory / 1e6 / cores:8.3f}"
            f"{by_rows / 1e6:9.2f}{by_rows / rate:7.0f}"
            f"{f'{best[0]} x {best[1]}':>8}{by_both / 1e6:9.2f}{by_both / rate:7.0f}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
