"""Networks of images and series, trained by fastnn, PyTorch and JAX in turns: ``python -m bench.networks``.

All begin with the same weights and take the same steps, of the same batches in their order, and their losses
are compared before they are timed. PyTorch is timed with 1 and 2 threads and, for images, with both memory
formats; its best counts. JAX has its channels last, and is left out where it is not installed. Times are the
least of several calls."""

from __future__ import annotations

import argparse
import functools
import importlib.util
import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import fastnn as fn
from bench.compare import processor


@dataclass(frozen=True)
class Network:
    """A network, its batch, and the size of its training set.

    Parameters
    ----------
    name : str
    shape : tuple of int
        Of a sample, channels last.
    layers : tuple of (kind, *settings)
        ``("conv", filters, size, padding)``, ``("pool",)`` of 2 x 2, ``("mean",)`` over all positions,
        ``("flatten",)``, ``("dense", units)``. Relu follows each convolution and each dense layer but the
        last.
    batch_size, samples : int
    dtype : str
    """

    name: str
    shape: tuple[int, ...]
    layers: tuple[tuple[Any, ...], ...]
    batch_size: int
    samples: int
    dtype: str = "float32"

    @property
    def steps_per_epoch(self) -> int:
        """Training steps in one pass over the data."""
        return self.samples // self.batch_size

    def network(self) -> str:
        """Network in short."""
        parts = [" ".join(map(str, layer)) for layer in self.layers if layer[0] != "flatten"]
        return f"{' x '.join(map(str, self.shape))}: {', '.join(parts)}"

    def activation(self, i: int) -> str | None:
        """The activation behind a layer."""
        return "relu" if self.layers[i][0] in ("conv", "dense") and i + 1 < len(self.layers) else None


_SAME = "same"
NETWORKS = {
    row.name: row
    for row in (
        Network(
            "lenet-5",
            (28, 28, 1),
            (
                ("conv", 6, 5, "valid"), ("pool",), ("conv", 16, 5, "valid"), ("pool",), ("flatten",),
                ("dense", 120), ("dense", 84), ("dense", 10),
            ),
            128,
            1024,
        ),
        Network(
            "images",
            (32, 32, 3),
            (
                ("conv", 32, 3, _SAME), ("conv", 32, 3, _SAME), ("pool",), ("conv", 64, 3, _SAME),
                ("conv", 64, 3, _SAME), ("pool",), ("flatten",), ("dense", 128), ("dense", 10),
            ),
            64,
            256,
        ),
        Network(
            "series",
            (128, 8),
            (("conv", 32, 5, "valid"), ("conv", 32, 5, "valid"), ("mean",), ("dense", 10)),
            64,
            512,
        ),
    )
}  # fmt: skip


