"""Build the distribution, look into the wheel, install it into a fresh environment and use it there.

With ``--prebuilt`` the wheel brings compiled kernels along, and nothing may be compiled there.

The wheel is built from the source distribution, so that nothing left behind in the folder gets into it
and a file missing from the source distribution is noticed. Nothing is written into the repository but
the metadata folder of setuptools.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Run by the fresh environment's Python, in a folder of its own.
SMOKE_TEST = """
import importlib.util, sys
from pathlib import Path
import numpy as np
import fastnn as fn

assert Path(fn.__file__).is_relative_to(sys.prefix), fn.__file__
assert importlib.util.find_spec("kernels") is None, "a top-level package `kernels` was installed"
X, y = fn.datasets.digits()
model = fn.Model([fn.Dense(32, "relu"), fn.Dense(10)], loss="cross_entropy", optimizer=fn.Adam(1e-2), seed=0)
history = model.fit(X / 16, y, epochs=5, batch_size=32, verbose=0).history
accuracy = model.evaluate(X / 16, y)["accuracy"]
assert accuracy > 0.9, accuracy
assert history["loss"][-1] < history["loss"][0], history["loss"]
model.save("model.safetensors")
assert np.array_equal(fn.load("model.safetensors").predict(X / 16), model.predict(X / 16))
import fastnn.kernels
assert Path(fastnn.kernels.__file__).is_relative_to(sys.prefix), fastnn.kernels.__file__
print(f"installed wheel: digits trained to {accuracy:.3f} accuracy, saved and loaded")
"""
# The same, and what a wheel with compiled kernels promises: a first fit from an empty cache, without Numba.
FIRST_FIT = f"""
import sys, time
start = time.perf_counter()
{SMOKE_TEST.partition("import fastnn.kernels")[0]}
from fastnn.compiler import loader, prebuilt
assert loader.compilations == 0 and "numba" not in sys.modules, prebuilt.fault()
seconds = time.perf_counter() - start
print(f"a first run with the kernels for {{prebuilt.level()}}, nothing compiled: {{seconds:.2f}} s")
"""
FEWEST_KERNELS, LARGEST_WHEEL = 500, 8_000_000


def expected_files() -> set[str]:
    """Return the paths that the wheel must hold, from the sources in the repository."""
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "fastnn").rglob("*.py")}
    kernels = ROOT / "kernels"
    sources |= {f"fastnn/kernels/{path.relative_to(kernels).as_posix()}" for path in kernels.rglob("*.py")}
    sources |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "fastnn" / "resources").iterdir()}
    return sources | {"fastnn/py.typed"}


def check_contents(wheel: Path) -> None:
    """Exit if the wheel lacks a source file or holds another top-level package."""
    names = set(zipfile.ZipFile(wheel).namelist())
    packages = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    if packages != {"fastnn"}:
        raise SystemExit(f"{wheel.name} must hold one top-level package, fastnn; it holds {sorted(packages)}")
    if missing := expected_files() - names:
        raise SystemExit(f"{wheel.name} lacks {sorted(missing)}")
    print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size / 1e3:.0f} kB, all of them under fastnn/")


def check_prebuilt(wheel: Path) -> None:
    """Exit if the wheel does not bring kernels along, or is too large."""
    kernels = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".o")]
    if len(kernels) < FEWEST_KERNELS or wheel.stat().st_size > LARGEST_WHEEL:
        raise SystemExit(f"{wheel.name} has {len(kernels)} kernels and {wheel.stat().st_size} bytes")
    print(f"{wheel.name}: {len(kernels)} compiled kernels")


def check_installed(wheel: Path, folder: Path, smoke_test: str = SMOKE_TEST) -> None:
    """Install the wheel into a new environment below `folder` and run the smoke test in another folder."""
    environment, elsewhere = folder / "environment", folder / "elsewhere"
    elsewhere.mkdir()
    venv.create(environment, with_pip=True)
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel]
    if subprocess.run(install).returncode != 0:
        raise SystemExit(f"{wheel.name} could not be installed")
    caches = {"FASTNN_CACHE_DIR": str(folder / "cache"), "NUMBA_CACHE_DIR": str(folder / "numba")}
    # -I: neither the current folder nor PYTHONPATH may lend the installed package a file.
    command = [python, "-W", "error", "-I", "-c", smoke_test]
    if subprocess.run(command, cwd=elsewhere, env=os.environ | caches).returncode != 0:
        raise SystemExit(f"{wheel.name} is installed but failed the smoke test")


def main() -> None:
    """Build, look, install, use."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prebuilt", action="store_true", help="with compiled kernels in the wheel")
    prebuilt = parser.parse_args().prebuilt
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        build = [sys.executable, "-m", "build", "--outdir", folder, ROOT]
        build += ["--config-setting", "kernels=prebuilt"] if prebuilt else []
        built = subprocess.run(build, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if built.returncode != 0:
            raise SystemExit(f"{built.stdout}\nthe build failed with status {built.returncode}")
        (wheel,) = folder.glob("*.whl")
        check_contents(wheel)
        if prebuilt:
            check_prebuilt(wheel)
        check_installed(wheel, folder, FIRST_FIT if prebuilt else SMOKE_TEST)


if __name__ == "__main__":
    main()
