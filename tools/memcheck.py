"""Run random networks under valgrind's memcheck, with the machine code out of the object cache.

``python tools/memcheck.py [--count 20]``, where valgrind, its header files and a C compiler are installed.

Memcheck sees each byte that an instruction reads or writes, in memory that intrinsics reach by address
too, and whether it was ever written. It is told of each buffer's surroundings and of the gaps between the
tensors of a workspace, which nobody may touch, and that a workspace begins unwritten. An error counts as
ours if one of its frames lies in code of no file: that is what was loaded from the object cache.

Valgrind 3.19 knows no AVX-512: the code is that of a CPU with AVX2. The instructions of this CPU are watched
by `make fuzz`, between pages that the CPU itself guards.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parents[1]
REQUESTS = """
#include <valgrind/memcheck.h>
void no_access(void *address, unsigned long size) { VALGRIND_MAKE_MEM_NOACCESS(address, size); }
void unwritten(void *address, unsigned long size) { VALGRIND_MAKE_MEM_UNDEFINED(address, size); }
"""
CPU = """
import json
from llvmlite import binding
print(json.dumps([binding.get_host_cpu_name(), dict(binding.get_host_cpu_features())]))
"""


def run(*command, **environment):
    """Output of a command, which must succeed."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONMALLOC": "malloc",
        "FASTNN_GUARD": "1",
        **environment,
    }
    done = subprocess.run(
        [*map(str, command)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def workload(seed, count, requests, fault):
    """Random networks, with memcheck told what `guard` fills with its pattern."""
    import numpy as np

    from fastnn.compiler import loader
    from fastnn.kernels.abi.oprow import OP
    from fastnn.memory import guard
    from tests.guarantees import fuzz

    library = ctypes.CDLL(requests)

    def told(request):
        def tell(memory, pattern, zones):
            for start, stop in zones:
                address, size = memory.ctypes.data + start * memory.itemsize, (stop - start) * memory.itemsize
                request(ctypes.c_void_p(address), ctypes.c_ulong(size))

        return tell

    def poison(buffer):
        with mock.patch.object(guard, "_fill", told(library.unwritten)):
            found(buffer)

    found = guard.poison
    with (
        mock.patch.object(guard, "_fill", told(library.no_access)),
        mock.patch.object(guard, "poison", poison),
        mock.patch.object(guard, "check", lambda call: None),
    ):
        if fault:
            import fastnn as fn

            model = fn.Model([fn.Dense(5)], "mse", seed=0).build(3)
            model.executor.network("train", 7).ops.view(OP)["y"][0] += fault
            model.fit(np.ones((7, 3), "f"), np.ones((7, 5), "f"), batch_size=7)
        for number in range(count):
            fuzz.Case(seed, number, np.copy).run()
    print(loader.compilations)


def attributed(report):
    """(errors with a frame in code of no file, other errors), from memcheck's XML."""
    ours, others = [], []
    for error in ElementTree.parse(report).getroot().iter("error"):
        frames = error.find("stack").findall("frame")
        text = f"{error.findtext('what') or error.findtext('xwhat/text')} at {frames[0].findtext('ip')}"
        (ours if any(frame.find("obj") is None for frame in frames) else others).append(text)
    return ours, others


def memcheck(seed, count, cache, fault=0):
    """Run the workload natively for that CPU, which fills the cache, then under memcheck."""
    with tempfile.TemporaryDirectory() as folder:
        source, library, report = (Path(folder) / name for name in ("r.c", "r.so", "report.xml"))
        source.write_text(REQUESTS)
        run("cc", "-O1", "-shared", "-fPIC", "-o", library, source)
        cpu = run("valgrind", "--tool=none", "-q", sys.executable, "-c", CPU)
        call = [__file__, "--workload", library, "--seed", seed, "--count", count, "--fault", fault]
        run(sys.executable, *call, "--cpu", cpu, FASTNN_CACHE_DIR=str(cache))
        options = ["-q", "--xml=yes", f"--xml-file={report}", "--num-callers=20", "--redzone-size=256"]
        compiled = run("valgrind", *options, sys.executable, *call, FASTNN_CACHE_DIR=str(cache))
        if compiled.split()[-1] != "0":
            raise RuntimeError(f"{compiled} kernels were compiled under valgrind: not the code of the cache")
        return json.loads(cpu)[0], *attributed(report)


def main():
    """Print what memcheck found; exit with 1 if any of it is ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault", type=int, default=0, help="numbers that one output lies too far")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "memcheck")
    parser.add_argument("--workload", help=argparse.SUPPRESS)
    parser.add_argument("--cpu", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.workload:
        if options.cpu:
            from llvmlite import binding

            name, features = json.loads(options.cpu)
            binding.get_host_cpu_name = lambda: name
            features = type(binding.get_host_cpu_features())(features)
            binding.get_host_cpu_features = lambda: features
        workload(options.seed, options.count, options.workload, options.fault)
        return
    cpu, ours, others = memcheck(options.seed, options.count, options.cache, options.fault)
    print(f"{options.count} random networks under memcheck, code for {cpu}: {len(ours)} errors in it")
    print(*ours[:20], sep="\n")
    print(f"{len(others)} errors elsewhere: Python, NumPy, LLVM; about as many with --count 0")
    sys.exit(bool(ours))


if __name__ == "__main__":
    main()
