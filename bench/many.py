"""Time many small networks trained at once: ``python -m bench.many``.

The networks of the workload ``digits`` with as many learning rates, trained one after the other by
`Model.fit`, at once by `fastnn.fit_many`, and one after the other by PyTorch, where it is installed.
All take turns in one process, and ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import numpy as np

import fastnn as fn
from bench import compare, peers
from bench.workloads import WORKLOADS, loss_of, make_data, make_weights

DIGITS = WORKLOADS["digits"]
X, Y = make_data(DIGITS)


def rates(count: int) -> list[float]:
    """Learning rates from 1e-4 to 1e-2."""
    return np.geomspace(1e-4, 1e-2, count).tolist()


def networks(peer: str, learning_rates: list[float], threads: int | None = None) -> list[peers.Trainer]:
    """A network of a peer's for each rate, all from the same initial weights."""
    trainer = peers.installed()[peer]
    rows = [replace(DIGITS, learning_rate=rate) for rate in learning_rates]
    return [trainer(row, X, Y, make_weights(row), threads) for row in rows]


def one_after_the_other(trainees: list[peers.Trainer], epochs: int) -> None:
    for trainee in trainees:
        trainee.run(epochs)


def at_once(trainees: list[peers.Trainer], epochs: int) -> None:
    models = [trainee.model for trainee in trainees]
    fn.fit_many(models, X, Y, epochs=epochs, batch_size=DIGITS.batch, verbose=0)


def seconds(train: Callable[..., None], trainees: list[peers.Trainer], epochs: int) -> float:
    """Time a network's training takes, in the mean."""
    time.sleep(compare.PAUSE)
    start = time.perf_counter()
    train(trainees, epochs)
    return (time.perf_counter() - start) / len(trainees)


def mean_loss(trainees: list[peers.Trainer]) -> float:
    return float(np.mean([loss_of(DIGITS, trainee.weights(), X, Y) for trainee in trainees]))


def main(argv: list[str] | None = None) -> int:
    """Print the times and the ratios."""
    parser = argparse.ArgumentParser(prog="python -m bench.many", description=__doc__)
    parser.add_argument("--networks", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--torch-networks", type=int, default=4, help="trained by PyTorch in each round")
    options = parser.parse_args(argv)
    learning_rates = rates(options.networks)
    some = learning_rates[:: max(1, options.networks // max(1, options.torch_networks))]
    torch = "PyTorch" in peers.installed() and options.torch_networks > 0

    print(compare.processor())
    print(f"{options.networks} networks {DIGITS.network()}, {options.epochs} epochs, batch {DIGITS.batch}")
    one_after_the_other(networks("fastnn", learning_rates[:1]), 1)  # compiles, or loads
    times: dict[str, list[float]] = {"one": [], "all": [], "torch": []}
    for _ in range(options.rounds):
        alone, together = networks("fastnn", learning_rates), networks("fastnn", learning_rates)
        for trainee in alone + together:
            trainee.model.state.seed = 0  # the same orders of the samples
        times["one"].append(seconds(one_after_the_other, alone, options.epochs))
        times["all"].append(seconds(at_once, together, options.epochs))
        for a, b in zip(alone, together, strict=True):
            np.testing.assert_array_equal(a.model.parameters, b.model.parameters)
        if torch:  # more threads slow it down: a network is too small for them
            by_torch = networks("PyTorch", some, threads=1)
            times["torch"].append(seconds(one_after_the_other, by_torch, options.epochs))
            expected = mean_loss([trainee for trainee in alone if trainee.workload.learning_rate in some])
            np.testing.assert_allclose(mean_loss(by_torch), expected, rtol=0.1)

    names = {"one": "fastnn, one after the other", "all": "fastnn.fit_many", "torch": "PyTorch, the same"}
    print(f"  {'':30}{'ms a network':>14}{'fit_many is':>20}")
    for key, taken in times.items():
        if taken:
            ratio = median(t / own for t, own in zip(taken, times["all"], strict=True))
            faster = "" if key == "all" else f"{ratio:.2f}x faster"
            print(f"  {names[key]:30}{1e3 * median(taken):14.1f}{faster:>20}")
    if not torch:
        print("skipped: PyTorch is not installed")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
