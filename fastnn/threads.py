"""How many threads, and into how many shards a batch is cut.

The number of shards follows from the problem alone, so that a result is the same bits at any number
of threads. The number of threads follows from the work of a step: a small network is trained by one.
"""

from __future__ import annotations

import os

from . import _validate

# Multiplications of a step below which one thread does it sooner than two: a barrier and the sum of
# the gradients cost some microseconds.
_SMALL_STEP = 1 << 19
# Gradients of more numbers than this do not stay in a CPU's second cache, and cost more to add up.
_LARGE_GRADIENT = 1 << 18
# All shards' gradients together have at most so many numbers.
_ALL_GRADIENTS = 1 << 24

_chosen: int | None = None


def set_threads(threads: int | None) -> None:
    """Set how many threads a call may use; None for as many as there are CPUs.

    Parameters
    ----------
    threads : int or None

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.set_threads(2)
    >>> fn.get_threads()
    2
    >>> fn.set_threads(None)
    """
    global _chosen
    _chosen = None if threads is None else _validate.integer("threads", threads, low=1)


def get_threads() -> int:
    """Largest number of threads that a call uses."""
    return _chosen or _cpus()


def _cpus() -> int:
    """CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def shards(rows: int, n_parameters: int) -> int:
    """Into how many shards a batch is cut: one, or a multiple of two.

    Parameters
    ----------
    rows : int
        Of a batch.
    n_parameters : int
        Also the number of multiplications that a row costs in the forward pass.
    """
    if 3 * rows * n_parameters < _SMALL_STEP:
        return 1
    smallest = 32 if n_parameters <= _LARGE_GRADIENT else 128
    few = min(rows // smallest, 4)
    count = max(few - few % 2 if few > 1 else 1, 4 * (rows // 4096))
    return max(1, min(count, max(few, _ALL_GRADIENTS // n_parameters)))


def team_size(rows: int, n_parameters: int, threads: int | None = None) -> int:
    """How many threads make a step of so many rows.

    Parameters
    ----------
    rows, n_parameters : int
        As in `shards`.
    threads : int, optional
        The user's choice, which is followed.
    """
    if threads is not None:
        return threads
    return 1 if 3 * rows * n_parameters < 2 * _SMALL_STEP else get_threads()
