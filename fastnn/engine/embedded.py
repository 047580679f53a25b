"""What a network needs in the user's compiled code."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from ..compiler import loader
from .network import Network, OptimizerState

if TYPE_CHECKING:
    from ..losses import Loss
    from .state import State


def prepare_inside(net: Network, state: State, loss: Loss | None) -> None:
    """Enter what `kernels.embedded.unchecked` needs, for a network with all three tables of ops."""
    fields, dtype = net.fields, net.parameters.dtype.name
    fields.seed, fields.team, fields.last_epoch, fields.max_steps = state.seed, 1, 1, 1
    fields.history_width = net.loss.size
    for entry in ("input_gradient", "jacobian", "parameter_jacobian"):
        setattr(fields, entry, loader.address(f"embedded.jacobian.{entry}", dtype))
    fields.check_indices = loader.address("layers.embedding.check", dtype) if net.limits.size else 0
    if loss is not None:
        width = int(fields.n_outputs)
        fields.target_width, fields.class_targets = loss.n_targets(width), loss.n_classes(width)
        fields.train = loader.address("driver.loop.train", "float64")
        fields.loss_and_gradient = loader.address("driver.loop.gradient", "float64")


@functools.cache
def refuse_constants() -> None:
    """Let Numba take no network for a constant: what it makes of globals are copies."""
    from ..kernels.embedded import arguments

    for kind, name in ((Network, "a network"), (OptimizerState, "an optimizer's state")):
        arguments.refuse_constants(
            kind,
            f"fastnn: {name} must be an argument of the compiled function; of a global, a variable of an "
            "enclosing function or a default argument Numba compiles a copy",
        )
