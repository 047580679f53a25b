"""100 small networks by `fastnn.fit_many`: threads of one process, and the workers of executors.

    python -m bench.executors [--engines processes,loky,dask,ray] [--epochs 1,10,100]

For several lengths of training it prints the seconds of all, in turns, and what a model costs more by an
executor. The workers are started, and have loaded their kernels, before.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np

import fastnn as fn

MODELS, WORKERS, ROUNDS = 100, 2, 3


def models():
    """Networks that read handwritten digits."""
    rates = np.geomspace(1e-3, 1e-1, MODELS)
    return [
        fn.Model([fn.Dense(16, "relu"), fn.Dense(10)], "cross_entropy", fn.Adam(rate), seed=0)
        for rate in rates
    ]


@contextlib.contextmanager
def processes():
    """Python's own pool."""
    with ProcessPoolExecutor(WORKERS) as pool:
        yield pool


@contextlib.contextmanager
def loky():
    """The reusable pool of loky."""
    from loky import get_reusable_executor

    yield get_reusable_executor(WORKERS)


@contextlib.contextmanager
def dask():
    """A cluster of processes on this machine."""
    from distributed import Client, LocalCluster

    settings = {"n_workers": WORKERS, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**settings) as cluster, Client(cluster) as client:
        yield client


@contextlib.contextmanager
def ray():
    """Ray on this machine."""
    import ray as library

    library.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    yield library
    library.shutdown()


def seconds(epochs, executor):
    """Of a call that trains all."""
    some = models()
    start = time.perf_counter()
    fn.fit_many(some, X, Y, epochs=epochs, verbose=0, executor=executor)
    return time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engines", default="processes,loky,dask,ray")
    parser.add_argument("--epochs", default="1,10,100")
    options = parser.parse_args()
    names, lengths = options.engines.split(","), [int(text) for text in options.epochs.split(",")]
    X, Y = fn.datasets.digits()
    X = (X / 16).astype(np.float32)
    print(f"{MODELS} networks 64-16-10, {len(X)} samples; {WORKERS} workers; seconds, and more a model")
    seconds(1, None)
    for name in names:
        with globals()[name]() as executor:
            seconds(1, executor)
            for epochs in lengths:
                found = [[seconds(epochs, by) for by in (None, executor)] for _ in range(ROUNDS)]
                here, there = np.min(found, axis=0)
                more = 1000 * (there - here) / MODELS
                print(f"{epochs:4} epochs: threads {here:6.2f}, {name} {there:6.2f}, {more:+5.1f} ms a model")
