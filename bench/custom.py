"""Time a user's own activation, loss and schedule beside their built-in twins: ``python -m bench.custom``.

Each is the same formula as the built-in one, given as functions of numbers, in the same network with the
same data. The networks are chosen so that the piece is most of the work: layers of nothing but the
activation, a loss without layers that cost, a schedule in steps of a single weight. All take turns in one
process, and a ratio is the quotient of the least times.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

import fastnn as fn
from bench.compare import processor
from fastnn.kernels.math.elementary import exp, log1p, sigmoid, tanh

Piece = fn.activations.Activation | fn.losses.Loss | fn.schedules.Schedule


def own_binary_cross_entropy(z: float, t: float) -> float:
    return max(z, 0.0) - t * z + log1p(exp(-abs(z)))


def own_cosine(step: float) -> float:
    return 0.05 * (1 + math.cos(math.pi * min(step / 1e6, 1.0)))


@dataclass(frozen=True)
class Pair:
    """A piece of the user's, its built-in twin, and the network that it is most of the work of."""

    own: Piece
    twin: Piece
    train: Callable[[Piece], Callable[[], None]]


def with_activation(piece: Piece) -> Callable[[], None]:
    """Loss and gradient of layers of an activation."""
    model = fn.Model([fn.Activation(piece) for _ in range(6)], "mse", dtype="float32", seed=0)
    X = np.random.default_rng(0).normal(size=(256, 64)).astype(np.float32)
    return partial(model.build(64).loss_and_gradient, X, np.zeros_like(X))


def with_loss(piece: Piece) -> Callable[[], None]:
    """Loss and gradient of a network of one cheap layer."""
    model = fn.Model([fn.Activation("relu")], piece, dtype="float32", seed=0)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1024, 64)), rng.integers(0, 2, (1024, 64))
    return partial(model.build(64).loss_and_gradient, X.astype(np.float32), y.astype(np.float32))


def with_schedule(piece: Piece) -> Callable[[], None]:
    """Five thousand steps on one weight."""
    model = fn.Model([fn.Dense(1, use_bias=False)], "mse", fn.SGD(piece), dtype="float32", seed=0)
    X = np.ones((5000, 1), np.float32)
    return partial(model.fit, X, X, batch_size=1, shuffle=False, verbose=0, threads=1)


def pairs() -> list[Pair]:
    """The rows of the table."""
    activation, loss = partial(Pair, train=with_activation), partial(Pair, train=with_loss)
    return [
        activation(
            fn.register_activation(lambda x: tanh(x), lambda x, y: 1 - y * y, "own_tanh"),
            fn.activations.tanh(),
        ),
        activation(
            fn.register_activation(
                lambda x: x if x > 0 else 0.0, lambda x: 1.0 if x > 0 else 0.0, "own_relu"
            ),
            fn.activations.relu(),
        ),
        activation(
            fn.register_activation(
                lambda x: x * sigmoid(x), lambda x, y: sigmoid(x) * (1 + x - y), "own_silu"
            ),
            fn.activations.silu(),
        ),
        loss(
            fn.register_loss(lambda y, t: (y - t) ** 2, lambda y, t: 2 * (y - t), "own_mse"), fn.losses.mse()
        ),
        loss(
            fn.register_loss(
                own_binary_cross_entropy, lambda z, t: sigmoid(z) - t, "own_binary_cross_entropy"
            ),
            fn.losses.binary_cross_entropy(),
        ),
        Pair(
            fn.register_schedule(own_cosine, "own_cosine"),
            fn.schedules.cosine(0.1, steps=1_000_000),
            with_schedule,
        ),
    ]


def seconds(call: Callable[[], None], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def main(argv: list[str] | None = None) -> int:
    """Print a line for each piece."""
    parser = argparse.ArgumentParser(prog="python -m bench.custom", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    options = parser.parse_args(argv)
    rows = pairs()
    calls = [(pair.train(pair.own), pair.train(pair.twin)) for pair in rows]
    for both in calls:
        for call in both:
            call()  # compiles, or loads
    least = np.full((len(rows), 2), np.inf)
    for _ in range(options.rounds):
        for i, both in enumerate(calls):
            least[i] = np.minimum(least[i], [seconds(call, 5) for call in both])
    print(processor())
    print(f"{'microseconds':28}{'own':>10}{'built-in':>10}{'ratio':>8}")
    for pair, (own, twin) in zip(rows, 1e6 * least, strict=True):
        print(f"{pair.own.name:28}{own:10.1f}{twin:10.1f}{own / twin:8.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
