"""CartPole-v1, compiled: a cart is pushed left or right, so that the pole on it stays up.

A. Barto, R. Sutton, C. Anderson, *Neuronlike adaptive elements that can solve difficult learning control
problems* (1983), with the constants of Gymnasium. reinforce.py, ppo.py and dqn.py learn to do it.
"""

import math

import numpy as np
from numba import njit

import fastnn as fn

COLOURS, LINES = ("C0", "C1", "C2", "C6"), ("-", "--", "-.", ":")  # of seeds
LONGEST, SOLVED = 500, 475  # pushes of an episode; the mean of 100 episodes that is asked for


@njit
def reset(state):
    """Write a first state: place and speed of the cart, angle and speed of the pole."""
    for i in range(4):
        state[i] = np.random.uniform(-0.05, 0.05)


@njit
def push(state, right):
    """Write the state 0.02 s later; whether the cart is still on its track and the pole up."""
    place, speed, angle, turning = state
    sine, cosine = math.sin(angle), math.cos(angle)
    force = ((10.0 if right else -10.0) + 0.05 * turning**2 * sine) / 1.1
    twist = (9.8 * sine - cosine * force) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
    state[0], state[1] = place + 0.02 * speed, speed + 0.02 * (force - 0.05 * twist * cosine / 1.1)
    state[2], state[3] = angle + 0.02 * turning, turning + 0.02 * twist
    return abs(state[0]) <= 2.4 and abs(state[2]) <= math.radians(12)


@njit
def seed_compiled(number):
    """Seed the random numbers of compiled code."""
    np.random.seed(number)


def report(seed, lengths, seconds, last=None):
    """Print what an agent learned, by its episodes, or by the `last` ones, played without learning."""
    frames, last = int(sum(lengths)), lengths[-100:] if last is None else last
    solved = "solved" if len(last) >= 100 and np.mean(last) >= SOLVED else "not solved"
    print(
        f"seed {seed}: {solved} after {len(lengths)} episodes, {frames} frames, {seconds:.2f} s, "
        f"{frames / seconds:.0f} frames/s; the last {len(last)} have {np.mean(last):.1f}"
    )


def draw(file, runs, over=100):
    """Draw the mean of so many last episodes over the frames, for the lengths of episodes of each run."""
    try:
        from matplotlib import pyplot as plt
    except ImportError:
        print("the picture needs matplotlib")
        return
    plt.rcParams.update(fn.plot.style())
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for number, lengths in enumerate(runs):
        sums = np.cumsum([0, *lengths])
        ends = np.arange(1, len(sums))
        starts = np.maximum(ends - over, 0)
        axes.plot(
            sums[1:] / 1000,
            (sums[ends] - sums[starts]) / (ends - starts),
            color=COLOURS[number % 4],
            linestyle=LINES[number % 4],
            label=f"seed {number}",
        )
    axes.axhline(SOLVED, color="0.5", linestyle="--", linewidth=1)
    axes.set(
        xlabel="thousands of frames", ylabel=f"mean return of the last {over} episodes", ylim=(0, LONGEST)
    )
    axes.legend(frameon=False)
    figure.savefig(file, dpi=120)
    print(f"drawn: {file}")
