"""Time a training step by its parts: ``python -m bench.entries``.

For chosen workloads: the microseconds of each compiled entry that a step calls, on one thread, with its
rows in the cache already; the bytes that it reads and writes, each array once; the operations of its product
as a fraction of the peak, which is that of a product in the second cache; the sums; and the whole step in
`Model.fit` on one thread, which also draws and gathers the batch. All times are the least of several.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numba import njit

import fastnn as fn
from bench.compare import processor
from bench.peers import fastnn_peer
from bench.workloads import WORKLOADS, Workload, make_data, make_weights
from fastnn.compiler import loader
from fastnn.kernels.abi import oprow
from fastnn.kernels.abi.descriptor import ALL
from fastnn.kernels.lowlevel.simd import address, call, flush_denormals, restore_denormals

TIMES = 7


@njit
def _repeat(entry, row, descriptor, times):
    mode = flush_denormals()
    for _ in range(times):
        call(entry, row, address(descriptor))
    restore_denormals(mode)


def microseconds(entry: int, row: int, descriptor: np.ndarray, seconds: float) -> float:
    """Least time of a call."""
    _repeat(entry, row, descriptor, 3)
    start = time.perf_counter()
    _repeat(entry, row, descriptor, 3)
    times = max(3, int(seconds * 3 / (time.perf_counter() - start)))
    taken = []
    for _ in range(TIMES):
        start = time.perf_counter()
        _repeat(entry, row, descriptor, times)
        taken.append(time.perf_counter() - start)
    return 1e6 * min(taken) / times


def whole_step(trainer: fastnn_peer.Trainer, seconds: float) -> float:
    """Least microseconds of a step in calls of `fit`."""
    trainer.run(1)  # may compile
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


class Part(NamedTuple):
    """A part of a step.

    Attributes
    ----------
    name : str
    taken : float
        Microseconds.
    operations : int
        Of its matrix products.
    traffic : int
        Bytes that it reads and writes, each array once.
    """

    name: str
    taken: float
    operations: int = 0
    traffic: int = 0


def parts(workload: Workload, trainer: fastnn_peer.Trainer, seconds: float) -> list[Part]:
    """Each part of a step, for all rows of a batch."""
    model, rows = trainer.model, workload.batch_size
    graph = model.executor.graph
    assert graph is not None
    net, state = model.network(rows), model.optimizer_state()
    x, y = np.ascontiguousarray(trainer.X[:rows]), np.asarray(trainer.y[:rows], workload.dtype)
    fn.train_step(net, state, x, y)  # leaves all that the entries need in the descriptor
    itemsize, fields = net.parameters.itemsize, net.fields
    fields.first_row, fields.rows, fields.first_weight, fields.n_weights = 0, rows, 0, ALL
    fields.rows_gradient = net.gradient.ctypes.data

    def taken_by(row: np.ndarray, kind: np.dtype, entry: str) -> float:
        return microseconds(int(row.view(kind)[entry][0]), row.ctypes.data, net.descriptor, seconds)

    def parts_of(numbers: Iterable[int], what: str, entry: str) -> list[Part]:
        found = []
        for i in numbers:
            row = net.ops[i]
            op = row.view(oprow.OP)[0]
            if op[entry]:
                n_in, n_out, n_parameters = (int(op[name]) for name in ("n_in", "n_out", "n_parameters"))
                traffic = (rows * (n_in + n_out) + n_parameters) * itemsize
                taken = taken_by(row, oprow.OP, entry)
                operations = 2 * rows * (graph.ops[i].multiplications if op["product"] else 0)
                found.append(Part(f"{n_in}-{n_out} {what}", taken, operations, traffic))
        return found

    order = range(len(net.ops))
    result = parts_of(order, "forward", "forward")
    loss = net.extra[0].view(oprow.LOSS)[0]
    traffic = rows * int(loss["n_out"] + loss["n_targets"]) * itemsize
    result.append(Part("loss", taken_by(net.extra[0], oprow.LOSS, "forward"), 0, traffic))
    result += parts_of(order[::-1], "back to the input", "backward_input")
    result += parts_of(order, "back to the weights", "backward_weights")
    fields.part_start, fields.part_size = 0, net.parameters.size
    taken = taken_by(state.rows[0], oprow.OPTIMIZER, "forward")
    vectors = 3 + 2 * state.rows[0].view(oprow.OPTIMIZER)["n_vectors"][0]  # w is read and written, g read
    return [*result, Part("optimizer", taken, 0, int(vectors) * net.parameters.size * itemsize)]


def peak(dtype: str, seconds: float) -> float:
    """Operations a microsecond of a product whose matrices stay in the second cache."""
    m = n = k = 192
    a, b, c = (np.ones((m, n), dtype) for _ in range(3))
    arguments = np.array([m, n, k, a.ctypes.data, k, 1, b.ctypes.data, n, 1, 0, c.ctypes.data, 0], np.int64)
    pack = np.zeros(oprow.PACK_SIZE, dtype)
    arguments[-1] = pack.ctypes.data
    product = loader.address("linalg.gemm.product", dtype)
    return 2 * m * n * k / microseconds(product, arguments.ctypes.data, arguments, seconds)


def main(argv: list[str] | None = None) -> int:
    """Print a table for each workload."""
    parser = argparse.ArgumentParser(prog="python -m bench.entries", description=__doc__)
    parser.add_argument(
        "--workloads", default="xor,spiral,digits,mnist-sgd,full-batch,gru,lenet-5,images,series"
    )
    parser.add_argument("--seconds", type=float, default=0.02, help="of a timing (default %(default)s)")
    options = parser.parse_args(argv)
    print(processor())
    for name in options.workloads.split(","):
        workload = WORKLOADS[name]
        trainer = fastnn_peer.Trainer(workload, *make_data(workload), make_weights(workload), threads=1)
        print(f"\n{name}: {workload.network()}, batch {workload.batch_size}; us a step, one thread")
        whole = whole_step(trainer, 10 * options.seconds)  # first: the optimizer alone ruins the weights
        found = parts(workload, trainer, options.seconds)
        most = peak(workload.dtype, options.seconds)
        found.append(Part("their sum", *(sum(column) for column in list(zip(*found, strict=True))[1:])))
        found.append(Part("the whole step of fit", whole, found[-1].operations, found[-1].traffic))
        for part in found:
            share = f"{100 * part.operations / part.taken / most:9.0f} %" if part.operations else ""
            print(f"  {part.name:32}{part.taken:10.3f}{part.traffic / 1e6:10.3f} MB{share}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
