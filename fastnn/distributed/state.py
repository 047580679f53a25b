"""The state of a model on several processes: that of the first."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from ..engine.threads import defer_interrupt
from .ranks import Doing

if TYPE_CHECKING:
    from ..engine.executor import Executor
    from ..engine.state import State
    from .ranks import Ranks


def take_state(ranks: Ranks, executor: Executor) -> None:
    """Let a built model have the weights, the optimizer's memory, the seed and the counters of rank 0's.

    Raises
    ------
    ValueError
        If the ranks' models are of other sizes, or adapted to other data.
    """
    if ranks.size == 1:
        return
    state = executor.state
    with defer_interrupt():
        ranks.meet(Doing.STATE)
        found = ranks.gather_objects(_description(state))
        for rank, own in enumerate(found):
            for what in ("parameters", "running statistics"):
                if own[what] != found[0][what]:
                    raise ValueError(f"rank 0 has {found[0][what]} {what}, and rank {rank} has {own[what]}")
            if own["constants"] != found[0]["constants"]:
                raise ValueError(
                    f"the preprocessing layers of rank {rank} are not adapted to the same data as those of "
                    "rank 0; call model.adapt with the same samples on all ranks, or load the same file"
                )
        first = found[0]
        executor.seed = first["seed"]
        with executor.weights_lock.exclusive():
            if state.parameters.size:
                state.optimizer_vectors(first["optimizer"] // state.parameters.size)
        with executor.weights_lock.change():
            for values in (state.parameters, state.statistics, state.optimizer, state.counters):
                if values.size:
                    ranks.broadcast(values)
            state.interrupted_epoch, state.callbacks = first["interrupted_epoch"], first["callbacks"]


def _description(state: State) -> dict[str, Any]:
    return {
        "parameters": state.parameters.size,
        "running statistics": state.statistics.size,
        "constants": zlib.crc32(state.constants.data),
        "optimizer": state.optimizer.size,
        "seed": state.seed,
        "interrupted_epoch": state.interrupted_epoch,
        "callbacks": state.callbacks,
    }
