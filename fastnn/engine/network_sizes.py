"""What a network allocates: how many numbers its arrays have, and where a batch lies in its workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..kernels.abi import oprow
from ..kernels.abi.descriptor import BLOCKS, SIZE
from .threads import Parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..losses import Loss
    from ..metrics import Metric
    from .plan import Plan

#: A batch in one part.
WHOLE = Parts(1, False)


class NetworkSizes(NamedTuple):
    """Numbers of a network's arrays: see `Network`.

    Attributes
    ----------
    workers, gradients : int
        Rows of these.
    workspace, scratch, sums, metric_state : int
        The second of each worker; the last is a part of the third.
    rows : int
        Of the loss, the penalties, the metrics and what passes know of an optimizer.
    scaled : int
        Offset of scaled targets in the workspace, or `oprow.NONE`.
    batch : list of int
        Offsets of a batch's samples, targets and weights.
    """

    workers: int
    gradients: int
    workspace: int
    scratch: int
    sums: int
    metric_state: int
    rows: int
    scaled: int
    batch: list[int]

    def gradient_bytes(self, n_parameters: int, itemsize: int) -> int:
        """Bytes of all gradients of the parameters."""
        return self.gradients * n_parameters * itemsize

    def buffer_bytes(self, n_ops: int, itemsize: int) -> int:
        """Bytes of all other arrays of a network with one table of ops."""
        numbers = self.workspace + self.workers * self.scratch
        tables = (1 + self.workers) * SIZE + (n_ops + self.rows) * oprow.SIZE
        return int(numbers * itemsize + 8 * (tables + self.sums + _LOSS_AND_TEAM))


_LOSS_AND_TEAM = 3  # numbers of `Network.loss` and `Network.team`


def network_sizes(
    plan: Plan,
    *,
    cut: Parts = WHOLE,
    n_workers: int | None = None,
    loss: Loss | None = None,
    n_penalties: int = 0,
    metrics: Sequence[Metric] = (),
    predict: Plan | None = None,
    inputs: Plan | None = None,
    step: Plan | None = None,
    scales_targets: bool = False,
    pass_rows: int | None = None,
) -> NetworkSizes:
    """The sizes of a network, in whose workspace a batch gets its place: see `network.network`."""
    scaled = plan.allocate(plan.n_out) if scales_targets else oprow.NONE
    widths = [] if loss is None else [plan.n_in, max(plan.n_out, loss.n_targets(plan.n_out)), plan.n_out]
    batch = [plan.allocate(width) for width in widths if inputs is None]
    state = sum(metric.state_size(plan.n_out) for metric in metrics)
    gradients = 0 if loss is None and inputs is None else (cut.most if cut.have_gradients else 1)
    layouts = [layout for layout in (plan, predict, inputs, step) if layout is not None]
    return NetworkSizes(
        cut.most if n_workers is None else n_workers,
        gradients + (pass_rows is not None),
        max(layout.workspace for layout in layouts),
        max(layout.scratch for layout in layouts),
        BLOCKS + cut.most + state,
        state,
        1 + n_penalties + len(metrics) + (pass_rows or 0),
        scaled,
        batch,
    )
