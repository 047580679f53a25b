"""Seeded faults, each of which the tests must notice. Program: try them, all or those named.

    python -m tests.guarantees.mutants [NAME ...]

A fault is a line of a kernel, or of the code that calls kernels, that is replaced in a copy of the project,
where its tests are then run. They must pass without the fault. With it they must fail, by an assertion, by an
error that is not raised or, where kernels run without compilation, by an index out of bounds.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.guarantees import (
    seeded_faults,
    seeded_faults_of_bfloat16,
    seeded_faults_of_calls,
    seeded_faults_of_compiled_calls,
    seeded_faults_of_layers,
    seeded_faults_of_outputs,
    seeded_faults_of_steps,
)

ROOT = Path(__file__).parents[2]
PACKAGE, KERNELS = ROOT / "fastnn", ROOT / "kernels"
MUTANTS = {
    **seeded_faults.KERNELS,
    **seeded_faults_of_layers.LAYERS,
    **seeded_faults_of_calls.CALLS,
    **seeded_faults_of_compiled_calls.COMPILED_CALLS,
    **seeded_faults_of_bfloat16.BFLOAT16,
    **seeded_faults_of_steps.STEPS,
    **seeded_faults_of_outputs.OUTPUTS,
}

# What a test that has noticed a fault ends with.
_ERRORS = (
    "AssertionError",
    "assert ",
    "IndexError",
    "Failed: DID NOT",
    r"fastnn\.GradientError",
    r"fastnn\.RankError: .* its weights are not those of rank 0",
)
_DISPROVED = re.compile(rf"^E +({'|'.join(_ERRORS)})", re.MULTILINE)


def source(package, kernels, mutant):
    """The file in which it is."""
    folder, _, file = mutant.file.partition("/")
    if folder == "kernels":
        return kernels / f"{file}.py"
    if file:
        return package / f"{mutant.file}.py"
    [path] = kernels.rglob(f"{mutant.file}.py")
    return path


#: So many are tried in `make test`, where `make nojit` runs the same tests without a fault.
FAST = [
    "dropped bias",
    "swapped index in log_softmax",
    "dropout does not scale up",
    "adam's second mean",
    "weights not summed by their order",
]


class Copy:
    """A copy of the project in which files are changed."""

    def __init__(self, folder):
        self.root = Path(folder)
        ignore = shutil.ignore_patterns("__pycache__", "_build")
        for folder in ("fastnn", "kernels", "tests", "docs"):
            target = "fastnn/kernels" if folder == "kernels" else folder
            shutil.copytree(ROOT / folder, self.root / target, ignore=ignore)
        for name in ("pyproject.toml", "conftest.py", "README.md"):
            shutil.copy(ROOT / name, self.root)
        self.passed = {}

    def run(self, mutant):
        """Exit status and output of the mutant's tests, as the sources are now."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.root),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NUMBA_CACHE_DIR": str(self.root / "numba"),
            "FASTNN_CACHE_DIR": str(self.root / "cache"),
            "NUMBA_DISABLE_JIT": "0" if mutant.compiled else "1",
        }
        shutil.rmtree(self.root / "numba", ignore_errors=True)  # which does not see a callee's change
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        command += ["-m", "not sweep", *mutant.tests]
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=900
        )
        return done.returncode, done.stdout

    def fault_without(self, mutant):
        """None if the tests pass without the mutant."""
        key = (mutant.tests, mutant.compiled)
        if key not in self.passed:
            self.passed[key] = self.run(mutant)
        return None if self.passed[key][0] == 0 else f"the tests fail without it: {self.passed[key][1]}"

    def fault(self, mutant):
        """None if the tests fail with the mutant, as they should; else what is wrong."""
        package = self.root / "fastnn"
        path = source(package, package / "kernels", mutant)
        text = path.read_text(encoding="utf-8")
        if text.count(mutant.before) != 1:
            return f"{path.name} has {mutant.before!r} {text.count(mutant.before)} times"
        path.write_text(text.replace(mutant.before, mutant.after), encoding="utf-8")
        try:
            status, output = self.run(mutant)
        finally:
            path.write_text(text, encoding="utf-8")
        if status == 0:
            return "it was not noticed"
        # A fault that does not compile, or is no Python, proves nothing.
        if not _DISPROVED.search(output):
            return f"the tests failed, but by no assertion: {output[-2000:]}"
        return None


def main(names):
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(folder)
        for name in names or MUTANTS:
            start = time.perf_counter()
            fault = copy.fault_without(MUTANTS[name]) or copy.fault(MUTANTS[name])
            print(f"{time.perf_counter() - start:6.1f} s  {name}: {fault or 'noticed'}", flush=True)
            missed += [name] if fault else []
    print(f"{len(names or MUTANTS) - len(missed)} of {len(names or MUTANTS)} seeded faults were noticed")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
