"""Ranks: processes that do the same, and end together where one of them fails."""

from __future__ import annotations

import contextlib
import enum
import time
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..engine.threads import defer_interrupt
from ..errors import RankError
from .sums import add_in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from .transport import Transport

_HEAD = 64  # bytes of a message before the gradient


class Doing(enum.IntEnum):
    """What ranks meet for."""

    STATE, AGREE, EXCHANGE, STEP, GATHER, END, FAILED = range(7)


class Ranks:
    """The processes of a fit.

    Before anything else is exchanged, all ranks meet: each sends a short message of what it is about to do,
    always of the same size. One that fails sends that instead, whatever the others are about to do.

    Parameters
    ----------
    transport : Transport
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.size, self.rank = transport.size, transport.rank
        self._clock, self._exchanging, self._failed = time.perf_counter(), False, False
        self._gathered = np.zeros((self.size, 0))
        self.open(0)

    def open(self, size: int) -> None:
        """Let each message have room for so many more bytes, the same on all ranks."""
        self._messages = np.zeros((self.size, _HEAD + size), np.uint8)
        self._heads = self._messages[:, :_HEAD].view(np.float64)
        self._own = self._heads[self.rank]
        self.room = self._messages[:, _HEAD:]

    def clock(self) -> float:
        """Seconds, as rank 0 had them when the ranks met last: all ranks decide by the same time."""
        return self._clock

    def meet(self, doing: Doing, value: float = 0.0) -> list[float]:
        """The value of each rank, all of which are about to do the same.

        Raises
        ------
        RankError, KeyboardInterrupt
            If another rank has failed.
        """
        if self._failed:
            raise RankError(self.rank, "the ranks have parted")
        own = self._own
        own[0], own[1], own[2] = doing, time.perf_counter(), value
        if self.size == 1:
            self._clock = float(own[1])
            return [value]
        self._run(self._transport.all_gather, self._messages)
        kinds, clocks, values = self._heads[:, :3].T.tolist()
        self._clock = clocks[0]
        if kinds.count(doing) != self.size:
            self._part(kinds)
        return values  # type: ignore[no-any-return]

    def gather(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The vectors of all ranks, of the same size, as rows of an array that the next call overwrites."""
        with defer_interrupt():
            return self._gather(values)

    def _gather(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        self.meet(Doing.GATHER)
        if self._gathered.shape[1] != values.size:
            self._gathered = np.zeros((self.size, values.size))
        self._gathered[self.rank] = values
        self._run(self._transport.all_gather, self._gathered)
        return self._gathered

    def gather_objects(self, value: Any) -> list[Any]:
        """The values of all ranks, small objects that can be pickled."""
        with defer_interrupt():
            found: list[Any] = self._run(self._transport.gather_objects, value)
        return found

    def broadcast(self, values: NDArray[Any]) -> None:
        """Write `values` with those of rank 0."""
        self._run(self._transport.broadcast, values)

    def sum(
        self,
        vector: NDArray[Any],
        received: NDArray[Any],
        add_up: Callable[[NDArray[Any], NDArray[Any]], None] = add_in_order,
    ) -> None:
        """Write the sum of the vectors of all ranks into `vector`, added up by ``add_up(rows, total)``.

        Both arrays are of shape (size, n); `received` is overwritten. Rank i adds up row i.
        """
        self._run(self._transport.all_to_all, vector, received)
        add_up(received, vector[self.rank])
        self._run(self._transport.all_gather, vector)

    def _run(self, exchange: Any, *arrays: Any) -> Any:
        self._exchanging = True
        found = exchange(*arrays)
        self._exchanging = False  # not after an error: the others may be anywhere
        return found

    def _part(self, kinds: list[float]) -> NoReturn:
        """Raise the error of the rank that has failed."""
        self._failed = True
        told = self.gather_objects(None) if Doing.FAILED in kinds else []
        for rank, error in enumerate(told):
            if error is not None:
                raise_for(rank, *error)
        names = [Doing(int(kind)).name for kind in kinds]
        raise RankError(0, f"the ranks did different things at the same time: {', '.join(names)}")

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """Tell the other ranks of an error that the block raises."""
        try:
            yield
        except BaseException as error:
            with defer_interrupt():
                self.fail(error)
            raise

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Raise on all ranks what the block raises on any of them."""
        with self.telling():
            yield
            with defer_interrupt():
                self.meet(Doing.END)

    def fail(self, error: BaseException) -> None:
        """Tell the others of what this rank is about to raise, unless they know."""
        if self.size == 1 or self._failed:
            return
        if self._exchanging:
            traceback.print_exception(error)
            self._transport.abort()
            return
        self._own[0] = Doing.FAILED
        self._failed = True
        self._run(self._transport.all_gather, self._messages)
        self.gather_objects(describe(error))


def describe(error: BaseException) -> tuple[str, bool]:
    """What other ranks are told of an error: its text, and whether it is Ctrl-C."""
    return f"{type(error).__name__}: {error}", isinstance(error, KeyboardInterrupt)


def raise_for(rank: int, text: str, interrupted: bool) -> NoReturn:
    """Raise what another rank has told."""
    if interrupted:
        raise KeyboardInterrupt(f"rank {rank} was interrupted")
    raise RankError(rank, text)
