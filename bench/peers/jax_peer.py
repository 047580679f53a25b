"""JAX in its best form: all steps of a call in one compiled loop, with donated buffers."""

from __future__ import annotations

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from bench.workloads import EPSILON, MOMENTUM, kernels_of, split, tables_of

from . import trainer

BETA_1, BETA_2, ADAM_EPSILON = 0.9, 0.999, 1e-8
ACTIVATIONS = {"identity": lambda z: z, "relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh}


def gru(x, of_input, of_state):
    """The last state of a GRU: one product for the input of all steps, then a scan over them."""
    (kernel, bias), (recurrent, recurrent_bias) = of_input, of_state

    def advance(h, parts):
        z, r, candidate = jnp.split(parts, 3, axis=1)
        of_z, of_r, of_candidate = jnp.split(h @ recurrent + recurrent_bias, 3, axis=1)
        z = jax.nn.sigmoid(z + of_z)
        return z * h + (1 - z) * jnp.tanh(candidate + jax.nn.sigmoid(r + of_r) * of_candidate), None

    start = jnp.zeros((len(x), len(recurrent)), x.dtype)
    return jax.lax.scan(advance, start, jnp.swapaxes(x @ kernel + bias, 0, 1))[0]


def windowed(workload, parameters, x):
    """What convolutions and pools make of pictures or series."""
    kernels = iter(kernels_of(workload, parameters))
    axes = ("NHWC", "HWIO", "NHWC") if x.ndim == 4 else ("NWC", "WIO", "NWC")
    for kind, *settings in workload.windows:
        if kind == "conv":
            kernel, bias = next(kernels)
            ones, padding = (1,) * (x.ndim - 2), settings[-1].upper()
            x = jax.lax.conv_general_dilated(x, kernel, ones, padding, dimension_numbers=axes) + bias
            x = ACTIVATIONS[workload.activation](x)
        elif kind == "pool":
            window = (1, 2, 2, 1)
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
        else:
            x = x.mean(axis=1)
    return x.reshape(len(x), -1)


def loss(workload, parameters, x, t):
    """Loss of one batch, and the moments of its batch normalisations."""
    activate = ACTIVATIONS[workload.activation]
    hidden, blocks, (last, last_bias) = split(workload, parameters)
    moments, tables = [], tables_of(workload, parameters)
    if tables:
        codes, numbers = x
        vectors = [table[column] for table, column in zip(tables, codes.T, strict=True)]
        x = jnp.concatenate([*vectors, numbers], axis=1)
    if workload.windows:
        x = windowed(workload, parameters, x)
    if workload.time:
        x, hidden = gru(x, *hidden), []
    for first, second in hidden:
        if first.ndim == 2:
            x = x @ first + second
        else:
            moments.append((jnp.mean(x, axis=0), jnp.var(x, axis=0)))
            x = jax.nn.standardize(x, axis=0, epsilon=EPSILON) * first + second
        x = x if workload.normalized and first.ndim == 2 else activate(x)
    for (scale, shift), (first, first_bias), (second, second_bias) in blocks:
        normal = jax.nn.standardize(x, epsilon=EPSILON) * scale + shift
        x = x + activate(normal @ first + first_bias) @ second + second_bias
    x = ACTIVATIONS[workload.output](x @ last + last_bias)
    if workload.loss == "mse":
        return jnp.mean((x - t) ** 2), moments
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(x), t[:, None], axis=1)), moments


def step(workload, state, x, t):
    """One step of the optimizer."""
    parameters, m, v, steps, moving = state
    gradients, moments = jax.grad(partial(loss, workload), has_aux=True)(parameters, x, t)
    moving = jax.tree.map(lambda old, new: MOMENTUM * old + (1 - MOMENTUM) * new, moving, moments)
    rate = workload.learning_rate
    if workload.optimizer == "sgd":
        return jax.tree.map(lambda p, g: p - rate * g, parameters, gradients), m, v, steps, moving
    steps = steps + 1
    m = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, m, gradients)
    v = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, v, gradients)
    unbias_m, unbias_v = 1 / (1 - BETA_1**steps), 1 / (1 - BETA_2**steps)
    parameters = jax.tree.map(
        lambda p, m, v: p - rate * (m * unbias_m) / (jnp.sqrt(v * unbias_v) + ADAM_EPSILON), parameters, m, v
    )
    return parameters, m, v, steps, moving


@cache
def compiled(workload):
    """Compile the training loop once per workload."""

    def full_batch(state, X, y, epochs):
        return jax.lax.fori_loop(0, epochs, lambda _, state: step(workload, state, X, y), state)

    def batch(state, X, y, rows):
        take = partial(jnp.take, indices=rows, axis=0, mode="clip")
        return step(workload, state, jax.tree.map(take, X), take(y))

    def batches(state, X, y, order):
        return jax.lax.scan(lambda state, rows: (batch(state, X, y, rows), None), state, order)[0]

    one = jax.jit(batch, donate_argnums=0)

    def one_by_one(state, X, y, order):
        for rows in order:
            state = one(state, X, y, rows)
        return state

    if workload.windows:  # within a scan XLA's convolutions take longer
        return one_by_one
    return jax.jit(full_batch if workload.batch is None else batches, donate_argnums=0)


class Trainer(trainer.Trainer):
    """The whole call in one `jax.lax.scan`; the orders of the rows are drawn by NumPy.

    XLA runs small operations on one thread and large ones on all cores. Its pool cannot be resized
    within a process, and where that was tried (``NPROC=1``) it was on no workload faster.
    """

    @classmethod
    def thread_choices(cls):
        return (None,)

    def __init__(self, workload, X, y, weights, threads=None, shuffle=True):
        self.workload = workload
        if workload.dtype == "float64":
            jax.config.update("jax_enable_x64", True)  # without it JAX rounds to float32, silently
        self.rng = np.random.default_rng(0) if shuffle else None
        # int32: JAX's own width of integers unless told otherwise.
        self.X, self.y = jnp.asarray(X), jnp.asarray(y.astype(np.int32) if y.ndim == 1 else y)
        if count := len(workload.embedded):
            self.X = jnp.asarray(X[:, :count].astype(np.int32)), jnp.asarray(X[:, count:])
        parameters = [(jnp.array(kernel), jnp.array(bias)) for kernel, bias in weights]
        m, v = (jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))
        normalized = [pair[0] for pair in parameters[:-1] if workload.normalized and pair[0].ndim == 1]
        moving = [(jnp.zeros_like(scale), jnp.ones_like(scale)) for scale in normalized]
        self.state = parameters, m, v, jnp.zeros((), X.dtype), moving
        self.train = compiled(workload)

    def run(self, epochs):
        plan = epochs if self.workload.batch is None else self._order(epochs)
        self.state = jax.block_until_ready(self.train(self.state, self.X, self.y, plan))

    def _order(self, epochs):
        order = np.tile(np.arange(self.workload.samples, dtype=np.int32), (epochs, 1))
        if self.rng is not None:
            order = self.rng.permuted(order, axis=1)
        return order.reshape(-1, self.workload.batch)

    def weights(self):
        return [(np.array(kernel), np.array(bias)) for kernel, bias in self.state[0]]
