"""An optimizer as rows and memory: what a step goes by, in `fit` and in the user's compiled code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import native
from .buffers import address
from .kernels import descriptor as d
from .kernels import oprow
from .network import OptimizerState
from .plan import set_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .network import Network
    from .optimizers import Optimizer
    from .plan import Parameter
    from .state import State


def optimizer_state(
    state: State,
    optimizer: Optimizer,
    places: Sequence[Parameter],
    frozen: Sequence[tuple[int, int]],
    kept: OptimizerState | None = None,
) -> OptimizerState:
    """An optimizer's memory, and rows with its settings and its schedule's.

    Parameters
    ----------
    state : State
        Whose memory it is; it is made anew if the optimizer remembers another number of vectors.
    optimizer : Optimizer
        That nobody changes meanwhile.
    places : sequence of Parameter
        All weights and biases.
    frozen : sequence of (start, stop)
        The ranges of the flat vector that it leaves alone.
    kept : OptimizerState, optional
        An earlier one, whose rows are written and which is returned if it is of the same memory.
    """
    settings, schedule = optimizer.settings(), optimizer.schedule()  # they raise before anything changes
    vectors = state.optimizer_vectors(optimizer.state_vectors())
    if kept is None or kept.vectors is not vectors:
        rows = np.zeros((2 + -(-(len(places) + 1) // oprow.SIZE), oprow.SIZE), np.int64)
        rows[0, [oprow.DX, oprow.X, oprow.Y]] = address(rows), address(vectors), address(state.counters)
        kept = OptimizerState(vectors, state.counters, rows, state.parameters)
    row, schedule_row = kept.rows[:2]
    row[oprow.FROZEN] = len(frozen)
    kept.rows[2:].reshape(-1)[: 2 * len(frozen)] = np.ravel(frozen)
    row[oprow.FORWARD] = native.address(f"{optimizer.kernel}.forward", vectors.dtype.name)
    row[oprow.STATE] = optimizer.state_vectors()
    set_settings(row, settings)
    schedule_row[oprow.FORWARD] = native.address(f"{schedule.kernel}.forward", "float64")
    set_settings(schedule_row, schedule.settings.values())
    return kept


def set_optimizer(net: Network, state: OptimizerState) -> None:
    """Let the network train by an optimizer with this state, which must outlive the calls."""
    slots = net.descriptor
    slots[d.OPTIMIZER], slots[d.SCHEDULE] = address(state.rows), address(state.rows[1:])
    slots[d.OPTIMIZER_STATE] = address(state.vectors)
