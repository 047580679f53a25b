"""C files of `Model.to_c` beside the same network in compiled code: ``python -m bench.c_export``.

Microseconds a call of one row: `fn.forward` in a compiled loop, and the C file by each compiler, in turns in
one process; the smallest of many. The file is called in a loop of C, each call waiting for the one before.
``--onnx2c PATH`` also runs what that program writes of the ONNX graph of the same network.
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
import fastnn.onnx
from bench.compare import processor

Shape = tuple[int, ...]
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


ONNX2C = """
#include "onnx2c.c"
void run(long count, float *x, float *y);
void run(long count, float *x, float *y)
{
    for (long i = 0; i < count; i++) {
        entry((void *)x, (void *)y);
        x[0] = 0.0f * y[0];
    }
}
"""


def networks() -> dict[str, tuple[list[fn.Layer], Shape]]:
    """Layers and input shapes by name."""
    found: dict[str, tuple[list[fn.Layer], Shape]] = {}
    for n_in, *widths, n_out in ((4, 32, 16, 2), (784, 128, 64, 10)):
        name = "-".join(map(str, (n_in, *widths, n_out)))
        found[name] = ([*(fn.Dense(width, "relu") for width in widths), fn.Dense(n_out)], (n_in,))
    images = [fn.Conv2D(6, 5, padding="same", activation="relu"), fn.MaxPooling2D(2)]
    images += [fn.Conv2D(16, 5, activation="relu"), fn.MaxPooling2D(2), fn.Flatten()]
    images += [fn.Dense(120, "relu"), fn.Dense(84, "relu"), fn.Dense(10)]
    found["LeNet-5"] = (images, (28, 28, 1))
    return found


@njit
def forward(net: Any, x: Any, out: Any, count: int) -> None:
    """Calls that wait for each other, as those of C do."""
    for _ in range(count):
        fn.forward(net, x, out)
        x[0, 0] = np.float32(0) * out[0, 0]


def candidates(model: fn.Model, folder: Path, onnx2c: str | None) -> dict[str, Callable[[int], object]]:
    """What runs a network so many times, by name."""
    assert model.n_in is not None and model.n_out is not None
    x, y = np.zeros((1, model.n_in), np.float32), np.zeros((1, model.n_out), np.float32)
    net = model.network(max_batch=1)
    found: dict[str, Callable[[int], object]] = {"fn.forward": lambda count: forward(net, x, y, count)}
    written = model.to_c(folder / "network.h")
    scratch = np.zeros(written.scratch // 4, np.float32)
    found |= compiled(folder, "", LOOP, [x, y, scratch])
    if onnx2c is not None:
        fastnn.onnx.export(model, folder / "network.onnx")
        command = [onnx2c, "--define=batch:1", str(folder / "network.onnx")]
        with open(folder / "onnx2c.c", "wb") as file:
            subprocess.run(command, check=True, stdout=file)
        found |= compiled(folder, "onnx2c, ", ONNX2C, [x, y])
        for name, run in found.items():
            x[:], y[:] = 0.5, np.nan
            run(1)
            np.testing.assert_allclose(
                y, model.predict(np.full((1, *model.input_shape), 0.5)), atol=1e-5, err_msg=name
            )
    return found


def compiled(folder: Path, name: str, text: str, arrays: list[Any]) -> dict[str, Callable[[int], object]]:
    """What runs a C file on these arrays, by each compiler."""
    found: dict[str, Callable[[int], object]] = {}
    (folder / "loop.c").write_text(text)
    for compiler in COMPILERS:
        if shutil.which(compiler) is not None:
            library = folder / f"{name[:6]}{compiler}.so"
            subprocess.run(
                [compiler, *OPTIONS, str(folder / "loop.c"), "-o", str(library), "-lm"], check=True
            )
            run = ctypes.CDLL(str(library)).run
            run.restype = None
            run.argtypes = [ctypes.c_long, *(np.ctypeslib.ndpointer(np.float32) for _ in arrays)]
            found[name + compiler] = lambda count, run=run: run(count, *arrays)
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
    parser.add_argument("--onnx2c", metavar="PATH", help="a program to compare with")
    options = parser.parse_args()
    print(processor())
    for name, (layers, shape) in networks().items():
        with tempfile.TemporaryDirectory() as folder:
            runs = candidates(fn.Model(layers, seed=0).build(shape), Path(folder), options.onnx2c)
            found = microseconds(runs, options.seconds)
        for what, value in found.items():
            print(f"{name:<15} {what:<14} {value:8.3f} us  {value / found['fn.forward']:5.2f}")


if __name__ == "__main__":
    main()
