"""The rows of a loss, of penalties on the weights, and of metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..compiler import loader
from ..kernels.abi import oprow
from .plan import set_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ..losses import Loss
    from ..metrics import Metric
    from .plan import Plan

_SCALED_LOSS = "layers.unscale.loss.forward"


def fill_loss(row: NDArray[np.int64], plan: Plan, loss: Loss, dtype: str, scaled_target: int) -> None:
    """Write the row of a loss; of scaled targets, if there is memory for them at an offset, or NONE."""
    record: Any = row.view(oprow.LOSS)[0]
    record["forward"] = loader.address(f"{loss.kernel}.forward", dtype)
    record["n_out"], record["factor"] = plan.n_out, loss.factor
    record["prediction"], record["gradient"] = plan.prediction, plan.gradient
    set_settings(record, loss.numbers())
    if scaled_target != oprow.NONE:
        record["unscaled"], record["forward"] = record["forward"], loader.address(_SCALED_LOSS, dtype)
        record["scaled_target"], record["constants"] = scaled_target, plan.ops[-1]["constants"]


def fill_penalties(
    rows: NDArray[np.int64], penalties: Sequence[tuple[int, int, tuple[float, ...]]], dtype: str
) -> None:
    """Write the rows of penalties, each an offset in the flat vector, a size, and the factors."""
    for row, (start, size, factors) in zip(rows.view(oprow.PENALTY)[:, 0], penalties, strict=False):
        row["forward"] = loader.address("training.penalty.forward", dtype)
        row["gradient"] = loader.address("training.penalty.gradient", dtype)
        row["start"], row["size"] = start, size
        for name, factor in zip(("l1", "l2", "alpha"), factors, strict=False):
            row[name] = factor


def fill_metrics(
    rows: NDArray[np.int64], plan: Plan, loss: Loss, metrics: Sequence[Metric], dtype: str
) -> None:
    """Write the rows of metrics, whose states lie one behind the other."""
    state = 0
    for i, (row, metric) in enumerate(zip(rows.view(oprow.METRIC)[:, 0], metrics, strict=False)):
        row["forward"] = loader.address(f"{metric.kernel}.forward", dtype)
        row["result"] = loader.address(f"{metric.kernel}.result", dtype)
        row["n_out"], row["column"] = plan.n_out, 1 + i  # behind the loss
        row["prediction"] = plan.output if metric.of_output else plan.prediction
        row["state"], row["state_size"] = state, metric.state_size(plan.n_out)
        set_settings(row, (loss.accuracy_threshold,))
        state += metric.state_size(plan.n_out)
