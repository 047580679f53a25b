"""REINFORCE: the shortest policy gradient
=======================================

An agent learns to balance a pole by REINFORCE, with environment and learner in one compiled function.

::

    python examples/reinforce.py [--seeds 3] [--updates 300]

R. Williams, *Simple statistical gradient-following algorithms for connectionist reinforcement learning*
(1992): each step follows the derivatives of log-probabilities of actions taken, times what came after.
"""

import argparse
import time

import numpy as np
from numba import njit
from pole import LONGEST, SOLVED, draw, push, report, reset

import fastnn as fn

EPISODES, DISCOUNT = 16, 0.99  # episodes of an update
ROWS = EPISODES * LONGEST


@njit
def learn(policy, optimizer, seed, updates, lengths):
    """Train until 100 episodes are long enough on average; write all lengths, and return how many."""
    np.random.seed(seed)
    state, log_p = np.empty(4, np.float32), np.empty(2, np.float32)
    x, actions, gains = np.empty((ROWS, 4), np.float32), np.empty(ROWS, np.int64), np.empty(ROWS)
    out, dy = np.empty((ROWS, 2), np.float32), np.empty((ROWS, 2), np.float32)
    for update in range(updates):
        n, ended = 0, EPISODES * (update + 1)
        for episode in range(ended - EPISODES, ended):
            start, up = n, True
            reset(state)
            while up and n < start + LONGEST:
                x[n] = state
                fn.forward(policy, state, log_p)
                actions[n] = fn.sample_categorical(log_p, np.random.random())
                up = push(state, actions[n])
                n += 1
            lengths[episode] = n - start
            gain = 0.0
            for t in range(n - 1, start - 1, -1):
                gain = 1 + DISCOUNT * gain
                gains[t] = gain
        if ended >= 100 and lengths[ended - 100 : ended].mean() >= SOLVED:
            return ended
        mean, scale = gains[:n].mean(), n * gains[:n].std()
        fn.forward_train(policy, optimizer, x[:n], out[:n])
        dy[:n] = 0
        for t in range(n):  # of -mean(gain * log p(action)), where gains have mean 0 and deviation 1
            dy[t, actions[t]] = (mean - gains[t]) / scale
        fn.backward(policy, x[:n], dy[:n])
        fn.apply_gradient(policy, optimizer)
    return EPISODES * updates


def run(seed, updates):
    """Lengths of the episodes of a new agent, and seconds."""
    model = fn.Model([fn.Dense(32, "tanh"), fn.Dense(2, "log_softmax")], optimizer=fn.Adam(0.01), seed=seed)
    model.build(4)
    policy, optimizer, lengths = model.network(ROWS), model.optimizer_state(), np.zeros(EPISODES * updates)
    start = time.perf_counter()
    episodes = learn(policy, optimizer, seed, updates, lengths)
    return lengths[:episodes], time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Learn to balance a pole by REINFORCE.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=300)
    options = parser.parse_args()
    run(0, 1)  # compiles
    runs = []
    for seed in range(options.seeds):
        lengths, seconds = run(seed, options.updates)
        report(seed, lengths, seconds)
        runs.append(lengths)
    draw("reinforce.png", runs)
