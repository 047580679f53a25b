"""Turns: predictions in one thread while another changes the weights."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seconds that a change waits for those who want to read between two changes.
_PATIENCE = 0.002
_PAUSE = 0.0001


class Turns:
    """Lets a reader see weights as they were between two changes, never in the midst of one.

    A change is a ``with`` block; there is one at a time. A reader takes no lock: it looks at `changes`
    before and after, and where a change fell between, reads once more, `alone`.

    Attributes
    ----------
    changes : int
        Odd while a change is made, another even number after it.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._lock = threading.RLock()
        self._waiting: deque[None] = deque()

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
