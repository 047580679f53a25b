"""fastnn through its public API, with the defaults a user gets."""

from __future__ import annotations

import fastnn as fn

from . import trainer


def make_model(network, weights, output="identity", **settings):
    """Build a model of a row's network with given weights."""
    hidden = [fn.Dense(units, network.activation) for units in network.widths[1:-1]]
    model = fn.Model(
        [*hidden, fn.Dense(network.widths[-1], output)], metrics=(), dtype=network.dtype, **settings
    )
    model.build(network.widths[0])
    for layer, (kernel, bias) in zip(model.layers, weights, strict=True):
        layer.weights, layer.bias = kernel, bias
    return model


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
        return [(layer.weights.copy(), layer.bias.copy()) for layer in self.model.layers]
