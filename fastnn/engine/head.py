"""Head: what a model's output is, and what its loss is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..losses import Loss
    from .ops import Tensor


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

    def check_output(self, output: Tensor) -> None:
        """Raise a ValueError if the loss cannot be computed from an output."""
        if self.loss is None:
            return
        if self.target == "classes" and len(output.shape) > 1:
            raise ValueError(
                f"{self.loss.name!r} needs an output of shape (n_classes,), the last layer gives "
                f"{output.shape}; put fn.Flatten() behind it"
            )
        if output.mask is not None:
            raise ValueError(
                f"{self.loss.name!r} cannot leave out the time steps that are masked, by fn.Masking or by "
                "lengths; make the last recurrent layer without return_sequences"
            )

    @property
    def threshold(self) -> float:
        """Where an output that stands alone turns from one class of two to the other."""
        return 0.0 if self.output == "logits" else 0.5
