"""Compile kernels for another machine than this one, as a program in a process of its own.

    python -m tests.helpers.cross_compiled TRIPLE FOLDER KERNEL...

writes of each kernel an object file and its assembly, for float32. Numba's settings name the CPU, and
FASTNN_OBJECTS_ONLY is 1, so that Numba makes no machine code for this machine.
"""

import os
import sys
from pathlib import Path

import numpy as np
from llvmlite import binding

from fastnn.compiler import build
from fastnn.kernels.lowlevel import _jit, simd, target

#: What every CPU of these machines has, and the name of the operating system in LLVM's triple.
MACHINES = {
    "aarch64-unknown-linux-gnu": ("generic", ""),
    "arm64-apple-macosx12.0": ("generic", ""),
    "x86_64-apple-macosx12.0": ("x86-64-v3", "+avx2,+fma"),
    "x86_64-pc-windows-msvc": ("x86-64-v3", "+avx2,+fma"),
}
#: Instead of a kernel: the intrinsics that are different on each machine.
INTRINSICS = "intrinsics"


def environment(triple):
    """Variables with which this module is run for a machine."""
    cpu, features = MACHINES[triple]
    named = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features, "FASTNN_OBJECTS_ONLY": "1"}
    return os.environ | named


def _intrinsics(op_address, net_address):
    mode = simd.flush_denormals()
    while simd.atomic_add(op_address, 1) < net_address:
        simd.spin_hint()
        simd.yield_thread()
    simd.restore_denormals(mode)


def main(triple, folder, kernels):
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    machine = binding.Target.from_triple(triple).create_target_machine(
        cpu=target.name(),
        features=target.features(),
        opt=3,
        reloc="default",
        codemodel="jitdefault",
        jit=True,
    )
    target.triple = lambda: triple
    _jit.target_machine = lambda: machine
    for kernel in kernels:
        symbol = f"fastnn.{kernel}.float32"
        if kernel == INTRINSICS:
            code = _jit.compile_entry(_intrinsics, symbol)
        else:
            code = build.compile_kernel(kernel, np.dtype(np.float32).name, symbol)
        (Path(folder) / f"{kernel}.o").write_bytes(code)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
