"""A pendulum whose friction was only measured
===========================================

A differential equation with a network in it: compiled code integrates the equation and calls the network.

::

    python examples/neural_ode.py [--epochs 300]

The network learns the friction from noisy samples. It is then a term of the equation of motion, which is
integrated in compiled code, with the network's forward pass inside. The picture needs matplotlib.
"""

import argparse
import time

import numpy as np
from numba import njit

import fastnn as fn

GRAVITY, STEP = 9.8, 0.01  # m/s^2 by m, and s


@njit
def friction(speed):
    """What the network does not know: it grows with the square of the speed."""
    return 0.1 * speed * np.abs(speed) + 0.3 * np.tanh(5 * speed)


@njit
def true_acceleration(net, angle, speed, x, out):
    return -GRAVITY * np.sin(angle) - friction(speed)


@njit
def learned_acceleration(net, angle, speed, x, out):
    x[0] = speed
    fn.forward(net, x, out)
    return -GRAVITY * np.sin(angle) - out[0]


@njit
def integrate(acceleration, net, angle, speed, steps):
    """Angle and speed after each step, of shape (steps, 2): the classical Runge-Kutta method."""
    x, out, path = np.empty(1, np.float32), np.empty(1, np.float32), np.empty((steps, 2))
    for i in range(steps):
        path[i] = angle, speed
        k1 = acceleration(net, angle, speed, x, out)
        k2 = acceleration(net, angle + STEP / 2 * speed, speed + STEP / 2 * k1, x, out)
        k3 = acceleration(net, angle + STEP / 2 * speed + STEP**2 / 4 * k1, speed + STEP / 2 * k2, x, out)
        k4 = acceleration(net, angle + STEP * speed + STEP**2 / 2 * k2, speed + STEP * k3, x, out)
        angle += STEP * speed + STEP**2 / 6 * (k1 + k2 + k3)
        speed += STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return path


# %%
# First the friction is learned, then it is a term of the equation.
parser = argparse.ArgumentParser(description="Learn a term of a differential equation.")
parser.add_argument("--epochs", type=int, default=300)
epochs = parser.parse_args().epochs
rng = np.random.default_rng(0)
speeds = rng.uniform(-7, 7, (1000, 1))
measured = friction(speeds) + rng.normal(0, 0.1, speeds.shape)
model = fn.Model([fn.Dense(16, "tanh"), fn.Dense(16, "tanh"), fn.Dense(1)], "mse", fn.Adam(0.01), seed=0)
model.fit(speeds, measured, epochs=epochs)

net, start = model.network(), (2.5, 0.0)
expected = integrate(true_acceleration, net, *start, 1000)
integrate(learned_acceleration, net, *start, 1)  # compiles
begin = time.perf_counter()
path = integrate(learned_acceleration, net, *start, 1000)
seconds = time.perf_counter() - begin
print("  time   true angle   with the network")
for i in range(0, 1000, 100):
    print(f"{i * STEP:5.1f} s {expected[i, 0]:11.3f} {path[i, 0]:14.3f}")
print(f"largest error of the angle: {abs(path - expected)[:, 0].max():.3f} rad in 10 s")
print(f"{4 * len(path) / seconds / 1e6:.2f} million evaluations of the network a second, one by one")

# %%
# Left what was learned, right where the pendulum is with it.
try:
    from matplotlib import pyplot as plt
except ImportError:
    raise SystemExit("For a picture, install matplotlib.") from None
plt.rcParams.update(fn.plot.style())
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
speed = np.linspace(-7, 7, 200)[:, np.newaxis]
left.plot(speeds, measured, ".", color="0.5", markersize=3, label="measured")
left.plot(speed, friction(speed), color="C0", label="true friction")
left.plot(speed, model.predict(speed), "--", color="C1", linewidth=2, label="network")
left.set(xlabel="speed, rad/s", ylabel="friction, rad/s$^2$")
time_passed = STEP * np.arange(len(path))
right.plot(time_passed, expected[:, 0], color="C0", label="true friction")
right.plot(time_passed, path[:, 0], "--", color="C1", linewidth=2, label="network")
right.set(xlabel="time, s", ylabel="angle, rad")
for axes in (left, right):
    axes.legend(frameon=False)
figure.savefig("neural_ode.png", dpi=120)
print("neural_ode.png")
