"""Rabbits and foxes: a learned equation behind a C pointer
========================================================

A network learns the right-hand side of a differential equation, and integrators call it by a C pointer.

::

    python examples/learned_ode.py [--epochs 800]

Rabbits and foxes (A. Lotka 1925, V. Volterra 1926): from measurements with noise a network learns how fast
their numbers change. `Model.c_function` gives its address. SciPy's `solve_ivp` takes Python functions, so it
calls the address through ctypes; a program in C, compiled here if there is a compiler, calls it without
Python. (`quad` and `nquad` of SciPy take it as it is: see docs/compiled_code.md.) The picture needs
matplotlib.
"""

import argparse
import ctypes
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

import fastnn as fn

START, END, STEPS = (1.5, 0.6), 15.0, 1500
RUNGE_KUTTA = """
#include <stdint.h>

typedef void (*network)(int64_t n, const double *x, double *out, void *data);

void integrate(network f, void *data, int64_t steps, double h, double *states)  // a row of two for each step
{
    for (int64_t i = 0; i < steps; i++, states += 2) {
        double k[4][2], at[2];
        for (int stage = 0; stage < 4; stage++) {
            double ahead = stage == 0 ? 0 : stage == 3 ? h : h / 2;
            for (int j = 0; j < 2; j++)
                at[j] = states[j] + (stage == 0 ? 0 : ahead * k[stage - 1][j]);
            f(1, at, k[stage], data);
        }
        for (int j = 0; j < 2; j++)
            states[2 + j] = states[j] + h / 6 * (k[0][j] + 2 * k[1][j] + 2 * k[2][j] + k[3][j]);
    }
}
"""


def change(rabbits, foxes):
    """How fast the numbers of animals, in thousands, change."""
    return np.stack([rabbits * (1 - foxes), foxes * (rabbits - 1)], axis=-1)


def compile_integrator(folder):
    """The function `integrate` in C; None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    source, library = folder / "integrate.c", folder / "integrate.so"
    source.write_text(RUNGE_KUTTA)
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    integrate, pointer = ctypes.CDLL(str(library)).integrate, ctypes.c_void_p
    integrate.argtypes, integrate.restype = (pointer, pointer, ctypes.c_int64, ctypes.c_double, pointer), None
    return integrate


def timed(what, call, true):
    """Print how long a call took, and how far its states are from the true ones."""
    call()
    start = time.perf_counter()
    states = call()
    seconds = time.perf_counter() - start
    print(f"{what:44}{1e3 * seconds:8.2f} ms, largest error {np.abs(states - true).max():.3f}")
    return states


# %%
# Learn how fast the numbers change.
parser = argparse.ArgumentParser(description="Integrate a learned right-hand side.")
parser.add_argument("--epochs", type=int, default=800)
epochs = parser.parse_args().epochs
rng = np.random.default_rng(0)
X = rng.uniform(0.2, 2.5, size=(4000, 2))
y = change(*X.T) + rng.normal(scale=0.02, size=X.shape)
optimizer = fn.Adam(fn.schedules.cosine(0.01, steps=40 * epochs))
model = fn.Model([fn.Dense(32, "tanh"), fn.Dense(2)], "mse", optimizer, dtype="float64", seed=0)
model.fit(X, y, epochs=epochs, batch_size=100, verbose=0)
error = np.sqrt(np.mean((model.predict(X) - change(*X.T)) ** 2))
print(f"learned from {len(X)} measurements: the noise is 0.02, the error of the network {error:.4f}")

# %%
# Three integrators: SciPy with `predict`, SciPy with the address, and C with the address.
f = model.c_function()
times = np.linspace(0, END, STEPS + 1)
options = {"t_span": (0, END), "y0": START, "t_eval": times, "rtol": 1e-8, "atol": 1e-8}
true = solve_ivp(lambda t, state: change(*state), **options).y.T
at, slope = np.empty(2), np.empty(2)
addresses = at.ctypes.data, slope.ctypes.data


def by_pointer(t, state):
    at[:] = state
    f.function(1, *addresses, f.data)
    return slope.copy()


timed(
    "solve_ivp, model.predict", lambda: solve_ivp(lambda t, state: model.predict(state), **options).y.T, true
)
found = timed("solve_ivp, the pointer through ctypes", lambda: solve_ivp(by_pointer, **options).y.T, true)
with tempfile.TemporaryDirectory() as folder:
    integrate = compile_integrator(Path(folder))
    if integrate is None:
        print("skipped: there is no C compiler")
    else:
        states = np.empty((STEPS + 1, 2))
        states[0] = START

        def in_c():
            integrate(f.address, f.data, STEPS, END / STEPS, states.ctypes.data)
            return states

        timed(f"Runge-Kutta in C, {STEPS} steps", in_c, true)

# %%
# The numbers of animals in the course of time.
try:
    from matplotlib import pyplot as plt
except ImportError:
    raise SystemExit("For a picture, install matplotlib.") from None
plt.rcParams.update(fn.plot.style())
figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
for k, (name, colour) in enumerate([("rabbits", "C0"), ("foxes", "C1")]):
    axes.plot(times, true[:, k], color=colour, linewidth=1, label=f"{name}, true equation")
    axes.plot(times, found[:, k], "--", color=colour, linewidth=3, alpha=0.6, label=f"{name}, learned")
axes.set(xlabel="time", ylabel="thousands of animals")
axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
figure.savefig("learned_ode.png", dpi=120)
print("learned_ode.png")
