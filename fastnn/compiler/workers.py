"""Compiling many kernels in parallel, in separate processes.

Numba compiles one function at a time in a process, whatever the number of threads. `compile_together`
starts as many processes as there are CPUs, at most two, and gives one kernel after another to whichever is
free. The calling process does not import Numba, and the others make object code only, which is faster: see
`kernels.lowlevel._jit`. What the processes do not deliver, for whatever reason, the
caller has to compile.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from . import build, cache_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

_PROCESSES = 2
# Timeout in seconds, and for each kernel: many times what a busy machine takes.
_PATIENCE, _PATIENCE_EACH = 60, 10
# Largest size of object code in bytes; larger answers are invalid.
_LARGEST = 1 << 24
# Seconds that kernels took, by the beginning of their names, and all others; the slowest are started first.
_SECONDS = {"driver.loop.train": 2.2, "linalg.gemm.product": 2.0, "training.loss.": 0.6, "driver.loop.": 0.3}
_OTHERS, _START_UP = 0.13, 1.0
# Reads bytes: a text stream would read ahead.
_START = """\
import json, sys
sys.path[:], key = json.loads(sys.stdin.buffer.readline())
from fastnn.compiler import workers
workers.serve(key)
"""
# Variables by which Python finds its own library. The others, such as PYTHONPATH and PYTHONWARNINGS, are
# not passed on.
_HOME = {"PYTHONHOME", "PYTHONPLATLIBDIR", "PYTHONUSERBASE"}


def compile_together(kernels: Sequence[tuple[str, str, str]], processes: int) -> dict[str, bytes]:
    """Object code by symbol, of the kernels that could be compiled.

    Parameters
    ----------
    kernels : sequence of (kernel, dtype, symbol)
        As `loader.address` takes them.
    processes : int
        How many CPUs there are.
    """
    count = _count(len(kernels), processes)
    if count == 0:
        return {}
    left = deque(sorted(kernels, key=lambda request: -_cost(request[0])))
    done: dict[str, bytes] = {}
    workers: list[subprocess.Popen[bytes]] = []
    threads: list[threading.Thread] = []
    try:
        for _ in range(count):
            workers.append(_start())
        for worker in workers:
            thread = threading.Thread(target=_feed, args=(worker, left, done), daemon=True)
            thread.start()
            threads.append(thread)
        end = time.monotonic() + _PATIENCE + _PATIENCE_EACH * len(kernels)
        for thread in threads:
            thread.join(max(end - time.monotonic(), 0))
    except (OSError, RuntimeError):  # no process or thread can be started here
        pass
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        for thread in threads:  # it ends with its process
            thread.join()
        for worker in workers:
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):  # data that was not sent
                        pipe.close()
    return dict(done)


def seconds(kernels: Sequence[str], processes: int) -> float:
    """About how long it takes to compile kernels with this number of CPUs."""
    costs = [_cost(kernel) for kernel in kernels]
    return _START_UP + max(*costs, sum(costs) / max(_count(len(kernels), processes), 1))


def _cost(kernel: str) -> float:
    return next((cost for name, cost in _SECONDS.items() if kernel.startswith(name)), _OTHERS)


def _count(kernels: int, cpus: int) -> int:
    """Number of processes for some kernels and CPUs; 0 if the caller compiles."""
    return min(kernels, cpus, _PROCESSES) if _can_start() else 0


def _can_start() -> bool:
    """Whether `sys.executable` is the full path of a Python interpreter, not of a program that embeds one."""
    path = Path(sys.executable or "")
    is_python = path.is_absolute() and path.name.lower().startswith(("python", "pypy"))
    return is_python and not getattr(sys, "frozen", False)


def _start() -> subprocess.Popen[bytes]:
    """Start Python with this process's flags and paths, such that nothing in the current folder can be run.

    The current folder does not change, because Numba reads settings there.
    """
    home = set() if sys.flags.ignore_environment else _HOME
    kept = {name: text for name, text in os.environ.items() if name[:6] != "PYTHON" or name in home}
    return subprocess.Popen(
        [sys.executable, *_flags(), "-c", _START],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the caller compiles again what failed, which shows the error
        env={**kept, "FASTNN_OBJECTS_ONLY": "1"},
    )


def _flags() -> list[str]:
    """Options of Python: `-P` keeps the current folder out of its paths; the others are this process's."""
    given = {
        "-s": sys.flags.no_user_site,
        "-S": sys.flags.no_site,
        "-B": sys.dont_write_bytecode,
        f"-Xpycache_prefix={sys.pycache_prefix}": sys.pycache_prefix,
    }
    return ["-P", *(flag for flag, is_given in given.items() if is_given)]


def _paths() -> list[str]:
    """The module search path without relative entries."""
    return [path for path in sys.path if isinstance(path, str) and os.path.isabs(path)]


def _feed(worker: subprocess.Popen[bytes], left: deque[tuple[str, str, str]], done: dict[str, bytes]) -> None:
    """Give kernels to a process until none is left, or the process fails."""
    assert worker.stdin is not None and worker.stdout is not None
    try:
        worker.stdin.write(json.dumps([_paths(), cache_key.key()]).encode() + b"\n")
        while left:
            request = left.popleft()
            worker.stdin.write(json.dumps(request).encode() + b"\n")
            worker.stdin.flush()
            size = int.from_bytes(worker.stdout.read(8), "big")
            code = worker.stdout.read(size) if size <= _LARGEST else b""
            if not code or len(code) < size:
                return
            done[request[2]] = code
    except (OSError, IndexError, ValueError):  # it has ended, or another thread took the last kernel
        return


def serve(key: str) -> None:
    """Compile the kernels requested on standard input, one per line; answer with size and object code.

    Does nothing if this process finds other code than the one that asks, by its key.
    """
    if key != cache_key.key():
        return
    gc.set_threshold(100_000)  # Numba makes many objects, and few cycles of them
    requests: BinaryIO = sys.stdin.buffer
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # so that other output cannot be mistaken for an answer
        for line in requests:
            code = build.compile_kernel(*json.loads(line))
            answers.write(len(code).to_bytes(8, "big") + code)
            answers.flush()
