"""PPO: environments and learner in one compiled function
======================================================

An agent learns to balance a pole by PPO, with eight carts side by side.

::

    python examples/ppo.py [--seeds 3] [--rounds 200]

J. Schulman et al., *Proximal policy optimization algorithms* (2017), with the advantages of J. Schulman
et al., *High-dimensional continuous control using generalized advantage estimation* (2016).
"""

import argparse
import math
import time

import numpy as np
from numba import njit
from pole import LONGEST, SOLVED, draw, push, report, reset

import fastnn as fn

CARTS, STEPS = 8, 128  # side by side, and how often each is pushed in a round
ROWS = CARTS * STEPS
EPOCHS, BATCH, RATE = 4, 256, 0.003
DISCOUNT, TRACE, CLIP, ENTROPY = 0.99, 0.95, 0.2, 0.01


@njit
def learn(actor, critic, actor_state, critic_state, seed, rounds, lengths):
    """Train until 100 episodes are long enough on average; write all lengths, and return how many."""
    np.random.seed(seed)
    states, ages, ended = np.empty((CARTS, 4), np.float32), np.zeros(CARTS, np.int64), 0
    for state in states:
        reset(state)
    x, after = np.empty((ROWS, 4), np.float32), np.empty((ROWS, 4), np.float32)
    log_p, actions = np.empty((ROWS, 2), np.float32), np.empty(ROWS, np.int64)
    up, ends = np.empty(ROWS), np.empty(ROWS)
    values, later = np.empty((ROWS, 1), np.float32), np.empty((ROWS, 1), np.float32)
    advantages, targets = np.empty(ROWS, np.float32), np.empty(ROWS, np.float32)
    out, dy = np.empty((BATCH, 2), np.float32), np.empty((BATCH, 2), np.float32)
    for _ in range(rounds):
        for first in range(0, ROWS, CARTS):  # a row for each cart, then the next of each
            x[first : first + CARTS] = states
            fn.forward(actor, states, log_p[first : first + CARTS])
            for cart, row in enumerate(range(first, first + CARTS)):
                actions[row] = fn.sample_categorical(log_p[row], np.random.random())
                up[row] = push(states[cart], actions[row])
                after[row] = states[cart]
                ages[cart] += 1
                ends[row] = up[row] == 0 or ages[cart] == LONGEST
                if ends[row]:
                    lengths[ended], ages[cart] = ages[cart], 0
                    ended += 1
                    reset(states[cart])
        if ended >= 100 and lengths[ended - 100 : ended].mean() >= SOLVED:
            return ended
        fn.forward(critic, x, values)
        fn.forward(critic, after, later)
        for row in range(ROWS - 1, -1, -1):
            following = advantages[row + CARTS] if row + CARTS < ROWS and not ends[row] else 0.0
            error = 1 + DISCOUNT * up[row] * later[row, 0] - values[row, 0]
            advantages[row] = error + DISCOUNT * TRACE * following
            targets[row] = advantages[row] + values[row, 0]
        mean, deviation = advantages.mean(), advantages.std()
        for _ in range(EPOCHS):
            order = np.random.permutation(ROWS)
            for start in range(0, ROWS, BATCH):
                rows = order[start : start + BATCH]
                samples = x[rows]
                fn.forward_train(actor, actor_state, samples, out)
                for i, row in enumerate(rows):  # -mean(min(ratio * A, clipped ratio * A) + ENTROPY * entropy)
                    action, advantage = actions[row], (advantages[row] - mean) / deviation
                    ratio = math.exp(out[i, action] - log_p[row, action])
                    for j in range(2):
                        dy[i, j] = ENTROPY / BATCH * math.exp(out[i, j]) * (out[i, j] + 1)
                    if (ratio < 1 + CLIP) if advantage > 0 else (ratio > 1 - CLIP):
                        dy[i, action] -= ratio * advantage / BATCH
                fn.backward(actor, samples, dy)
                fn.apply_gradient(actor, actor_state)
                fn.train_step(critic, critic_state, samples, targets[rows])
    return ended


def network(last, loss, seed):
    """A model with two hidden layers."""
    layers = [fn.Dense(64, "tanh"), fn.Dense(64, "tanh"), last]
    return fn.Model(layers, loss, fn.Adam(RATE, global_clipnorm=0.5), seed=seed).build(4)


def run(seed, rounds):
    """Lengths of the episodes of a new agent, and seconds."""
    actor, critic = network(fn.Dense(2, "log_softmax"), None, seed), network(fn.Dense(1), "mse", seed)
    networks = actor.network(BATCH), critic.network(BATCH)
    states, lengths = (actor.optimizer_state(), critic.optimizer_state()), np.zeros(ROWS * rounds)
    start = time.perf_counter()
    episodes = learn(*networks, *states, seed, rounds, lengths)
    return lengths[:episodes], time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Learn to balance a pole by PPO.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    run(0, 1)  # compiles
    runs = []
    for seed in range(options.seeds):
        lengths, seconds = run(seed, options.rounds)
        report(seed, lengths, seconds)
        runs.append(lengths)
    draw("ppo.png", runs)
