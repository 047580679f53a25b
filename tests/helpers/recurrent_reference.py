"""Recurrent layers in plain NumPy: references for `check_layer`, written from Keras's formulas."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


def simple_rnn(x, state, p, activation):
    h = activation(x @ p["weights"] + state[0] @ p["recurrent_weights"] + p.get("bias", 0))
    return [h]


def gru(x, state, p, activation):
    (h,) = state
    own, other = p["bias"] if "bias" in p else (0, 0)
    z, r, candidate = np.split(x @ p["weights"] + own, 3, axis=-1)
    before_z, before_r, before = np.split(h @ p["recurrent_weights"] + other, 3, axis=-1)
    z = sigmoid(z + before_z)
    candidate = activation(candidate + sigmoid(r + before_r) * before)
    return [z * h + (1 - z) * candidate]


def lstm(x, state, p, activation):
    h, c = state
    total = x @ p["weights"] + h @ p["recurrent_weights"] + p.get("bias", 0)
    i, f, candidate, o = np.split(total, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * activation(candidate)
    return [sigmoid(o) * activation(c), c]


def recurrent(cell, *, activation=np.tanh, sequences=False, backwards=False, path=""):
    """A reference of the layer with this cell."""

    def reference(x, p, mask=None):
        own = {name.removeprefix(path): value for name, value in p.items() if name.startswith(path)}
        zeros = np.zeros((len(x), len(own["recurrent_weights"])))
        state, states = [zeros, zeros] if cell is lstm else [zeros], []
        steps = range(x.shape[1])
        for t in reversed(steps) if backwards else steps:
            new = cell(x[:, t], state, own, activation)
            if mask is not None:
                new = [np.where(mask[:, t, None], *pair) for pair in zip(new, state, strict=True)]
            state = new
            states.append(state[0])
        return np.stack(states, axis=1) if sequences else states[-1]

    return reference


def bidirectional(cell, merge, *, sequences=False, path=""):
    """A reference of the layer of this cell in both directions; masked outputs are zeros, as in Keras."""
    forwards = recurrent(cell, sequences=sequences, path=f"{path}forward_layer.")
    backwards = recurrent(cell, sequences=sequences, backwards=True, path=f"{path}backward_layer.")

    def reference(x, p, mask=None):
        other = backwards(x, p, mask)
        result = merge([forwards(x, p, mask), other[:, ::-1] if sequences else other])
        return np.where(mask[:, :, None], result, 0) if sequences and mask is not None else result

    return reference


def masked(*references):
    """Layers in a row, behind one that masks the time steps that are 0."""

    def reference(x, p):
        mask = (x != 0).any(axis=-1)
        for layer in references:
            x = layer(x, p, mask)
        return x

    return reference


def padded(rng, shape):
    """Sequences of different lengths, padded with zeros anywhere, some of them as a whole."""
    x = rng.normal(size=shape)
    for i, sample in enumerate(x):
        sample[rng.permutation(shape[1])[: i % (shape[1] + 1)]] = 0
        sample[: i % 3] = 0
    return x
