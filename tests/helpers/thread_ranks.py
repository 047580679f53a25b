"""Ranks of `fit(comm=)` that are threads of this process."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np


class Threads:
    """A `Transport` between threads: what each has is in a list that all see."""

    def __init__(self, rank, size, barrier, box):
        self.rank, self.size, self._barrier, self._box = rank, size, barrier, box

    def gather_objects(self, value):
        self._box[self.rank] = copy.deepcopy(value)
        self._barrier.wait(30)
        found = list(self._box)
        self._barrier.wait(30)
        return found

    def all_gather(self, rows):
        rows[...] = self.gather_objects(rows[self.rank])

    def all_to_all(self, sent, received):
        received[...] = [own[self.rank] for own in self.gather_objects(sent)]

    def broadcast(self, values):
        values[...] = self.gather_objects(values)[0]

    def abort(self):
        self._barrier.abort()


def fit_by_ranks(models, parts, x, y, validation=None, **options):
    """Train models together, a rank each with a part of the samples; their histories.

    Options that are arrays are divided as the samples are, and `validation`, arrays, in parts of its own.
    """
    size = len(parts)
    barrier, box = threading.Barrier(size), [None] * size

    def train(rank):
        own = {name: value[parts[rank]] for name, value in options.items() if isinstance(value, np.ndarray)}
        if validation is not None:
            *arrays, held_out = validation
            own["validation_data"] = tuple(array[held_out[rank]] for array in arrays)
        comm = Threads(rank, size, barrier, box)
        return models[rank].fit(x[parts[rank]], y[parts[rank]], **options | own, comm=comm)

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(train, range(size)))
