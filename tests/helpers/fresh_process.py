"""Programs that are run in a process of their own, and the objects that they leave in a cache."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Three symbols and the product: the least that can be compiled.
PROBE = """
import sys
import fastnn as fn
from fastnn.compiler import loader
print(fn.Activation("relu")([[-1.0, 2.0]]).tolist(), loader.compilations, "numba" in sys.modules)
"""
NOTICE = re.compile(r"fastnn: compiling \d+ kernels?, about \d+ s, (once on this machine.*|in each .+)\n")
CLASSIFIER = """
import sys
import fastnn as fn
X, y = fn.datasets.spiral(50, 3, seed=0)
model = fn.Model([fn.Dense(16, "relu"), fn.Dense(3)], loss="cross_entropy", seed=0)
model.fit(X, y, epochs=5, validation_split=0.2)
print(model.evaluate(X, y)["accuracy"], model.predict(X).shape, "numba" in sys.modules)
"""


def run_script(script=PROBE, check=True, **environment):
    environment = {**os.environ, **{name: str(value) for name, value in environment.items()}}
    command = [sys.executable, "-W", "error", "-c", script]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert not check or result.returncode == 0, result.stderr
    return result


def objects(cache):
    return {path.name.removesuffix(".o"): path for path in cache.rglob("*.o")}
