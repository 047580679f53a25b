"""How many threads, and into how many parts a batch is cut.

The number of parts follows from the problem alone, so that a result is the same bits at any number
of threads. The number of threads follows from the work of a step: a small network is trained by one.
"""

from __future__ import annotations

# What `signal` wraps: its functions look each handler up among enums, which takes longer than a small fit.
import _signal  # type: ignore[import-not-found]
import _thread
import contextlib
import ctypes
import functools
import os
import signal
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from ..checks import validate
from ..compiler.available_cpus import cpus, from_environment
from ..kernels.abi.descriptor import PART_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

# Multiplications of a step below which one thread is faster than two: a barrier and the sum of
# the gradients cost some microseconds.
_SMALL_STEP = 1 << 20
# From so many rows on each part of a batch has a gradient of its own.
_LONG_BATCH = 2048
# Gradients of more numbers than this do not stay in a CPU's second cache, and cost more to add up.
_LARGE_GRADIENT = 1 << 18
# All parts' gradients together have at most so many numbers, if there are more than two.
_ALL_GRADIENTS = 1 << 24
# From so many uses of each parameter in a row on, each part of a batch has a gradient
# of its own too where ops, as convolutions, compute all of their gradient at once: threads that took parts
# of the parameters would have unequal shares of the work.
_USES = 4
# Most parts of a batch whose gradient is computed of all rows together.
_MOST_PARTS = 64

# Seconds after which a thread that waits for another looks whether it has ended.
_LOOK_UP, _SHORT = 0.05, 1e-5

_chosen: int | None = None


def set_threads(threads: int | None) -> None:
    """Set how many threads a call may use; None for what `get_threads` finds.

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
    _chosen = None if threads is None else validate.integer("threads", threads, low=1)


def get_threads() -> int:
    """Largest number of threads that a call uses.

    That of `set_threads`; else of the environment's ``FASTNN_THREADS``; else the CPUs that the process may
    use, by its affinity and the quota of its container, or ``OMP_NUM_THREADS`` if that is less.
    """
    return _chosen or from_environment() or cpus()


class Parts(NamedTuple):
    """How a batch is cut.

    Attributes
    ----------
    most : int
        Most parts of its rows. The loss of each is summed up by itself.
    have_gradients : bool
        Whether each has a gradient of its own, and they are added up: where a batch is long, so that what a
        gradient is computed of stays in the cache. Otherwise it is computed of all rows together.
    """

    most: int
    have_gradients: bool


def parts(rows: int, n_parameters: int, multiplications: int, splits: bool = True) -> Parts:
    """Into what parts a batch is cut.

    Parameters
    ----------
    rows : int
        Of a batch.
    n_parameters : int
    multiplications : int
        That a row costs in the forward pass; as many as parameters if each is used once.
    splits : bool
        Whether the gradients that cost most can be computed in pieces.
    """
    if 3 * rows * multiplications < _SMALL_STEP:
        return Parts(1, False)
    if not splits and multiplications >= _USES * n_parameters:
        count = min(rows // PART_ROWS, max(4, rows // 32), _MOST_PARTS)
        count = min(count, max(2, _ALL_GRADIENTS // max(n_parameters, 1)))
        return Parts(max(count, 1), count > 1)
    if rows < _LONG_BATCH:
        return Parts(max(1, min(rows // PART_ROWS, _MOST_PARTS)), False)
    smallest = 32 if n_parameters <= _LARGE_GRADIENT else 128
    count = max(min(rows // smallest, 4), 4 * (rows // 4096))
    count = min(count, max(2, _ALL_GRADIENTS // n_parameters))
    return Parts(count, True)


def team_size(rows: int, multiplications: int, threads: int | None = None) -> int:
    """How many threads make a step of so many rows.

    Parameters
    ----------
    rows, multiplications : int
        As in `parts`.
    threads : int, optional
        The user's choice, which is followed.
    """
    if threads is not None:
        return threads
    return 1 if 3 * rows * multiplications < _SMALL_STEP else get_threads()


def run_together(calls: Sequence[Callable[[], None]], give_up: NDArray[Any] | None = None) -> None:
    """Make all calls at once, the first in this thread and each other in one of its own.

    Returns when all have ended, whatever happens: they write to memory that the caller may free.
    Ctrl-C is raised after that.

    Parameters
    ----------
    calls : sequence of callable
    give_up : array, optional
        Its first number is set to 1 if a thread cannot be started or its call fails, for those that wait
        for it.

    Raises
    ------
    RuntimeError, MemoryError
        If a thread cannot be started.
    BaseException
        The first that a call raised.
    """
    errors: list[BaseException] = []
    elsewhere = _other_cpus()
    others = [_Member(call, errors, elsewhere, give_up) for call in calls[1:]]
    with defer_interrupt():
        try:
            try:
                for member in others:
                    member.start()
                if _is_memory_limited():
                    for member in others:
                        member.require_begun()
                calls[0]()
            except BaseException as error:
                errors.append(error)
                if give_up is not None:
                    give_up[0] = 1
            for member in others:
                member.wait()
        finally:  # again, if an exception came in between
            for member in others:
                member.wait()
    if errors:
        try:
            raise errors[0]
        finally:  # a list that the error's own traceback leads to would keep this frame, and what it holds
            errors.clear()


def _is_memory_limited() -> bool:
    """Whether there may be no memory for a thread to begin with, though there is some for its stack."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    limits = resource.RLIMIT_AS, resource.RLIMIT_DATA
    return any(resource.getrlimit(each)[0] != resource.RLIM_INFINITY for each in limits)


