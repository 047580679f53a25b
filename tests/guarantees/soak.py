"""The long part of the promises: `make soak` runs all of it, `make test` a small part.

python -m tests.guarantees.soak [--steps 10_000_000] [--minutes 10] [--seconds 60] [--starts 50]
"""

import argparse
import gc
import itertools
import mmap
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import fastnn as fn

RNG = np.random.default_rng(0)


def at_once(calls):
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


# ---- promise 7: threads and processes ----------------------------------------------------------


def predict_at_once(seconds, threads=8):
    """Many threads predict with one model, few rows and many; each result is that of a lone thread."""
    model = fn.Model([fn.Dense(67, "gelu"), fn.Dense(43, "tanh"), fn.Dense(7)], seed=0).build(31)
    inputs = [RNG.normal(size=(rows, 31)).astype("f") for rows in (1, 2, 17, 40, 300, 3000)]
    expected = [model.predict(x).tobytes() for x in inputs]
    deadline = time.monotonic() + seconds

    def predict(first):
        for count in itertools.count():
            i = (first + count) % len(inputs)
            assert model.predict(inputs[i]).tobytes() == expected[i], f"{len(inputs[i])} rows"
            if time.monotonic() > deadline:
                return count + 1

    return sum(at_once([lambda i=i: predict(i) for i in range(threads)]))


def predict_while_fitting(seconds, n_in=2048):
    """Predictions that show all weights, while a fit changes them: all must be of one step.

    The weights begin equal, and all inputs of a sample are equal, so that they stay equal: after each
    step there is one number in them.
    """
    layer = fn.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = fn.Model([layer], loss="mse", optimizer=fn.SGD(0.01 / n_in), seed=0).build(n_in)
    X, y = RNG.normal(size=(64, 1)).astype("f").repeat(n_in, axis=1), RNG.normal(size=(64, 1))
    few = np.eye(n_in, dtype="f")[::64].copy()
    many = np.resize(few, (1500, n_in))  # more than one chunk
    stop = threading.Event()

    def watch(call, x):
        seen, torn = set(), 0
        while not stop.is_set():
            shown = call(x)
            torn += np.ptp(shown) != 0
            seen.add(float(shown[0, 0]))
        return len(seen), torn

    def fit():
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                model.fit(X, y, epochs=500, batch_size=8, threads=1)
        finally:
            stop.set()

    watched = [(model.predict, few), (model.predict, many), (layer, few)]
    *watched, _ = at_once([*(lambda each=each: watch(*each) for each in watched), fit])
    return sum(seen for seen, _ in watched), sum(torn for _, torn in watched)


START = """
import sys
import fastnn as fn
from fastnn.compiler import loader
print(fn.Activation("relu")([[-1.0, 2.0]]).tolist(), loader.compilations)
"""


def start_cold_at_once(processes=4):
    """Processes that begin with the same empty cache; returns how many kernels each compiled."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "FASTNN_CACHE_DIR": folder}

        def start():
            done = subprocess.run(
                [sys.executable, "-c", START], env=environment, capture_output=True, text=True, check=True
            )
            value, count = done.stdout.rsplit(maxsplit=1)
            assert value == "[[0.0, 2.0]]", done.stdout
            return int(count)

        counts = at_once([start] * processes)
        assert start() == 0, "a later process found an incomplete cache"
        left = [path.name for path in Path(folder).rglob("*") if path.is_file() and path.suffix != ".o"]
        assert not left, left
        return counts


# ---- promise 9: long runs ----------------------------------------------------------------------


def resident():
    """Bytes of memory in use."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * mmap.PAGESIZE


