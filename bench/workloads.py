"""The table of workloads that tests and benchmarks share: one row is one workload.

Every row is trained by every peer of `bench.peers` from the same data and the same initial weights.
A new row needs nothing else, as long as it stays within the activations, losses and optimizers
listed in `Workload`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

# A pair for each layer, in their order: weights and bias, or scale and shift of a normalisation. Before them
# a pair for each table of vectors, and nothing. A GRU has two, for its input and its state, with the gates z,
# r and candidate. Weights of a convolution have its axes first, then channels and filters.
Weights = list[tuple[np.ndarray, np.ndarray]]

# What a normalisation adds to the variance, and what part batch normalisation's moving averages keep.
EPSILON = 1e-3
MOMENTUM = 0.99

# Numbers of a vector that stands for a category.
VECTOR = 8

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": lambda z: 0.5 * np.tanh(0.5 * z) + 0.5,
    "tanh": np.tanh,
}


@dataclass(frozen=True)
class Workload:
    """A network, how it is trained, and the size of its training set.

    Parameters
    ----------
    name : str
        Identifies the row.
    widths : tuple of int
        Inputs, hidden units of each layer, outputs.
    activation, output : {"identity", "relu", "sigmoid", "tanh"}
        Activation of the hidden layers and of the last layer.
    batch : int or None
        Rows per training step; None for all of them. It divides `samples`, so that every peer runs
        the same number of equal steps.
    optimizer : {"sgd", "adam"}
        Plain gradient descent, or Adam with its usual constants.
    learning_rate : float
        Constant learning rate.
    loss : {"mse", "cross_entropy"}
        Mean squared error, or cross entropy of the logits against integer labels.
    samples : int
        Rows of the training set.
    dtype : {"float32", "float64"}
        Of data, weights and arithmetic.
    embedded : tuple of int
        How many categories each of the first columns of the data has. A vector of `VECTOR` numbers stands for
        each category; these are among the inputs in `widths`, before those of the other columns.
    blocks : int
        Residual blocks before the last layer, as wide as the last hidden one: a layer normalisation, a
        layer with the activation, and one without.
    normalized : bool
        Whether a batch normalisation stands before the activation of each hidden layer.
    time : int
        Steps of a sequence, for a GRU in place of the hidden layer; 0 for rows of numbers.
    shape : tuple of int
        Of a picture or a series, channels last; () for others.
    windows : tuple of (kind, *settings)
        Layers before those of `widths`: ``("conv", filters, size, padding)`` with the activation,
        ``("pool",)``, the largest of 2 x 2, ``("mean",)`` over all positions.
    """

    name: str
    widths: tuple[int, ...]
    activation: str
    output: str
    batch: int | None
    optimizer: str
    learning_rate: float
    loss: str
    samples: int
    dtype: str = "float32"
    embedded: tuple[int, ...] = ()
    blocks: int = 0
    normalized: bool = False
    time: int = 0
    shape: tuple[int, ...] = ()
    windows: tuple[tuple, ...] = ()

    def __post_init__(self) -> None:
        if self.samples % self.batch_size:
            raise ValueError(f"{self.name}: batch {self.batch} does not divide {self.samples} samples")

    @property
    def batch_size(self) -> int:
        """Rows per training step."""
        return self.samples if self.batch is None else self.batch

    @property
    def columns(self) -> int:
        """Columns of the data."""
        return self.widths[0] - (VECTOR - 1) * len(self.embedded)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of a sample, channels last."""
        return self.shape or ((self.time, self.columns) if self.time else (self.columns,))

    @property
    def is_plain(self) -> bool:
        """Whether it has dense layers only."""
        return not (self.blocks or self.normalized or self.embedded or self.time or self.windows)

    def kernels(self) -> Iterator[tuple[tuple[int, ...], int]]:
        """Shape of the weights of each convolution, and to how many positions of a sample it is applied."""
        *positions, channels = self.shape or (0,)
        for kind, *settings in self.windows:
            if kind == "conv":
                filters, size, padding = settings
                positions = positions if padding == "same" else [n - size + 1 for n in positions]
                yield (*[size] * len(positions), channels, filters), math.prod(positions)
                channels = filters
            elif kind == "pool":
                positions = [n // 2 for n in positions]

    @property
    def steps_per_epoch(self) -> int:
        """Training steps in one pass over the data."""
        return self.samples // self.batch_size

    @property
    def operations_per_step(self) -> int:
        """Floating-point operations of the matrix products in one training step."""
        products = sum(n_in * n_out for n_in, n_out in zip(self.widths, self.widths[1:], strict=False))
        products += self.blocks * 2 * self.widths[-2] ** 2
        if self.time:
            features, units, n_out = self.widths
            forward = self.time * 3 * units * (features + units) + units * n_out
            return 2 * self.batch_size * (3 * forward - self.time * 3 * units * features)
        # Forward, weight gradient and input gradient; the first layer's input gradient is not needed.
        convolutions = [math.prod(shape) * positions for shape, positions in self.kernels()]
        first = [*convolutions, self.widths[0] * self.widths[1]][0]
        return 2 * self.batch_size * (3 * (products + sum(convolutions)) - first)

    def network(self) -> str:
        """Network in short, such as ``3-4-1 sigmoid`` or ``8-16-[LN, 16, 16] x 2-1 relu``."""
        parts = [str(width) for width in self.widths]
        if self.time:
            return f"{self.time} x {parts[0]}-GRU {parts[1]}-{parts[2]}"
        if self.embedded:
            count = len(self.embedded)
            parts[0] = (
                f"{count} of {min(self.embedded)}-{max(self.embedded)} + {self.columns - count}-{parts[0]}"
            )
        if self.normalized:
            parts[1:-1] = [f"{width} BN" for width in parts[1:-1]]
        if self.windows:
            windows = [" ".join(map(str, window[:3])) for window in self.windows]
            parts[0] = ", ".join([" x ".join(map(str, self.shape)), *windows, parts[0]])
        if self.blocks:
            parts.insert(-1, f"[LN, {parts[-2]}, {parts[-2]}] x {self.blocks}")
        return "-".join(parts) + " " + self.activation


# name, widths, activation, output, batch, optimizer, learning rate, loss, samples
_TRAINING = [
    Workload("xor", (3, 4, 1), "sigmoid", "sigmoid", None, "sgd", 0.5, "mse", 4),
    Workload("spiral", (2, 64, 3), "relu", "identity", 32, "adam", 1e-3, "cross_entropy", 960),
    Workload("digits", (64, 64, 32, 10), "relu", "identity", 32, "adam", 1e-3, "cross_entropy", 1792),
    Workload("tabular", (20, 256, 256, 1), "relu", "identity", 256, "adam", 1e-3, "mse", 20480),
    Workload(
        "batch-norm", (20, 256, 256, 1), "relu", "identity", 256, "adam", 1e-3, "mse", 20480, normalized=True
    ),
    Workload("mnist-sgd", (784, 128, 64, 10), "relu", "identity", 64, "sgd", 0.01, "cross_entropy", 19200),
    Workload("mnist-adam", (784, 128, 64, 10), "relu", "identity", 64, "adam", 1e-3, "cross_entropy", 19200),
    Workload("wide", (784, 1024, 1024, 10), "relu", "identity", 256, "adam", 1e-4, "cross_entropy", 2560),
    Workload("full-batch", (4, 32, 16, 4), "tanh", "identity", None, "adam", 1e-3, "mse", 10000),
    Workload("gru", (8, 32, 1), "tanh", "identity", 64, "adam", 1e-3, "mse", 5120, time=32),
    Workload(
        "categories",
        (74, 128, 64, 1),
        "relu",
        "identity",
        256,
        "adam",
        1e-3,
        "mse",
        20480,
        embedded=(100, 200, 300, 500, 800, 1000, 2000, 3000),
    ),
    Workload(
        "lenet-5",
        (256, 120, 84, 10),
        "relu",
        "identity",
        128,
        "adam",
        1e-3,
        "cross_entropy",
        1024,
        shape=(28, 28, 1),
        windows=(("conv", 6, 5, "valid"), ("pool",), ("conv", 16, 5, "valid"), ("pool",)),
    ),
    Workload(
        "images",
        (4096, 128, 10),
        "relu",
        "identity",
        64,
        "adam",
        1e-3,
        "cross_entropy",
        256,
        shape=(32, 32, 3),
        windows=(
            *(("conv", 32, 3, "same"), ("conv", 32, 3, "same"), ("pool",)),
            *(("conv", 64, 3, "same"), ("conv", 64, 3, "same"), ("pool",)),
        ),
    ),
    Workload(
        "series",
        (32, 10),
        "relu",
        "identity",
        64,
        "adam",
        1e-3,
        "cross_entropy",
        512,
        shape=(128, 8),
        windows=(("conv", 32, 5, "valid"), ("conv", 32, 5, "valid"), ("mean",)),
    ),
    Workload(
        "residual", (32, 128, 2), "relu", "identity", 256, "adam", 1e-3, "cross_entropy", 10240, blocks=4
    ),
]
WORKLOADS = {row.name: row for row in _TRAINING}


@dataclass(frozen=True)
class Inference:
    """A trained network and the number of rows it is given at once."""

    name: str
    widths: tuple[int, ...]
    rows: int
    activation: str = "relu"
    dtype: str = "float32"


_INFERENCE = [
    Inference("small-1", (4, 32, 16, 2), 1),
    Inference("mnist-1", (784, 128, 64, 10), 1),
    Inference("mnist-1024", (784, 128, 64, 10), 1024),
]
INFERENCE = {row.name: row for row in _INFERENCE}


def make_data(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Training data of a workload, the same in every call.

    Returns
    -------
    X : ndarray of shape (samples, *sample_shape)
    y : ndarray of shape (samples,) with integer labels, or (samples, widths[-1]) for ``mse``
    """
    if workload.name == "xor":
        X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], workload.dtype)
        return X, np.array([[0], [1], [1], [0]], workload.dtype)
    rng = np.random.default_rng(0)
    n_in, n_out = workload.columns, workload.widths[-1]
    X = rng.standard_normal((workload.samples, *workload.sample_shape), workload.dtype)
    if workload.windows:  # noise, and a pattern of the class
        y = rng.integers(0, n_out, workload.samples)
        X += (0.3 * rng.standard_normal((n_out, *workload.shape), workload.dtype))[y]
        return X, y
    rows = X[:, -4:].sum(axis=1) if workload.time else X  # something to remember
    scores = rows @ (rng.standard_normal((n_in, n_out)) / np.sqrt(n_in)).astype(workload.dtype)
    for column, count in enumerate(workload.embedded):
        effects = rng.standard_normal((count, n_out), workload.dtype)
        X[:, column] = rng.integers(0, count, len(X))
        scores += effects[X[:, column].astype(int)]
    if workload.loss == "mse":
        return X, scores + 0.1 * rng.standard_normal(scores.shape, workload.dtype)
    # Gumbel noise draws each label from the softmax of its scores, so that the classes overlap and the
    # loss keeps falling for longer than a comparison lasts.
    return X, np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)


def make_weights(workload: Workload | Inference) -> Weights:
    """Initial weights (Glorot uniform), zero biases, scales of one: the same in every call."""
    rng = np.random.default_rng(1)

    def dense(*shape):
        *positions, n_in, n_out = shape
        limit = np.sqrt(6 / (n_in + n_out) / math.prod(positions))
        return rng.uniform(-limit, limit, shape).astype(workload.dtype), np.zeros(n_out, workload.dtype)

    embedded = workload.embedded if isinstance(workload, Workload) else ()
    tables = [rng.uniform(-0.05, 0.05, (count, VECTOR)).astype(workload.dtype) for count in embedded]
    *inner, last = zip(workload.widths, workload.widths[1:], strict=False)
    weights = [dense(*shape) for shape, _ in workload.kernels()] if isinstance(workload, Workload) else []
    for n_in, n_out in inner:
        recurrent = isinstance(workload, Workload) and workload.time > 0
        weights += [dense(n_in, 3 * n_out), dense(n_out, 3 * n_out)] if recurrent else [dense(n_in, n_out)]
        if isinstance(workload, Workload) and workload.normalized:
            weights.append((np.ones(n_out, workload.dtype), np.zeros(n_out, workload.dtype)))
    for _ in range(workload.blocks if isinstance(workload, Workload) else 0):
        width = workload.widths[-2]
        normalization = np.ones(width, workload.dtype), np.zeros(width, workload.dtype)
        weights += [normalization, dense(width, width), dense(width, width)]
    nothing = np.zeros(0, workload.dtype)
    return [*((table, nothing) for table in tables), *weights, dense(*last)]


def split(workload: Workload, weights: Weights) -> tuple[Weights, list[Weights], tuple]:
    """The pairs of the hidden layers and of what normalizes them, of each block, and of the last layer."""
    weights = weights[len(tables_of(workload, weights)) + len(kernels_of(workload, weights)) :]
    pairs = 2 if isinstance(workload, Workload) and (workload.normalized or workload.time) else 1
    hidden = (len(workload.widths) - 2) * pairs
    blocks = [weights[i : i + 3] for i in range(hidden, len(weights) - 1, 3)]
    return weights[:hidden], blocks, weights[-1]


def tables_of(workload: Workload | Inference, weights: Weights) -> list[np.ndarray]:
    """The tables of embedded categories."""
    return [table for table, _ in weights[: len(getattr(workload, "embedded", ()))]]


def kernels_of(workload: Workload | Inference, weights: Weights) -> Weights:
    """The pairs of the convolutions."""
    return weights[: sum(kind == "conv" for kind, *_ in getattr(workload, "windows", ()))]


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, padding: str) -> np.ndarray:
    """A convolution of pictures or series, channels last, position by position of its kernel."""
    size = kernel.shape[:-2]
    if padding == "same":
        x = np.pad(x, [(0, 0), *(((n - 1) // 2, n // 2) for n in size), (0, 0)])
    counts = [n - k + 1 for n, k in zip(x.shape[1:], size, strict=False)]
    y = np.zeros((len(x), *counts, len(bias))) + bias
    for place in np.ndindex(size):
        part = tuple(slice(i, i + n) for i, n in zip(place, counts, strict=True))
        y += x[(slice(None), *part)] @ kernel[place]
    return y


def windowed(workload: Workload, weights: Weights, x: np.ndarray) -> np.ndarray:
    """What the convolutions and pools of a workload make of its samples, as rows of numbers."""
    kernels = iter(kernels_of(workload, weights))
    for kind, *settings in workload.windows:
        if kind == "conv":
            x = ACTIVATIONS[workload.activation](convolve(x, *next(kernels), settings[-1]))
        elif kind == "pool":
            n, height, width, channels = x.shape
            x = x.reshape(n, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
        else:
            x = x.mean(axis=1)
    return x.reshape(len(x), -1)


def gru(X: np.ndarray, of_input: tuple, of_state: tuple) -> np.ndarray:
    """The last state of a GRU: K. Cho et al., 2014, with r applied after the product."""
    (kernel, bias), (recurrent, recurrent_bias) = of_input, of_state
    sigmoid = ACTIVATIONS["sigmoid"]
    h = np.zeros((len(X), len(recurrent)))
    for t in range(X.shape[1]):
        z, r, candidate = np.split(X[:, t] @ kernel + bias, 3, axis=1)
        of_z, of_r, of_candidate = np.split(h @ recurrent + recurrent_bias, 3, axis=1)
        z = sigmoid(z + of_z)
        h = z * h + (1 - z) * np.tanh(candidate + sigmoid(r + of_r) * of_candidate)
    return h


def loss_of(workload: Workload, weights: Weights, X: np.ndarray, y: np.ndarray) -> float:
    """Loss of given weights over all rows, in float64: the judge of what a peer has trained."""
    tables = tables_of(workload, weights)
    vectors = [table[X[:, column].astype(int)] for column, table in enumerate(tables)]
    a = np.hstack([*vectors, X[:, len(tables) :]]).astype(np.float64)
    activate = ACTIVATIONS[workload.activation]
    wide = [(kernel.astype(np.float64), bias.astype(np.float64)) for kernel, bias in weights]
    hidden, blocks, (last, last_bias) = split(workload, wide)
    if workload.windows:
        a = windowed(workload, wide, a)
    if workload.time:
        a, hidden = gru(a, *hidden), []
    for first, second in hidden:
        if first.ndim == 2:
            a = a @ first + second
        else:  # of all rows: each peer keeps moving averages of its own
            a = (a - a.mean(axis=0)) / np.sqrt(a.var(axis=0) + EPSILON) * first + second
        a = a if workload.normalized and first.ndim == 2 else activate(a)
    for (scale, shift), (first, first_bias), (second, second_bias) in blocks:
        centred = a - a.mean(axis=1, keepdims=True)
        normal = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + EPSILON) * scale + shift
        a = a + activate(normal @ first + first_bias) @ second + second_bias
    a = ACTIVATIONS[workload.output](a @ last + last_bias)
    if workload.loss == "mse":
        return float(np.mean((a - y) ** 2))
    a = a - a.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(a).sum(axis=1)) - a[np.arange(len(y)), y]))
