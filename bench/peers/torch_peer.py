"""PyTorch in eager mode, with its fused optimizers."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from bench.workloads import EPSILON, MOMENTUM, kernels_of, split, tables_of

from . import trainer

ACTIVATIONS = {"identity": nn.Identity, "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


class Residual(nn.Module):
    """What its layers compute, added to what they are given."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.layers(x)


class Embedded(nn.Module):
    """The vectors of the first columns, and the other columns behind them."""

    def __init__(self, tables):
        super().__init__()
        self.tables = nn.ModuleList([nn.Embedding.from_pretrained(table, freeze=False) for table in tables])

    def forward(self, x):
        codes, numbers = x
        vectors = [table(column) for table, column in zip(self.tables, codes.unbind(1), strict=True)]
        return torch.cat([*vectors, numbers], 1)


class OfGRU(NamedTuple):
    """Weights and bias of the input, or of the state, of a GRU; the gates are r, z and the candidate."""

    weight: torch.Tensor
    bias: torch.Tensor


class Mean(nn.Module):
    """The mean over all positions of series."""

    def forward(self, x):
        return x.mean(-1)


def channels_first(weights, shape):
    """Weights of a dense layer behind a picture of this shape, channels last, for one with channels first."""
    return np.moveaxis(weights.reshape(*shape, -1), -2, 0).reshape(weights.shape)


def channels_last(weights, shape):
    """The same backwards."""
    *positions, channels = shape
    return np.moveaxis(weights.reshape(channels, *positions, -1), 0, -2).reshape(weights.shape)


def pair_of(layer):
    """Weights and bias as `bench.workloads` has them."""
    pair = layer.weight.numpy(), layer.bias.numpy()
    if pair[0].ndim > 2:  # filters and channels come first
        return np.moveaxis(pair[0], (0, 1), (-1, -2)), pair[1]
    if shape := getattr(layer, "picture", None):
        return channels_last(pair[0].T, shape), pair[1]
    if isinstance(layer, OfGRU):
        pair = [np.concatenate([np.split(x, 3)[k] for k in (1, 0, 2)]) for x in pair]
    return pair[0].T, pair[1]


class LastState(nn.Module):
    """The last state of a GRU."""

    def __init__(self, features, units, dtype):
        super().__init__()
        self.gru = nn.GRU(features, units, batch_first=True, dtype=torch.from_numpy(np.empty(0, dtype)).dtype)

    def fill(self, pairs):
        """Take over the weights, and give them in the order of the pairs."""
        of_gru = [
            OfGRU(self.gru.weight_ih_l0, self.gru.bias_ih_l0),
            OfGRU(self.gru.weight_hh_l0, self.gru.bias_hh_l0),
        ]
        with torch.no_grad():
            for own, pair in zip(of_gru, pairs, strict=True):
                for tensor, array in zip(own, pair, strict=True):
                    z, r, candidate = np.split(array.T, 3)
                    tensor.copy_(torch.from_numpy(np.concatenate([r, z, candidate])))
        return of_gru

    def forward(self, x):
        return self.gru(x)[0][:, -1]


