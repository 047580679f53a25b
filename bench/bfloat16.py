"""Products in bfloat16 beside those in float32: ``python -m bench.bfloat16``.

First the matrix product by shape, on one thread, of float32 matrices: in float32, in bfloat16 by `vdpbf16ps`
(pairs), and by AMX where the CPU has it (tiles); the rounding of both factors is part of the time. Then
training steps of whole workloads through `Model.fit`, and PyTorch's under its autocast if it is installed.
What is compared runs by turns in one process; all times are the least of several.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
import time
from collections.abc import Callable

import fastnn as fn
from bench import gemm
from bench.compare import processor
from bench.peers import fastnn_peer
from bench.workloads import WORKLOADS, Workload, make_data, make_weights
from fastnn.compiler import loader
from fastnn.engine import compute_dtype

SIZES = [(256, 512, 512), (64, 784, 128), (1024, 1024, 1024), (64, 512, 512), (32, 64, 64), (1, 784, 128)]


def least(calls: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Least microseconds of each call, by turns for so long."""
    found = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            found[name] = min(found[name], 1e6 * (time.perf_counter() - start))
    return found


def products(seconds: float) -> None:
    """Print a line for each shape and form."""
    entries = ["pairs", "tiles"] if compute_dtype.has_tiles() else ["pairs"]
    for m, k, n in SIZES:
        for form in ("nn", "tn", "nt"):
            product = gemm.Product(gemm.Shape(m, k, n, form), "float32")
            address = product.arguments.ctypes.data
            calls: dict[str, Callable[[], object]] = {"float32": product.run}
            for name in entries:
                function = loader.function(f"linalg.bfloat16.{name}", "float32")
                calls[name] = lambda function=function, address=address: function(address, 0)
            found = least(calls, seconds)
            cells = [f"{name} {us:9.1f} us ({found['float32'] / us:4.2f}x)" for name, us in found.items()]
            print(f"{m:5} x {k:4} x {n:4} {form}  " + "  ".join(cells), flush=True)


def trainers(workload: Workload, threads: int) -> dict[str, Callable[[], object]]:
    """An epoch of training, by what is compared."""
    X, y = make_data(workload)
    found: dict[str, Callable[[], object]] = {}
    for name in ("float32", "bfloat16"):
        settings = {"loss": workload.loss, "optimizer": fn.Adam(workload.learning_rate)}
        weights = make_weights(workload)
        model = fastnn_peer.make_model(workload, weights, workload.output, compute_dtype=name, **settings)
        options = {"epochs": 1, "batch_size": workload.batch, "threads": threads, "verbose": 0}
        found[f"fastnn {name}"] = lambda model=model, options=options: model.fit(X, y, **options)
    with contextlib.suppress(ImportError):
        torch, peer = importlib.import_module("torch"), importlib.import_module("bench.peers.torch_peer")
        for name, cast in (("float32", False), ("bfloat16", True)):
            trainer = peer.Trainer(workload, X, y, make_weights(workload), threads)

            def run(trainer=trainer, cast=cast):
                with torch.autocast("cpu", torch.bfloat16, enabled=cast):
                    trainer.run(1)

            found[f"PyTorch {name}"] = run
    return found


def steps(names: list[str], threads: int, seconds: float) -> None:
    """Print a line for each workload."""
    for workload in [WORKLOADS[name] for name in names]:
        found = least(trainers(workload, threads), seconds)
        count = workload.samples // workload.batch_size
        cells = [f"{name} {us / count:9.1f} us" for name, us in found.items()]
        print(f"{workload.name:12} {threads} threads  " + "  ".join(cells), flush=True)


def main(argv: list[str]) -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.bfloat16", description=__doc__)
    parser.add_argument("--workloads", default="wide,mnist-adam,digits")
    parser.add_argument("--threads", type=int, default=1, help="of training steps (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.3, help="of a line (default %(default)s)")
    options = parser.parse_args(argv)
    if reason := compute_dtype.missing():
        print(f"no products in bfloat16: {reason}")
        return 1
    print(f"{processor()}; the least of the times")
    products(options.seconds)
    steps(options.workloads.split(","), options.threads, 10 * options.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
