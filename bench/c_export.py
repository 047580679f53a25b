"""C files of `Model.to_c` beside the same network in compiled code: ``python -m bench.c_export``.

Microseconds a call of one row: `fn.forward` in a compiled loop, and the C file by each compiler, in turns in
one process; the smallest of many. The file is called in a loop of C, each call waiting for the one before.
"""

from __future__ import annotations

import argparse
import ctypes
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

import fastnn as fn
from bench.compare import processor

NETWORKS = {"4-32-16-2": (4, 32, 16, 2), "784-128-64-10": (784, 128, 64, 10)}
COMPILERS = ("gcc", "clang")
OPTIONS = ["-O3", "-march=native", "-fPIC", "-shared"]

LOOP = """
#include "network.h"
void run(long count, float *x, float *y, float *scratch);
void run(long count, float *x, float *y, float *scratch)
{
    for (long i = 0; i < count; i++) {
        network_predict(x, y, scratch);
        x[0] = 0.0f * y[0];
    }
}
"""


@njit
def forward(net: Any, x: Any, out: Any, count: int) -> None:
    """Calls that wait for each other, as those of C do."""
    for _ in range(count):
        fn.forward(net, x, out)
        x[0] = np.float32(0) * out[0]


def candidates(model: fn.Model, folder: Path) -> dict[str, Callable[[int], object]]:
    """What runs a network so many times, by name."""
    assert model.n_in is not None and model.n_out is not None
    x, y = np.zeros(model.n_in, np.float32), np.zeros(model.n_out, np.float32)
    net = model.network(max_batch=1)
    found: dict[str, Callable[[int], object]] = {"fn.forward": lambda count: forward(net, x, y, count)}
    written = model.to_c(folder / "network.h")
    scratch = np.zeros(written.scratch // 4, np.float32)
    addresses = [ctypes.c_void_p(array.ctypes.data) for array in (x, y, scratch)]
    (folder / "loop.c").write_text(LOOP)
    for compiler in COMPILERS:
        if shutil.which(compiler) is not None:
            library = folder / f"{compiler}.so"
            subprocess.run([compiler, *OPTIONS, str(folder / "loop.c"), "-o", str(library)], check=True)
            run = ctypes.CDLL(str(library)).run
            found[compiler] = lambda count, run=run: run(ctypes.c_long(count), *addresses)
    return found


def microseconds(runs: dict[str, Callable[[int], object]], seconds: float) -> dict[str, float]:
    """Of a call of each, in turns of about a millisecond."""
    counts, best = {}, dict.fromkeys(runs, np.inf)
    for name, run in runs.items():
        run(10)
        start = time.perf_counter()
        run(100)
        counts[name] = max(1, int(1e-3 / max((time.perf_counter() - start) / 100, 1e-9)))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, run in runs.items():
            start = time.perf_counter()
            run(counts[name])
            best[name] = min(best[name], (time.perf_counter() - start) / counts[name])
    return {name: 1e6 * value for name, value in best.items()}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.c_export", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each network")
    options = parser.parse_args()
    print(processor())
    for name, (n_in, *widths, n_out) in NETWORKS.items():
        layers = [*(fn.Dense(width, "relu") for width in widths), fn.Dense(n_out)]
        with tempfile.TemporaryDirectory() as folder:
            runs = candidates(fn.Model(layers, seed=0).build(n_in), Path(folder))
            found = microseconds(runs, options.seconds)
        for what, value in found.items():
            print(f"{name:<15} {what:<12} {value:8.3f} us  {value / found['fn.forward']:5.2f}")


if __name__ == "__main__":
    main()
