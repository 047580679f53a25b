"""The matrix product beside the CPU's peak and beside OpenBLAS: ``python -m bench.gemm``.

Per shape the product and NumPy's (OpenBLAS, one thread) are called in turns. The peak is measured in
between: a loop of fused multiply-adds that do not wait for one another and touch no memory.
"""

from __future__ import annotations

import argparse
import functools
import math
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from statistics import geometric_mean, median

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from bench.compare import HANDICAPS, processor
from bench.peers import blas
from fastnn.compiler import loader
from fastnn.kernels.abi.oprow import PACK_SIZE
from fastnn.kernels.lowlevel.vector_ir import I64, VECTOR_BYTES, Vectors
from fastnn.memory.buffers import allocate

SUMS, STEPS = 12, 64  # sums of the peak's loop, and products of each in a pass of it


@dataclass(frozen=True)
class Shape:
    """A product ``(m, k) x (k, n)``; `form` says which of the two is transposed: nn, tn or nt."""

    m: int
    k: int
    n: int
    form: str = "nn"

    @property
    def operations(self) -> int:
        """Floating-point operations."""
        return 2 * self.m * self.k * self.n

    def __str__(self) -> str:
        return f"{self.m}x{self.k}x{self.n}-{self.form}"


SHAPES = [
    *(Shape(*s) for s in [
        (1, 4, 4), (1, 4, 32), (1, 64, 64), (1, 784, 128), (1, 1024, 1024), (4, 3, 4), (32, 2, 64),
        (32, 64, 3), (32, 64, 64), (32, 64, 32), (33, 65, 31), (64, 784, 128), (64, 128, 64), (64, 64, 10),
        (100, 100, 100), (128, 256, 256), (256, 20, 256), (256, 256, 1), (256, 512, 512), (256, 784, 1024),
        (256, 1024, 1024), (257, 513, 511), (512, 512, 512), (1000, 4, 32), (1024, 784, 128),
        (1024, 1024, 1024), (2048, 2048, 2048),
    ]),
    *(Shape(*s, "tn") for s in [
        (3, 4, 4), (64, 32, 64), (64, 32, 3), (784, 64, 128), (256, 256, 256), (785, 65, 127),
        (1024, 256, 1024),
    ]),
    *(Shape(*s, "nt") for s in [
        (4, 1, 4), (32, 32, 64), (64, 64, 128), (33, 31, 65), (256, 256, 256), (256, 1024, 1024),
    ]),
]  # fmt: skip


@intrinsic
def _multiply_add(typingctx, passes, dtype):
    """Run the loop of the peak; what it adds up is written nowhere but hidden from LLVM."""

    def codegen(context, builder, sig, args):
        number = context.get_data_type(dtype.dtype)
        v = Vectors(builder, number, context.get_abi_sizeof(number))
        factor = v.splat(number(0.5))
        entry = builder.block
        head, after = builder.append_basic_block("head"), builder.append_basic_block("after")
        builder.branch(head)
        builder.position_at_end(head)
        left = builder.phi(I64)
        left.add_incoming(args[0], entry)
        sums = [builder.phi(v.type) for _ in range(SUMS)]
        values = list(sums)
        for _ in range(STEPS):
            values = [v.fma(value, factor, factor) for value in values]
        for total, value in zip(sums, values, strict=True):
            total.add_incoming(v.zero, entry)
            total.add_incoming(value, head)
        rest = builder.sub(left, I64(1))
        left.add_incoming(rest, head)
        builder.cbranch(builder.icmp_signed(">", rest, I64(0)), head, after)
        builder.position_at_end(after)
        for value in values:
            builder.asm(ir.FunctionType(ir.VoidType(), [v.type]), "", "x", [value], True)
        return context.get_dummy_value()

    return types.void(passes, dtype), codegen


@functools.cache
def _peak_loop(dtype: str):
    number = np.dtype(dtype).type

    @njit(nogil=True)
    def loop(passes):
        _multiply_add(passes, number)

    loop(1)
    return loop


