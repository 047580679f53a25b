"""Training steps whose bits do not depend on the number of processes: each does the parts of several.

The samples are divided into shards, as many however many ranks there are. A rank computes one of its shards
after the other as if that were a rank, and adds up what they contribute as a binary tree, of which its shards
are a branch; what is left of the tree is done among the ranks.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from ..compiler import loader
from ..engine import evaluation, launch
from ..engine.data_set import DataSet
from ..engine.graph import lower
from ..layers.batch_normalization import BatchNormalization
from ..memory.buffers import address
from .batches import Batches, equal_sizes
from .steps import SharedSteps, weights_of_batches
from .sums import Tree, add_pairwise, join_pairwise, pairwise_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ..engine.executor import Executor
    from ..engine.network import Network
    from ..training.arguments import FitArguments
    from .ranks import Ranks

_TOTALS = 3  # loss, weight and penalty, before the metrics: see `launch.sums`


@dataclass
class Shard:
    """A part of a rank's samples.

    Attributes
    ----------
    number : int
        Among the shards of all ranks.
    rows : slice
        Of this rank.
    batches : Batches
        Of which it has rows as a rank would have.
    order : int64 array
        Its rows among those of this rank in the order of an epoch, if they are shuffled.
    address : int
        Of `order`; 0 if they are not.
    starts : list of int
        Where those of each batch begin in `order`, or among the rows of this rank, and the last end.
    """

    number: int
    rows: slice
    batches: Batches
    order: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    address: int = 0
    starts: list[int] = field(default_factory=list)


class ShardedSteps(SharedSteps):
    """`SharedSteps` of ranks that compute several shards each."""

    def __init__(
        self, ranks: Ranks, executor: Executor, net: Network, task: FitArguments, order: NDArray[np.int64]
    ) -> None:
        super().__init__(ranks, executor, net, task, order)
        self._sum_rows = add_pairwise
        slices = own_slices(task.sizes, ranks)
        first = ranks.rank * len(slices)
        self._shards = [
            Shard(first + i, rows, Batches(task.sizes, first + i, task.rows)) for i, rows in enumerate(slices)
        ]
        self._count = len(task.sizes)
        loader.prepare([("driver.data_parallel.add_sums", "float64")])
        self._add_sums = loader.function("driver.data_parallel.add_sums")
        self._tree = Tree(len(slices), self._own.size, self._own.dtype)
        # Those of each shard, between its steps.
        self._sums = np.zeros((len(slices), launch.sums(net).size))
        self._statistics = np.zeros((len(slices), net.statistics.size), net.statistics.dtype)
        self._kept = self._statistics.copy()
        self._places = (
            [address(own[_TOTALS:]) for own in self._sums],
            [address(own) for own in self._statistics],
        )

    def _run_steps(self, gradient: Callable[[], None], update: Callable[[], None]) -> None:
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # sums are made before it is known that all is finite
            super()._run_steps(functools.partial(self._run_shards, gradient), update)

    def _run_shards(self, gradient: Callable[[], None]) -> None:
        """Compute the gradient of this rank's shards by one that computes the gradient of rows."""
        fields, total = self._net.fields, 0.0
        batch = self._position // self._batches.batch_size
        places = fields.metric_state, fields.statistics, fields.order
        self._kept[...] = self._statistics
        try:
            for i, shard in enumerate(self._shards):
                start, end = shard.starts[batch : batch + 2]
                if end > start:
                    fields.rank, fields.order = shard.number, shard.address
                    fields.metric_state = self._places[0][i]
                    fields.statistics = self._places[1][i] if places[1] else 0
                    fields.position, fields.own_rows = start, end - start
                    gradient()
                    total += fields.loss_value
                    self._take_sums(self._sums[i])
                else:
                    self._own[...] = 0
                self._tree.add(i, self._own)
        finally:
            fields.metric_state, fields.statistics, fields.order = places
        fields.own_rows, fields.loss_value = 0, total  # `update` is to do nothing with the rows

    def _take_sums(self, sums: NDArray[np.float64]) -> None:
        """Add what the shard at hand has computed to its sums."""
        fields = self._net.fields
        fields.total_loss, fields.total_weight, fields.total_penalty = sums[:_TOTALS].tolist()
        self._add_sums(0, fields.own_address)
        sums[:_TOTALS] = fields.total_loss, fields.total_weight, fields.total_penalty

    def _add_up(self, loss: float) -> bool:
        is_finite = super()._add_up(loss)
        if not is_finite:  # there is no such step
            self._statistics[...] = self._kept
        return is_finite

    def _take_own_sums(self) -> None:
        """Let the first shard have the sums so far, where an epoch is resumed; later slices have theirs."""
        if self._laid_out is None:
            self._start_sums()
            if self._ranks.rank == 0:
                self._sums[0] = launch.sums(self._net)

    def _start_sums(self) -> None:
        self._sums[...] = 0
        self._statistics[...] = self._net.statistics

    def _lay_out(self, epoch: int) -> None:
        if not self._position:
            self._start_sums()
        super()._lay_out(epoch)

    def _find_rows(self) -> None:
        for shard in self._shards:
            if self._order.size:
                shard.order, starts = shard.batches.own(self._order)
                shard.order += shard.rows.start
                shard.address = address(shard.order)
            else:
                starts = shard.batches.in_turn() + shard.rows.start
            shard.starts = starts.tolist()
        self._starts = list(range(len(shard.starts)))  # no batch is without something to do

    def _weights(self, weight: NDArray[Any]) -> NDArray[np.float64]:
        own = [
            weights_of_batches(weight[shard.order if self._order.size else shard.rows], shard.starts)
            for shard in self._shards
        ]
        return pairwise_sum(self._ranks.gather(pairwise_sum(np.stack(own))))

    def _share_sums(self) -> None:
        net, metrics, size = self._net, self._executor.metrics, self._sums.shape[1]
        own = join_pairwise(self._sums, metrics), pairwise_sum(self._statistics.astype(np.float64))
        found = self._gather_with_check(*own)
        launch.set_sums(net, join_pairwise(found[:, :size], metrics))
        net.statistics[...] = pairwise_sum(found[:, size:]) / self._count


