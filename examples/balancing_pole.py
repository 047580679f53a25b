"""A pole that learns to balance
=============================

An animation: a network of 97 numbers pushes a cart, at first badly, and learns by evolution to keep the pole
up.

::

    python examples/balancing_pole.py [--generations 20]

No gradient, no compiled loop: random changes of the weights are tried, and the weights move towards those
that keep the pole up for longer (T. Salimans et al., *Evolution strategies as a scalable alternative to
reinforcement learning*, 2017). The cart is that of pole.py in this folder. It needs matplotlib.
"""

import argparse

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from pole import push, reset, seed_compiled

import fastnn as fn

PAIRS, SIGMA, RATE, LONGEST = 16, 0.3, 0.1, 500

parser = argparse.ArgumentParser(description="Learn to balance a pole, and show it.")
parser.add_argument("--generations", type=int, default=20)
generations = parser.parse_args().generations
model = fn.Model([fn.Dense(16, "tanh"), fn.Dense(1)], seed=0).build(4)
weights, rng = model.parameters, np.random.default_rng(1)


def episode():
    """The states of the cart until the pole falls, or for ten seconds."""
    states, state, up = [], np.empty(4, np.float32), True
    reset(state)
    while up and len(states) < LONGEST:
        states.append(state.copy())
        up = push(state, model.predict(state)[0] > 0)
    return np.array(states)


# %%
# Each pair of episodes tries a random change of the weights, ahead and back. Before the first generation,
# after a quarter of them, and at the end an episode is kept.
seed_compiled(0)
kept = {0: episode()}
for generation in range(1, generations + 1):
    lengths = []
    for _ in range(PAIRS):
        centre, noise = weights.copy(), rng.normal(0, SIGMA, weights.size).astype(np.float32)
        weights[...] = centre + noise
        ahead = len(episode())
        weights[...] = centre - noise
        back = len(episode())
        lengths += [ahead, back]
        weights[...] = centre + RATE / SIGMA * (ahead - back) / (ahead + back) * noise
    print(f"generation {generation:2}: the pole stays up for {0.02 * np.mean(lengths):5.2f} s of 10")
    if generation in (generations // 4, generations):
        kept[generation] = episode()

# %%
# The episodes side by side; a cart whose pole has fallen stands still.
plt.rcParams.update(fn.plot.style())
figure, panels = plt.subplots(1, len(kept), figsize=(9, 1.9), layout="constrained")
poles, clocks = [], []
for axes, generation in zip(panels, kept, strict=True):
    axes.set(title=f"generation {generation}", xlim=(-2.6, 2.6), ylim=(-0.4, 1.6), aspect="equal", yticks=[])
    axes.axhline(-0.12, color="0.5", linewidth=1)
    poles.append(axes.plot([], [], "s-", color="C1", markevery=[0], markersize=12, linewidth=4)[0])
    clocks.append(axes.text(-2.4, 1.3, ""))


def draw(frame):
    """Draw each cart at a moment: 0.16 s later than in the frame before."""
    for states, pole, clock in zip(kept.values(), poles, clocks, strict=True):
        at = min(8 * frame, len(states) - 1)
        place, _, angle, _ = states[at]
        pole.set_data([place, place + np.sin(angle)], [0, np.cos(angle)])
        fell = 8 * frame >= len(states) and len(states) < LONGEST
        clock.set_text(f"{0.02 * at:.1f} s" + (": fallen" if fell else ""))


longest = max(map(len, kept.values()))
animation = FuncAnimation(figure, draw, frames=-(-longest // 8), interval=160, repeat=False)
animation.save("balancing_pole.gif", PillowWriter(fps=6), dpi=80)
figure.savefig("balancing_pole.png", dpi=120)  # the last frame
print("balancing_pole.gif, balancing_pole.png")