def make_data(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Samples and labels, the same in every call: noise, and a pattern of the class."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, network.samples)
    patterns = rng.standard_normal((10, *network.shape), network.dtype)
    return 0.3 * patterns[y] + rng.standard_normal((network.samples, *network.shape), network.dtype), y


class Trainer:
    """`Model.fit`, one call for all epochs."""

    def __init__(self, network: Network, X: np.ndarray, y: np.ndarray, threads: int | None = None) -> None:
        self.workload, self.X, self.y, self.threads = network, X, y, threads
        layers = [self._layer(network, i) for i in range(len(network.layers))]
        self.model = fn.Model(layers, "cross_entropy", metrics=(), dtype=network.dtype, seed=0)
        self.model.build(network.shape)

    @staticmethod
    def _layer(network: Network, i: int) -> fn.Layer:
        kind, *settings = network.layers[i]
        activation = network.activation(i)
        if kind == "conv":
            filters, size, padding = settings
            convolution = fn.Conv2D if len(network.shape) == 3 else fn.Conv1D
            return convolution(filters, size, padding=padding, activation=activation)
        if kind == "dense":
            return fn.Dense(*settings, activation)
        return {"pool": fn.MaxPooling2D, "mean": fn.GlobalAveragePooling1D, "flatten": fn.Flatten}[kind]()

    def run(self, epochs: int) -> None:
        """Train for some epochs."""
        rows = self.workload.batch_size
        self.model.fit(
            self.X, self.y, epochs=epochs, batch_size=rows, shuffle=False, threads=self.threads, verbose=0
        )

    def loss(self) -> float:
        """Loss of all samples."""
        return float(self.model.evaluate(self.X, self.y)["loss"])


class TorchTrainer:
    """A `torch.nn.Sequential` with the weights of a fastnn model, and the usual loop."""

    def __init__(self, trainer: Trainer, *, channels_last: bool) -> None:
        import torch
        from torch import nn

        class Mean(nn.Module):
            def forward(self, x):
                return x.mean(-1)

        network = self.network = trainer.workload
        modules, channels = [], network.shape[-1]
        rank = len(network.shape) - 1
        for i, (kind, *settings) in enumerate(network.layers):
            if kind == "conv":
                filters, size, padding = settings
                convolution = nn.Conv2d if rank == 2 else nn.Conv1d
                modules.append(convolution(channels, filters, size, padding=padding))
                channels = filters
            elif kind == "dense":
                modules.append(nn.Linear(trainer.model.layers[i].weights.shape[0], *settings))
            else:
                modules.append({"pool": lambda: nn.MaxPool2d(2), "mean": Mean, "flatten": nn.Flatten}[kind]())
            if network.activation(i):
                modules.append(nn.ReLU())
        self.model = nn.Sequential(*modules)
        self.model.load_state_dict(trainer.model.to_torch_state())
        x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(trainer.X, -1, 1)))
        if channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
            x = x.to(memory_format=torch.channels_last)
        self.x, self.y = x, torch.from_numpy(trainer.y)
        self.loss_function = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(self.model.parameters(), fused=True)

    def run(self, epochs: int) -> None:
        """Train for some epochs."""
        rows = self.network.batch_size
        for _ in range(epochs):
            for start in range(0, len(self.x), rows):
                self.optimizer.zero_grad()
                output = self.model(self.x[start : start + rows])
                self.loss_function(output, self.y[start : start + rows]).backward()
                self.optimizer.step()

    def loss(self) -> float:
        """Loss of all samples."""
        return float(self.loss_function(self.model(self.x), self.y).detach())


class JaxTrainer:
    """The weights of a fastnn model in JAX, channels last, and a compiled step.

    With all steps in one `jax.lax.scan`, as the other workloads have them, XLA's convolutions take longer.
    """

    def __init__(self, trainer: Trainer) -> None:
        import jax
        import jax.numpy as jnp

        self.jax, self.network = jax, trainer.workload
        layers = [layer for layer in trainer.model.layers if layer.has_parameters]
        weights = [(jnp.array(layer.weights), jnp.array(layer.bias)) for layer in layers]
        m, v = (jax.tree.map(jnp.zeros_like, weights) for _ in range(2))
        self.state = weights, m, v, jnp.zeros(())
        shape = (-1, self.network.batch_size)
        self.x = list(jnp.array(trainer.X).reshape(*shape, *self.network.shape))
        self.y = list(jnp.array(trainer.y.astype(np.int32)).reshape(shape))
        self.step = jax.jit(self._step, donate_argnums=0)

    def _loss(self, weights: Any, x: Any, y: Any) -> Any:
        jax, jnp = self.jax, self.jax.numpy
        given = iter(weights)
        axes = ("NHWC", "HWIO", "NHWC") if x.ndim == 4 else ("NWC", "WIO", "NWC")
        for i, (kind, *settings) in enumerate(self.network.layers):
            if kind == "conv":
                kernel, bias = next(given)
                ones = (1,) * (x.ndim - 2)
                padding = settings[-1].upper()
                x = jax.lax.conv_general_dilated(x, kernel, ones, padding, dimension_numbers=axes) + bias
            elif kind == "dense":
                kernel, bias = next(given)
                x = x @ kernel + bias
            elif kind == "pool":
                window = (1, 2, 2, 1)
                x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
            else:
                x = x.mean(axis=1) if kind == "mean" else x.reshape(len(x), -1)
            x = jax.nn.relu(x) if self.network.activation(i) else x
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], axis=1))

    def _step(self, state: Any, x: Any, y: Any) -> Any:
        tree, jnp = self.jax.tree, self.jax.numpy
        weights, m, v, steps = state
        gradients, steps = self.jax.grad(self._loss)(weights, x, y), steps + 1
        m = tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradients)
        v = tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradients)
        first, second = 1 / (1 - 0.9**steps), 1 / (1 - 0.999**steps)
        change = lambda w, m, v: w - 1e-3 * m * first / (jnp.sqrt(v * second) + 1e-8)  # noqa: E731
        return tree.map(change, weights, m, v), m, v, steps

    def run(self, epochs: int) -> None:
        """Train for some epochs."""
        for _ in range(epochs):
            for x, y in zip(self.x, self.y, strict=True):
                self.state = self.step(self.state, x, y)
        self.jax.block_until_ready(self.state)

    def loss(self) -> float:
        """Loss of all samples."""
        losses = [self._loss(self.state[0], x, y) for x, y in zip(self.x, self.y, strict=True)]
        return float(np.mean(losses))