def own_slices(sizes: Sequence[int], ranks: Ranks) -> list[slice]:
    """Which rows of a rank are in each of its shards, by the sizes of all."""
    count = len(sizes) // ranks.size
    own = sizes[ranks.rank * count : (ranks.rank + 1) * count]
    return [slice(sum(own[:i]), sum(own[: i + 1])) for i in range(count)]


def check_shards(executor: Executor, task: FitArguments, shards: Any, ranks: Ranks, split: Any) -> int:
    """The checked number of shards: refuse what would depend on the number of ranks."""
    shards = validate.integer("shards", shards, low=1)
    if shards & (shards - 1):
        raise ValueError(f"shards must be a power of two, as 1, 2, 4, 8 ..., got {shards}")
    if shards % ranks.size:
        raise ValueError(
            f"the number of ranks must divide shards={shards}, and be a power of two, got {ranks.size} ranks"
        )
    if split:
        raise ValueError(
            "with shards, validation_split would hold out other samples for another number of ranks; give "
            "validation_data"
        )
    for node in lower(executor.layers, task.shape).nodes:
        if isinstance(node.layer, BatchNormalization) and node.layer.synchronized:
            raise ValueError(
                f"{node.layer!r} cannot be used with shards, which are normalized each by themselves; leave "
                "out synchronized=True, or shards"
            )
    return int(shards)


def shard_sizes(name: str, rows: Sequence[int], shards: int) -> list[int]:
    """How many rows are in each shard, if each rank has those of its shards."""
    n = sum(rows)
    if n < shards:
        raise ValueError(f"there must be at least as many {name} as shards, got {n} for shards={shards}")
    sizes, count = equal_sizes(n, shards), shards // len(rows)
    needed = [sum(sizes[rank * count : (rank + 1) * count]) for rank in range(len(rows))]
    for rank, (own, right) in enumerate(zip(rows, needed, strict=True)):
        if own != right:
            raise ValueError(
                f"with shards={shards}, {len(rows)} ranks must have {needed} of the {n} {name}, so that each "
                f"has whole shards, but rank {rank} has {own}, not {right}"
            )
    return sizes


def evaluate_shards(executor: Executor, ranks: Ranks, task: FitArguments, threads: int) -> dict[str, float]:
    """Loss and metrics of the validation data of all ranks, added up shard by shard."""
    assert task.validation is not None
    (X, y, weight), lengths = task.validation, task.validation_lengths
    found: list[NDArray[np.float64]] = []
    slices = own_slices(equal_sizes(task.n_validation, len(task.sizes)), ranks)

    def share(net: Network) -> None:
        found.append(launch.sums(net))
        if len(found) == len(slices):
            own = join_pairwise(np.stack(found), executor.metrics)
            launch.set_sums(net, join_pairwise(ranks.gather(own), executor.metrics))
            net.fields.n_samples = task.n_validation
            loader.function("driver.data_parallel.finish")(0, net.fields.own_address)

    for rows in slices:
        data = DataSet(X[rows], y[rows], None if weight is None else weight[rows])
        own_lengths = None if lengths is None else lengths[rows]
        logs = evaluation.evaluate(executor, data, threads, own_lengths, share)
    return logs
