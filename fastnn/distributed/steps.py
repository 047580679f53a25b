"""Training steps of several processes, each with a part of the rows of every batch."""

from __future__ import annotations

import contextlib
import functools
import math
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler import loader
from ..engine import launch
from ..engine.threads import defer_interrupt
from ..errors import RankError
from ..kernels.abi.descriptor import DIVERGED, OK
from ..memory.buffers import address, allocate, dtype_name
from .batches import Batches
from .exchange import Exchange, exchanged
from .ranks import Doing
from .sums import add_in_order, join

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ..engine.executor import Executor
    from ..engine.network import Network
    from ..training.arguments import FitArguments
    from .ranks import Ranks

_BY_TEAM = ("gradient", "update")
_ENTRIES = ("begin", *_BY_TEAM, "finish")


class SharedSteps:
    """The steps of a fit, of which each rank computes its part: in place of `driver.loop.train`.

    Parameters
    ----------
    ranks : Ranks
    executor : Executor
    net : Network
        Laid out for as many rows of a batch as this rank may have.
    task : FitArguments
    order : int64 array of shape (n,)
        Memory in which the order of the samples of all ranks is, or of shape (0,).
    """

    def __init__(
        self, ranks: Ranks, executor: Executor, net: Network, task: FitArguments, order: NDArray[np.int64]
    ) -> None:
        self._ranks, self._executor, self._net, self._weight = ranks, executor, net, task.data.weight
        self._sum_rows = add_in_order
        self.clock = ranks.clock
        self._batches = Batches(task.sizes, ranks.rank, task.rows)
        self._is_given = callable(task.shuffle)
        self._order = order
        self._own_order, self._own_address = self._order, 0
        self._laid_out: int | None = None  # the epoch
        self._position = 0
        self._own_sums: tuple[NDArray[np.float64], NDArray[Any]] | None = None  # at the end of a slice
        loader.prepare((f"driver.data_parallel.{entry}", "float64") for entry in _ENTRIES)
        self._entries = {name: loader.function(f"driver.data_parallel.{name}") for name in _ENTRIES}
        self._make_gradient()
        assert executor.graph is not None
        exchanges = ranks.size > 1 and exchanged(executor.graph, net.parameters.itemsize)
        self._exchange = Exchange(ranks, dtype_name(net.parameters.dtype)) if exchanges else None

    def _make_gradient(self) -> None:
        """Make memory for the gradient of this rank's rows, and for the sum of those of all."""
        net, ranks = self._net, self._ranks
        n, dtype = net.gradient.size, dtype_name(net.gradient.dtype)
        self._total = net.gradient
        self._rows: NDArray[Any] | None = None  # the gradients of all ranks
        self._vector = self._received = net.gradient[:0]
        self._own = net.gradient
        if ranks.size > 1 and ranks.room.shape[1] >= net.gradient.nbytes:  # they travel in the messages
            self._rows = ranks.room.view(net.gradient.dtype)[:, :n]
            if not net.fields.part_gradients:
                self._own = self._rows[ranks.rank]
        elif ranks.size > 1:
            block = -(-n // ranks.size)
            memory = allocate(max(net.gradients.size, ranks.size * block), dtype, "the gradient")
            self._own = self._total = memory[:n]
            self._vector = memory[: ranks.size * block].reshape(ranks.size, block)
            self._received = np.zeros_like(self._vector)
        self._addresses = address(self._own), address(self._total)

    def agree(self, epoch: int) -> int:
        """The least of the epochs that the ranks may train until."""
        with defer_interrupt():
            return int(min(self._ranks.meet(Doing.AGREE, float(epoch))))

    def run(self, threads: int) -> None:
        """Train until `last_epoch`, for `max_steps` at most, as `driver.loop.train` does."""
        net, fields = self._net, self._net.fields
        calls = [functools.partial(launch.call, self._entries[name], net, threads) for name in _BY_TEAM]
        kept = fields.order, fields.gradient, fields.n_penalties
        fields.rank, fields.shared_penalties, fields.n_penalties = self._ranks.rank, fields.n_penalties, 0
        self._position = start = fields.position
        fields.status = OK
        sums, statistics = launch.sums(net), net.statistics.copy()
        try:
            with contextlib.nullcontext() if self._exchange is None else self._exchange.of(net):
                self._run_steps(*calls)
        except BaseException:
            if start and self._position == start:  # another rank has failed: these are still those of all
                launch.set_sums(net, sums)
                net.statistics[...] = statistics
            raise
        finally:
            fields.order, fields.gradient, fields.n_penalties = kept
            fields.position = self._position

    def _run_steps(self, gradient: Callable[[], None], update: Callable[[], None]) -> None:
        """See `run`."""
        fields, batches = self._net.fields, self._batches
        own_gradient, total = self._addresses
        order, epoch = fields.order, fields.epoch
        fields.order = self._own_address
        if self._position:
            self._take_own_sums()
        for _ in range(fields.max_steps):
            if epoch >= fields.last_epoch:
                break
            if self._laid_out != epoch:
                fields.order = order
                self._lay_out(epoch)
                fields.order = self._own_address
            batch = self._position // batches.batch_size
            start, end = self._starts[batch : batch + 2]
            fields.position, fields.own_rows = start, end - start
            fields.all_rows, fields.all_weight = self._all_rows[batch], self._all_weights[batch]
            fields.gradient = own_gradient
            if end > start or self._exchange is not None:
                gradient()
            if self._exchange is not None:
                self._exchange.check()
            if end == start:
                self._own[...], fields.loss_value = 0, 0.0
            if not self._add_up(fields.loss_value):
                fields.status = DIVERGED
                break
            fields.gradient = total
            update()
            self._position += self._all_rows[batch]
            if self._position == batches.n:
                self._share_sums()
                self._call("finish")
                fields.epoch = epoch = epoch + 1
                self._position = 0
        if self._position:
            self._own_sums = launch.sums(self._net), self._net.statistics.copy()
            self._share_sums()

    def _take_own_sums(self) -> None:
        """Continue with the sums over this rank's rows, and its statistics, where the last slice ended.

        What a slice leaves is of all ranks. With that, bits would depend on when slices end.
        """
        if self._own_sums is not None:
            sums, self._net.statistics[...] = self._own_sums
            launch.set_sums(self._net, sums)
        elif self._ranks.rank:  # the epoch is resumed, and rank 0 has its sums so far
            launch.set_sums(self._net, np.zeros_like(launch.sums(self._net)))

    def _call(self, entry: str) -> None:
        self._entries[entry](0, self._net.fields.own_address)

    def _add_up(self, loss: float) -> bool:
        """Add up the gradients of all ranks, in their order, if the loss is finite; and say whether it is."""
        ranks, rows = self._ranks, self._rows
        if rows is not None and self._own is self._total:
            rows[ranks.rank] = self._own
        if not math.isfinite(sum(ranks.meet(Doing.STEP, loss))):
            return False
        if rows is not None:
            self._sum_rows(rows, self._total)
        elif ranks.size > 1:
            ranks.sum(self._vector, self._received, self._sum_rows)
        return True

    def _lay_out(self, epoch: int) -> None:
        """Find which rows of this rank are in which batch of an epoch."""
        is_first = self._laid_out is None
        if not self._position:
            self._call("begin")
        self._laid_out = epoch
        if self._order.size and self._is_given:
            self._require_same_order()
        if self._order.size or is_first:  # otherwise as before
            self._find_rows()
            self._all_rows = self._batches.rows().tolist()
            self._all_weights = [float(count) for count in self._all_rows]
            if self._weight is not None:
                self._all_weights = self._weights(self._weight.reshape(len(self._weight), -1)).tolist()

    def _find_rows(self) -> None:
        """Find where the rows of this rank begin in each batch, and their order."""
        if self._order.size:
            self._own_order, starts = self._batches.own(self._order)
            self._own_address = address(self._own_order)
        else:
            starts = self._batches.in_turn()
        self._starts = starts.tolist()

    def _weights(self, weight: NDArray[Any]) -> NDArray[np.float64]:
        """Sum of the weights of each batch, of all ranks."""
        total = np.zeros(len(self._all_rows))
        rows = weight[self._own_order] if self._order.size else weight
        for own in self._ranks.gather(weights_of_batches(rows, self._starts)):
            total += own
        return total

    def _require_same_order(self) -> None:
        found = self._ranks.gather(np.array([zlib.crc32(self._order.data)], np.float64))[:, 0]
        for rank in np.flatnonzero(found != found[0]).tolist():
            raise RankError(rank, "shuffle gave another order of the samples than on rank 0")

    def _share_sums(self) -> None:
        """Let each rank have the sums of all, and the means of their running statistics."""
        ranks, net = self._ranks, self._net
        if ranks.size == 1:
            return
        sums, statistics = launch.sums(net), net.statistics
        found = self._gather_with_check(sums, statistics)
        launch.set_sums(net, join(found[:, : sums.size], self._executor.metrics))
        if statistics.size:
            statistics[...] = found[:, sums.size :].mean(axis=0)

    def _gather_with_check(self, *vectors: NDArray[Any]) -> NDArray[np.float64]:
        """The vectors of all ranks, if these still have the same weights."""
        checksum = zlib.crc32(self._net.parameters.data)
        found = self._ranks.gather(np.concatenate([*vectors, [checksum]]))
        for rank in np.flatnonzero(found[:, -1] != found[0, -1]).tolist():
            what = "callbacks that change the model or its optimizer must be the same on all ranks"
            raise RankError(rank, f"its weights are not those of rank 0 any more; {what}")
        return found[:, :-1]


def weights_of_batches(weight: NDArray[Any], starts: Sequence[int]) -> NDArray[np.float64]:
    """Sums of the weights of rows, of shape (n, width), from each of `starts` to the next."""
    width, count = weight.shape[1], len(starts) - 1
    numbers = np.repeat(np.arange(count), np.diff(starts) * width)
    return np.asarray(np.bincount(numbers, weight.ravel(), count) / width)


def share_evaluation(ranks: Ranks, executor: Executor, n_samples: int) -> Callable[[Network], None] | None:
    """What makes of the sums of an evaluation those of all ranks, which have so many samples together."""
    if ranks.size == 1:
        return None
    finish = loader.function("driver.data_parallel.finish")

    def share(net: Network) -> None:
        launch.set_sums(net, join(ranks.gather(launch.sums(net)), executor.metrics))
        net.fields.n_samples = n_samples
        finish(0, net.fields.own_address)

    return share
