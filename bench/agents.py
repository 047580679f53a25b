"""Time agents that learn to balance a pole: ``python -m bench.agents``.

The examples reinforce.py and ppo.py, environment and learner in one compiled function, beside the same
algorithms in PyTorch, one thread each: networks, numbers of samples and the compiled environment are the
same. Printed are frames a second of the whole, medians over the rounds. PyTorch is left out where it is not
installed.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.compare import processor

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))  # where the examples find each other
pole: Any = importlib.import_module("pole")
reinforce: Any = importlib.import_module("reinforce")
ppo: Any = importlib.import_module("ppo")


def torch_layers(*sizes: int) -> Any:
    """Dense layers with tanh between them."""
    import torch

    modules: list[Any] = []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        modules += [torch.nn.Linear(n_in, n_out), torch.nn.Tanh()]
    return torch.nn.Sequential(*modules[:-1])


def reinforce_in_torch(seed: int, updates: int) -> int:
    """REINFORCE in PyTorch; how many frames."""
    import torch
    from torch.distributions import Categorical

    torch.manual_seed(seed)
    pole.seed_compiled(seed)
    policy, frames, state = torch_layers(4, 32, 2), 0, np.empty(4, np.float32)
    optimizer = torch.optim.Adam(policy.parameters(), 0.01)
    for _ in range(updates):
        states, actions, gains = [], [], []
        for _ in range(reinforce.EPISODES):
            steps, up = 0, True
            pole.reset(state)
            while up and steps < pole.LONGEST:
                states.append(state.copy())
                with torch.no_grad():
                    action = Categorical(logits=policy(torch.from_numpy(state))).sample().item()
                actions.append(action)
                up = pole.push(state, action)
                steps += 1
            after, gain = [], 0.0
            for _ in range(steps):
                gain = 1 + reinforce.DISCOUNT * gain
                after.append(gain)
            gains += after[::-1]
        frames += len(states)
        weight = torch.tensor(gains)
        weight = (weight - weight.mean()) / weight.std()
        log_p = Categorical(logits=policy(torch.from_numpy(np.array(states)))).log_prob(torch.tensor(actions))
        optimizer.zero_grad()
        (-weight * log_p).mean().backward()
        optimizer.step()
    return frames


def ppo_in_torch(seed: int, rounds: int) -> int:
    """PPO in PyTorch; how many frames."""
    import torch
    from torch.distributions import Categorical

    torch.manual_seed(seed)
    pole.seed_compiled(seed)
    steps, carts, rows = ppo.STEPS, ppo.CARTS, ppo.ROWS
    actor, critic = torch_layers(4, 64, 64, 2), torch_layers(4, 64, 64, 1)
    optimizers = [torch.optim.Adam(net.parameters(), ppo.RATE) for net in (actor, critic)]
    states, ages = np.empty((carts, 4), np.float32), np.zeros(carts, np.int64)
    for state in states:
        pole.reset(state)
    x, after = np.empty((steps, carts, 4), np.float32), np.empty((steps, carts, 4), np.float32)
    actions, old = torch.empty((steps, carts), dtype=torch.int64), torch.empty((steps, carts))
    up, ends = np.empty((steps, carts), np.float32), np.empty((steps, carts), np.float32)
    for _ in range(rounds):
        for t in range(steps):
            x[t] = states
            with torch.no_grad():
                policy = Categorical(logits=actor(torch.from_numpy(states)))
                actions[t] = policy.sample()
                old[t] = policy.log_prob(actions[t])
            for cart, action in enumerate(actions[t].tolist()):
                up[t, cart] = pole.push(states[cart], action)
            after[t] = states
            ages += 1
            ends[t] = (up[t] == 0) | (ages == pole.LONGEST)
            for cart in np.flatnonzero(ends[t]):
                pole.reset(states[cart])
                ages[cart] = 0
        samples = torch.from_numpy(x).reshape(rows, 4)
        with torch.no_grad():
            values = critic(samples).reshape(steps, carts)
            later = critic(torch.from_numpy(after)).reshape(steps, carts)
        errors = 1 + ppo.DISCOUNT * torch.from_numpy(up) * later - values
        advantages, following = torch.empty_like(values), torch.zeros(carts)
        for t in range(steps - 1, -1, -1):
            following = errors[t] + ppo.DISCOUNT * ppo.TRACE * (1 - torch.from_numpy(ends[t])) * following
            advantages[t] = following
        targets, before, taken = (advantages + values).flatten(), old.flatten(), actions.flatten()
        weights = ((advantages - advantages.mean()) / advantages.std()).flatten()
        for _ in range(ppo.EPOCHS):
            for batch in torch.randperm(rows).split(ppo.BATCH):
                policy = Categorical(logits=actor(samples[batch]))
                ratio, weight = (policy.log_prob(taken[batch]) - before[batch]).exp(), weights[batch]
                clipped = ratio.clamp(1 - ppo.CLIP, 1 + ppo.CLIP)
                gain = torch.min(ratio * weight, clipped * weight) + ppo.ENTROPY * policy.entropy()
                losses = (
                    -gain.mean(),
                    torch.nn.functional.mse_loss(critic(samples[batch])[:, 0], targets[batch]),
                )
                for net, optimizer, loss in zip((actor, critic), optimizers, losses, strict=True):
                    optimizer.zero_grad()
                    loss.backward()
                    torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)
                    optimizer.step()
    return rows * rounds


def frames_a_second(agent: Callable[[int, int], Any], seed: int, amount: int) -> float:
    start = time.perf_counter()
    frames = agent(seed, amount)
    return frames / (time.perf_counter() - start)


def compiled_reinforce(seed: int, updates: int) -> int:
    return int(reinforce.run(seed, updates)[0].sum())


def compiled_ppo(seed: int, rounds: int) -> int:
    ppo.run(seed, rounds)
    return int(ppo.ROWS * rounds)


#: Name -> the agent of fastnn, that of PyTorch, how many updates or rounds of each.
AGENTS = {
    "REINFORCE": (compiled_reinforce, reinforce_in_torch, 20, 8),
    "PPO": (compiled_ppo, ppo_in_torch, 20, 3),
}


def main(argv: list[str] | None = None) -> int:
    """Print a line for each agent."""
    parser = argparse.ArgumentParser(prog="python -m bench.agents", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    try:
        import torch

        torch.set_num_threads(1)
    except ImportError:
        torch = None
    print(processor())
    print(f"{'frames/s':12}{'fastnn':>10}{'PyTorch':>10}{'ratio':>8}")
    for name, (ours, theirs, amount, fewer) in AGENTS.items():
        times = []
        ours(0, 1)  # compiles
        if torch is not None:
            theirs(0, 1)
        for seed in range(options.rounds):
            times.append((frames_a_second(ours, seed, amount), 0.0))
            if torch is not None:
                times[-1] = times[-1][0], frames_a_second(theirs, seed, fewer)
        mine, other = median(t[0] for t in times), median(t[1] for t in times)
        shown = f"{other:10.0f}{median(a / b for a, b in times):8.1f}" if torch is not None else "   skipped"
        print(f"{name:12}{mine:10.0f}{shown}")
    if torch is None:
        print("skipped: PyTorch is not installed")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
