"""DQN: a pole is balanced from Python
===================================

An agent learns to balance a pole by DQN, from Python: each step is a call of `partial_fit`.

::

    python examples/dqn.py [--seeds 3] [--frames 60000]

V. Mnih et al., *Human-level control through deep reinforcement learning* (2015).
Random actions cut episodes short. After each one of full length, 100 are played without; these count.
"""

import argparse
import time

import numpy as np
from pole import LONGEST, SOLVED, draw, push, report, reset, seed_compiled

import fastnn as fn

MEMORY, BATCH, EVERY, COPY = 10_000, 64, 4, 50  # frames; samples of a step; frames between steps, and copies
DISCOUNT, EXPLORE, RANDOM, RATE = 0.99, 10_000, 0.02, 0.002


def play(model, episodes=100):
    """Lengths of episodes without random actions: all, or those until they cannot be long enough any more."""
    lengths, state, missing = [], np.empty(4, np.float32), episodes * (LONGEST - SOLVED)
    while len(lengths) < episodes and missing >= 0:
        length, up = 0, True
        reset(state)
        while up and length < LONGEST:
            up = push(state, model.predict(state).argmax())
            length += 1
        lengths.append(length)
        missing -= LONGEST - length
    return lengths


def learn(model, target, seed, frames):
    """Train until 100 episodes are long enough on average; lengths of the episodes, and of the 100."""
    rng, lengths, state, age = np.random.default_rng(seed), [], np.empty(4, np.float32), 0
    x, after = np.empty((MEMORY, 4), np.float32), np.empty((MEMORY, 4), np.float32)
    actions, up = np.empty(MEMORY, np.int64), np.empty(MEMORY, np.float32)
    seed_compiled(seed)
    reset(state)
    for frame in range(frames):
        row, explores = frame % MEMORY, rng.random() < max(RANDOM, 1 - frame / EXPLORE)
        x[row], actions[row] = state, rng.integers(2) if explores else model.predict(state).argmax()
        up[row] = push(state, actions[row])
        after[row], age = state, age + 1
        if frame % COPY == 0:
            target.parameters[...] = model.parameters
        if frame >= 1000 and frame % EVERY == 0:
            rows = rng.integers(min(frame, MEMORY), size=BATCH)
            y = model.predict(x[rows])  # for the actions that were not taken there is no error
            best = target.predict(after[rows]).max(axis=1)
            y[np.arange(BATCH), actions[rows]] = 1 - DISCOUNT + DISCOUNT * up[rows] * best  # from 0 to 1
            model.partial_fit(x[rows], y)
        if not up[row] or age == LONGEST:
            lengths.append(age)
            if age == LONGEST and np.mean(played := play(model)) >= SOLVED:
                return lengths, played
            reset(state)
            age = 0
    return lengths, play(model)


def network(seed):
    """A model of the values of both actions."""
    layers = [fn.Dense(64, "relu"), fn.Dense(64, "relu"), fn.Dense(2)]
    return fn.Model(layers, "mse", fn.Adam(RATE, global_clipnorm=10.0), seed=seed).build(4)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Learn to balance a pole by DQN.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=60_000)
    options = parser.parse_args()
    learn(network(0), network(0), 0, 1100)  # compiles
    runs = []
    for seed in range(options.seeds):
        start = time.perf_counter()
        lengths, played = learn(network(seed), network(seed), seed, options.frames)
        report(seed, lengths, time.perf_counter() - start, played)
        runs.append(lengths)
    draw("dqn.png", runs, over=10)