def microseconds(run: Any, network: Network, seconds: float) -> float:
    """Microseconds of a step, in one call of about so many seconds."""
    start = time.perf_counter()
    run(1)
    epochs = max(1, math.ceil(seconds / (time.perf_counter() - start)))
    start = time.perf_counter()
    run(epochs)
    return 1e6 * (time.perf_counter() - start) / (epochs * network.steps_per_epoch)


def compare(network: Network, rounds: int, seconds: float) -> dict[str, float]:
    """Least time of a step of each candidate, in turns; a ValueError if the losses differ."""
    import torch

    data = make_data(network)
    trainer = Trainer(network, *data)
    formats = {"channels first": False, "channels last": True} if len(network.shape) == 3 else {"": False}
    peers = {name: TorchTrainer(trainer, channels_last=last) for name, last in formats.items()}
    others = [JaxTrainer(trainer)] if importlib.util.find_spec("jax") else []
    for each in (trainer, *peers.values(), *others):
        each.run(3)
    losses = [each.loss() for each in (trainer, *peers.values(), *others)]
    if not np.allclose(losses, losses[0], rtol=1e-2):
        raise ValueError(f"{network.name}: after three epochs the losses differ: {losses}")

    def limited(peer: TorchTrainer, threads: int, epochs: int) -> None:
        torch.set_num_threads(threads)
        peer.run(epochs)

    candidates: dict[str, Any] = {"fastnn": trainer.run}
    for name, peer in peers.items():
        for threads in (1, 2):
            label = f"PyTorch, {threads} threads{', ' if name else ''}{name}"
            candidates[label] = functools.partial(limited, peer, threads)
    for other in others:
        candidates["JAX, channels last"] = other.run
    best = dict.fromkeys(candidates, math.inf)
    for _ in range(rounds):
        for label, run in candidates.items():
            best[label] = min(best[label], microseconds(run, network, seconds))
    return best


def mnist_seconds() -> float:
    """Seconds of ten epochs of LeNet-5 by as many samples as MNIST has, in batches of 2048."""
    network = replace(NETWORKS["lenet-5"], batch_size=2048, samples=60_000)
    trainer = Trainer(network, *make_data(network))
    trainer.run(1)  # loads the kernels, and chooses the number of threads
    start = time.perf_counter()
    trainer.run(10)
    return time.perf_counter() - start


def main(argv: list[str] | None = None) -> int:
    """Print a table for each network."""
    parser = argparse.ArgumentParser(prog="python -m bench.networks", description=__doc__)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a call (default %(default)s)")
    parser.add_argument("--mnist", action="store_true", help="time ten epochs of LeNet-5 on 60,000 samples")
    options = parser.parse_args(argv)
    print(processor())
    if options.mnist:
        print(f"lenet-5, 10 epochs of 60,000 samples, batch 2048: {mnist_seconds():.1f} s")
        return 0
    for name in options.networks.split(","):
        network = NETWORKS[name]
        print(f"\n{name}: {network.network()}, batch {network.batch_size}; us a step")
        best = compare(network, options.rounds, options.seconds)
        for label, taken in best.items():
            print(f"  {label:40}{taken:10.0f}{taken / best['fastnn']:8.2f}x", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
