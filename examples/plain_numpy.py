"""The network and the training of digits.py in plain NumPy: what fastnn is raced against there.

Written as an experienced NumPy user would: float32, every array allocated once and then filled in place,
all parameters in one vector so that the optimizer is a few calls and not a few calls a layer.
"""

import numpy as np


def cut(vector, sizes):
    """Cut the (weights, bias) of each layer out of one flat vector, as views."""
    layers, start = [], 0
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        middle, end = start + n_in * n_out, start + (n_in + 1) * n_out
        layers.append((vector[start:middle].reshape(n_in, n_out), vector[middle:end]))
        start = end
    return layers


class PlainNetwork:
    """A fully connected relu network that gives the logits of classes.

    `weights` holds the (weights, bias) of each layer to start from; at most `batch_size` rows are
    trained on at a time.
    """

    def __init__(self, weights, batch_size):
        self.sizes = [len(weights[0][0])] + [len(bias) for _, bias in weights]
        self.parameters = np.concatenate([array.ravel() for layer in weights for array in layer])
        self.gradient, self.velocity, self.scratch = (np.zeros_like(self.parameters) for _ in range(3))
        self.layers = cut(self.parameters, self.sizes)
        self.gradients = cut(self.gradient, self.sizes)
        self.outputs = [np.empty((batch_size, size), np.float32) for size in self.sizes]
        self.deltas = [np.empty((batch_size, size), np.float32) for size in self.sizes[1:]]
        self.positive = [np.empty((batch_size, size), bool) for size in self.sizes[1:]]
        self.targets = np.empty((batch_size, self.sizes[-1]), np.float32)
        self.ones = np.ones(batch_size, np.float32)

    def predict(self, X):
        """Return the logits of each row of X."""
        for weights, bias in self.layers[:-1]:
            X = X @ weights
            X += bias
            np.maximum(X, 0, out=X)
        weights, bias = self.layers[-1]
        return X @ weights + bias

    def accuracy(self, X, labels):
        """Return the share of rows whose largest logit is that of their label."""
        return float(np.mean(self.predict(X).argmax(axis=1) == labels))

    def compute_gradient(self, X, one_hot, rows):
        """Fill `gradient` with that of the mean cross-entropy over some rows of X."""
        n, last = len(rows), len(self.layers) - 1
        outputs = [output[:n] for output in self.outputs]
        deltas = [delta[:n] for delta in self.deltas]
        # mode="clip" because the default checks the rows first, through a buffer
        X.take(rows, axis=0, out=outputs[0], mode="clip")
        one_hot.take(rows, axis=0, out=self.targets[:n], mode="clip")

        for i, (weights, bias) in enumerate(self.layers):
            output = outputs[i + 1]
            np.dot(outputs[i], weights, out=output)
            output += bias
            if i < last:
                np.maximum(output, 0, out=output)

        # with respect to the logits: (softmax - one-hot) / n
        delta = deltas[last]
        np.subtract(outputs[-1], outputs[-1].max(axis=1, keepdims=True), out=delta)
        np.exp(delta, out=delta)
        delta /= delta.sum(axis=1, keepdims=True)
        delta -= self.targets[:n]
        delta *= 1 / n

        for i in range(last, -1, -1):
            weights_gradient, bias_gradient = self.gradients[i]
            np.dot(outputs[i].T, deltas[i], out=weights_gradient)
            np.dot(self.ones[:n], deltas[i], out=bias_gradient)
            if i > 0:
                np.dot(deltas[i], self.layers[i][0].T, out=deltas[i - 1])
                np.greater(outputs[i], 0, out=self.positive[i - 1][:n])
                deltas[i - 1] *= self.positive[i - 1][:n]

    def step(self, learning_rate, momentum, weight_decay):
        """Take one step of gradient descent with momentum and decoupled weight decay."""
        self.velocity *= momentum
        self.velocity += self.gradient
        self.parameters *= 1 - learning_rate * weight_decay
        np.multiply(self.velocity, learning_rate, out=self.scratch)
        self.parameters -= self.scratch

    def fit(self, X, labels, validation_data, epochs, learning_rate, momentum, weight_decay):
        """Train on shuffled batches; return the held-out accuracy after each epoch."""
        rng = np.random.default_rng(0)
        one_hot = np.eye(self.sizes[-1], dtype=np.float32)[labels]
        order, batch_size, curve = np.arange(len(X)), len(self.targets), []
        for _ in range(epochs):
            rng.shuffle(order)
            for start in range(0, len(X), batch_size):
                self.compute_gradient(X, one_hot, order[start : start + batch_size])
                self.step(learning_rate, momentum, weight_decay)
            curve.append(self.accuracy(*validation_data))
        return curve