class Trainer(trainer.Trainer):
    """A `torch.nn.Sequential` and the usual loop, without a DataLoader's cost per row."""

    def __init__(self, workload, X, y, weights, threads=None, shuffle=True):
        self.workload, self.threads = workload, threads
        self.shuffle = shuffle and workload.batch is not None
        self.picture = None
        self.y, self.layers, modules = torch.from_numpy(y), [], []
        tables = [torch.from_numpy(table.copy()) for table in tables_of(workload, weights)]
        self.X = [torch.from_numpy(X)]
        if tables:
            modules.append(Embedded(tables))
            self.X = [
                torch.from_numpy(X[:, : len(tables)].astype(int)),
                torch.from_numpy(X[:, len(tables) :].copy()),
            ]
        self.tables = modules[0].tables if tables else []
        activation = ACTIVATIONS[workload.activation]
        hidden, blocks, last = split(workload, weights)
        if workload.windows:
            modules = self._windows(kernels_of(workload, weights), activation)
            self.X = [torch.from_numpy(np.ascontiguousarray(np.moveaxis(X, -1, 1)))]
        if workload.time:
            modules, hidden = [self._gru(*hidden)], []
        for pair in hidden:
            layer = self._layer(pair, nn.BatchNorm1d)
            linear = workload.normalized and isinstance(layer, nn.Linear)
            modules += [layer] if linear else [layer, activation()]
        for normalization, first, second in blocks:
            layers = self._layer(normalization), self._layer(first), activation(), self._layer(second)
            modules.append(Residual(*layers))
        modules.append(self._layer(last))
        if workload.output != "identity":
            modules.append(ACTIVATIONS[workload.output]())
        self.model = nn.Sequential(*modules)
        self.loss = nn.CrossEntropyLoss() if workload.loss == "cross_entropy" else nn.MSELoss()
        optimizer = torch.optim.SGD if workload.optimizer == "sgd" else torch.optim.Adam
        self.optimizer = optimizer(self.model.parameters(), lr=workload.learning_rate, fused=True)
        if len(workload.shape) == 3:
            self._choose_format()

    def _windows(self, kernels, activation):
        """Modules of convolutions and pools."""
        modules, kernels = [], iter(kernels)
        *positions, channels = self.workload.shape
        for kind, *settings in self.workload.windows:
            if kind == "conv":
                filters, size, padding = settings
                convolution = nn.Conv2d if len(positions) == 2 else nn.Conv1d
                kernel, bias = next(kernels)
                dtype = torch.from_numpy(kernel).dtype
                layer = convolution(channels, filters, size, padding=padding, dtype=dtype)
                with torch.no_grad():
                    layer.weight.copy_(torch.from_numpy(np.moveaxis(kernel, (-1, -2), (0, 1)).copy()))
                    layer.bias.copy_(torch.from_numpy(bias))
                self.layers.append(layer)
                modules += [layer, activation()]
                positions = positions if padding == "same" else [n - size + 1 for n in positions]
                channels = filters
            elif kind == "pool":
                modules.append(nn.MaxPool2d(2))
                positions = [n // 2 for n in positions]
            else:
                modules.append(Mean())
                positions = []
        self.picture = (*positions, channels) if positions else None
        return [*modules, nn.Flatten()] if positions else modules

    def _choose_format(self):
        """Take the faster of both memory formats."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        rows, taken = self.workload.batch_size, {}
        for memory_format in (torch.channels_last, torch.contiguous_format):
            self.model = self.model.to(memory_format=memory_format)
            x = self.X[0][:rows].to(memory_format=memory_format)
            times = []
            for _ in range(4):
                start = time.perf_counter()
                self.loss(self.model(x), self.y[:rows]).backward()
                times.append(time.perf_counter() - start)
            taken[memory_format] = min(times)
        best = min(taken, key=taken.get)
        self.model, self.X = self.model.to(memory_format=best), [self.X[0].to(memory_format=best)]

    def _gru(self, *pairs):
        features, units = pairs[0][0].shape[0], pairs[1][0].shape[0]
        module = LastState(features, units, pairs[0][0].dtype)
        self.layers += module.fill(pairs)
        return module

    def _layer(self, pair, normalization=nn.LayerNorm):
        picture, self.picture = self.picture, None  # what the first dense layer stands behind
        if picture:
            pair = channels_first(pair[0], picture), pair[1]
        weights, bias = (torch.from_numpy(array) for array in pair)
        if weights.ndim == 1:
            momentum = {"momentum": 1 - MOMENTUM} if normalization is nn.BatchNorm1d else {}
            layer = normalization(len(weights), EPSILON, dtype=weights.dtype, **momentum)
        else:
            layer = nn.Linear(*weights.shape, dtype=weights.dtype)
            layer.picture = picture
        with torch.no_grad():
            layer.weight.copy_(weights.T if weights.ndim == 2 else weights)
            layer.bias.copy_(bias)
        self.layers.append(layer)
        return layer

    def run(self, epochs):
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        rows = self.workload.batch_size
        for _ in range(epochs):
            if self.shuffle:
                for indices in torch.randperm(len(self.y)).split(rows):
                    self._step([x.index_select(0, indices) for x in self.X], self.y.index_select(0, indices))
            else:
                for start in range(0, len(self.y), rows):
                    self._step([x[start : start + rows] for x in self.X], self.y[start : start + rows])

    def _step(self, x, t):
        self.optimizer.zero_grad()
        self.loss(self.model(x if self.tables else x[0]), t).backward()
        self.optimizer.step()

    def weights(self):
        with torch.no_grad():
            tables = [(table.weight.numpy().copy(), self.y[:0].numpy()) for table in self.tables]
            pairs = [pair_of(layer) for layer in self.layers]
            return [*tables, *((kernel.copy(), bias.copy()) for kernel, bias in pairs)]
