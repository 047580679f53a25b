"""A thread that computes the next item of an iterator while the present one is in use."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, Self, TypeVar

from ..engine.weights_lock import working_for

T = TypeVar("T")

_WAIT = 0.1  # seconds after which one who waits looks whether training is to stop
_PATIENCE = 0.2  # seconds that the end of training waits for an iterator that does not return


class Prefetch(Generic[T]):
    """The items of an iterator, the next of which a thread computes meanwhile: one at a time is ahead.

    Parameters
    ----------
    items : iterator
        Runs in the thread. What it raises is raised here, after the items before it.
    is_stopped : callable
        Asked again and again while an item is waited for; if true, a KeyboardInterrupt is raised.
    """

    def __init__(self, items: Iterator[T], is_stopped: Callable[[], bool] = lambda: False) -> None:
        self._items, self._is_stopped = items, is_stopped
        self._ready: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()
        self._wanted = threading.Semaphore(1)
        self._closed = False
        self._thread = threading.Thread(
            target=self._run, args=(threading.get_ident(),), name="fastnn prefetch", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closed = True
        self._wanted.release()
        self._thread.join(_PATIENCE)

    def __iter__(self) -> Iterator[T]:
        while True:
            item, error = self._next()
            if error is not None:
                raise error
            if item is None:
                return
            self._wanted.release()
            yield item

    def _next(self) -> tuple[T | None, BaseException | None]:
        while True:
            with contextlib.suppress(queue.Empty):
                return self._ready.get(timeout=_WAIT)
            if self._is_stopped():
                raise KeyboardInterrupt

    def _compute(self) -> bool:
        """Compute an item once it is wanted, and keep nothing of it; whether there may be more."""
        self._wanted.acquire()
        item = None if self._closed else next(self._items, None)
        self._ready.put((item, None))
        return item is not None

    def _run(self, thread: int) -> None:
        try:
            with working_for(thread):
                while self._compute():
                    pass
        except BaseException as error:
            self._ready.put((None, error))
        finally:
            if (close := getattr(self._items, "close", None)) is not None:
                close()
