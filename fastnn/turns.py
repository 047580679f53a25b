"""Turns: predictions in one thread while another changes the weights, and forks while one trains."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seconds that a change waits for those who want to read between two changes.
_PATIENCE = 0.002
_PAUSE = 0.0001


_all: weakref.WeakSet[Turns] = weakref.WeakSet()
_forking = threading.Lock()
_held: list[Turns] = []


class Turns:
    """Lets a reader see weights as they were between two changes, never in the midst of one.

    A change is a ``with`` block; there is one at a time. A reader takes no lock: it looks at `changes`
    before and after, and where a change fell between, reads once more, `alone`.

    Attributes
    ----------
    changes : int
        Odd while a change is made, another even number after it.
    whole : RLock
        Held for all of a fit: building, training and evaluation are one at a time.
    fitting : bool
        Whether a fit is under way.
    """

    def __init__(self) -> None:
        self.changes = 0
        self.whole, self.fitting = threading.RLock(), False
        self._lock = threading.RLock()
        self._waiting: deque[None] = deque()
        _all.add(self)

    def __enter__(self) -> None:
        if self._waiting:  # locks are not fair: who makes change after change would keep it
            deadline = time.monotonic() + _PATIENCE
            while self._waiting and time.monotonic() < deadline:
                time.sleep(_PAUSE)
        self._lock.acquire()
        self.changes |= 1

    def __exit__(self, *error: object) -> None:
        self.changes += 1
        self._lock.release()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Between two changes."""
        self._waiting.append(None)
        try:
            with self._lock:
                yield
        finally:
            self._waiting.pop()


# A child has no thread but the one that forked. So a fork waits until nobody is in the midst of a change,
# and the child gives up the fits of other threads: its models are those of a finished step.


def _before_fork() -> None:
    _forking.acquire()
    _held.extend(_all)
    for turns in _held:
        turns._lock.acquire()


def _after_fork() -> None:
    for turns in _held:
        turns._lock.release()
    _held.clear()
    _forking.release()


def _after_fork_in_child() -> None:
    for turns in _held:
        turns._waiting.clear()
        if turns.whole.acquire(blocking=False):
            turns.whole.release()
        else:  # by a thread that is not here
            turns.whole, turns.fitting = threading.RLock(), False
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
