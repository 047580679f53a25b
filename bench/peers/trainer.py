"""What every peer offers: a network in training, run for some epochs at a time."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod

import numpy as np

from bench.workloads import Weights, Workload


class Trainer(ABC):
    """A workload's network in the hands of one peer.

    Parameters
    ----------
    workload : Workload
        What to train.
    X, y : ndarray
        Its data, from `bench.workloads.make_data`.
    weights : list of (kernel, bias)
        Initial weights; copied.
    threads : int or None
        Threads to use, one of `thread_choices`.
    shuffle : bool
        Whether each epoch takes the rows in a new random order. Without it all peers take the same
        steps and end with the same weights but for rounding. A full batch is never shuffled.
    """

    @abstractmethod
    def __init__(
        self,
        workload: Workload,
        X: np.ndarray,
        y: np.ndarray,
        weights: Weights,
        threads: int | None = None,
        shuffle: bool = True,
    ) -> None: ...

    @abstractmethod
    def run(self, epochs: int) -> None:
        """Train for a number of epochs, going on from the present weights."""

    @abstractmethod
    def weights(self) -> Weights:
        """Present weights in the order and the shapes of `bench.workloads.make_weights`, as NumPy arrays."""

    @classmethod
    def thread_choices(cls) -> tuple[int | None, ...]:
        """Numbers of threads worth trying; None leaves the choice to the peer."""
        cores = os.cpu_count() or 1
        return tuple(sorted({1, min(2, cores), cores}))

    @classmethod
    def nearest(cls, workload: Workload) -> Workload | None:
        """Give the workload itself, or the one closest to it that this peer can train; None for none."""
        return workload
