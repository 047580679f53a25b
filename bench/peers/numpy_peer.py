"""Plain NumPy as a skilled user would write it: every array allocated once, every result in place."""

from __future__ import annotations

import numpy as np

from . import blas, trainer

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8

# A large parameter vector is updated in blocks that stay in the cache from one operation to the next.
BLOCK = 1 << 16


def activate(name, z):
    """Replace pre-activations by activations."""
    if name == "relu":
        np.maximum(z, 0, out=z)
    elif name == "tanh":
        np.tanh(z, out=z)
    elif name == "sigmoid":
        # By tanh: it does not overflow, and NumPy's is faster than its exp.
        z *= 0.5
        np.tanh(z, out=z)
        z *= 0.5
        z += 0.5


def multiply_by_derivative(name, a, delta, scratch):
    """Multiply `delta` by the activation's derivative, given the activations `a`."""
    if name == "relu":
        np.greater(a, 0, out=scratch)
        delta *= scratch
    elif name == "tanh":
        np.multiply(a, a, out=scratch)
        np.subtract(1, scratch, out=scratch)
        delta *= scratch
    elif name == "sigmoid":
        np.subtract(1, a, out=scratch)
        scratch *= a
        delta *= scratch


def make_predict(inference, weights):
    """Give the function of X that runs a trained network; its result is overwritten by the next call."""
    buffers = [np.empty((inference.rows, n), inference.dtype) for n in inference.widths[1:]]

    def predict(a):
        for (kernel, bias), z in zip(weights, buffers, strict=True):
            np.dot(a, kernel, out=z)
            z += bias
            if z is not buffers[-1]:
                activate(inference.activation, z)
            a = z
        return a

    return predict


class Trainer(trainer.Trainer):
    """In-place training, with all parameters in one vector and all gradients in another."""

    @classmethod
    def thread_choices(cls):
        return super().thread_choices() if blas.ADJUSTABLE else (None,)

    @classmethod
    def nearest(cls, workload):
        return workload if workload.is_plain else None

    def __init__(self, workload, X, y, weights, threads=None, shuffle=True):
        self.workload, self.threads = workload, threads
        self.shuffle = shuffle and workload.batch is not None
        self.rng = np.random.default_rng(0)
        self.order = np.arange(workload.samples)
        self.X = X
        # One-hot targets make the output's error a single subtraction for either loss.
        self.targets = y if workload.loss == "mse" else np.eye(workload.widths[-1], dtype=X.dtype)[y]

        self.parameters = np.concatenate([array.ravel() for layer in weights for array in layer])
        self.gradients = np.zeros_like(self.parameters)
        self.layers = self._views(self.parameters, weights)
        self.layer_gradients = self._views(self.gradients, weights)
        m, v, scratch = (np.zeros_like(self.parameters) for _ in range(3))
        vectors = self.parameters, self.gradients, m, v, scratch
        self.blocks = [
            tuple(vector[start : start + BLOCK] for vector in vectors)
            for start in range(0, self.parameters.size, BLOCK)
        ]
        self.steps = 0

        rows, widths = workload.batch_size, workload.widths
        self.names = [workload.activation] * (len(widths) - 2) + [workload.output]
        self.x = np.empty((rows, widths[0]), X.dtype)
        self.t = np.empty((rows, widths[-1]), X.dtype)
        self.ones = np.ones(rows, X.dtype)
        self.row = np.empty((rows, 1), X.dtype)
        self.a, self.delta, self.scratch = (
            [np.empty((rows, n), X.dtype) for n in widths[1:]] for _ in range(3)
        )

    @staticmethod
    def _views(vector, weights):
        views, start = [], 0
        for kernel, bias in weights:
            middle, end = start + kernel.size, start + kernel.size + bias.size
            views.append((vector[start:middle].reshape(kernel.shape), vector[middle:end]))
            start = end
        return views

    def run(self, epochs):
        step = self._sgd if self.workload.optimizer == "sgd" else self._adam
        rows = self.workload.batch_size
        with blas.threads(self.threads):
            for _ in range(epochs):
                if self.shuffle:
                    self.rng.shuffle(self.order)
                for start in range(0, self.workload.samples, rows):
                    self._gradient(*self._batch(start, start + rows))
                    step()

    def _batch(self, start, end):
        if not self.shuffle:
            return self.X[start:end], self.targets[start:end]
        rows = self.order[start:end]
        # mode="clip" because the default checks the indices into a buffered copy of `out`.
        self.X.take(rows, axis=0, out=self.x, mode="clip")
        self.targets.take(rows, axis=0, out=self.t, mode="clip")
        return self.x, self.t

    def _gradient(self, x, t):
        inputs = [x, *self.a]
        for (kernel, bias), name, a, z in zip(self.layers, self.names, inputs, self.a, strict=False):
            np.dot(a, kernel, out=z)
            z += bias
            activate(name, z)

        out, delta = self.a[-1], self.delta[-1]
        if self.workload.loss == "cross_entropy":
            out -= np.maximum.reduce(out, axis=1, keepdims=True, out=self.row)
            np.exp(out, out=out)
            out /= np.add.reduce(out, axis=1, keepdims=True, out=self.row)
            np.subtract(out, t, out=delta)
            delta *= 1 / len(t)
        else:
            np.subtract(out, t, out=delta)
            delta *= 2 / t.size
            multiply_by_derivative(self.names[-1], out, delta, self.scratch[-1])

        for i in range(len(self.layers) - 1, -1, -1):
            kernel_gradient, bias_gradient = self.layer_gradients[i]
            np.dot(inputs[i].T, self.delta[i], out=kernel_gradient)
            np.dot(self.ones, self.delta[i], out=bias_gradient)
            if i:
                below = i - 1
                np.dot(self.delta[i], self.layers[i][0].T, out=self.delta[below])
                multiply_by_derivative(
                    self.names[below], self.a[below], self.delta[below], self.scratch[below]
                )

    def _sgd(self):
        self.gradients *= self.workload.learning_rate
        self.parameters -= self.gradients

    def _adam(self):
        # m and v are kept without their factors 1 - beta, which go into the step's constants:
        # ten passes over the parameters instead of thirteen.
        self.steps += 1
        unbias = ((1 - BETA_2**self.steps) / (1 - BETA_2)) ** 0.5
        rate = self.workload.learning_rate * unbias * (1 - BETA_1) / (1 - BETA_1**self.steps)
        epsilon = EPSILON * unbias
        for p, g, m, v, s in self.blocks:
            m *= BETA_1
            m += g
            v *= BETA_2
            g *= g
            v += g
            np.sqrt(v, out=s)
            s += epsilon
            np.divide(m, s, out=s)
            s *= rate
            p -= s

    def weights(self):
        return [(kernel.copy(), bias.copy()) for kernel, bias in self.layers]
