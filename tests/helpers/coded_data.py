"""Data of numbers and of categories, and a classifier for it behind preprocessing layers."""

import numpy as np

import fastnn as fn

RNG = np.random.default_rng(0)
N = 240
NUMBERS = RNG.normal([5, -3, 100], [2, 0.1, 50], (N, 3))
CODES = RNG.integers(2, 6, (N, 2))
X = np.column_stack([NUMBERS, CODES])  # columns 3 and 4 hold categories 2 ... 5
Y = RNG.integers(0, 3, N)
CODED = [3, 4]


def network(layers, **options):
    options = {"loss": "cross_entropy", "seed": 0, **options}
    return fn.Model([*layers, fn.Dense(7, "tanh"), fn.Dense(3)], **options)
