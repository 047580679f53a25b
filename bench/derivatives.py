"""A step of a physics-informed network, by fastnn and by PyTorch: ``python -m bench.derivatives``.

The loss is the mean square of the residual of Burgers' equation. A step is its value and its gradient with
respect to the weights, in PyTorch by differentiating through the graph of derivatives. Both have the same
networks and points. The best of several repetitions is shown, and the faster of 1 and 2 threads for either.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

import fastnn as fn
from bench.compare import processor
from fastnn.engine.data_set import DataSet

VISCOSITY = 0.01 / np.pi
#: Hidden layers, units of each, and points.
CASES = [(2, 20, 100), (4, 20, 200), (4, 20, 1000), (8, 20, 1000), (8, 20, 10_000), (4, 50, 1000)]
THREADS = (1, 2)


def value(out, target):
    residual = out[2] + out[0] * out[1] - VISCOSITY * out[3]
    return residual * residual


def derivative(out, target, dy):
    residual = 2 * (out[2] + out[0] * out[1] - VISCOSITY * out[3])
    dy[0], dy[1], dy[2], dy[3] = residual * out[1], residual * out[0], residual, -VISCOSITY * residual


def best(step: Callable[[], object], seconds: float) -> float:
    """Shortest time of a step, of as many as take so long."""
    step()
    found, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(found) < 3:
        begin = time.perf_counter()
        step()
        found.append(time.perf_counter() - begin)
    return min(found)


def measure(layers: int, units: int, X: np.ndarray, seconds: float) -> tuple[float, float]:
    """Seconds of a step, by fastnn and by PyTorch, whose losses must agree."""
    loss = fn.register_loss(value, derivative, "residual", rowwise=True, n_targets=1, replace=True)
    hidden = [fn.Dense(units, "tanh") for _ in range(layers)]
    model = fn.Model([*hidden, fn.Dense(1), fn.Derivatives([0, 1], [0])], loss, dtype=X.dtype.name, seed=0)
    model.build(2)
    data = DataSet(X, np.zeros((len(X), 1), X.dtype), None)
    model.loss_and_gradient(X, data.y)
    times = [best(lambda n=n: model.executor.loss_and_gradient(data, n), seconds) for n in THREADS]
    weights = [(layer.weights.copy(), layer.bias.copy()) for layer in model.layers[:-1]]
    other, expected = by_pytorch(weights, X, seconds)
    np.testing.assert_allclose(model.executor.loss_and_gradient(data)[0], expected, rtol=1e-3)
    return min(times), other


def by_pytorch(weights: list, X: np.ndarray, seconds: float) -> tuple[float, float]:
    """Seconds of a step of a network of these weights, and the loss."""
    import torch

    parameters = [torch.tensor(array, requires_grad=True) for pair in weights for array in pair]
    points = torch.tensor(X)

    def step():
        x, t = (points[:, i : i + 1].clone().requires_grad_() for i in (0, 1))
        y = torch.cat([x, t], 1)
        for i in range(0, len(parameters), 2):
            y = torch.addmm(parameters[i + 1], y, parameters[i])
            y = torch.tanh(y) if i < len(parameters) - 2 else y
        ones = torch.ones_like(y)
        y_x, y_t = torch.autograd.grad(y, [x, t], ones, create_graph=True)
        (y_xx,) = torch.autograd.grad(y_x, x, ones, create_graph=True)
        loss = ((y_t + y * y_x - VISCOSITY * y_xx) ** 2).mean()
        torch.autograd.grad(loss, parameters)
        return loss.detach()

    times = []
    for threads in THREADS:
        torch.set_num_threads(threads)
        times.append(best(step, seconds))
    return min(times), step().item()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="Time steps of physics-informed networks.")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each number of threads")
    seconds = parser.parse_args().seconds
    print(processor())
    print(f"{'hidden':>8} {'points':>7} {'dtype':>8} {'fastnn':>10} {'PyTorch':>10}  times as fast")
    for layers, units, points in CASES:
        for dtype in ("float64", "float32"):
            X = np.random.default_rng(0).uniform(-1, 1, (points, 2)).astype(dtype)
            own, other = measure(layers, units, X, seconds)
            print(
                f"{f'{layers} x {units}':>8} {points:>7} {dtype:>8} {own * 1e3:>7.3f} ms "
                f"{other * 1e3:>7.3f} ms {other / own:>8.1f}"
            )


if __name__ == "__main__":
    main()
