"""Head: what a model's output is, and what its loss is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..losses import Loss


@dataclass(frozen=True)
class Head:
    """How a model's output and its loss belong together; `layers.head.head_of` finds out.

    Attributes
    ----------
    output : {"values", "logits", "probabilities", "log_probabilities"}
        What the output of the model is.
    target : {"values", "classes", "shares"}
        What it is an output for: that of `Loss.target`.
    loss : Loss or None
        The loss, with the kernel of what it is computed from.
    ops : int
        How many of the last ops come after what the loss is computed from.
    """

    output: str
    target: str
    loss: Loss | None
    ops: int = 0

    @property
    def threshold(self) -> float:
        """Where an output that stands alone turns from one class of two to the other."""
        return 0.0 if self.output == "logits" else 0.5
