"""Build the distribution, look into the wheel, install it into a fresh environment and use it there.

With ``--release``, as for a release: what builds it is pinned in ``packaging/build-requirements.txt``; the
wheel brings compiled kernels along, and nothing may be compiled in its environment; the source distribution
is installed into another one and used there. Both stay in the folder ``dist``, with a list of what the
wheel's environment consists of, a software bill of materials in CycloneDX's form.

The wheel is built from the source distribution, so that nothing left behind in the folder gets into it
and a file missing from the source distribution is noticed. Nothing else is written into the repository but
the metadata folder of setuptools.
"""

import argparse
import json
import os
import shutil
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
print(f"installed: digits trained to {accuracy:.3f} accuracy, saved and loaded")
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
PINS = ROOT / "packaging" / "build-requirements.txt"
# Packages of the environment itself, which fastnn does not need.
OF_THE_ENVIRONMENT = {"pip", "setuptools"}


def expected_files() -> set[str]:
    """Return the paths that the wheel must hold, from the sources in the repository."""
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "fastnn").rglob("*.py")}
    kernels = ROOT / "kernels"
    sources |= {f"fastnn/kernels/{path.relative_to(kernels).as_posix()}" for path in kernels.rglob("*.py")}
    for folder in ("resources", "playground/page"):
        sources |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "fastnn" / folder).iterdir()}
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


def new_environment(folder: Path, *requirements: str | Path) -> Path:
    """Make an environment in a folder that is not there yet, install into it, and return its Python."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    if subprocess.run(install).returncode != 0:
        raise SystemExit(f"{' '.join(map(str, requirements))} could not be installed")
    return python


def check_installed(archive: Path, folder: Path, smoke_test: str = SMOKE_TEST) -> Path:
    """Install a wheel or a source distribution and run the smoke test in a folder; return its Python."""
    python = new_environment(folder / "environment", archive)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    caches = {"FASTNN_CACHE_DIR": str(folder / "cache"), "NUMBA_CACHE_DIR": str(folder / "numba")}
    # -I: neither the current folder nor PYTHONPATH may lend the installed package a file.
    command = [python, "-W", "error", "-I", "-c", smoke_test]
    if subprocess.run(command, cwd=elsewhere, env=os.environ | caches).returncode != 0:
        raise SystemExit(f"{archive.name} is installed but failed the smoke test")
    return python


def write_materials(python: Path, path: Path, tool: Path) -> None:
    """Write what an environment consists of; exit if that is not fastnn with all that it depends on."""
    command = [tool, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--output-file", path]
    listed = "import importlib.metadata as m; print(*{d.name.lower() for d in m.distributions()})"
    subprocess.run([*command, python], check=True)
    there = subprocess.run([python, "-I", "-c", listed], check=True, stdout=subprocess.PIPE, text=True)
    content = json.loads(path.read_text(encoding="utf-8"))
    named = {component["name"].lower() for component in content["components"]}
    if missing := set(there.stdout.split()) - named:
        raise SystemExit(f"{path.name} does not name {sorted(missing)}")
    print(f"{path.name}: {', '.join(sorted(named - OF_THE_ENVIRONMENT))}")


def build(python: str | Path, folder: Path, *options: str) -> tuple[Path, Path]:
    """Build the source distribution, and a wheel from it; return their paths."""
    command = [python, "-m", "build", "--outdir", folder, *options, ROOT]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}\nthe build failed with status {done.returncode}")
    (archive,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return archive, wheel


def check_release(folder: Path) -> None:
    """Build as for a release, check both files, and leave them in ``dist`` with the list of materials."""
    builder = new_environment(folder / "builder", "--require-hashes", "--requirement", PINS)
    built = folder / "built"
    archive, wheel = build(builder, built, "--no-isolation", "--config-setting", "kernels=prebuilt")
    check_contents(wheel)
    check_prebuilt(wheel)
    for place in ("from_wheel", "from_source"):
        (folder / place).mkdir()
    python = check_installed(wheel, folder / "from_wheel", FIRST_FIT)
    check_installed(archive, folder / "from_source")
    tool = new_environment(folder / "tool", "cyclonedx-bom>=7.0")
    write_materials(python, built / f"{wheel.stem}.cdx.json", tool)
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    shutil.copytree(built, dist)
    print(f"dist/ holds {', '.join(sorted(path.name for path in dist.iterdir()))}")


def main() -> None:
    """Build, look, install, use."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--release", action="store_true", help="as for a release, with compiled kernels")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        if parser.parse_args().release:
            check_release(folder)
        else:
            _, wheel = build(sys.executable, folder / "built")
            check_contents(wheel)
            check_installed(wheel, folder)


if __name__ == "__main__":
    main()
