"""Start-up and memory: each case a process of its own, from its start to its end.

    python -m bench.startup

"import" is the package alone, "fit" the import and a first small classifier: 300 rows, 2-64-3, 20 epochs.
fastnn's fit is measured warm, with its kernels in the object cache, and cold, with an empty one;
"prebuilt" is with an empty one and kernels that `packaging/prebuild.py` has compiled into a folder.
Printed are the median and the least of the seconds, and the largest resident memory, of the process alone.
The cases take turns. A package that is not installed is skipped by name.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
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
# Name, package it needs, program, whether with an empty object cache.
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


def measure(program: str, cold: bool) -> tuple[float, float]:
    """Seconds and MB of a process."""
    # Python caches what it compiles, unless it is told not to.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as empty:
        if cold:
            environment["FASTNN_CACHE_DIR"] = empty
        command = [sys.executable, "-c", MEASURE, program]
        output = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
        ).stdout
    seconds, memory = map(float, output.split())
    return seconds, memory


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-cold", action="store_true", help="leave out what takes seconds")
    parser.add_argument("--prebuilt", type=Path, help="folder that packaging/prebuild.py has filled")
    options = parser.parse_args(argv)
    cases = []
    prebuilt = "import fastnn.compiler.prebuilt, pathlib\n"
    prebuilt += f"fastnn.compiler.prebuilt.FOLDER = pathlib.Path({str(options.prebuilt)!r})\n"
    own = [("fit fastnn, prebuilt", "fastnn", prebuilt + FASTNN, True)] if options.prebuilt else []
    for case in CASES + own:
        if importlib.util.find_spec(case[1]) is None:
            print(f"skipped: {case[1]} is not installed")
        elif not (case[3] and options.no_cold):
            cases.append(case)
    figures: dict[str, list[tuple[float, float]]] = {case[0]: [] for case in cases}
    for _, _, program, cold in cases:  # fills all caches
        if not cold:
            measure(program, cold)
    for i in range(options.rounds):
        for name, _, program, cold in cases:
            if not cold or i < COLD_ROUNDS:
                figures[name].append(measure(program, cold))
    print(f"{'':32}{'seconds':>9}{'least':>9}{'MB':>9}")
    for name, found in figures.items():
        seconds, memory = zip(*found, strict=True)
        print(f"{name:32}{median(seconds):9.2f}{min(seconds):9.2f}{median(memory):9.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
