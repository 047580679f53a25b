"""Head: what a model's output is, and what its loss is computed from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..losses import Loss
    from .ops import Shape, Tensor


@dataclass(frozen=True)
class Head:
    """How a model's output and its loss belong together; `layers.head.head_of` finds out.

    Attributes
    ----------
    output : {"values", "scores", "logits", "probabilities", "log_probabilities"}
        What the output of the model is.
    target : {"values", "classes", "shares", "signs", "ranks"}
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

    def check_output(self, output: Tensor) -> None:
        """Raise a ValueError if the loss cannot be computed from an output."""
        if self.loss is None:
            return
        if (self.target == "classes" or self.loss.rowwise) and len(output.shape) > 1:
            wanted = "(n_classes,)" if self.target == "classes" else "(n_out,)"
            raise ValueError(
                f"{self.loss.name!r} needs an output of shape {wanted}, the last layer gives "
                f"{output.shape}; put fn.Flatten() behind it"
            )
        self.loss.n_targets(output.size)
        if output.mask is not None:
            raise ValueError(
                f"{self.loss.name!r} cannot leave out the time steps that are masked, by fn.Masking or by "
                "lengths; make the last recurrent layer without return_sequences"
            )

    def target_shape(self, output: Shape) -> Shape:
        """Shape of a target, for samples of the output of a shape; as that one while it is not known."""
        if self.loss is None or self.loss.pairs_outputs or 0 in output:
            return output
        return (self.loss.n_targets(math.prod(output)),)

    @property
    def threshold(self) -> float:
        """Where an output that stands alone turns from one class of two to the other."""
        return 0.0 if self.output in ("logits", "scores") else 0.5
