"""Learning-rate schedules: the rate as a function of the step, computed before each update.

``schedule(step, a, b, c, d, e) -> rate``: the step is the number of updates made before, a float64,
and so are the settings, in the order that each docstring gives.
"""

import math
from collections import namedtuple

import numpy as np

from ..abi.entries import entry
from ..abi.oprow import SCHEDULE
from ..lowlevel._jit import force_inline

Schedule = namedtuple("Schedule", "kernel forward_entry")


def make_schedule(function):
    """A schedule with its entry. It writes `learning_rate`."""

    @entry(SCHEDULE)
    def forward_entry(row, net, T):
        p = row.settings
        net.learning_rate = function(np.float64(net.step), p[0], p[1], p[2], p[3], p[4])

    return Schedule(function, forward_entry)


@force_inline
def _constant(step, rate, b, c, d, e):
    """`rate`."""
    return rate


@force_inline
def _step(step, rate, every, factor, d, e):
    """`rate`, multiplied by `factor` after each `every` steps."""
    return rate * factor ** math.floor(step / every)


@force_inline
def _exponential(step, rate, every, factor, d, e):
    """``rate * factor ** (step / every)``."""
    return rate * factor ** (step / every)


@force_inline
def _between(fraction, start, end):
    """Half a cosine from start, at fraction 0, to end, at 1."""
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * fraction))


@force_inline
def _cosine(step, rate, steps, warmup, final, e):
    """From 0 to `rate` in a line over `warmup` steps, then by half a cosine to `final` at `steps`."""
    if step < warmup:
        return rate * (step + 1.0) / (warmup + 1.0)
    fraction = (step - warmup) / (steps - warmup)
    return _between(fraction if fraction < 1.0 else 1.0, rate, final)


@force_inline
def _one_cycle(step, rate, steps, warmup, initial, final):
    """By half a cosine from `initial` to `rate` at step `warmup`, by another to `final` at `steps` - 1."""
    if step < warmup:
        return _between(step / warmup, initial, rate)
    fraction = (step - warmup) / (steps - 1.0 - warmup)
    return _between(fraction if fraction < 1.0 else 1.0, rate, final)


constant = make_schedule(_constant)
step = make_schedule(_step)
exponential = make_schedule(_exponential)
cosine = make_schedule(_cosine)
one_cycle = make_schedule(_one_cycle)
