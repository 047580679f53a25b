"""The tests in environments of their own: other versions of Python, oldest and newest packages.

    nox                       all sessions, of which those whose Python is missing are skipped
    nox -s "tests(oldest)"    one of them
    nox -- tests/training/test_fit.py  only some tests

Nox finds a Python by its name, ``python3.12``, on the PATH. Each environment has compiled code of its own.
"""

import re
import tomllib
from pathlib import Path

import nox

nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True

ROOT = Path(__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Python versions that are tested with the packages that pip chooses.
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
#: The dependencies of the core, and the oldest version of each that is asked for.
CORE = dict(re.fullmatch(r"([\w-]+)>=([\d.]+)", entry).groups() for entry in PROJECT["dependencies"])
OLDEST = [f"{name}=={version}" for name, version in CORE.items()]


def run_tests(session, *arguments):
    """Run pytest, with caches of this environment."""
    folder = Path(session.virtualenv.location).resolve() / "caches"
    environment = {"FASTNN_CACHE_DIR": f"{folder}/fastnn", "NUMBA_CACHE_DIR": f"{folder}/numba"}
    session.run("python", "-m", "pip", "list", "--format=freeze", silent=False)
    session.run("python", "-m", "pytest", *arguments, *session.posargs, env=environment)


@nox.session
@nox.parametrize(
    ("python", "pins"),
    [
        *(nox.param(version, [], id=version) for version in PYTHONS),
        nox.param("3.11", OLDEST, id="oldest"),
        nox.param("3.14", ["--upgrade", "llvmlite", *CORE], id="newest"),
    ],
)
def tests(session, pins):
    """All tests, with the oldest or newest packages of the core, or with those that pip chooses."""
    session.install("--editable", ".[onnx,plot,scipy,sklearn,test]", *pins)
    run_tests(session)


@nox.session(python=["3.11", "3.14t"])
def core(session):
    """The tests that need no extra, without any extra installed; also without the GIL.

    For 3.14t, the free-threaded build, NumPy, Numba and llvmlite have wheels. safetensors has none and is
    built from its sources, for which Rust must be installed.
    """
    session.install("--editable", ".", "hypothesis", "pytest")
    run_tests(
        session,
        "tests/training/test_fit.py",
        "tests/io/test_saving.py",
        "tests/io/test_damaged_saves.py",
        "tests/integration/test_model.py",
    )
