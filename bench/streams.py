"""What a sample of a stream costs: learned and predicted one by one, beside river's networks and PyTorch.

    python -m bench.streams

A regression of 10 features by 10-20-1 and 10-100-1, Adam, in one process and one thread; peers make blocks
of calls in turns. Printed are medians over the rounds, microseconds a sample. Peers that are not installed
are left out by name: river 0.22 has networks of its own, 0.26 has none.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

NAMES = [f"feature {i}" for i in range(10)]
HIDDEN = (20, 100)
Learner = tuple[Callable[[dict[str, float], float], Any], Callable[[dict[str, float]], Any]]


def make_fastnn(hidden: int) -> Learner:
    from fastnn.river import MLPRegressor

    model = MLPRegressor((hidden,), learning_rate_init=0.01, seed=0)
    return model.learn_one, model.predict_one


def make_river_network(hidden: int) -> Learner:
    from river import neural_net, optim

    relu, identity = neural_net.activations.ReLU, neural_net.activations.Identity
    model = neural_net.MLPRegressor(
        hidden_dims=(hidden,), activations=(relu, relu, identity), optimizer=optim.Adam(0.01), seed=1
    )
    return model.learn_one, model.predict_one


def make_river_linear(hidden: int) -> Learner:
    from river import linear_model, optim

    model = linear_model.LinearRegression(optim.Adam(0.01))
    return model.learn_one, model.predict_one


def make_torch(hidden: int) -> Learner:
    """A step as adapters of PyTorch for river make it: a dictionary to a tensor, and back."""
    import torch

    torch.set_num_threads(1)
    network = torch.nn.Sequential(torch.nn.Linear(10, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 1))
    optimizer = torch.optim.Adam(network.parameters(), 0.01)

    def tensor(x: dict[str, float]) -> torch.Tensor:
        return torch.tensor([list(x.values())], dtype=torch.float32)

    def learn(x: dict[str, float], y: float) -> None:
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(network(tensor(x)), torch.tensor([[y]])).backward()
        optimizer.step()

    def predict(x: dict[str, float]) -> float:
        with torch.inference_mode():
            return network(tensor(x)).item()

    return learn, predict


def has(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


PEERS = {
    "fastnn": (make_fastnn, "river.utils.dataframe"),
    "river's network": (make_river_network, "river.neural_net"),
    "river's linear model": (make_river_linear, "river"),
    "PyTorch": (make_torch, "torch"),
}


def measured(hidden: int, rounds: int, block: int) -> dict[str, list[float]]:
    """Microseconds a sample of each installed peer: learned, and predicted."""
    rng = np.random.default_rng(0)
    samples = [dict(zip(NAMES, row, strict=True)) for row in rng.normal(size=(block, 10)).tolist()]
    targets = [x["feature 0"] * x["feature 1"] for x in samples]
    peers = {name: make(hidden) for name, (make, module) in PEERS.items() if has(module)}
    times: dict[str, list[list[float]]] = {name: [] for name in peers}
    for k in range(rounds + 1):
        for name, (learn, predict) in peers.items():
            start = time.perf_counter()
            for x, y in zip(samples, targets, strict=True):
                learn(x, y)
            middle = time.perf_counter()
            for x in samples:
                predict(x)
            if k:  # the first round is to warm up
                end = time.perf_counter()
                times[name].append([1e6 * (middle - start) / block, 1e6 * (end - middle) / block])
    return {name: [median(column) for column in zip(*rows, strict=True)] for name, rows in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--block", type=int, default=200, help="samples a round")
    arguments = parser.parse_args()
    left_out = [name for name, (_, module) in PEERS.items() if not has(module)]
    if left_out:
        print(f"not installed: {', '.join(left_out)}")
    print(f"{'network':<10} {'':<22} {'learn_one':>10} {'predict_one':>12}   us")
    for hidden in HIDDEN:
        for name, (learned, predicted) in measured(hidden, arguments.rounds, arguments.block).items():
            print(f"{f'10-{hidden}-1':<10} {name:<22} {learned:>10.1f} {predicted:>12.1f}")


if __name__ == "__main__":
    main()
