"""Time a training step by its parts: ``python -m bench.entries``.

For chosen workloads: the microseconds of each compiled entry that a step calls, on one thread, with its
rows in the cache already; their sum; and the whole step in `Model.fit` on one thread, which also draws
and gathers the batch. All are the least of several times.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numba import njit

import fastnn as fn
from bench.compare import processor
from bench.peers import fastnn_peer
from bench.workloads import WORKLOADS, Workload, make_data, make_weights
from fastnn.kernels.abi import descriptor as d
from fastnn.kernels.abi import oprow
from fastnn.kernels.lowlevel.simd import address, call, flush_denormals, restore_denormals

TIMES = 7


@njit
def _repeat(entry, row, slots, times):
    mode = flush_denormals()
    for _ in range(times):
        call(entry, row, address(slots))
    restore_denormals(mode)


def microseconds(entry: int, row: int, slots: np.ndarray, seconds: float) -> float:
    """Least time of a call."""
    _repeat(entry, row, slots, 3)
    start = time.perf_counter()
    _repeat(entry, row, slots, 3)
    times = max(3, int(seconds * 3 / (time.perf_counter() - start)))
    taken = []
    for _ in range(TIMES):
        start = time.perf_counter()
        _repeat(entry, row, slots, times)
        taken.append(time.perf_counter() - start)
    return 1e6 * min(taken) / times


def whole_step(trainer: fastnn_peer.Trainer, seconds: float) -> float:
    """Least microseconds of a step in calls of `fit`."""
    epochs, taken = 1, 0.0
    while taken < seconds:
        start = time.perf_counter()
        trainer.run(epochs)
        taken = time.perf_counter() - start
        epochs = int(epochs * min(100.0, 1 + 2 * seconds / taken))
    steps = epochs * trainer.workload.steps_per_epoch
    best = np.inf
    for _ in range(TIMES):
        start = time.perf_counter()
        trainer.run(epochs)
        best = min(best, time.perf_counter() - start)
    return 1e6 * best / steps


def parts(workload: Workload, trainer: fastnn_peer.Trainer, seconds: float) -> list[tuple[str, float]]:
    """Name and microseconds of each part of a step, all shards together."""
    model, rows = trainer.model, workload.batch_size
    net, state = model.network(rows), model.optimizer_state()
    x, y = np.ascontiguousarray(trainer.X[:rows]), np.asarray(trainer.y[:rows], workload.dtype)
    fn.train_step(net, state, x, y)  # leaves all that the entries need in the descriptors of the shards
    slots, shards = net.shards[0], len(net.shards)
    calls = [(f"{op[oprow.N_IN]}-{op[oprow.N_OUT]} forward", oprow.FORWARD, op) for op in net.ops]
    calls.append(("loss", oprow.FORWARD, net.extra[0]))
    for op in reversed(list(net.ops)):
        name = f"{op[oprow.N_IN]}-{op[oprow.N_OUT]}"
        for kind, column in (("weights", oprow.BACKWARD_WEIGHTS), ("input", oprow.BACKWARD_INPUT)):
            if op[column] != 0:
                calls.append((f"{name} backward, {kind}", column, op))
    result = []
    for name, column, op in calls:
        taken = shards * microseconds(int(op[column]), op.ctypes.data, slots, seconds)
        result.append((name, taken))
    if shards > 1:
        result.append(("sum of gradients", microseconds(int(slots[d.SUM_GRADIENTS]), 0, slots, seconds)))
    optimizer = state.rows[0]
    taken = microseconds(int(optimizer[oprow.FORWARD]), optimizer.ctypes.data, slots, seconds)
    return [*result, ("optimizer", taken)]


def main(argv: list[str] | None = None) -> int:
    """Print a table for each workload."""
    parser = argparse.ArgumentParser(prog="python -m bench.entries", description=__doc__)
    parser.add_argument("--workloads", default="xor,spiral,digits,mnist-sgd,full-batch")
    parser.add_argument("--seconds", type=float, default=0.02, help="of a timing (default %(default)s)")
    options = parser.parse_args(argv)
    print(processor())
    for name in options.workloads.split(","):
        workload = WORKLOADS[name]
        trainer = fastnn_peer.Trainer(workload, *make_data(workload), make_weights(workload), threads=1)
        print(f"\n{name}: {workload.network()}, batch {workload.batch_size}; us a step, one thread")
        whole = whole_step(trainer, 10 * options.seconds)  # first: the optimizer alone ruins the weights
        found = parts(workload, trainer, options.seconds)
        for part, taken in found:
            print(f"  {part:24}{taken:10.3f}")
        print(f"  {'their sum':24}{sum(taken for _, taken in found):10.3f}")
        print(f"  {'the whole step of fit':24}{whole:10.3f}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
