"""An optimizer as rows and memory, for steps in `fit` and in the user's compiled code."""

from __future__ import annotations

import copy
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler import loader
from ..kernels.abi import oprow
from ..memory.buffers import address, dtype_name
from .network import OptimizerState, optimizer_table_rows
from .plan import set_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ..optimizers import Optimizer
    from .graph import ParameterPlace
    from .network import Network
    from .state import State


def optimizer_state(
    state: State,
    optimizer: Optimizer,
    places: Sequence[ParameterPlace],
    frozen: Sequence[tuple[int, int]],
    kept: OptimizerState | None = None,
) -> OptimizerState:
    """An optimizer's memory, and rows with its settings and its schedule's.

    Parameters
    ----------
    state : State
        Whose memory it is; it is allocated again if the optimizer keeps another number of vectors.
    optimizer : Optimizer
        That nobody changes meanwhile.
    places : sequence of ParameterPlace
        All parameters, and all running statistics.
    frozen : sequence of (start, stop)
        What it leaves alone of the flat vector and of the statistics: see `frozen.frozen_numbers`.
    kept : OptimizerState, optional
        An earlier one, whose rows are written and which is returned if it is of the same memory.
    """
    settings, schedule = optimizer.settings(), optimizer.schedule()  # they raise before anything changes
    vectors = state.optimizer_vectors(optimizer.state_vectors())
    if kept is None or kept.vectors is not vectors:
        rows = np.zeros((optimizer_table_rows(len(places)), oprow.SIZE), np.int64)
        kept = OptimizerState(vectors, state.counters, rows, state.parameters)
    row, schedule_row = kept.rows[0].view(oprow.OPTIMIZER)[0], kept.rows[1].view(oprow.SCHEDULE)[0]
    row["forward"] = loader.address(f"{optimizer.kernel}.forward", dtype_name(vectors.dtype))
    row["own_address"], row["counters"] = address(kept.rows), address(kept.counters)
    row["vectors"], row["n_vectors"] = address(vectors), optimizer.state_vectors()
    fill_frozen(kept.rows, frozen)
    row["weight_decay"], row["global_clipnorm"], row["clipvalue"] = settings[:3]
    set_settings(row, settings[3:])
    schedule_row["forward"] = loader.address(f"{schedule.kernel}.forward", "float64")
    set_settings(schedule_row, schedule.settings.values())
    return kept


def fill_frozen(rows: NDArray[np.int64], frozen: Sequence[tuple[int, int]]) -> None:
    """Write what is not trained into the table of an optimizer."""
    rows[0].view(oprow.OPTIMIZER)[0]["n_frozen"] = len(frozen)
    rows[2:].reshape(-1)[: 2 * len(frozen)] = np.ravel(frozen)


class FitOptimizer:
    """The optimizer of a fit: a copy of its settings, and rows that only the fit writes to.

    Others may change the model's optimizer, and have its memory allocated again, at any time; what a network
    points to lives here until the next `refresh`. It is of one model, which has one fit at a time.
    """

    def __init__(self) -> None:
        self._kind: type | None = None
        self._settings: list[Any] = []
        self._trained: list[bool] = []
        self._state: OptimizerState | None = None
        self._net: Network | None = None

    def has_seen(self, optimizer: Optimizer) -> bool:
        """Whether it trains by these settings, the very same objects: an equal one may be of another type."""
        given, seen = vars(optimizer).values(), self._settings
        if type(optimizer) is not self._kind or len(given) != len(seen):
            return False
        return all(map(operator.is_, given, seen))

    def is_current(
        self, net: Network, optimizer: Optimizer, trained: list[bool], memory: NDArray[Any]
    ) -> bool:
        """Whether `refresh` with these would find nothing new."""
        state = self._state
        if state is None or net is not self._net or memory is not state.vectors:
            return False
        return trained == self._trained and self.has_seen(optimizer)

    def refresh(
        self,
        net: Network,
        optimizer: Optimizer,
        trained: list[bool],
        memory: NDArray[Any],
        make: Callable[[Optimizer, OptimizerState | None], OptimizerState],
    ) -> None:
        """Let a network train by what the optimizer is now: looking takes less than a small step.

        Parameters
        ----------
        net : Network
        optimizer : Optimizer
            The model's, of which a copy is taken if it has changed.
        trained : list of bool
            Of each layer, whether it is trained.
        memory : array of shape (k * n_parameters,)
            The optimizer's at present.
        make : function
            ``make(optimizer, kept)`` is `optimizer_state` for the model.
        """
        state = self._state
        if (
            state is None
            or not self.has_seen(optimizer)
            or trained != self._trained
            or memory is not state.vectors
        ):
            copied = copy.copy(optimizer)
            state, self._net = make(copied, state), None
            self._kind, self._settings = type(copied), list(vars(copied).values())
            self._trained, self._state = trained, state
        if self._net is not net:
            fields = net.fields
            fields.optimizer, fields.schedule = address(state.rows), address(state.rows[1:])
            fields.optimizer_state = address(state.vectors)
            self._net = net