def _other_cpus() -> set[int] | None:
    """The CPUs that this thread may run on, without the one it runs on; None where that is not known."""
    try:
        return os.sched_getaffinity(0) - {_getcpu()()}
    except (AttributeError, OSError):  # not Linux
        return None


@functools.cache
def _getcpu() -> Callable[[], int]:
    """The C library's function that tells on which CPU it runs."""
    return ctypes.CDLL(None).sched_getcpu


def _move_to(cpus: set[int]) -> None:
    """Go on on one of these CPUs; later the operating system may move this thread to any it could before.

    Linux may start a thread on the CPU of the one that starts it, and move it only after some ten
    milliseconds. Until then the two of a team wait for one another in turns.
    """
    with contextlib.suppress(OSError):
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cpus)
        os.sched_setaffinity(0, allowed)


class _Member:
    """A call in a thread of its own, which can be waited for whatever a signal's handler raises."""

    def __init__(
        self,
        call: Callable[[], None],
        errors: list[BaseException],
        cpus: set[int] | None,
        give_up: NDArray[Any] | None,
    ) -> None:
        self._call, self._errors, self._cpus, self._give_up = call, errors, cpus, give_up
        self._begun, self._over = False, True
        self._ended = _thread.allocate_lock()
        self._ended.acquire()

    def start(self) -> None:
        """Start the thread."""
        work = self._work
        self._alive = weakref.ref(work)  # until the thread has ended, whatever it did
        self._over = False  # before it runs: an exception just after the start must not lose it
        try:
            _thread.start_new_thread(work, ())
        except RuntimeError:
            self._over = True
            raise

    def require_begun(self) -> None:
        """Return when the thread runs."""
        while not self._begun:
            self._require_alive()
            time.sleep(_SHORT)

    def _require_alive(self) -> None:
        """Raise a MemoryError if the thread has ended and made no call.

        One that finds no memory for its first frame ends without a word, and others would wait forever.
        """
        if self._alive() is None and not self._begun:
            self._over = True
            raise MemoryError("Unable to allocate memory for a thread to begin")

    def _work(self) -> None:
        self._begun = True
        try:
            if self._cpus:
                _move_to(self._cpus)
            self._call()
        except BaseException as error:
            if self._give_up is not None:
                self._give_up[0] = 1
            self._errors.append(error)
        finally:
            self._over = True
            self._ended.release()

    def wait(self) -> None:
        """Return when the thread has ended; what is raised meanwhile is kept for later."""
        while not self._over:
            try:
                self._require_alive()
                # A handler may raise when the lock is taken already: then the time limit helps.
                self._ended.acquire(timeout=_LOOK_UP)
            except BaseException as error:
                self._errors.append(error)


class _Received:
    """A signal's handler that remembers what it was called with."""

    def __init__(self) -> None:
        self.first: tuple[int, Any] | None = None

    def __call__(self, number: int, frame: Any) -> None:
        self.first = self.first or (number, frame)


@contextlib.contextmanager
def defer_interrupt() -> Iterator[None]:
    """Let Ctrl-C act at the end of the block, or of the outermost of such blocks."""
    handler = _signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not callable(handler) or isinstance(handler, _Received):
        yield
        return
    received = _Received()
    try:  # from here on: another signal's handler may raise as soon as this one is set
        _signal.signal(signal.SIGINT, received)
        yield
    finally:
        _signal.signal(signal.SIGINT, handler)
    if received.first is not None:
        handler(*received.first)