class Reference:
    """Gradient descent in plain NumPy and float64, for a network 2-4-1 with tanh."""

    def __init__(self, model, X, y, rate):
        views = (view for layer in model.layers for view in (layer.weights, layer.bias))
        self.weights = [np.array(view, float) for view in views]
        self.X, self.y, self.rate = X.astype(float), y.astype(float), rate

    def train(self, steps):
        X, y, rate = self.X, self.y, self.rate
        w, b, v, c = self.weights
        for _ in range(steps):
            h = np.tanh(X @ w + b)
            d = (h @ v + c - y) * (2 / y.size)
            dh = (d @ v.T) * (1 - h * h)
            v -= rate * (h.T @ d)
            c -= rate * d.sum(axis=0)
            w -= rate * (X.T @ dh)
            b -= rate * dh.sum(axis=0)

    def parameters(self):
        return np.concatenate([each.ravel() for each in self.weights])


def drift_from_reference(steps, dtype, looks=10):
    """Largest difference of a weight from the reference's, relative to the largest, at some looks."""
    X, y = fn.datasets.xor()
    y = y.reshape(-1, 1)
    rate = 0.05
    model = fn.Model([fn.Dense(4, "tanh"), fn.Dense(1)], "mse", fn.SGD(rate), dtype=dtype, seed=0).build(2)
    reference = Reference(model, X, y, rate)
    largest = 0.0
    for _ in range(looks):
        model.fit(X, y, epochs=steps // looks, batch_size=None, verbose=0)
        reference.train(steps // looks)
        expected = reference.parameters()
        largest = max(largest, float(abs(model.parameters - expected).max() / abs(expected).max()))
    return largest


def growth_and_drift(steps, minutes=float("inf"), looks=10):
    """Bytes that memory grew by in a long training, and whether a second one gives the same bits.

    The second is cut into other calls. Shuffled batches, dropout and Adam.
    """

    def make():
        layers = [fn.Dense(8, "tanh"), fn.Dropout(0.1), fn.Dense(1)]
        return fn.Model(layers, "mse", fn.Adam(1e-3), ["mae"], seed=0)

    X, y = fn.datasets.xor()
    X, y = np.tile(X, (250, 1)), np.tile(y.reshape(-1, 1), (250, 1))
    per_epoch, epochs = len(X) // 4, steps // (len(X) // 4) // looks
    first, second = make(), make()
    deadline, sizes, done = time.monotonic() + 60 * minutes, [], 0
    for look in range(looks):
        first.fit(X, y, epochs=epochs, batch_size=4, verbose=0)
        done += epochs
        if look > 0:  # the first call makes what is kept
            sizes.append(resident())
        if time.monotonic() > deadline:
            break
    half = done // 2
    for part in (half, done - half):
        second.fit(X, y, epochs=part, batch_size=4, verbose=0)
    same = first.parameters.tobytes() == second.parameters.tobytes()
    return done * per_epoch, sizes[-1] - sizes[0] if len(sizes) > 1 else 0, same


# ---- all of it ---------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000_000)
    parser.add_argument("--minutes", type=float, default=10, help="after which the longest training ends")
    parser.add_argument("--seconds", type=float, default=60, help="for each thread test")
    parser.add_argument("--starts", type=int, default=50, help="of four processes with an empty cache")
    options = parser.parse_args()
    begun = time.monotonic()

    def report(text):
        print(f"{time.monotonic() - begun:7.0f} s  {text}", flush=True)

    steps, growth, same = growth_and_drift(options.steps, options.minutes)
    report(f"{steps} steps with Adam: memory grew by {growth} bytes; a second run has the same bits: {same}")
    assert growth < 1_000_000 and same
    for dtype, limit in (("float64", 1e-9), ("float32", 1e-2)):
        drift = drift_from_reference(options.steps, dtype)
        report(f"{options.steps} steps in {dtype}: at most {drift:.2g} away from NumPy in float64")
        assert drift < limit
    report(f"8 threads: {predict_at_once(options.seconds)} predictions, each as of one thread")
    seen, torn = predict_while_fitting(options.seconds)
    report(f"predictions during fits saw {seen} states of the weights, {torn} of them of no single step")
    assert seen > 2 and torn == 0
    compiled = [sum(start_cold_at_once()) for _ in range(options.starts)]
    report(f"{options.starts} cold starts of 4 processes, which compiled {sum(compiled)} kernels together")


if __name__ == "__main__":
    main()