def peak_seconds(operations: float, dtype: str, seconds: float) -> float:
    """Time in which one core could do so many operations, measured for about `seconds`."""
    loop = _peak_loop(dtype)
    per_pass = 2 * SUMS * STEPS * (VECTOR_BYTES // np.dtype(dtype).itemsize)
    passes = max(1000, int(seconds * 5e10 / per_pass))
    start = time.perf_counter()
    loop(passes)
    return (time.perf_counter() - start) * operations / (passes * per_pass)


class Product:
    """One product of ours, ready to be called, and NumPy's of the same arrays.

    All begin at cache lines, as the memory of a network does.
    """

    def __init__(self, shape: Shape, dtype: str) -> None:
        m, k, n = shape.m, shape.k, shape.n
        rng = np.random.default_rng(0)
        stored = {"nn": ((m, k), (k, n)), "tn": ((k, m), (k, n)), "nt": ((m, k), (n, k))}[shape.form]
        self.a, self.b, self.c, self.other = (
            allocate(math.prod(size), dtype).reshape(size) for size in (*stored, (m, n), (m, n))
        )
        self.a[:], self.b[:] = (rng.standard_normal(size) for size in stored)
        a_steps = (1, m) if shape.form == "tn" else (k, 1)
        b_steps = (1, k) if shape.form == "nt" else (n, 1)
        self.pack = allocate(PACK_SIZE, dtype)
        a, b, c, pack = (x.ctypes.data for x in (self.a, self.b, self.c, self.pack))
        self.arguments = np.array([m, n, k, a, *a_steps, b, *b_steps, 0, c, pack], np.int64)
        self.ours = loader.function("linalg.gemm.product", dtype), self.arguments.ctypes.data
        self.left = self.a.T if shape.form == "tn" else self.a
        self.right = self.b.T if shape.form == "nt" else self.b

    def run(self) -> None:
        """Call ours."""
        function, address = self.ours
        function(address, 0)

    def run_numpy(self) -> None:
        """Call NumPy's."""
        np.dot(self.left, self.right, out=self.other)


def _once(call, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def measure(shape: Shape, dtype: str, seconds: float, rounds: int) -> tuple[float, float, float]:
    """Microseconds, fraction of the peak, and NumPy's time over ours: medians over the rounds.

    What Python adds to a call, the same for both within some ten nanoseconds, is in all of them.
    """
    product = Product(shape, dtype)
    product.run()
    product.run_numpy()
    scale = np.abs(product.other).max() + 1
    tolerance = 4 * np.finfo(dtype).eps * shape.k * scale
    if not np.abs(product.c - product.other).max() <= tolerance:
        raise AssertionError(f"{shape}: ours and NumPy's differ")
    per_call = max(_once(product.run, 3), 1e-7)
    times = max(1, int(seconds / per_call))
    ours, ratios, fractions = [], [], []
    for _ in range(rounds):
        own = _once(product.run, times)
        other = _once(product.run_numpy, times)
        ours.append(own)
        ratios.append(other / own)
        fractions.append(peak_seconds(shape.operations, dtype, seconds) / own)
    return 1e6 * median(ours), median(fractions), median(ratios)


def line(shape: Shape, dtype: str, figures: tuple[float, float, float]) -> str:
    """One line of the table."""
    microseconds, fraction, ratio = figures
    share = f"{100 * fraction:6.1f} % of peak"
    return f"{shape!s:20} {dtype:8} {microseconds:10.2f} us {share} {ratio:6.2f}x OpenBLAS"


def main(argv: list[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.gemm", description=__doc__)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--seconds", type=float, default=0.02, help="of a timing (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="timings per shape (default %(default)s)")
    parser.add_argument("--shapes", help="some of the table, by a part of their names")
    options = parser.parse_args(argv)
    if any(name in os.environ for name in HANDICAPS):
        environment = {name: value for name, value in os.environ.items() if name not in HANDICAPS}
        return subprocess.call([sys.executable, "-m", "bench.gemm", *argv], env=environment)
    print(f"{processor()}; one thread; the ratio is NumPy's time over ours")
    ratios = []
    with blas.threads(1):
        for shape in SHAPES:
            if options.shapes is None or options.shapes in str(shape):
                figures = measure(shape, options.dtype, options.seconds, options.rounds)
                ratios.append(figures[2])
                print(line(shape, options.dtype, figures), flush=True)
    print(f"geometric mean of the ratios: {geometric_mean(ratios):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
