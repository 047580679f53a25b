"""PyTorch in eager mode, with its fused optimizers."""

from __future__ import annotations

import torch
from torch import nn

from . import trainer

ACTIVATIONS = {"identity": nn.Identity, "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


class Trainer(trainer.Trainer):
    """A `torch.nn.Sequential` and the usual loop, without a DataLoader's cost per row."""

    def __init__(self, workload, X, y, weights, threads=None, shuffle=True):
        self.workload, self.threads = workload, threads
        self.shuffle = shuffle and workload.batch is not None
        self.X, self.y = torch.from_numpy(X), torch.from_numpy(y)
        self.linear, modules = [], []
        names = [workload.activation] * (len(weights) - 1) + [workload.output]
        for (kernel, bias), name in zip(weights, names, strict=True):
            linear = nn.Linear(*kernel.shape, dtype=self.X.dtype)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(kernel.T))
                linear.bias.copy_(torch.from_numpy(bias))
            self.linear.append(linear)
            modules += [linear] if name == "identity" else [linear, ACTIVATIONS[name]()]
        self.model = nn.Sequential(*modules)
        self.loss = nn.CrossEntropyLoss() if workload.loss == "cross_entropy" else nn.MSELoss()
        optimizer = torch.optim.SGD if workload.optimizer == "sgd" else torch.optim.Adam
        self.optimizer = optimizer(self.model.parameters(), lr=workload.learning_rate, fused=True)

    def run(self, epochs):
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        rows = self.workload.batch_size
        for _ in range(epochs):
            if self.shuffle:
                for indices in torch.randperm(len(self.X)).split(rows):
                    self._step(self.X.index_select(0, indices), self.y.index_select(0, indices))
            else:
                for start in range(0, len(self.X), rows):
                    self._step(self.X[start : start + rows], self.y[start : start + rows])

    def _step(self, x, t):
        self.optimizer.zero_grad()
        self.loss(self.model(x), t).backward()
        self.optimizer.step()

    def weights(self):
        with torch.no_grad():
            return [(layer.weight.numpy().T.copy(), layer.bias.numpy().copy()) for layer in self.linear]
