"""Compile the library's kernels for levels of CPUs, into a folder: the ``fastnn/prebuilt`` of a wheel.

    python packaging/prebuild.py FOLDER [--level x86-64-v3] [--kernel layers.dense.forward]

The fastnn that is compiled is the one that this Python imports. Nothing compiled is executed, so a CPU of any
level can compile for all of its kind.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from fastnn import warmup
from fastnn.compiler import available_cpus, build, cpu_levels, prebuilt, workers
from fastnn.compiler.object_file import symbol_of

DTYPES = ("float32", "float64")


def arguments():
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--level", action="append", choices=list(cpu_levels.by_machine()), help="default: all"
    )
    parser.add_argument("--kernel", action="append", help="default: all of the library")
    return parser.parse_args()


def compile_level(level, kernels, folder):
    """Compile kernels for a level; Numba's settings name that level."""
    requests = [(kernel, dtype, symbol_of(kernel, dtype)) for kernel, dtype in kernels]
    codes = workers.compile_together(requests, available_cpus.cpus())
    for request in requests:
        symbol = request[2]
        code = codes.get(symbol) or build.compile_kernel(*request)
        prebuilt.write(level, symbol, code, folder)
    print(f"{level}: {len(requests)} kernels")


def main():
    """Compile each level in a process of its own, since a process compiles for one CPU."""
    options = arguments()
    levels = options.level or list(cpu_levels.by_machine())
    if not levels:
        sys.exit("there are no levels for this kind of machine")
    if os.environ.get("NUMBA_CPU_NAME") in levels:
        every = [entry for dtype in DTYPES for entry in warmup.common(dtype)]
        chosen = [entry for entry in dict.fromkeys(every) if not options.kernel or entry[0] in options.kernel]
        compile_level(levels[0], chosen, options.folder)
        return
    for level in levels:
        command = [sys.executable, __file__, options.folder, "--level", level]
        for kernel in options.kernel or ():
            command += ["--kernel", kernel]
        subprocess.run(command, check=True, env=os.environ | cpu_levels.settings(level))
    prebuilt.describe(options.folder, levels)


if __name__ == "__main__":
    main()
