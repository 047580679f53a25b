"""A network leaves Python: it learns a wave, and a C and a Fortran program run it.

The programs are c_program.c and c_program.f90 in this folder; they are compiled by gcc and gfortran where
these are found.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import fastnn as fn

HERE = Path(__file__).parent

x = np.linspace(0, 6, 200).reshape(-1, 1)
y = 5 + np.sin(x)
layers = [fn.Standardize(), fn.Dense(16, "tanh"), fn.Dense(16, "tanh"), fn.Dense(1), fn.Unscale()]
model = fn.Model(layers, loss="mse", seed=0)
model.fit(x, y, epochs=200, batch_size=20)

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
