"""Neuroevolution: a pole is balanced in one compiled loop
=======================================================

A cart learns to balance a pole by evolution, with network and physics in one compiled loop.

::

    python examples/cartpole.py [--generations 30]

Random changes of the weights are tried in pairs, ahead and back, and the weights move towards the better one.
The picture needs matplotlib; where PyTorch is installed, the same loop is timed with PyTorch's forward pass.
"""

import argparse
import math
import time

import numpy as np
from numba import njit

import fastnn as fn

PAIRS, SIGMA, RATE, LONGEST = 16, 0.3, 0.1, 500


def loop(compiled, forward):
    """Give `evolve`: compiled with `fn.forward`, or plain Python with PyTorch's forward pass."""

    @compiled
    def episode(net, state, push):  # the steps of 0.02 s until the pole falls: Barto, Sutton, Anderson (1983)
        steps, x, speed = 0, 0.0, 0.0
        angle, turning = np.random.uniform(-0.1, 0.1), np.random.uniform(-0.1, 0.1)
        while steps < LONGEST and abs(x) < 2.4 and abs(angle) < 0.21:
            state[0], state[1], state[2], state[3] = x, speed, angle, turning
            forward(net, state, push)
            sine, cosine = math.sin(angle), math.cos(angle)
            force = ((10.0 if push[0] > 0 else -10.0) + 0.05 * turning**2 * sine) / 1.1
            twist = (9.8 * sine - cosine * force) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
            x, angle = x + 0.02 * speed, angle + 0.02 * turning
            speed, turning = speed + 0.02 * (force - 0.05 * twist * cosine / 1.1), turning + 0.02 * twist
            steps += 1
        return steps

    @compiled
    def evolve(net, generations):  # random changes of the weights; gives the mean length of an episode
        np.random.seed(0)
        w, state, push = net.parameters, np.zeros(4, np.float32), np.zeros(1, np.float32)
        means, centre = np.zeros(generations), w.copy()
        for pair in range(PAIRS * generations):
            noise = np.random.normal(0.0, SIGMA, w.size).astype(np.float32)
            w[:] = centre + noise
            ahead = episode(net, state, push)
            w[:] = centre - noise
            back = episode(net, state, push)
            centre += np.float32(RATE / SIGMA * (ahead - back) / (ahead + back)) * noise
            means[pair // PAIRS] += (ahead + back) / (2 * PAIRS)
        w[:] = centre
        return means

    return evolve


def draw(means):
    """Draw how long the pole stays up in each generation."""
    try:
        from matplotlib import pyplot as plt
    except ImportError:
        return
    plt.rcParams.update(fn.plot.style())
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    axes.plot(0.02 * means, "o-", color="C0")
    axes.set(xlabel="generation", ylabel="seconds that the pole stays up", ylim=(0, 10.2))
    figure.savefig("cartpole.png", dpi=120)
    print("cartpole.png")


def time_a_generation(name, evolve, net):
    start = time.perf_counter()
    steps, seconds = 2 * PAIRS * evolve(net, 1).sum(), time.perf_counter() - start
    print(f"{name:8}{2 * PAIRS / seconds:9.0f} episodes/s{steps / seconds:12.0f} steps/s")


# %%
# Sixteen pairs of networks a generation; an episode ends after ten seconds at the latest.
parser = argparse.ArgumentParser(description="Learn to balance a pole.")
parser.add_argument("--generations", type=int, default=30)
model = fn.Model([fn.Dense(16, "tanh"), fn.Dense(1)], seed=0).build(4)
evolve = loop(njit, fn.forward)
means = evolve(model.network(), parser.parse_args().generations)
for generation, mean in enumerate(means):
    print(f"generation {generation:3}: the pole stays up for {0.02 * mean:5.2f} s of 10")
draw(means)

# %%
# How fast is that? One generation more, and one with PyTorch where it is installed.
time_a_generation("fastnn", evolve, model.network())
try:
    import torch
except ImportError:
    print("skipped: PyTorch is not installed")
else:
    w1, b1, w2, b2 = torch.from_numpy(model.parameters).split([64, 16, 16, 1])  # views of the same memory

    def in_pytorch(net, state, push):
        push[0] = (w2 @ torch.tanh(torch.addmv(b1, w1.view(4, 16).T, torch.from_numpy(state))) + b2).item()

    time_a_generation("PyTorch", loop(lambda function: function, in_pytorch), model)
