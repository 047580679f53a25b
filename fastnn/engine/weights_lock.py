"""The lock of a model's weights: predictions while another thread changes them, forks while one trains."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

# A fork takes its lock after those here, since handlers before a fork run in the reverse of their order: who
# is in `exclusive` or `change` may have to wait for a kernel to be loaded.
from ..compiler import loader  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

# Seconds that a change waits for those who want to read between two changes.
_PATIENCE = 0.002
_PAUSE = 0.0001


_all: weakref.WeakSet[WeightsLock] = weakref.WeakSet()
# Held while a thread forks; a lock made meanwhile waits. A signal's handler may make one in that thread.
_forking = threading.RLock()
_held: list[WeightsLock] = []

# Which thread waits for which lock: see `FitLock`.
_waits = threading.RLock()
_waiting: dict[int, FitLock] = {}
# Threads that train for another one, which waits until they have ended.
_working_for: dict[int, int] = {}


class FitLock:
    """A lock that is held for all of a fit; the thread that has it may take it again.

    The callbacks of a fit may want the lock of another model, whose callbacks want this one. A wait
    that could never end is refused by a RuntimeError.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._owner: int | None = None
        self._depth = 0

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._wait()
        self._owner = threading.get_ident()
        self._depth += 1

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._owner = None
        self._lock.release()

    def _wait(self) -> None:
        me = threading.get_ident()
        try:
            with _waits:
                if self._owner is not None and not _waits_for(self._owner).isdisjoint(_that_wait_for(me)):
                    raise RuntimeError(
                        "a callback wants to train a model whose own callback waits for this one: "
                        "neither could continue; train them one after the other"
                    )
                _waiting[me] = self
            self._lock.acquire()
        finally:
            _waiting.pop(me, None)

    @property
    def is_mine(self) -> bool:
        """Whether this thread has the lock."""
        return bool(self._lock._is_owned())  # type: ignore[attr-defined]

    def give_up(self) -> None:
        """Release the lock, however often this thread has acquired it."""
        _waiting.pop(threading.get_ident(), None)
        if self.is_mine:
            self._owner, self._depth = None, 0
            self._lock._release_save()  # type: ignore[attr-defined]

    def is_free(self) -> bool:
        """Whether this thread holds the lock, or none does."""
        if not self._lock.acquire(blocking=False):
            return False
        self._lock.release()
        return True


def _waits_for(thread: int) -> set[int]:
    """A thread, and all that it waits for: those that have a lock, and those that work for it."""
    found, todo = set(), [thread]
    while todo:
        if (one := todo.pop()) not in found:
            found.add(one)
            lock = _waiting.get(one)
            todo += [] if lock is None or lock._owner is None else [lock._owner]
            todo += [worker for worker, other in _working_for.items() if other == one]
    return found


def _that_wait_for(thread: int | None) -> set[int]:
    """A thread, the one that it works for, and so on."""
    found = set()
    while thread is not None:
        found.add(thread)
        thread = _working_for.get(thread)
    return found


@contextlib.contextmanager
def working_for(thread: int) -> Iterator[None]:
    """Train in this thread for another one, which waits for it: no lock of that one will get free."""
    me = threading.get_ident()
    with _waits:
        _working_for[me] = thread
    try:
        yield
    finally:
        with _waits:
            _working_for.pop(me, None)


class WeightsLock:
    """Lets a reader see weights as they were between two changes, never in the middle of one.

    There is one `change` at a time. A reader takes no lock: it reads `version`
    before and after, and where a change fell between, reads once more, `exclusive`. Nobody waits for another
    model, or calls a user's function, within a change or `exclusive`; so that each of them ends.

    Attributes
    ----------
    version : int
        Odd while a change is made, another even number after it.
    fit_lock : FitLock
        Held for all of a fit: building, adapting and training are one at a time.
    fitting : bool
        Whether a fit is under way.
    """

    def __init__(self) -> None:
        self.version = 0
        self.fit_lock, self.fitting = FitLock(), False
        self._lock = threading.RLock()
        self._waiting: deque[None] = deque()
        with _forking:
            _all.add(self)

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """A change of the weights."""
        if self._waiting:
            self._let_them_read()
        with self._lock:
            self.version |= 1
            try:
                yield
            finally:
                self.version = (self.version | 1) + 1

    def run_change(self, call: Callable[[], T]) -> T:
        """What a call returns that is a `change`, without what a context costs."""
        if self._waiting:
            self._let_them_read()
        with self._lock:
            self.version |= 1
            try:
                return call()
            finally:
                self.version = (self.version | 1) + 1

    def _let_them_read(self) -> None:
        # Locks are not fair: who makes change after change would keep it.
        deadline = time.monotonic() + _PATIENCE
        while self._waiting and time.monotonic() < deadline:
            time.sleep(_PAUSE)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Between two changes."""
        self._waiting.append(None)
        try:
            with self._lock:
                yield
        finally:
            self._waiting.pop()

    def run_exclusive(self, call: Callable[..., T], *arguments: Any) -> T:
        """What a call returns that is made between two changes, without what a context costs."""
        self._waiting.append(None)
        try:
            with self._lock:
                return call(*arguments)
        finally:
            self._waiting.pop()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """With `fit_lock`; what an exception in a signal's handler cuts short, wherever, is tidied up."""
        nested = self.fit_lock.is_mine
        try:
            with self.fit_lock:
                yield
        finally:
            if not nested:
                self.fit_lock.give_up()

    def run_fit(self, call: Callable[..., T], *arguments: Any) -> T:
        """What a call returns that is all of a fit: `held`."""
        nested = self.fit_lock.is_mine
        try:
            with self.fit_lock:
                if self.fitting:
                    raise RuntimeError("fit was called by a callback of the same model's fit")
                self.fitting = True
                try:
                    return call(*arguments)
                finally:
                    self.fitting = False
        except BaseException:  # perhaps of a signal's handler, wherever
            if not nested:
                self.fit_lock.give_up()
            raise


# A child has no thread but the one that forked. So a fork waits until no thread is in the middle of a change,
# and the child gives up the fits of other threads: its models are those of a finished step.


def _before_fork() -> None:
    _forking.acquire()
    _waits.acquire()
    for lock in _all_now():
        lock._lock.acquire()
        _held.append(lock)


def _all_now() -> list[WeightsLock]:
    while True:
        try:
            return list(_all)
        except RuntimeError:  # a signal's handler made one meanwhile
            continue


def _after_fork() -> None:
    while _held:
        _held.pop()._lock.release()
    _waits.release()
    _forking.release()


def _after_fork_in_child() -> None:
    _waiting.clear()
    _working_for.clear()
    for lock in _held:
        lock._waiting.clear()
        if not lock.fit_lock.is_free():  # a thread has it that is not here
            lock.fit_lock, lock.fitting = FitLock(), False
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
