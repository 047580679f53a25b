"""A network leaves Python: C and Fortran
======================================

A network learns a wave, and a C and a Fortran program run it.

::

    python examples/c_program.py

The programs are c_program.c and c_program.f90 in this folder; they are compiled by gcc and gfortran where
these are found. The picture needs matplotlib.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import fastnn as fn

HERE = Path(sys.argv[0]).parent

x = np.linspace(0, 6, 200).reshape(-1, 1)
y = 5 + np.sin(x)
layers = [fn.Standardize(), fn.Dense(16, "tanh"), fn.Dense(16, "tanh"), fn.Dense(1), fn.Unscale()]
model = fn.Model(layers, loss="mse", seed=0)
model.fit(x, y, epochs=200, batch_size=20)

# %%
# Each program prints what the network says at 0, 1, 2 and 3.
said = {}
with tempfile.TemporaryDirectory() as folder:
    written = model.to_c(Path(folder) / "wave.h", fortran=True)
    for path in written.paths:
        print(f"{Path(path).name}: {Path(path).stat().st_size} bytes")
    print("Python: ", *(f"{model.predict([at])[0]:.4f}" for at in (0.0, 1.0, 2.0, 3.0)))
    for name in ("c_program.c", "c_program.f90"):
        shutil.copy(HERE / name, folder)
    steps = {
        "C: ": ["gcc -O2 c_program.c -o c_program"],
        "Fortran: ": [
            "gcc -O2 -DWAVE_API= -c -x c wave.h -o wave.o",
            "gfortran -O2 wave.f90 c_program.f90 wave.o -o c_program",
        ],
    }
    for language, commands in steps.items():
        programs = {command.split()[0] for command in commands}
        if missing := [program for program in programs if shutil.which(program) is None]:
            print(f"{language} {missing[0]} is not installed")
            continue
        for command in commands:
            subprocess.run(command.split(), cwd=folder, check=True)
        done = subprocess.run([Path(folder) / "c_program"], capture_output=True, text=True, check=True)
        print(language, " ".join(done.stdout.split()))
        said[language.strip(": ")] = [float(number) for number in done.stdout.split()]

# %%
# Python's network as a line, and what the programs said of it.
try:
    from matplotlib import pyplot as plt
except ImportError:
    raise SystemExit("For a picture, install matplotlib.") from None
plt.rcParams.update(fn.plot.style())
figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
axes.plot(x, y, color="0.5", linestyle="--", label="the wave")
axes.plot(x, model.predict(x), color="C0", label="the network in Python")
for (language, numbers), marker, size in zip(said.items(), "ox", (11, 8), strict=False):
    axes.plot(range(4), numbers, marker, markersize=size, color="C1", fillstyle="none", label=language)
axes.set(xlabel="x", ylabel="y")
axes.legend(frameon=False)
figure.savefig("c_program.png", dpi=120)
print("c_program.png")
