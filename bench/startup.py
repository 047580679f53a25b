"""Start-up and memory: each case a process of its own, from its start to its end.

    python -m bench.startup
    python -m build -C kernels=prebuilt && python -m bench.startup --wheel dist/fastnn_jit-*.whl

"import" is the package alone, "fit" the import and a first small classifier: 300 rows, 2-64-3, 20 epochs.
fastnn's fit is measured warm, with its kernels in the object cache; cold, in an empty home folder without
compiled kernels; and from a wheel that brings them along, in an empty home folder too, where nothing may be
compiled and Numba not be imported. Printed are the median and the least of the seconds, the goal, and the
largest resident memory, of the process alone. The cases take turns. A package that is not installed is
skipped by name.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from statistics import median

DATA = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(300, 2)).astype("float32")
y = (X[:, 0] * X[:, 1] > 0).astype("int64") + (X[:, 0] > 1)
"""
FASTNN = (
    DATA
    + """
import fastnn as fn
model = fn.Model([fn.Dense(64, "relu"), fn.Dense(3)], loss="cross_entropy", seed=0)
model.fit(X, y, epochs=20)
"""
)
FROM_WHEEL = (
    FASTNN
    + """
import sys
from fastnn.compiler import loader, prebuilt
assert loader.compilations == 0 and "numba" not in sys.modules, prebuilt.fault()
"""
)
TORCH = (
    DATA
    + """
import torch
model = torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3))
optimizer, loss = torch.optim.Adam(model.parameters(), fused=True), torch.nn.CrossEntropyLoss()
Xt, yt = torch.from_numpy(X), torch.from_numpy(y)
for epoch in range(20):
    for rows in torch.randperm(300).split(32):
        optimizer.zero_grad()
        loss(model(Xt[rows]), yt[rows]).backward()
        optimizer.step()
"""
)
SKLEARN = (
    DATA
    + """
import warnings
from sklearn.neural_network import MLPClassifier
warnings.simplefilter("ignore")
MLPClassifier((64,), batch_size=32, max_iter=20).fit(X, y)
"""
)
# Name, package it needs, program, whether in an empty home folder.
CASES = [
    ("import numpy", "numpy", "import numpy", False),
    ("import fastnn", "fastnn", "import fastnn", False),
    ("import numba", "numba", "import numba", False),
    ("import sklearn.neural_network", "sklearn", "import sklearn.neural_network", False),
    ("import jax", "jax", "import jax", False),
    ("import torch", "torch", "import torch", False),
    ("fit fastnn, warm", "fastnn", FASTNN, False),
    ("fit scikit-learn", "sklearn", SKLEARN, False),
    ("fit PyTorch", "torch", TORCH, False),
    ("fit fastnn, cold", "fastnn", FASTNN, True),
]
WHEEL = ("fit fastnn, from the wheel", "fastnn", FROM_WHEEL, True)
#: Seconds at most.
GOALS = {"import fastnn": 0.25, "fit fastnn, warm": 0.5, "fit fastnn, cold": 7.0, WHEEL[0]: 0.6}
LARGEST_WHEEL = 8  # MB
# Runs a program in a child of its own and prints what that took: seconds, and the most memory in MB.
MEASURE = """
import os, sys, time
start = time.perf_counter()
child = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", sys.argv[1]])
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - start, usage.ru_maxrss / 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""
COLD_ROUNDS = 3


def measure(program: str, cold: bool, wheel: Path | None = None) -> tuple[float, float]:
    """Seconds and MB of a process, of the fastnn that is installed or of an unpacked wheel."""
    # Python caches what it compiles, unless it is told not to.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as empty:
        if cold:
            for name in ("FASTNN_CACHE_DIR", "FASTNN_SHARED_CACHE_DIR", "XDG_CACHE_HOME"):
                environment.pop(name, None)
            environment |= {"HOME": empty, "FASTNN_PREBUILT": "1" if wheel else "0"}
        if wheel:
            environment["PYTHONPATH"] = str(wheel)
        command = [sys.executable, "-c", MEASURE, program]
        output = subprocess.run(
            command,
            env=environment,
            cwd=wheel,  # not where another fastnn may lie
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
        ).stdout
    seconds, memory = map(float, output.split())
    return seconds, memory


def take_turns(cases: list[tuple], rounds: int, wheel: Path | None) -> dict[str, list[tuple[float, float]]]:
    """Seconds and MB of each case, a pair a round."""
    figures: dict[str, list[tuple[float, float]]] = {case[0]: [] for case in cases}
    for case in cases:  # fills all caches
        if not case[3] or case is WHEEL:
            measure(case[2], case[3], wheel if case is WHEEL else None)
    for i in range(rounds):
        for case in cases:
            if i < COLD_ROUNDS or not case[3] or case is WHEEL:
                figures[case[0]].append(measure(case[2], case[3], wheel if case is WHEEL else None))
    return figures


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-cold", action="store_true", help="leave out what takes seconds")
    parser.add_argument("--wheel", type=Path, help="that `python -m build -C kernels=prebuilt` has made")
    options = parser.parse_args(argv)
    cases = []
    for case in CASES:
        if importlib.util.find_spec(case[1]) is None:
            print(f"skipped: {case[1]} is not installed")
        elif not (case[3] and options.no_cold):
            cases.append(case)
    with tempfile.TemporaryDirectory() as folder:
        unpacked = None
        if options.wheel:
            zipfile.ZipFile(options.wheel).extractall(folder)
            unpacked = Path(folder)
            cases.append(WHEEL)
        figures = take_turns(cases, options.rounds, unpacked)
    print(f"{'':32}{'seconds':>9}{'least':>9}{'goal':>9}{'MB':>9}")
    for name, found in figures.items():
        seconds, memory = zip(*found, strict=True)
        goal = GOALS.get(name, "")
        print(f"{name:32}{median(seconds):9.2f}{min(seconds):9.2f}{goal:>9}{median(memory):9.0f}")
    if options.wheel:
        print(f"the wheel: {options.wheel.stat().st_size / 1e6:.1f} MB (goal {LARGEST_WHEEL})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
