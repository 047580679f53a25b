"""Time a network inside compiled code: ``python -m bench.inside``.

For each of the functions for compiled code: what a call in a compiled loop takes, how much of it is the
kernels' own work, and how much more its checked variant takes. The kernels' own work is the same entries,
called one after the other by their addresses, with all that they need written down before. All take turns
in one process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit

import fastnn as fn
from bench.compare import processor
from bench.workloads import INFERENCE
from fastnn.engine.fields import fields_of
from fastnn.kernels.abi.oprow import LOSS, OP, OPTIMIZER, SCHEDULE
from fastnn.kernels.lowlevel.simd import address, call, flush_denormals, restore_denormals

SMALL = INFERENCE["small-1"]
CALLS, WARM = 500, 100  # in a compiled loop: that are timed, and before


@njit
def kernels_alone(descriptor, entries, times):
    mode = flush_denormals()
    for _ in range(times):
        for i in range(entries.shape[0]):
            call(entries[i, 0], entries[i, 1], address(descriptor))
    restore_denormals(mode)


@njit
def in_parts(net, state, x, out):
    """A step for half the sum of the squared outputs, which are its derivatives."""
    fn.forward_train(net, state, x, out)
    fn.backward(net, x, out)
    fn.apply_gradient(net, state)


@njit
def in_parts_checked(net, state, x, out):
    fn.forward_train_checked(net, state, x, out)
    fn.backward_checked(net, x, out)
    fn.apply_gradient_checked(net, state)


IN_PARTS = "a step in parts"


def functions(name: str) -> tuple[Callable[..., object], Callable[..., object]]:
    """What is timed: without a check, and checked."""
    return (
        (in_parts, in_parts_checked)
        if name == IN_PARTS
        else (getattr(fn, name), getattr(fn, f"{name}_checked"))
    )


def loop(function: Callable[..., object]) -> Callable[..., None]:
    """A compiled loop of calls."""

    @njit
    def two(net, a, b, times):
        for _ in range(times):
            function(net, a, b)

    @njit
    def three(net, a, b, c, times):
        for _ in range(times):
            function(net, a, b, c)

    return lambda *arguments: (two if len(arguments) == 4 else three)(*arguments)


@dataclass(frozen=True)
class Row:
    """A function and its arguments; the entries that do its work: (address of entry, of op row) each."""

    name: str
    rows: int
    net: fn.Network
    arguments: tuple[object, ...]
    prepared: fn.Network  # whose memory the entries use
    descriptor: np.ndarray
    entries: np.ndarray


def entries_of(table: np.ndarray, kind: np.dtype, name: str) -> list[tuple[int, int]]:
    entries = [(int(row.view(kind)[name][0]), row.ctypes.data) for row in table]
    return [(entry, row) for entry, row in entries if entry]


def rows_of(rows: int) -> list[Row]:
    """The functions for a batch of so many rows."""
    n_in, *hidden, n_out = SMALL.widths
    layers = [*(fn.Dense(width, SMALL.activation) for width in hidden), fn.Dense(n_out)]
    model = fn.Model(layers, "mse", fn.SGD(1e-6), dtype=SMALL.dtype, seed=0).build(n_in)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, n_in), SMALL.dtype)
    y = rng.standard_normal((rows, n_out), SMALL.dtype)
    jac = np.empty((rows, n_out, n_in), SMALL.dtype)
    state = model.optimizer_state()
    if rows == 1:
        x, y, jac = x[0], y[0], jac[0]
    made = []
    for name, arguments in {
        "forward": (x, y.copy()),
        "input_gradient": (x, y, x.copy()),
        "jacobian": (x, jac),
        "loss_and_gradient": (x, y),
        "train_step": (state, x, y),
        IN_PARTS: (state, x, y.copy()),
    }.items():
        net = model.network(rows)
        functions(name)[0](net, *arguments)  # leaves all that the entries need in the descriptor
        trains, steps = (
            name in ("loss_and_gradient", "train_step", IN_PARTS),
            name in ("train_step", IN_PARTS),
        )
        descriptor = net.descriptor
        if name == "forward":
            net.fields.output = arguments[-1].ctypes.data
        fields_of(descriptor).input_only = not trains
        ops = {"forward": net.predict_ops, "input_gradient": net.input_ops, "jacobian": net.input_ops}
        ops[IN_PARTS] = net.output_ops
        table = ops.get(name, net.ops)
        entries = entries_of(table, OP, "forward")
        if name != "forward":
            loss = entries_of(net.extra[:1], LOSS, "forward") if trains and name != IN_PARTS else []
            names = ("backward_weights", "backward_input") if trains else ("backward_input",)
            gradients = [entry for op in table[::-1] for n in names for entry in entries_of(op[None], OP, n)]
            entries += loss + gradients * (n_out if name == "jacobian" else 1)
        if steps:
            entries += entries_of(state.rows[1:2], SCHEDULE, "forward")
            entries += entries_of(state.rows[:1], OPTIMIZER, "forward")
        made.append(Row(name, rows, model.network(rows), arguments, net, descriptor, np.array(entries)))
    return made


def nanoseconds(function: Callable[..., None], *arguments: object) -> float:
    function(*arguments, WARM)
    start = time.perf_counter()
    function(*arguments, CALLS)
    return 1e9 * (time.perf_counter() - start) / CALLS


def main(argv: list[str] | None = None) -> int:
    """Print a line for each function and number of rows."""
    parser = argparse.ArgumentParser(prog="python -m bench.inside", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 32])
    options = parser.parse_args(argv)
    cases = [row for rows in options.rows for row in rows_of(rows)]
    names = {case.name for case in cases}
    loops = {name: tuple(map(loop, functions(name))) for name in names}
    times = []
    for _ in range(options.rounds):
        times.append([])
        for case in cases:
            plain, checked = loops[case.name]
            times[-1].append(
                (
                    nanoseconds(plain, case.net, *case.arguments),
                    nanoseconds(checked, case.net, *case.arguments),
                    nanoseconds(kernels_alone, case.descriptor, case.entries),
                )
            )
    print(processor())
    print(f"{'-'.join(map(str, SMALL.widths))} {SMALL.activation}, {SMALL.dtype}; nanoseconds a call")
    print(f"{'':20}{'rows':>6}{'in all':>10}{'kernels':>10}{'above them':>12}{'checked':>10}")
    for i, case in enumerate(cases):
        taken = np.array(times)[:, i]
        whole, checked, kernels = taken.min(axis=0)
        above, more = whole - kernels, checked - whole
        print(f"{case.name:20}{case.rows:6}{whole:10.0f}{kernels:10.0f}{above:12.0f}{more:+10.1f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
