"""fastnn through its public API, with the defaults a user gets."""

from __future__ import annotations

import numpy as np

import fastnn as fn
from bench.workloads import EPSILON, MOMENTUM, VECTOR, split

from . import trainer


def make_model(network, weights, output="identity", **settings):
    """Build a model of a row's network with given weights."""
    _, blocks, _ = split(network, weights)
    units, width = network.widths[1:-1], network.widths[-2]
    windows, sizes, time = (getattr(network, name, ()) for name in ("windows", "embedded", "time"))
    layers = [window_layer(network, *window) for window in windows]
    if windows and windows[-1] != ("mean",):
        layers.append(fn.Flatten())
    if sizes:
        columns = list(range(len(sizes)))
        layers.append(fn.EntityEmbedding(VECTOR, columns, [range(size) for size in sizes]))
    for n in units:
        if time:
            layers.append(fn.GRU(n))
        elif getattr(network, "normalized", False):
            layers += [
                fn.Dense(n),
                fn.BatchNormalization(MOMENTUM, EPSILON),
                fn.Activation(network.activation),
            ]
        else:
            layers.append(fn.Dense(n, network.activation))
    for _ in blocks:
        body = [fn.LayerNormalization(EPSILON), fn.Dense(width, network.activation), fn.Dense(width)]
        layers.append(fn.Residual(body))
    layers.append(fn.Dense(network.widths[-1], output))
    model = fn.Model(layers, metrics=(), dtype=network.dtype, **settings)
    model.build(getattr(network, "sample_shape", network.widths[0]))
    for (weights_view, bias_view), (kernel, bias) in zip(views(model), weights, strict=True):
        weights_view[...], bias_view[...] = kernel, bias
    return model


def window_layer(network, kind, *settings):
    """A layer of convolutions or of pooling."""
    if kind == "conv":
        filters, size, padding = settings
        convolution = fn.Conv2D if len(network.shape) == 3 else fn.Conv1D
        return convolution(filters, size, padding=padding, activation=network.activation)
    return fn.MaxPooling2D() if kind == "pool" else fn.GlobalAveragePooling1D()


def views(model):
    """The parameters of each layer, in the order of `bench.workloads.make_weights`."""
    for layer in model.layers:
        for each in layer.body.layers if isinstance(layer, fn.Residual) else [layer]:
            if isinstance(each, (fn.LayerNormalization, fn.BatchNormalization)):
                yield each.gamma, each.beta
            elif isinstance(each, fn.EntityEmbedding):
                yield from ((table, np.zeros(0)) for table in each.weights)
            elif isinstance(each, fn.GRU):
                yield each.weights, each.bias[0]
                yield each.recurrent_weights, each.bias[1]
            elif isinstance(each, (fn.Dense, fn.Conv1D, fn.Conv2D)):
                yield each.weights, each.bias


def make_predict(inference, weights):
    """Give the function of X that runs a trained network."""
    return make_model(inference, weights, loss="cross_entropy").predict


class Trainer(trainer.Trainer):
    """`Model.fit`, one call for all epochs; it chooses its own number of threads."""

    @classmethod
    def thread_choices(cls):
        return (None,)

    def __init__(self, workload, X, y, weights, threads=None, shuffle=True):
        self.workload, self.X, self.y, self.threads = workload, X, y, threads
        self.shuffle = shuffle and workload.batch is not None
        optimizer = fn.SGD if workload.optimizer == "sgd" else fn.Adam
        self.model = make_model(
            workload,
            weights,
            workload.output,
            loss=workload.loss,
            optimizer=optimizer(workload.learning_rate),
        )

    def run(self, epochs):
        self.model.fit(
            self.X,
            self.y,
            epochs=epochs,
            batch_size=self.workload.batch,
            shuffle=self.shuffle,
            threads=self.threads,
            verbose=0,
        )

    def weights(self):
        return [(kernel.copy(), bias.copy()) for kernel, bias in views(self.model)]
