"""scikit-learn's MLPClassifier and MLPRegressor."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from . import blas, trainer


class Trainer(trainer.Trainer):
    """`fit` with ``warm_start``, one call for all epochs: cheaper than a `partial_fit` for each.

    The weights carry over from call to call; the state of Adam starts again.
    """

    @classmethod
    def thread_choices(cls):
        return super().thread_choices() if blas.ADJUSTABLE else (None,)

    @classmethod
    def nearest(cls, workload):
        """Its networks are rows of layers, and its regressor has no activation after the last one."""
        return replace(workload, output="identity") if workload.is_plain else None

    def __init__(self, workload, X, y, weights, threads=None, shuffle=True):
        self.X, self.threads = X, threads
        self.y = y.ravel() if y.shape[-1] == 1 else y
        estimator, rate = MLPClassifier, workload.learning_rate
        if workload.loss == "mse":
            estimator = MLPRegressor
            # It descends on half the squared error, summed over the outputs. Adam does not see a factor.
            if workload.optimizer == "sgd":
                rate *= 2 / workload.widths[-1]
        self.estimator = estimator(
            hidden_layer_sizes=workload.widths[1:-1],
            activation="logistic" if workload.activation == "sigmoid" else workload.activation,
            solver=workload.optimizer,
            alpha=0.0,
            batch_size=workload.batch_size,
            learning_rate_init=rate,
            max_iter=1,
            shuffle=shuffle and workload.batch is not None,
            random_state=0,
            tol=0.0,
            momentum=0.0,
            nesterovs_momentum=False,
            warm_start=True,
            n_iter_no_change=np.iinfo(np.int64).max,
        )
        # Only a fit makes the attributes that hold the weights.
        self.run(1)
        self.estimator.coefs_ = [kernel.copy() for kernel, _ in weights]
        self.estimator.intercepts_ = [bias.copy() for _, bias in weights]

    def run(self, epochs):
        self.estimator.max_iter = epochs
        with blas.threads(self.threads), warnings.catch_warnings():
            # It warns whenever it was not stopped by its own test of convergence.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.estimator.fit(self.X, self.y)

    def weights(self):
        layers = zip(self.estimator.coefs_, self.estimator.intercepts_, strict=True)
        return [(kernel.copy(), bias.copy()) for kernel, bias in layers]
